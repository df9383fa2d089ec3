//! Joins the modules: what each listener serves, and what the `OpenAPI` document describes.

use std::io;
use std::sync::Arc;

use super::pipeline::exchange::{Metrics, MetricsText, Shared};
use super::pipeline::metrics;
use super::pipeline::operation::Operation;
use super::pipeline::respond::Pipeline;
use super::{Server, ServerSettings, api, openapi, pages};
use crate::domain::Listen;
use crate::service::Service;

/// Every operation of the public listener, in the order of the document.
fn operations() -> impl Iterator<Item = &'static Operation> {
    api::OPERATIONS.iter().chain(&pages::OPERATIONS).copied()
}

/// The `OpenAPI` 3.0.3 document of this server, as JSON for people to read, with a newline at its end.
///
/// It needs no server and depends on no configuration: it lists what a server may serve.
pub fn document() -> String {
    let document = openapi::document(operations());
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

impl Server {
    /// Opens the public listener. Must be called within a Tokio runtime.
    pub fn bind(listen: &Listen, service: Arc<Service>, settings: ServerSettings) -> io::Result<Self> {
        let mut shared = Shared::new(service, settings);
        // Without white space, because programs read it; `/docs` is for people.
        let document = || openapi::document(operations()).to_string();
        shared.contents = pages::contents(&shared, document);
        Self::listen(listen, Pipeline::new(shared, operations()))
    }

    /// Opens the listener for monitoring, which serves `/metrics`, and `/readyz` with the cause of a failure. Must be called within a Tokio runtime.
    pub fn bind_metrics(
        listen: &Listen,
        service: Arc<Service>,
        metrics_text: MetricsText,
    ) -> io::Result<Self> {
        metrics::start_counters(operations());
        // The configuration does not change this listener: these are the defaults of its keys.
        let settings = ServerSettings {
            public_origin: "http://localhost:8080".to_owned(),
            max_connections: 2_000,
            max_connections_per_address: 200,
            ..ServerSettings::default()
        };
        let mut shared = Shared::new(service, settings);
        shared.metrics = Some(Metrics::new(metrics_text));
        Self::listen(listen, Pipeline::new(shared, metrics::OPERATIONS.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use strum::VariantArray;

    use super::*;
    use crate::domain::LimitClass;

    #[test]
    fn every_class_of_limits_has_an_operation() {
        let found: BTreeSet<Option<&str>> = operations()
            .map(|operation| operation.limit.map(<&str>::from))
            .collect();
        // These belong to no operation: only a handler knows which requests change a username, and when the caller has proved to be the owner.
        let counted_by_handlers = [LimitClass::Rename, LimitClass::OwnAccount];
        let classes = LimitClass::VARIANTS
            .iter()
            .filter(|class| !counted_by_handlers.contains(class));
        let classes = classes.map(|class| Some(class.into_str()));
        assert_eq!(found, classes.chain([None]).collect());
    }
}
