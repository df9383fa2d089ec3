//! Mail: how a letter reads, and how it is sent.
//!
//! - [`Composer`] writes a [`Letter`](crate::domain::Letter) as a [`Message`] in the reader's language; the texts are files in `templates/`.
//! - [`Transport`] formats it by RFC 5322 and hands it to a mail server or writes it into a directory.
//!
//! What is not here: the outbox, its queue and its retries. A [`Transport`] tries once and says what happened.

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
pub use error::{SendError, TransportError, Verdict};
pub use message::Sender;
pub use settings::{Credentials, SmtpSettings};
pub use stage::{Progress, SmtpTimeouts, Stage};
pub use transport::Transport;
