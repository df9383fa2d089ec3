//! What the log is told of single mails: each cause now and then, not each mail.

use std::time::{Duration, Instant};

/// How soon after a cause was told it is told again.
const TELL_AGAIN_AFTER: Duration = Duration::from_hours(1);
/// How many causes are told within that time. A mail server may word each refusal differently.
const MAX_CAUSES: usize = 16;

/// The causes that were told of late.
#[derive(Default)]
pub(super) struct Told(Vec<(String, Instant)>);

impl Told {
    /// Whether the log is to be told of `cause` at `now`; notes that it was.
    pub(super) fn is_news(&mut self, cause: &str, now: Instant) -> bool {
        self.0.retain(|(_, at)| now - *at < TELL_AGAIN_AFTER);
        let is_news = self.0.len() < MAX_CAUSES && self.0.iter().all(|(told, _)| told != cause);
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
    fn a_cause_is_told_once_an_hour_and_only_so_many_are() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert!(told.is_news("no", now));
        assert!(!told.is_news("no", now));
        let news = (0..100).filter(|number| told.is_news(&number.to_string(), now));
        assert_eq!(news.count(), MAX_CAUSES - 1);
        assert!(told.is_news("no", now + TELL_AGAIN_AFTER));
    }
}
