//! Whether the server lives, and whether it can serve.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};

use crate::http::openapi::Tag;
use crate::http::pipeline::error::Refusal;
use crate::http::pipeline::exchange::Shared;

/// The operations of this noun.
pub(crate) struct HealthApi(pub(crate) Arc<Shared>);

/// All is well.
#[derive(Object)]
#[oai(example = true)]
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

impl Example for Health {
    fn example() -> Self {
        Self {
            status: HealthStatus::Ok,
        }
    }
}

#[OpenApi(tag = "Tag::Server")]
impl HealthApi {
    /// Tell whether the process lives
    ///
    /// It asks nothing of the database: a process that cannot serve for a while need not be restarted.
    #[oai(path = "/healthz", method = "get", operation_id = "healthz")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn healthz(&self) -> Json<Health> {
        Json(Health::example())
    }

    /// Tell whether requests can be served
    ///
    /// 503 while the database cannot be written: the disk is full, or the database file was replaced. It is known from the last write. The server
    /// tries a small one itself while writes fail, and when it is asked and nothing was written lately. The metrics listener tells the cause.
    #[oai(path = "/readyz", method = "get", operation_id = "readyz")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn readyz(&self) -> poem::Result<Json<Health>> {
        // Whatever keeps it from serving, a balancer must only know that it cannot serve now. The log was told when the write was lost, and is not told
        // again: anybody may ask, as often as they like.
        let ready = self.0.service.ready();
        ready.map_err(|error| Refusal::from(error).into_unavailable().without_cause())?;
        Ok(Json(Health::example()))
    }
}
