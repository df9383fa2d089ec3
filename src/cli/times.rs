//! The format of times: relative to now on a terminal, RFC 3339 elsewhere.

use std::time::Duration;

use crate::domain::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) now: Timestamp,
    /// Whether times are shown relative to `now` instead of as RFC 3339.
    pub(super) are_relative: bool,
}

impl Times {
    /// `2026-11-22T10:00:00Z`, or `3 min ago` and `in 6 days`; `never` for `None`.
    pub(super) fn show(self, at: impl Into<Option<Timestamp>>) -> String {
        let Some(at) = at.into() else {
            return "never".to_owned();
        };
        if !self.are_relative {
            at.to_string()
        } else if at > self.now {
            format!("in {}", span(at.since(self.now)))
        } else {
            format!("{} ago", span(self.now.since(at)))
        }
    }

    /// Like [`Self::show`], with the exact time before the relative one.
    pub(super) fn show_both(self, at: impl Into<Option<Timestamp>>) -> String {
        match at.into() {
            Some(at) if self.are_relative => format!("{at} ({})", self.show(at)),
            at => self.show(at),
        }
    }
}

/// A duration, rounded to seconds, minutes, hours or days so that the number is small.
fn span(span: Duration) -> String {
    let seconds = span.as_secs() + u64::from(span.subsec_millis() >= 500);
    let in_unit = |unit: u64| (seconds + unit / 2) / unit;
    if seconds < 90 {
        format!("{seconds} s")
    } else if seconds < 90 * MINUTE {
        format!("{} min", in_unit(MINUTE))
    } else if seconds < 2 * DAY {
        format!("{} h", in_unit(HOUR))
    } else {
        format!("{} days", in_unit(DAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_relative_to_now() {
        let now = Timestamp::from_millis(1_767_225_600_000);
        let relative = Times {
            now,
            are_relative: true,
        };
        let exact = Times {
            are_relative: false,
            ..relative
        };
        let seconds = Duration::from_secs;
        for (ago, shown) in [
            (0, "0 s ago"),
            (89, "89 s ago"),
            (180, "3 min ago"),
            (5400, "2 h ago"),
            (DAY, "24 h ago"),
            (2 * DAY, "2 days ago"),
        ] {
            assert_eq!(relative.show(now - seconds(ago)), shown);
        }
        assert_eq!(relative.show(now + seconds(7 * DAY - 1)), "in 7 days");
        assert_eq!(relative.show(None), "never");
        assert_eq!(relative.show_both(now), "2026-01-01T00:00:00Z (0 s ago)");
        assert_eq!(exact.show(now), "2026-01-01T00:00:00Z");
        assert_eq!(exact.show_both(now), "2026-01-01T00:00:00Z");
    }
}
