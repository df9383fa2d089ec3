//! The rules of this server: one method a use case, called alike by HTTP and by the command line.
//!
//! One file a noun, as everywhere. Nothing here knows HTTP, SQL or a terminal.

mod captcha;
mod email;
mod error;
mod gate;
mod invite;
mod links;
mod one_time_code;
mod operator;
mod password;
mod password_failures;
mod password_link;
mod presented;
mod registration;
mod rules;
mod session;
mod sign_in;
mod signing_key;
mod spray_brake;
mod upkeep;
mod user;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::captcha::Captcha;
use crate::crypto::{HashError, Keyring, Keys, PasswordHasher, RefreshTokens};
use crate::domain::{
    CodeLength, FailureLimits, KeyFingerprint, Locale, Operator, PasswordPolicy, RegistrationMode,
    ServiceName, SessionRules, Timestamp,
};
use crate::mail::{Composer, Letterhead, Transport};
use crate::store::{Setting, Store, StoreError, Tx};
use crate::system::System;
use password_failures::PasswordFailures;
use rules::audit::Auditor;
use rules::mail::Post;
use signing_key::CurrentKeyring;
use spray_brake::SprayBrake;

pub use crate::mail::Medium;
pub use crate::store::UserFilter;
pub use email::PendingVerification;
pub use error::Error;
pub use invite::{InviteDraft, InviteRef, InviteWithCode, WhichInvites};
pub use links::Links;
pub use operator::{
    AmbiguousUsername, AuditPage, AuditPart, AuditQuery, Explained, Explanation, Inspection, MailStatus,
    TakenFor, Wait, WaitingMail,
};
pub use password::RECENT_SIGN_IN;
pub use password_link::{LinkMail, PasswordLink};
pub use presented::RefreshCookies;
pub use registration::{ModeSource, PresentedInvite, Registered, Registration};
pub use session::Caller;
pub use sign_in::{RefreshCookie, SignedIn};
pub use signing_key::{AlgorithmChange, Rotation, SigningKeyStage, SigningKeyState, load_keyring};
pub use spray_brake::FailedCodes;
pub use upkeep::{
    Backup, Ended, KEEP_ENDED_SESSIONS, Place, end_what_was_live, go_on_without_key, open_staged, seal_anew,
};
pub use user::{Change, CreatedUser, NewUser, ProfileChange, UserRef, UserSummary};

/// How often a server looks whether its database is still there, and how often it tries to write while it cannot.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What the operator decided about the rules.
pub struct Settings {
    /// The registration mode that the configuration pins, if it does.
    pub pinned_mode: Option<RegistrationMode>,
    /// What is asked of new passwords.
    pub password_policy: PasswordPolicy,
    /// How long sessions live, how they move on, and how many there may be.
    pub sessions: SessionRules,
    /// How many digits one-time codes have; `None` if there are none.
    pub code_length: Option<CodeLength>,
    /// After how many wrong codes in an hour over all accounts codes are mailed more slowly; `None` if never.
    pub spray_threshold: Option<NonZeroU32>,
    /// How long rows of the audit log are kept.
    pub audit_keep: Duration,
    /// How wrong passwords make the next guess wait; `None` if they do not.
    pub failure_limits: Option<FailureLimits>,
    /// What else than a password helps an account's owner.
    pub ways: Ways,
}

/// What helps the owner of an account who cannot sign in by a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// Signing in by a mailed code.
    pub codes: bool,
    /// Setting a new password through a mailed link.
    pub resets: bool,
}

/// The rules that explain what happened.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How wrong passwords make the next guess wait; `None` if they do not.
    pub failure_limits: Option<FailureLimits>,
    /// What else than a password helps an account's owner.
    pub ways: Ways,
}

/// What the use cases work with.
pub struct Parts {
    /// Where everything is stored.
    pub store: Store,
    /// The keys of the key file.
    pub keys: Keys,
    /// The keys that sign access tokens.
    pub keyring: Keyring,
    /// The hash threads.
    pub hasher: PasswordHasher,
    /// Who checks captchas.
    pub captcha: Captcha,
    /// Who sends mail, if this process does.
    pub transport: Transport,
    /// By which way queued mail leaves, whoever sends it.
    pub medium: Medium,
    /// What mails say of the service.
    pub letterhead: Letterhead,
    /// Where links point.
    pub links: Links,
    /// Who runs this process.
    pub operator: Operator,
}

/// The use cases over one database.
pub struct Service {
    store: Store,
    keyring: CurrentKeyring,
    refresh_tokens: RefreshTokens,
    hasher: PasswordHasher,
    captcha: Captcha,
    post: Arc<Post>,
    auditor: Arc<Auditor>,
    failures: PasswordFailures,
    brake: SprayBrake,
    /// When the log was last told that somebody guesses codes of many accounts.
    spraying_warned_at: Mutex<Option<Timestamp>>,
    settings: Settings,
    system: System,
}

impl Service {
    /// Joins the parts that the use cases work with.
    pub fn new(parts: Parts, settings: Settings, system: System) -> Self {
        let Parts {
            store,
            keys,
            keyring,
            hasher,
            captcha,
            transport,
            medium,
            letterhead,
            links,
            operator,
        } = parts;
        let keys = Arc::new(keys);
        Self {
            refresh_tokens: keys.refresh_tokens(),
            auditor: Arc::new(Auditor::new(operator, Arc::clone(&keys), system.clone())),
            failures: PasswordFailures {
                keys: Arc::clone(&keys),
                limits: settings.failure_limits,
                system: system.clone(),
            },
            brake: SprayBrake {
                threshold: settings.spray_threshold,
            },
            spraying_warned_at: Mutex::default(),
            post: Arc::new(Post {
                composer: Composer::new(letterhead),
                transport,
                medium,
                keys,
                links,
                system: system.clone(),
                queued: Notify::new(),
            }),
            store,
            keyring: CurrentKeyring::new(keyring),
            hasher,
            captcha,
            settings,
            system,
        }
    }

    /// How much hashing was done so far, for tests: [`PasswordHasher::blocks_filled`].
    #[doc(hidden)]
    pub fn blocks_filled(&self) -> u64 {
        self.hasher.blocks_filled()
    }

    /// What is asked of new passwords.
    pub fn password_policy(&self) -> PasswordPolicy {
        self.settings.password_policy
    }

    /// By which way queued mail leaves.
    pub fn mail_medium(&self) -> Medium {
        self.post.medium
    }

    /// What mails and pages call the service.
    pub fn name(&self) -> &ServiceName {
        self.post.composer.name()
    }

    /// Whether links to set a password lead to a page, as far as the configuration tells.
    pub fn has_reset_page(&self) -> bool {
        self.post.links.has_page(&self.post.links.reset)
    }

    /// The language of an account for which nobody has chosen one.
    pub fn default_locale(&self) -> Locale {
        self.post.composer.default_locale()
    }

    /// The clock and the entropy of this service.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// The key file that it works with.
    pub fn key_fingerprint(&self) -> KeyFingerprint {
        self.post.keys.check().fingerprint()
    }

    /// Where everything is stored.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether requests can be served, as far as is known without asking the database: the last write was committed.
    pub fn ready(&self) -> Result<(), Error> {
        self.store.trouble().map_or(Ok(()), |reason| {
            Err(Error::Unavailable {
                reason,
                retry_after: error::SOON,
            })
        })
    }

    /// Looks each second whether the database is still the file that was opened, and tries a small write while writes fail, and when it was asked whether
    /// it is [ready](Self::ready) and nothing was committed for a while; never returns.
    pub async fn watch_database(self: Arc<Self>) {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let service = Arc::clone(&self);
            // Looking at a file of a network may take long.
            let looked = tokio::task::spawn_blocking(move || service.store.look());
            if looked.await.unwrap_or(false) {
                let now = self.system.now();
                // What becomes of it is noted by the store.
                let _ = self
                    .store
                    .write(move |tx| tx.put_moment(Setting::WriteTriedAt, now))
                    .await;
            }
        }
    }

    /// Changes rows as [`Store::write`] does, and wakes the mail worker when they are committed. (Before that it would find nothing and go back to sleep.)
    async fn write_and_mail<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let outcome = self.store.write(change).await;
        self.post.queued.notify_one();
        outcome
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
            HashError::Unusable(_) | HashError::NoThread(_) => Self::internal(error),
        }
    }
}
