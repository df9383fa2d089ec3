//! Formats a message as RFC 5322 defines it.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, MultiPartKind, SinglePart};

use super::compose::Message;
use super::error::SendError;
use crate::domain::{QueuedMail, is_unprintable};

/// Separates the parts of a message. `=_` occurs in no quoted-printable or base64 text (RFC 2045 §6.7), and no template begins a line with it.
/// It never changes, so that a mail that is sent twice has the same text.
const BOUNDARY: &str = "=_arkloop_alternative";
/// The header whose value `auto-generated` asks recipients not to send "out of office" replies (RFC 3834 §5).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
/// The latest time that `Date` can hold: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// Formats `message`, which is the opened content of `mail`. Every attempt gives the same text, with the same `Message-ID` and `Date`.
pub(super) fn build(
    mail: &QueuedMail,
    message: &Message,
    from: &Mailbox,
) -> Result<lettre::Message, SendError> {
    let malformed = |part| SendError::Malformed { part };
    let to: Address = message
        .to
        .parse()
        .ok()
        .filter(|_| is_plain(&message.to))
        .ok_or(malformed("recipient's address"))?;
    let message_id = &mail.message_id;
    if !(message_id.starts_with('<') && message_id.ends_with('>') && is_plain(message_id)) {
        return Err(malformed("message id"));
    }
    if message.subject.contains(is_unprintable) {
        return Err(malformed("subject"));
    }
    let seconds = u64::try_from(mail.created_at.as_seconds()).unwrap_or_default();
    lettre::Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(message.subject.as_str())
        .date(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND)))
        .message_id(Some(message_id.clone()))
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
        .multipart(
            MultiPart::builder()
                .kind(MultiPartKind::Alternative)
                .boundary(BOUNDARY)
                .singlepart(SinglePart::plain(message.text.clone()))
                .singlepart(SinglePart::html(message.html.clone())),
        )
        .map_err(|_| malformed("envelope"))
}

/// Whether `text` is visible ASCII without spaces. Such a text cannot end a line and needs no extension of SMTP.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
