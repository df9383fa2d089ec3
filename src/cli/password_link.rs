//! `user create` and `user link`: accounts whose owners set the password through a link, and what is said about that link.

use secrecy::SecretString;
use serde_json::json;

use super::context::Context;
use super::error::Refusal;
use super::mail::queued;
use super::user::{parse_password, to_facts, to_json};
use crate::domain::{Email, Locale, Username};
use crate::service::{CreatedUser, LinkMail, Medium, NewUser, PasswordLink, Service, UserRef, UserSummary};

impl From<bool> for LinkMail {
    fn from(no_mail: bool) -> Self {
        if no_mail { Self::Unwanted } else { Self::Wanted }
    }
}

/// An account to make, but for its password.
pub(super) struct Draft {
    pub(super) username: Username,
    pub(super) email: Email,
    pub(super) is_verified: bool,
    pub(super) locale: Option<Locale>,
    pub(super) link_mail: LinkMail,
}

pub(super) fn create(context: &Context, draft: Draft, password: Option<SecretString>) -> Result<(), Refusal> {
    let link_mail = draft.link_mail;
    let (created, ways) = context.with_service(async |service| {
        let identities = [draft.username.as_str(), draft.email.as_str()];
        let password = password
            .map(|text| parse_password(service, &text, &identities))
            .transpose()?;
        let created = service
            .create_user(NewUser {
                username: draft.username,
                email: draft.email,
                is_verified: draft.is_verified,
                password,
                locale: draft.locale,
                link_mail,
            })
            .await?;
        Ok((created, Ways::of(service)))
    })?;
    let CreatedUser { summary, link } = &created;
    show_link(context, summary, link.as_ref(), || {
        to_facts(summary, context.times())
    })?;
    if let Some(link) = link {
        tell_about(context, link, link_mail, &ways);
    }
    Ok(())
}

pub(super) fn link(context: &Context, user: UserRef, link_mail: LinkMail) -> Result<(), Refusal> {
    let ((summary, link), ways) = context.with_service(async |service| {
        let made = service.create_password_link(user, link_mail).await?;
        Ok((made, Ways::of(service)))
    })?;
    show_link(context, &summary, Some(&link), || {
        format!("{} sets the password here:", summary.user.username)
    })?;
    tell_about(context, &link, link_mail, &ways);
    Ok(())
}

/// Where links lead, and how mail leaves.
struct Ways {
    medium: Medium,
    has_reset_page: bool,
}

impl Ways {
    fn of(service: &Service) -> Self {
        Self {
            medium: service.mail_medium(),
            has_reset_page: service.has_reset_page(),
        }
    }
}

/// Prints an account with the link to set its password, if there is one.
fn show_link(
    context: &Context,
    summary: &UserSummary,
    link: Option<&PasswordLink>,
    text: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    let mut document = to_json(summary);
    document["set_password_link"] = json!(link.map(|link| link.url.as_str()));
    document["mailed_to"] = json!(link.and_then(|link| link.mailed_to.as_ref()).map(Email::as_str));
    context.output.result(&document, || match link {
        Some(link) => format!("{}\n\n{}", text(), link.url),
        None => text(),
    })
}

/// Says beside a link what it is good for, and who has it.
fn tell_about(context: &Context, link: &PasswordLink, link_mail: LinkMail, ways: &Ways) {
    let output = &context.output;
    output.note(&format!(
        "The link sets the password: give it to the account's owner alone. It works once, until {}, and proves no address.",
        link.expires_at
    ));
    if !ways.has_reset_page {
        output.note(
            "This server has no page at the link: server.pages is false, and neither server.app_url nor links.reset leads elsewhere.",
        );
    }
    output.note(&match (&link.mailed_to, link_mail) {
        (Some(address), _) => queued(context, "the link", address, ways.medium),
        (None, LinkMail::Unwanted) => "The link is not mailed.".to_owned(),
        (None, LinkMail::Wanted) => "The link is not mailed, because mail is off.".to_owned(),
    });
}
