//! What can be wrong with one field, and the collection of everything that is.

use std::collections::BTreeMap;

/// Why a field was refused. The value itself is never part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// A required field is absent, `null` or blank.
    Missing,
    /// The request has a field that this operation does not know.
    Unknown,
    /// The same field stands in the request twice.
    Duplicate,
    /// The field has another JSON type.
    WrongType {
        /// The name of the JSON type that was expected.
        expected: &'static str,
    },
    /// Fewer than `min` characters.
    TooShort {
        /// The fewest characters that are accepted.
        min: usize,
    },
    /// More than `max` characters.
    TooLong {
        /// The most that are accepted.
        max: usize,
    },
    /// More than `max` bytes in UTF-8.
    TooManyBytes {
        /// The most bytes that are accepted.
        max: usize,
    },
    /// Not of the accepted form, which `form` describes in words.
    Invalid {
        /// What would be accepted, as the end of the sentence "must be …".
        form: &'static str,
    },
    /// A character that the field does not allow; `allowed` says which ones it does.
    InvalidCharacters {
        /// The characters that are accepted, in words.
        allowed: &'static str,
    },
    /// The password is in the list of common passwords.
    CommonPassword,
    /// The password is the account's own username or address.
    ContainsIdentity,
    /// The current password is wrong.
    Incorrect,
}

/// Every bad field of a request by its name; empty while nothing is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(BTreeMap<String, FieldError>);

impl FieldErrors {
    /// A collection with one bad field.
    pub fn one(field: &str, error: FieldError) -> Self {
        let mut errors = Self::default();
        errors.add(field, error);
        errors
    }

    /// Records that `field` is bad; the first reason found for a field stays.
    pub fn add(&mut self, field: &str, error: FieldError) {
        self.0.entry(field.to_owned()).or_insert(error);
    }

    /// Records the reason if `parsed` is a refusal, and gives the value otherwise.
    pub fn take<T>(&mut self, field: &str, parsed: Result<T, FieldError>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error)).ok()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bad fields, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, FieldError)> {
        self.0.iter().map(|(field, error)| (field.as_str(), *error))
    }
}
