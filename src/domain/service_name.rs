//! The name of the service in mails and on pages.

use super::is_unprintable;
use super::newtype::checked_text;

/// The name of the service: one printable line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName(String);

impl ServiceName {
    /// The name is part of the subjects of mails, which phones cut after about forty characters.
    pub const MAX_CHARS: usize = 64;

    /// Reads a name in any script; spaces around it are dropped. `None` if it has no visible character, is too long, or has an unprintable character.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.trim();
        let is_seen = |c: char| !c.is_whitespace() && !matches!(c, '\u{200c}' | '\u{200d}');
        let is_name = name.chars().count() <= Self::MAX_CHARS
            && name.chars().any(is_seen)
            && !name.contains(is_unprintable);
        is_name.then(|| Self(name.to_owned()))
    }
}

checked_text!(ServiceName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_printable_line_in_any_script() {
        for (text, name) in [
            ("Example", "Example"),
            ("  示例 服务 ", "示例 服务"),
            ("A \"quoted\" <name> & co.", "A \"quoted\" <name> & co."),
            (
                "\u{646}\u{627}\u{645}\u{200c}\u{647}",
                "\u{646}\u{627}\u{645}\u{200c}\u{647}",
            ),
        ] {
            assert_eq!(ServiceName::parse(text).expect("it is a name").as_str(), name);
        }
        let too_long = "a".repeat(ServiceName::MAX_CHARS + 1);
        for text in [
            "",
            " \u{3000}",
            "\u{200d}",
            "a\nb",
            "a\rBcc: b",
            "a\u{202e}b",
            "a\u{2028}b",
            "a\u{0}",
            "a\u{feff}b",
            &too_long,
        ] {
            assert_eq!(ServiceName::parse(text), None, "{text:?}");
        }
    }
}
