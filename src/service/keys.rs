//! The keys that sign and verify access tokens.

use std::sync::Arc;

use super::{Error, Service};
use crate::crypto::Keyring;

impl Service {
    /// The keyring to sign with: the one that the last write of this process could see.
    pub(super) async fn keyring(&self) -> Result<Arc<Keyring>, Error> {
        self.keyring.current(&self.store, &self.rules.keys).await
    }

    /// The public halves of the signing keys as a JWK set: those that the database has now, or had when it could be read last.
    pub async fn jwks(&self) -> String {
        let keyring = self.keyring.published(&self.store, &self.rules.keys).await;
        keyring.jwks().to_owned()
    }
}
