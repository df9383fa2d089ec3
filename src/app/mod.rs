//! Joins the parts: configuration, key file, database and service. The one place that knows all of them.

mod capacity;
mod check;
mod error;
mod first_start;
mod listener;
mod mailing;
mod memory;
mod rekey;
mod restore;
mod served;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

pub use capacity::Capacity;
pub use check::{Finding, State, check};
pub use error::OpenError;
pub use first_start::{Origin, lacks_database};
pub use listener::{PATIENCE, ask, listener, record_server};
pub use rekey::{NewKey, find_lost_key, rekey, reset_key};
pub use restore::{Restored, is_replaceable, restore};

use crate::captcha::{Captcha, CaptchaSettings};
use crate::config::{self, Config};
use crate::crypto::{
    AccessTokenSettings, Argon2Cost, HashError, HashRoom, Keyring, PasswordHasher, Priority,
};
use crate::domain::{CodeLength, Operator, PasswordPolicy, RefreshRules, SessionRules};
use crate::fault::Fault;
use crate::http;
use crate::mail::{Patience, SmtpSettings, Transport};
use crate::service::{self, Parts, Service, SignInRules, load_keyring};
use crate::store::{Access, OpenOptions, Probe, Store};
use crate::system::System;

use self::served::Served;

/// How often a server clears away what nobody will ask for again.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// How often a server writes down what it has counted for the audit log: what a crash may forget.
pub const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// What a process does with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves: it creates and migrates, and there is only one.
    Server,
    /// It creates or migrates, and nothing else.
    Init,
    /// The same, and it creates a database for a key file that is there already.
    InitForKey,
    /// It runs one command on what is there.
    Command,
    /// It looks at what is there, and makes, changes and removes no file.
    Check,
}

/// The joined parts.
pub struct App {
    /// The use cases.
    pub service: Arc<Service>,
    /// Whether this start has made the database.
    pub origin: Origin,
    notices: Vec<String>,
    /// The public URL of the server that ran last, or of this configuration if none did.
    public_url: String,
}

impl App {
    /// Joins the parts for `role`, in which `operator` runs this process.
    pub async fn open(
        config: &Config,
        system: System,
        role: Role,
        operator: Operator,
    ) -> Result<Self, OpenError> {
        let patience = match role {
            Role::Server => Patience::SERVER,
            _ => Patience::COMMAND,
        };
        Self::open_with_probe(config, system, role, operator, patience, None).await
    }

    /// Joins the parts, with another patience with the mail server and with faults that a test plants in the writer.
    #[doc(hidden)]
    pub async fn open_with_probe(
        config: &Config,
        system: System,
        role: Role,
        operator: Operator,
        patience: Patience,
        probe: Option<Arc<Probe>>,
    ) -> Result<Self, OpenError> {
        let (keys, origin) = first_start::open_keys(config, &system, role)?;
        let capacity = Capacity::of(config);
        let store = Store::open(&OpenOptions {
            directory: config.data_dir.clone(),
            access: match role {
                Role::Server => Access::Serve,
                Role::Init | Role::InitForKey => Access::Init,
                Role::Command => Access::Use,
                Role::Check => Access::Look,
            },
            readers: readers(&capacity, role),
            now: system.now(),
            key_check: Some(keys.check().to_text()),
            probe,
        });
        let store = store.map_err(|error| OpenError::of_store(error, config, Some(&keys)))?;
        let (served, mut notices) = served::agree(config, &store, &system, role).await?;
        if matches!(role, Role::Server | Role::Init | Role::InitForKey) {
            notices.extend(check::open_to_others(&config.data_dir));
        }
        let token_settings = AccessTokenSettings {
            issuer: served.public_url.clone(),
            audience: config.tokens.audience.clone(),
            ttl: config.tokens.access_ttl,
        };
        // Commands sign nothing, so they leave the signing keys alone.
        let keyring = match role {
            Role::Server => {
                load_keyring(&store, &keys, config.tokens.algorithm, token_settings, &system).await?
            }
            Role::Init | Role::InitForKey | Role::Command | Role::Check => {
                Keyring::new(Vec::new(), token_settings)
            }
        };
        let hasher = start_hasher(config, &capacity, role, &system)?;
        let settings = service_settings(config, &served);
        let (captcha, mailing) = (captcha(config)?, &served.mailing);
        let transport = transport(config, &config.sender(&mailing.name(config)), patience)?;
        let links = mailing.links(&served.public_url, served.app_url.as_deref());
        let letterhead = mailing.letterhead(config, &links, served.app_url.is_some());
        let parts = Parts {
            store,
            keys,
            keyring,
            hasher,
            captcha,
            transport,
            medium: mailing.medium(),
            letterhead,
            links,
            operator,
        };
        let service = Arc::new(Service::new(parts, settings, system));
        Ok(Self {
            service,
            origin,
            notices,
            public_url: served.public_url,
        })
    }

    /// What the operator should know about how the parts fit, as sentences.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Writes down what was counted, every ten seconds, clears away what nobody will ask for again, now and every hour, and watches the database; never
    /// returns.
    pub async fn housekeep(service: Arc<Service>) {
        let not_swept = Fault::new("old rows are not cleared away");
        let not_flushed = Fault::new("what was refused is missing from the audit log");
        let sweep = repeat(SWEEP_EVERY, not_swept, || service.sweep());
        let flush = repeat(FLUSH_EVERY, not_flushed, || service.flush_audit());
        let watch = Arc::clone(&service).watch_database();
        tokio::join!(sweep, flush, watch);
    }

    /// Answers what is accepted, moves the write-ahead log into the database file and lets go of it.
    pub fn close(self) {
        // Whoever still holds the service at this point is a connection that outlived the drain; the process ends without the checkpoint then, which
        // costs the next start a moment and nothing else.
        if let Some(service) = Arc::into_inner(self.service) {
            service.close();
        }
    }

    /// What the HTTP side is told.
    pub fn http_settings(config: &Config) -> http::Settings {
        http::Settings {
            public_origin: config.public_url(),
            app_origin: config.app_url(),
            allowed_origins: config
                .server
                .allowed_origins
                .iter()
                .map(ToString::to_string)
                .collect(),
            is_secure: config.public_origin().is_https(),
            same_site: config.server.cookie_same_site,
            trusted_proxies: config.server.trusted_proxies.clone().unwrap_or_default(),
            max_connections: Capacity::of(config).connections,
            max_connections_per_address: config.server.max_connections_per_address,
            rates: config.rate_limit.enabled.then(|| config.rate_limit.rates.clone()),
            docs: config.server.docs,
            pages: config.server.pages,
            identity_check: config.registration.identity_check,
            ..http::Settings::default()
        }
    }
}

/// Does some work now and then, and sooner after it failed; never returns.
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

fn readers(capacity: &Capacity, role: Role) -> NonZeroU32 {
    let readers = match role {
        Role::Server => u32::try_from(capacity.readers).unwrap_or(1),
        Role::Init | Role::InitForKey | Role::Command | Role::Check => 1,
    };
    NonZeroU32::new(readers).unwrap_or(NonZeroU32::MIN)
}

fn start_hasher(
    config: &Config,
    capacity: &Capacity,
    role: Role,
    system: &System,
) -> Result<PasswordHasher, HashError> {
    let cost = Argon2Cost {
        memory_kib: config.password.argon2_memory_kib,
        iterations: config.password.argon2_iterations,
        parallelism: config.password.argon2_parallelism,
    };
    let room = capacity.hash_room();
    // A command hashes one password.
    let (threads, priority) = match role {
        Role::Server => (room.threads, Priority::Low),
        Role::Init | Role::InitForKey | Role::Command | Role::Check => (NonZeroUsize::MIN, Priority::Normal),
    };
    PasswordHasher::start(cost, HashRoom { threads, ..room }, priority, system.clone())
}

fn service_settings(config: &Config, served: &Served) -> service::RuleSettings {
    service::RuleSettings {
        pinned_mode: served.pinned_mode,
        password_policy: PasswordPolicy {
            min_length: config.password.min_length,
        },
        sessions: SessionRules {
            idle: config.tokens.refresh_idle_ttl,
            absolute: config.tokens.refresh_absolute_ttl,
            refresh: RefreshRules {
                grace: config.tokens.refresh_grace,
                lost_answer: config.tokens.lost_answer,
            },
            max_sessions: config.tokens.max_sessions,
        },
        audit_keep: config.audit.keep,
        code_length: config.otp.enabled.then(|| CodeLength::clamped(config.otp.digits)),
        spray_threshold: NonZeroU32::new(config.otp.spray_threshold),
        sign_in: SignInRules {
            failure_limits: served.rules.failure_limits,
            ways: served.rules.ways,
        },
    }
}

fn transport(config: &Config, from: &str, patience: Patience) -> Result<Transport, OpenError> {
    Ok(match config.mail_transport() {
        config::MailTransport::Off => Transport::off(),
        config::MailTransport::File => Transport::file(config.outbox_path(), from)?,
        config::MailTransport::Smtp => Transport::smtp(&SmtpSettings {
            url: config.mail.smtp_url.clone(),
            default_port: config.smtp_default_port(),
            security: config.smtp_security(),
            helo_name: config.helo_name(),
            user: config.mail.smtp_user.clone(),
            password: config.mail.smtp_password.clone(),
            from: from.to_owned(),
            ca_file: config.mail.ca_file.clone(),
            patience,
        })?,
    })
}

fn captcha(config: &Config) -> Result<Captcha, OpenError> {
    let Some(secret_key) = config.turnstile.secret_key.clone() else {
        return Ok(Captcha::off());
    };
    Ok(Captcha::turnstile(CaptchaSettings {
        site_key: config.turnstile.site_key.clone(),
        secret_key,
        allowed_hosts: config.turnstile.allowed_hosts.clone(),
        verify_url: config.turnstile.verify_url.clone(),
        protect_check: config.turnstile.protect_check,
    })?)
}
