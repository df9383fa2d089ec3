//! From words to a message of RFC 5322.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, MultiPartKind, SinglePart};
use lettre::{Address, Message};

use super::compose::Composed;
use super::error::{SendError, TransportError};
use crate::domain::{MailKind, Timestamp, is_unprintable};

/// Between the parts of a message. `=_` occurs in no quoted-printable or base64 text (RFC 2045 §6.7), and no template begins a line with it.
/// Always the same, so that a mail that is sent again is the same mail.
const BOUNDARY: &str = "=_arkloop_alternative";
/// The last moment that `Date` can say: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// A letter in words together with what the outbox knows of it.
pub struct Parcel<'a> {
    /// The words.
    pub composed: &'a Composed,
    /// Which mail it is.
    pub kind: MailKind,
    /// The value of `Message-ID` with its angle brackets; the same at every attempt.
    pub message_id: &'a str,
    /// When the mail came about: the value of `Date`.
    pub created_at: Timestamp,
    /// When what is in it stops working.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Parcel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({} {})", self.kind, self.message_id)
    }
}

/// Reads the sender of all mails.
pub(super) fn parse_from(text: &str) -> Result<Mailbox, TransportError> {
    let mailbox: Mailbox = text.parse().map_err(|_| TransportError::From)?;
    let name = mailbox.name.as_deref().unwrap_or_default();
    if name.contains(is_unprintable) || !is_plain(mailbox.email.as_ref()) {
        return Err(TransportError::From);
    }
    Ok(mailbox)
}

/// Makes the message. Nothing in it depends on when or how often that happens.
pub(super) fn build(parcel: &Parcel<'_>, from: &Mailbox) -> Result<Message, SendError> {
    let malformed = |part| SendError::Malformed { part };
    let composed = parcel.composed;
    let to: Address = composed
        .to
        .parse()
        .ok()
        .filter(|_| is_plain(&composed.to))
        .ok_or(malformed("recipient's address"))?;
    let message_id = parcel.message_id;
    if !(message_id.starts_with('<') && message_id.ends_with('>') && is_plain(message_id)) {
        return Err(malformed("message id"));
    }
    if composed.subject.contains(is_unprintable) {
        return Err(malformed("subject"));
    }
    let seconds = u64::try_from(parcel.created_at.as_seconds()).unwrap_or_default();
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(composed.subject.as_str())
        .date(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND)))
        .message_id(Some(message_id.to_owned()))
        .header(AutoSubmitted)
        .multipart(
            MultiPart::builder()
                .kind(MultiPartKind::Alternative)
                .boundary(BOUNDARY)
                .singlepart(SinglePart::plain(composed.text.clone()))
                .singlepart(SinglePart::html(composed.html.clone())),
        )
        .map_err(|_| malformed("envelope"))
}

/// Whether `text` is visible ASCII without spaces: it can then neither end a line nor need an extension of SMTP.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `Auto-Submitted: auto-generated` (RFC 3834 §5): nobody's "out of office" answers such a mail.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
