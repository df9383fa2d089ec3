//! Passwords: which new ones are accepted, and how passwords are prepared for hashing.

use std::sync::LazyLock;

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::field::FieldError;
use super::newtype::redacted;

/// The most bytes of a password as it was typed. No password of 128 characters needs more, and a longer one would only cost the server work.
pub const MAX_PASSWORD_BYTES: usize = 1024;
/// The lowest minimum length of new passwords that an operator may set, and the default. NIST SP 800-63B-4 §3.1.1.2 allows it where the password is not the
/// only factor, and otherwise asks for 15; the list of common passwords and the limits on guessing make up for the difference.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// The most characters of a new password (NIST SP 800-63B-4 §3.1.1.2 asks for at least 64).
pub const MAX_PASSWORD_CHARS: usize = 128;
/// The common passwords in lower case, one per line, sorted by bytes; `COMMON_PASSWORDS.md` names the source.
const COMMON_PASSWORDS: &str = include_str!("common_passwords.txt");

/// A password that may be set, prepared by `prepare`.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

impl Password {
    /// Reads a new password of at least `min_length` characters. `identities` are the account's own username and address; the
    /// password must not be one of them.
    ///
    /// There is no rule of composition, and nothing is trimmed or cut off (NIST SP 800-63B-4 §3.1.1.2).
    pub fn parse(text: &str, min_length: usize, identities: &[&str]) -> Result<Self, FieldError> {
        if text.is_empty() {
            return Err(FieldError::Missing);
        }
        if text.len() > MAX_PASSWORD_BYTES {
            return Err(FieldError::TooLong {
                max: MAX_PASSWORD_CHARS,
            });
        }
        if text.contains(char::is_control) {
            return Err(FieldError::InvalidCharacters {
                allowed: "printable characters and spaces, no tab, line break or other control character",
            });
        }
        let password = prepare(text);
        let length = password.chars().count();
        if length < min_length {
            return Err(FieldError::TooShort { min: min_length });
        }
        if length > MAX_PASSWORD_CHARS {
            return Err(FieldError::TooLong {
                max: MAX_PASSWORD_CHARS,
            });
        }
        let lower = password.to_lowercase();
        if identities.iter().any(|identity| identity.to_lowercase() == lower) {
            return Err(FieldError::ContainsIdentity);
        }
        if is_common(&lower) {
            return Err(FieldError::CommonPassword);
        }
        Ok(Self(password.into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

/// A password with which a client signs in or confirms an action. The rules for new passwords do not apply to it.
#[derive(Clone, Debug)]
pub struct PasswordGuess {
    prepared: SecretString,
    /// The password as versions before 0.2 prepared it, in normalisation form C alone; `None` if it equals `prepared`.
    formerly: Option<SecretString>,
}

impl PasswordGuess {
    /// Reads at most 1 024 bytes, and prepares them as [`Password::parse`] does.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        if text.is_empty() {
            return Err(FieldError::Missing);
        }
        if text.len() > MAX_PASSWORD_BYTES {
            return Err(FieldError::TooManyBytes {
                max: MAX_PASSWORD_BYTES,
            });
        }
        let prepared = prepare(text);
        let formerly: String = text.nfc().collect();
        let formerly = (formerly != prepared).then(|| formerly.into());
        Ok(Self {
            prepared: prepared.into(),
            formerly,
        })
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.prepared.expose_secret().as_bytes()
    }

    /// The bytes that versions before 0.2 hashed; `None` if they are the same.
    pub fn as_nfc_bytes(&self) -> Option<&[u8]> {
        self.formerly
            .as_ref()
            .map(|password| password.expose_secret().as_bytes())
    }
}

/// A salted hash of a password with its parameters, in the PHC string format; `Debug` does not print it.
#[derive(Clone)]
pub struct PasswordHash(SecretString);

impl PasswordHash {
    pub fn new(phc: String) -> Self {
        Self(phc.into())
    }

    pub fn as_str(&self) -> &str {
        self.0.expose_secret()
    }
}

redacted!(PasswordHash);

/// The form that is hashed: with every space (category Zs) replaced by U+0020, and in normalisation form C (RFC 8265 §4.2.2).
fn prepare(text: &str) -> String {
    let to_plain = |c: char| match c.general_category() {
        GeneralCategory::SpaceSeparator => ' ',
        _ => c,
    };
    text.chars().map(to_plain).nfc().collect()
}

fn is_common(password: &str) -> bool {
    static LINES: LazyLock<Vec<&str>> = LazyLock::new(|| COMMON_PASSWORDS.lines().collect());
    LINES.binary_search(&password).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Password, FieldError> {
        Password::parse(text, MIN_PASSWORD_CHARS, &["Alice.Wonder", "alice@example.org"])
    }

    #[test]
    fn every_line_of_the_list_is_found_and_its_neighbours_are_not() {
        let lines: Vec<&str> = COMMON_PASSWORDS.lines().collect();
        assert!(lines.is_sorted() && lines.len() > 5_000);
        for line in lines {
            assert!(is_common(line), "{line}");
            assert!(!is_common(&format!("{line}\u{1}")), "{line}");
        }
        assert!(!is_common(""));
    }

    #[test]
    fn a_new_password_is_judged_by_length_list_and_identity_only() {
        assert_eq!(parse("seven77").err(), Some(FieldError::TooShort { min: 8 }));
        assert_eq!(
            parse(&"x".repeat(129)).err(),
            Some(FieldError::TooLong { max: 128 })
        );
        assert_eq!(parse("PassWord").err(), Some(FieldError::CommonPassword));
        assert_eq!(parse("ALICE.wonder").err(), Some(FieldError::ContainsIdentity));
        assert_eq!(
            parse("Alice@Example.Org").err(),
            Some(FieldError::ContainsIdentity)
        );
        assert!(parse(" spaces stay ").is_ok());
        assert!(parse("密码密码密码密码").is_ok());
        let control = parse("a quiet\u{85}harbour").err();
        assert!(matches!(control, Some(FieldError::InvalidCharacters { .. })));
    }

    #[test]
    fn only_a_guess_with_another_space_has_a_former_form() {
        let forms = |text| {
            let guess = PasswordGuess::parse(text).expect("it is a guess");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (text(guess.as_bytes()), guess.as_nfc_bytes().map(text))
        };
        assert_eq!(forms("a b"), ("a b".to_owned(), None));
        assert_eq!(
            forms("e\u{301}\tb\u{2028}"),
            ("\u{e9}\tb\u{2028}".to_owned(), None)
        );
        assert_eq!(
            forms("a\u{2000}b"),
            ("a b".to_owned(), Some("a\u{2002}b".to_owned()))
        );
    }

    #[test]
    fn a_password_is_the_same_however_its_accents_were_typed() {
        let composed = parse("caf\u{e9} au lait").map(|p| p.as_bytes().to_vec());
        let decomposed = PasswordGuess::parse("cafe\u{301} au lait").map(|p| p.as_bytes().to_vec());
        assert_eq!(composed, decomposed);
    }

    #[test]
    fn nothing_prints_a_password() {
        let shown = format!(
            "{:?} {:?}",
            parse("a secret one"),
            PasswordGuess::parse("a secret one")
        );
        assert!(!shown.contains("secret one"), "{shown}");
    }
}
