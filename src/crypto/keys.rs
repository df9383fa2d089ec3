//! Keys derived from the key file, one for each purpose (HKDF-SHA-256, RFC 5869; a label separates the purposes, §3.2).

use std::net::IpAddr;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::refresh_token::RefreshTokens;
use crate::domain::{
    AccountName, AddressDigest, CodeMac, DomainDigest, Email, FailureDigest, FailureKey, FailureKind, Flow,
    FlowToken, Guessed, InviteCode, InviteDigest, KeyFingerprint, LinkDigest, LinkToken, NameDigest,
    OneTimeCode, Sealed, Timestamp, UserId, network_of, site_of,
};
use crate::system::System;

/// What a sealed secret is for. The purpose is authenticated with the secret, so that a secret that was moved to another row of the database does not open.
#[derive(Clone, Copy, Debug)]
pub enum SealedFor<'a> {
    /// The code of the invite with this id.
    Invite(&'a [u8; 16]),
    /// The private half of the signing key with this key id.
    SigningKey(&'a str),
    /// The mail with this id.
    Mail(&'a [u8; 16]),
    /// The time in a word that `arkloop check` sends to the server.
    CheckWord,
    /// What a flow token says.
    Flow,
}

impl SealedFor<'_> {
    fn context(self) -> Vec<u8> {
        match self {
            Self::Invite(id) => [b"invite\0".as_slice(), id].concat(),
            Self::SigningKey(kid) => [b"signing key\0".as_slice(), kid.as_bytes()].concat(),
            Self::Mail(id) => [b"mail\0".as_slice(), id].concat(),
            Self::CheckWord => b"check word".to_vec(),
            Self::Flow => b"flow".to_vec(),
        }
    }
}

/// The value was changed, moved, or sealed under another key.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a sealed value cannot be opened with this key")]
pub struct SealError;

/// Every key that is derived from the key file.
pub struct Keys {
    /// A text by which a database recognises its key file. It is not a secret, because the key cannot be computed from it.
    pub check: String,
    refresh: hmac::Key,
    invite: hmac::Key,
    address: hmac::Key,
    code: hmac::Key,
    name: hmac::Key,
    failure: hmac::Key,
    sealing: LessSafeKey,
    /// Flow tokens have their own key. Clients can request many of them, and each encryption counts against the limit of its key;
    /// the key of stored values is not affected.
    flow_sealing: LessSafeKey,
}

impl Keys {
    /// Derives the keys from the bytes of the key file. The file holds uniform random bytes, so that HKDF's extract step adds nothing (RFC 5869 §3.3).
    pub fn derive(root: &[u8; 32]) -> Self {
        const SHORT_ENOUGH: &str = "HKDF-SHA-256 gives up to 8 160 bytes";
        let root = Prk::new_less_safe(HKDF_SHA256, root);
        let mac_key = |label: &[u8]| -> hmac::Key {
            let expanded = root.expand(&[label], hmac::HMAC_SHA256).map(hmac::Key::from);
            expanded.expect(SHORT_ENOUGH)
        };
        let mut check = [0; 32];
        root.expand(&[b"arkloop v1 key check"], HKDF_SHA256)
            .and_then(|bytes| bytes.fill(&mut check))
            .expect(SHORT_ENOUGH);
        let sealing_key = |label: &[u8]| {
            let expanded = root.expand(&[label], &AES_256_GCM).map(UnboundKey::from);
            LessSafeKey::new(expanded.expect(SHORT_ENOUGH))
        };
        Self {
            check: URL_SAFE_NO_PAD.encode(check),
            refresh: mac_key(b"arkloop v1 refresh token"),
            invite: mac_key(b"arkloop v1 invite digest"),
            address: mac_key(b"arkloop v1 address digest"),
            code: mac_key(b"arkloop v1 one-time code"),
            name: mac_key(b"arkloop v1 name digest"),
            failure: mac_key(b"arkloop v1 password failure"),
            sealing: sealing_key(b"arkloop v1 sealing"),
            flow_sealing: sealing_key(b"arkloop v1 flow token"),
        }
    }

    /// The fingerprint by which people recognise the key file.
    pub fn fingerprint(&self) -> KeyFingerprint {
        fingerprint_of(&self.check).expect("it is the check value of these keys")
    }

    pub fn refresh_tokens(&self) -> RefreshTokens {
        RefreshTokens::new(self.refresh.clone())
    }

    /// The form in which an invite code is looked up.
    pub fn invite_digest(&self, code: &InviteCode) -> InviteDigest {
        InviteDigest(mac(&self.invite, &[code.as_bytes()]))
    }

    /// The form in which the codes of an address are found, whether or not it has an account.
    pub fn address_digest(&self, email: &Email) -> AddressDigest {
        AddressDigest(mac(&self.address, &[email.key().as_bytes()]))
    }

    /// The form by which mails to one domain are recognised while they are sealed.
    pub fn domain_digest(&self, email: &Email) -> DomainDigest {
        // No address begins with `@`, so this differs from the digest of every address.
        let digest = mac(&self.address, &[b"@", email.domain_key().as_bytes()]);
        let (first, _) = digest.as_chunks::<8>();
        DomainDigest(i64::from_be_bytes(first[0]))
    }

    /// The form in which the mails to a mailbox are counted; equal to the address digest of the same address without a tag.
    pub fn mailbox_digest(&self, email: &Email) -> AddressDigest {
        AddressDigest(mac(&self.address, &[email.mailbox_key().as_bytes()]))
    }

    /// The form in which the audit log keeps a username or an address; `None` for a text that cannot be an account's name.
    pub fn name_digest(&self, name: &AccountName) -> Option<NameDigest> {
        let key = match name {
            AccountName::Email(email) => email.key(),
            AccountName::Username(username) => username.key(),
            AccountName::Unusable(_) => return None,
        };
        Some(NameDigest(mac(&self.name, &[key.as_bytes()])))
    }

    /// The form in which a one-time code is stored, bound to its address and its time of creation.
    pub fn code_mac(&self, address: AddressDigest, created_at: Timestamp, code: &OneTimeCode) -> CodeMac {
        CodeMac(mac(
            &self.code,
            &[
                &address.0,
                &created_at.as_millis().to_be_bytes(),
                code.reveal().as_bytes(),
            ],
        ))
    }

    /// A word with the present time in it. Without the key file it can be neither created nor read.
    pub fn new_check_token(&self, system: &System) -> String {
        let now = system.now().as_millis().to_be_bytes();
        URL_SAFE_NO_PAD.encode(self.seal(SealedFor::CheckWord, &now, system).0)
    }

    /// The time when a word was created; `None` if it was not created with this key file.
    pub fn open_check_word(&self, word: &str) -> Option<Timestamp> {
        let sealed = Sealed(URL_SAFE_NO_PAD.decode(word).ok()?);
        let made_at = self.open(SealedFor::CheckWord, &sealed).ok()?;
        Some(Timestamp::from_millis(i64::from_be_bytes(
            made_at.try_into().ok()?,
        )))
    }

    pub fn new_flow_token(&self, flow: Flow, system: &System) -> FlowToken {
        FlowToken::new(self.seal(SealedFor::Flow, &flow.to_bytes(), system))
    }

    /// What a flow token says; `None` if it was not made with this key file.
    pub fn open_flow_token(&self, token: &FlowToken) -> Option<Flow> {
        Flow::from_bytes(&self.open(SealedFor::Flow, token.sealed()).ok()?)
    }

    /// The key under which wrong passwords for `guessed` from `address` are counted. All names of an account share one key; an unknown name has its own. An
    /// `address` of `None` is a process on this machine.
    pub fn failure_key(&self, guessed: Guessed<'_>, address: Option<IpAddr>) -> FailureKey {
        let (kind, digest) = match guessed {
            Guessed::Account(id) => (
                FailureKind::OfAccount,
                self.failure_digest(&[b"account\0", id.as_bytes()]),
            ),
            Guessed::UnknownName(name) => (
                FailureKind::OfUnknownName,
                self.failure_digest(&[b"name\0", name.as_bytes()]),
            ),
        };
        let place = |label: &[u8], place: Option<IpAddr>| {
            let place = place.map_or_else(String::new, |place| place.to_string());
            self.failure_digest(&[label, &digest.0, place.as_bytes()])
        };
        let network = place(b"network\0", address.map(network_of));
        let is_wide = address.is_some_and(|address| address.to_canonical().is_ipv6());
        FailureKey {
            kind,
            guessed: digest,
            network,
            // `network` and `site` need different labels, because the first network of a site has the same text as the site.
            site: if is_wide {
                place(b"site\0", address.map(site_of))
            } else {
                network
            },
            user_id: match guessed {
                Guessed::Account(id) => id,
                Guessed::UnknownName(_) => UserId::from_bytes(digest.0),
            },
            address,
        }
    }

    fn failure_digest(&self, parts: &[&[u8]]) -> FailureDigest {
        let whole = mac(&self.failure, parts);
        FailureDigest(
            *whole
                .first_chunk()
                .expect("HMAC-SHA-256 gives more than 16 bytes"),
        )
    }

    /// Seals `plaintext` with AES-256-GCM under a random nonce, bound to its purpose. (Random nonces allow 2³² sealings under one key, NIST SP 800-38D
    /// §8.3: far more than an auth server's invites, signing keys and mails, and than its flow tokens, which have another key.)
    pub fn seal(&self, purpose: SealedFor<'_>, plaintext: &[u8], system: &System) -> Sealed {
        let nonce: [u8; NONCE_LEN] = system.random();
        let mut sealed = plaintext.to_vec();
        self.sealing_key(purpose)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.context()),
                &mut sealed,
            )
            .expect("AES-GCM fails only beyond 64 GiB");
        Sealed([nonce.as_slice(), &sealed].concat())
    }

    fn sealing_key(&self, purpose: SealedFor<'_>) -> &LessSafeKey {
        match purpose {
            SealedFor::Flow => &self.flow_sealing,
            _ => &self.sealing,
        }
    }

    /// Opens what [`Keys::seal`] sealed for the same purpose.
    pub fn open(&self, purpose: SealedFor<'_>, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let (nonce, ciphertext) = sealed.0.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
        let mut opened = ciphertext.to_vec();
        let length = self
            .sealing_key(purpose)
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(purpose.context()),
                &mut opened,
            )
            .map_err(|_| SealError)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }
}

/// The fingerprint of the key file with this [check value](Keys::check); `None` if the text is not a check value.
pub fn fingerprint_of(check: &str) -> Option<KeyFingerprint> {
    let check: [u8; 32] = URL_SAFE_NO_PAD.decode(check).ok()?.try_into().ok()?;
    check.first_chunk().copied().map(KeyFingerprint)
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    context
        .sign()
        .as_ref()
        .try_into()
        .expect("HMAC-SHA-256 gives 32 bytes")
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// A short digest of a text that is no secret, in base64url.
pub fn text_digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(&sha256(text.as_bytes())[..9])
}

/// The form in which a link's secret is stored. The secret has 256 random bits, so a digest without a key does not reveal it.
pub fn link_digest(token: &LinkToken) -> LinkDigest {
    LinkDigest(sha256(token.as_bytes()))
}

/// Compares two MACs in constant time.
pub fn is_same_code(a: CodeMac, b: CodeMac) -> bool {
    constant_time::verify_slices_are_equal(&a.0, &b.0).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn what_was_sealed_opens_for_its_purpose_and_key_only() {
        let keys = Keys::derive(&[1; 32]);
        let sealed = keys.seal(SealedFor::Invite(&[7; 16]), b"secret", &System::machine());
        assert_eq!(
            keys.open(SealedFor::Invite(&[7; 16]), &sealed).expect("it opens"),
            b"secret"
        );
        assert!(keys.open(SealedFor::Invite(&[8; 16]), &sealed).is_err());
        assert!(keys.open(SealedFor::SigningKey("kid"), &sealed).is_err());
        assert!(
            Keys::derive(&[2; 32])
                .open(SealedFor::Invite(&[7; 16]), &sealed)
                .is_err()
        );
        assert!(
            keys.open(SealedFor::Invite(&[7; 16]), &Sealed(vec![0; 5]))
                .is_err()
        );
    }

    #[test]
    fn a_flow_token_is_read_with_its_key_only_and_shows_nothing() {
        let (keys, system) = (Keys::derive(&[1; 32]), System::machine());
        let email = Email::parse("alice@example.org").expect("it is valid");
        let flow = Flow {
            user_id: UserId::from_bytes([7; 16]),
            address: keys.address_digest(&email),
            made_at: system.now(),
        };
        let token = keys.new_flow_token(flow, &system);
        assert_eq!(keys.open_flow_token(&token), Some(flow));
        assert_eq!(Keys::derive(&[2; 32]).open_flow_token(&token), None);
        assert_ne!(keys.new_flow_token(flow, &system).reveal(), token.reveal());
        let sealed = &token.sealed().0;
        assert!(!sealed.windows(4).any(|bytes| bytes == [7; 4]), "{sealed:?}");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(
                keys.open_flow_token(&FlowToken::new(Sealed(changed))),
                None,
                "{at}"
            );
        }
        // What is sealed for another purpose is no flow token, whatever is in it.
        let other = keys.seal(SealedFor::CheckWord, &flow.to_bytes(), &system);
        assert_eq!(keys.open_flow_token(&FlowToken::new(other)), None);
    }

    #[test]
    fn two_sealings_of_one_secret_differ() {
        let (keys, system) = (Keys::derive(&[1; 32]), System::machine());
        let purpose = SealedFor::SigningKey("kid");
        assert_ne!(
            keys.seal(purpose, b"secret", &system),
            keys.seal(purpose, b"secret", &system)
        );
    }

    #[test]
    fn another_key_file_has_another_check_value() {
        let check = |root| Keys::derive(&[root; 32]).check;
        assert_eq!(check(1), check(1));
        assert_ne!(check(1), check(2));
    }
}
