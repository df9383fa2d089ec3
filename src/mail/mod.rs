//! Mail: how a letter reads, and how it leaves the house.
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
mod patience;
mod reply;
mod smtp;
mod smtp_server;
#[cfg(test)]
mod tests;
mod transport;

pub use compose::{Composer, Letterhead, Message, WayToReset};
pub use error::{SendError, Stage, TransportError, Verdict};
pub use file::FileTransport;
pub use patience::{Progress, SmtpTimeouts};
pub use reply::{EnhancedCode, MAX_WORDS, Reply};
pub use smtp::SmtpTransport;
pub use smtp_server::SmtpSettings;
pub use transport::{Medium, Transport};
