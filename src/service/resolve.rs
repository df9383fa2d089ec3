//! The first request of Arkloop's own web client, which resolves an identity to an account, and the sign-in with a code that follows it.

use std::sync::Arc;

use super::tokens::SignedIn;
use super::{Error, Service};
use crate::domain::{AccountName, Client, Email, Flow, FlowToken, OneTimeCode, RegistrationMode};

/// What a client does next about an identity.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// It names an account: sign in.
    Known {
        /// Stands for the account in requests for a code.
        flow_token: FlowToken,
        /// See [`Email::masked`].
        masked_email: String,
        /// Whether codes are mailed.
        has_codes: bool,
    },
    /// It names no account: register.
    Unknown { needs_invite: bool },
}

impl Service {
    /// Tells which account an identity names.
    ///
    /// # Errors
    /// The refusals of the captcha.
    pub async fn resolve(
        &self,
        name: AccountName,
        captcha_token: Option<&str>,
        client: &Client,
    ) -> Result<Resolved, Error> {
        self.check_captcha(captcha_token, client).await?;
        let rules = Arc::clone(&self.rules);
        let found = self.store.read(move |reader| {
            let (mode, _) = rules.registration_mode(reader)?;
            let id = reader.find_user_id(&name)?;
            let user = id.map(|id| reader.find_user(id)).transpose()?.flatten();
            Ok::<_, Error>((user, mode))
        });
        let (user, mode) = found.await?;
        let Some(user) = user else {
            let needs_invite = mode == RegistrationMode::InviteOnly;
            return Ok(Resolved::Unknown { needs_invite });
        };
        let flow = Flow {
            user_id: user.id,
            address: self.rules.keys.address_digest(&user.email),
            made_at: self.system.now(),
        };
        Ok(Resolved::Known {
            flow_token: self.rules.keys.new_flow_token(flow, &self.system),
            masked_email: user.email.masked(),
            has_codes: self.rules.settings.sign_in.codes,
        })
    }

    /// [`Service::send_code`] to the account of a flow token.
    ///
    /// # Errors
    /// [`Error::FlowTokenInvalid`], and those of [`Service::send_code`].
    pub async fn send_resolved_code(
        &self,
        token: Option<FlowToken>,
        captcha_token: Option<&str>,
        client: &Client,
    ) -> Result<(), Error> {
        let email = self.find_resolved(token).await?;
        self.send_code(email, captcha_token, client).await
    }

    /// [`Service::sign_in_by_code`] to the account of a flow token.
    ///
    /// # Errors
    /// [`Error::FlowTokenInvalid`], and those of [`Service::sign_in_by_code`].
    pub async fn sign_in_by_resolved_code(
        &self,
        token: Option<FlowToken>,
        code: OneTimeCode,
        client: Client,
        cookies: &[String],
    ) -> Result<SignedIn, Error> {
        let email = self.find_resolved(token).await?;
        self.sign_in_by_code(email, code, client, cookies).await
    }

    /// The address of the account of a flow token, for as long as it is the address that the account had when the token was made.
    async fn find_resolved(&self, token: Option<FlowToken>) -> Result<Email, Error> {
        self.rules.settings.code_digits.ok_or(Error::FeatureOff)?;
        let now = self.system.now();
        let flow = token.and_then(|token| self.rules.keys.open_flow_token(&token));
        let flow = flow.filter(|flow| flow.is_current(now));
        let flow = flow.ok_or(Error::FlowTokenInvalid)?;
        let found = self.store.read(move |reader| reader.find_user(flow.user_id));
        let email = found.await?.map(|user| user.email);
        let email = email.filter(|email| self.rules.keys.address_digest(email) == flow.address);
        email.ok_or(Error::FlowTokenInvalid)
    }
}
