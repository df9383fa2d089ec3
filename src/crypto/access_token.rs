//! Access tokens: JWTs (RFC 7519, profile of RFC 9068 as far as it applies) signed by a key whose public half is in the JWKS.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Header, Validation, decode, decode_header};
use parking_lot::Mutex;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::keys::sha256;
use super::signing_key::{SigningKey, SigningKeyError, jwt_algorithm};
use crate::domain::{SessionId, SignInMethod, Timestamp, UserId};
use crate::system::System;

/// How many verified tokens are remembered, in about 2 MiB. When this number is reached, remembered tokens are dropped.
const REMEMBERED_TOKENS: usize = 8192;
/// The maximum length of a token: more than any token of this server has. A longer token is refused before it is decoded.
const MAX_TOKEN_BYTES: usize = 2048;

/// The settings that all access tokens share.
#[derive(Clone, Debug)]
pub struct AccessTokenSettings {
    /// The public URL of this server.
    pub issuer: String,
    pub audience: String,
    /// The time from `iat` to `exp`.
    pub ttl: Duration,
}

/// The claims of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// `sub`.
    pub user_id: UserId,
    /// `sid`.
    pub session_id: SessionId,
    /// `auth_time`: when the session began.
    pub authenticated_at: Timestamp,
    /// `amr`.
    pub method: SignInMethod,
    /// `email_verified`: whether the address was verified when the token was issued.
    pub is_email_verified: bool,
}

#[derive(Serialize, Deserialize)]
struct WireClaims<'a> {
    iss: Cow<'a, str>,
    aud: Cow<'a, str>,
    sub: String,
    sid: String,
    jti: String,
    iat: i64,
    exp: i64,
    auth_time: i64,
    amr: Vec<Cow<'a, str>>,
    email_verified: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// Authentic, but past its `exp`.
    #[error("the access token has expired")]
    Expired,
    #[error("the access token is not valid")]
    Invalid,
    /// No known key has the id in its header.
    #[error("the access token is of an unknown key")]
    UnknownKey,
}

/// A signing key in the JWKS, with the period in which it signs.
pub struct PublishedKey {
    pub key: SigningKey,
    pub active_at: Timestamp,
    pub retired_at: Option<Timestamp>,
}

impl PublishedKey {
    fn signs_at(&self, now: Timestamp) -> bool {
        self.active_at <= now && self.retired_at.is_none_or(|retired_at| now < retired_at)
    }
}

/// Signs access tokens with the active key, and verifies tokens of all its keys.
pub struct Keyring {
    keys: Vec<PublishedKey>,
    pub settings: AccessTokenSettings,
    jwks: String,
    remembered: Mutex<HashMap<[u8; 32], Verified>>,
}

/// A token with a valid signature.
#[derive(Clone)]
struct Verified {
    claims: AccessClaims,
    /// `exp`.
    expires_at: i64,
    /// The index of the key that signed it.
    key: usize,
}

impl Keyring {
    /// Publishes `keys` in this order. If none of them is active, because the clock was set back, the first one signs.
    pub fn new(keys: Vec<PublishedKey>, settings: AccessTokenSettings) -> Self {
        let set = JwkSet {
            keys: keys.iter().map(|published| published.key.jwk.clone()).collect(),
        };
        let jwks = serde_json::to_string(&set).expect("a JWK set is made of texts");
        Self {
            keys,
            settings,
            jwks,
            remembered: Mutex::default(),
        }
    }

    /// For each key: its id, when it became active, and when it was retired.
    pub fn key_times(&self) -> impl Iterator<Item = (&str, Timestamp, Option<Timestamp>)> {
        self.keys
            .iter()
            .map(|published| (&*published.key.kid, published.active_at, published.retired_at))
    }

    /// The public halves as a JWK set (RFC 7517 §5).
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// Signs a token that is valid from now on.
    pub fn issue(&self, claims: &AccessClaims, system: &System) -> Result<SecretString, SigningKeyError> {
        let now = system.now();
        let key = self.signer(now).ok_or(SigningKeyError(None))?;
        let wire = WireClaims {
            iss: Cow::Borrowed(&self.settings.issuer),
            aud: Cow::Borrowed(&self.settings.audience),
            sub: claims.user_id.to_string(),
            sid: claims.session_id.to_string(),
            jti: URL_SAFE_NO_PAD.encode(system.random::<16>()),
            iat: now.as_seconds(),
            exp: (now + self.settings.ttl).as_seconds(),
            auth_time: claims.authenticated_at.as_seconds(),
            amr: vec![Cow::Borrowed(claims.method.into_str())],
            email_verified: claims.is_email_verified,
        };
        key.sign(&wire)
    }

    fn signer(&self, now: Timestamp) -> Option<&SigningKey> {
        let on_time = self.keys.iter().filter(|published| published.signs_at(now));
        let signer = on_time.max_by_key(|published| published.active_at);
        signer.or(self.keys.first()).map(|published| &published.key)
    }

    /// Checks signature, issuer, audience and time of a token. Returns its claims, and the id of the key that signed it.
    ///
    /// A valid signature is remembered, so that it is seldom verified again. The time is checked on every call.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<(AccessClaims, &str), AccessTokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AccessTokenError::Invalid);
        }
        let digest = sha256(token.as_bytes());
        let remembered = self.remembered.lock().get(&digest).cloned();
        let verified = if let Some(verified) = remembered {
            verified
        } else {
            let verified = self.verify_signature(token)?;
            self.remember(digest, &verified, now);
            verified
        };
        let key = self.keys.get(verified.key).ok_or(AccessTokenError::Invalid)?;
        if verified.expires_at <= now.as_seconds() {
            return Err(AccessTokenError::Expired);
        }
        Ok((verified.claims, &key.key.kid))
    }

    fn verify_signature(&self, token: &str) -> Result<Verified, AccessTokenError> {
        let header = decode_header(token).map_err(|_| AccessTokenError::Invalid)?;
        let is_signer = |published: &PublishedKey| header.kid.as_ref() == Some(&published.key.kid);
        let index = self.keys.iter().position(is_signer);
        let index = index.ok_or(AccessTokenError::UnknownKey)?;
        self.verify_with(index, token, &header)
            .ok_or(AccessTokenError::Invalid)
    }

    fn verify_with(&self, index: usize, token: &str, header: &Header) -> Option<Verified> {
        let key = &self.keys[index].key;
        // Extensions that the header calls critical must be understood (RFC 7515 §4.1.11), and none is supported.
        if header.typ.as_deref() != Some("JWT") || header.crit.is_some() {
            return None;
        }
        let mut validation = Validation::new(jwt_algorithm(key.algorithm));
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.leeway = 0;
        // The library would read the clock of the machine; `verify` compares `exp` with the caller's `now`.
        validation.validate_exp = false;
        let wire = decode::<WireClaims<'_>>(token, &key.public, &validation)
            .ok()?
            .claims;
        let claims = AccessClaims {
            user_id: wire.sub.parse().ok()?,
            session_id: wire.sid.parse().ok()?,
            authenticated_at: Timestamp::from_millis(wire.auth_time.checked_mul(1000)?),
            method: wire.amr.first()?.parse().ok()?,
            is_email_verified: wire.email_verified,
        };
        Some(Verified {
            claims,
            expires_at: wire.exp,
            key: index,
        })
    }

    fn remember(&self, digest: [u8; 32], verified: &Verified, now: Timestamp) {
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED_TOKENS {
            remembered.retain(|_, verified| verified.expires_at > now.as_seconds());
        }
        // If all are still valid, forgetting all is simpler than evicting the oldest.
        if remembered.len() >= REMEMBERED_TOKENS {
            remembered.clear();
        }
        remembered.insert(digest, verified.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jsonwebtoken::{Algorithm, EncodingKey};
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;
    use crate::domain::SignatureAlgorithm;
    use crate::system::testing::{MovableClock, seeded_system};

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn system(seed: u64) -> System {
        seeded_system(&Arc::new(MovableClock::new(NOW)), seed)
    }

    fn keyring(algorithm: SignatureAlgorithm, audience: &str, seed: u64) -> Keyring {
        let (key, _) = SigningKey::generate(algorithm, &system(seed)).expect("it is generated");
        let ttl = Duration::from_mins(15);
        Keyring::new(
            vec![PublishedKey {
                key,
                active_at: NOW,
                retired_at: None,
            }],
            AccessTokenSettings {
                issuer: "http://a".into(),
                audience: audience.into(),
                ttl,
            },
        )
    }

    fn claims() -> AccessClaims {
        AccessClaims {
            user_id: UserId::from_bytes([1; 16]),
            session_id: SessionId::from_bytes([2; 16]),
            authenticated_at: NOW,
            method: SignInMethod::Password,
            is_email_verified: true,
        }
    }

    #[test]
    fn both_algorithms_sign_what_they_verify_until_it_expires() {
        for algorithm in [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256] {
            let keyring = keyring(algorithm, "arkloop", 1);
            let token = keyring.issue(&claims(), &system(2)).expect("it signs");
            // On the second call, the signature is remembered.
            for _ in 0..2 {
                let verified = keyring.verify(token.expose_secret(), NOW + Duration::from_secs(899));
                assert_eq!(verified.map(|(claims, _)| claims), Ok(claims()));
                let end = NOW + Duration::from_mins(15);
                assert_eq!(
                    keyring.verify(token.expose_secret(), end).map(|_| ()),
                    Err(AccessTokenError::Expired)
                );
            }
        }
    }

    /// The token of [`claims`] in the compact serialization of `jsonwebtoken`, signed with the key of `keyring(algorithm, "arkloop", 1)`.
    fn made_by_jsonwebtoken(algorithm: SignatureAlgorithm) -> String {
        let (key, pkcs8) = SigningKey::generate(algorithm, &system(1)).expect("it is generated");
        let (algorithm, private) = match algorithm {
            SignatureAlgorithm::EdDsa => (Algorithm::EdDSA, EncodingKey::from_ed_der(&pkcs8)),
            SignatureAlgorithm::Es256 => (Algorithm::ES256, EncodingKey::from_ec_der(&pkcs8)),
        };
        let header = Header {
            kid: Some(key.kid),
            ..Header::new(algorithm)
        };
        let claims = json!({
            "iss": "http://a",
            "aud": "arkloop",
            "sub": "01010101-0101-0101-0101-010101010101",
            "sid": "02020202-0202-0202-0202-020202020202",
            "jti": URL_SAFE_NO_PAD.encode(system(2).random::<16>()),
            "iat": 1_767_225_600,
            "exp": 1_767_226_500,
            "auth_time": 1_767_225_600,
            "amr": ["pwd"],
            "email_verified": true,
        });
        jsonwebtoken::encode(&header, &claims, &private).expect("it signs")
    }

    #[test]
    fn a_token_is_what_jsonwebtoken_makes_of_the_same_claims() {
        for algorithm in [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256] {
            let keyring = keyring(algorithm, "arkloop", 1);
            let token = keyring.issue(&claims(), &system(2)).expect("it signs");
            let (token, expected) = (token.expose_secret(), made_by_jsonwebtoken(algorithm));
            match algorithm {
                SignatureAlgorithm::EdDsa => assert_eq!(token, expected),
                // A signature by ES256 depends on a random number, so that two of the same text differ.
                SignatureAlgorithm::Es256 => {
                    let [signed, expected] = [token, &expected].map(|token| token.rsplit_once('.'));
                    assert_eq!(signed.map(|parts| parts.0), expected.map(|parts| parts.0));
                    assert!(keyring.verify(token, NOW).is_ok());
                }
            }
        }
    }

    #[test]
    fn tokens_of_other_keys_and_audiences_are_refused() {
        let keyring_a = keyring(SignatureAlgorithm::EdDsa, "arkloop", 1);
        for (audience, seed, refusal) in [
            ("arkloop", 9, AccessTokenError::UnknownKey),
            ("other", 1, AccessTokenError::Invalid),
        ] {
            let other = keyring(SignatureAlgorithm::EdDsa, audience, seed);
            let token = other.issue(&claims(), &system(2)).expect("it signs");
            let verified = keyring_a.verify(token.expose_secret(), NOW);
            assert_eq!(verified.map(|_| ()), Err(refusal));
        }
    }

    #[test]
    fn each_key_signs_in_its_time() {
        let hour = Duration::from_hours(1);
        let [old, new] = [1, 2].map(|seed| SigningKey::generate(SignatureAlgorithm::EdDsa, &system(seed)));
        let (old, new) = (old.expect("it is generated").0, new.expect("it is generated").0);
        let kids = [old.kid.clone(), new.kid.clone()];
        let published = |key, active_at, retired_at| PublishedKey {
            key,
            active_at,
            retired_at,
        };
        let keys = vec![
            published(new, NOW + hour, None),
            published(old, NOW, Some(NOW + hour)),
        ];
        let settings = keyring(SignatureAlgorithm::EdDsa, "arkloop", 1).settings;
        let keyring = Keyring::new(keys, settings);
        let signer = |at| keyring.signer(at).map(|key| key.kid.as_str());
        let moment = Duration::from_millis(1);
        assert_eq!(signer(NOW), Some(kids[0].as_str()));
        assert_eq!(signer(NOW + hour - moment), Some(kids[0].as_str()));
        assert_eq!(signer(NOW + hour), Some(kids[1].as_str()));
        // A clock that was set back must not stop all sign-ins.
        assert_eq!(signer(NOW - hour), Some(kids[1].as_str()));
    }

    #[test]
    fn the_memory_of_verified_tokens_is_bounded() {
        let keyring = keyring(SignatureAlgorithm::EdDsa, "arkloop", 1);
        for i in 0..=REMEMBERED_TOKENS as u64 {
            let digest = sha256(&i.to_be_bytes());
            let verified = Verified {
                claims: claims(),
                expires_at: NOW.as_seconds() + 10,
                key: 0,
            };
            keyring.remember(digest, &verified, NOW);
        }
        assert_eq!(keyring.remembered.lock().len(), 1);
    }
}
