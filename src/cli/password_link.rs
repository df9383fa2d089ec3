//! What is said about a link with which the owner of an account sets a password.

use serde_json::json;

use super::context::Context;
use super::error::Refusal;
use super::mail::queued;
use super::user::to_json;
use crate::domain::Email;
use crate::service::{LinkMail, Medium, PasswordLink, Service, UserSummary};

impl From<bool> for LinkMail {
    fn from(no_mail: bool) -> Self {
        if no_mail { Self::Unwanted } else { Self::Wanted }
    }
}

/// Where links lead, and how mail leaves.
pub(super) struct Ways {
    medium: Medium,
    has_reset_page: bool,
}

impl Ways {
    pub(super) fn of(service: &Service) -> Self {
        Self {
            medium: service.mail_medium(),
            has_reset_page: service.has_reset_page(),
        }
    }
}

/// Prints an account with the link to set its password, if there is one.
pub(super) fn show_link(
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
pub(super) fn tell_about(context: &Context, link: &PasswordLink, link_mail: LinkMail, ways: &Ways) {
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
