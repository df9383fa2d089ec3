//! The counts of visitors, printed as one `name value` per line, for people and for `awk`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// The width of a part of a series, in milliseconds.
const PART_MS: u32 = 500;

/// A request that was served.
#[derive(Clone, Copy)]
struct Served {
    /// When it was sent, in milliseconds since the start of the run.
    at_ms: u32,
    /// How long it took, in microseconds.
    micros: u32,
}

/// The latencies of the served requests, and the errors of the others.
#[derive(Default)]
pub(crate) struct Tally {
    served: Vec<Served>,
    /// How often each other status came, and how often each error of a connection.
    errors: BTreeMap<String, u32>,
}

impl Tally {
    /// Counts an answer to a request that was sent `at`. Only the latency of a 200 or 201 is recorded, because refusals are quick and would improve the
    /// figures.
    pub(crate) fn add(&mut self, status: u16, at: Duration, latency: Duration) {
        if matches!(status, 200 | 201) {
            self.served.push(Served {
                at_ms: u32::try_from(at.as_millis()).unwrap_or(u32::MAX),
                micros: u32::try_from(latency.as_micros()).unwrap_or(u32::MAX),
            });
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
        self.served.extend(other.served);
        for (what, count) in other.errors {
            *self.errors.entry(what).or_default() += count;
        }
    }

    /// How many requests were sent, served or not.
    pub(crate) fn requests(&self) -> u32 {
        let served = u32::try_from(self.served.len()).unwrap_or(u32::MAX);
        self.errors
            .values()
            .fold(served, |sum, count| sum.saturating_add(*count))
    }

    /// Prints the figures under `name`; the requests took `time` in all.
    pub(crate) fn print(&mut self, name: &str, time: Duration) {
        self.served.sort_unstable_by_key(|served| served.micros);
        let served = f64::from(u32::try_from(self.served.len()).unwrap_or(u32::MAX));
        let rate = served / time.as_secs_f64();
        figure(name, "requests", &self.requests().to_string());
        figure(name, "served_per_second", &format!("{rate:.1}"));
        figure(name, "errors", &self.error_text());
        for (label, per_mille) in [("p50_ms", 500), ("p99_ms", 990), ("max_ms", 1000)] {
            figure(name, label, &latency_ms(&self.served, per_mille));
        }
    }

    /// Prints how many requests were served in each half second, and their p50, p99 and maximum in milliseconds; needs [`Self::print`] before.
    pub(crate) fn print_series(&self, name: &str) {
        let mut parts = BTreeMap::<u32, Vec<Served>>::new();
        for served in &self.served {
            let part = parts.entry(served.at_ms / PART_MS).or_default();
            part.push(*served);
        }
        for (part, served) in parts {
            let latencies = [500, 990, 1000].map(|per_mille| latency_ms(&served, per_mille));
            let text = format!("{} {}", served.len(), latencies.join(" "));
            figure(name, &format!("at_{}_ms", part * PART_MS), &text);
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
}

/// The latency that `per_mille` of the served requests did not exceed; needs them sorted.
fn latency_ms(served: &[Served], per_mille: usize) -> String {
    let rank = (served.len() * per_mille).div_ceil(1000);
    let served = rank.checked_sub(1).and_then(|at| served.get(at));
    served.map_or_else(
        || "-".to_owned(),
        |served| format!("{:.3}", f64::from(served.micros) / 1000.0),
    )
}

/// Prints one figure.
pub(crate) fn figure(of: &str, name: &str, value: &str) {
    println!("{:<32} {value}", format!("{of}.{name}"));
}
