//! Checks of other programs: the mail server, Turnstile, the running server and the proxy in front of it.

use super::super::listener::{ask, listener};
use super::super::open::App;
use super::super::parts::transport;
use super::finding::Finding;
use crate::captcha::{Captcha, CaptchaRefusal};
use crate::config::Config;
use crate::domain::{MailTransport, SmtpSecurity};
use crate::http::{EchoProbe, X_ARKLOOP_CHECK};
use crate::mail::SmtpTimeouts;
use crate::system::System;
use crate::web::{Client, Url};

/// A documentation address (RFC 5737) for forged headers, which the server must not believe.
const FORGED: &str = "203.0.113.77";
/// A text that Turnstile never issues as a token.
const NO_TOKEN: &str = "arkloop-check";

/// Checks whether mail can be sent: connects to the mail server and signs in, but sends nothing.
pub(super) async fn check_mail(config: &Config) -> Finding {
    let mend = "check [mail] in the configuration, and try: arkloop mail test ADDRESS";
    let transport = match transport(config, &config.service_name(), SmtpTimeouts::COMMAND) {
        Ok(transport) => transport,
        Err(error) => return Finding::bad("mail", error.to_string(), mend),
    };
    if transport.is_off() {
        return Finding::unwise(
            "mail",
            "it is off: people cannot verify an address, sign in with a code or reset a password",
            "set mail.transport",
        );
    }
    let helo = match transport.check().await {
        Ok(helo) => helo,
        Err(error) => return Finding::bad("mail", error.to_string(), error.hint().unwrap_or(mend)),
    };
    if config.mail_transport() == MailTransport::File {
        let outbox = config.outbox_path();
        let seen = format!(
            "not sent but written into {}, to try things out",
            outbox.display()
        );
        return Finding::good("mail", seen);
    }
    let security = match config.smtp_security() {
        SmtpSecurity::StartTls => "with STARTTLS",
        SmtpSecurity::Tls => "with TLS",
        SmtpSecurity::None => "without TLS",
    };
    let greeted = helo.map(|name| format!(", greeted as {}", name.as_str()));
    let url = config
        .mail
        .smtp_url
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let greeted = greeted.unwrap_or_default();
    Finding::good("mail", format!("{url} takes it {security}{greeted}"))
}

/// Checks that Turnstile answers, knows the secret key, and refuses a made-up token.
pub(super) async fn check_turnstile(config: &Config) -> Finding {
    let mend = "compare turnstile.site_key and secret_key with the Cloudflare dashboard; the server must reach turnstile.verify_url";
    let captcha = Captcha::new(config.turnstile.clone());
    if !captcha.is_on() {
        return Finding::good("turnstile", "off");
    }
    match captcha.verify(Some(NO_TOKEN), None, &System::machine()).await {
        Err(CaptchaRefusal::Unavailable(reason)) => Finding::bad("turnstile", reason, mend),
        _ if config.has_dummy_turnstile_key() => Finding::unwise(
            "turnstile",
            "the secret key is one of Cloudflare's published test keys, which protect nothing",
            "take the keys of a widget of your own from the Cloudflare dashboard",
        ),
        Err(CaptchaRefusal::Invalid) => {
            Finding::good("turnstile", "siteverify answers and knows the secret key")
        }
        Ok(()) => Finding::bad(
            "turnstile",
            "siteverify lets a token pass that it never gave out",
            mend,
        ),
    }
}

/// Asks the running server at its recorded address, and then through its public URL: once without and once with forged forwarding headers. Each request
/// carries a word that proves knowledge of the key file, so the server adds to its answer how it sees the request.
pub(super) async fn check_server(config: &Config, app: &App) -> Vec<Finding> {
    let words = [(); 3].map(|()| app.service.new_check_token());
    let (config, url) = (config.clone(), app.public_url.clone());
    let asked = tokio::task::spawn_blocking(move || {
        let [first, second, third] = &words;
        let mut findings = Vec::new();
        let proxy = ask_recorded(&config, first).and_then(|serving| {
            findings.push(serving);
            ask_through_proxy(&url, second, third)
        });
        match proxy {
            Ok((plain, forged)) => {
                let answers = format!("{url} leads to this server");
                findings.extend([Finding::good("public_url", answers), judge(&url, &plain, &forged)]);
            }
            Err(finding) => findings.push(finding),
        }
        findings
    });
    asked
        .await
        .unwrap_or_else(|error| vec![Finding::bad("server", error.to_string(), "try it again")])
}

/// Checks that the server runs and is ready.
///
/// # Errors
/// The finding that the server does not run or does not answer.
fn ask_recorded(config: &Config, word: &str) -> Result<Finding, Finding> {
    const START: &str = "start it: systemctl start arkloop, or arkloop serve";
    let recorded = listener(config).map_err(|error| Finding::bad("server", error.to_string(), START))?;
    let recorded = recorded.ok_or_else(|| Finding::bad("server", "none has run here yet", START))?;
    let answer = ask(&recorded, "/readyz", &[(X_ARKLOOP_CHECK, word)]);
    let answer = answer.map_err(|error| {
        let seen = format!("it does not answer at {recorded}, where it listened last: {error}");
        Finding::bad("server", seen, START)
    })?;
    if EchoProbe::read(|name| answer.header(name)).is_none() {
        let seen = format!("something else answers at {recorded}, where it listened last");
        return Err(Finding::bad("server", seen, START));
    }
    Ok(if answer.status == 200 {
        Finding::good("server", format!("it listens at {recorded} and can serve"))
    } else {
        let seen = format!("it listens at {recorded} and cannot serve");
        Finding::bad("server", seen, "its log says why")
    })
}

/// Returns how the server sees a request without forged headers, and how it sees one with them.
fn ask_through_proxy(url: &str, first: &str, second: &str) -> Result<(EchoProbe, EchoProbe), Finding> {
    let unreachable = |reason: String| {
        Finding::bad(
            "public_url",
            format!("{url} does not lead to this server: {reason}"),
            "the server runs: start its proxy, see that the name of server.public_url leads to this machine, or change server.public_url",
        )
    };
    let healthz = Url::parse(&format!("{url}/healthz"));
    let healthz = healthz.ok_or_else(|| unreachable("it is not an http or https URL".to_owned()))?;
    let client = Client::new("the server", 1).or_trusting_system();
    let ask = |headers: &[(&str, &str)]| {
        let answer = client.get(&healthz, headers);
        let answer = answer.map_err(|failure| unreachable(failure.to_string()))?;
        let status = answer.status;
        EchoProbe::read(|name| answer.header(name))
            .ok_or_else(|| unreachable(format!("something else answered there, with status {status}")))
    };
    let forwarded = format!("for={FORGED}");
    let plain = ask(&[(X_ARKLOOP_CHECK, first)])?;
    let forged = ask(&[
        (X_ARKLOOP_CHECK, second),
        ("x-forwarded-for", FORGED),
        ("forwarded", &forwarded),
        ("x-real-ip", FORGED),
    ])?;
    Ok((plain, forged))
}

fn judge(url: &str, plain: &EchoProbe, forged: &EchoProbe) -> Finding {
    const SUBJECT: &str = "trusted_proxies";
    if forged.client == FORGED {
        return Finding::bad(
            SUBJECT,
            "X-Forwarded-For is believed from every client: limits can be evaded, and the log names the wrong addresses",
            "let the proxy replace the header (Caddy does; nginx: proxy_set_header X-Forwarded-For $remote_addr;), \
             and list only the proxy's own address in server.trusted_proxies",
        );
    }
    let peer = &plain.peer;
    if plain.hops > 0 && (plain.client == *peer || plain.client == "nobody") {
        return Finding::bad(
            SUBJECT,
            format!("the proxy at {peer} is not trusted: all clients count as one"),
            format!("add to [server] in the configuration: trusted_proxies = [\"{peer}\"]"),
        );
    }
    if plain.hops == 0 && url.starts_with("https://") {
        return Finding::bad(
            SUBJECT,
            format!("the proxy at {peer} does not name its client: all clients count as one"),
            "let it send X-Forwarded-For (nginx: proxy_set_header X-Forwarded-For $remote_addr;)",
        );
    }
    Finding::good(
        SUBJECT,
        format!("clients are told apart; this request came from {}", plain.client),
    )
}
