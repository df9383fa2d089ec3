//! Text as people type and paste it: with invisible characters, and with the variants of characters that input methods and word processors insert.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dashes {
    /// A dash only separates groups, as in invite codes and one-time codes.
    Separate,
    /// A dash is a character of the secret, as in base64url (RFC 4648 §5).
    Count,
}

/// A typed or pasted text whose compatibility forms are folded (NFKC, UAX #15), so that full-width letters and digits become ASCII. Format characters are
/// dropped, and a dash of any kind becomes `-`.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> {
    let seen = text.nfkc().filter(|c| !is_format(*c));
    seen.map(|c| if is_dash(c) { '-' } else { c })
}

/// The secret in a typed or pasted text: [`folded`], without white space, without full stops at the end, and without dashes that separate groups.
pub(super) fn secret_of(text: &str, dashes: Dashes) -> String {
    let is_dropped = |c: char| c.is_whitespace() || (c == '-' && dashes == Dashes::Separate);
    let mut secret: String = folded(text).filter(|c| !is_dropped(*c)).collect();
    // U+3002 is the full stop of Chinese and Japanese.
    let end = secret.trim_end_matches(['.', '\u{3002}']).len();
    secret.truncate(end);
    secret
}

/// A text without the white space and the format characters around it.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_format(c))
}

/// Whether a character is of the category Cf, such as zero width space, byte order mark, soft hyphen and the bidirectional marks.
fn is_format(c: char) -> bool {
    !c.is_ascii() && c.general_category() == GeneralCategory::Format
}

/// Whether a character is of the category Pd, or the minus sign (U+2212), which is not in Pd.
fn is_dash(c: char) -> bool {
    match c {
        '-' | '\u{2212}' => true,
        other => !other.is_ascii() && other.general_category() == GeneralCategory::DashPunctuation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_what_is_left_when_the_typing_is_taken_away() {
        for (typed, separate, count) in [
            ("ABCD-EFGH", "ABCDEFGH", "ABCD-EFGH"),
            (
                "\u{feff}\u{ff11}\u{ff12}\u{200b} \u{ff0d} \u{ff13}\u{ff0e}",
                "123",
                "12-3",
            ),
            (
                "a\u{2011}b\u{2212}c\u{207b}d\u{58a}e\u{30a0}f\u{10ead}g",
                "abcdefg",
                "a-b-c-d-e-f-g",
            ),
            (
                "1\u{ad}2\u{2066}3\u{a0}4\u{3000}5\t6\r\n7\u{e0020}",
                "1234567",
                "1234567",
            ),
            ("123.\u{200e} ", "123", "123"),
            ("123\u{ff61}\u{3002}", "123", "123"),
            ("1.2", "1.2", "1.2"),
            ("\u{1d7ce}\u{ff21}\u{2460}", "0A1", "0A1"),
            ("_/+", "_/+", "_/+"),
            (" \u{2014}.", "", "-"),
        ] {
            assert_eq!(secret_of(typed, Dashes::Separate), separate, "{typed:?}");
            assert_eq!(secret_of(typed, Dashes::Count), count, "{typed:?}");
        }
    }

    #[test]
    fn only_what_is_around_a_name_is_trimmed() {
        assert_eq!(
            trimmed("\u{2067}\u{feff} a\u{200b}\u{a0}b \u{ad}\u{61c}\u{e0001}\n"),
            "a\u{200b}\u{a0}b"
        );
        assert_eq!(trimmed("\u{180e}\u{2060}"), "");
        // A full stop and a dash belong to a name.
        assert_eq!(trimmed("-a."), "-a.");
    }
}
