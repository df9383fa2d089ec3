//! One-time codes: mailing one, and signing in with it.
//!
//! An address with an account and one without are treated alike in every step: the same reads, the same composing and sealing, one write, the same
//! limits. What differs is only whether the mail is ever sent and whether a code can be right.

use std::sync::Arc;

use super::error::Refused;
use super::gate::Entrant;
use super::presented::PresentedTokens;
use super::rules::Rules;
use super::rules::audit::Auditor;
use super::sign_in::SignedIn;
use super::spray_brake::SprayBrake;
use super::{Error, Service};
use crate::crypto::is_same_code;
use crate::domain::{
    AddressDigest, AuditEvent, AuditReason, AuditRecord, CODE_LOCK, CODE_TTL, Client, CodeMac, Email,
    FailureKind, Letter, LinkPurpose, MAX_NOBODY_ROWS, MailBudget, MailPace, MailPurpose, OneTimeCode,
    SessionEnd, SignInMethod, Timestamp, User, UserId, UserStatus,
};
use crate::store::{CodeRow, Reader, SpentBudget, StoreError, Tx};

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
        client: &Client,
    ) -> Result<(), Error> {
        let length = self.rules.settings.code_length.ok_or(Error::FeatureOff)?;
        self.rules.refuse_without_mail()?;
        let (address, mailbox) = (
            self.rules.keys.address_digest(&email),
            self.rules.keys.mailbox_digest(&email),
        );
        let asked = AskedMail {
            mailbox,
            purpose: MailPurpose::SignIn,
            code: Some((address, self.brake)),
        };
        let visitor = Asker {
            email: &email,
            captcha_token,
            client,
        };
        let (found, record) = self.admit_asker(AuditEvent::CodeSent, &visitor, asked).await?;
        let now = self.system.now();
        let code = OneTimeCode::from_random(self.system.random(), length);
        let letter = Letter::SignInCode {
            code: code.reveal().to_owned(),
        };
        let mail = match &found {
            Some(user) => self.rules.mail_to(&letter, user, now),
            None => self.rules.decoy(&letter, &email, now),
        };
        let mac = match &found {
            Some(_) => self.rules.keys.code_mac(address, now, &code),
            None => CodeMac(self.system.random()),
        };
        let row = CodeRow {
            address,
            user_id: None,
            mac,
            created_at: now,
            expires_at: now + CODE_TTL,
        };
        self.write_audited_and_mail(record, move |tx, _| {
            asked.spend(tx, kind_of(found.as_ref()), now)?;
            let user_id = find_unchanged(tx, &email, found.as_ref())?;
            tx.replace_code(&CodeRow { user_id, ..row }, MAX_NOBODY_ROWS)?;
            let is_sent = user_id.is_some();
            Ok(tx.insert_mail(&if is_sent { mail } else { mail.into_decoy() })?)
        })
        .await
    }

    /// Lets through who asks for mail to an address; gives its account, and the record of the asking. Where no account is, no mail is sent, whatever the answer
    /// says.
    ///
    /// Mail that is locked or beyond its budget is refused before the token of the captcha is spent. Both are counted alike for every address; the
    /// transaction that queues the mail looks again.
    pub(super) async fn admit_asker(
        &self,
        event: AuditEvent,
        asker: &Asker<'_>,
        mail: AskedMail,
    ) -> Result<(Option<User>, AuditRecord), Error> {
        self.look_at_captcha(asker.captcha_token, asker.client)?;
        let (email, now) = (asker.email.clone(), self.system.now());
        let found = self.store.read(move |reader| {
            let user = reader.find_user_by_email(&email)?;
            Ok::<_, Error>((user, mail.budget(reader, now)))
        });
        let (user, admitted) = found.await?;
        let record = AuditRecord::by_client(event, asker.client);
        let record = match &user {
            Some(user) => record.about(user),
            None => record
                .under(self.rules.auditor.digest_of(asker.email))
                .refused(AuditReason::UnknownAccount),
        };
        if let Err(refused) = admitted {
            return self.refuse(record, refused).await;
        }
        self.check_captcha(asker.captcha_token, asker.client).await?;
        Ok((user, record))
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
        self.rules.settings.code_length.ok_or(Error::FeatureOff)?;
        let (gate, post) = (self.gate(), Arc::clone(&self.rules));
        let presented = PresentedTokens::parse(presented);
        let (auditor, brake) = (Arc::clone(&self.rules.auditor), self.brake);
        let open = self.write_and_mail(move |tx| {
            let now = post.system.now();
            let record = AuditRecord::by_client(AuditEvent::SignInByCode, &client);
            let mut record = match tx.find_user_by_email(&email)? {
                Some(user) => record.about(&user),
                None => record.under(auditor.digest_of(&email)),
            };
            // Whatever is refused from here on has left its count behind: no refusal is an error inside the transaction.
            let compared = match compare(tx, &post, &email, &code, now) {
                Ok(Compared::Right(user)) => Ok(user),
                Ok(Compared::Wrong(kind, refused)) => {
                    brake.count(tx, kind, &client, now)?;
                    Err(refused)
                }
                Err(refused) => Err(refused),
            };
            let user = match compared {
                Ok(user) => user,
                Err(refused) => {
                    let refused = match record.subject {
                        Some(_) => refused,
                        None => refused.without_account(),
                    };
                    return Ok(Err(auditor.write_refusal(tx, record, refused)?));
                }
            };
            let user = prove_address(tx, &post, &auditor, user, &client, now)?;
            let entrant = Entrant {
                user: &user,
                method: SignInMethod::OneTimeCode,
                client,
                presented: &presented,
            };
            let open = gate.admit(tx, &entrant, &mut record)?;
            auditor.write(tx, &record)?;
            Ok::<_, Error>(Ok(open))
        });
        let open = open.await?;
        if matches!(open, Err(Error::CodeInvalid)) {
            self.warn_of_spraying().await?;
        }
        self.sign_in(&open?).await
    }
}

/// Who asks for mail.
pub(super) struct Asker<'a> {
    /// The address.
    pub(super) email: &'a Email,
    /// The captcha token.
    pub(super) captcha_token: Option<&'a str>,
    /// The client.
    pub(super) client: &'a Client,
}

/// The account that mail was written for, if it is still there and has its address in the same spelling. It may have gone or changed meanwhile: then what
/// the mail carries opens nothing.
pub(super) fn find_unchanged(
    tx: &Tx<'_>,
    email: &Email,
    found: Option<&User>,
) -> Result<Option<UserId>, StoreError> {
    let current = tx.find_user_by_email(email)?;
    let is_same = |current: &User| {
        found.is_some_and(|found| found.id == current.id && found.email.as_str() == current.email.as_str())
    };
    Ok(current.filter(is_same).map(|user| user.id))
}

/// What came of a comparison.
enum Compared {
    Right(User),
    /// At an account or at an address without one.
    Wrong(FailureKind, Refused),
}

/// Counts the comparison, compares, and uses the code up if it was right. What a refusal has counted is meant to stay.
fn compare(
    tx: &Tx<'_>,
    post: &Rules,
    email: &Email,
    code: &OneTimeCode,
    now: Timestamp,
) -> Result<Compared, Refused> {
    let address = post.keys.address_digest(email);
    refuse_locked(tx, address, now)?;
    let Some(counted) = tx.count_code_attempt(address, now)? else {
        return Err(Error::CodeInvalid.because(why_not_compared(tx, address, now)?));
    };
    let is_right = is_same_code(counted.mac, post.keys.code_mac(address, counted.created_at, code));
    // Where no account is, the search is for somebody who is not there: it takes as long.
    let user = tx.find_user(counted.user_id.unwrap_or_else(|| post.system.new_user_id()))?;
    let user = user.filter(|user| user.email.key() == email.key());
    let kind = kind_of(user.as_ref());
    let Some(user) = user.filter(|_| is_right) else {
        tx.count_code_failure(address, now + CODE_LOCK)?;
        let refused = Error::CodeInvalid.because(why_wrong(post, address, code, counted.older));
        return Ok(Compared::Wrong(kind, refused));
    };
    tx.use_code(address, now)?;
    if user.status == UserStatus::Suspended {
        return Err(Error::UserSuspended.into());
    }
    Ok(Compared::Right(user))
}

/// Whether there is an account.
pub(super) fn kind_of(user: Option<&User>) -> FailureKind {
    match user {
        Some(_) => FailureKind::OfAccount,
        None => FailureKind::OfNobody,
    }
}

/// Why a code is wrong: it may be the one that was mailed before, which is the owner's mistake and no stranger's guess.
fn why_wrong(
    post: &Rules,
    address: AddressDigest,
    code: &OneTimeCode,
    older: Option<(CodeMac, Timestamp)>,
) -> AuditReason {
    let is_older = |(mac, created_at)| is_same_code(mac, post.keys.code_mac(address, created_at, code));
    if older.is_some_and(is_older) {
        AuditReason::OlderCode
    } else {
        AuditReason::WrongCode
    }
}

/// Why the code of an address may not be compared.
fn why_not_compared(tx: &Tx<'_>, address: AddressDigest, now: Timestamp) -> Result<AuditReason, StoreError> {
    Ok(match tx.find_code_state(address)? {
        None => AuditReason::NoCode,
        Some(state) if state.is_used => AuditReason::UsedCode,
        Some(state) if state.expires_at <= now => AuditReason::ExpiredCode,
        Some(_) => AuditReason::AttemptsUsedUp,
    })
}

/// Notes that the user receives mail at their address. If that was never proved before, the password was set by somebody who had not proved it either:
/// it is dropped, every session ends, and the owner is told.
fn prove_address(
    tx: &Tx<'_>,
    post: &Rules,
    auditor: &Auditor,
    user: User,
    client: &Client,
    now: Timestamp,
) -> Result<User, Error> {
    if user.email_verified_at.is_some() {
        return Ok(user);
    }
    tx.set_email_verified(user.id, now)?;
    // A link that the operator handed over may be in other hands than the mailbox.
    tx.delete_password_links(user.id)?;
    if user.has_password {
        tx.clear_password_hash(user.id)?;
        tx.end_sessions_of(user.id, None, SessionEnd::TakenBack, now)?;
        let link = post.new_link(tx, LinkPurpose::SetPassword, &user, now)?;
        let letter = Letter::AccountTakenBack {
            username: user.username.as_str().to_owned(),
            link: Some(link),
        };
        post.queue(tx, &letter, &user, now)?;
        let record = AuditRecord::by_client(AuditEvent::AccountTakenBack, client).about(&user);
        auditor.write(tx, &record)?;
    }
    tx.find_user(user.id)?
        .ok_or_else(|| Error::internal("a user is gone within one transaction"))
}

fn refuse_locked(reader: &Reader<'_>, address: AddressDigest, now: Timestamp) -> Result<(), Error> {
    match reader.find_code_lock(address, now)? {
        Some(until) => Err(Error::CodeLocked {
            retry_after: until.since(now),
        }),
        None => Ok(()),
    }
}

/// Mail that is asked for.
#[derive(Clone, Copy)]
pub(super) struct AskedMail {
    pub(super) mailbox: AddressDigest,
    pub(super) purpose: MailPurpose,
    /// Where it has a code: whose code may be locked, and what brakes all codes.
    pub(super) code: Option<(AddressDigest, SprayBrake)>,
}

impl AskedMail {
    /// Mail without a code.
    pub(super) fn plain(mailbox: AddressDigest, purpose: MailPurpose) -> Self {
        Self {
            mailbox,
            purpose,
            code: None,
        }
    }

    /// The budget of the mailbox after this mail.
    fn budget(&self, reader: &Reader<'_>, now: Timestamp) -> Result<MailBudget, Refused> {
        let pace = match self.code {
            Some((address, brake)) => {
                refuse_locked(reader, address, now)?;
                brake.pace(reader, now)?
            }
            None => MailPace::Usual,
        };
        let budget = reader.find_mail_budget(self.mailbox, self.purpose)?;
        budget.spend(self.purpose, pace, now).map_err(|retry_after| {
            let reason = match budget.spend(self.purpose, MailPace::Usual, now) {
                Ok(_) => AuditReason::CodesBraked,
                Err(_) => AuditReason::TooManyMails,
            };
            Error::CodeRateLimited { retry_after }.because(reason)
        })
    }

    /// Takes this mail out of the budget of its mailbox. `kind` says whether an account has the address.
    pub(super) fn spend(&self, tx: &Tx<'_>, kind: FailureKind, now: Timestamp) -> Result<(), Refused> {
        let spent = SpentBudget {
            mailbox: self.mailbox,
            purpose: self.purpose,
            kind,
            budget: self.budget(tx, now)?,
        };
        Ok(tx.put_mail_budget(&spent, now, MAX_NOBODY_ROWS)?)
    }
}

/// Takes mail to an account out of the budget, or leaves it out if the budget is spent; says whether it is to be sent.
pub(super) fn is_mail_left(
    tx: &Tx<'_>,
    mailbox: AddressDigest,
    purpose: MailPurpose,
    now: Timestamp,
) -> Result<bool, Error> {
    let asked = AskedMail::plain(mailbox, purpose);
    match asked.spend(tx, FailureKind::OfAccount, now).map_err(Error::from) {
        Ok(()) => Ok(true),
        Err(Error::CodeRateLimited { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
