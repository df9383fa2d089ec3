//! Changing one's own address: asking for it, confirming it, and taking a former address back.

use std::sync::Arc;

use super::error::Refused;
use super::presence::{Presence, incorrect};
use super::rules::{AddressHolder, Caller, Unit, parse_cookies, unknown_link};
use super::tokens::RefreshCookie;
use super::{Error, Service};
use crate::crypto::{Compared, Verification, link_digest};
use crate::domain::{
    AccountName, AuditEvent, AuditReason, AuditRecord, Client, Email, FailureKey, FailureKind, Guessed,
    Letter, LinkDigest, LinkToken, MailPurpose, PasswordGuess, PasswordHash, Timestamp, User, UserStatus,
    Username,
};
use crate::store::Reader;

/// What a link about a change of an address would do.
#[derive(Clone, Debug)]
pub struct PendingChange {
    pub kind: PendingChangeKind,
    pub username: Username,
    /// The address that the account would have afterwards.
    pub email: Email,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingChangeKind {
    /// The account gets a new address.
    Change,
    /// The account gets a former address back.
    Undo,
}

/// What shows that the account of a link is the caller's.
pub enum Proof {
    Session(Box<Caller>),
    /// The password of the account, as this client gives it.
    Password(PasswordGuess, Client),
}

/// The account of a link, with everything that a guess of its password needs.
struct Guessing {
    record: AuditRecord,
    stored: Option<PasswordHash>,
    key: FailureKey,
    costs: Vec<(String, u32)>,
}

impl Service {
    /// Refuses what needs mail while mail is off.
    ///
    /// # Errors
    /// [`Error::MailUnavailable`].
    pub fn refuse_without_mail(&self) -> Result<(), Error> {
        self.rules.refuse_without_mail()
    }

    /// Mails a link that moves the caller's account to the address `new`, and tells the present address. The link of an earlier request is void.
    ///
    /// An address that another account has or may take back gets no link, but the same answer for the same work: rows, mails and budget. Its owner is told
    /// that the address was asked for, but not by which account.
    ///
    /// # Errors
    /// [`Error::CodeRateLimited`], those of [`Service::prove_presence`].
    pub async fn request_email_change(
        &self,
        caller: &Caller,
        presence: Presence,
        new: Email,
    ) -> Result<(), Error> {
        let caller = caller.clone();
        let record = caller.record(AuditEvent::EmailChangeRequested);
        self.change_audited(record, move |unit, record| {
            let (_, user) = unit.find_alive(&caller)?;
            presence.still_holds(unit, &user)?;
            let holder = unit.holder_of(&new, user.id)?;
            // An address without an account is mailed too, so its budget must not be pushed out by those of other such addresses.
            unit.spend_mail_budget(&new, MailPurpose::Change, FailureKind::OfAccount)?;
            let link = unit.new_change(&user, &new)?;
            if matches!(holder, AddressHolder::Owner(_) | AddressHolder::Former) {
                record.refused = Some(AuditReason::EmailTaken);
            }
            mail_change(unit, &holder, &user, &new, link)?;
            Ok(unit.tell_of_request(&user, &new)?)
        })
        .await
    }

    /// What a link about a change of an address would do. Does not use the link.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`].
    pub async fn find_pending_change(&self, token: Option<LinkToken>) -> Result<PendingChange, Error> {
        let (digest, now) = (token.as_ref().map(link_digest), self.system.now());
        let found = self.store.read(move |reader| {
            let digest = digest.ok_or(Error::EmailTokenInvalid)?;
            let change = reader.find_email_change(digest)?;
            let change =
                change.map(|row| (PendingChangeKind::Change, row.user_id, row.email, row.expires_at));
            let undo = reader.find_email_undo(digest)?;
            let undo = undo.map(|row| (PendingChangeKind::Undo, row.user_id, row.email, row.expires_at));
            let (kind, user_id, email, expires_at) = change.or(undo).ok_or(Error::EmailTokenInvalid)?;
            let user = reader.find_user(user_id)?;
            let user = user.filter(|user| user.status == UserStatus::Active && now < expires_at);
            let username = user.ok_or(Error::EmailTokenInvalid)?.username;
            Ok::<_, Error>(PendingChange {
                kind,
                username,
                email,
            })
        });
        found.await
    }

    /// Moves the account of a link to the address that the link was mailed to. A session that proves the account goes on: every other one ends, its earlier
    /// refresh tokens are invalid, and the new cookie is returned, if one is to be set; `cookies` are the refresh cookies of the request. With the password
    /// every session ends, and no one is signed in.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`], also if the session is of another account, and the link then stays good; [`Error::EmailExists`]; [`Error::Invalid`] on
    /// `current_password` if it is wrong, which is counted as in [`Service::login`]; [`Error::RateLimited`] as there.
    pub async fn confirm_email_change(
        &self,
        token: Option<LinkToken>,
        proof: Proof,
        cookies: &[String],
    ) -> Result<Option<RefreshCookie>, Error> {
        let digest = token.as_ref().map(link_digest);
        match proof {
            Proof::Session(caller) => self.confirm_by_session(digest, *caller, cookies).await,
            Proof::Password(guess, client) => {
                self.confirm_by_password(digest, guess, &client).await?;
                Ok(None)
            }
        }
    }

    async fn confirm_by_session(
        &self,
        digest: Option<LinkDigest>,
        caller: Caller,
        cookies: &[String],
    ) -> Result<Option<RefreshCookie>, Error> {
        let record = caller.record(AuditEvent::EmailChanged);
        let cookies = parse_cookies(cookies);
        let open = self.change_audited(record, move |unit, record| {
            let (session, user) = unit.find_alive(&caller)?;
            let change = unit.use_change(digest)?;
            if change.user_id != user.id {
                return Err(Error::EmailTokenInvalid.because(AuditReason::ForeignLink));
            }
            let moved = unit.move_address(&user, &change.email, Some(session.id))?;
            // The log is searched by the address that was left, too.
            record.name = unit.rules.email_digest(&user.email);
            Ok(unit.renew_tokens(session, &moved, &cookies)?)
        });
        let open = open.await?;
        Ok(open.map(|open| self.refresh_cookie(&open)))
    }

    async fn confirm_by_password(
        &self,
        digest: Option<LinkDigest>,
        password: PasswordGuess,
        client: &Client,
    ) -> Result<(), Error> {
        let guessing = self.find_guessing(digest, client).await?;
        let (record, stored, key) = (guessing.record, guessing.stored, guessing.key);
        // As in a sign-in, an account without a password costs as much as one with a password.
        let instead = self.hasher.shares(&guessing.costs).cost_of(key.guessed.0);
        let compared = stored
            .clone()
            .map_or(Compared::WithNothing(instead), Compared::With);
        let verified = self.hasher.verify(password, compared).await?;
        if stored.is_none() || matches!(verified, Verification::Wrong) {
            let reason = match stored {
                Some(_) => AuditReason::WrongPassword,
                None => AuditReason::NoPassword,
            };
            return self.refuse_guess(record, incorrect().because(reason), key).await;
        }
        self.change_audited(record, move |unit, record| {
            unit.rules.refuse_waiting(unit, key, unit.now)?;
            let change = unit.use_change(digest)?;
            let user = unit.find_user(change.user_id)?;
            let user = user.ok_or_else(unknown_link)?;
            if !unit.has_password_hash(&user, stored.as_ref())? {
                return Err(incorrect().because(AuditReason::PasswordJustChanged));
            }
            unit.move_address(&user, &change.email, None)?;
            record.name = unit.rules.email_digest(&user.email);
            Ok(())
        })
        .await
    }

    /// The account whose password is guessed with a link of a change. Refuses a link that does not work before a password is hashed, and a guess that has to
    /// wait.
    async fn find_guessing(&self, digest: Option<LinkDigest>, client: &Client) -> Result<Guessing, Error> {
        let record = AuditRecord::by_client(AuditEvent::EmailChanged, client);
        let (rules, address, now) = (Arc::clone(&self.rules), client.address, self.system.now());
        let found = self.store.read(move |reader| {
            let user = find_mover(reader, digest, now)?;
            let name = AccountName::Username(user.username.clone());
            let stored = reader.find_credentials(&name)?;
            let stored = stored.and_then(|credentials| credentials.password_hash);
            let key = rules.keys.failure_key(Guessed::Account(user.id), address);
            let may_guess = rules.refuse_waiting(reader, key, now);
            let costs = reader.list_password_costs()?;
            Ok::<_, Refused>((user, stored, key, may_guess, costs))
        });
        let (user, stored, key, may_guess, costs) = match found.await {
            Ok(found) => found,
            Err(refused) => return self.refuse(record, refused).await,
        };
        let record = record.about(&user);
        may_guess.map_err(|refused| self.note_waiting(&record, refused))?;
        Ok(Guessing {
            record,
            stored,
            key,
            costs,
        })
    }

    /// Gives an account the address back that it had before a change. All that came after the change is void, the sessions and the password too.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`], also while the account is suspended: the link works again once the suspension is lifted.
    pub async fn undo_email_change(&self, token: Option<LinkToken>, client: &Client) -> Result<(), Error> {
        let record = AuditRecord::by_client(AuditEvent::EmailChangeUndone, client);
        let digest = token.as_ref().map(link_digest);
        self.change_audited(record, move |unit, record| {
            let digest = digest.ok_or_else(unknown_link)?;
            let undo = unit.find_email_undo(digest)?.ok_or_else(unknown_link)?;
            let user = unit.find_user(undo.user_id)?.ok_or_else(unknown_link)?;
            record.subject = Some((&user).into());
            if user.status == UserStatus::Suspended {
                return Err(Error::EmailTokenInvalid.because(AuditReason::Suspended));
            }
            let Some(undo) = unit.use_email_undo(digest, unit.now)? else {
                return Err(Error::EmailTokenInvalid.because(AuditReason::ExpiredLink));
            };
            unit.take_address_back(&user, &undo)
        })
        .await
    }
}

/// Queues the mail to the new address: the link to an address that is free or only claimed, a notice to the owner of one that is taken. Former owners of a
/// reserved address need no notice, because the mail with their undo told them of the change; a decoy costs the same.
fn mail_change(
    unit: &Unit<'_>,
    holder: &AddressHolder,
    user: &User,
    new: &Email,
    link: String,
) -> Result<(), Error> {
    if let AddressHolder::Owner(owner) = holder {
        let username = owner.username.to_string();
        return Ok(unit.queue_mail(&Letter::AddressWanted { username }, owner)?);
    }
    let username = user.username.to_string();
    let reader = User {
        email: new.clone(),
        ..user.clone()
    };
    let mail = unit
        .rules
        .mail_to(&Letter::ChangeEmail { username, link }, &reader, unit.now);
    let is_sent = !matches!(holder, AddressHolder::Former);
    Ok(unit.insert_mail(&if is_sent { mail } else { mail.into_decoy() })?)
}

/// The active account whose change has this link.
fn find_mover(reader: &Reader<'_>, digest: Option<LinkDigest>, now: Timestamp) -> Result<User, Refused> {
    let digest = digest.ok_or_else(unknown_link)?;
    let change = reader.find_email_change(digest)?.ok_or_else(unknown_link)?;
    let user = reader.find_user(change.user_id)?.ok_or_else(unknown_link)?;
    if user.status == UserStatus::Suspended {
        return Err(Error::EmailTokenInvalid.because(AuditReason::Suspended));
    }
    if change.expires_at <= now {
        return Err(Error::EmailTokenInvalid.because(AuditReason::ExpiredLink));
    }
    Ok(user)
}
