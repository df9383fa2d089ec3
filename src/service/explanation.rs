//! Gathering everything that may be why somebody is refused.

use std::net::IpAddr;
use std::sync::Arc;

use super::audit::addresses_of;
use super::{Error, Service, UserRef};
use crate::domain::{AuditEntry, Session, Timestamp, User};
use crate::store::AuditFilter;

/// How many rows of the log are told: more than a person reads.
const MAX_ROWS: u32 = 200;

/// Whose story is told.
#[derive(Clone, Debug)]
pub enum Explained {
    /// That of an account, or of a name that is none's.
    Account(UserRef),
    /// That of everybody at an address.
    Address(IpAddr),
}

/// What is known.
#[derive(Debug)]
pub struct Explanation {
    /// Whose story it is.
    pub subject: Explained,
    /// Rows of the audit log, the oldest first.
    pub entries: Vec<AuditEntry>,
    /// The account; `None` for an address, or a name that is none's.
    pub user: Option<User>,
    /// Its sessions, living and ended.
    pub sessions: Vec<Session>,
    /// Until when its codes are not compared; `None` if they are.
    pub codes_locked_until: Option<Timestamp>,
}

impl Service {
    /// Gathers what happened to an account or from an address.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] for a name that no account can have.
    pub async fn explain(&self, subject: Explained) -> Result<Explanation, Error> {
        let (auditor, post, now) = (
            Arc::clone(&self.auditor),
            Arc::clone(&self.post),
            self.system.now(),
        );
        self.store
            .report(move |reader| {
                let user = match &subject {
                    Explained::Account(user) => user.find_if_there(reader)?,
                    Explained::Address(_) => None,
                };
                let filter = match &subject {
                    Explained::Account(user) => user.audit_filter(reader, &auditor)?,
                    Explained::Address(address) => AuditFilter {
                        addresses: Some(addresses_of(*address)),
                        ..AuditFilter::default()
                    },
                };
                let codes_locked_until = match &user {
                    Some(user) => reader.find_code_lock(post.keys.address_digest(&user.email), now)?,
                    None => None,
                };
                Ok(Explanation {
                    entries: reader.list_audit(&filter, MAX_ROWS)?,
                    sessions: match &user {
                        Some(user) => reader.list_sessions(user.id)?,
                        None => Vec::new(),
                    },
                    user,
                    codes_locked_until,
                    subject,
                })
            })
            .await
    }
}
