//! Why a field of a request is refused.

use std::collections::BTreeMap;

/// Why a field is refused, without the refused value. The names are those of the HTTP API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum FieldError {
    /// A required field is absent, `null` or blank.
    Missing,
    /// The request has a field that this operation does not know.
    Unknown,
    /// The request has the same field twice.
    Duplicate,
    /// The field has another JSON type.
    WrongType {
        /// The name of a JSON type.
        expected: &'static str,
    },
    /// Fewer than `min` characters.
    TooShort { min: usize },
    /// More than `max` characters.
    TooLong { max: usize },
    /// More than `max` bytes in UTF-8.
    #[strum(serialize = "too_long")]
    TooManyBytes { max: usize },
    Invalid {
        /// What is accepted, as the end of the sentence "must be …".
        form: &'static str,
    },
    InvalidCharacters {
        /// The allowed characters, in words.
        allowed: &'static str,
    },
    /// The password is in the list of common passwords.
    CommonPassword,
    /// The password is the account's own username or address.
    ContainsIdentity,
    /// The given current password is wrong.
    Incorrect,
}

/// The bad fields of a request, keyed by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(BTreeMap<String, FieldError>);

impl FieldErrors {
    pub fn one(field: &str, error: FieldError) -> Self {
        let mut errors = Self::default();
        errors.add(field, error);
        errors
    }

    /// Records that `field` is bad; the first reason found for a field stays.
    pub fn add(&mut self, field: &str, error: FieldError) {
        self.0.entry(field.to_owned()).or_insert(error);
    }

    /// Returns the value of `parsed`. If it is an error, records the error and returns `None`.
    pub fn take<T>(&mut self, field: &str, parsed: Result<T, FieldError>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bad fields, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, FieldError)> {
        self.0.iter().map(|(field, error)| (field.as_str(), *error))
    }
}
