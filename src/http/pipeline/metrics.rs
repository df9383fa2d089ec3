//! The listener for whoever watches the server: figures for Prometheus, and what keeps the server from serving.
//!
//! It has an address of its own, since behind a proxy every request comes from this machine and none could be told from
//! a stranger's.

use std::sync::Arc;

use poem::endpoint::{BoxEndpoint, EndpointExt as _, make};
use poem::http::{Method, StatusCode};
use poem::{IntoResponse as _, Response};
use serde_json::json;

use super::exchange::Shared;
use crate::fault::Fault;
use crate::http::openapi::start_counters;
use crate::http::routes::{Operation, Resource};
use crate::service::Service;

/// Gives the figures in Prometheus' text format.
pub type Figures = Arc<dyn Fn() -> String + Send + Sync>;

/// The media type of that format (version 0.0.4).
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that the listener serves, by path.
pub(crate) fn resources(shared: &Arc<Shared>, figures: Figures) -> Vec<(String, Resource)> {
    start_counters();
    let service = Arc::clone(&shared.service);
    let fault = Arc::new(Fault::new("what is stored cannot be counted"));
    let metrics = make(move |_| {
        let (service, figures, fault) = (Arc::clone(&service), Arc::clone(&figures), Arc::clone(&fault));
        async move { Ok::<_, poem::Error>(scrape(&service, &figures, &fault).await) }
    });
    let service = Arc::clone(&shared.service);
    let readyz = make(move |_| {
        let service = Arc::clone(&service);
        async move { Ok::<_, poem::Error>(readiness(&service)) }
    });
    vec![
        resource("/metrics", "metrics", metrics.map_to_response().boxed()),
        resource("/readyz", "readyz_details", readyz.map_to_response().boxed()),
    ]
}

fn resource(path: &str, id: &'static str, endpoint: BoxEndpoint<'static>) -> (String, Resource) {
    let operation = Operation {
        id,
        takes_body: false,
        needs_bearer: false,
        limit_class: None,
        endpoint,
    };
    (path.to_owned(), Resource::new(Method::GET, operation))
}

/// The figures, those of what is stored counted now; without these if the database does not answer.
async fn scrape(service: &Service, figures: &Figures, fault: &Fault) -> Response {
    service.report_readiness();
    match service.report_figures().await {
        Ok(()) => fault.ended(),
        Err(error) => _ = fault.failed(&error),
    }
    figures().with_content_type(TEXT_FORMAT).into_response()
}

/// 200 or 503, with the cause that the public `/readyz` keeps to itself.
fn readiness(service: &Service) -> Response {
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
    // A second one beside the type that a text has by itself would be another header.
    let body = body
        .to_string()
        .with_content_type("application/json; charset=utf-8");
    body.with_status(status).into_response()
}
