//! The rules of this server: one method a use case, called alike by HTTP and by the command line.
//!
//! One file a noun, as everywhere. Nothing here knows HTTP, SQL or a terminal.

mod error;
mod invite;
mod registration;
mod session;
mod sign_in;
mod signing_key;
mod sweep;
mod user;

use crate::crypto::{HashError, Keyring, Keys, PasswordHasher, RefreshTokens};
use crate::domain::{PasswordPolicy, RegistrationMode, SessionLifetimes};
use crate::store::{Store, StoreError};
use crate::system::System;

pub use error::Error;
pub use invite::{InviteDraft, InviteLinks, InviteWithCode};
pub use registration::{ModeSource, PresentedInvite, Registered, Registration};
pub use session::Caller;
pub use sign_in::{RefreshCookie, SignedIn};
pub use signing_key::load_keyring;
pub use user::{NewUser, ProfileChange, UserRef, UserSummary};

/// What the operator decided about the rules.
pub struct Settings {
    /// The registration mode that the configuration pins, if it does.
    pub pinned_mode: Option<RegistrationMode>,
    /// What is asked of new passwords.
    pub password_policy: PasswordPolicy,
    /// How long sessions live.
    pub lifetimes: SessionLifetimes,
    /// Where the links of invites point; `None` while there is no page for them.
    pub invite_links: Option<InviteLinks>,
}

/// The use cases over one database.
pub struct Service {
    store: Store,
    keys: Keys,
    keyring: Keyring,
    refresh_tokens: RefreshTokens,
    hasher: PasswordHasher,
    settings: Settings,
    system: System,
}

impl Service {
    /// Joins the parts that the use cases work with.
    pub fn new(
        store: Store,
        keys: Keys,
        keyring: Keyring,
        hasher: PasswordHasher,
        settings: Settings,
        system: System,
    ) -> Self {
        Self {
            refresh_tokens: keys.refresh_tokens(),
            store,
            keys,
            keyring,
            hasher,
            settings,
            system,
        }
    }

    /// What is asked of new passwords.
    pub fn password_policy(&self) -> PasswordPolicy {
        self.settings.password_policy
    }

    /// The clock and the entropy of this service.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Where everything is stored.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The public halves of the signing keys as a JWK set.
    pub fn jwks(&self) -> &str {
        self.keyring.jwks()
    }

    /// Whether requests can be served: the database can be read.
    pub async fn ready(&self) -> Result<(), Error> {
        self.store
            .read(|reader| {
                reader
                    .find_setting(crate::store::Setting::KeyCheck)
                    .map_err(Error::from)
            })
            .await?;
        Ok(())
    }

    /// Answers what is accepted, moves the write-ahead log into the database file and lets go of it.
    pub fn close(self) {
        self.store.close();
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(reason) => Self::Unavailable {
                reason,
                retry_after: error::SOON,
            },
            other => Self::internal(other),
        }
    }
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        match error {
            HashError::QueueFull => Self::Unavailable {
                reason: error.to_string(),
                retry_after: error::SOON,
            },
            HashError::Unusable(_) => Self::internal(error),
        }
    }
}
