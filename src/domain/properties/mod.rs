//! Properties of the parsers, tried with random texts; `benches/fuzz` tries millions.
//!
//! This file generates the texts, also for the properties of other modules.

mod accounts;
mod secrets;

use proptest::prelude::*;

use super::{Client, Note, Timestamp, TraceId, UserId, Username, is_unprintable};

/// Pieces of hostile texts: line ends, invisible characters, look-alikes, and letters of other scripts.
const NASTY: [&str; 47] = [
    "\0",
    "\r\n",
    "\n",
    "\t",
    " ",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{200b}",
    "\u{200d}",
    "\u{202e}",
    "\u{2028}",
    "\u{3000}",
    "\u{feff}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{430}",
    "\u{131}",
    "\u{130}",
    "\u{df}",
    "\u{e9}",
    "e\u{301}",
    "\u{ff20}",
    "\u{ff10}",
    "\u{1f600}",
    "@",
    "@@",
    ".",
    "..",
    "-",
    "_",
    "%00",
    "%0d%0a",
    "\\",
    "\"",
    "'",
    "<",
    ">",
    "&",
    "{",
    "}",
    "/",
    ";",
    ",",
    "=",
    ":",
    "\\ud800",
];

/// A text of up to `most` pieces: plain characters, hostile pieces, or any characters.
pub(crate) fn wild_text_of(most: usize) -> impl Strategy<Value = String> {
    let plain: Vec<String> = (' '..='~').map(String::from).collect();
    let piece = prop_oneof![
        4 => prop::sample::select(plain),
        2 => prop::sample::select(NASTY.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..=most).prop_map(|pieces| pieces.concat())
}

pub(crate) fn wild_text() -> impl Strategy<Value = String> {
    wild_text_of(40)
}

/// One of `texts`, unchanged, or with one piece inserted or put in place of a character. Almost valid texts find more faults than random ones.
pub(crate) fn almost(texts: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let change = prop::option::of((any::<prop::sample::Index>(), wild_text_of(1), 0..=1_usize));
    (texts, change).prop_map(|(text, change)| {
        let Some((place, piece, dropped)) = change else {
            return text;
        };
        let length = text.chars().count();
        let at = place.index(length + 1);
        let before = text.chars().take(at);
        before
            .chain(piece.chars())
            .chain(text.chars().skip(at + dropped))
            .collect()
    })
}

pub(crate) fn has_no_control(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_printable(text: &str) -> bool {
    !text.contains(is_unprintable)
}

proptest! {
    #[test]
    fn a_note_is_one_short_line(text in prop_oneof![wild_text(), "[ -~]{0,220}"]) {
        let note = Note::parse(&text).ok().flatten();
        let trimmed = text.trim();
        let is_one = !trimmed.is_empty() && is_printable(trimmed) && trimmed.chars().count() <= Note::MAX_CHARS;
        prop_assert_eq!(note.as_ref().map(Note::as_str), is_one.then_some(trimmed));
    }

    #[test]
    fn a_user_agent_is_one_short_line(text in wild_text_of(250)) {
        if let Some(kept) = Client::new(None, Some(&text), TraceId([0; 16])).user_agent {
            prop_assert!(is_printable(&kept) && kept.chars().count() <= 200, "{kept:?}");
        }
    }

    #[test]
    fn an_id_is_read_back(bytes: [u8; 16]) {
        let id = UserId::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse::<UserId>().ok(), Some(id));
    }

    #[test]
    fn a_text_that_is_read_as_an_id_is_how_the_id_is_written(text in prop_oneof![
        wild_text(),
        almost("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    ]) {
        if let Ok(id) = text.parse::<UserId>() {
            prop_assert_eq!(id.to_string(), text.to_ascii_lowercase());
        }
    }

    #[test]
    fn no_text_is_an_id_and_a_username(text in prop_oneof![
        wild_text(),
        almost("[0-9a-f]{8}-?[0-9a-f]{4}-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}"),
        "[0-9a-f]{32}",
    ]) {
        prop_assert!(text.parse::<UserId>().is_err() || Username::parse(&text).is_err());
    }

    #[test]
    fn every_moment_can_be_shown_and_compared(a: i64, b: i64) {
        let (a, b) = (Timestamp::from_millis(a), Timestamp::from_millis(b));
        prop_assert!(has_no_control(&a.to_string()));
        prop_assert!(a.since(b).is_zero() || b.since(a).is_zero());
        prop_assert!(a + b.since(a) >= a && a - b.since(a) <= a);
    }
}
