//! What the system knows of this process, in Prometheus' text format, under the names that Prometheus' client libraries use.
//!
//! It is written out here, because the `metrics` facade has only whole numbers in counters.

use std::fmt::Write as _;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::domain::Timestamp;

/// Name, kind and meaning.
const SAMPLES: [(&str, &str, &str); 7] = [
    (
        "process_cpu_seconds_total",
        "counter",
        "Total user and system CPU time spent in seconds.",
    ),
    (
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory size in bytes.",
    ),
    (
        "process_virtual_memory_bytes",
        "gauge",
        "Virtual memory size in bytes.",
    ),
    ("process_open_fds", "gauge", "Number of open file descriptors."),
    (
        "process_max_fds",
        "gauge",
        "Maximum number of open file descriptors.",
    ),
    ("process_threads", "gauge", "Number of OS threads in the process."),
    (
        "process_start_time_seconds",
        "gauge",
        "Start time of the process since unix epoch in seconds.",
    ),
];

/// What `/proc/self/stat` says (proc(5)): a word behind the name of the program each, which may have spaces in it.
struct Stat {
    cpu_ticks: f64,
    threads: f64,
    started_ticks: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        // The words are numbered from 1 in proc(5), and the first one here is the third.
        let number = |field: usize| words.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_ticks: number(14)? + number(15)?,
            threads: number(20)?,
            started_ticks: number(22)?,
            virtual_bytes: number(23)?,
            resident_pages: number(24)?,
        })
    }
}

/// When this process began, in seconds since 1970; `None` if the system does not tell.
pub(super) fn started_at(now: Timestamp) -> Option<f64> {
    let since_boot = clock_gettime(ClockId::Boottime);
    let since_boot = float(since_boot.tv_sec) + float(since_boot.tv_nsec) / 1e9;
    let age = since_boot - Stat::read()?.started_ticks / ticks();
    Some(float(now.as_millis()) / 1e3 - age)
}

/// The samples, each with its explanation; those that the system does not tell are left out.
pub(super) fn render(started_at: Option<f64>) -> String {
    let mut text = String::new();
    for ((name, kind, meaning), value) in SAMPLES.into_iter().zip(values(started_at)) {
        let Some(value) = value else { continue };
        let value = if value.is_finite() {
            value.to_string()
        } else {
            "+Inf".to_owned()
        };
        let _ = write!(
            text,
            "# HELP {name} {meaning}\n# TYPE {name} {kind}\n{name} {value}\n\n"
        );
    }
    text
}

/// In the order of [`SAMPLES`].
fn values(started_at: Option<f64>) -> [Option<f64>; SAMPLES.len()] {
    let stat = Stat::read();
    let stat = stat.as_ref();
    #[expect(clippy::cast_precision_loss, reason = "a page has a few thousand bytes")]
    let page = page_size() as f64;
    let open = fs::read_dir("/proc/self/fd").ok().map(|open| {
        // Listing them takes one more.
        float(i64::try_from(open.count().saturating_sub(1)).unwrap_or(i64::MAX))
    });
    let most = getrlimit(Resource::Nofile).current;
    let most = most.map_or(f64::INFINITY, |most| {
        float(i64::try_from(most).unwrap_or(i64::MAX))
    });
    [
        stat.map(|stat| stat.cpu_ticks / ticks()),
        stat.map(|stat| stat.resident_pages * page),
        stat.map(|stat| stat.virtual_bytes),
        open,
        Some(most),
        stat.map(|stat| stat.threads),
        started_at,
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a hundred")]
fn ticks() -> f64 {
    clock_ticks_per_second() as f64
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
fn float(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_is_passed_over() {
        let text = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1234 8192000 300 1844 1 1";
        let stat = Stat::parse(text).expect("it is whole");
        let found = [
            stat.cpu_ticks,
            stat.threads,
            stat.started_ticks,
            stat.virtual_bytes,
            stat.resident_pages,
        ];
        assert_eq!(format!("{found:?}"), "[300.0, 9.0, 1234.0, 8192000.0, 300.0]");
    }
}
