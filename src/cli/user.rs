//! `user`: creates, shows, changes and deletes accounts.

use clap::Subcommand;
use serde_json::json;

use super::account::{facts_of, parse_password, to_json, to_row};
use super::arguments::{Limit, Who, expecting, field, id};
use super::ask::{Consent, PasswordArguments};
use super::context::Context;
use super::error::Refusal;
use super::password_link;
use super::report::Report;
use crate::domain::{Email, Paging, UserId, UserStatus, trimmed};
use crate::service::{Service, UserFilter, UserRef, UserSummary};

/// Create, list, change and delete accounts
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: accounts with ann in a name or address\n  arkloop user list --search ann")]
pub(super) enum Command {
    /// Create an account in any registration mode; without a password, print a link to set one, and mail it
    ///
    /// Give the link only to the owner of the account, because the first person who uses it sets the password. It works once, until the time that is
    /// printed, and does not verify the address. Its template is links.reset of the configuration. The link is also mailed to the address, unless
    /// --no-mail is given or mail is off; the command says whether it is.
    #[command(
        after_help = "Example: the owner sets the password\n  arkloop user create ann --email ann@example.org\n\n\
                      Example: a script sets it\n  pwgen 20 1 | arkloop user create ann --email ann@example.org --verified --password-stdin"
    )]
    Create(password_link::NewAccount),
    /// Create another link to set the password, print it, and mail it
    ///
    /// The previous link stops working. The password and the sessions stay as they are until the new link is used, which ends the sessions. Give the link
    /// only to the owner of the account. It works once, until the time that is printed, and does not verify the address. For a suspended account no link
    /// works, so none is created.
    #[command(after_help = "Example: the first mail was lost\n  arkloop user link ann")]
    Link {
        #[command(flatten)]
        who: Who,
        /// Do not mail the link: only print it
        #[arg(long)]
        no_mail: bool,
    },
    /// List accounts, the oldest first
    #[command(
        after_help = "Examples: suspended accounts; the next page of all accounts\n  arkloop user list --status suspended\n  arkloop user list --after 019acb9e-0000-7000-8000-000000000000"
    )]
    List {
        /// Only accounts with this text in the username or the e-mail address, in upper or lower case
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only active or only suspended accounts
        #[arg(long, value_parser = expecting::<UserStatus>("active or suspended", |text| text.parse().ok()))]
        status: Option<UserStatus>,
        #[command(flatten)]
        limit: Limit,
        /// Begin after the account with this id, the last one of the previous page
        #[arg(long, value_name = "ID", value_parser = id::<UserId>("user list"))]
        after: Option<UserId>,
    },
    /// Print one account
    #[command(after_help = "Example:\n  arkloop user show ann@example.org")]
    Show(Who),
    /// Set the password, and end every session of the account
    #[command(after_help = "Example:\n  arkloop user set-password ann")]
    SetPassword {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        password: PasswordArguments,
    },
    /// Set the address; it is unverified afterwards
    ///
    /// Ends every session, and voids every link and code that was mailed, a change of the address that waits, and the links that take a former address back.
    #[command(after_help = "Example:\n  arkloop user set-email ann ann@example.net")]
    SetEmail {
        #[command(flatten)]
        who: Who,
        /// The new address
        #[arg(value_name = "ADDRESS", value_parser = field(Email::parse))]
        email: Email,
    },
    /// Mark the address as verified
    #[command(after_help = "Example:\n  arkloop user verify-email ann")]
    VerifyEmail(Who),
    /// Refuse every sign-in and end every session of the account
    #[command(after_help = "Example:\n  arkloop user suspend ann")]
    Suspend(Who),
    /// End the suspension of an account; its old sessions stay ended
    #[command(after_help = "Example:\n  arkloop user reactivate ann")]
    Reactivate(Who),
    /// Delete an account for ever
    #[command(after_help = "Example:\n  arkloop user delete ann")]
    Delete {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        consent: Consent,
    },
}

pub(super) fn run(command: Command, context: &Context) -> Result<Report, Refusal> {
    match command {
        Command::Create(account) => password_link::create(context, account),
        Command::Link { who, no_mail } => password_link::link(context, who.user, no_mail),
        Command::List {
            search,
            status,
            limit,
            after,
        } => {
            let limit = limit.rows(context.output);
            let search = search.map(|text| trimmed(&text).to_owned());
            list(context, UserFilter { search, status }, Paging { after, limit })
        }
        Command::Show(who) => {
            let found = context.with_service(async |service| service.find_user(who.user).await)?;
            Ok(Report::new(to_json(&found), facts_of(&found, context.times())))
        }
        Command::SetPassword { who, password } => set_password(context, who.user, &password),
        Command::SetEmail { who, email } => change(
            context,
            "has a new address, which is not verified; every session has ended",
            async |service| service.set_email(who.user, email).await,
        ),
        Command::VerifyEmail(who) => change(context, "has a verified address", async |service| {
            service.verify_email(who.user).await
        }),
        Command::Suspend(who) => change(
            context,
            "is suspended, and every session has ended",
            async |service| service.suspend(who.user).await,
        ),
        Command::Reactivate(who) => change(context, "is active", async |service| {
            service.reactivate(who.user).await
        }),
        Command::Delete { who, consent } => delete(context, who.user, &consent),
    }
}

/// Runs `work`, and reports the account that it changed. The text of the report is a sentence that ends with `outcome`.
fn change<E: Into<Refusal>>(
    context: &Context,
    outcome: &str,
    work: impl AsyncFnOnce(&Service) -> Result<UserSummary, E>,
) -> Result<Report, Refusal> {
    let changed = context.with_service(work)?;
    let text = format!("{} {outcome}", changed.user.username);
    Ok(Report::new(to_json(&changed), text))
}

fn list(context: &Context, filter: UserFilter, paging: Paging<UserId>) -> Result<Report, Refusal> {
    let nothing = match (&filter, paging.after) {
        (_, Some(_)) => "No account follows.",
        (UserFilter { search: Some(_), .. }, _) => {
            "No account has this text in its username or e-mail address."
        }
        (UserFilter { status: Some(_), .. }, _) => "No account has this status.",
        _ => "There is no account.",
    };
    let page = context.with_service(async |service| service.list_users(filter, paging).await)?;
    let id = |summary: &UserSummary| summary.user.id.to_string();
    Ok(Report::page(&page, to_row, id, context.times(), nothing))
}

fn set_password(context: &Context, user: UserRef, password: &PasswordArguments) -> Result<Report, Refusal> {
    change(
        context,
        "has a new password, and every session has ended",
        async |service| {
            // The account is read first: its names are not accepted as its password, and a misspelt name is refused before a password is typed.
            let user = service.find_user(user).await?.user;
            let identities = [user.username.as_str(), user.email.as_str()];
            let password = parse_password(service, &password.read()?, &identities)?;
            // This uses the id, because another account may get the name in the meantime.
            let changed = service.set_password(user.id.into(), password).await;
            changed.map_err(Refusal::from)
        },
    )
}

fn delete(context: &Context, user: UserRef, consent: &Consent) -> Result<Report, Refusal> {
    let user = context.with_service(async |service| {
        let user = service.find_user(user).await?.user;
        consent.to(&format!("delete {} <{}>", user.username, user.email))?;
        service.delete_user(user.id.into()).await?;
        Ok::<_, Refusal>(user)
    })?;
    let document = json!({ "id": user.id, "username": user.username.as_str(), "deleted": true });
    Ok(Report::new(document, format!("{} is deleted", user.username)))
}
