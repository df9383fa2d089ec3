//! The operations of the listener for monitoring: metrics for Prometheus, and readiness with the cause of a failure.
//!
//! The listener has its own address: behind a proxy every request comes from this machine, so on one address the server could not tell monitoring from clients.

use std::future::ready;

use poem::http::StatusCode;
use poem::{IntoResponse as _, Response};
use serde_json::json;

use super::code::Code;
use super::error::Refusal;
use super::exchange::Exchange;
use super::operation::Operation;

/// The media type of Prometheus' text format (version 0.0.4).
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that the listener serves.
pub(crate) static OPERATIONS: [&Operation; 2] = [
    &Operation {
        id: "metrics",
        path: "/metrics",
        limit: None,
        ..Operation::open(|exchange| Box::pin(scrape(exchange)))
    },
    &Operation {
        id: "readyz_details",
        path: "/readyz",
        limit: None,
        ..Operation::open(|exchange| Box::pin(ready(Ok(readiness(&exchange)))))
    },
];

/// Registers the counters of requests at zero, for each operation with every status and every limit that can refuse it: `rate()` of Prometheus would miss
/// the first request if that request created the counter.
pub(crate) fn start_counters(operations: impl Iterator<Item = &'static Operation>) {
    for operation in operations.filter(|operation| operation.tag.is_some()) {
        let success = &operation.success;
        let kept = success.has_etag.then_some(StatusCode::NOT_MODIFIED);
        let codes = operation.codes();
        let refused = codes.iter().map(|code| code.status());
        for status in [success.status].into_iter().chain(kept).chain(refused) {
            let label = ("status", status.as_str().to_owned());
            start_counter("arkloop_http_requests_total", operation, label);
        }
        for code in codes {
            if code.status() == StatusCode::TOO_MANY_REQUESTS {
                let label = ("code", code.as_str().to_owned());
                start_counter("arkloop_limits_hit_total", operation, label);
            }
        }
    }
}

fn start_counter(counter: &'static str, operation: &Operation, label: (&'static str, String)) {
    let labels = [("operation", operation.id.to_owned()), label];
    metrics::counter!(counter, &labels).increment(0);
}

/// The metrics. Stored data is counted now; its metrics are left out if the database does not answer.
async fn scrape(exchange: Exchange) -> Result<Response, Refusal> {
    let shared = &exchange.shared;
    shared.service.report_readiness();
    let counted = shared.service.report_metrics().await;
    let metrics = shared.metrics.as_ref();
    let metrics = metrics.ok_or_else(|| Refusal::new(Code::NotFound))?;
    match counted {
        Ok(()) => metrics.uncounted.ended(),
        Err(error) => _ = metrics.uncounted.failed(&error),
    }
    Ok((metrics.text)().with_content_type(TEXT_FORMAT).into_response())
}

/// 200 or 503, with the cause that the public `/readyz` does not show.
fn readiness(exchange: &Exchange) -> Response {
    let service = &exchange.shared.service;
    let (status, word, cause) = match service.ready() {
        Ok(()) => (StatusCode::OK, "ok", None),
        Err(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            Some(error.to_string()),
        ),
    };
    let body = json!({
        "status": word,
        "cause": cause,
        "version": env!("CARGO_PKG_VERSION"),
        "waiting_writes": service.store().waiting_writes(),
    });
    // `with_header` would add a second `Content-Type` to the one that poem gives a `String`.
    let body = body
        .to_string()
        .with_content_type("application/json; charset=utf-8");
    body.with_status(status).into_response()
}
