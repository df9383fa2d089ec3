//! `user`: accounts.

use clap::Subcommand;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::ask::{FINAL, PasswordArguments, confirm, read_from_stdin};
use super::context::Context;
use super::error::{Refusal, describe};
use super::output::facts;
use super::paging::Limit;
use super::password_link::{Draft, create, link};
use super::times::Times;
use crate::domain::{
    Email, FieldError, Locale, Paging, Password, User, UserId, UserStatus, Username, trimmed,
};
use crate::service::{Service, UserFilter, UserRef, UserSummary};

/// Make, see, change and delete accounts
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: whose names begin with ann?\n  arkloop user list --search ann")]
pub(super) enum Command {
    /// Make an account, whatever the registration mode is; without a password it prints a link to set one, and mails it
    ///
    /// The link is for the owner of the account: hand it over as you would a password, because its first user sets the password. It works once, until the
    /// time that is printed, and proves no address. It leads to where links.reset of the configuration points. A mail with it is queued for the address
    /// unless --no-mail is given or mail is off; the command says which.
    #[command(
        after_help = "Example: the owner sets the password\n  arkloop user create ann --email ann@example.org\n\n\
                      Example: a script sets it\n  pwgen 20 1 | arkloop user create ann --email ann@example.org --verified --password-stdin"
    )]
    Create {
        /// Its username: 2 to 32 letters, digits, '.', '_' and '-'
        #[arg(value_parser = parse_username)]
        login: Username,
        /// Its address
        #[arg(long, value_name = "ADDRESS", value_parser = parse_email)]
        email: Email,
        /// Take the address as proven
        #[arg(long)]
        verified: bool,
        /// The language of the account's mails, such as en or zh-CN [default: mail.locale]
        #[arg(long, value_name = "LANGUAGE", value_parser = parse_locale)]
        locale: Option<Locale>,
        /// Do not mail the link: only print it
        #[arg(long)]
        no_mail: bool,
        /// Read a password from the first line of standard input, and print no link
        #[arg(long)]
        password_stdin: bool,
    },
    /// Make another link to set the password, print it, and mail it
    ///
    /// The link made before does not work any more. Password and sessions stay as they are until the link is used, which ends the sessions. As with the
    /// link that user create prints, it is for the owner of the account alone, works once, until the time that is printed, and proves no address. Of a suspended
    /// account no link works, so none is made.
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
        after_help = "Examples: whom were they; the next hundred behind an account\n  arkloop user list --status suspended\n  arkloop user list --after 019acb9e-0000-7000-8000-000000000000"
    )]
    List {
        /// Only those with this text somewhere in the username or the e-mail address, whatever its case
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only the active or only the suspended ones
        #[arg(long, value_parser = parse_status)]
        status: Option<UserStatus>,
        #[command(flatten)]
        limit: Limit,
        /// Begin behind the account with this id, the last of the part before
        #[arg(long, value_name = "ID", value_parser = parse_user_id)]
        after: Option<UserId>,
    },
    /// Print one account
    #[command(after_help = "Example:\n  arkloop user show ann@example.org")]
    Show {
        #[command(flatten)]
        who: Who,
    },
    /// Set the password; every session of the account ends
    #[command(after_help = "Example:\n  arkloop user set-password ann")]
    SetPassword {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        password: PasswordArguments,
    },
    /// Set the address; it is unverified afterwards
    #[command(after_help = "Example:\n  arkloop user set-email ann ann@example.net")]
    SetEmail {
        #[command(flatten)]
        who: Who,
        /// The new address
        #[arg(value_name = "ADDRESS", value_parser = parse_email)]
        email: Email,
    },
    /// Take the address as proven
    #[command(after_help = "Example:\n  arkloop user verify-email ann")]
    VerifyEmail {
        #[command(flatten)]
        who: Who,
    },
    /// Refuse every sign-in and end every session of the account
    #[command(after_help = "Example:\n  arkloop user suspend ann")]
    Suspend {
        #[command(flatten)]
        who: Who,
    },
    /// Let a suspended account be used again; its old sessions stay ended
    #[command(after_help = "Example:\n  arkloop user reactivate ann")]
    Reactivate {
        #[command(flatten)]
        who: Who,
    },
    /// Delete an account for ever
    #[command(after_help = "Example:\n  arkloop user delete ann")]
    Delete {
        #[command(flatten)]
        who: Who,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Which account is meant.
#[derive(clap::Args, Debug)]
pub(super) struct Who {
    /// A username, an e-mail address or an id
    #[arg(value_parser = parse_user)]
    user: UserRef,
}

/// Reads a username, an address or an id.
#[expect(
    clippy::unnecessary_wraps,
    reason = "clap asks for a function that may refuse"
)]
pub(super) fn parse_user(text: &str) -> Result<UserRef, String> {
    Ok(UserRef::parse(text))
}

fn parse_username(text: &str) -> Result<Username, String> {
    Username::parse(text).map_err(|error| format!("it {}", describe(error)))
}

/// Reads an address.
pub(super) fn parse_email(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|error| format!("it {}", describe(error)))
}

fn parse_user_id(text: &str) -> Result<UserId, String> {
    trimmed(text)
        .parse()
        .map_err(|_| "it must be an id as `arkloop user list` prints it".to_owned())
}

/// Reads a language, also as a device says it. A text that names no language is probably a typing error, so it is refused.
pub(super) fn parse_locale(text: &str) -> Result<Locale, String> {
    let form = FieldError::Invalid {
        form: "a language tag such as en or zh-CN",
    };
    Locale::from_hint(text)
        .and_then(|locale| locale.ok_or(form))
        .map_err(|error| format!("it {}", describe(error)))
}

fn parse_status(text: &str) -> Result<UserStatus, String> {
    text.parse()
        .map_err(|_| "it must be active or suspended".to_owned())
}

/// `user …`
pub(super) fn run(command: Command, context: &Context) -> Result<(), Refusal> {
    match command {
        Command::Create {
            login,
            email,
            verified,
            locale,
            no_mail,
            password_stdin,
        } => {
            let password = password_stdin.then(read_from_stdin).transpose()?;
            let draft = Draft {
                username: login,
                email,
                is_verified: verified,
                locale,
                link_mail: no_mail.into(),
            };
            create(context, draft, password)
        }
        Command::Link { who, no_mail } => link(context, who.user, no_mail.into()),
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
        Command::Show { who } => {
            let found = context.with_service(async |service| Ok(service.find_user(who.user).await?))?;
            context
                .output
                .result(&to_json(&found), || to_facts(&found, context.times()))
        }
        Command::SetPassword { who, password } => set_password(context, who.user, &password),
        Command::SetEmail { who, email } => change(
            context,
            "has a new address, which is not verified",
            async |service| Ok(service.set_email(who.user, email).await?),
        ),
        Command::VerifyEmail { who } => change(context, "has a verified address", async |service| {
            Ok(service.verify_email(who.user).await?)
        }),
        Command::Suspend { who } => change(
            context,
            "is suspended, and every session has ended",
            async |service| Ok(service.suspend(who.user).await?),
        ),
        Command::Reactivate { who } => change(context, "is active", async |service| {
            Ok(service.reactivate(who.user).await?)
        }),
        Command::Delete { who, yes } => delete(context, who.user, yes.into()),
    }
}

/// Carries out a change and prints the account: as a whole with `--json`, as a sentence that ends with `outcome` otherwise.
fn change(
    context: &Context,
    outcome: &str,
    work: impl AsyncFnOnce(&Service) -> Result<UserSummary, Refusal>,
) -> Result<(), Refusal> {
    let changed = context.with_service(work)?;
    context.output.result(&to_json(&changed), || {
        format!("{} {outcome}", changed.user.username)
    })
}

pub(super) fn parse_password(
    service: &Service,
    text: &SecretString,
    identities: &[&str],
) -> Result<Password, Refusal> {
    Password::parse(text.expose_secret(), service.password_policy(), identities)
        .map_err(|error| Refusal::field("the password", error))
}

fn list(context: &Context, filter: UserFilter, paging: Paging<UserId>) -> Result<(), Refusal> {
    let nothing = match (&filter, paging.after) {
        (_, Some(_)) => "No account follows.",
        (UserFilter { search: Some(_), .. }, _) => {
            "No account has this text in its username or e-mail address."
        }
        (UserFilter { status: Some(_), .. }, _) => "No account has this status.",
        _ => "There is no account.",
    };
    let page = context.with_service(async |service| Ok(service.list_users(filter, paging).await?))?;
    let (users, times) = (&page.rows, context.times());
    let documents = users.iter().map(to_json).collect();
    let rows = users.iter().map(|user| to_row(user, times)).collect();
    context.output.list(
        documents,
        &["USERNAME", "E-MAIL", "STATUS", "SESSIONS", "CREATED", "ID"],
        rows,
        nothing,
    )?;
    let last = users.last().map(|last| last.user.id.to_string());
    context
        .output
        .more(page.more, "--after", &last.unwrap_or_default());
    Ok(())
}

fn set_password(context: &Context, user: UserRef, password: &PasswordArguments) -> Result<(), Refusal> {
    change(
        context,
        "has a new password, and every session has ended",
        async |service| {
            // The account is looked up first: the password must not be its own name, and nobody types one twice for a misspelt name.
            let user = service.find_user(user).await?.user;
            let without_terminal = "nobody can be asked for the new password";
            let identities = [user.username.as_str(), user.email.as_str()];
            let text = password.read(without_terminal)?;
            let password = parse_password(service, &text, &identities)?;
            Ok(service.set_password(by_id(&user), password).await?)
        },
    )
}

/// What was looked up by a name stays meant, also if the name changes hands meanwhile.
fn by_id(user: &User) -> UserRef {
    UserRef::from(user.id)
}

/// Whether to ask before what cannot be undone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Confirmation {
    Ask,
    Given,
}

impl From<bool> for Confirmation {
    fn from(is_given: bool) -> Self {
        if is_given { Self::Given } else { Self::Ask }
    }
}

fn delete(context: &Context, user: UserRef, confirmation: Confirmation) -> Result<(), Refusal> {
    let user = context.with_service(async |service| {
        let user = service.find_user(user).await?.user;
        if confirmation == Confirmation::Ask {
            confirm(&format!("delete {} <{}>", user.username, user.email), FINAL)?;
        }
        service.delete_user(by_id(&user)).await?;
        Ok(user)
    })?;
    let document = json!({ "id": user.id.to_string(), "username": user.username.as_str(), "deleted": true });
    context
        .output
        .result(&document, || format!("{} is deleted", user.username))
}

pub(super) fn to_json(UserSummary { user, sessions }: &UserSummary) -> Value {
    json!({
        "id": user.id.to_string(),
        "username": user.username.as_str(),
        "email": user.email.as_str(),
        "email_verified": user.email_verified_at.is_some(),
        "has_password": user.has_password,
        "status": user.status.into_str(),
        "locale": user.locale.as_str(),
        "created_at": user.created_at.to_string(),
        "last_sign_in_at": user.last_sign_in_at.as_ref().map(ToString::to_string),
        "sessions": sessions,
    })
}

fn to_row(UserSummary { user, sessions }: &UserSummary, times: Times) -> Vec<String> {
    vec![
        user.username.to_string(),
        user.email.to_string(),
        user.status.into_str().to_owned(),
        sessions.to_string(),
        times.show(user.created_at),
        user.id.to_string(),
    ]
}

pub(super) fn to_facts(UserSummary { user, sessions }: &UserSummary, times: Times) -> String {
    let verified = if user.email_verified_at.is_some() {
        "verified"
    } else {
        "not verified"
    };
    facts(&[
        ("id", user.id.to_string()),
        ("username", user.username.to_string()),
        ("e-mail", format!("{} ({verified})", user.email)),
        (
            "password",
            if user.has_password { "set" } else { "none" }.to_owned(),
        ),
        ("status", user.status.into_str().to_owned()),
        ("locale", user.locale.as_str().to_owned()),
        ("created", times.show_both(user.created_at)),
        (
            "last sign-in",
            user.last_sign_in_at
                .map_or_else(|| "never".to_owned(), |moment| times.show_both(moment)),
        ),
        ("sessions", sessions.to_string()),
    ])
}
