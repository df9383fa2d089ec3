//! Properties of tokens, sealed values and password hashes, tested with random values and with valid ones that were changed; `benches/fuzz` tries millions.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2_rust::params::{Memory, TagLen};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::sample::Index;
use secrecy::ExposeSecret;

use super::{
    AccessClaims, AccessTokenSettings, Keyring, Keys, PresentedRefreshToken, PublishedKey, RefreshTokens,
    SealedFor, SigningKey, is_same_code,
};
use crate::domain::properties::{almost, wild_text, wild_text_of};
use crate::domain::{
    Client, Email, Generation, InviteCode, OneTimeCode, Rotation, Sealed, Session, SessionId, SessionNonce,
    SignInMethod, SignatureAlgorithm, Timestamp, UserId,
};
use crate::system::System;
use crate::system::testing::{MovableClock, seeded_system};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::derive(&[1; 32]));
static REFRESH_TOKENS: LazyLock<RefreshTokens> = LazyLock::new(|| KEYS.refresh_tokens());
/// One key of each algorithm, with a token that it signed.
static SIGNED: LazyLock<[(Keyring, String); 2]> =
    LazyLock::new(|| [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa].map(signed));
/// Computes the hashes of all inputs, so that most of them are computed in memory that another hash has used.
static FAST_ARGON2ID: LazyLock<Mutex<argon2_rust::Hasher>> =
    LazyLock::new(|| Mutex::new(fast_argon2id(argon2_rust::Params::DEFAULT).hasher()));

const fn fast_argon2id(params: argon2_rust::Params) -> argon2_rust::Argon2 {
    argon2_rust::Argon2::new(
        argon2_rust::Algorithm::Argon2id,
        argon2_rust::Version::V0x13,
        params,
    )
}

/// Memory in KiB, passes and lanes. The memory is often the least that is allowed, a little more, which is rounded down, or about the 2 MiB from which the fast
/// implementation maps pages.
fn hash_costs() -> impl Strategy<Value = (u32, u32, u32)> {
    (1..=4_u32).prop_flat_map(|lanes| {
        let least = 8 * lanes;
        let memory = prop_oneof![
            Just(least),
            least + 1..=least + 4 * lanes,
            least..=512,
            2047..=2049_u32
        ];
        (memory, 1..=4_u32, Just(lanes))
    })
}

fn system(seed: u64) -> System {
    seeded_system(&Arc::new(MovableClock::new(NOW)), seed)
}

fn signed(algorithm: SignatureAlgorithm) -> (Keyring, String) {
    let (key, _) = SigningKey::generate(algorithm, &system(1)).expect("it is generated");
    let settings = AccessTokenSettings {
        issuer: "http://a".to_owned(),
        audience: "arkloop".to_owned(),
        ttl: Duration::from_mins(15),
    };
    let published = PublishedKey {
        key,
        active_at: NOW,
        retired_at: None,
    };
    let keyring = Keyring::new(vec![published], settings);
    let claims = AccessClaims {
        user_id: UserId::from_bytes([1; 16]),
        session_id: SessionId::from_bytes([2; 16]),
        authenticated_at: NOW,
        method: SignInMethod::Password,
        is_email_verified: true,
    };
    let token = keyring.issue(&claims, &system(2)).expect("it signs");
    (keyring, token.expose_secret().to_owned())
}

fn session(id: [u8; 16], generation: u32, nonce: [u8; 16]) -> Session {
    Session {
        id: SessionId::from_bytes(id),
        user_id: UserId::from_bytes([2; 16]),
        nonce: SessionNonce(nonce),
        rotation: Rotation {
            generation: Generation(generation),
            ..Rotation::first(NOW, Client::LOCAL)
        },
        method: SignInMethod::Password,
        created_at: NOW,
        last_used_at: NOW,
        expires_at: NOW,
        ended: None,
        client: Client::default(),
    }
}

/// `bytes` with one bit flipped.
fn flipped(mut bytes: Vec<u8>, place: Index) -> Vec<u8> {
    let bit = place.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// `text` with one character replaced by another of base64url.
fn changed(text: &str, place: Index, to: char) -> String {
    let at = place.index(text.len());
    let (before, after) = (&text[..at], &text[at + 1..]);
    format!("{before}{to}{after}")
}

proptest! {
    #[test]
    fn a_refresh_token_says_its_session_and_generation(id: [u8; 16], generation: u32, nonce: [u8; 16]) {
        let session = session(id, generation, nonce);
        let minted = REFRESH_TOKENS.current(&session);
        let read = PresentedRefreshToken::parse(minted.expose_secret()).expect("it has the form");
        prop_assert_eq!((read.session_id, read.generation), (session.id, session.rotation.generation));
        prop_assert!(REFRESH_TOKENS.is_authentic(&read, &session));
    }

    #[test]
    fn one_changed_bit_makes_a_refresh_token_worthless(id: [u8; 16], generation: u32, place: Index) {
        let session = session(id, generation, [3; 16]);
        let minted = URL_SAFE_NO_PAD.decode(REFRESH_TOKENS.current(&session).expose_secret()).expect("it is base64url");
        let token = PresentedRefreshToken::parse(&URL_SAFE_NO_PAD.encode(flipped(minted, place)));
        prop_assert!(token.is_none_or(|token| !REFRESH_TOKENS.is_authentic(&token, &session)));
    }

    #[test]
    fn one_changed_character_makes_a_refresh_token_worthless(place: Index, to in "[A-Za-z0-9_-]") {
        let session = session([1; 16], 7, [3; 16]);
        let minted = REFRESH_TOKENS.current(&session).expose_secret().to_owned();
        let text = changed(&minted, place, to.chars().next().expect("it is one"));
        prop_assume!(text != minted);
        let token = PresentedRefreshToken::parse(&text);
        prop_assert!(token.is_none_or(|token| !REFRESH_TOKENS.is_authentic(&token, &session)));
    }

    #[test]
    fn no_text_is_an_authentic_refresh_token(text in prop_oneof![
        wild_text(), almost("[A-Za-z0-9_-]{71}"), almost("AQ[A-Za-z0-9_-]{69}"),
    ]) {
        let Some(token) = PresentedRefreshToken::parse(&text) else { return Ok(()) };
        let claimed = session(*token.session_id.as_bytes(), token.generation.0, [3; 16]);
        prop_assert!(!REFRESH_TOKENS.is_authentic(&token, &claimed));
    }

    #[test]
    fn no_text_is_an_access_token(text in prop_oneof![
        wild_text_of(90),
        "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,200}\\.[A-Za-z0-9_-]{0,90}",
        (wild_text(), wild_text(), "[A-Za-z0-9_-]{86}").prop_map(|(head, claims, signature)| {
            format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims))
        }),
    ]) {
        for (keyring, _) in &*SIGNED {
            prop_assert!(keyring.verify(&text, NOW).is_err());
        }
    }

    #[test]
    fn one_changed_bit_makes_an_access_token_worthless(part in 0..3_usize, place: Index) {
        for (keyring, token) in &*SIGNED {
            let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
            let bytes = URL_SAFE_NO_PAD.decode(&parts[part]).expect("it is base64url");
            parts[part] = URL_SAFE_NO_PAD.encode(flipped(bytes, place));
            prop_assert!(keyring.verify(&parts.join("."), NOW).is_err());
            prop_assert!(keyring.verify(token, NOW).is_ok());
        }
    }

    #[test]
    fn one_changed_character_makes_an_access_token_worthless(place: Index, to in "[A-Za-z0-9_.=-]") {
        for (keyring, token) in &*SIGNED {
            let text = changed(token, place, to.chars().next().expect("it is one"));
            prop_assert!(text == *token || keyring.verify(&text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_sealed_opens_unchanged_or_not_at_all(
        secret in prop::collection::vec(any::<u8>(), 0..200), id: [u8; 16], place: Index, seed: u64,
    ) {
        let sealed = KEYS.seal(SealedFor::Mail(&id), &secret, &system(seed));
        prop_assert_eq!(KEYS.open(SealedFor::Mail(&id), &sealed).ok(), Some(secret));
        prop_assert!(KEYS.open(SealedFor::Invite(&id), &sealed).is_err());
        let changed = Sealed(flipped(sealed.0, place));
        prop_assert!(KEYS.open(SealedFor::Mail(&id), &changed).is_err());
    }

    #[test]
    fn no_bytes_open(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(KEYS.open(SealedFor::SigningKey("kid"), &Sealed(bytes)).is_err());
    }

    #[test]
    fn an_invite_is_found_by_every_spelling_of_its_code_only(
        a: [u8; InviteCode::RANDOM_BYTES], b: [u8; InviteCode::RANDOM_BYTES],
    ) {
        let (code, other) = (InviteCode::from_random(a), InviteCode::from_random(b));
        let typed = InviteCode::parse(&code.reveal().to_lowercase()).expect("it is a code");
        prop_assert!(KEYS.invite_digest(&code) == KEYS.invite_digest(&typed));
        prop_assert_eq!(KEYS.invite_digest(&code) == KEYS.invite_digest(&other), code == other);
    }

    #[test]
    fn a_code_fits_its_address_and_moment_only(bits: [u8; 8], other: [u8; 8], millis in 1..1_i64 << 50) {
        let address = |text: &str| KEYS.address_digest(&Email::parse(text).expect("it is an address"));
        let code = |bits| OneTimeCode::from_random(bits, 6);
        let mac = |address, millis, bits| KEYS.code_mac(address, Timestamp::from_millis(millis), &code(bits));
        let (alice, bob) = (address("alice@example.org"), address("bob@example.org"));
        let stored = mac(alice, millis, bits);
        prop_assert!(is_same_code(stored, mac(address("ALICE@Example.org"), millis, bits)));
        prop_assert!(!is_same_code(stored, mac(bob, millis, bits)));
        prop_assert!(!is_same_code(stored, mac(alice, millis + 1, bits)));
        prop_assert_eq!(is_same_code(stored, mac(alice, millis, other)), code(bits).reveal() == code(other).reveal());
    }

    #[test]
    fn both_implementations_of_argon2id_agree(
        (memory_kib, passes, lanes) in hash_costs(), length in 4..=128_usize, is_memory_new: bool,
        password in prop::collection::vec(any::<u8>(), 0..=1024), salt in prop::collection::vec(any::<u8>(), 8..=64),
    ) {
        let (mut portable, mut fast) = (vec![0; length], vec![0; length]);
        let params = argon2::Params::new(memory_kib, passes, lanes, Some(length)).expect("the cost is allowed");
        let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        argon2.hash_password_into(&password, &salt, &mut portable).expect("it is computed");
        let params = argon2_rust::Params::builder().memory(Memory::kib(memory_kib.into())).passes(passes).lanes(lanes);
        let params = params.threads(1).tag_len(TagLen::bytes(length as u64)).build().expect("the cost is allowed");
        let mut hasher = FAST_ARGON2ID.lock();
        if is_memory_new {
            hasher.clear();
        }
        hasher.set_argon2(fast_argon2id(params));
        hasher.hash_into(&password, &salt, &mut fast).expect("it is computed");
        prop_assert_eq!(portable, fast);
    }
}
