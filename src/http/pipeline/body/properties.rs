//! Property tests of `read_object`: random and nearly valid bodies must be read as `serde_json` reads them; `benches/fuzz` tries millions.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::properties::{almost, wild_text};

/// Tokens of JSON, and some texts that are not valid JSON.
const PIECES: [&str; 34] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\"a\":",
    "\"a\"",
    "\"b\":[",
    "{\"c\":",
    "null",
    "true",
    "0",
    "-1",
    "1e9",
    "1e999",
    "01",
    "NaN",
    " ",
    "\n",
    "\t",
    "\0",
    "\\",
    "\\n",
    "\\u0000",
    "\\ud800",
    "\\udc00",
    "\\ud83d\\ude00",
    "\u{feff}",
    "\u{7f}",
    "é",
    "//",
    "'",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        wild_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(40, 60, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((wild_text(), inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn document() -> impl Strategy<Value = String> {
    prop_oneof![
        almost(value().prop_map(|value| value.to_string())),
        almost(value().prop_map(|value| json!({ "a": value }).to_string())),
        prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..12)
            .prop_map(|pieces| format!("{{{}}}", pieces.concat())),
        (0..40_usize).prop_map(nested_objects),
    ]
}

fn nested_objects(levels: usize) -> String {
    format!("{}{{}}{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

/// How deep the values of a document nest, including the outermost one.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_text,
            '"' => in_text = !in_text,
            '[' | '{' if !in_text => depth += 1,
            ']' | '}' if !in_text => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Whether `serde_json` reads an object of at most 32 levels, after an optional byte order mark.
fn is_shallow_object(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_object = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
    is_object && depth(text) <= 32
}

proptest! {
    #[test]
    fn a_body_is_read_exactly_where_serde_json_reads_an_object_of_32_levels(text in document()) {
        let expected = is_shallow_object(&text);
        prop_assert_eq!(read_object(text.as_bytes()).is_some(), expected, "{}", text);
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_no_object(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        (document(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len().max(1));
            bytes.splice(at..at, [byte]);
            bytes
        }),
    ]) {
        let text = String::from_utf8(bytes.clone()).unwrap_or_default();
        let expected = is_shallow_object(&text);
        prop_assert_eq!(read_object(&bytes).is_some(), expected);
    }

    #[test]
    fn every_member_is_kept_in_its_order(members in prop::collection::vec((wild_text(), value()), 0..5)) {
        let written: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        let Some(object) = read_object(format!("{{{}}}", written.join(",")).as_bytes()) else {
            return Ok(());
        };
        prop_assert_eq!(object.0.len(), members.len());
        for ((name, member), (sent_name, sent)) in object.0.iter().zip(&members) {
            prop_assert_eq!(name, sent_name);
            let is_kept = match member {
                Member::Text(text) => sent.as_str() == Some(text),
                Member::Null => sent.is_null(),
                Member::Other => !sent.is_null() && !sent.is_string(),
            };
            prop_assert!(is_kept, "{}", sent);
        }
    }

    #[test]
    fn nothing_cut_off_is_an_object(value in value(), at: prop::sample::Index) {
        let whole = json!({ "login": value }).to_string();
        let cut = &whole.as_bytes()[..at.index(whole.len())];
        prop_assert!(read_object(cut).is_none());
    }
}
