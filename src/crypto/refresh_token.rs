//! Refresh tokens: `base64url(version ‖ session id ‖ generation ‖ MAC)`.
//!
//! The MAC is HMAC-SHA-256 over the other fields and the nonce of the session. The nonce is stored only in the database and the MAC key only outside of it,
//! so minting a token takes both. The token depends on nothing but session and generation, so that many tabs receive the same cookie.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use crate::domain::{Generation, Session, SessionId, SessionNonce};

/// The first byte of every token. A later format gets another number.
const VERSION: u8 = 1;
const ID_END: usize = 17;
const GENERATION_END: usize = 21;
const TOKEN_BYTES: usize = 53;
/// Where the mark of a session id begins. It replaces the last 32 of 74 random bits (RFC 9562 §5.7).
const MARK_AT: usize = 12;
/// The first byte of the message that a mark authenticates. No token has this version, so a mark is never the MAC of a token.
const MARK_PREFIX: u8 = 0;

/// A well-formed token; [`RefreshTokens::is_authentic`] checks its MAC.
#[derive(Clone, Copy)]
pub struct PresentedRefreshToken {
    bytes: [u8; TOKEN_BYTES],
    /// Not authenticated, and neither is the generation.
    pub session_id: SessionId,
    pub generation: Generation,
}

impl PresentedRefreshToken {
    /// Reads a cookie's value; `None` unless it is a well-formed token.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; TOKEN_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        if bytes[0] != VERSION {
            return None;
        }
        Some(Self {
            bytes,
            session_id: SessionId::from_bytes(bytes[1..ID_END].try_into().ok()?),
            generation: Generation(u32::from_be_bytes(bytes[ID_END..GENERATION_END].try_into().ok()?)),
        })
    }
}

/// Mints and checks refresh tokens.
#[derive(Clone)]
pub struct RefreshTokens(hmac::Key);

impl RefreshTokens {
    pub(super) fn new(key: hmac::Key) -> Self {
        Self(key)
    }

    /// Puts a keyed mark into a new session id, by which the server recognises its own ids without a query. A mark proves nothing else.
    pub fn mark(&self, id: SessionId) -> SessionId {
        let mut bytes = *id.as_bytes();
        let message = [&[MARK_PREFIX], &bytes[..MARK_AT]].concat();
        let mac = hmac::sign(&self.0, &message);
        let mark = &mac.as_ref()[..bytes.len() - MARK_AT];
        bytes[MARK_AT..].copy_from_slice(mark);
        SessionId::from_bytes(bytes)
    }

    /// Whether this server made the session id. Sessions from before version 0.2 have no mark.
    pub fn is_marked(&self, id: SessionId) -> bool {
        self.mark(id) == id
    }

    /// The token of the current generation of `session`.
    pub fn current(&self, session: &Session) -> SecretString {
        let mut bytes = [0; TOKEN_BYTES];
        bytes[0] = VERSION;
        bytes[1..ID_END].copy_from_slice(session.id.as_bytes());
        bytes[ID_END..GENERATION_END].copy_from_slice(&session.rotation.generation.0.to_be_bytes());
        let message = message(&bytes, session.nonce);
        bytes[GENERATION_END..].copy_from_slice(hmac::sign(&self.0, &message).as_ref());
        URL_SAFE_NO_PAD.encode(bytes).into()
    }

    /// Whether this server minted `token` for `session`. MACs are compared in constant time.
    pub fn is_authentic(&self, token: &PresentedRefreshToken, session: &Session) -> bool {
        let message = message(&token.bytes, session.nonce);
        token.session_id == session.id
            && hmac::verify(&self.0, &message, &token.bytes[GENERATION_END..]).is_ok()
    }
}

/// What the MAC covers: version, session id, generation, and the nonce of the session.
fn message(bytes: &[u8; TOKEN_BYTES], nonce: SessionNonce) -> [u8; GENERATION_END + 16] {
    let mut message = [0; GENERATION_END + 16];
    message[..GENERATION_END].copy_from_slice(&bytes[..GENERATION_END]);
    message[GENERATION_END..].copy_from_slice(&nonce.0);
    message
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::crypto::Keys;
    use crate::domain::{Client, Rotation, SignInMethod, Timestamp, UserId};

    fn session() -> Session {
        let now = Timestamp::from_millis(0);
        Session {
            id: SessionId::from_bytes([1; 16]),
            user_id: UserId::from_bytes([2; 16]),
            nonce: SessionNonce([3; 16]),
            rotation: Rotation {
                generation: Generation(7),
                ..Rotation::first(now, Client::LOCAL)
            },
            method: SignInMethod::Password,
            created_at: now,
            last_used_at: now,
            expires_at: now,
            ended: None,
            client: Client::default(),
        }
    }

    #[test]
    fn a_token_is_authentic_for_its_session_nonce_and_key_only() {
        let (tokens, session) = (Keys::derive(&[1; 32]).refresh_tokens(), session());
        let minted =
            PresentedRefreshToken::parse(tokens.current(&session).expose_secret()).expect("it has the form");
        assert_eq!(
            (minted.session_id, minted.generation),
            (session.id, Generation(7))
        );
        assert!(tokens.is_authentic(&minted, &session));
        assert!(!tokens.is_authentic(
            &minted,
            &Session {
                nonce: SessionNonce([4; 16]),
                ..session.clone()
            }
        ));
        assert!(!tokens.is_authentic(
            &minted,
            &Session {
                id: SessionId::from_bytes([9; 16]),
                ..session.clone()
            }
        ));
        assert!(
            !Keys::derive(&[2; 32])
                .refresh_tokens()
                .is_authentic(&minted, &session)
        );
    }

    #[test]
    fn an_id_is_known_by_its_mark_under_its_key_only() {
        let tokens = Keys::derive(&[1; 32]).refresh_tokens();
        let id = SessionId::from_bytes([1; 16]);
        assert!(!tokens.is_marked(id));
        let marked = tokens.mark(id);
        assert!(tokens.is_marked(marked));
        assert_eq!(marked.as_bytes()[..MARK_AT], id.as_bytes()[..MARK_AT]);
        assert!(!Keys::derive(&[2; 32]).refresh_tokens().is_marked(marked));
        for bit in 0..128 {
            let mut bytes = *marked.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!tokens.is_marked(SessionId::from_bytes(bytes)), "{bit}");
        }
    }
}
