//! Durations of whole seconds as text: `15m` in the configuration and on the command line, `15 minutes` in sentences.

use std::time::Duration;

/// In seconds, largest first.
const UNITS: [(u64, char, &str); 4] = [
    (86_400, 'd', "day"),
    (3_600, 'h', "hour"),
    (60, 'm', "minute"),
    (1, 's', "second"),
];

/// Reads a duration such as `15m`: a whole number and one of the units s, m, h, d.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let (seconds, ..) = UNITS.into_iter().find(|(_, letter, _)| *letter == unit)?;
    let number = text.strip_suffix(unit)?;
    // `u64::from_str` accepts a sign.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// Writes a duration in the form that [`parse_duration`] reads.
pub fn format_duration(duration: Duration) -> String {
    let (number, letter, _) = in_largest_unit(duration);
    format!("{number}{letter}")
}

/// A duration as `15 minutes` or `1 day`.
pub fn in_words(duration: Duration) -> String {
    match in_largest_unit(duration) {
        (1, _, name) => format!("1 {name}"),
        (number, _, name) => format!("{number} {name}s"),
    }
}

/// The duration in the largest unit that makes it a whole number.
fn in_largest_unit(duration: Duration) -> (u64, char, &'static str) {
    let seconds = duration.as_secs();
    let fits = |(unit, ..): &(u64, char, &str)| seconds != 0 && seconds.is_multiple_of(*unit);
    let (unit, letter, name) = UNITS.into_iter().find(fits).unwrap_or(UNITS[3]);
    (seconds / unit, letter, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_a_whole_number_of_its_largest_unit() {
        let words = [86_400, 7200, 5400, 60, 61, 0].map(|seconds| in_words(Duration::from_secs(seconds)));
        assert_eq!(
            words,
            [
                "1 day",
                "2 hours",
                "90 minutes",
                "1 minute",
                "61 seconds",
                "0 seconds"
            ]
        );
    }
}
