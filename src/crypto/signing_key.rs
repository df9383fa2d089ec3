//! The keys that sign access tokens.

use std::error::Error;

use aws_lc_rs::agreement::{self, PrivateKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, Signature};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use secrecy::SecretString;
use serde::Serialize;

use crate::domain::SignatureAlgorithm;
use crate::system::System;

/// The length of a signature by either algorithm, in base64url: that of 64 bytes.
const SIGNATURE_CHARS: usize = 86;

pub(super) const fn jwt_algorithm(algorithm: SignatureAlgorithm) -> Algorithm {
    match algorithm {
        SignatureAlgorithm::EdDsa => Algorithm::EdDSA,
        SignatureAlgorithm::Es256 => Algorithm::ES256,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a signing key cannot be used")]
pub struct SigningKeyError(#[source] pub(super) Option<Box<dyn Error + Send + Sync>>);

impl SigningKeyError {
    fn because(cause: impl Error + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(cause)))
    }
}

/// A key pair that signs access tokens.
pub struct SigningKey {
    /// The key id: the RFC 7638 thumbprint.
    pub kid: String,
    pub algorithm: SignatureAlgorithm,
    private: KeyPair,
    /// The header of every token that this key signs, in base64url.
    header: String,
    pub(super) public: DecodingKey,
    pub(super) jwk: Jwk,
}

/// The parsed private key. `jsonwebtoken` parses the key for each token, which takes two fifths of the time of a token.
enum KeyPair {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
}

impl KeyPair {
    fn from_pkcs8(algorithm: SignatureAlgorithm, pkcs8: &[u8]) -> Result<Self, SigningKeyError> {
        let pair = match algorithm {
            SignatureAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::EdDsa),
            SignatureAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Self::Es256)
            }
        };
        pair.map_err(SigningKeyError::because)
    }

    /// The signature in the form of RFC 7518 §3.4 and RFC 8037 §3.1.
    fn sign(&self, message: &[u8]) -> Result<Signature, SigningKeyError> {
        let signature = match self {
            Self::EdDsa(pair) => pair.try_sign(message),
            // `sign` would also take a source of randomness, and ignore it.
            Self::Es256(pair) => pair.sign_digest(&digest(&SHA256, message)),
        };
        signature.map_err(SigningKeyError::because)
    }
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
        let encoding_key = match algorithm {
            SignatureAlgorithm::EdDsa => EncodingKey::from_ed_der(pkcs8),
            SignatureAlgorithm::Es256 => EncodingKey::from_ec_der(pkcs8),
        };
        let mut jwk = Jwk::from_encoding_key(&encoding_key, jwt_algorithm(algorithm))
            .map_err(SigningKeyError::because)?;
        let kid = jwk
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(SigningKeyError::because)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let public = DecodingKey::from_jwk(&jwk).map_err(SigningKeyError::because)?;
        let header = Header {
            kid: Some(kid.clone()),
            ..Header::new(jwt_algorithm(algorithm))
        };
        let header = serde_json::to_vec(&header).map_err(SigningKeyError::because)?;
        Ok(Self {
            kid,
            algorithm,
            private: KeyPair::from_pkcs8(algorithm, pkcs8)?,
            header: URL_SAFE_NO_PAD.encode(header),
            public,
            jwk,
        })
    }

    /// Makes a signed JWT (RFC 7515 §3.1).
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<SecretString, SigningKeyError> {
        let claims = serde_json::to_vec(claims).map_err(SigningKeyError::because)?;
        let claims_chars = base64::encoded_len(claims.len(), false).unwrap_or_default();
        // With the exact capacity, the conversion into a secret does not copy the token.
        let mut token = String::with_capacity(self.header.len() + claims_chars + SIGNATURE_CHARS + 2);
        token.push_str(&self.header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.private.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token.into())
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
