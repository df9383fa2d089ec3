//! How an operator names an account.

use crate::crypto::Keys;
use crate::domain::{AccountName, User, UserId, trimmed};
use crate::service::error::Error;
use crate::store::{AuditFilter, Reader};

/// The id, the username or the address of an account, as an operator typed it.
#[derive(Clone, Debug)]
pub struct UserRef {
    typed: String,
    target: Target,
}

#[derive(Clone, Debug)]
enum Target {
    Id(UserId),
    Name(AccountName),
    Unusable,
}

impl From<&str> for UserRef {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

impl UserRef {
    /// Reads a reference; a text that is neither an id nor a possible name refers to no account.
    pub fn parse(text: &str) -> Self {
        let target = match trimmed(text).parse() {
            Ok(id) => Target::Id(id),
            Err(()) => match AccountName::parse(text) {
                Ok(AccountName::Unusable(_)) | Err(_) => Target::Unusable,
                Ok(name) => Target::Name(name),
            },
        };
        Self {
            typed: text.to_owned(),
            target,
        }
    }

    /// The filter for the rows of the audit log about this account, even if it was deleted or renamed.
    pub(crate) fn audit_filter(&self, reader: &Reader<'_>, keys: &Keys) -> Result<AuditFilter, Error> {
        Ok(match &self.target {
            Target::Id(id) => AuditFilter {
                user_id: Some(*id),
                ..AuditFilter::default()
            },
            Target::Unusable => return Err(Error::UserNotFound(self.typed.clone())),
            Target::Name(name) => AuditFilter {
                user_id: reader.find_user_id(name)?,
                username_key: match name {
                    AccountName::Username(username) => Some(username.key()),
                    AccountName::Email(_) | AccountName::Unusable(_) => None,
                },
                name: keys.name_digest(name),
                ..AuditFilter::default()
            },
        })
    }

    /// The name in the form in which names are unique; `None` for an id and for a text that is no possible name.
    pub(crate) fn name_key(&self) -> Option<String> {
        match &self.target {
            Target::Name(name) => Some(name.key()),
            Target::Id(_) | Target::Unusable => None,
        }
    }

    /// Finds the account.
    ///
    /// # Errors
    /// [`Error::UserNotFound`].
    pub(crate) fn find(&self, reader: &Reader<'_>) -> Result<User, Error> {
        self.find_if_there(reader)?
            .ok_or_else(|| Error::UserNotFound(self.typed.clone()))
    }

    /// The account; `None` if there is none.
    pub(crate) fn find_if_there(&self, reader: &Reader<'_>) -> Result<Option<User>, Error> {
        let id = match &self.target {
            Target::Id(id) => Some(*id),
            Target::Name(name) => reader.find_user_id(name)?,
            Target::Unusable => None,
        };
        Ok(id.map(|id| reader.find_user(id)).transpose()?.flatten())
    }
}

impl From<UserId> for UserRef {
    fn from(id: UserId) -> Self {
        Self {
            typed: id.to_string(),
            target: Target::Id(id),
        }
    }
}
