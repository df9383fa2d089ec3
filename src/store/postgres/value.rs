//! Values of `store` as PostgreSQL sends and receives them, in its binary format.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use postgres::Row as PostgresRow;
use postgres::types::private::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, WrongType};

use crate::store::engine::Columns;
use crate::store::value::{Value, ValueError};
use crate::store::{Result, StoreError};

type Converted<T> = std::result::Result<T, Box<dyn Error + Sync + Send>>;

/// A value that is bound to a parameter, whatever type PostgreSQL has found out for it.
pub(super) struct Bound<'a>(pub(super) Value<'a>);

/// A value of a column.
struct Read<'a>(Value<'a>);

impl fmt::Debug for Bound<'_> {
    /// Prints no value, because it may be a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Bound")
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Converted<IsNull> {
        match (self.0, ty) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Integer(number), &Type::INT8) => number.to_sql(ty, out),
            (Value::Integer(number), &Type::INT4) => i32::try_from(number)?.to_sql(ty, out),
            (Value::Integer(number), &Type::BOOL) => (number != 0).to_sql(ty, out),
            (Value::Text(text), &Type::TEXT) => without_nul(text).to_sql(ty, out),
            (Value::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            _ => Err(Box::new(WrongType::new::<Self>(ty.clone()))),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

/// PostgreSQL stores no NUL in a text. No text that is looked up can contain one; a text from outside, such as the answer of a mail server, may.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

impl<'a> FromSql<'a> for Read<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Converted<Self> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Integer(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::Integer(bool::from_sql(ty, raw)?.into()),
            Type::BYTEA => Value::Bytes(raw),
            _ => Value::Text(<&str>::from_sql(ty, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Converted<Self> {
        Ok(Self(Value::Null))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(
            *ty,
            Type::INT8 | Type::INT4 | Type::BOOL | Type::BYTEA | Type::TEXT
        )
    }
}

impl Columns for PostgresRow {
    fn value(&self, index: usize) -> Result<Value<'_>, ValueError> {
        if index >= self.len() {
            return Err(ValueError::Missing);
        }
        let read: Read<'_> = self.try_get(index).map_err(|_| ValueError::Type)?;
        Ok(read.0)
    }

    fn index(&self, name: &str) -> Result<usize> {
        let found = self.columns().iter().position(|column| column.name() == name);
        found.ok_or_else(|| StoreError::Failed(format!("the row has no column {name}")))
    }

    fn name(&self, index: usize) -> String {
        let column = self.columns().get(index);
        column.map_or("?", |column| column.name()).to_owned()
    }
}
