//! What handlers know about the request that they serve, and about the server that serves it.

use std::collections::HashMap;
use std::sync::Arc;

use poem::http::HeaderMap;

use super::content::Content;
use super::cookie::{self, CookieWriter};
use super::limit::Throttle;
use super::request_body::Fields;
use crate::domain::Client;
use crate::fault::Fault;
use crate::http::ServerSettings;
use crate::service::Service;

/// Gives the metrics in Prometheus' text format.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What all requests of a listener share.
pub(crate) struct Shared {
    pub(crate) service: Arc<Service>,
    pub(crate) settings: ServerSettings,
    pub(crate) cookies: CookieWriter,
    /// `None` without limits.
    pub(crate) throttle: Option<Throttle>,
    /// The content of the pages, by path.
    pub(crate) contents: HashMap<String, Content>,
    /// Only the metrics listener has it.
    pub(crate) metrics_text: Option<MetricsText>,
    pub(super) uncounted: Fault,
}

impl Shared {
    pub(crate) fn new(service: Arc<Service>, settings: ServerSettings) -> Self {
        let throttle = settings
            .rates
            .clone()
            .map(|rates| Throttle::new(rates, service.system().clone()));
        Self {
            service,
            cookies: CookieWriter::new(&settings),
            throttle,
            contents: HashMap::new(),
            metrics_text: None,
            uncounted: Fault::new("what is stored cannot be counted"),
            settings,
        }
    }
}

/// One request, after the checks that come before its handler.
pub(crate) struct Exchange {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    pub(crate) headers: HeaderMap,
    /// As routing compares it.
    pub(crate) path: String,
    /// Empty unless the operation takes a body.
    pub(crate) fields: Fields,
}

impl Exchange {
    /// The last segment of the path.
    pub(crate) fn path_parameter(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The values of every refresh cookie that came with it.
    pub(crate) fn presented_cookies(&self) -> Vec<String> {
        cookie::presented(&self.headers)
    }
}
