//! What handlers know about the request that they serve, and about the server that serves it.

use std::collections::HashMap;
use std::sync::Arc;

use poem::http::HeaderMap;

use super::client_address::ForwardingNotices;
use super::content::Content;
use super::cookie::{self, CookieWriter};
use super::echo_probe::CheckWords;
use super::limit::Throttle;
use super::origin::Origins;
use super::origin_notices::OriginNotices;
use super::request_body::Fields;
use crate::domain::Client;
use crate::fault::Fault;
use crate::http::Settings;
use crate::service::Service;

/// Gives the metrics in Prometheus' text format.
pub type Figures = Arc<dyn Fn() -> String + Send + Sync>;

/// What all requests share.
pub(crate) struct Shared {
    /// The rules.
    pub(crate) service: Arc<Service>,
    /// What the server was told.
    pub(crate) settings: Settings,
    /// Which pages may call.
    pub(crate) origins: Origins,
    /// How the refresh cookie looks.
    pub(crate) cookies: CookieWriter,
    /// How often requests may come; `None` without limits.
    pub(crate) throttle: Option<Throttle>,
    /// The words with which `arkloop check` has asked.
    pub(super) check_words: CheckWords,
    /// Which apps the operator may have forgotten to list.
    pub(crate) origin_notices: OriginNotices,
    /// Which proxies the operator may have forgotten to list.
    pub(super) forwarding_notices: ForwardingNotices,
    /// What the pages answer with, by path.
    pub(crate) contents: HashMap<String, Content>,
    /// What the metrics listener answers with.
    pub(crate) figures: Option<Figures>,
    pub(super) uncounted: Fault,
}

impl Shared {
    /// Prepares what does not change from request to request.
    pub(crate) fn new(service: Arc<Service>, settings: Settings) -> Self {
        let throttle = settings
            .rates
            .clone()
            .map(|rates| Throttle::new(rates, service.system().clone()));
        Self {
            service,
            origins: Origins::new(&settings),
            cookies: CookieWriter::new(&settings),
            throttle,
            check_words: CheckWords::default(),
            origin_notices: OriginNotices::default(),
            forwarding_notices: ForwardingNotices::default(),
            contents: HashMap::new(),
            figures: None,
            uncounted: Fault::new("what is stored cannot be counted"),
            settings,
        }
    }
}

/// One request, after the checks that come before its handler.
pub(crate) struct Exchange {
    pub(crate) shared: Arc<Shared>,
    /// Who sent it.
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
