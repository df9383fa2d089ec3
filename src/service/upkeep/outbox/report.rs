//! Reports deliveries to the log and the metrics.

use std::time::{Duration, Instant};

use crate::domain::QueuedMail;
use crate::fault::Fault;
use crate::mail::{SendError, Verdict};

/// How long a cause that was logged is not logged again.
const LOG_AGAIN_AFTER: Duration = Duration::from_hours(1);
/// How many causes are logged within that time. A mail server may word each refusal differently.
const MAX_CAUSES: usize = 16;

pub(super) struct Report {
    pub(super) not_sent: Fault,
    /// Why single mails were not sent.
    not_taken: RecentCauses,
    /// Why mails expired.
    lost: RecentCauses,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            not_sent: Fault::new("mail cannot be sent"),
            not_taken: RecentCauses::default(),
            lost: RecentCauses::default(),
        }
    }

    pub(super) fn sent(&self, mail: &QueuedMail) {
        count(mail, "sent");
        self.not_sent.ended();
    }

    pub(super) fn failed(&mut self, mail: &QueuedMail, failure: &SendError) {
        let (id, kind, attempts) = (mail.id, mail.kind.as_str(), mail.attempts.count + 1);
        let reason = match failure.hint() {
            Some(hint) => format!("{failure}; {hint}"),
            None => failure.to_string(),
        };
        tracing::debug!(mail = %id, kind, attempts, "mail was not sent: {reason}");
        match failure.verdict() {
            Verdict::General => _ = self.not_sent.failed(&reason),
            Verdict::Final => {
                tracing::warn!(mail = %id, kind, attempts, "mail was refused for good, and only `mail retry` sends it again: {reason}");
            }
            Verdict::Unanswered => {
                tracing::warn!(mail = %id, kind, attempts, "mail may have arrived, and is sent again after hours or not at all: {reason}");
            }
            Verdict::Single => {
                if self.not_taken.is_news(&reason, Instant::now()) {
                    tracing::warn!(mail = %id, kind, "mail was not sent, and is tried again: {reason}");
                }
            }
        }
    }

    pub(super) fn expired(&mut self, mail: &QueuedMail) {
        let outcome = match mail {
            _ if is_lost(mail) => "expired",
            _ if mail.is_decoy() => "dropped",
            _ => "unanswered",
        };
        count(mail, outcome);
        let reason = mail
            .attempts
            .last_error
            .as_deref()
            .unwrap_or("it was never tried");
        if is_lost(mail) && self.lost.is_news(reason, Instant::now()) {
            let kind = &mail.kind;
            tracing::warn!(kind, "mail expired before the mail server took it: {reason}");
        }
    }
}

/// Whether an expired mail is lost: it was to be sent and cannot have arrived.
pub(super) fn is_lost(mail: &QueuedMail) -> bool {
    !mail.is_decoy() && mail.attempts.unanswered == 0
}

fn count(mail: &QueuedMail, outcome: &'static str) {
    metrics::counter!("arkloop_mails_total", "kind" => mail.kind.clone(), "outcome" => outcome).increment(1);
}

/// The causes that were logged within the last hour.
#[derive(Default)]
struct RecentCauses(Vec<(String, Instant)>);

impl RecentCauses {
    /// Whether `cause` is to be logged at `now`. If it is, it counts as logged.
    fn is_news(&mut self, cause: &str, now: Instant) -> bool {
        self.0.retain(|(_, at)| now - *at < LOG_AGAIN_AFTER);
        let is_news = self.0.len() < MAX_CAUSES && self.0.iter().all(|(logged, _)| logged != cause);
        if is_news {
            self.0.push((cause.to_owned(), now));
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_logged_once_an_hour_and_only_so_many_are() {
        let (mut causes, now) = (RecentCauses::default(), Instant::now());
        assert!(causes.is_news("no", now));
        assert!(!causes.is_news("no", now));
        let news = (0..100).filter(|number| causes.is_news(&number.to_string(), now));
        assert_eq!(news.count(), MAX_CAUSES - 1);
        assert!(causes.is_news("no", now + LOG_AGAIN_AFTER));
    }
}
