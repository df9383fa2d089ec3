//! What lies outside of this process: the mail server, Turnstile, and the proxy in front of the running server.

use crate::captcha::CaptchaRefusal;
use crate::config::{Config, MailTransport};
use crate::domain::SmtpSecurity;
use crate::mail::Patience;
use crate::system::System;
use crate::web::{Address, Client};

use super::super::listener::{ask as ask_recorded, listener};
use super::super::{App, captcha, transport};
use super::Finding;

/// An address that belongs to nobody (RFC 5737), to see whether the server can be made to believe it.
const FORGED: &str = "203.0.113.77";
/// The header by which the server knows a request of this check.
const X_ARKLOOP_CHECK: &str = "x-arkloop-check";
/// No token that Turnstile gave out.
const NO_TOKEN: &str = "arkloop-check";

/// Whether mail can leave: connects to the mail server and signs in, without sending anything.
pub(super) async fn check_mail(config: &Config) -> Finding {
    let mend = "check [mail] in the configuration, and try: arkloop mail test ADDRESS";
    let sender = config.sender(&config.service_name());
    let sent = match transport(config, &sender, Patience::COMMAND) {
        Ok(transport) => transport.check().await.map_err(|error| {
            let mend = error.hint().unwrap_or(mend).to_owned();
            Finding::bad("mail", error.to_string(), mend)
        }),
        Err(error) => return Finding::bad("mail", error.to_string(), mend),
    };
    match (config.mail_transport(), sent) {
        (MailTransport::Off, _) => Finding::unwise(
            "mail",
            "it is off: nobody can verify an address, sign in with a code or reset a password",
            "set mail.transport",
        ),
        (_, Err(finding)) => finding,
        (MailTransport::File, Ok(_)) => {
            let place = config.outbox_path();
            Finding::good(
                "mail",
                format!("not sent but written into {}, to try things out", place.display()),
            )
        }
        (MailTransport::Smtp, Ok(helo)) => {
            let security = match config.smtp_security() {
                SmtpSecurity::StartTls => "with STARTTLS",
                SmtpSecurity::Tls => "with TLS",
                SmtpSecurity::None => "without TLS",
            };
            let helo = helo.map(|name| format!(", greeted as {}", name.as_str()));
            Finding::good(
                "mail",
                format!(
                    "{} takes it {security}{}",
                    config.mail.smtp_url,
                    helo.unwrap_or_default()
                ),
            )
        }
    }
}

/// Whether Turnstile can be asked and knows the secret key: it has to refuse a token that is none.
pub(super) async fn check_turnstile(config: &Config) -> Finding {
    let mend = "compare turnstile.site_key and secret_key with the Cloudflare dashboard; the server must reach turnstile.verify_url";
    let asked = match captcha(config) {
        Ok(captcha) if !captcha.is_on() => return Finding::good("turnstile", "off"),
        Ok(captcha) => captcha.verify(Some(NO_TOKEN), None, &System::machine()).await,
        Err(error) => return Finding::bad("turnstile", error.to_string(), mend),
    };
    match asked {
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

/// How the running server saw a request.
struct Seen {
    /// Who was connected to it: an address, or `unix`.
    peer: String,
    /// Whom it took for the client.
    client: String,
    /// How many hops `X-Forwarded-For` named.
    hops: usize,
}

impl Seen {
    fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        Some(Self {
            peer: header("x-arkloop-peer")?.to_owned(),
            client: header("x-arkloop-client")?.to_owned(),
            hops: header("x-arkloop-hops")?.parse().ok()?,
        })
    }
}

/// Asks the running server where it recorded that it listens, and through its public URL how it sees a plain request and one with
/// forged forwarding headers. Each request has a word by which the server knows whose it is.
pub(super) async fn check_server(config: &Config, app: &App) -> Vec<Finding> {
    let word = app.service.new_check_word();
    let asked = {
        let config = config.clone();
        tokio::task::spawn_blocking(move || ask_listener(&config, &word)).await
    };
    match asked {
        Ok(Ok(serving)) => {
            let mut findings = vec![serving];
            findings.extend(check_proxy(app).await);
            findings
        }
        Ok(Err(finding)) => vec![finding],
        Err(error) => vec![Finding::bad("server", error.to_string(), "try it again")],
    }
}

/// Whether the server runs and can serve.
///
/// # Errors
/// The finding that it does not run.
fn ask_listener(config: &Config, word: &str) -> Result<Finding, Finding> {
    const START: &str = "start it: systemctl start arkloop, or arkloop serve";
    let recorded = listener(config).map_err(|error| Finding::bad("server", error.to_string(), START))?;
    let recorded = recorded.ok_or_else(|| Finding::bad("server", "none has run here yet", START))?;
    let answer = ask_recorded(&recorded, "/readyz", &[(X_ARKLOOP_CHECK, word)]);
    let answer = answer.map_err(|error| {
        let seen = format!("it does not answer at {recorded}, where it listened last: {error}");
        Finding::bad("server", seen, START)
    })?;
    let header = |name: &str| {
        let mut headers = answer.headers.iter();
        headers
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    };
    if Seen::read(header).is_none() {
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

async fn check_proxy(app: &App) -> Vec<Finding> {
    let url = app.public_url.clone();
    let words = [app.service.new_check_word(), app.service.new_check_word()];
    let asked = {
        let url = url.clone();
        tokio::task::spawn_blocking(move || ask(&url, words)).await
    };
    let (plain, forged) = match asked {
        Ok(Ok(seen)) => seen,
        Ok(Err(finding)) => return vec![finding],
        Err(error) => return vec![Finding::bad("public_url", error.to_string(), "try it again")],
    };
    let answers = Finding::good("public_url", format!("{url} leads to this server"));
    vec![answers, judge(&url, &plain, &forged)]
}

fn ask(url: &str, words: [String; 2]) -> Result<(Seen, Seen), Finding> {
    let unreachable = |reason: String| {
        Finding::bad(
            "public_url",
            format!("{url} does not lead to this server: {reason}"),
            "the server runs: start its proxy, see that the name of server.public_url leads to this machine, or change server.public_url",
        )
    };
    let address = Address::parse(&format!("{url}/healthz"));
    let address = address.ok_or_else(|| unreachable("it is no http or https address".to_owned()))?;
    let client = Client::new("the server", 1).or_trusting_system();
    let [first, second] = words;
    let ask = |headers: &[(&str, &str)]| {
        let answer = client
            .get(&address, headers)
            .map_err(|failure| unreachable(failure.reason))?;
        Seen::read(|name| answer.header(name)).ok_or_else(|| {
            unreachable(format!(
                "something else answered there, with status {}",
                answer.status
            ))
        })
    };
    let forwarded = format!("for={FORGED}");
    Ok((
        ask(&[(X_ARKLOOP_CHECK, &first)])?,
        ask(&[
            (X_ARKLOOP_CHECK, &second),
            ("x-forwarded-for", FORGED),
            ("forwarded", &forwarded),
            ("x-real-ip", FORGED),
        ])?,
    ))
}

fn judge(url: &str, plain: &Seen, forged: &Seen) -> Finding {
    const SUBJECT: &str = "trusted_proxies";
    if forged.client == FORGED {
        return Finding::bad(
            SUBJECT,
            "whoever sends X-Forwarded-For is believed: limits can be evaded, and the log names the wrong addresses",
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
            format!("the proxy at {peer} does not say whom it serves: all clients count as one"),
            "let it send X-Forwarded-For (nginx: proxy_set_header X-Forwarded-For $remote_addr;)",
        );
    }
    Finding::good(
        SUBJECT,
        format!("clients are told apart; this request came from {}", plain.client),
    )
}
