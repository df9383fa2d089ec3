//! Code that newtypes share.

/// A `Debug` that prints only the name of the type, for types that hold a secret or nothing worth printing.
macro_rules! redacted {
    ($secret:ident) => {
        impl std::fmt::Debug for $secret {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($secret), "(…)"))
            }
        }
    };
}

/// `as_str` and `Display` for a type that wraps a checked text.
macro_rules! checked_text {
    ($text:ident) => {
        impl $text {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $text {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

/// As `checked_text`, with a constructor for a text from the database.
macro_rules! stored_text {
    ($text:ident) => {
        super::newtype::checked_text!($text);

        impl $text {
            /// Wraps a text that was checked before it was stored.
            pub fn from_stored(text: String) -> Self {
                Self(text)
            }
        }
    };
}

pub(super) use stored_text;
pub(crate) use {checked_text, redacted};
