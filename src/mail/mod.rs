//! Mail: writes letters and sends them.
//!
//! - [`Composer`] writes a [`Letter`](crate::domain::Letter) as a [`Message`] in the recipient's language; the texts are files in `templates/`.
//! - [`Transport`] formats the message by RFC 5322 and hands it to a mail server or writes it into a directory.
//!
//! A [`Transport`] tries once and reports what happened. The queue and the retries are in `service/upkeep/outbox`.

mod compose;
mod conversation;
mod error;
mod file;
mod hint;
mod message;
mod reply;
mod settings;
mod smtp;
mod stage;
#[cfg(test)]
mod tests;
mod transport;

pub use compose::{Composer, Letterhead, Message, WayToReset};
pub use lettre::message::Mailbox;

pub use error::{SendError, TransportError, Verdict};
pub use settings::{Credentials, SmtpSettings};
pub use stage::{Progress, SmtpTimeouts, Stage};
pub use transport::Transport;
