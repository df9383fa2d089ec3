//! Paths as routing compares them.

use std::borrow::Cow;

/// `path` with its percent-encoded unreserved characters decoded, such as `%6d` to `m`: the same path by RFC 3986 §6.2.2.2.
///
/// All other characters stay encoded, so that `%2F` does not separate segments. Decoding happens once: `%256d` stays as it is.
pub(super) fn normalised(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        if let Some(unreserved) = unreserved(after) {
            decoded.push(unreserved);
            rest = &after[2..];
        } else {
            decoded.push('%');
            rest = after;
        }
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// The unreserved character (RFC 3986 §2.3) that the first two digits of `text` encode.
fn unreserved(text: &str) -> Option<char> {
    let digits = text.get(..2)?;
    // The parser below would also accept a sign before a digit.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let decoded = char::from(u8::from_str_radix(digits, 16).ok()?);
    (decoded.is_ascii_alphanumeric() || "-._~".contains(decoded)).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_are_decoded_and_only_once() {
        for (path, expected) in [
            ("/v1/me", "/v1/me"),
            ("/%76%31/%6D%65", "/v1/me"),
            ("/%2Ewell%2dknown/%7Ea%5Fb", "/.well-known/~a_b"),
            ("/v1%2Fme", "/v1%2Fme"),
            ("/v1/%256de", "/v1/%256de"),
            ("/v1/%25%36de", "/v1/%256de"),
            ("/v1/%%36de", "/v1/%6de"),
            (
                "/%00%20%7f%c0%ae%5c%3b%3F%23%40",
                "/%00%20%7f%c0%ae%5c%3b%3F%23%40",
            ),
            ("/%+6%-6% 6%6", "/%+6%-6% 6%6"),
            ("/%6", "/%6"),
            ("/%", "/%"),
            ("/%ü6d%6ü", "/%ü6d%6ü"),
        ] {
            assert_eq!(normalised(path), expected, "{path}");
        }
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::properties::wild_text;

    proptest! {
        #[test]
        fn an_encoded_path_is_the_path(path in "/[A-Za-z0-9._~/-]{0,30}", mask in prop::collection::vec(any::<bool>(), 31)) {
            let encoded: String = path.chars().zip(&mask).map(|(c, is_encoded)| match c {
                c if c != '/' && *is_encoded => format!("%{:02x}", u32::from(c)),
                c => c.to_string(),
            }).collect();
            prop_assert_eq!(normalised(&encoded), path);
        }

        #[test]
        fn no_text_gains_a_separator(text in prop_oneof![wild_text(), "[%0-9a-fA-F/.+]{0,40}"]) {
            let normalised = normalised(&text);
            let count = |text: &str| text.matches(['/', '?', '#', '\\', ';', '\0']).count();
            prop_assert_eq!(count(&normalised), count(&text));
            prop_assert!(normalised.len() <= text.len());
        }
    }
}
