//! What handlers know about the request that they serve, and about the server that serves it.

use std::sync::Arc;

use poem::http::HeaderMap;

use super::contents::Contents;
use super::limit::Throttle;
use super::request_body::Fields;
use crate::domain::Client;
use crate::fault::Fault;
use crate::http::ServerSettings;
use crate::service::Service;

/// Returns the metrics in Prometheus' text format.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What `/metrics` is made from.
pub(crate) struct Metrics {
    pub(super) text: MetricsText,
    /// Logs that the database does not answer, so the metrics lack the numbers that are counted there.
    pub(super) uncounted: Fault,
}

impl Metrics {
    pub(crate) fn new(text: MetricsText) -> Self {
        let uncounted = Fault::new("the rows of the database cannot be counted for the metrics");
        Self { text, uncounted }
    }
}

/// What all requests of a listener share.
pub(crate) struct Shared {
    pub(crate) service: Arc<Service>,
    pub(crate) settings: ServerSettings,
    /// `None` if requests are not limited.
    pub(crate) throttle: Option<Throttle>,
    /// Pages and files, by path.
    pub(crate) contents: Contents,
    /// `None` on the public listener.
    pub(crate) metrics: Option<Metrics>,
}

impl Shared {
    pub(crate) fn new(service: Arc<Service>, settings: ServerSettings) -> Self {
        let throttle = settings
            .rates
            .clone()
            .map(|rates| Throttle::new(rates, service.system().clone()));
        Self {
            service,
            throttle,
            contents: Contents::default(),
            metrics: None,
            settings,
        }
    }
}

/// One request, after the checks that come before its handler.
pub(crate) struct Exchange {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    pub(crate) headers: HeaderMap,
    /// Normalised, as routing compares it.
    pub(crate) path: String,
    /// Empty unless the operation takes a body.
    pub(crate) fields: Fields,
}

impl Exchange {
    /// The last segment of the path.
    pub(crate) fn path_parameter(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}
