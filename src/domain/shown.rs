//! Escapes characters that move the cursor, reorder the text around them, or are invisible.
//!
//! Names, notes, user agents and the answers of mail servers come from outside, and a terminal obeys control characters (CWE-150; Trojan Source,
//! CVE-2021-42574).

use std::borrow::Cow;
use std::fmt::Write;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether a character acts on the text around it instead of being visible: controls (Cc), formats (Cf) such as the bidirectional ones, and the separators of
/// lines and paragraphs (Zl, Zp). The joiners U+200C and U+200D pass: Persian, Indic scripts and emoji are written with them.
pub fn is_unprintable(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let acts = matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    acts && !matches!(c, '\u{200c}' | '\u{200d}')
}

/// The text with every unprintable character but those in `kept` written as `\u{202e}`.
pub fn printable<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    escaped(text, kept, |shown, c| write!(shown, "\\u{{{:x}}}", u32::from(c)))
}

/// JSON with every unprintable character but those in `kept` written as `\u202e`, so that it stays the same JSON.
///
/// The input comes from a serialiser: outside of strings it has no unprintable characters except line ends, and in strings the control characters of ASCII are
/// already escaped, except U+007F.
pub fn printable_json<'a>(json: &'a str, kept: &[char]) -> Cow<'a, str> {
    escaped(json, kept, |shown, c| {
        c.encode_utf16(&mut [0; 2])
            .iter()
            .try_for_each(|unit| write!(shown, "\\u{unit:04x}"))
    })
}

fn escaped<'a>(
    text: &'a str,
    kept: &[char],
    escape: impl Fn(&mut String, char) -> std::fmt::Result,
) -> Cow<'a, str> {
    let is_escaped = |c: char| is_unprintable(c) && !kept.contains(&c);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            escape(&mut shown, c).expect("writing to a string never fails");
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_written_out_and_what_is_seen_stays() {
        for (text, shown) in [
            ("Ann", "Ann"),
            (
                "B\u{fc}cher \u{4e2d}\u{6587} \u{1f469}\u{200d}\u{1f680}",
                "B\u{fc}cher \u{4e2d}\u{6587} \u{1f469}\u{200d}\u{1f680}",
            ),
            ("a\u{202e}b\u{2066}", "a\\u{202e}b\\u{2066}"),
            ("\u{1b}[2J\u{7f}\u{9b}31m", "\\u{1b}[2J\\u{7f}\\u{9b}31m"),
            (
                "a\u{200b}\u{feff}\u{ad}\u{e0041}\u{2028}",
                "a\\u{200b}\\u{feff}\\u{ad}\\u{e0041}\\u{2028}",
            ),
            ("a\nb\tc", "a\nb\\u{9}c"),
        ] {
            assert_eq!(printable(text, &['\n']), shown);
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let text = "a\u{202e}\u{7f}\u{1b}\u{e0041}\u{fc}\"\\u{1f600}";
        let json = serde_json::to_string(text).expect("it is text");
        let shown = printable_json(&json, &[]);
        assert!(!shown.contains(is_unprintable), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).expect("it is JSON"), text);
    }
}
