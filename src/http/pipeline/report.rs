//! The log lines and the metrics of requests.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use poem::Response;
use poem::http::{Method, StatusCode};
use tokio::time::Instant;

use super::code::Code;
use super::error::Refusal;

/// Logs the cause if a refusal is the server's fault, with the trace id of the span. Counts a refusal by a limit.
pub(super) fn report_refusal(refusal: &Refusal, operation: &'static str) {
    let (code, cause) = (refusal.code, refusal.cause());
    match code {
        Code::InternalError => tracing::error!(operation, cause, "a request failed"),
        // Without a cause there is nothing to log: the client has used up its share of connections, or the cause is in the log already.
        Code::Unavailable if cause.is_some() => {
            tracing::warn!(operation, cause, "a request could not be served");
        }
        _ if code.status() == StatusCode::TOO_MANY_REQUESTS => {
            let labels = [("operation", operation), ("code", code.as_str())];
            metrics::counter!("arkloop_limits_hit_total", &labels).increment(1);
        }
        _ => {}
    }
}

/// Writes the one log line of a request, and counts it. The line has neither path nor query, which may contain anything.
pub(super) fn report_request(
    trace_id: &str,
    method: &Method,
    meter: &Meter,
    response: &Response,
    started_at: Instant,
) {
    let (status, elapsed) = (response.status(), started_at.elapsed());
    let duration_ms = elapsed.as_secs_f64() * 1_000.0;
    let operation = meter.operation;
    tracing::debug!(trace_id, %method, operation, status = status.as_u16(), duration_ms, "answered");
    meter.count(status, elapsed);
}

/// The metrics of one operation. The handles are kept, because finding one by its labels costs more than counting. A handle is made when it is first needed,
/// since a metric exists from then on.
pub(super) struct Meter {
    pub(super) operation: &'static str,
    duration: OnceLock<Histogram>,
    requests: RwLock<Vec<(StatusCode, Counter)>>,
}

impl Meter {
    pub(super) fn new(operation: &'static str) -> Self {
        Self {
            operation,
            duration: OnceLock::new(),
            requests: RwLock::default(),
        }
    }

    fn count(&self, status: StatusCode, elapsed: Duration) {
        let operation = self.operation;
        let duration = self.duration.get_or_init(
            || metrics::histogram!("arkloop_http_request_duration_seconds", "operation" => operation),
        );
        duration.record(elapsed);
        let known = |requests: &[(StatusCode, Counter)]| {
            let counter = requests.iter().find(|(counted, _)| *counted == status);
            counter.map(|(_, counter)| counter.increment(1))
        };
        if known(&self.requests.read()).is_some() {
            return;
        }
        let status_text = status.as_str().to_owned();
        let counter = metrics::counter!("arkloop_http_requests_total", "operation" => operation, "status" => status_text);
        counter.increment(1);
        self.requests.write().push((status, counter));
    }
}
