//! One-time codes: mailing one, and signing in with it.
//!
//! An address with an account and one without are treated alike in every step: the same reads, the same composing and sealing, one write, the same
//! limits. What differs is only whether the mail is ever sent and whether a code can be right.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::post::Post;
use super::sign_in::{Entrant, OpenSession, SignedIn};
use super::{Error, Service};
use crate::crypto::is_same_code;
use crate::domain::{
    AccountName, AddressDigest, CODE_LOCK, CODE_TTL, Client, CodeMac, Email, Letter, LinkPurpose, Locale,
    MailPurpose, OneTimeCode, SessionEnd, SignInMethod, Timestamp, User, UserStatus,
};
use crate::store::{CodeRow, Tx};

/// What came of a code inside its transaction. All of it is `Ok` there: a refusal must leave its count behind.
enum Verified {
    SignedIn(OpenSession),
    Wrong,
    Locked(Duration),
    Suspended,
}

impl Service {
    /// Mails a code to an address, if it has an account.
    ///
    /// # Errors
    /// [`Error::FeatureOff`], [`Error::MailUnavailable`], [`Error::CodeRateLimited`], [`Error::CodeLocked`], the refusals of the captcha; alike for every
    /// address.
    pub async fn send_code(
        &self,
        email: Email,
        captcha_token: Option<&str>,
        client_address: Option<IpAddr>,
    ) -> Result<(), Error> {
        let length = self.settings.code_length.ok_or(Error::FeatureOff)?;
        self.post.refuse_without_mail()?;
        self.check_captcha(captcha_token, client_address).await?;
        let (found, name) = (self.find_user_by_email(&email).await?, email.key());
        let address = self.post.keys.address_digest(&email);
        let (code, now) = (
            OneTimeCode::from_random(self.system.random(), length),
            self.system.now(),
        );
        let letter = Letter::SignInCode {
            code: code.reveal().to_owned(),
            minutes: 10,
        };
        let mail = match &found {
            Some(user) => self.post.row(&letter, &user.email, &user.locale, now, CODE_TTL),
            None => self.post.decoy(&letter, &email, &Locale::default(), now),
        };
        let mac = match &found {
            Some(_) => self.post.keys.code_mac(address, now, &code),
            None => CodeMac(self.system.random()),
        };
        let row = CodeRow {
            address,
            user_id: found.map(|user| user.id),
            mac,
            created_at: now,
            expires_at: now + CODE_TTL,
        };
        self.write_and_mail(move |tx| {
            refuse_locked(tx, address, now)?;
            spend_budget(tx, address, MailPurpose::SignIn, now)?;
            // The account may have gone or come meanwhile; then the code is merely never right.
            let is_there = tx.find_user_id(&AccountName::Email(Email::from_stored(name)))?;
            tx.replace_code(&CodeRow {
                user_id: row.user_id.filter(|id| is_there == Some(*id)),
                ..row
            })?;
            Ok::<_, Error>(tx.insert_mail(&mail)?)
        })
        .await?;
        Ok(())
    }

    /// Signs in with a code that was mailed to `email`.
    ///
    /// It proves the mailbox: an address that was never verified becomes so, and whoever had registered it without owning it loses the account.
    ///
    /// # Errors
    /// [`Error::CodeInvalid`] for everything that is wrong with it, [`Error::CodeLocked`], [`Error::UserSuspended`] after a right code,
    /// [`Error::FeatureOff`].
    pub async fn sign_in_by_code(
        &self,
        email: Email,
        code: OneTimeCode,
        client: Client,
        presented: &[String],
    ) -> Result<SignedIn, Error> {
        self.settings.code_length.ok_or(Error::FeatureOff)?;
        let (gate, post, presented) = (self.gate(), Arc::clone(&self.post), presented.to_vec());
        let verified = self.write_and_mail(move |tx| {
            let (address, now) = (post.keys.address_digest(&email), post.system.now());
            if let Some(until) = tx.find_code_lock(address, now)? {
                return Ok(Verified::Locked(until.since(now)));
            }
            let Some(user) = compare(tx, &post, &email, &code, now)? else {
                return Ok(Verified::Wrong);
            };
            if user.status == UserStatus::Suspended {
                return Ok(Verified::Suspended);
            }
            let user = prove_address(tx, &post, user, now)?;
            tx.forgive_code_failures(address)?;
            let entrant = Entrant {
                user: &user,
                method: SignInMethod::OneTimeCode,
                client,
                presented: &presented,
            };
            Ok::<_, Error>(Verified::SignedIn(gate.admit(tx, &entrant)?))
        });
        match verified.await? {
            Verified::SignedIn(open) => self.sign_in(&open),
            Verified::Wrong => Err(Error::CodeInvalid),
            Verified::Locked(retry_after) => Err(Error::CodeLocked { retry_after }),
            Verified::Suspended => Err(Error::UserSuspended),
        }
    }

    /// The account with this address: one search, whether or not there is one.
    pub(super) async fn find_user_by_email(&self, email: &Email) -> Result<Option<User>, Error> {
        let email = email.clone();
        self.store
            .read(move |reader| reader.find_user_by_email(&email).map_err(Error::from))
            .await
    }
}

/// Counts the comparison, compares, and uses the code up: the user if it was right.
fn compare(
    tx: &Tx<'_>,
    post: &Post,
    email: &Email,
    code: &OneTimeCode,
    now: Timestamp,
) -> Result<Option<User>, Error> {
    let address = post.keys.address_digest(email);
    let Some(counted) = tx.count_code_attempt(address, now)? else {
        return Ok(None);
    };
    let is_right = is_same_code(counted.mac, post.keys.code_mac(address, counted.created_at, code));
    let user = counted.user_id.map(|id| tx.find_user(id)).transpose()?.flatten();
    match user.filter(|user| is_right && user.email.key() == email.key()) {
        Some(user) if tx.use_code(address, now)? => Ok(Some(user)),
        _ => {
            tx.count_code_failure(address, now + CODE_LOCK)?;
            Ok(None)
        }
    }
}

/// Notes that the user receives mail at their address. If that was never proved before, the password was set by somebody who had not proved it either:
/// it is dropped, every session ends, and the owner is told.
fn prove_address(tx: &Tx<'_>, post: &Post, user: User, now: Timestamp) -> Result<User, Error> {
    if user.email_verified_at.is_some() {
        return Ok(user);
    }
    tx.set_email_verified(user.id, now)?;
    if user.has_password {
        tx.clear_password_hash(user.id)?;
        tx.end_sessions_of(user.id, None, SessionEnd::TakenBack, now)?;
        let link = post.new_link(tx, LinkPurpose::SetPassword, &user, now)?;
        let letter = Letter::AccountTakenBack {
            username: user.username.as_str().to_owned(),
            link: Some(link),
        };
        post.queue_for(tx, &letter, &user, now, LinkPurpose::SetPassword.ttl())?;
    }
    tx.find_user(user.id)?
        .ok_or_else(|| Error::internal("a user is gone within one transaction"))
}

fn refuse_locked(tx: &Tx<'_>, address: AddressDigest, now: Timestamp) -> Result<(), Error> {
    match tx.find_code_lock(address, now)? {
        Some(until) => Err(Error::CodeLocked {
            retry_after: until.since(now),
        }),
        None => Ok(()),
    }
}

/// Takes one mail out of the budget of an address.
pub(super) fn spend_budget(
    tx: &Tx<'_>,
    address: AddressDigest,
    purpose: MailPurpose,
    now: Timestamp,
) -> Result<(), Error> {
    let budget = tx.find_mail_budget(address, purpose)?.spend(now);
    let budget = budget.map_err(|retry_after| Error::CodeRateLimited { retry_after })?;
    Ok(tx.put_mail_budget(address, purpose, &budget, now)?)
}
