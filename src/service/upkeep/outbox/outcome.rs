//! What came of a try to send a mail, and when it is tried next.

use std::time::Duration;

use crate::domain::{DomainDigest, MailId, Timestamp};
use crate::mail::{SendError, Verdict};
use crate::store::{OutboxRow, Tries};

/// How long to wait after the first failure; three times as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest wait between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// How long to wait after each try with which the mail may have arrived. After the last of these it is not tried any more.
///
/// A mail server that is that slow is most often one that took the mail. Two repeats in a day bother the recipient little, and save a mail that was lost;
/// a mail that expires before gets none.
const REPEATS: [Duration; 2] = [Duration::from_hours(2), Duration::from_hours(8)];
/// What is said of a mail that the mail server has in whole.
const UNANSWERED: &str = "the whole mail was sent, and the mail server has not said yet whether it takes it";
/// What a delivery that panicked is said to have failed for.
const PANICKED: &str = "a fault in the program: it panicked";

/// Why a mail was not sent this time.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) hint: Option<String>,
    pub(super) verdict: Verdict,
}

impl Failure {
    /// That has to do with the one mail.
    pub(super) fn of_the_mail(reason: &impl ToString) -> Self {
        Self {
            reason: reason.to_string(),
            hint: None,
            verdict: Verdict::Single,
        }
    }

    /// For the log: why, and what the operator can do about it.
    pub(super) fn told(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.reason),
            None => self.reason.clone(),
        }
    }

    pub(super) fn panicked() -> Self {
        Self::of_the_mail(&PANICKED)
    }

    pub(super) fn unanswered() -> Self {
        Self {
            verdict: Verdict::Unanswered,
            ..Self::of_the_mail(&UNANSWERED)
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self {
            reason: error.to_string(),
            hint: error.hint().map(str::to_owned),
            verdict: error.verdict(),
        }
    }
}

/// A mail that is on its way, without what it says.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) id: MailId,
    pub(super) kind: String,
    pub(super) domain: Option<DomainDigest>,
    pub(super) expires_at: Timestamp,
    /// What came of the tries before this one.
    before: Tries,
}

impl Begun {
    pub(super) fn of(row: &OutboxRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind.clone(),
            domain: row.domain,
            expires_at: row.expires_at,
            before: row.tries.clone(),
        }
    }

    /// How often it was tried, with this time.
    pub(super) fn attempts(&self) -> u32 {
        self.before.attempts + 1
    }

    /// What is to be noted of it after `failure`; `chance` is random.
    ///
    /// A mail whose recipient was refused for good is left alone until it expires, where `mail queue` shows it: trying again would annoy the mail server,
    /// and dropping it would hide a cause that the operator can mend.
    pub(super) fn after(&self, failure: Failure, now: Timestamp, chance: u8) -> Note {
        let is_unanswered = failure.verdict == Verdict::Unanswered;
        let at = match failure.verdict {
            Verdict::Final => None,
            Verdict::Unanswered => usize::try_from(self.before.unanswered)
                .ok()
                .and_then(|repeats| REPEATS.get(repeats))
                .map(|pause| now + *pause),
            Verdict::General | Verdict::Single => Some(now + pause_after(self.before.attempts, chance)),
        };
        Note::Failed {
            id: self.id,
            at: at.map_or(self.expires_at, |at| at.min(self.expires_at)),
            tries: Tries {
                attempts: self.attempts(),
                unanswered: self.before.unanswered + u32::from(is_unanswered),
                is_refused: failure.verdict == Verdict::Final,
                last_error: Some(failure.reason),
                last_hint: failure.hint,
            },
        }
    }
}

/// What is to be noted of a mail that was tried.
#[derive(Clone, Debug)]
pub(super) enum Note {
    /// It was sent.
    Sent(MailId),
    /// It was not, and is tried again at `at`; never, if it has expired by then.
    Failed { id: MailId, at: Timestamp, tries: Tries },
}

/// Five seconds, then three times as long after each failure, up to a quarter of an hour; up to a fifth more by chance, so that what failed together is not
/// tried together for ever.
fn pause_after(attempts: u32, chance: u8) -> Duration {
    let pause = FIRST_PAUSE
        .saturating_mul(3_u32.saturating_pow(attempts))
        .min(LONGEST_PAUSE);
    pause + pause / 5 * u32::from(chance) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn begun(life: Duration, unanswered: u32) -> Begun {
        Begun {
            id: MailId::from_bytes([0; 16]),
            kind: "test".to_owned(),
            domain: None,
            expires_at: NOW + life,
            before: Tries {
                attempts: unanswered,
                unanswered,
                ..Tries::default()
            },
        }
    }

    /// How long after `failure` the mail is tried again; `None` for never.
    fn pause(begun: &Begun, verdict: Verdict) -> Option<Duration> {
        let failure = Failure {
            verdict,
            ..Failure::panicked()
        };
        match begun.after(failure, NOW, 0) {
            Note::Failed { at, .. } if at < begun.expires_at => Some(at.since(NOW)),
            _ => None,
        }
    }

    #[test]
    fn a_mail_that_may_have_arrived_is_repeated_twice_hours_apart_and_a_code_never() {
        let (day, minutes) = (Duration::from_hours(24), Duration::from_mins(10));
        for (life, repeats, after) in [
            (day, 0, Some(Duration::from_hours(2))),
            (day, 1, Some(Duration::from_hours(8))),
            (day, 2, None),
            (minutes, 0, None),
        ] {
            assert_eq!(
                pause(&begun(life, repeats), Verdict::Unanswered),
                after,
                "{life:?} {repeats}"
            );
        }
    }

    #[test]
    fn what_can_be_mended_is_tried_again_soon_and_a_refused_recipient_is_not() {
        let mail = begun(Duration::from_hours(24), 0);
        assert_eq!(pause(&mail, Verdict::General), Some(FIRST_PAUSE));
        assert_eq!(pause(&mail, Verdict::Single), Some(FIRST_PAUSE));
        assert_eq!(pause(&mail, Verdict::Final), None);
        let pauses: Vec<_> = (0..7)
            .map(|attempts| pause_after(attempts, 0).as_secs())
            .collect();
        assert_eq!(pauses, [5, 15, 45, 135, 405, 900, 900]);
        assert_eq!(pause_after(40, u8::MAX), LONGEST_PAUSE + LONGEST_PAUSE / 5);
    }
}
