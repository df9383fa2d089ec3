//! Mail: how a letter reads, and how it leaves the house.
//!
//! - [`Composer`] turns a [`Letter`](crate::domain::Letter) into words in the reader's language; the words are files in `templates/`.
//! - [`Transport`] makes a message of RFC 5322 from them and hands it to a mail server or writes it into a directory.
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

pub use compose::{Composed, Composer, Letterhead, WayToReset};
pub use error::{SendError, Stage, TransportError, Verdict};
pub use file::FileTransport;
pub use message::Parcel;
pub use patience::{Progress, SmtpTimeouts};
pub use reply::{EnhancedCode, MAX_WORDS, Reply};
pub use smtp::SmtpTransport;
pub use smtp_server::SmtpSettings;
pub use transport::{Medium, Transport};
