//! What handlers and extractors may know of the request that they serve, and of the server that serves it.

use std::sync::{Arc, Mutex, PoisonError};

use poem::Request;

use super::body::Object;
use super::client_address::ForwardingNotices;
use super::cookie::CookieWriter;
use super::echo_probe::CheckWords;
use super::error::Refusal;
use super::limit::Throttle;
use super::origin::Origins;
use super::origin_notices::OriginNotices;
use crate::domain::Client;
use crate::http::Settings;
use crate::service::{Caller, RefreshCookies, Service};

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
            settings,
        }
    }
}

/// One request, beyond its header.
pub(crate) struct Exchange {
    /// Who sent it.
    pub(crate) client: Client,
    /// What stands in the path where its template has a parameter.
    pub(crate) path_parameter: Option<String>,
    /// Whose access token came with the request, if the operation asks for one and nobody has taken them yet.
    caller: Mutex<Option<Caller>>,
    /// The refresh cookies, if the operation goes by them and nobody has taken them yet.
    cookies: Mutex<Option<RefreshCookies>>,
    /// The body, if the operation takes one and nobody has taken it yet.
    body: Mutex<Option<Object>>,
}

impl Exchange {
    /// Puts the parts together.
    pub(crate) fn new(
        client: Client,
        path_parameter: Option<String>,
        caller: Option<Caller>,
        cookies: Option<RefreshCookies>,
        body: Option<Object>,
    ) -> Self {
        Self {
            client,
            path_parameter,
            caller: Mutex::new(caller),
            cookies: Mutex::new(cookies),
            body: Mutex::new(body),
        }
    }

    /// The exchange that `request` belongs to.
    pub(crate) fn of(request: &Request) -> Result<&Self, Refusal> {
        let exchange = request.data::<Arc<Self>>().map(Arc::as_ref);
        exchange.ok_or_else(|| Refusal::internal("the request came without its exchange"))
    }

    /// Takes the caller; there is one if the operation is documented to ask for an access token.
    pub(super) fn take_caller(&self) -> Result<Caller, Refusal> {
        let caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner).take();
        caller.ok_or_else(|| Refusal::internal("the caller was taken twice, or not asked for"))
    }

    /// Takes the refresh cookies; they are there if the operation is counted by them.
    pub(super) fn take_cookies(&self) -> Result<RefreshCookies, Refusal> {
        let cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner).take();
        cookies.ok_or_else(|| Refusal::internal("the cookies were taken twice, or not looked at"))
    }

    /// Takes the body; there is one if the operation is documented to take one.
    pub(super) fn take_body(&self) -> Result<Object, Refusal> {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner).take();
        body.ok_or_else(|| Refusal::internal("the body was taken twice, or not read"))
    }
}
