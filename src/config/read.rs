//! Each key with its default, its accepted form and its range.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::address::{
    PRIVATE_URL_FORM, SENDER_FORM, SMTP_URL_FORM, parse_host, parse_private_url, parse_sender, parse_smtp_url,
};
use super::error::ConfigError;
use super::form::{
    Level, LogFormat, MailTransport, Origin, ProxyItem, duration_form, is_link, language_form, name_form,
    one_of, parse_duration, parse_rate, rate_form,
};
use super::settings::Settings;
use super::{
    Audit, Config, Links, Log, Mail, Metrics, Otp, Password, RateLimit, Registration, Server, Tokens,
    Turnstile,
};
use crate::domain::{
    FailureLimits, HeloName, Language, LimitClass, Listen, PasswordPolicy, Rates, SameSite, ServiceName,
    SignatureAlgorithm, SmtpSecurity, TrustedProxies,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// So many connections take 3 GiB in the worst case; whoever means more means another kind of server.
const MOST_CONNECTIONS: usize = 100_000;

/// The key of what an account allows from one address.
pub(super) const PER_ADDRESS: &str = "rate_limit.wrong_passwords_per_address";
/// The key of what an account allows from everywhere.
pub(super) const PER_ACCOUNT: &str = "rate_limit.wrong_passwords_per_account";

/// Where tokens of Turnstile are verified (developers.cloudflare.com/turnstile/get-started/server-side-validation).
const SITEVERIFY: &str = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

/// Reads every key, and refuses the ones that nobody reads.
pub(super) fn config(mut settings: Settings, cwd: &Path) -> Result<Config, ConfigError> {
    let s = &mut settings;
    let data_dir = s.text("data_dir", "a path", |text| {
        (!text.is_empty()).then(|| text.into())
    })?;
    let data_dir = data_dir.map_or_else(|| cwd.join("data"), |path: PathBuf| s.absolute("data_dir", &path));
    let config = Config {
        data_dir,
        key_file: s.path("key_file")?,
        server: server(s)?,
        registration: registration(s)?,
        tokens: tokens(s)?,
        password: password(s)?,
        mail: mail(s)?,
        links: links(s)?,
        otp: otp(s)?,
        turnstile: turnstile(s)?,
        rate_limit: rate_limit(s)?,
        audit: audit(s)?,
        metrics: metrics(s)?,
        log: log(s)?,
        file: s.file.take(),
        places: BTreeMap::new(),
    };
    Ok(Config {
        places: settings.finish()?,
        ..config
    })
}

fn listen(s: &mut Settings, key: &'static str) -> Result<Option<Listen>, ConfigError> {
    let listen = s.optional_text(key, Listen::FORM, Listen::parse)?;
    Ok(listen.map(|listen| match listen {
        Listen::Unix(path) => Listen::Unix(s.absolute(key, &path)),
        tcp @ Listen::Tcp(_) => tcp,
    }))
}

fn server(s: &mut Settings) -> Result<Server, ConfigError> {
    let proxies = s.list("server.trusted_proxies", TrustedProxies::FORM, ProxyItem::parse)?;
    let server = Server {
        name: s.optional_text("server.name", &name_form(), ServiceName::parse)?,
        listen: listen(s, "server.listen")?.unwrap_or_else(|| Listen::Tcp(([127, 0, 0, 1], 8080).into())),
        public_url: s.optional_text("server.public_url", Origin::FORM, Origin::parse)?,
        app_url: s.optional_text("server.app_url", Origin::FORM, Origin::parse)?,
        allowed_origins: s
            .list("server.allowed_origins", Origin::LIST_FORM, Origin::parse_listed)?
            .unwrap_or_default(),
        cookie_same_site: s
            .text("server.cookie_same_site", &one_of::<SameSite>(), named)?
            .unwrap_or(SameSite::Strict),
        trusted_proxies: proxies.map(TrustedProxies::new),
        max_connections: s
            .number("server.max_connections", 1..=MOST_CONNECTIONS)?
            .unwrap_or(2_000),
        max_connections_per_address: s
            .number("server.max_connections_per_address", 1..=MOST_CONNECTIONS)?
            .unwrap_or(200),
        docs: s.boolean("server.docs")?.unwrap_or(true),
        pages: s.boolean("server.pages")?.unwrap_or(true),
        arkloop_client: s.boolean("server.arkloop_client")?.unwrap_or(false),
    };
    s.refuse_later("server.arkloop_client", server.arkloop_client)?;
    Ok(server)
}

fn registration(s: &mut Settings) -> Result<Registration, ConfigError> {
    let form = "one of \"open\", \"invite_only\", \"disabled\"";
    Ok(Registration {
        mode: s.optional_text("registration.mode", form, named)?,
        identity_check: s.boolean("registration.identity_check")?.unwrap_or(true),
    })
}

fn duration(
    s: &mut Settings,
    key: &'static str,
    default: Duration,
    range: RangeInclusive<Duration>,
) -> Result<Duration, ConfigError> {
    let parse = |text: &str| parse_duration(text).filter(|duration| range.contains(duration));
    Ok(s.text(key, &duration_form(&range), parse)?.unwrap_or(default))
}

/// The most sessions that an account can be allowed: the list of them is answered whole.
const MOST_SESSIONS: u32 = 1000;

fn tokens(s: &mut Settings) -> Result<Tokens, ConfigError> {
    // Longer than a year is a mistake in the unit; shorter than a minute signs people out while they read.
    let session = MINUTE..=DAY * 366;
    let is_audience = |text: &str| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
    Ok(Tokens {
        algorithm: s.text("tokens.algorithm", &one_of::<SignatureAlgorithm>(), named)?,
        audience: s
            .text("tokens.audience", "1 to 255 characters", |text| {
                is_audience(text).then(|| text.to_owned())
            })?
            .unwrap_or_else(|| "arkloop".to_owned()),
        access_ttl: duration(s, "tokens.access_ttl", MINUTE * 15, SECOND..=MINUTE * 60)?,
        refresh_idle_ttl: duration(s, "tokens.refresh_idle_ttl", DAY * 14, session.clone())?,
        refresh_absolute_ttl: duration(s, "tokens.refresh_absolute_ttl", DAY * 30, session)?,
        refresh_grace: duration(s, "tokens.refresh_grace", SECOND * 30, Duration::ZERO..=MINUTE)?,
        lost_answer: duration(s, "tokens.lost_answer", DAY, Duration::ZERO..=DAY * 30)?,
        max_sessions: s.number("tokens.max_sessions", 1..=MOST_SESSIONS)?.unwrap_or(20),
    })
}

fn password(s: &mut Settings) -> Result<Password, ConfigError> {
    // The upper ends keep a slip of the keyboard from asking for the memory of the whole machine; the lower ones are the algorithm's own (RFC 9106 §3.1).
    let parallelism = s.number("password.argon2_parallelism", 1..=16)?.unwrap_or(1);
    let memory = s
        .number("password.argon2_memory_kib", 8..=1_048_576)?
        .unwrap_or(19_456);
    if memory < 8 * parallelism {
        return Err(ConfigError::new(
            "password.argon2_memory_kib is too small for password.argon2_parallelism",
            "it must be at least 8 KiB for each lane",
        ));
    }
    Ok(Password {
        min_length: s
            .number(
                "password.min_length",
                PasswordPolicy::FLOOR..=PasswordPolicy::CEILING,
            )?
            .unwrap_or(PasswordPolicy::FLOOR),
        argon2_memory_kib: memory,
        argon2_iterations: s.number("password.argon2_iterations", 1..=16)?.unwrap_or(2),
        argon2_parallelism: parallelism,
        // More threads than any machine has cores only wait for one another.
        hash_threads: s
            .number("password.hash_threads", 1..=1024)?
            .and_then(NonZeroUsize::new),
    })
}

fn named<T: FromStr>(name: &str) -> Option<T> {
    name.parse().ok()
}

fn any_text(s: &mut Settings, key: &'static str) -> Result<String, ConfigError> {
    Ok(s.text(key, "a text", |text| Some(text.to_owned()))?
        .unwrap_or_default())
}

fn mail(s: &mut Settings) -> Result<Mail, ConfigError> {
    Ok(Mail {
        transport: s.optional_text("mail.transport", &one_of::<MailTransport>(), named)?,
        smtp_url: s
            .optional_text("mail.smtp_url", SMTP_URL_FORM, parse_smtp_url)?
            .unwrap_or_default(),
        smtp_security: s.optional_text("mail.smtp_security", &one_of::<SmtpSecurity>(), named)?,
        helo_name: s.optional_text("mail.helo_name", HeloName::FORM, HeloName::parse)?,
        smtp_user: any_text(s, "mail.smtp_user")?,
        smtp_password: s.secret("mail.smtp_password", "mail.smtp_password_file")?,
        from: s
            .text("mail.from", SENDER_FORM, parse_sender)?
            .unwrap_or_else(|| "no-reply@localhost".to_owned()),
        locale: s
            .text("mail.locale", &language_form(), Language::nearest)?
            .unwrap_or_default(),
        ca_file: s.path("mail.ca_file")?,
    })
}

fn link(
    s: &mut Settings,
    key: &'static str,
    placeholder: &str,
    default: &str,
) -> Result<String, ConfigError> {
    let form = format!(
        "an http(s) link of one host (no star) with {placeholder} in its path, query or fragment; it may begin with {{app_url}}, which stands \
         for server.app_url"
    );
    let parse = |text: &str| is_link(text, placeholder).then(|| text.to_owned());
    Ok(s.text(key, &form, parse)?.unwrap_or_else(|| default.to_owned()))
}

fn links(s: &mut Settings) -> Result<Links, ConfigError> {
    Ok(Links {
        verify: link(s, "links.verify", "{token}", "{app_url}/verify#token={token}")?,
        reset: link(s, "links.reset", "{token}", "{app_url}/reset#token={token}")?,
        invite: link(s, "links.invite", "{code}", "{app_url}/register?invite={code}")?,
    })
}

fn otp(s: &mut Settings) -> Result<Otp, ConfigError> {
    Ok(Otp {
        enabled: s.boolean("otp.enabled")?.unwrap_or(true),
        digits: s.number("otp.digits", 6..=8)?.unwrap_or(6),
        spray_threshold: s.number("otp.spray_threshold", 0..=100_000)?.unwrap_or(1000),
    })
}

fn turnstile(s: &mut Settings) -> Result<Turnstile, ConfigError> {
    let hosts = "host names such as \"app.example.org\", without scheme, port or star";
    Ok(Turnstile {
        site_key: any_text(s, "turnstile.site_key")?,
        secret_key: s.secret("turnstile.secret_key", "turnstile.secret_key_file")?,
        allowed_hosts: s
            .list("turnstile.allowed_hosts", hosts, parse_host)?
            .unwrap_or_default(),
        verify_url: s
            .text("turnstile.verify_url", PRIVATE_URL_FORM, parse_private_url)?
            .unwrap_or_else(|| SITEVERIFY.to_owned()),
        protect_check: s.boolean("turnstile.protect_check")?.unwrap_or(false),
    })
}

fn rate_limit(s: &mut Settings) -> Result<RateLimit, ConfigError> {
    let mut rates = Rates::default();
    for class in LimitClass::ALL {
        if let Some(rate) = s.text(class.config_key(), &rate_form("requests"), parse_rate)? {
            rates.set(*class, rate);
        }
    }
    let mut wrong_passwords = FailureLimits::default();
    for (key, limit) in [
        (PER_ADDRESS, &mut wrong_passwords.from_one_network),
        (PER_ACCOUNT, &mut wrong_passwords.of_account),
    ] {
        if let Some(rate) = s.text(key, &rate_form("wrong passwords"), parse_rate)? {
            *limit = rate;
        }
    }
    Ok(RateLimit {
        enabled: s.boolean("rate_limit.enabled")?.unwrap_or(true),
        rates,
        wrong_passwords,
    })
}

fn audit(s: &mut Settings) -> Result<Audit, ConfigError> {
    let keep = duration(s, "audit.keep", DAY * 90, DAY..=DAY * 3660)?;
    Ok(Audit { keep })
}

fn metrics(s: &mut Settings) -> Result<Metrics, ConfigError> {
    Ok(Metrics {
        listen: listen(s, "metrics.listen")?,
    })
}

fn log(s: &mut Settings) -> Result<Log, ConfigError> {
    Ok(Log {
        format: s
            .text("log.format", &one_of::<LogFormat>(), named)?
            .unwrap_or(LogFormat::Text),
        level: s
            .text("log.level", &one_of::<Level>(), named)?
            .unwrap_or(Level::Info),
    })
}
