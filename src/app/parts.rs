//! Builds the HTTP and service settings, the password hasher, the mail transport and the captcha from the configuration.

use std::num::{NonZeroU32, NonZeroUsize};

use super::capacity::Capacity;
use super::error::OpenError;
use super::role::Role;
use super::served::Served;
use crate::config::Config;
use crate::crypto::{HashError, PasswordHasher, Priority};
use crate::domain::{HashImplementation, MailTransport, ServiceName};
use crate::http;
use crate::mail::{Credentials, Mailbox, SmtpSettings, SmtpTimeouts, Transport, TransportError};
use crate::service;
use crate::system::System;

/// The settings of the HTTP side, without the logo, which is read from a file.
pub fn http_settings(config: &Config) -> http::ServerSettings {
    let (server, limits) = (&config.server, &config.rate_limit);
    let rates = || limits.rates.transform(|_, rate| rate.shared_by(limits.nodes));
    http::ServerSettings {
        public_origin: config.public_url(),
        app_origin: config.app_url(),
        allowed_origins: server.allowed_origins.iter().map(ToString::to_string).collect(),
        is_secure: config.public_origin().is_https(),
        same_site: server.cookie_same_site,
        trusted_proxies: server.trusted_proxies.clone().unwrap_or_default(),
        max_connections: Capacity::of(config).connections,
        max_connections_per_address: server.max_connections_per_address,
        rates: limits.enabled.then(rates),
        docs: server.docs,
        pages: server.pages,
        logo: None,
        identity_check: config.identity_check,
        arkloop_client: server.arkloop_client,
        deadlines: http::Deadlines::default(),
        before_answer: None,
    }
}

pub(super) fn service_settings(config: &Config, served: &Served) -> service::RuleSettings {
    service::RuleSettings {
        pinned_mode: served.pinned_mode,
        password_min_length: config.password.min_length,
        sessions: config.tokens.sessions,
        audit_keep: config.audit_keep,
        code_digits: config.otp.enabled.then_some(config.otp.digits),
        spray_threshold: NonZeroU32::new(config.otp.spray_threshold),
        sign_in: served.rules.sign_in(),
    }
}

pub(super) fn start_hasher(
    config: &Config,
    capacity: &Capacity,
    role: Role,
    system: &System,
) -> Result<PasswordHasher, HashError> {
    // A command hashes at most one password, for which the check of the fast implementation would take longer than the hash.
    let (implementation, threads, priority) = match role {
        Role::Server => (
            config.password.implementation,
            capacity.hash_threads,
            Priority::Low,
        ),
        _ => (HashImplementation::Portable, NonZeroUsize::MIN, Priority::Normal),
    };
    let memory_kib = capacity.hash_memory_kib();
    PasswordHasher::start(
        config.password.cost,
        implementation,
        threads,
        memory_kib,
        priority,
        system.clone(),
    )
}

pub(super) fn transport(
    config: &Config,
    name: &ServiceName,
    timeouts: SmtpTimeouts,
) -> Result<Transport, OpenError> {
    let kind = config.mail_transport();
    if kind == MailTransport::Off {
        return Ok(Transport::Off);
    }
    let from: Mailbox = config.sender(name).parse().map_err(|_| TransportError::From)?;
    if kind == MailTransport::File {
        return Ok(Transport::file(config.outbox_path(), from));
    }
    let url = config.mail.smtp_url.as_ref();
    let url = url.expect("the configuration requires a URL for this transport");
    let password = config.mail.smtp_password.clone();
    Ok(Transport::smtp(SmtpSettings {
        port: url.port.unwrap_or(config.smtp_default_port()),
        host: url.host_name(),
        security: config.smtp_security(),
        helo_name: config.helo_name(),
        credentials: password.map(|password| Credentials {
            user: config.mail.smtp_user.clone(),
            password,
        }),
        from,
        ca_file: config.mail.ca_file.clone(),
        timeouts,
    })?)
}
