//! Invites: whether the registration mode needs one, how one is spent, and why one is refused.

use super::{Rules, Unit};
use crate::crypto::{Keys, SealedFor};
use crate::domain::{
    AuditReason, Email, FieldError, InviteCode, InviteId, InviteStatus, RegistrationMode, Sealed, Timestamp,
    Username,
};
use crate::service::error::{Error, Refused};
use crate::store::{Reader, Setting, StoreError};
use crate::system::System;

/// The invite code of a request, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresentedInvite {
    Absent,
    /// A text that is not a code.
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

/// Seals the code of an invite, so that the operator can be shown it later.
pub(crate) fn seal_code(keys: &Keys, id: InviteId, code: &InviteCode, system: &System) -> Sealed {
    keys.seal(SealedFor::Invite(id.as_bytes()), code.as_bytes(), system)
}

/// Opens the sealed code of an invite.
pub(crate) fn open_code(keys: &Keys, id: InviteId, sealed: &Sealed) -> Result<InviteCode, Error> {
    let opened = keys.open(SealedFor::Invite(id.as_bytes()), sealed);
    let opened = opened.map_err(Error::internal)?;
    let code = std::str::from_utf8(&opened).map(InviteCode::parse);
    code.ok()
        .and_then(Result::ok)
        .ok_or_else(|| Error::internal("a sealed text is not an invite code"))
}

/// Where the registration mode comes from. The command line prints these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::Display)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ModeSource {
    Default,
    /// The operator set it by command.
    Database,
    /// The configuration pins it.
    Config,
}

impl Rules {
    /// The registration mode in force. It is read each time, so that a change takes effect at once.
    pub(crate) fn registration_mode(
        &self,
        reader: &Reader<'_>,
    ) -> Result<(RegistrationMode, ModeSource), StoreError> {
        if let Some(pinned) = self.settings.pinned_mode {
            return Ok((pinned, ModeSource::Config));
        }
        let stored = reader.find_setting(Setting::RegistrationMode)?;
        match stored.map(|name| name.parse()) {
            None => Ok((RegistrationMode::default(), ModeSource::Default)),
            Some(Ok(mode)) => Ok((mode, ModeSource::Database)),
            Some(Err(unknown)) => Err(StoreError::Failed(format!(
                "the stored registration mode is unknown: {unknown}"
            ))),
        }
    }

    /// Refuses what [`Unit::spend_invite`] would refuse, before the request costs much. Spends nothing.
    pub(crate) fn check_invite(
        &self,
        reader: &Reader<'_>,
        invite: &PresentedInvite,
        names: (&Username, &Email),
        now: Timestamp,
    ) -> Result<(), Refused> {
        if !self.is_invite_required(reader)? {
            return Ok(());
        }
        let refused = self.why_refused(reader, invite, names, now)?;
        refused.map_or(Ok(()), Err)
    }

    fn is_invite_required(&self, reader: &Reader<'_>) -> Result<bool, Refused> {
        match self.registration_mode(reader)?.0 {
            RegistrationMode::Disabled => Err(Error::RegistrationDisabled.into()),
            RegistrationMode::InviteOnly => Ok(true),
            RegistrationMode::Open => Ok(false),
        }
    }

    /// Why an invite admits no account with these names; `None` if it admits one. If it has admitted that account already, the client repeats a registration
    /// whose answer it never got.
    fn why_refused(
        &self,
        reader: &Reader<'_>,
        invite: &PresentedInvite,
        (username, email): (&Username, &Email),
        now: Timestamp,
    ) -> Result<Option<Refused>, StoreError> {
        let found = match invite {
            PresentedInvite::Absent => return Ok(Some(Error::InviteCodeRequired.into())),
            PresentedInvite::Unreadable => None,
            PresentedInvite::Code(code) => reader.find_invite(self.keys.invite_digest(code))?,
        };
        if let Some((invite, _)) = &found
            && invite.uses > 0
            && reader.has_admitted(invite.id, username, email)?
        {
            return Ok(Some(Error::LoginExists.into()));
        }
        let reason = match found.map(|(invite, _)| invite.status(now)) {
            Some(InviteStatus::Active) => return Ok(None),
            Some(InviteStatus::Expired) => AuditReason::ExpiredInvite,
            Some(InviteStatus::Revoked) => AuditReason::RevokedInvite,
            Some(InviteStatus::UsedUp) => AuditReason::UsedUpInvite,
            None => AuditReason::UnknownInvite,
        };
        Ok(Some(Error::InviteCodeInvalid.because(reason)))
    }
}

impl Unit<'_> {
    /// Decides by mode and invite whether an account may be opened, and takes one use of the invite; returns `None` if the account is opened without an
    /// invite. One conditional UPDATE takes the use, so that an invite never admits more accounts than it may.
    ///
    /// # Errors
    /// [`Error::RegistrationDisabled`], [`Error::InviteCodeRequired`], [`Error::InviteCodeInvalid`], [`Error::LoginExists`].
    pub(crate) fn spend_invite(
        &self,
        invite: &PresentedInvite,
        names: (&Username, &Email),
    ) -> Result<Option<InviteId>, Refused> {
        let is_required = self.rules.is_invite_required(self)?;
        let spent = match invite {
            PresentedInvite::Code(code) => {
                let digest = self.rules.keys.invite_digest(code);
                self.consume_invite(digest, self.now)?
            }
            PresentedInvite::Absent | PresentedInvite::Unreadable => None,
        };
        if spent.is_some() || !is_required {
            return Ok(spent);
        }
        let refused = self.rules.why_refused(self, invite, names, self.now)?;
        Err(refused.unwrap_or_else(|| Error::InviteCodeInvalid.because(AuditReason::UsedUpInvite)))
    }
}
