//! The metrics for Prometheus: their descriptions, and the text of a scrape.
//!
//! Other modules report values through the `metrics` facade, which does almost nothing before [`Metrics::start`].

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::process;
use crate::domain::Timestamp;

/// Upper bounds of latencies in seconds, from a read in memory to the longest wait that the server allows.
const SECONDS: [f64; 12] = [
    0.000_25, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0,
];
/// Upper bounds of the number of writes in one transaction; the last is the maximum.
const BATCHES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How often collected observations are moved into buckets. At 20,000 requests a second, the observations of this time take about 2 MiB.
const TIDY_EVERY: Duration = Duration::from_secs(5);

const LATENCY: &str = "arkloop_http_request_duration_seconds";
const BATCH: &str = "arkloop_write_batch_size";

/// The counters and their descriptions.
const COUNTERS: [(&str, &str); 3] = [
    (
        "arkloop_http_requests_total",
        "Answered requests, by operation and status.",
    ),
    (
        "arkloop_limits_hit_total",
        "Requests refused with 429, by operation and code.",
    ),
    (
        "arkloop_mails_total",
        "Mails that left the outbox, by kind and outcome: sent, expired, unanswered or dropped.",
    ),
];
/// The gauges and their descriptions.
const GAUGES: [(&str, &str); 14] = [
    ("arkloop_build_info", "Always 1; the version is a label."),
    (
        "arkloop_ready",
        "1 while requests can be served, 0 while /readyz answers 503.",
    ),
    ("arkloop_connections", "Open connections."),
    (
        "arkloop_hash_queue",
        "Passwords that wait to be hashed or are being hashed.",
    ),
    ("arkloop_write_queue", "Writes that wait for their transaction."),
    ("arkloop_users", "Accounts."),
    ("arkloop_sessions", "Live sessions."),
    ("arkloop_mails_waiting", "Mails in the outbox."),
    (
        "arkloop_mails_failing",
        "Mails in the outbox after at least one attempt that failed or was not answered.",
    ),
    (
        "arkloop_mail_oldest_seconds",
        "Age of the oldest mail in the outbox; 0 if there is none.",
    ),
    (
        "arkloop_wrong_codes_last_hour",
        "Wrong one-time codes of the last hour as far as they are counted, by address: known or unknown.",
    ),
    (
        "arkloop_codes_braked",
        "1 while codes are mailed more slowly because too many were wrong over all accounts.",
    ),
    (
        "arkloop_backup_age_seconds",
        "Time since the last verified backup; absent if there was none.",
    ),
    (
        "arkloop_database_bytes",
        "Size of the database with its write-ahead log.",
    ),
];

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    /// The start time of the process, in seconds since 1970.
    started_at: Option<f64>,
}

impl Metrics {
    /// Starts to collect metrics in the whole process.
    ///
    /// # Errors
    /// A text for the log, if this process already collects metrics.
    pub fn start(now: Timestamp) -> Result<Self, String> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(LATENCY.to_owned()), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Full(BATCH.to_owned()), &BATCHES))
            .map_err(|error| error.to_string())?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
        for (name, meaning) in COUNTERS {
            metrics::describe_counter!(name, meaning);
        }
        for (name, meaning) in GAUGES {
            metrics::describe_gauge!(name, meaning);
        }
        metrics::describe_histogram!(
            LATENCY,
            "Time from the header of a request to its answer, by operation."
        );
        metrics::describe_histogram!(BATCH, "Writes that shared a transaction.");
        metrics::gauge!("arkloop_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self {
            handle,
            started_at: process::started_at(now),
        })
    }

    /// All metrics in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.handle.render() + &process::render(self.started_at)
    }

    /// Moves observations into their buckets at regular intervals; never returns. A scrape also does this, but without scrapes the observations would pile up.
    pub async fn keep_tidy(&self) {
        loop {
            tokio::time::sleep(TIDY_EVERY).await;
            self.handle.run_upkeep();
        }
    }
}
