//! Opens the parts for a role and joins them.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::capacity::Capacity;
use super::data_dir::warning_if_open;
use super::error::OpenError;
use super::first_start::{Origin, open_keys};
use super::parts::{service_settings, start_hasher, transport};
use super::role::Role;
use super::served::agree;
use crate::captcha::Captcha;
use crate::config::Config;
use crate::crypto::{AccessTokenSettings, Keyring};
use crate::domain::Operator;
use crate::fault::Fault;
use crate::mail::SmtpTimeouts;
use crate::service::{self, Parts, Service, load_keyring};
use crate::store::{Access, OpenOptions, Store, TestHooks};
use crate::system::System;

/// How often a server removes expired rows.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// How often a server writes counted events to the audit log. A crash loses the events that were counted since the last write.
pub const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// The joined parts.
pub struct App {
    pub service: Arc<Service>,
    pub origin: Origin,
    /// Warnings for the operator about how the parts fit together.
    pub notices: Vec<String>,
    /// The public URL of the server that ran last, or the one in this configuration if no server has run.
    pub(super) public_url: String,
}

impl App {
    /// Joins the parts for `role`. `operator` is the person who runs this process.
    pub async fn open(
        config: &Config,
        system: System,
        role: Role,
        operator: Operator,
    ) -> Result<Self, OpenError> {
        let timeouts = match role {
            Role::Server => SmtpTimeouts::SERVER,
            _ => SmtpTimeouts::COMMAND,
        };
        Self::open_with_hooks(config, system, role, operator, timeouts, None).await
    }

    /// As [`App::open`], but tests choose the SMTP timeouts and the faults of the writer.
    #[doc(hidden)]
    pub async fn open_with_hooks(
        config: &Config,
        system: System,
        role: Role,
        operator: Operator,
        timeouts: SmtpTimeouts,
        test_hooks: Option<Arc<dyn TestHooks>>,
    ) -> Result<Self, OpenError> {
        let (keys, origin) = open_keys(config, &system, role)?;
        let capacity = Capacity::of(config);
        let (access, readers) = match role {
            Role::Server => (Access::Serve, capacity.workers),
            Role::Init | Role::InitForKey => (Access::Init, 1),
            Role::Command => (Access::Use, 1),
            Role::Check => (Access::Look, 1),
        };
        let store = Store::open(&OpenOptions {
            directory: config.data_dir.clone(),
            url: config.database_url.clone(),
            access,
            readers: u32::try_from(readers)
                .ok()
                .and_then(NonZeroU32::new)
                .unwrap_or(NonZeroU32::MIN),
            now: system.now(),
            key_check: Some(keys.check.clone()),
            test_hooks,
        });
        let store = store.map_err(|error| OpenError::of_store(error, config, Some(&keys)))?;
        let (served, mut notices) = agree(config, &store, &system, role).await?;
        if matches!(role, Role::Server | Role::Init | Role::InitForKey) {
            notices.extend(warning_if_open(&config.data_dir));
        }
        let token_settings = AccessTokenSettings {
            issuer: served.public_url.clone(),
            audience: config.tokens.audience.clone(),
            ttl: config.tokens.access_ttl,
        };
        // Only a server signs, so other roles do not load the signing keys.
        let keyring = match role {
            Role::Server => {
                load_keyring(&store, &keys, config.tokens.algorithm, token_settings, &system).await?
            }
            _ => Keyring::new(Vec::new(), token_settings),
        };
        let mailing = &served.mailing;
        let links = mailing.links(&served.public_url, served.app_url.as_deref());
        let parts = Parts {
            store,
            keys,
            keyring,
            hasher: start_hasher(config, &capacity, role, &system)?,
            captcha: Captcha::new(config.turnstile.clone()),
            transport: transport(config, &mailing.name(config), timeouts)?,
            mail_transport: mailing.mail_transport(),
            letterhead: mailing.letterhead(config, &links),
            links,
            operator,
        };
        let settings = service_settings(config, &served);
        Ok(Self {
            service: Arc::new(Service::new(parts, settings, system)),
            origin,
            notices,
            public_url: served.public_url,
        })
    }

    /// Writes counted refusals to the audit log, removes expired rows and watches the database; never returns.
    pub async fn housekeep(service: Arc<Service>) {
        let not_swept = Fault::new("expired rows are not removed");
        let not_flushed = Fault::new("the last refusals are missing from the audit log");
        let sweep = repeat(SWEEP_EVERY, not_swept, || service.sweep());
        let flush = repeat(FLUSH_EVERY, not_flushed, || service.flush_audit());
        let watch = Arc::clone(&service).watch_database();
        tokio::join!(sweep, flush, watch);
    }

    /// Finishes the accepted writes, moves the write-ahead log into the database file and closes it.
    pub fn close(self) {
        // A connection that has not ended in time still holds the service. In this case there is no checkpoint, and the next start takes slightly longer.
        drop(self.service);
    }
}

/// Repeats `work`, sooner after it failed; never returns.
async fn repeat<T, F>(every: Duration, fault: Fault, work: impl Fn() -> F)
where
    F: Future<Output = Result<T, service::Error>>,
{
    loop {
        let pause = match work().await {
            Ok(_) => {
                fault.ended();
                every
            }
            Err(error) => fault.failed(&error),
        };
        tokio::time::sleep(pause).await;
    }
}
