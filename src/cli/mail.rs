//! `mail`: whether mail leaves, and what still waits.

use clap::Subcommand;
use serde_json::{Value, json};

use super::context::Context;
use super::error::{Refusal, one_line};
use super::times::Times;
use super::user::parse_email;
use crate::config::MailTransport;
use crate::domain::{Email, HeloName, QueuedMail};
use crate::service::Medium;

/// See whether mail is sent, and what waits to be
///
/// Mail is queued in the database, and the server sends it while it runs. What cannot be sent is tried again, at first after seconds and later after minutes, until what it brings is of no use any more. Two kinds of mail are left alone: "refused", whose recipient takes no mail as the mail server says;
/// and "unanswered", which may have arrived because the mail server did not say whether it took it, and is repeated after hours or never. retry tries all of
/// it again now.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example: the mail server was down; is anything left, and off with it\n  arkloop mail queue\n  arkloop mail retry"
)]
pub(super) enum Command {
    /// Send a test mail at once, past the queue; on failure says what the mail server said
    ///
    /// It goes out from this command, by the configuration that this command reads: name the server's with --config.
    #[command(after_help = "Example:\n  arkloop --config /etc/arkloop/arkloop.toml mail test me@example.org")]
    Test {
        /// To whom
        #[arg(value_name = "ADDRESS", value_parser = parse_email)]
        to: Email,
    },
    /// List what waits to be sent or was refused, the oldest first; never what a mail says
    #[command(
        after_help = "Example: why is it still there?\n  arkloop --json mail queue | jq -r '.[].last_error'"
    )]
    Queue,
    /// Have the server try everything that waits again, now or when it starts
    #[command(after_help = "Example:\n  arkloop mail retry")]
    Retry,
}

/// `mail …`
pub(super) fn run(command: Command, context: &Context) -> Result<(), Refusal> {
    match command {
        Command::Test { to } => test(context, &to),
        Command::Queue => queue(context),
        Command::Retry => retry(context),
    }
}

fn test(context: &Context, to: &Email) -> Result<(), Refusal> {
    context.with_service(async |service| Ok(service.send_test_mail(to).await?))?;
    let transport = context.config.mail_transport();
    let helo = context
        .config
        .helo_name()
        .filter(|_| transport == MailTransport::Smtp);
    let helo = helo.as_ref().map(HeloName::as_str);
    let document = json!({ "to": to.as_str(), "transport": transport.into_str(), "helo_name": helo });
    context.output.result(&document, || match transport {
        MailTransport::File => {
            let directory = context.config.outbox_path();
            format!("a test mail to {to} was written into {}", directory.display())
        }
        MailTransport::Smtp | MailTransport::Off => {
            let greeted = helo.map(|name| format!(", and was greeted as {name}"));
            format!(
                "the mail server has taken a test mail to {to}{}",
                greeted.unwrap_or_default()
            )
        }
    })
}

/// What becomes of a mail with `what` that a command has queued.
pub(super) fn queued(context: &Context, what: &str, to: &Email, medium: Medium) -> String {
    let flags = &context.location_flags;
    let fate = match medium {
        Medium::Smtp => format!("the server sends it while it runs; see: arkloop{flags} mail queue"),
        Medium::File => {
            let directory = context.config.outbox_path();
            let directory = directory.display();
            format!(
                "the server writes it into {directory} while it runs and sends nothing, because mail.transport is file"
            )
        }
        Medium::Off => "mail is off, so that it is not sent".to_owned(),
    };
    format!("A mail with {what} to {to} is queued: {fate}")
}

fn queue(context: &Context) -> Result<(), Refusal> {
    let mails = context.with_service(async |service| Ok(service.list_waiting_mail().await?))?;
    let documents = mails.iter().map(to_json).collect();
    let times = context.times();
    let rows = mails.iter().map(|mail| to_row(mail, times)).collect();
    let header = [
        "KIND",
        "TO",
        "QUEUED",
        "EXPIRES",
        "STATUS",
        "NEXT TRY",
        "TRIES",
        "LAST ERROR",
    ];
    context.output.list(documents, &header, rows, "No mail waits.")
}

fn retry(context: &Context) -> Result<(), Refusal> {
    let retried = context.with_service(async |service| Ok(service.retry_mail().await?))?;
    context
        .output
        .result(&json!({ "retried": retried }), || match retried {
            0 => "no mail waits".to_owned(),
            1 => "1 mail is due now".to_owned(),
            number => format!("{number} mails are due now"),
        })?;
    if retried > 0 {
        let who = if context.server_runs() {
            "The running server tries now."
        } else {
            "No server runs; the next one tries when it starts."
        };
        context.output.note(&format!("{who} See: arkloop mail queue"));
    }
    Ok(())
}

fn to_json((to, mail): &(String, QueuedMail)) -> Value {
    json!({
        "id": mail.id.to_string(),
        "kind": mail.kind,
        "to": to,
        "created_at": mail.created_at.to_string(),
        "expires_at": mail.expires_at.to_string(),
        "status": mail.status().into_str(),
        "next_attempt_at": mail.next_attempt().map(|at| at.to_string()),
        "attempts": mail.tries.attempts,
        "last_error": mail.tries.last_error,
        "hint": mail.tries.last_hint,
    })
}

fn to_row((to, mail): &(String, QueuedMail), times: Times) -> Vec<String> {
    vec![
        mail.kind.clone(),
        to.clone(),
        times.show(mail.created_at),
        times.show(mail.expires_at),
        mail.status().into_str().to_owned(),
        mail.next_attempt()
            .map_or_else(|| "never".to_owned(), |at| times.show(at)),
        mail.tries.attempts.to_string(),
        mail.tries.last_error.as_deref().map(one_line).unwrap_or_default(),
    ]
}
