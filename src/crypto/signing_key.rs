//! The keys that sign access tokens.

use aws_lc_rs::agreement::{self, PrivateKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use crate::domain::SignatureAlgorithm;
use crate::system::System;

pub(super) const fn jwt_algorithm(algorithm: SignatureAlgorithm) -> Algorithm {
    match algorithm {
        SignatureAlgorithm::EdDsa => Algorithm::EdDSA,
        SignatureAlgorithm::Es256 => Algorithm::ES256,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a signing key cannot be used")]
pub struct SigningKeyError(#[source] pub(super) Option<jsonwebtoken::errors::Error>);

/// A key pair that signs access tokens.
pub struct SigningKey {
    /// The key id: the RFC 7638 thumbprint.
    pub kid: String,
    pub algorithm: SignatureAlgorithm,
    pub(super) private: EncodingKey,
    pub(super) public: DecodingKey,
    pub(super) jwk: Jwk,
}

impl SigningKey {
    /// Generates a key pair. Also returns its private key as PKCS#8, which the caller seals.
    pub fn generate(
        algorithm: SignatureAlgorithm,
        system: &System,
    ) -> Result<(Self, Vec<u8>), SigningKeyError> {
        let pkcs8 = match algorithm {
            SignatureAlgorithm::EdDsa => ed25519_pkcs8(&system.random()),
            // About one random number in 2³² is not a valid scalar of P-256, so a few attempts suffice.
            SignatureAlgorithm::Es256 => (0..4).find_map(|_| p256_pkcs8(&system.random())),
        };
        let pkcs8 = pkcs8.ok_or(SigningKeyError(None))?;
        Ok((Self::from_pkcs8(algorithm, &pkcs8)?, pkcs8))
    }

    /// Reads a private key from [`SigningKey::generate`].
    pub fn from_pkcs8(algorithm: SignatureAlgorithm, pkcs8: &[u8]) -> Result<Self, SigningKeyError> {
        let fail = |error| SigningKeyError(Some(error));
        let private = match algorithm {
            SignatureAlgorithm::EdDsa => EncodingKey::from_ed_der(pkcs8),
            SignatureAlgorithm::Es256 => EncodingKey::from_ec_der(pkcs8),
        };
        let mut jwk = Jwk::from_encoding_key(&private, jwt_algorithm(algorithm)).map_err(fail)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(fail)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let public = DecodingKey::from_jwk(&jwk).map_err(fail)?;
        Ok(Self {
            kid,
            algorithm,
            private,
            public,
            jwk,
        })
    }
}

fn ed25519_pkcs8(seed: &[u8; 32]) -> Option<Vec<u8>> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
    Some(pair.to_pkcs8v1().ok()?.as_ref().to_vec())
}

fn p256_pkcs8(scalar: &[u8; 32]) -> Option<Vec<u8>> {
    let public = PrivateKey::from_private_key(&agreement::ECDH_P256, scalar)
        .ok()?
        .compute_public_key()
        .ok()?;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        scalar,
        public.as_ref(),
    );
    Some(pair.ok()?.to_pkcs8v1().ok()?.as_ref().to_vec())
}
