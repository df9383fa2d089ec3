//! How times read: on a terminal by how long ago they were, elsewhere as RFC 3339.

use std::time::Duration;

use crate::domain::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How times are shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Times {
    /// RFC 3339 in UTC.
    Exact,
    /// By their distance from this moment.
    From(Timestamp),
}

impl Times {
    /// A moment: `2026-11-22T10:00:00Z`, or `3 min ago` and `in 6 days`.
    pub(super) fn show(self, at: Timestamp) -> String {
        match self {
            Self::Exact => at.to_string(),
            Self::From(now) if at > now => format!("in {}", span(at.since(now))),
            Self::From(now) => format!("{} ago", span(now.since(at))),
        }
    }

    /// A moment whose exact time the reader may need as well.
    pub(super) fn show_both(self, at: Timestamp) -> String {
        match self {
            Self::Exact => at.to_string(),
            Self::From(_) => format!("{at} ({})", self.show(at)),
        }
    }
}

/// A span, rounded, in the unit that makes the number short.
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
    fn a_moment_is_told_by_its_distance() {
        let now = Timestamp::from_millis(1_767_225_600_000);
        let (times, seconds) = (Times::From(now), Duration::from_secs);
        for (ago, shown) in [
            (0, "0 s ago"),
            (89, "89 s ago"),
            (180, "3 min ago"),
            (5400, "2 h ago"),
            (DAY, "24 h ago"),
            (2 * DAY, "2 days ago"),
        ] {
            assert_eq!(times.show(now - seconds(ago)), shown);
        }
        assert_eq!(times.show(now + seconds(7 * DAY - 1)), "in 7 days");
        assert_eq!(times.show_both(now), "2026-01-01T00:00:00Z (0 s ago)");
        assert_eq!(Times::Exact.show(now), "2026-01-01T00:00:00Z");
        assert_eq!(Times::Exact.show_both(now), "2026-01-01T00:00:00Z");
    }
}
