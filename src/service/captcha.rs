//! Captchas: the settings that clients need, and the check of a token.

use super::{Error, Service};
use crate::captcha::CaptchaRefusal;
use crate::domain::{AuditEvent, AuditReason, Client};

impl Service {
    /// The public key that clients show the captcha with; empty if there is none.
    pub fn captcha_site_key(&self) -> &str {
        self.captcha.site_key()
    }

    /// Whether [`Service::account_exists`] asks for a captcha too.
    pub fn captcha_protects_check(&self) -> bool {
        self.captcha.protects_check()
    }

    /// Refuses a request unless the captcha was solved or is off.
    ///
    /// # Errors
    /// [`Error::CaptchaInvalid`]; [`Error::CaptchaUnavailable`] if the captcha service gives no verdict; no request passes then.
    pub async fn check_captcha(&self, token: Option<&str>, client: &Client) -> Result<(), Error> {
        let checked = self.captcha.verify(token, client.address, &self.system).await;
        checked.map_err(|refusal| self.captcha_refused(refusal, client))
    }

    /// Refuses a token that cannot be valid, before any query and before the captcha service is asked.
    ///
    /// # Errors
    /// [`Error::CaptchaInvalid`] if it is missing or too long.
    pub(super) fn refuse_malformed_captcha_token(
        &self,
        token: Option<&str>,
        client: &Client,
    ) -> Result<(), Error> {
        let looked_at = self.captcha.look_at(token);
        looked_at.map_err(|refusal| self.captcha_refused(refusal, client))
    }

    fn captcha_refused(&self, refusal: CaptchaRefusal, client: &Client) -> Error {
        let (reason, error) = match refusal {
            CaptchaRefusal::Invalid => (AuditReason::CaptchaInvalid, Error::CaptchaInvalid),
            CaptchaRefusal::Unavailable(reason) => {
                (AuditReason::CaptchaUnavailable, Error::CaptchaUnavailable(reason))
            }
        };
        self.note_refused(AuditEvent::CaptchaRefused, reason, client);
        error
    }
}
