//! Request bodies: how much of them is read, and the strict reading of the one shape that is accepted, a JSON object
//! in UTF-8.
//!
//! poem-openapi's own `Json` is not used: it takes numbers for texts, stops at the first error and repeats the
//! offending value, which may be a password.

mod media_type;
#[cfg(test)]
mod properties;

use std::fmt;

use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body as _, Bytes};
use poem::http::HeaderMap;
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::code::Code;
use super::error::Refusal;

/// The most bytes of a body, of every operation: many times what any of them needs.
pub const MAX_BYTES: usize = 16 * 1024;
/// How much of a larger body is read and dropped, so that its sender gets to read the refusal instead of meeting a
/// reset connection.
const MAX_DROPPED_BYTES: usize = 1024 * 1024;
/// How deep values may nest. No operation takes nested values; this keeps hostile ones off the stack.
const MAX_DEPTH: u8 = 32;

/// Why a body could not be read.
pub(crate) enum ReadError {
    /// It has more than 16 KiB.
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

/// The members of a JSON object in the order they came, also those that came twice. It may hold secrets: no `Debug`.
pub(crate) struct Object(pub(crate) Vec<(String, Member)>);

/// The value of a member, as far as this server looks into it.
pub(crate) enum Member {
    /// A string.
    Text(String),
    /// `null`.
    Null,
    /// A number, a boolean, an array or an object.
    Other,
}

/// Reads the body of an operation that takes one.
pub(crate) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Object, Refusal> {
    if body.is_empty() {
        return Err(Refusal::new(Code::RequestMalformed));
    }
    if !media_type::is_identity(headers) {
        return Err(Refusal::encoded());
    }
    if !media_type::is_json(headers) {
        return Err(Refusal::new(Code::UnsupportedMediaType));
    }
    read_object(body).ok_or_else(|| Refusal::new(Code::RequestMalformed))
}

/// `None` if it is no JSON object, or not in UTF-8, or has lone surrogates, or something behind it, or nests too deep.
fn read_object(body: &[u8]) -> Option<Object> {
    let text = std::str::from_utf8(body).ok()?;
    // Editors and shells of Windows put a byte order mark before a text, and RFC 8259 §8.1 lets readers ignore it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object = deserializer.deserialize_map(Members).ok()?;
    deserializer.end().ok()?;
    Some(object)
}

/// Keeps every member; a map would keep only the last of two with one name.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some(name) = map.next_key()? {
            members.push((name, map.next_value_seed(Depth(1))?));
        }
        Ok(Object(members))
    }
}

/// Reads one value at this depth. It is read to its end even if nothing of it is kept: strings with lone surrogates are
/// refused wherever they stand, which serde's own way of skipping values would not do.
#[derive(Clone, Copy)]
struct Depth(u8);

impl Depth {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.0 < MAX_DEPTH {
            Ok(Self(self.0 + 1))
        } else {
            Err(E::custom("nested too deep"))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Member;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Member, E> {
        Ok(Member::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Member, A::Error> {
        let deeper = self.deeper()?;
        while items.next_element_seed(deeper)?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
        let deeper = self.deeper()?;
        while map.next_key::<String>()?.is_some() {
            map.next_value_seed(deeper)?;
        }
        Ok(Member::Other)
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
