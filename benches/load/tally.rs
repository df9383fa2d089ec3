//! The counts of visitors, printed as one `name value` per line, for people and for `awk`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// The latencies of the served requests, and the errors of the others.
#[derive(Default)]
pub(crate) struct Tally {
    /// How long each served request took, in microseconds.
    latencies: Vec<u32>,
    /// How often each other status came, and how often each error of a connection.
    errors: BTreeMap<String, u32>,
}

impl Tally {
    /// Counts an answer. Only the latency of a 200 is recorded, because refusals are quick and would improve the figures.
    pub(crate) fn add(&mut self, status: u16, latency: Duration) {
        if status == 200 {
            self.latencies
                .push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        } else {
            *self.errors.entry(status.to_string()).or_default() += 1;
        }
    }

    /// Counts a lost connection.
    pub(crate) fn lose(&mut self, error: &io::Error) {
        let what = format!("lost ({error})");
        *self.errors.entry(what).or_default() += 1;
    }

    /// Adds the counts of another visitor.
    pub(crate) fn merge(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        for (what, count) in other.errors {
            *self.errors.entry(what).or_default() += count;
        }
    }

    /// How many requests were sent, served or not.
    pub(crate) fn requests(&self) -> u32 {
        let served = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        self.errors
            .values()
            .fold(served, |sum, count| sum.saturating_add(*count))
    }

    /// Prints the figures under `name`; the requests took `time` in all.
    pub(crate) fn print(&mut self, name: &str, time: Duration) {
        self.latencies.sort_unstable();
        let served = f64::from(u32::try_from(self.latencies.len()).unwrap_or(u32::MAX));
        let rate = served / time.as_secs_f64();
        figure(name, "requests", &self.requests().to_string());
        figure(name, "served_per_second", &format!("{rate:.1}"));
        figure(name, "errors", &self.error_text());
        for (label, per_mille) in [("p50_ms", 500), ("p99_ms", 990), ("max_ms", 1000)] {
            figure(name, label, &self.latency_ms(per_mille));
        }
    }

    fn error_text(&self) -> String {
        let errors: Vec<String> = self
            .errors
            .iter()
            .map(|(what, count)| format!("{count} x {what}"))
            .collect();
        if errors.is_empty() {
            return "none".to_owned();
        }
        errors.join(", ")
    }

    /// The latency that `per_mille` of the served requests did not exceed; needs them sorted.
    fn latency_ms(&self, per_mille: usize) -> String {
        let rank = (self.latencies.len() * per_mille).div_ceil(1000);
        let latency = rank.checked_sub(1).and_then(|at| self.latencies.get(at));
        latency.map_or_else(
            || "-".to_owned(),
            |micros| format!("{:.3}", f64::from(*micros) / 1000.0),
        )
    }
}

/// Prints one figure.
pub(crate) fn figure(of: &str, name: &str, value: &str) {
    println!("{:<32} {value}", format!("{of}.{name}"));
}
