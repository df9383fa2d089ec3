//! Registration: who may, and the one transaction in which it happens.

use std::fmt;
use std::sync::Arc;

use super::email::queue_verification;
use super::error::Refused;
use super::gate::{Entrant, OpenSession};
use super::one_time_code::is_mail_left;
use super::presented::PresentedTokens;
use super::rules::Rules;
use super::sign_in::SignedIn;
use super::{Error, Service};
use crate::domain::{
    AuditEvent, AuditReason, AuditRecord, Client, Email, FieldError, InviteCode, InviteDigest, InviteId,
    InviteStatus, Locale, MailPurpose, Password, RegistrationMode, SignInMethod, Timestamp, User, Username,
};
use crate::store::{NewUserRow, Reader, Setting, StoreError, Tx};

/// What is said when an account was made although its invite could not be used.
const INVITE_IGNORED: &str =
    "The invite code cannot be used and was ignored; registration is open, so no invite was needed.";

/// What is said when an account was made whose address nobody will be asked to verify.
const NO_MAIL: &str = "No verification mail can be sent, because this server sends no mail.";

/// What is said when an account was made whose mailbox has had enough of them for now.
const TOO_MANY_MAILS: &str =
    "No verification mail was sent, because this mailbox was sent too many of them; ask for one later.";

/// What came in the place of an invite code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresentedInvite {
    /// Nothing.
    Absent,
    /// Something that can be no code.
    Unreadable,
    /// A code, which may be unknown.
    Code(InviteCode),
}

impl PresentedInvite {
    /// Reads what a person typed.
    pub fn parse(text: Option<&str>) -> Self {
        match text.map(InviteCode::parse) {
            None | Some(Err(FieldError::Missing)) => Self::Absent,
            Some(Err(_)) => Self::Unreadable,
            Some(Ok(code)) => Self::Code(code),
        }
    }
}

/// An account that somebody asks for. No `Debug`: the token of the captcha is good for one use.
pub struct Registration {
    /// Its username.
    pub username: Username,
    /// Its address.
    pub email: Email,
    /// Its password.
    pub password: Password,
    /// The invite.
    pub invite: PresentedInvite,
    /// The language of its mails; `None` if the client said none.
    pub locale: Option<Locale>,
    /// What the captcha gave.
    pub captcha_token: Option<String>,
}

/// An account that was made.
#[derive(Debug)]
pub struct Registered {
    /// Its first session.
    pub signed_in: SignedIn,
    /// What its owner should know, as sentences.
    pub warning: Option<String>,
}

/// Where the registration mode comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeSource {
    /// Nobody set it.
    Default,
    /// The operator set it by command.
    Database,
    /// The configuration pins it.
    Config,
}

impl ModeSource {
    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Database => "database",
            Self::Config => "config",
        }
    }
}

impl fmt::Display for ModeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The mode in force. It is asked anew each time, so that a change acts at once.
fn mode(
    reader: &Reader<'_>,
    pinned: Option<RegistrationMode>,
) -> Result<(RegistrationMode, ModeSource), StoreError> {
    if let Some(pinned) = pinned {
        return Ok((pinned, ModeSource::Config));
    }
    match reader
        .find_setting(Setting::RegistrationMode)?
        .map(|name| name.parse())
    {
        None => Ok((RegistrationMode::default(), ModeSource::Default)),
        Some(Ok(mode)) => Ok((mode, ModeSource::Database)),
        Some(Err(unknown)) => Err(StoreError::Failed(format!(
            "the stored registration mode is none: {unknown}"
        ))),
    }
}

/// The invite as the transaction needs it.
#[derive(Clone, Copy)]
enum Ticket {
    Absent,
    Unreadable,
    Digest(InviteDigest),
}

impl Service {
    /// Makes an account and its first session.
    ///
    /// Mode and invite are looked at before the password is hashed, because that is cheap, and decided in the transaction, because that is certain.
    /// A refusal never spends an invite.
    ///
    /// # Errors
    /// The refusals of the captcha, [`Error::RegistrationDisabled`], [`Error::InviteCodeRequired`], [`Error::InviteCodeInvalid`], [`Error::LoginExists`], [`Error::EmailExists`],
    /// [`Error::Unavailable`].
    pub async fn register(
        &self,
        registration: Registration,
        client: Client,
        presented: &[String],
    ) -> Result<Registered, Error> {
        let ticket = match &registration.invite {
            PresentedInvite::Absent => Ticket::Absent,
            PresentedInvite::Unreadable => Ticket::Unreadable,
            PresentedInvite::Code(code) => Ticket::Digest(self.rules.keys.invite_digest(code)),
        };
        self.check_captcha(registration.captcha_token.as_deref(), &client)
            .await?;
        let record = AuditRecord::by_client(AuditEvent::Register, &client)
            .under(self.rules.auditor.digest_of(&registration.email));
        if let Err(refused) = self.refuse_early(ticket).await {
            return self.refuse(record, refused).await;
        }
        let password_hash = self.hasher.hash(registration.password).await?;
        let (pinned, gate, presented) = (
            self.rules.settings.pinned_mode,
            self.gate(),
            PresentedTokens::parse(presented),
        );
        let post = Arc::clone(&self.rules);
        let write = self.write_audited_and_mail(record, move |tx, record| {
            let now = gate.system.now();
            let (invite_id, ignored) = take_invite(tx, pinned, ticket, now)?;
            let row = NewUserRow {
                id: gate.system.new_user_id(),
                username: registration.username,
                email: registration.email,
                email_verified_at: None,
                password_hash: Some(password_hash),
                locale: registration
                    .locale
                    .unwrap_or_else(|| post.composer.default_locale()),
                invite_id,
                created_at: now,
            };
            let user = insert_user(tx, &row)?;
            let no_mail = queue_first_verification(tx, &post, &user, now)?;
            let entrant = Entrant {
                user: &user,
                method: SignInMethod::Password,
                client,
                presented: &presented,
            };
            Ok((gate.admit(tx, &entrant, record)?, [ignored, no_mail]))
        });
        let (open, warnings): (OpenSession, [Option<&str>; 2]) = write.await?;
        let warnings: Vec<&str> = warnings.into_iter().flatten().collect();
        Ok(Registered {
            signed_in: self.sign_in(&open).await?,
            warning: (!warnings.is_empty()).then(|| warnings.join(" ")),
        })
    }

    /// Refuses before any hashing what the transaction would refuse anyway.
    async fn refuse_early(&self, ticket: Ticket) -> Result<(), Refused> {
        let (pinned, now) = (self.rules.settings.pinned_mode, self.system.now());
        self.store
            .read(move |reader| match (mode(reader, pinned)?.0, ticket) {
                (RegistrationMode::Disabled, _) => Err(Error::RegistrationDisabled.into()),
                (RegistrationMode::Open, _) => Ok(()),
                (RegistrationMode::InviteOnly, Ticket::Absent) => Err(Error::InviteCodeRequired.into()),
                (RegistrationMode::InviteOnly, Ticket::Unreadable) => {
                    Err(Error::InviteCodeInvalid.because(AuditReason::UnknownInvite))
                }
                (RegistrationMode::InviteOnly, Ticket::Digest(digest)) => {
                    match why_unusable(reader, digest, now)? {
                        None => Ok(()),
                        Some(reason) => Err(Error::InviteCodeInvalid.because(reason)),
                    }
                }
            })
            .await
    }

    /// The registration mode in force, and where it comes from.
    pub async fn registration_mode(&self) -> Result<(RegistrationMode, ModeSource), Error> {
        let pinned = self.rules.settings.pinned_mode;
        self.store.read(move |reader| Ok(mode(reader, pinned)?)).await
    }

    /// Sets the registration mode, from the next request on.
    ///
    /// # Errors
    /// [`Error::RegistrationPinned`].
    pub async fn set_registration_mode(&self, mode: RegistrationMode) -> Result<(), Error> {
        if let Some(pinned) = self.rules.settings.pinned_mode {
            return Err(Error::RegistrationPinned(pinned));
        }
        let record = self
            .by_operator(AuditEvent::RegistrationSet)
            .saying(mode.into_str());
        self.change_audited(record, move |unit, _| {
            let name = Some(mode.into_str());
            Ok(unit.tx.put_setting(Setting::RegistrationMode, name, unit.now)?)
        })
        .await
    }
}

/// Why an invite admits nobody; `None` if it does.
fn why_unusable(
    reader: &Reader<'_>,
    digest: InviteDigest,
    now: Timestamp,
) -> Result<Option<AuditReason>, StoreError> {
    let found = reader.find_invite(digest)?;
    Ok(match found.map(|(invite, _)| invite.status(now)) {
        Some(InviteStatus::Active) => None,
        Some(InviteStatus::Expired) => Some(AuditReason::ExpiredInvite),
        Some(InviteStatus::Revoked) => Some(AuditReason::RevokedInvite),
        Some(InviteStatus::UsedUp) => Some(AuditReason::UsedUpInvite),
        None => Some(AuditReason::UnknownInvite),
    })
}

/// Decides by mode and invite whether an account may be made, and takes one use of the invite.
fn take_invite(
    tx: &Tx<'_>,
    pinned: Option<RegistrationMode>,
    ticket: Ticket,
    now: Timestamp,
) -> Result<(Option<InviteId>, Option<&'static str>), Refused> {
    let taken = |digest| tx.consume_invite(digest, now);
    match (mode(tx, pinned)?.0, ticket) {
        (RegistrationMode::Disabled, _) => Err(Error::RegistrationDisabled.into()),
        (RegistrationMode::InviteOnly, Ticket::Absent) => Err(Error::InviteCodeRequired.into()),
        (RegistrationMode::InviteOnly, Ticket::Unreadable) => {
            Err(Error::InviteCodeInvalid.because(AuditReason::UnknownInvite))
        }
        (RegistrationMode::InviteOnly, Ticket::Digest(digest)) => {
            if let Some(id) = taken(digest)? {
                return Ok((Some(id), None));
            }
            let reason = why_unusable(tx, digest, now)?.unwrap_or(AuditReason::UsedUpInvite);
            Err(Error::InviteCodeInvalid.because(reason))
        }
        (RegistrationMode::Open, Ticket::Absent) => Ok((None, None)),
        (RegistrationMode::Open, Ticket::Unreadable) => Ok((None, Some(INVITE_IGNORED))),
        (RegistrationMode::Open, Ticket::Digest(digest)) => {
            let id = taken(digest)?;
            Ok((id, id.is_none().then_some(INVITE_IGNORED)))
        }
    }
}

/// Queues the mail of a registration; says why, if there is none. It counts like one that was asked for.
fn queue_first_verification(
    tx: &Tx<'_>,
    post: &Rules,
    user: &User,
    now: Timestamp,
) -> Result<Option<&'static str>, Error> {
    if post.is_off() {
        return Ok(Some(NO_MAIL));
    }
    let mailbox = post.keys.mailbox_digest(&user.email);
    if !is_mail_left(tx, mailbox, MailPurpose::Verify, now)? {
        return Ok(Some(TOO_MANY_MAILS));
    }
    queue_verification(tx, post, user, now)?;
    Ok(None)
}

/// Adds an account and reads it back as everybody else will.
pub(super) fn insert_user(tx: &Tx<'_>, row: &NewUserRow) -> Result<User, Error> {
    tx.insert_user(row)??;
    tx.find_user(row.id)?
        .ok_or_else(|| Error::internal("a user that was just added is not there"))
}
