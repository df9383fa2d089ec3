//! What the headers say about a body: media type, charset, content coding.

use poem::http::HeaderMap;
use poem::http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// The names of UTF-8 in lower case and without punctuation: the labels of the WHATWG Encoding Standard §4.2, and the alias that IANA registered.
const UTF_8_LABELS: [&str; 5] = [
    "utf8",
    "csutf8",
    "unicode11utf8",
    "unicode20utf8",
    "xunicode20utf8",
];

/// Whether the media type is `application/json` without a charset other than UTF-8. Other parameters have no meaning for JSON (RFC 8259 §11).
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let value = String::from_utf8_lossy(value.as_bytes());
    let mut parts = parts(&value);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json") && parts.all(|part| !names_another_charset(part))
}

/// Whether the body has no content coding such as gzip (RFC 9110 §8.4).
pub(super) fn is_identity(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().all(|value| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',');
        codings.all(|coding| {
            let coding = coding.trim_ascii();
            coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
        })
    })
}

/// The essence and the parameters: the parts between semicolons outside of quotes.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_end = move |c: char| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        c == ';' && !is_quoted
    };
    value.split(is_end).map(str::trim)
}

fn names_another_charset(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let label: String = value.chars().filter(|c| c.is_alphanumeric()).collect();
    name.trim().eq_ignore_ascii_case("charset")
        && !label.is_empty()
        && !UTF_8_LABELS.contains(&label.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let value = |value: &&str| HeaderValue::from_bytes(value.as_bytes()).expect("it is a value");
        values.iter().map(|text| (name.clone(), value(text))).collect()
    }

    #[test]
    fn json_is_called_by_its_name_and_in_utf_8() {
        let is_json = |values: &[&str]| is_json(&headers(&CONTENT_TYPE, values));
        for value in [
            "application/json",
            "Application/JSON; Charset=\"UTF-8\"",
            "application/json ; charset = utf8 ;; ",
            "application/json;charset=unicode-1-1-utf-8",
            "application/json; charset=",
            "application/json; charset",
            "application/json; odata=\"a;charset=latin1\\\";\"; q=ü",
        ] {
            assert!(is_json(&[value]), "{value}");
        }
        for value in [
            "",
            ";",
            "; charset=utf-8",
            "text/json",
            "application/jsonx",
            "application / json",
            "\"application/json\"",
            "application/json charset=utf-8",
            "application/json, text/x",
            "application/json; charset=latin1",
            "application/json; a=b; charset=utf-8; CHARSET=\"utf-16\"",
            "application/json; charset=utf-8; charset=us-ascii",
            "application/json; charset=utf\u{ff0d}8\u{fc}",
        ] {
            assert!(!is_json(&[value]), "{value}");
        }
        assert!(!is_json(&[]) && !is_json(&["application/json", "application/json"]));
    }

    #[test]
    fn only_identity_is_no_coding() {
        let is_identity = |values: &[&str]| is_identity(&headers(&CONTENT_ENCODING, values));
        for values in [
            &[][..],
            &[""],
            &["identity"],
            &["Identity, ,IDENTITY", " identity"],
        ] {
            assert!(is_identity(values), "{values:?}");
        }
        for values in [
            &["gzip"][..],
            &["identity, br"],
            &["identity", "deflate"],
            &["identity;q=0"],
        ] {
            assert!(!is_identity(values), "{values:?}");
        }
    }
}
