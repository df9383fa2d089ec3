//! The configuration, section by section, and values that depend on several keys.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::address::Origin;
use super::error::Locations;
use crate::domain::{
    Argon2Cost, DatabaseUrl, FailureLimits, HashImplementation, HeloName, Language, LinkTemplates, Listen,
    LogFormat, MailTransport, Rates, RegistrationMode, SameSite, ServiceName, SessionRules,
    SignatureAlgorithm, SmtpSecurity, SmtpUrl, TrustedProxies, TurnstileSettings,
};

/// Everything that can be configured, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of the database file, absolute. With a `database_url` it still has the key file and the note of the server.
    pub data_dir: PathBuf,
    /// The key file, absolute; `None` is `arkloop.key` in the data directory.
    pub key_file: Option<PathBuf>,
    /// The database of PostgreSQL; `None` is the file in the data directory.
    pub database_url: Option<DatabaseUrl>,
    pub server: Server,
    /// Who may create an account; `None` leaves this to the setting in the database.
    pub registration_mode: Option<RegistrationMode>,
    /// Whether `/v1/auth/check` tells if an account exists.
    pub identity_check: bool,
    pub tokens: Tokens,
    pub password: Password,
    pub mail: Mail,
    pub links: LinkTemplates,
    pub otp: Otp,
    pub turnstile: TurnstileSettings,
    pub rate_limit: RateLimit,
    /// How long entries of the audit log are kept.
    pub audit_keep: Duration,
    /// Where metrics are served; `None` if they are not.
    pub metrics_listen: Option<Listen>,
    pub log_format: LogFormat,
    pub log_level: Level,
    /// The file that was read, absolute; `None` if there was none.
    pub file: Option<PathBuf>,
    /// Every key in the order of the example file, as [`Format::show`](super::format::Format::show) writes its value.
    pub(super) shown: Vec<(String, Value)>,
    /// Where each key was given. Keys at their defaults are missing.
    pub(super) locations: Locations,
}

/// How the server is reached.
#[derive(Clone, Debug)]
pub struct Server {
    /// What mails and pages call the service; `None` if it was not set. See [`Config::service_name`].
    pub name: Option<ServiceName>,
    /// The picture that the built-in pages show beside the name.
    pub logo_file: Option<PathBuf>,
    pub listen: Listen,
    /// The origin that clients see; `None` is `http://localhost` at the port of `listen`. See [`Config::public_origin`].
    pub public_url: Option<Origin>,
    /// The origin of the app that links in mails lead to; `None` if it was not set.
    pub app_url: Option<Origin>,
    /// Origins other than the server's own whose pages, apps and extensions may call the API.
    pub allowed_origins: Vec<Origin>,
    /// The `SameSite` attribute of the refresh cookie.
    pub cookie_same_site: SameSite,
    /// The proxies whose `X-Forwarded-For` is believed; `None` if it was not set, which differs from an explicit empty list.
    pub trusted_proxies: Option<TrustedProxies>,
    /// The maximum number of open connections.
    pub max_connections: usize,
    /// The maximum number of open connections from one client address.
    pub max_connections_per_address: usize,
    pub docs: bool,
    /// Whether the built-in account pages are served.
    pub pages: bool,
    /// Whether the operations of Arkloop's own web client are served.
    pub arkloop_client: bool,
}

/// Tokens and the sessions behind them.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// How access tokens are signed; `None` keeps the algorithm of the existing keys.
    pub algorithm: Option<SignatureAlgorithm>,
    pub audience: String,
    /// The lifetime of an access token: 1 s to 60 min.
    pub access_ttl: Duration,
    pub sessions: SessionRules,
}

/// The rules for new passwords, and how passwords are hashed.
#[derive(Clone, Debug)]
pub struct Password {
    pub min_length: usize,
    pub cost: Argon2Cost,
    /// How many hashes are computed at once; `None` for as many as cores and memory allow.
    pub hash_threads: Option<NonZeroUsize>,
    pub implementation: HashImplementation,
}

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// How mail is transported; `None` if the key was not set. See [`Config::mail_transport`].
    pub transport: Option<MailTransport>,
    pub smtp_url: Option<SmtpUrl>,
    /// Whether the SMTP connection is encrypted, and from which point on; `None` if the key was not set. See [`Config::smtp_security`].
    pub smtp_security: Option<SmtpSecurity>,
    /// The name that this host gives in EHLO; `None` if it was not set. See [`Config::helo_name`].
    pub helo_name: Option<HeloName>,
    pub smtp_user: String,
    pub smtp_password: Option<SecretString>,
    /// The sender: an address, with or without a name. See [`Config::sender`].
    pub from: String,
    /// The language of mails to accounts that have not chosen one.
    pub locale: Language,
    /// Certificates to trust instead of the well-known authorities.
    pub ca_file: Option<PathBuf>,
}

/// One-time codes by mail.
#[derive(Clone, Debug)]
pub struct Otp {
    pub enabled: bool,
    pub digits: u8,
    /// After how many wrong codes in an hour, over all accounts, codes are mailed more slowly; 0 for never.
    pub spray_threshold: u32,
}

/// Limits on requests.
#[derive(Clone, Debug)]
pub struct RateLimit {
    pub enabled: bool,
    /// How many servers share the limits that each counts in memory.
    pub nodes: NonZeroU32,
    /// How many requests of each class are allowed, over all servers.
    pub rates: Rates,
    /// After how many wrong passwords the next guess must wait, and how long.
    pub wrong_passwords: FailureLimits,
}

/// The lowest severity that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Level {
    /// Faults only.
    Error,
    /// Also events that need the operator's attention.
    Warn,
    /// Also rare events: start, stop, changes.
    Info,
    /// Also each request.
    Debug,
    Trace,
}

impl Config {
    /// Whether `key` was given in the file, a variable or a flag.
    pub fn is_set(&self, key: &str) -> bool {
        self.locations.contains_key(key)
    }

    /// How mail is sent. By default a server whose public URL is http on this machine writes mail to files, and any other server sends none.
    pub fn mail_transport(&self) -> MailTransport {
        let default = match self.public_origin() {
            origin if !origin.is_https() && origin.is_loopback() => MailTransport::File,
            _ => MailTransport::Off,
        };
        self.mail.transport.unwrap_or(default)
    }

    /// Where [`MailTransport::File`] writes mails.
    pub fn outbox_path(&self) -> PathBuf {
        self.data_dir.join("outbox")
    }

    /// The origin that clients see. The default is `http://localhost` at the port of `listen`.
    pub fn public_origin(&self) -> Origin {
        self.server
            .public_url
            .clone()
            .unwrap_or_else(|| match &self.server.listen {
                Listen::Tcp(address) => Origin::localhost(Some(address.port())),
                Listen::Unix(_) => Origin::localhost(None),
            })
    }

    /// [`Config::public_origin`] as text: the issuer of tokens and the base of links.
    pub fn public_url(&self) -> String {
        self.public_origin().to_string()
    }

    /// The value of `server.app_url`; `None` if it was not set.
    pub fn app_url(&self) -> Option<String> {
        self.server.app_url.as_ref().map(ToString::to_string)
    }

    /// What mails and pages call the service. The default is the host that clients see.
    pub fn service_name(&self) -> ServiceName {
        self.server
            .name
            .clone()
            .unwrap_or_else(|| self.public_origin().host_as_name())
    }

    /// The sender of mails as a mailbox; `name` is its name if `mail.from` has none.
    pub fn sender(&self, name: &ServiceName) -> String {
        let from = self.mail.from.as_str();
        match from.split_once('<') {
            Some((own_name, _)) if !own_name.is_empty() => from.to_owned(),
            _ => {
                // A quoted string can hold any name (RFC 5322 §3.2.4).
                let name = name.as_str().replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{name}\" <{}>", from.trim_matches(['<', '>']))
            }
        }
    }

    /// The path of the database file, or what messages call a database of PostgreSQL.
    pub fn database_path(&self) -> PathBuf {
        match &self.database_url {
            Some(url) => url.shown().into(),
            None => self.database_file(),
        }
    }

    /// The path of the database file, also if `database_url` names another database.
    pub fn database_file(&self) -> PathBuf {
        self.data_dir.join("arkloop.db")
    }

    /// The path of the key file, set or default.
    pub fn key_path(&self) -> PathBuf {
        self.key_file
            .clone()
            .unwrap_or_else(|| self.data_dir.join("arkloop.key"))
    }
}
