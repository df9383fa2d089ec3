//! The tokens of a session, which are minted when it begins or continues.

use std::time::Duration;

use secrecy::SecretString;

use super::rules::OpenSession;
use super::{Error, Service};
use crate::crypto::AccessClaims;
use crate::domain::{Timestamp, UserId};

/// A refresh token as a cookie.
#[derive(Debug)]
pub struct RefreshCookie {
    pub value: SecretString,
    /// The time until the end of the session, in whole seconds.
    pub max_age: Duration,
    /// When the session ends.
    pub expires_at: Timestamp,
}

/// The tokens for a user who has signed in or refreshed.
#[derive(Debug)]
pub struct SignedIn {
    pub user_id: UserId,
    pub access_token: SecretString,
    pub refresh: RefreshCookie,
}

impl Service {
    /// Mints the tokens of a session.
    pub(super) async fn mint_tokens(&self, open: &OpenSession) -> Result<SignedIn, Error> {
        let session = &open.session;
        let claims = AccessClaims {
            user_id: session.user_id,
            session_id: session.id,
            authenticated_at: session.created_at,
            method: session.method,
            is_email_verified: open.is_email_verified,
        };
        let keyring = self.keyring().await?;
        let access_token = keyring.issue(&claims, &self.system).map_err(Error::internal)?;
        Ok(SignedIn {
            user_id: session.user_id,
            access_token,
            refresh: self.refresh_cookie(open),
        })
    }

    /// The refresh cookie of a session.
    pub(super) fn refresh_cookie(&self, open: &OpenSession) -> RefreshCookie {
        let left = open.session.expires_at.since(open.at);
        RefreshCookie {
            value: self.rules.refresh_tokens.current(&open.session),
            max_age: Duration::from_secs(left.as_secs()),
            expires_at: open.session.expires_at,
        }
    }
}
