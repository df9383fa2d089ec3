//! Whether the process runs, and whether it can serve requests.

use std::future::ready;

use poem::{IntoResponse as _, Response};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object};

use crate::http::pipeline::{Exchange, Operation, Refusal, Success, Tag};

/// All is well.
#[derive(Object)]
struct Health {
    /// Always `ok`.
    status: HealthStatus,
}

/// The state of the server.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
enum HealthStatus {
    /// All is well.
    Ok,
}

const HEALTHY: Success = Success::json::<Health>("", r#"{ "status": "ok" }"#);

pub(super) const HEALTHZ: Operation = Operation {
    id: "healthz",
    path: "/healthz",
    limit: None,
    tag: Some(Tag::Server),
    summary: "Tell whether the process runs",
    description: "This does not read the database, because a process that cannot serve for a while need not be restarted.",
    success: HEALTHY,
    ..Operation::open(|_| Box::pin(ready(Ok(healthz()))))
};

fn healthz() -> Response {
    let status = HealthStatus::Ok;
    Json(Health { status }).into_response()
}

pub(super) const READYZ: Operation = Operation {
    id: "readyz",
    path: "/readyz",
    limit: None,
    tag: Some(Tag::Server),
    summary: "Tell whether requests can be served",
    description: "503 while the database cannot be written, for example because the disk is full or the database file was replaced. The answer is the result \
                  of the last write. While writes fail, and when this is asked and nothing was written lately, the server tries a small write itself. The \
                  metrics listener tells the cause.",
    success: HEALTHY,
    ..Operation::open(|exchange| Box::pin(ready(readyz(&exchange))))
};

/// Tells a load balancer only that the server cannot serve, and not why. The cause is not logged here, because it was logged when the
/// write failed, and any client may ask as often as it likes.
fn readyz(exchange: &Exchange) -> Result<Response, Refusal> {
    let ready = exchange.shared.service.ready();
    ready.map_err(|error| Refusal::from(error).without_cause())?;
    Ok(healthz())
}
