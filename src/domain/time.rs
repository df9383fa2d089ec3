//! Times, counted in milliseconds since the Unix epoch.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde::{Serialize, Serializer};

/// A time in UTC with a resolution of one millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down: the unit of JWT claims (RFC 7519 §2, `NumericDate`).
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Rounds down to a multiple of `span` since the Unix epoch, such as the beginning of the hour or the day.
    #[must_use]
    pub fn start_of(self, span: Duration) -> Self {
        let span = millis(span).max(1);
        Self(self.0.div_euclid(span).saturating_mul(span))
    }

    /// The time in UTC for file names, such as `20261122T100000.123Z`. Such names sort by time.
    pub fn to_file_stamp(self) -> String {
        let seconds = self.to_string().replace(['-', ':'], "");
        let seconds = seconds.trim_end_matches('Z');
        format!("{seconds}.{:03}Z", self.0.rem_euclid(1000))
    }

    /// Whether `text` has the form that [`Timestamp::to_file_stamp`] gives.
    pub fn is_file_stamp(text: &str) -> bool {
        const FORM: &str = "00000000T000000.000Z";
        text.len() == FORM.len()
            && text
                .chars()
                .zip(FORM.chars())
                .all(|(c, form)| c == form || (form == '0' && c.is_ascii_digit()))
    }

    /// The time since `earlier`; zero if `earlier` is later, as after a clock was set back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

/// RFC 3339 in UTC with whole seconds, as in `2026-11-22T10:00:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp(self.as_seconds())
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok());
        f.write_str(text.as_deref().unwrap_or("out of range"))
    }
}

/// The text of `Display`.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc_with_whole_seconds() {
        assert_eq!(
            Timestamp::from_millis(1_767_225_600_999).to_string(),
            "2026-01-01T00:00:00Z"
        );
    }

    #[test]
    fn the_name_of_a_file_has_milliseconds_and_nothing_that_a_shell_reads() {
        assert_eq!(
            Timestamp::from_millis(1_767_225_600_007).to_file_stamp(),
            "20260101T000000.007Z"
        );
        let shown = [
            "20260101T000000.007Z",
            "20260101T000000.007",
            "2026010xT000000.007Z",
        ];
        assert_eq!(shown.map(Timestamp::is_file_stamp), [true, false, false]);
    }

    #[test]
    fn a_clock_that_was_set_back_gives_no_negative_time() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(now.since(now + Duration::from_secs(5)), Duration::ZERO);
    }
}
