//! The keys as text again, for `config show`: what holds, and where it was given. No secret is ever part of it.

use std::fmt::Write as _;

use super::form::{Origin, format_duration, format_rate};
use super::read::{PER_ACCOUNT, PER_ADDRESS};
use super::{Config, RateLimit};
use crate::domain::{HeloName, LimitClass, TrustedProxies};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

/// What stands for a secret that is set.
const MASK: &str = "********";

fn mask(secret: Option<&SecretString>) -> &'static str {
    if secret.is_some() { MASK } else { "" }
}

impl Config {
    /// Every key with the value that holds, in the order of the example file; `null` for what is not set and has no default.
    pub fn entries(&self) -> Vec<(&'static str, Value)> {
        [
            self.entries_of_server(),
            self.entries_of_rules(),
            self.entries_of_services(),
            self.entries_of_limits(),
            self.entries_of_records(),
        ]
        .concat()
    }

    fn entries_of_server(&self) -> Vec<(&'static str, Value)> {
        let server = &self.server;
        let origins: Vec<&str> = server.allowed_origins.iter().map(Origin::as_str).collect();
        vec![
            ("data_dir", json!(self.data_dir.to_string_lossy())),
            ("key_file", json!(self.key_path().to_string_lossy())),
            ("server.name", json!(self.service_name().as_str())),
            ("server.listen", json!(server.listen.to_string())),
            ("server.public_url", json!(self.public_url())),
            ("server.app_url", json!(self.app_url())),
            ("server.allowed_origins", json!(origins)),
            (
                "server.cookie_same_site",
                json!(server.cookie_same_site.into_str()),
            ),
            (
                "server.trusted_proxies",
                json!(server.trusted_proxies.as_ref().map(TrustedProxies::items)),
            ),
            ("server.max_connections", json!(server.max_connections)),
            (
                "server.max_connections_per_address",
                json!(server.max_connections_per_address),
            ),
            ("server.docs", json!(server.docs)),
            ("server.pages", json!(server.pages)),
            ("server.arkloop_client", json!(server.arkloop_client)),
        ]
    }

    fn entries_of_rules(&self) -> Vec<(&'static str, Value)> {
        let (tokens, password) = (&self.tokens, &self.password);
        vec![
            (
                "registration.mode",
                json!(self.registration.mode.map(<&str>::from)),
            ),
            (
                "registration.identity_check",
                json!(self.registration.identity_check),
            ),
            ("tokens.algorithm", json!(tokens.algorithm.map(<&str>::from))),
            ("tokens.audience", json!(tokens.audience)),
            ("tokens.access_ttl", json!(format_duration(tokens.access_ttl))),
            (
                "tokens.refresh_idle_ttl",
                json!(format_duration(tokens.refresh_idle_ttl)),
            ),
            (
                "tokens.refresh_absolute_ttl",
                json!(format_duration(tokens.refresh_absolute_ttl)),
            ),
            (
                "tokens.refresh_grace",
                json!(format_duration(tokens.refresh_grace)),
            ),
            ("tokens.lost_answer", json!(format_duration(tokens.lost_answer))),
            ("tokens.max_sessions", json!(tokens.max_sessions)),
            ("password.min_length", json!(password.min_length)),
            ("password.argon2_memory_kib", json!(password.argon2_memory_kib)),
            ("password.argon2_iterations", json!(password.argon2_iterations)),
            ("password.argon2_parallelism", json!(password.argon2_parallelism)),
            ("password.hash_threads", json!(password.hash_threads)),
        ]
    }

    fn entries_of_services(&self) -> Vec<(&'static str, Value)> {
        let (mail, turnstile) = (&self.mail, &self.turnstile);
        vec![
            ("mail.transport", json!(self.mail_transport().into_str())),
            ("mail.smtp_url", json!(mail.smtp_url)),
            ("mail.smtp_security", json!(mail.smtp_security.map(<&str>::from))),
            (
                "mail.helo_name",
                json!(self.helo_name().as_ref().map(HeloName::as_str)),
            ),
            ("mail.smtp_user", json!(mail.smtp_user)),
            ("mail.smtp_password", json!(mask(mail.smtp_password.as_ref()))),
            ("mail.from", json!(mail.from)),
            ("mail.locale", json!(mail.locale.into_str())),
            (
                "mail.ca_file",
                json!(mail.ca_file.as_ref().map(|path| path.to_string_lossy())),
            ),
            ("links.verify", json!(self.links.verify)),
            ("links.reset", json!(self.links.reset)),
            ("links.invite", json!(self.links.invite)),
            ("otp.enabled", json!(self.otp.enabled)),
            ("otp.digits", json!(self.otp.digits)),
            ("otp.spray_threshold", json!(self.otp.spray_threshold)),
            ("turnstile.site_key", json!(turnstile.site_key)),
            ("turnstile.secret_key", json!(mask(turnstile.secret_key.as_ref()))),
            ("turnstile.allowed_hosts", json!(turnstile.allowed_hosts)),
            ("turnstile.verify_url", json!(turnstile.verify_url)),
            ("turnstile.protect_check", json!(turnstile.protect_check)),
        ]
    }

    fn entries_of_limits(&self) -> Vec<(&'static str, Value)> {
        let RateLimit {
            enabled,
            rates,
            wrong_passwords,
        } = &self.rate_limit;
        let of_class = |class: &LimitClass| (class.config_key(), json!(format_rate(rates.of(*class))));
        std::iter::once(("rate_limit.enabled", json!(enabled)))
            .chain(LimitClass::ALL.iter().map(of_class))
            .chain([
                (PER_ADDRESS, json!(format_rate(wrong_passwords.from_one_network))),
                (PER_ACCOUNT, json!(format_rate(wrong_passwords.of_account))),
            ])
            .collect()
    }

    fn entries_of_records(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("audit.keep", json!(format_duration(self.audit.keep))),
            (
                "metrics.listen",
                json!(self.metrics.listen.as_ref().map(ToString::to_string)),
            ),
            ("log.format", json!(self.log.format.into_str())),
            ("log.level", json!(self.log.level.into_str())),
        ]
    }

    /// Every key as one object, nested as in the file.
    pub fn to_json(&self) -> Value {
        let mut root = Map::new();
        for (key, value) in self.entries() {
            match key.split_once('.') {
                None => drop(root.insert(key.to_owned(), value)),
                Some((section, key)) => {
                    let section = root.entry(section).or_insert_with(|| json!({}));
                    section[key] = value;
                }
            }
        }
        Value::Object(root)
    }

    /// Every key as TOML that [`Config::load`] reads; a comment says where a key was given.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut current = "";
        for (key, value) in self.entries() {
            let (section, name) = key.split_once('.').unwrap_or(("", key));
            if section != current {
                let _ = writeln!(text, "\n[{section}]");
                current = section;
            }
            let line = match &value {
                Value::Null => format!("# {name} is not set"),
                // JSON's strings and lists are TOML's as well, but for one character that JSON leaves as it is.
                value => format!("{name} = {}", value.to_string().replace('\u{7f}', "\\u007F")),
            };
            let place = self
                .places
                .get(key)
                .or_else(|| self.places.get(&format!("{key}_file")));
            let _ = match place {
                Some(place) => writeln!(text, "{line}  # {place}"),
                None => writeln!(text, "{line}"),
            };
        }
        text
    }
}
