//! `mail`: a test mail, and the queue.

use clap::Subcommand;
use serde_json::json;

use super::arguments::field;
use super::context::Context;
use super::error::{Refusal, one_line};
use super::report::{Report, Row};
use super::times::Times;
use crate::domain::{Email, HeloName, MailTransport, QueuedMail};

/// Send a test mail, and see which mail waits
///
/// Mail is queued in the database, and the server sends it while it runs. A mail that cannot be sent is tried again, at first after seconds and later after
/// minutes, until it expires. Two kinds of mail are not tried again so soon. "refused": the mail server does not accept mail for the recipient.
/// "unanswered": the mail server did not say whether it accepted the mail, which may have arrived; such a mail is repeated after hours or never. retry tries
/// all mail again now.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example: after an outage of the mail server, see what is left and send it\n  arkloop mail queue\n  arkloop mail retry"
)]
pub(super) enum Command {
    /// Send a test mail at once, without the queue; on failure, print the answer of the mail server
    ///
    /// This command sends the mail itself, with the configuration that it reads: name the server's with --config.
    #[command(after_help = "Example:\n  arkloop --config /etc/arkloop/arkloop.toml mail test me@example.org")]
    Test {
        /// The recipient
        #[arg(value_name = "ADDRESS", value_parser = field(Email::parse))]
        to: Email,
    },
    /// List mails that wait or were refused, the oldest first, without their text
    #[command(
        after_help = "Example: why is it still there?\n  arkloop --json mail queue | jq -r '.[].last_error'"
    )]
    Queue,
    /// Let the server try all waiting mail again, now or when it starts
    #[command(after_help = "Example:\n  arkloop mail retry")]
    Retry,
}

pub(super) fn run(command: Command, context: &Context) -> Result<Report, Refusal> {
    match command {
        Command::Test { to } => test(context, &to),
        Command::Queue => queue(context),
        Command::Retry => retry(context),
    }
}

fn test(context: &Context, to: &Email) -> Result<Report, Refusal> {
    context.with_service(async |service| service.send_test_mail(to).await)?;
    let config = &context.config;
    let transport = config.mail_transport();
    let helo = config.helo_name().filter(|_| transport == MailTransport::Smtp);
    let helo = helo.as_ref().map(HeloName::as_str);
    let text = if transport == MailTransport::File {
        let directory = config.outbox_path();
        format!("a test mail to {to} was written into {}", directory.display())
    } else {
        let greeted = helo.map(|name| format!(", and was greeted as {name}"));
        let greeted = greeted.unwrap_or_default();
        format!("the mail server has taken a test mail to {to}{greeted}")
    };
    let document = json!({ "to": to.as_str(), "transport": transport.into_str(), "helo_name": helo });
    Ok(Report::new(document, text))
}

/// How the server will send the mail with `what` that the command has queued.
pub(super) fn queued(context: &Context, what: &str, to: &Email, mail_transport: MailTransport) -> String {
    let flags = &context.location_flags;
    let fate = match mail_transport {
        MailTransport::Smtp => format!("the server sends it while it runs; see: arkloop{flags} mail queue"),
        MailTransport::File => {
            let directory = context.config.outbox_path();
            let directory = directory.display();
            format!(
                "the server writes it into {directory} while it runs and sends nothing, because mail.transport is file"
            )
        }
        MailTransport::Off => "it is not sent, because mail is off".to_owned(),
    };
    format!("A mail with {what} to {to} is queued: {fate}")
}

fn queue(context: &Context) -> Result<Report, Refusal> {
    let mails = context.with_service(async |service| service.list_waiting_mail().await)?;
    Ok(Report::list(&mails, to_row, context.times(), "No mail waits."))
}

fn retry(context: &Context) -> Result<Report, Refusal> {
    let retried = context.with_service(async |service| service.retry_mail().await)?;
    let text = match retried {
        0 => "no mail waits".to_owned(),
        1 => "1 mail is due now".to_owned(),
        number => format!("{number} mails are due now"),
    };
    let report = Report::new(json!({ "retried": retried }), text);
    if retried == 0 {
        return Ok(report);
    }
    let when = if context.server_runs() {
        "The running server tries now."
    } else {
        "No server runs; the next one tries when it starts."
    };
    Ok(report.note(format!("{when} See: arkloop mail queue")))
}

fn to_row((to, mail): &(String, QueuedMail), times: Times) -> Row {
    let (status, next_attempt_at) = (mail.status().into_str(), mail.next_attempt());
    let last_error = mail.attempts.last_error.as_deref().map(one_line);
    let document = json!({
        "id": mail.id,
        "kind": mail.kind,
        "to": to,
        "created_at": mail.created_at,
        "expires_at": mail.expires_at,
        "status": status,
        "next_attempt_at": next_attempt_at,
        "attempts": mail.attempts.count,
        "last_error": mail.attempts.last_error,
        "hint": mail.attempts.last_hint,
    });
    let cells = vec![
        ("KIND", mail.kind.clone()),
        ("TO", to.clone()),
        ("QUEUED", times.show(mail.created_at)),
        ("EXPIRES", times.show(mail.expires_at)),
        ("STATUS", status.to_owned()),
        ("NEXT TRY", times.show(next_attempt_at)),
        ("TRIES", mail.attempts.count.to_string()),
        ("LAST ERROR", last_error.unwrap_or_default()),
    ];
    (document, cells)
}
