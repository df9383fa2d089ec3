//! Every key with its name, its format and its default, in the order of the example file.

use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::address::{
    Origin, SECURE_URL, SENDER, SMTP_URL, is_link, parse_host, parse_secure_url, parse_sender,
};
use super::error::{ConfigError, Locations};
use super::format::{
    Format, boolean, duration, list, listen, names, number, one_of, path, proxies, rate, text,
};
use super::reader::Reader;
use super::sections::{Config, Level, Mail, Otp, Password, RateLimit, Server, Tokens};
use super::sources::Sources;
use crate::domain::{
    Argon2Cost, DatabaseUrl, FailureLimits, HashImplementation, HeloName, Language, LimitClassTable,
    LinkTemplates, Listen, LogFormat, MIN_PASSWORD_CHARS, OneTimeCode, RefreshRules, SameSite, ServiceName,
    SessionRules, SmtpUrl, TurnstileSettings,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// This many connections take 3 GiB in the worst case.
const MAX_CONNECTIONS: usize = 100_000;
/// The upper end of `tokens.max_sessions`: one response lists all sessions of an account.
const MAX_SESSIONS: u32 = 1000;
/// More servers than share one database: each needs connections to it.
const MAX_NODES: u32 = 100;
/// Where tokens of Turnstile are verified (developers.cloudflare.com/turnstile/get-started/server-side-validation).
const SITEVERIFY: &str = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

impl Config {
    /// Reads and checks everything that `sources` name.
    ///
    /// # Errors
    /// The first fault that is found: an unreadable file, a bad value, an unknown key, or keys that do not go together.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let (file, given) = sources.read()?;
        let mut config = read_keys(Reader::new(given), sources)?;
        config.file = file;
        config.check_together()?;
        Ok(config)
    }
}

/// Reads every key, and refuses unknown ones.
pub(super) fn read_keys(mut reader: Reader, sources: &Sources) -> Result<Config, ConfigError> {
    let keys = &mut reader;
    let data_dir = keys.read("data_dir", &path(), sources.cwd.join("data"))?;
    let key_file = keys.read("key_file", &path().or_empty(), None)?;
    let database_url = database_url(keys)?;
    let server = server(keys)?;
    let mut config = Config {
        data_dir,
        key_file,
        database_url,
        registration_mode: keys.read("registration.mode", &one_of().or_empty(), None)?,
        identity_check: keys.read("registration.identity_check", &boolean(), true)?,
        tokens: tokens(keys)?,
        password: password(keys)?,
        mail: mail(keys)?,
        links: links(keys, &server)?,
        otp: otp(keys)?,
        turnstile: turnstile(keys)?,
        rate_limit: rate_limit(keys)?,
        audit_keep: keys.read("audit.keep", &duration(DAY..=DAY * 3660), DAY * 90)?,
        metrics_listen: keys.read("metrics.listen", &listen().or_empty(), None)?,
        log_format: keys.read("log.format", &one_of(), LogFormat::Text)?,
        log_level: keys.read("log.level", &one_of(), Level::Info)?,
        server,
        file: None,
        shown: Vec::new(),
        locations: Locations::new(),
    };
    (config.shown, config.locations) = reader.finish()?;
    Ok(config)
}

fn database_url(keys: &mut Reader) -> Result<Option<DatabaseUrl>, ConfigError> {
    let key = "database.url";
    let Some(text) = keys.read_secret(key)? else {
        return Ok(None);
    };
    let url = DatabaseUrl::parse(text.expose_secret());
    url.map(Some)
        .map_err(|error| keys.refusal_of_secret(key, &error.to_string()))
}

fn server(keys: &mut Reader) -> Result<Server, ConfigError> {
    let name = format!(
        "one line of at most {} characters in any script, without control and format characters",
        ServiceName::MAX_CHARS
    );
    let origin = || text(Origin::ACCEPTED, Origin::parse).or_empty();
    let origins = list(Origin::ACCEPTED_LISTED, Origin::parse_listed);
    let connections = number(1..=MAX_CONNECTIONS);
    Ok(Server {
        name: keys.read("server.name", &text(name, ServiceName::parse).or_empty(), None)?,
        logo_file: keys.read("server.logo_file", &path().or_empty(), None)?,
        listen: keys
            .read("server.listen", &listen().or_empty(), None)?
            .unwrap_or_else(|| Listen::Tcp(([127, 0, 0, 1], 8080).into())),
        public_url: keys.read("server.public_url", &origin(), None)?,
        app_url: keys.read("server.app_url", &origin(), None)?,
        allowed_origins: keys.read("server.allowed_origins", &origins, Vec::new())?,
        cookie_same_site: keys.read("server.cookie_same_site", &one_of(), SameSite::Strict)?,
        trusted_proxies: keys.read("server.trusted_proxies", &proxies().or_unset(), None)?,
        // Each open connection costs a descriptor and, while busy, a few tens of KiB: about 60 MiB at most, below the 4 096 descriptors that service managers
        // commonly allow.
        max_connections: keys.read("server.max_connections", &connections, 2_000)?,
        // A tenth of the default of `server.max_connections`: more than a household or an office opens, and an attacker needs ten addresses to take all
        // connections.
        max_connections_per_address: keys.read("server.max_connections_per_address", &connections, 200)?,
        docs: keys.read("server.docs", &boolean(), true)?,
        pages: keys.read("server.pages", &boolean(), true)?,
        arkloop_client: keys.read("server.arkloop_client", &boolean(), false)?,
    })
}

fn tokens(keys: &mut Reader) -> Result<Tokens, ConfigError> {
    // A term longer than a year is a mistake in the unit; one shorter than a minute would sign people out while they read.
    let session = duration(MINUTE..=DAY * 366);
    let [grace, lost_answer] = [MINUTE, DAY * 30].map(|most| duration(Duration::ZERO..=most));
    let audience = text("1 to 255 characters", |text| {
        let is_audience = (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
        is_audience.then(|| text.to_owned())
    });
    Ok(Tokens {
        algorithm: keys.read("tokens.algorithm", &one_of().or_unset(), None)?,
        audience: keys.read("tokens.audience", &audience, "arkloop".into())?,
        access_ttl: keys.read("tokens.access_ttl", &duration(SECOND..=MINUTE * 60), MINUTE * 15)?,
        sessions: SessionRules {
            idle: keys.read("tokens.refresh_idle_ttl", &session, DAY * 14)?,
            absolute: keys.read("tokens.refresh_absolute_ttl", &session, DAY * 30)?,
            refresh: RefreshRules {
                grace: keys.read("tokens.refresh_grace", &grace, SECOND * 30)?,
                lost_answer: keys.read("tokens.lost_answer", &lost_answer, DAY)?,
            },
            max_sessions: keys.read("tokens.max_sessions", &number(1..=MAX_SESSIONS), 20)?,
        },
    })
}

fn password(keys: &mut Reader) -> Result<Password, ConfigError> {
    // If more than 64 characters were required, people could hardly choose a password.
    const LENGTHS: RangeInclusive<usize> = MIN_PASSWORD_CHARS..=64;
    // The upper ends keep a typing error from asking for the memory of the whole machine; the lower ones are the algorithm's (RFC 9106 §3.1).
    let default = Argon2Cost::default();
    let (memory, passes, lanes) = (number(8..=1_048_576), number(1..=16), number(1..=16));
    let password = Password {
        min_length: keys.read("password.min_length", &number(LENGTHS), MIN_PASSWORD_CHARS)?,
        cost: Argon2Cost {
            memory_kib: keys.read("password.argon2_memory_kib", &memory, default.memory_kib)?,
            iterations: keys.read("password.argon2_iterations", &passes, default.iterations)?,
            parallelism: keys.read("password.argon2_parallelism", &lanes, default.parallelism)?,
        },
        // 1024: threads beyond the number of cores only wait for one another.
        hash_threads: keys
            .read("password.hash_threads", &number(1..=1024).or_unset(), None)?
            .and_then(NonZeroUsize::new),
        implementation: keys.read(
            "password.implementation",
            &one_of(),
            HashImplementation::default(),
        )?,
    };
    if password.cost.memory_kib < 8 * password.cost.parallelism {
        return Err(ConfigError::new(
            "password.argon2_memory_kib is too small for password.argon2_parallelism",
            "it must be at least 8 KiB for each lane",
        ));
    }
    Ok(password)
}

fn any_text() -> Format<String> {
    text("a text", |text| Some(text.to_owned()))
}

fn mail(keys: &mut Reader) -> Result<Mail, ConfigError> {
    let language = names::<Language>() + ", also as a device says it, such as zh_CN.UTF-8";
    let language = text(language, Language::nearest);
    let helo_name = text(HeloName::FORM, HeloName::parse).or_empty();
    let sender = text(SENDER, parse_sender);
    Ok(Mail {
        transport: keys.read("mail.transport", &one_of().or_empty(), None)?,
        smtp_url: keys.read("mail.smtp_url", &text(SMTP_URL, SmtpUrl::parse).or_empty(), None)?,
        smtp_security: keys.read("mail.smtp_security", &one_of().or_empty(), None)?,
        helo_name: keys.read("mail.helo_name", &helo_name, None)?,
        smtp_user: keys.read("mail.smtp_user", &any_text(), String::new())?,
        smtp_password: keys.read_secret("mail.smtp_password")?,
        from: keys.read("mail.from", &sender, "no-reply@localhost".into())?,
        locale: keys.read("mail.locale", &language, Language::default())?,
        ca_file: keys.read("mail.ca_file", &path().or_empty(), None)?,
    })
}

/// The format of the template of a link, which must have `placeholder` in it.
fn link(placeholder: &'static str) -> Format<String> {
    let accepted = format!(
        "an http(s) link of one host (no star) with {placeholder} in its path, query or fragment; it may begin with {{app_url}}, which stands \
         for server.app_url, or with {{public_url}}, which stands for server.public_url"
    );
    text(accepted, move |text| {
        is_link(text, placeholder).then(|| text.to_owned())
    })
}

fn links(keys: &mut Reader, server: &Server) -> Result<LinkTemplates, ConfigError> {
    // Arkloop's own web client has a page to verify an address, which reads the query, and no page for resets and invites.
    let [verify, reset, invite] = if server.arkloop_client {
        [
            "{app_url}/verify?token={token}",
            "{public_url}/reset#token={token}",
            "{public_url}/register?invite={code}",
        ]
    } else {
        [
            "{app_url}/verify#token={token}",
            "{app_url}/reset#token={token}",
            "{app_url}/register?invite={code}",
        ]
    };
    let (token, code) = (link("{token}"), link("{code}"));
    Ok(LinkTemplates {
        verify: keys.read("links.verify", &token, verify.into())?,
        reset: keys.read("links.reset", &token, reset.into())?,
        invite: keys.read("links.invite", &code, invite.into())?,
        change: keys.read("links.change", &token, LinkTemplates::default_change())?,
        undo: keys.read("links.undo", &token, LinkTemplates::default_undo())?,
    })
}

fn otp(keys: &mut Reader) -> Result<Otp, ConfigError> {
    Ok(Otp {
        enabled: keys.read("otp.enabled", &boolean(), true)?,
        digits: keys.read(
            "otp.digits",
            &number(OneTimeCode::MIN_DIGITS..=OneTimeCode::MAX_DIGITS),
            OneTimeCode::MIN_DIGITS,
        )?,
        spray_threshold: keys.read("otp.spray_threshold", &number(0..=100_000), 1000)?,
    })
}

fn turnstile(keys: &mut Reader) -> Result<TurnstileSettings, ConfigError> {
    let hosts = list(
        "host names such as \"app.example.org\", without scheme, port or star",
        parse_host,
    );
    let url = text(SECURE_URL, parse_secure_url);
    Ok(TurnstileSettings {
        site_key: keys.read("turnstile.site_key", &any_text(), String::new())?,
        secret_key: keys.read_secret("turnstile.secret_key")?,
        allowed_hosts: keys.read("turnstile.allowed_hosts", &hosts, Vec::new())?,
        verify_url: keys.read("turnstile.verify_url", &url, SITEVERIFY.into())?,
        protect_check: keys.read("turnstile.protect_check", &boolean(), false)?,
    })
}

fn rate_limit(keys: &mut Reader) -> Result<RateLimit, ConfigError> {
    let enabled = keys.read("rate_limit.enabled", &boolean(), true)?;
    let nodes = keys.read("rate_limit.nodes", &number(1..=MAX_NODES), 1)?;
    let (requests, failures) = (rate("requests"), rate("wrong passwords"));
    let rates = LimitClassTable::from_closure(|class| {
        let key = format!("rate_limit.{}", class.into_str());
        keys.read(&key, &requests, class.default_rate())
    });
    let FailureLimits {
        from_one_network,
        of_account,
    } = FailureLimits::default();
    Ok(RateLimit {
        enabled,
        nodes: NonZeroU32::new(nodes).unwrap_or(NonZeroU32::MIN),
        rates: rates.all_ok()?,
        wrong_passwords: FailureLimits {
            from_one_network: keys.read(
                "rate_limit.wrong_passwords_per_address",
                &failures,
                from_one_network,
            )?,
            of_account: keys.read("rate_limit.wrong_passwords_per_account", &failures, of_account)?,
        },
    })
}
