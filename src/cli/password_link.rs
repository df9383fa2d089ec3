//! `user create` and `user link`: accounts whose owners set the password through a link.

use serde_json::{Value, json};

use super::account::{facts_of, parse_locale, parse_password, to_json};
use super::arguments::field;
use super::ask::read_from_stdin;
use super::context::Context;
use super::error::Refusal;
use super::mail::queued;
use super::report::Report;
use crate::domain::{Email, Locale, Username};
use crate::service::{NewUser, PasswordLink, Service, UserRef, UserSummary};

#[derive(clap::Args, Debug)]
pub(super) struct NewAccount {
    /// The username: 2 to 32 letters, digits, '.', '_' and '-'
    #[arg(value_parser = field(Username::parse))]
    login: Username,
    /// The e-mail address
    #[arg(long, value_name = "ADDRESS", value_parser = field(Email::parse))]
    email: Email,
    /// Mark the address as verified
    #[arg(long)]
    verified: bool,
    /// The language of the account's mails, such as en or zh-CN [default: mail.locale]
    #[arg(long, value_name = "LANGUAGE", value_parser = field(parse_locale))]
    locale: Option<Locale>,
    /// Do not mail the link: only print it
    #[arg(long)]
    no_mail: bool,
    /// Read a password from the first line of standard input, and print no link
    #[arg(long)]
    password_stdin: bool,
}

pub(super) fn create(context: &Context, account: NewAccount) -> Result<Report, Refusal> {
    let password = account.password_stdin.then(read_from_stdin).transpose()?;
    let no_mail = account.no_mail;
    context.with_service(async |service| {
        let identities = [account.login.as_str(), account.email.as_str()];
        let password = password.map(|text| parse_password(service, &text, &identities));
        let new = NewUser {
            password: password.transpose()?,
            username: account.login,
            email: account.email,
            is_verified: account.verified,
            locale: account.locale,
            no_mail,
        };
        let (summary, link) = service.create_user(new).await?;
        let facts = facts_of(&summary, context.times());
        Ok::<_, Refusal>(match link {
            Some(link) => report_link(context, service, &summary, &link, &facts, no_mail),
            None => Report::new(document(&summary, None), facts),
        })
    })
}

pub(super) fn link(context: &Context, user: UserRef, no_mail: bool) -> Result<Report, Refusal> {
    context.with_service(async |service| {
        let (summary, link) = service.create_password_link(user, no_mail).await?;
        let text = format!("{} sets the password here:", summary.user.username);
        Ok::<_, Refusal>(report_link(context, service, &summary, &link, &text, no_mail))
    })
}

/// The document of an account, with the link to set its password if there is one.
fn document(summary: &UserSummary, link: Option<&PasswordLink>) -> Value {
    let mut document = to_json(summary);
    document["set_password_link"] = json!(link.map(|link| link.url.as_str()));
    document["mailed_to"] = json!(link.and_then(|link| link.mailed_to.as_ref()).map(Email::as_str));
    document
}

/// Reports a link to set a password: how to use it, and whether it is mailed.
fn report_link(
    context: &Context,
    service: &Service,
    summary: &UserSummary,
    link: &PasswordLink,
    text: &str,
    no_mail: bool,
) -> Report {
    let report = Report::new(document(summary, Some(link)), format!("{text}\n\n{}", link.url));
    let mut report = report.note(format!(
        "The link sets the password: give it to the account's owner alone. It works once, until {}, and proves no address.",
        link.expires_at
    ));
    if !service.has_reset_page() {
        report = report.note(
            "This server has no page at the link: server.pages is false, and neither server.app_url nor links.reset leads elsewhere.",
        );
    }
    report.note(match (&link.mailed_to, no_mail) {
        (Some(address), _) => queued(context, "the link", address, service.mail_transport()),
        (None, true) => "The link is not mailed.".to_owned(),
        (None, false) => "The link is not mailed, because mail is off.".to_owned(),
    })
}
