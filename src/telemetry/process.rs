//! Metrics of this process, under the names that Prometheus' client libraries use.
//!
//! This module writes their text itself, because the CPU time is a fraction and the counters of the `metrics` facade are whole numbers.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::domain::Timestamp;

/// Fields of `/proc/self/stat` (proc(5)). They come after the name of the program, which may contain spaces.
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
        // proc(5) numbers the fields from 1, and the first one after the name is field 3.
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

/// The start time of this process, in seconds since 1970; `None` if the system does not provide it.
pub(super) fn started_at(now: Timestamp) -> Option<f64> {
    let boot = Duration::try_from(clock_gettime(ClockId::Boottime)).ok()?;
    let age = boot.as_secs_f64() - Stat::read()?.started_ticks / whole(clock_ticks_per_second());
    Some(whole(u64::try_from(now.as_millis()).ok()?) / 1e3 - age)
}

/// The samples in the text format of Prometheus, without those that the system does not provide.
pub(super) fn render(started_at: Option<f64>) -> String {
    let stat = Stat::read();
    let stat = stat.as_ref();
    let open = fs::read_dir("/proc/self/fd").ok();
    // Listing the descriptors opens one more.
    let open = open.map(|open| whole(open.count().saturating_sub(1) as u64));
    let most = getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, whole);
    let mut text = String::new();
    for (name, meaning, value) in [
        (
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            stat.map(|stat| stat.cpu_ticks / whole(clock_ticks_per_second())),
        ),
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            stat.map(|stat| stat.resident_pages * whole(page_size() as u64)),
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            stat.map(|stat| stat.virtual_bytes),
        ),
        ("process_open_fds", "Number of open file descriptors.", open),
        (
            "process_max_fds",
            "Maximum number of open file descriptors.",
            Some(most),
        ),
        (
            "process_threads",
            "Number of OS threads in the process.",
            stat.map(|stat| stat.threads),
        ),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            started_at,
        ),
    ] {
        let Some(value) = value else { continue };
        let kind = if name.ends_with("_total") {
            "counter"
        } else {
            "gauge"
        };
        // Rust writes `inf` where Prometheus expects `+Inf`.
        let value = value.to_string().replace("inf", "+Inf");
        let _ = write!(
            text,
            "# HELP {name} {meaning}\n# TYPE {name} {kind}\n{name} {value}\n\n"
        );
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
fn whole(number: u64) -> f64 {
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
