//! The login name: a username or an address.

use super::newtype::redacted;
use super::typed::trimmed;
use super::{Email, FieldError, Username};

/// How a person names an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountName {
    Email(Email),
    Username(Username),
    /// Not a valid name. The server answers as if it were an unknown name.
    Unusable(UnusableName),
}

/// A text that is not a valid name. `Debug` does not print it, because people type passwords into the field of the name.
#[derive(Clone, PartialEq, Eq)]
pub struct UnusableName(String);

redacted!(UnusableName);

impl AccountName {
    pub const MAX_CHARS: usize = Email::MAX_CHARS;

    /// Reads 1 to 254 characters; white space and format characters around them are dropped first.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let text = trimmed(text);
        if text.is_empty() {
            return Err(FieldError::Missing);
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(FieldError::TooLong { max: Self::MAX_CHARS });
        }
        let name = if text.contains('@') {
            Email::parse(text).map(Self::Email)
        } else {
            Username::parse(text).map(Self::Username)
        };
        Ok(name.unwrap_or_else(|_| Self::Unusable(UnusableName(text.to_owned()))))
    }

    /// The lower-case form, which is the same for all spellings of a name.
    pub fn key(&self) -> String {
        match self {
            Self::Email(email) => email.key(),
            Self::Username(username) => username.key(),
            Self::Unusable(UnusableName(text)) => text.to_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_name_is_not_an_error() {
        for text in ["not a name", "a@b@c"] {
            let name = AccountName::parse(text);
            assert_eq!(name, Ok(AccountName::Unusable(UnusableName(text.to_owned()))));
            assert_eq!(format!("{name:?}"), "Ok(Unusable(UnusableName(…)))");
        }
        assert_eq!(AccountName::parse("  "), Err(FieldError::Missing));
    }

    #[test]
    fn every_spelling_of_a_name_has_one_key() {
        let key = |text| AccountName::parse(text).map(|name| name.key());
        assert_eq!(key(" Alice.W "), Ok("alice.w".to_owned()));
        assert_eq!(
            key("JO@bücher.example"),
            Ok("jo@xn--bcher-kva.example".to_owned())
        );
        assert_eq!(key("No Such Name "), Ok("no such name".to_owned()));
    }
}
