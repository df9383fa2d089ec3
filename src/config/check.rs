//! Combinations of keys that are refused, and those that are accepted with a warning.

use secrecy::ExposeSecret;

use super::error::ConfigError;
use super::sections::Config;
use crate::domain::{Argon2Cost, DatabaseUrl, Listen, MailTransport, SameSite};

/// The secret keys that Cloudflare publishes for tests (developers.cloudflare.com/turnstile/troubleshooting/testing): always passes, always fails,
/// always spent.
const DUMMY_SECRETS: [&str; 3] = [
    "1x0000000000000000000000000000000AA",
    "2x0000000000000000000000000000000AA",
    "3x0000000000000000000000000000000AA",
];

/// A sentence, and whether it applies.
type Warning = (bool, String);

impl Config {
    /// One sentence for each accepted value that deserves the operator's attention.
    pub fn warnings(&self) -> Vec<String> {
        let applying = |(applies, sentence): Warning| applies.then_some(sentence);
        let of_keys = self
            .warnings_of_keys()
            .into_iter()
            .chain(self.warnings_of_pages());
        let of_keys = of_keys.chain(self.warnings_of_mail());
        let of_keys = of_keys.filter_map(applying).chain(self.warnings_of_smtp());
        let of_parts = [
            self.warning_of_turnstile(),
            self.warning_of_arkloop_client(),
            self.warning_of_database(),
        ];
        of_keys.chain(of_parts.into_iter().filter_map(applying)).collect()
    }

    fn warnings_of_keys(&self) -> [Warning; 6] {
        let (sessions, public) = (self.tokens.sessions, self.public_origin());
        let minimum = Argon2Cost::default();
        let (memory_kib, iterations) = (minimum.memory_kib, minimum.iterations);
        let metrics = self.metrics_listen.as_ref();
        [
            (
                !self.password.cost.meets_owasp(),
                format!(
                    "the argon2 parameters of [password] are below the minimum of the OWASP Password Storage Cheat Sheet \
                     ({memory_kib} KiB and {iterations} iterations): a stolen database is cheaper to guess at"
                ),
            ),
            (
                sessions.idle > sessions.absolute,
                "tokens.refresh_idle_ttl is longer than tokens.refresh_absolute_ttl: sessions end at the latter".into(),
            ),
            (
                sessions.refresh.grace.is_zero() && self.is_set("tokens.lost_answer"),
                "tokens.lost_answer has no effect while tokens.refresh_grace is 0s: a refresh whose answer was lost ends the session"
                    .into(),
            ),
            (
                !public.is_https() && !public.is_loopback(),
                format!("server.public_url is {public}: without https, passwords and cookies can be read on the way"),
            ),
            (
                !self.rate_limit.enabled,
                "rate_limit.enabled is false: any client may guess passwords as fast as this machine hashes them".into(),
            ),
            (
                metrics.is_some_and(|listen| !listen.is_local()),
                "metrics.listen accepts other machines: each client that reaches it can read how much the server is used".into(),
            ),
        ]
    }

    fn warning_of_database(&self) -> Warning {
        let url = self.database_url.as_ref();
        (
            url.is_some_and(DatabaseUrl::is_exposed),
            "database.url leads to another machine and its sslmode is disable: password hashes and mail addresses can be read and changed on the way"
                .into(),
        )
    }

    fn warnings_of_pages(&self) -> [Warning; 3] {
        let links = self.links.by_key();
        let begin_with = |origin: &str| {
            let keys = links.iter().filter(|(_, link)| link.starts_with(origin));
            keys.map(|(key, _)| *key).collect::<Vec<_>>()
        };
        let (to_app, to_server) = (begin_with("{app_url}"), begin_with("{public_url}"));
        let has_no_pages = !self.server.pages;
        [
            (
                has_no_pages && self.server.app_url.is_none() && !to_app.is_empty(),
                "server.pages is false and server.app_url is not set: links in mails and of invites lead to this server, which has no \
                 page there; set server.app_url or [links]"
                    .into(),
            ),
            (
                has_no_pages && !to_server.is_empty(),
                format!(
                    "server.pages is false: this server has no pages for the links of {}; let them lead to your app",
                    to_server.join(" and ")
                ),
            ),
            (
                has_no_pages && self.server.logo_file.is_some(),
                "server.logo_file has no effect while server.pages is false".into(),
            ),
        ]
    }

    fn warnings_of_mail(&self) -> [Warning; 3] {
        let transport = self.mail_transport();
        [
            (
                self.mail.transport.is_none() && self.mail.smtp_url.is_some(),
                "mail.smtp_url is set and mail.transport is not: nothing is sent there until it is \"smtp\""
                    .into(),
            ),
            (
                transport == MailTransport::Smtp && !self.is_set("mail.from"),
                "mail.from is not set: mail comes from no-reply@localhost, which most servers refuse".into(),
            ),
            (
                transport == MailTransport::File && !self.public_origin().is_loopback(),
                "mail.transport is \"file\": mail stays in data_dir/outbox, where only the operator reads it"
                    .into(),
            ),
        ]
    }

    fn warning_of_turnstile(&self) -> Warning {
        let turnstile = &self.turnstile;
        let is_restricted = turnstile.protect_check || !turnstile.allowed_hosts.is_empty();
        (
            turnstile.secret_key.is_none() && is_restricted,
            "[turnstile] has no secret_key, so that it is off and its other keys have no effect".into(),
        )
    }

    fn warning_of_arkloop_client(&self) -> Warning {
        const TAKEN_DIGITS: u8 = 6;
        (
            self.server.arkloop_client && self.otp.enabled && self.otp.digits != TAKEN_DIGITS,
            format!(
                "server.arkloop_client is true and otp.digits is {}: Arkloop's own web client takes only codes of {TAKEN_DIGITS} digits",
                self.otp.digits
            ),
        )
    }

    /// Whether Turnstile's secret key is one of those that Cloudflare publishes for tests.
    pub fn has_dummy_turnstile_key(&self) -> bool {
        let secret_key = self.turnstile.secret_key.as_ref();
        secret_key.is_some_and(|key| DUMMY_SECRETS.contains(&key.expose_secret()))
    }

    /// Refuses values that contradict each other.
    pub(super) fn check_together(&self) -> Result<(), ConfigError> {
        self.check_server()?;
        self.check_mail()?;
        self.check_turnstile()
    }

    /// A refusal of the values of `keys`. It names the location of the first of them that was given.
    pub(super) fn refusal(&self, keys: &[&str], problem: &str, hint: impl Into<String>) -> ConfigError {
        let place = keys.iter().find_map(|key| self.locations.get(*key));
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        ConfigError::new(format!("{problem}{place}"), hint)
    }

    fn check_server(&self) -> Result<(), ConfigError> {
        let public = self.public_origin();
        if self.server.cookie_same_site == SameSite::None && !public.is_https() {
            return Err(self.refusal(
                &["server.cookie_same_site"],
                "server.cookie_same_site = \"none\" needs an https server.public_url",
                "browsers drop such a cookie without Secure: set server.public_url to the https origin",
            ));
        }
        if self.server.trusted_proxies.is_none() && public.is_https() && self.server.listen.is_local() {
            let line = self.server.listen.proxies_line();
            return Err(ConfigError::new(
                "server.public_url is https and server.listen is local, so there is a proxy, but server.trusted_proxies is not set: \
                 all clients would count as one",
                format!(
                    "add to [server] in the configuration: {line} (or = [] if no proxy sets X-Forwarded-For)"
                ),
            ));
        }
        Ok(())
    }

    fn check_mail(&self) -> Result<(), ConfigError> {
        let mail = &self.mail;
        if self.mail_transport() == MailTransport::Smtp && mail.smtp_url.is_none() {
            return Err(self.refusal(
                &["mail.transport"],
                "mail.transport = \"smtp\" needs mail.smtp_url",
                "name the server, such as \"smtp://mail.example.org:587\"",
            ));
        }
        self.check_smtp_security()?;
        if mail.smtp_user.is_empty() == mail.smtp_password.is_some() {
            return Err(self.refusal(
                &["mail.smtp_password", "mail.smtp_password_file", "mail.smtp_user"],
                "mail.smtp_user and mail.smtp_password need each other",
                "set both to sign in at the mail server, or neither",
            ));
        }
        Ok(())
    }

    fn check_turnstile(&self) -> Result<(), ConfigError> {
        const SECRET_KEYS: [&str; 2] = ["turnstile.secret_key", "turnstile.secret_key_file"];
        const BOTH: &str = "set both to switch Turnstile on, or neither";
        match (&self.turnstile.secret_key, self.turnstile.site_key.is_empty()) {
            (None, true) => return Ok(()),
            (None, false) => {
                let problem = "turnstile.site_key needs turnstile.secret_key";
                return Err(self.refusal(&["turnstile.site_key"], problem, BOTH));
            }
            (Some(_), true) => {
                let problem = "turnstile.secret_key needs turnstile.site_key";
                return Err(self.refusal(&SECRET_KEYS, problem, BOTH));
            }
            (Some(_), false) => {}
        }
        let public = self.public_origin();
        if self.has_dummy_turnstile_key() && public.is_https() && !public.is_loopback() {
            return Err(self.refusal(
                &SECRET_KEYS,
                "turnstile.secret_key is one of Cloudflare's published test keys, which protect nothing, and server.public_url is https",
                "take the keys of a widget of your own from the Cloudflare dashboard",
            ));
        }
        Ok(())
    }
}

impl Listen {
    /// The line of the configuration that trusts a proxy on this machine.
    fn proxies_line(&self) -> &'static str {
        match self {
            Self::Unix(_) => "trusted_proxies = [\"unix\"]",
            Self::Tcp(address) if address.is_ipv6() => "trusted_proxies = [\"::1/128\"]",
            Self::Tcp(_) => "trusted_proxies = [\"127.0.0.0/8\"]",
        }
    }
}
