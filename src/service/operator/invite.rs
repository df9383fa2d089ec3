//! Invites: creating, listing and revoking them.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    AuditEvent, Email, Invite, InviteCode, InviteId, InviteUses, Letter, Locale, Note, Page, Paging,
    QueuedMail, Sealed,
};
use crate::service::rules::{open_code, seal_code};
use crate::service::{Error, Service};

/// The longest time for which sending the mail with an invite is tried.
const MAIL_TTL: Duration = Duration::from_hours(7 * 24);

/// An invite that the operator asks for.
#[derive(Clone, Debug)]
pub struct InviteDraft {
    pub max_uses: InviteUses,
    /// The time after which it expires; `None` if never.
    pub expires_in: Option<Duration>,
    pub note: Option<Note>,
    /// `None` if it is not mailed.
    pub mail_to: Option<Email>,
    /// The language of the mail; `None` for the default one.
    pub locale: Option<Locale>,
}

/// Which invite is meant.
#[derive(Clone, Debug)]
pub enum InviteRef {
    Code(InviteCode),
    /// Not secret.
    Id(InviteId),
}

/// An invite with its code, which only the operator sees. No `Debug`: its link holds the code.
#[derive(Clone)]
pub struct InviteWithCode {
    pub invite: Invite,
    pub code: InviteCode,
    /// The address of a page where the code can be used; `None` if there is no such page.
    pub link: Option<String>,
}

impl Service {
    /// Creates `count` invites from one draft, all or none, and mails them if the draft has an address.
    ///
    /// # Errors
    /// [`Error::MailUnavailable`] if they are to be mailed and mail is off.
    pub async fn create_invites(
        &self,
        draft: &InviteDraft,
        count: NonZeroU16,
    ) -> Result<Vec<InviteWithCode>, Error> {
        if draft.mail_to.is_some() {
            self.rules.refuse_without_mail()?;
        }
        let made: Vec<InviteWithCode> = (0..count.get()).map(|_| self.new_invite(draft)).collect();
        let row = |made: &InviteWithCode| {
            let mail = draft.mail_to.as_ref().map(|to| self.invite_mail(made, to, draft));
            let sealed = seal_code(&self.rules.keys, made.invite.id, &made.code, &self.system);
            let digest = self.rules.keys.invite_digest(&made.code);
            (made.invite.clone(), digest, sealed, mail)
        };
        let rows: Vec<_> = made.iter().map(row).collect();
        let mut detail = describe(draft.max_uses, draft.note.as_ref());
        if count.get() > 1 {
            detail = format!("{count} invites, {detail}");
        }
        let record = self.by_operator(AuditEvent::InviteCreated).saying(detail);
        self.change_audited(record, move |unit, _| {
            for (invite, digest, sealed, mail) in &rows {
                unit.insert_invite(invite, *digest, sealed)?;
                mail.iter().try_for_each(|mail| unit.insert_mail(mail))?;
            }
            Ok(())
        })
        .await?;
        Ok(made)
    }

    fn new_invite(&self, draft: &InviteDraft) -> InviteWithCode {
        let now = self.system.now();
        let invite = Invite {
            id: self.system.new_id(),
            uses: 0,
            max_uses: draft.max_uses,
            note: draft.note.clone(),
            created_at: now,
            expires_at: draft.expires_in.map(|lifetime| now + lifetime),
            revoked_at: None,
        };
        self.with_link(invite, InviteCode::from_random(self.system.random()))
    }

    /// The mail with an invite; it expires with the invite, and after a week at the latest.
    fn invite_mail(&self, made: &InviteWithCode, to: &Email, draft: &InviteDraft) -> QueuedMail {
        let letter = Letter::Invite {
            code: made.code.reveal(),
            link: made.link.clone(),
        };
        let now = made.invite.created_at;
        let ttl = made
            .invite
            .expires_at
            .map_or(MAIL_TTL, |end| end.since(now).min(MAIL_TTL));
        let locale = draft.locale.clone().unwrap_or_else(|| self.default_locale());
        self.rules.mail(&letter, to, &locale, now, ttl)
    }

    /// Lists invites, the newest first: `all`, or only those that can admit an account now.
    ///
    /// # Errors
    /// [`Error::InviteNotFound`] and [`Error::NotInList`] if no invite has the code or the id after which the list is to begin.
    pub async fn list_invites(
        &self,
        all: bool,
        paging: Paging<InviteRef>,
    ) -> Result<Page<InviteWithCode>, Error> {
        let active_at = (!all).then(|| self.system.now());
        let rules = Arc::clone(&self.rules);
        let page = self.store.report(move |reader| {
            let after = match paging.after {
                Some(InviteRef::Code(code)) => {
                    let found = reader.find_invite(rules.keys.invite_digest(&code))?;
                    Some(found.ok_or(Error::InviteNotFound)?.0.id)
                }
                Some(InviteRef::Id(id)) if !reader.is_invite(id)? => {
                    return Err(Error::NotInList(id.to_string()));
                }
                Some(InviteRef::Id(id)) => Some(id),
                None => None,
            };
            let limit = paging.limit;
            Ok::<_, Error>(reader.list_invites(active_at, Paging { after, limit })?)
        });
        page.await?
            .try_map(|(invite, sealed)| self.opened(invite, &sealed))
    }

    /// The invite with this code.
    ///
    /// # Errors
    /// [`Error::InviteNotFound`].
    pub async fn find_invite(&self, code: &InviteCode) -> Result<InviteWithCode, Error> {
        let digest = self.rules.keys.invite_digest(code);
        let found = self.store.report(move |reader| reader.find_invite(digest));
        let (invite, sealed) = found.await?.ok_or(Error::InviteNotFound)?;
        self.opened(invite, &sealed)
    }

    /// Revokes the invite with this code; the accounts that it admitted stay.
    ///
    /// # Errors
    /// [`Error::InviteNotFound`].
    pub async fn revoke_invite(&self, code: &InviteCode) -> Result<InviteWithCode, Error> {
        let digest = self.rules.keys.invite_digest(code);
        let record = self.by_operator(AuditEvent::InviteRevoked);
        let revoked = self.change_audited(record, move |unit, record| {
            unit.revoke_invite(digest, unit.now)?;
            let found = unit.find_invite(digest)?.ok_or(Error::InviteNotFound)?;
            record.detail = Some(describe(found.0.max_uses, found.0.note.as_ref()));
            Ok(found)
        });
        let (invite, sealed) = revoked.await?;
        self.opened(invite, &sealed)
    }

    fn opened(&self, invite: Invite, sealed: &Sealed) -> Result<InviteWithCode, Error> {
        let code = open_code(&self.rules.keys, invite.id, sealed)?;
        Ok(self.with_link(invite, code))
    }

    fn with_link(&self, invite: Invite, code: InviteCode) -> InviteWithCode {
        let link = self.rules.links.of_invite(&code);
        InviteWithCode { invite, code, link }
    }
}

/// What the audit log says about an invite: its number of uses and its note, never its code.
fn describe(max_uses: InviteUses, note: Option<&Note>) -> String {
    let uses = match max_uses.get() {
        1 => "1 use".to_owned(),
        number => format!("{number} uses"),
    };
    match note {
        Some(note) => format!("{uses}: {}", note.as_str()),
        None => uses,
    }
}
