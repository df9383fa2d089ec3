//! When a mail that was not sent is tried again.

use std::time::Duration;

use crate::domain::{Attempts, QueuedMail, Timestamp};
use crate::mail::{SendError, Verdict};

/// How long to wait after the first failure; three times as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// How long to wait after each attempt in which the mail may have arrived. After the last repeat, the mail is not sent again.
///
/// A mail server that does not answer has most often accepted the mail. Two repeats in a day bother the recipient little, and replace a mail that was lost.
const REPEATS: [Duration; 2] = [Duration::from_hours(2), Duration::from_hours(8)];

/// Returns `mail` as it is after `failure`, with the time of its next attempt; `chance` is a random number.
///
/// A mail whose recipient was refused for good stays until it expires, and `mail queue` shows it: another attempt would annoy the mail server, and dropping
/// the mail would hide a cause that the operator can fix.
pub(super) fn after(mail: &QueuedMail, failure: &SendError, now: Timestamp, chance: u8) -> QueuedMail {
    let (before, verdict) = (&mail.attempts, failure.verdict());
    let pause = match verdict {
        Verdict::Final => None,
        Verdict::Unanswered => usize::try_from(before.unanswered)
            .ok()
            .and_then(|repeats| REPEATS.get(repeats).copied()),
        Verdict::General | Verdict::Single => Some(pause_after(before.count, chance)),
    };
    QueuedMail {
        next_attempt_at: pause.map_or(mail.expires_at, |pause| mail.expires_at.min(now + pause)),
        attempts: Attempts {
            count: before.count + 1,
            unanswered: before.unanswered + u32::from(verdict == Verdict::Unanswered),
            is_refused: verdict == Verdict::Final,
            last_error: Some(failure.to_string()),
            last_hint: failure.hint().map(str::to_owned),
        },
        ..mail.clone()
    }
}

/// The pause before the next attempt. Up to a fifth is added at random, so that mails that failed together do not stay together.
fn pause_after(attempts: u32, chance: u8) -> Duration {
    let pause = FIRST_PAUSE
        .saturating_mul(3_u32.saturating_pow(attempts))
        .min(LONGEST_PAUSE);
    pause + pause / 5 * u32::from(chance) / 255
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MailId, Sealed};

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn mail(life: Duration, unanswered: u32) -> QueuedMail {
        QueuedMail {
            id: MailId::from_bytes([0; 16]),
            kind: "test".to_owned(),
            user_id: None,
            sealed: Sealed(Vec::new()),
            message_id: String::new(),
            created_at: NOW,
            expires_at: NOW + life,
            next_attempt_at: NOW,
            domain: None,
            is_urgent: false,
            attempts: Attempts {
                count: unanswered,
                unanswered,
                ..Attempts::default()
            },
        }
    }

    /// How long after `failure` the mail is tried again; `None` for never.
    fn pause(mail: &QueuedMail, failure: &SendError) -> Option<Duration> {
        after(mail, failure, NOW, 0)
            .next_attempt()
            .map(|at| at.since(NOW))
    }

    #[test]
    fn a_mail_that_may_have_arrived_is_repeated_twice_hours_apart_and_a_code_never() {
        let (day, minutes) = (Duration::from_hours(24), Duration::from_mins(10));
        let unanswered = SendError::unanswered("");
        for (life, repeats, after) in [
            (day, 0, Some(Duration::from_hours(2))),
            (day, 1, Some(Duration::from_hours(8))),
            (day, 2, None),
            (minutes, 0, None),
        ] {
            assert_eq!(
                pause(&mail(life, repeats), &unanswered),
                after,
                "{life:?} {repeats}"
            );
        }
    }

    #[test]
    fn what_can_be_mended_is_tried_again_soon_and_a_refused_recipient_is_not() {
        let mail = mail(Duration::from_hours(24), 0);
        assert_eq!(pause(&mail, &SendError::Off), Some(FIRST_PAUSE));
        assert_eq!(
            pause(&mail, &SendError::Program(String::new())),
            Some(FIRST_PAUSE)
        );
        assert_eq!(pause(&mail, &SendError::Malformed { part: "subject" }), None);
        let pauses: Vec<_> = (0..7)
            .map(|attempts| pause_after(attempts, 0).as_secs())
            .collect();
        assert_eq!(pauses, [5, 15, 45, 135, 405, 900, 900]);
        assert_eq!(pause_after(40, u8::MAX), LONGEST_PAUSE + LONGEST_PAUSE / 5);
    }
}
