//! Values of columns and parameters, in the types that every engine has.

use super::Result;
use super::error::StoreError;

/// A value that was read from a column, or that is bound to a parameter. It borrows text and bytes. It has no `Debug`, because it may be a secret.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    /// Also a truth value, as 0 or 1.
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// Why a value is not of the type that a column holds. It does not repeat the value, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ValueError {
    #[error("the row has no such column")]
    Missing,
    #[error("it is NULL or of another type")]
    Type,
    #[error("the number is out of range")]
    Range,
    #[error("it has another length")]
    Length,
    #[error("the text is not UTF-8")]
    Encoding,
    #[error("the name is not known")]
    Name,
}

/// A type that can be bound to a parameter.
pub(super) trait ToValue {
    fn to_value(&self) -> Value<'_>;
}

/// A type that can be read from a column.
pub(super) trait FromValue: Sized {
    fn from_value(value: Value<'_>) -> Result<Self, ValueError>;
}

/// The values of a statement's parameters, in the order of their numbers.
pub(super) type Params<'a> = &'a [&'a dyn ToValue];

/// [`Params`] of these expressions.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::store::value::ToValue),*] as &[&dyn $crate::store::value::ToValue]
    };
}
pub(super) use params;

/// Each line: `type, variant of a value;`
macro_rules! variants {
    ($($type:ty, $variant:ident;)*) => {$(
        impl<'a> From<$type> for Value<'a> {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

variants! {
    i64, Integer;
    u32, Integer;
    bool, Integer;
    &'a str, Text;
    &'a [u8], Bytes;
}

impl<'a> Value<'a> {
    pub(super) fn integer(self) -> Result<i64, ValueError> {
        match self {
            Self::Integer(number) => Ok(number),
            _ => Err(ValueError::Type),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, ValueError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(ValueError::Type),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], ValueError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(ValueError::Type),
        }
    }
}

impl ValueError {
    #[cold]
    pub(super) fn of_column(self, name: &str) -> StoreError {
        StoreError::Failed(format!("the column {name} cannot be read: {self}"))
    }
}

/// Each line: `type, |value| expression that writes it, |value| expression that reads it;`
macro_rules! values {
    ($($type:ty, |$own:ident| $write:expr, |$value:ident| $read:expr;)*) => {$(
        impl ToValue for $type {
            fn to_value(&self) -> Value<'_> {
                let $own = self;
                Value::from($write)
            }
        }

        impl FromValue for $type {
            fn from_value($value: Value<'_>) -> Result<Self, ValueError> {
                $read
            }
        }
    )*};
}

values! {
    i64, |number| *number, |value| value.integer();
    u32, |number| *number, |value| value.integer()?.try_into().map_err(|_| ValueError::Range);
    bool, |is_true| *is_true, |value| Ok(value.integer()? != 0);
    String, |text| text.as_str(), |value| value.text().map(str::to_owned);
    Vec<u8>, |bytes| bytes.as_slice(), |value| value.bytes().map(<[u8]>::to_vec);
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
        value.bytes()?.try_into().map_err(|_| ValueError::Length)
    }
}

// Counts. They are not bound, because not every one of them fits into an integer of the database.
impl FromValue for u64 {
    fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
        value.integer()?.try_into().map_err(|_| ValueError::Range)
    }
}

impl FromValue for usize {
    fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
        value.integer()?.try_into().map_err(|_| ValueError::Range)
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_size_or_length_is_told_as_such() {
        assert_eq!(i64::from_value(Value::Null), Err(ValueError::Type));
        assert_eq!(String::from_value(Value::Bytes(b"a")), Err(ValueError::Type));
        assert_eq!(u32::from_value(Value::Integer(-1)), Err(ValueError::Range));
        assert_eq!(u64::from_value(Value::Integer(-1)), Err(ValueError::Range));
        assert_eq!(
            <[u8; 2]>::from_value(Value::Bytes(b"abc")),
            Err(ValueError::Length)
        );
        assert_eq!(Option::<i64>::from_value(Value::Null), Ok(None));
    }
}
