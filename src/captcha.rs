//! The captcha: verifies with Cloudflare that it issued a visitor's Turnstile token for this site.
//!
//! Other modules decide which requests need a token, and how a refusal looks on the wire. If Turnstile cannot be asked, no request passes: a timeout, a
//! redirect, a fault or a refused secret key are [`CaptchaRefusal::Unavailable`]. A slow siteverify (the endpoint that verifies tokens) must not stop this
//! server, so the time, the size of the answer and the number of verifications at once are limited.
//! Source of the protocol: <https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>.

use std::iter;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::domain::TurnstileSettings;
use crate::system::System;
use crate::web::{Answer, Client, Failure, TOTAL_TIMEOUT, Url};

/// The longest token that Cloudflare issues, in characters (see its documentation). A longer token is refused without asking.
const MAX_TOKEN_CHARS: usize = 2048;
/// The maximum number of verifications at once. A further one is refused and does not wait, so that a siteverify that hangs holds only this many of the
/// runtime's 128 threads for blocking work, and long reports still find a free one. At 100 ms each, this allows 320 verifications a second.
const MAX_AT_ONCE: usize = 32;

/// Why a visitor does not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptchaRefusal {
    /// The token is missing, too long, refused, already used, or issued for another host.
    #[error("the captcha token is missing or refused")]
    Invalid,
    /// The token cannot be verified. The reason is for the log; it contains neither the secret key nor the token.
    #[error("the captcha cannot be verified: {0}")]
    Unavailable(String),
}

/// Turnstile, or no captcha; without a captcha every visitor passes.
#[derive(Clone)]
pub struct Captcha(Option<Arc<Turnstile>>);

impl Captcha {
    /// Turnstile, or no captcha if there is no secret key. Connects only when there is a token to verify.
    pub fn new(settings: TurnstileSettings) -> Self {
        let turnstile = settings.secret_key.clone().map(|secret_key| Turnstile {
            secret_key,
            verify_url: Url::parse(&settings.verify_url)
                .expect("the configuration reads URLs of http and https only"),
            settings,
            siteverify: Client::new("siteverify", MAX_AT_ONCE),
            permits: Arc::new(Semaphore::new(MAX_AT_ONCE)),
            has_logged_bad_secret: AtomicBool::new(false),
        });
        Self(turnstile.map(Arc::new))
    }

    /// Whether visitors need a token.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The site key for the widget; empty when the captcha is off.
    pub fn site_key(&self) -> &str {
        self.0
            .as_ref()
            .map_or("", |turnstile| &turnstile.settings.site_key)
    }

    /// Whether `/v1/auth/check` needs a token.
    pub fn protects_check(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|turnstile| turnstile.settings.protect_check)
    }

    /// Refuses a token that is missing or too long, without asking siteverify.
    pub fn look_at(&self, token: Option<&str>) -> Result<(), CaptchaRefusal> {
        if self.is_on() {
            plausible(token)?;
        }
        Ok(())
    }

    /// Verifies a visitor's token within five seconds. A token that passes cannot be used again.
    pub async fn verify(
        &self,
        token: Option<&str>,
        client_address: Option<IpAddr>,
        system: &System,
    ) -> Result<(), CaptchaRefusal> {
        let Some(turnstile) = &self.0 else { return Ok(()) };
        let token = plausible(token)?;
        // A repeated request has the same idempotency key, so it does not count as a second use of the token.
        let mut question = vec![
            ("response", token.to_owned()),
            ("idempotency_key", system.new_idempotency_key()),
        ];
        let address = client_address.map(|address| address.to_canonical().to_string());
        question.extend(address.map(|address| ("remoteip", address)));
        let permit = Arc::clone(&turnstile.permits)
            .try_acquire_owned()
            .map_err(|_| CaptchaRefusal::Unavailable("too many tokens are being verified".to_owned()))?;
        let asked = Arc::clone(turnstile);
        let verified = tokio::task::spawn_blocking(move || {
            // The thread holds the permit, so that a visitor who hangs up does not free it early.
            let _permit = permit;
            asked.ask(&question)
        });
        let unfinished = |_| CaptchaRefusal::Unavailable("the verification was not finished".to_owned());
        verified.await.map_err(unfinished)?
    }
}

/// The token, if it is neither missing nor too long.
fn plausible(token: Option<&str>) -> Result<&str, CaptchaRefusal> {
    token
        .filter(|token| !token.is_empty() && token.chars().count() <= MAX_TOKEN_CHARS)
        .ok_or(CaptchaRefusal::Invalid)
}

struct Turnstile {
    settings: TurnstileSettings,
    secret_key: SecretString,
    verify_url: Url,
    siteverify: Client,
    permits: Arc<Semaphore>,
    /// Whether the log has reported that the secret key is refused.
    has_logged_bad_secret: AtomicBool,
}

impl Turnstile {
    /// Asks siteverify, and asks again if the first request did not arrive or was answered with a server error; then judges the answer.
    fn ask(&self, question: &Question) -> Result<(), CaptchaRefusal> {
        let started_at = Instant::now();
        let mut answer = self.post(question, TOTAL_TIMEOUT);
        let may_pass = match &answer {
            Ok(answer) => answer.status / 100 == 5,
            Err(failure) => failure.is_transient(),
        };
        let left = TOTAL_TIMEOUT.saturating_sub(started_at.elapsed());
        if may_pass && !left.is_zero() {
            answer = self.post(question, left);
        }
        let unavailable = |reason| Err(CaptchaRefusal::Unavailable(reason));
        match answer {
            // Siteverify refuses a token with status 200 or 400.
            Ok(answer) if matches!(answer.status / 100, 2 | 4) => self.judge(&answer),
            Ok(answer) => unavailable(format!("siteverify answered {}", answer.status)),
            Err(failure) => unavailable(failure.to_string()),
        }
    }

    fn post(&self, question: &Question, timeout: Duration) -> Result<Answer, Failure> {
        let secret = ("secret", self.secret_key.expose_secret());
        let others = question.iter().map(|(name, value)| (*name, value.as_str()));
        let form = iter::once(secret).chain(others);
        self.siteverify.post_form(&self.verify_url, form, timeout)
    }

    fn judge(&self, answer: &Answer) -> Result<(), CaptchaRefusal> {
        let not_understood = || {
            let reason = format!("the answer of siteverify ({}) was not understood", answer.status);
            CaptchaRefusal::Unavailable(reason)
        };
        let verdict: Verdict = serde_json::from_slice(&answer.body).map_err(|_| not_understood())?;
        if !verdict.success {
            return Err(self.refusal(&verdict));
        }
        if answer.status != 200 {
            return Err(not_understood());
        }
        self.has_logged_bad_secret.store(false, Ordering::Relaxed);
        if self.settings.allowed_hosts.is_empty() {
            return Ok(());
        }
        let host = verdict.hostname.ok_or_else(not_understood)?;
        let mut allowed = self.settings.allowed_hosts.iter();
        if allowed.any(|allowed| allowed.eq_ignore_ascii_case(&host)) {
            return Ok(());
        }
        Err(CaptchaRefusal::Invalid)
    }

    /// Decides whether the visitor, the operator or Cloudflare caused the refusal.
    fn refusal(&self, verdict: &Verdict) -> CaptchaRefusal {
        let codes = &verdict.error_codes;
        let says = |known: &[&str]| codes.iter().any(|code| known.contains(&code.as_str()));
        if says(&OPERATORS_FAULTS) {
            if !self.has_logged_bad_secret.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    "Turnstile refuses turnstile.secret_key, so that no visitor passes the captcha: correct it and restart"
                );
            }
            return CaptchaRefusal::Unavailable("turnstile.secret_key is refused".to_owned());
        }
        if says(&VISITORS_FAULTS) {
            return CaptchaRefusal::Invalid;
        }
        CaptchaRefusal::Unavailable(format!("siteverify reports {}", verdict.loggable_codes()))
    }
}

/// Error codes that the operator has to fix.
const OPERATORS_FAULTS: [&str; 2] = ["missing-input-secret", "invalid-input-secret"];
/// Error codes that another token may not cause.
const VISITORS_FAULTS: [&str; 3] = [
    "missing-input-response",
    "invalid-input-response",
    "timeout-or-duplicate",
];

/// The fields of a question to siteverify, without the secret key.
type Question = [(&'static str, String)];

/// The fields of an answer that are used.
#[derive(Deserialize)]
struct Verdict {
    success: bool,
    hostname: Option<String>,
    #[serde(rename = "error-codes", default)]
    error_codes: Vec<String>,
}

impl Verdict {
    /// The codes that look like Cloudflare's. Any other text is left out, because it could be the secret key.
    fn loggable_codes(&self) -> String {
        let is_word = |code: &&str| {
            (1..=40).contains(&code.len())
                && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        let codes = self.error_codes.iter().map(String::as_str);
        let words: Vec<&str> = codes.filter(is_word).collect();
        if words.is_empty() {
            return "no known reason".to_owned();
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Config, Sources};

    proptest! {
        #[test]
        fn every_url_that_the_configuration_reads_can_be_asked(tail in "[ -~]{0,40}", length in 0..70_000_usize) {
            for tail in [tail, "x".repeat(length)] {
                let url = format!("https://example.org/{tail}");
                let sources = Sources {
                    env: [("ARKLOOP_TURNSTILE__VERIFY_URL".to_owned(), url)].into(),
                    cwd: "/nowhere".into(),
                    ..Sources::default()
                };
                let Ok(config) = Config::load(&sources) else { continue };
                let captcha = Captcha::new(TurnstileSettings {
                    secret_key: Some("secret".into()),
                    ..config.turnstile
                });
                prop_assert!(captcha.is_on());
            }
        }
    }
}
