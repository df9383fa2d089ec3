//! What keys mean together: what is refused although each is right alone, and what is accepted and unwise.

use secrecy::ExposeSecret;

use super::error::ConfigError;
use super::sections::{Config, MailTransport, Password};
use crate::domain::{Listen, SameSite};

/// The secret keys that Cloudflare publishes for tests (developers.cloudflare.com/turnstile/troubleshooting/testing): always passes, always fails,
/// always spent.
const DUMMY_SECRETS: [&str; 3] = [
    "1x0000000000000000000000000000000AA",
    "2x0000000000000000000000000000000AA",
    "3x0000000000000000000000000000000AA",
];

/// Memory in KiB and iterations that OWASP calls equally strong (Password Storage Cheat Sheet, Argon2id); the second is the default here.
const OWASP_COSTS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

impl Config {
    /// What is accepted and still worth the operator's attention; a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.password.meets_owasp() {
            let [_, (memory_kib, iterations), ..] = OWASP_COSTS;
            warnings.push(format!(
                "the argon2 parameters of [password] are below the minimum of the OWASP Password Storage Cheat Sheet \
                 ({memory_kib} KiB and {iterations} iterations): a stolen database is cheaper to guess at"
            ));
        }
        if self.tokens.refresh_idle_ttl > self.tokens.refresh_absolute_ttl {
            warnings.push(
                "tokens.refresh_idle_ttl is longer than tokens.refresh_absolute_ttl: sessions end at the latter".to_owned(),
            );
        }
        if self.tokens.refresh_grace.is_zero() && self.locations.contains_key("tokens.lost_answer") {
            warnings.push(
                "tokens.lost_answer has no effect while tokens.refresh_grace is 0s: a refresh whose answer was lost ends the session"
                    .to_owned(),
            );
        }
        let public = self.public_origin();
        if !public.is_https() && !public.is_loopback() {
            warnings.push(format!(
                "server.public_url is {public}: without https, passwords and cookies can be read on the way"
            ));
        }
        if !self.rate_limit.enabled {
            warnings.push(
                "rate_limit.enabled is false: whoever wants to may guess passwords as fast as this machine hashes them"
                    .to_owned(),
            );
        }
        if self
            .metrics
            .listen
            .as_ref()
            .is_some_and(|listen| !listen.is_local())
        {
            warnings.push(
                "metrics.listen is no address of this machine alone: whoever reaches it reads how much the server is used"
                    .to_owned(),
            );
        }
        let links = [&self.links.verify, &self.links.reset, &self.links.invite];
        let has_dead_link = links.iter().any(|link| link.starts_with("{app_url}"));
        if !self.server.pages && self.server.app_url.is_none() && has_dead_link {
            warnings.push(
                "server.pages is false and server.app_url is not set: links in mails and of invites lead to this server, which has no \
                 page there; set server.app_url or [links]"
                    .to_owned(),
            );
        }
        warnings.extend(self.warnings_of_mail().map(str::to_owned));
        warnings.extend(self.warnings_of_smtp());
        warnings.extend(self.warnings_of_turnstile().map(str::to_owned));
        warnings
    }

    fn warnings_of_mail(&self) -> impl Iterator<Item = &'static str> {
        let transport = self.mail_transport();
        let is_forgotten = self.mail.transport.is_none() && !self.mail.smtp_url.is_empty();
        let has_no_sender = transport == MailTransport::Smtp && !self.locations.contains_key("mail.from");
        let is_undelivered = transport == MailTransport::File && !self.public_origin().is_loopback();
        [
            is_forgotten.then_some(
                "mail.smtp_url is set and mail.transport is not: nothing is sent there until it is \"smtp\"",
            ),
            has_no_sender.then_some(
                "mail.from is not set: mail comes from no-reply@localhost, which most servers refuse",
            ),
            is_undelivered.then_some(
                "mail.transport is \"file\": mail stays in data_dir/outbox, where nobody but the operator reads it",
            ),
        ]
        .into_iter()
        .flatten()
    }

    fn warnings_of_turnstile(&self) -> impl Iterator<Item = &'static str> {
        let turnstile = &self.turnstile;
        let is_restricted = turnstile.protect_check || !turnstile.allowed_hosts.is_empty();
        (turnstile.secret_key.is_none() && is_restricted)
            .then_some("[turnstile] has no secret_key, so that it is off and its other keys have no effect")
            .into_iter()
    }

    /// Whether Turnstile's secret key is one of those that Cloudflare publishes for tests.
    pub fn has_dummy_turnstile_key(&self) -> bool {
        let secret_key = self.turnstile.secret_key.as_ref();
        secret_key.is_some_and(|key| DUMMY_SECRETS.contains(&key.expose_secret()))
    }

    /// Refuses values that are right alone and wrong together.
    pub(super) fn check_together(&self) -> Result<(), ConfigError> {
        self.check_server()?;
        self.check_mail()?;
        self.check_turnstile()
    }

    /// Refuses what `keys` say, the first of which that was given is named with its place.
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
        if self.mail_transport() == MailTransport::Smtp && mail.smtp_url.is_empty() {
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
        let secret_keys = ["turnstile.secret_key", "turnstile.secret_key_file"];
        if self.turnstile.secret_key.is_none() {
            if self.turnstile.site_key.is_empty() {
                return Ok(());
            }
            return Err(self.refusal(
                &["turnstile.site_key"],
                "turnstile.site_key needs turnstile.secret_key",
                "set both to switch Turnstile on, or neither",
            ));
        }
        if self.turnstile.site_key.is_empty() {
            return Err(self.refusal(
                &secret_keys,
                "turnstile.secret_key needs turnstile.site_key",
                "set both to switch Turnstile on, or neither",
            ));
        }
        let public = self.public_origin();
        if self.has_dummy_turnstile_key() && public.is_https() && !public.is_loopback() {
            return Err(self.refusal(
                &secret_keys,
                "turnstile.secret_key is one of Cloudflare's published test keys, which protect nothing, and server.public_url is https",
                "take the keys of a widget of your own from the Cloudflare dashboard",
            ));
        }
        Ok(())
    }
}

impl Listen {
    /// The line that trusts a proxy on this machine.
    fn proxies_line(&self) -> &'static str {
        match self {
            Self::Unix(_) => "trusted_proxies = [\"unix\"]",
            Self::Tcp(address) if address.is_ipv6() => "trusted_proxies = [\"::1/128\"]",
            Self::Tcp(_) => "trusted_proxies = [\"127.0.0.0/8\"]",
        }
    }
}

impl Password {
    /// Whether the parameters are as strong as one of the [`OWASP_COSTS`].
    fn meets_owasp(&self) -> bool {
        OWASP_COSTS.into_iter().any(|(memory_kib, iterations)| {
            self.argon2_memory_kib >= memory_kib && self.argon2_iterations >= iterations
        })
    }
}
