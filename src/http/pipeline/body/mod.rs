//! Request bodies: how much of them is read, and the strict parsing of the one accepted form, a JSON object in UTF-8.
//!
//! poem-openapi's own `Json` is not used: it accepts numbers as texts, stops at the first error and repeats the offending value, which may be a password.

mod media_type;
#[cfg(test)]
mod properties;

use std::fmt;

use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body as _, Bytes};
use poem::http::header::ACCEPT_ENCODING;
use poem::http::{HeaderMap, HeaderValue};
use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::code::Code;
use super::error::Refusal;

/// The maximum size of a body in bytes: many times what any operation needs.
pub const MAX_BYTES: usize = 16 * 1024;
/// How much of a larger body is read and dropped, so that the client can read the refusal before the connection is closed.
const MAX_DROPPED_BYTES: usize = 1024 * 1024;
/// How many levels of objects and arrays a body may have. No operation takes nested values; the contract names this limit.
const MAX_DEPTH: u8 = 32;

/// Why a body could not be read.
pub(crate) enum ReadError {
    TooLarge,
    /// The connection broke off, or the chunks were malformed.
    Malformed,
}

/// Reads a whole body of at most 16 KiB. The caller bounds the time.
pub(crate) async fn read(body: poem::Body) -> Result<Bytes, ReadError> {
    let mut body: BoxBody<Bytes, std::io::Error> = body.into();
    if body.size_hint().lower() > MAX_DROPPED_BYTES as u64 {
        return Err(ReadError::TooLarge);
    }
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ReadError::Malformed)?;
        let Some(data) = frame.data_ref() else { continue };
        length += data.len();
        if length > MAX_DROPPED_BYTES {
            return Err(ReadError::TooLarge);
        }
        if length <= MAX_BYTES {
            bytes.extend_from_slice(data);
        }
    }
    if length > MAX_BYTES {
        Err(ReadError::TooLarge)
    } else {
        Ok(bytes.into())
    }
}

/// The members of a JSON object in their order, duplicates included. It may hold secrets: no `Debug`.
pub(crate) struct Object(pub(crate) Vec<(String, Member)>);

/// The value of a member, as far as the server distinguishes values.
pub(crate) enum Member {
    Text(String),
    Null,
    /// A number, a boolean, an array or an object.
    Other,
}

impl From<Value> for Member {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            Value::Null => Self::Null,
            _ => Self::Other,
        }
    }
}

/// Parses the body of an operation that takes one.
pub(crate) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Object, Refusal> {
    if body.is_empty() {
        return Err(Refusal::new(Code::RequestMalformed));
    }
    if !media_type::is_identity(headers) {
        // `Accept-Encoding` says that only plain bodies are read (RFC 9110 §15.5.16).
        let refusal = Refusal::new(Code::UnsupportedMediaType);
        return Err(refusal.with_header(ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    }
    if !media_type::is_json(headers) {
        return Err(Refusal::new(Code::UnsupportedMediaType));
    }
    read_object(body).ok_or_else(|| Refusal::new(Code::RequestMalformed))
}

/// `None` if the body is not a JSON object, is not in UTF-8, has lone surrogates or anything after the object, or nests too deep.
fn read_object(body: &[u8]) -> Option<Object> {
    let text = std::str::from_utf8(body).ok()?;
    // Windows editors and shells write a byte order mark first; RFC 8259 §8.1 lets parsers ignore it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object = deserializer.deserialize_map(Members).ok()?;
    deserializer.end().ok()?;
    Some(object)
}

/// Keeps every member. A map would keep only the last of two with the same name.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some(name) = map.next_key()? {
            let value: Value = map.next_value()?;
            if nests_deeper(&value, MAX_DEPTH - 1) {
                return Err(A::Error::custom("nested too deep"));
            }
            members.push((name, value.into()));
        }
        Ok(Object(members))
    }
}

/// Whether arrays and objects nest deeper than `levels` in `value`.
fn nests_deeper(value: &Value, levels: u8) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| nests_deeper(item, levels - 1)),
        Value::Object(members) => {
            levels == 0 || members.values().any(|member| nests_deeper(member, levels - 1))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_object(body: &str) -> bool {
        read_object(body.as_bytes()).is_some()
    }

    fn nested(arrays: usize) -> String {
        format!("{{\"a\":{}{}}}", "[".repeat(arrays), "]".repeat(arrays))
    }

    #[test]
    fn only_a_whole_object_is_one() {
        for body in [
            "{}",
            " {\"a\": [1, {\"b\": null}]} \n",
            "\u{feff}{}",
            "{\"a\": \"\\ud83d\\ude00\"}",
        ] {
            assert!(is_object(body), "{body}");
        }
        for body in [
            "",
            " ",
            "[]",
            "1",
            "null",
            "\"a\"",
            "{",
            "{}x",
            "{} {}",
            "{\"a\":1,}",
            "{a:1}",
            "\u{feff}",
            "\u{feff}\u{feff}{}",
            "{}\u{feff}",
        ] {
            assert!(!is_object(body), "{body}");
        }
        assert!(read_object(b"{\"a\":\"\xff\"}").is_none());
    }

    #[test]
    fn a_lone_surrogate_is_refused_wherever_it_stands() {
        for body in [
            "{\"a\":\"\\ud800\"}",
            "{\"\\udc00\":1}",
            "{\"a\":[{\"b\":\"\\ud800\"}]}",
            "{\"a\":{\"\\ud800\":1}}",
        ] {
            assert!(!is_object(body), "{body}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        assert!(is_object(&nested(31)));
        assert!(!is_object(&nested(32)));
        assert!(!is_object(&nested(5_000)));
    }

    #[test]
    fn members_that_come_twice_are_both_kept() {
        let object = read_object(b"{\"a\":\"x\",\"a\":null,\"b\":2}").expect("it is an object");
        let names: Vec<&str> = object.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "a", "b"]);
    }
}
