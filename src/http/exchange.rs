//! What handlers and extractors may know of the request that they serve, and of the server that serves it.

use std::sync::{Arc, Mutex, PoisonError};

use poem::Request;
use poem::http::header::USER_AGENT;

use super::Settings;
use super::body::Object;
use super::client_address::{Peer, client_address};
use super::cookie::CookieWriter;
use super::error::Refusal;
use super::origin::Origins;
use crate::domain::{Client, TraceId};
use crate::service::Service;

/// What all requests share.
pub(super) struct Shared {
    /// The rules.
    pub(super) service: Arc<Service>,
    /// What the server was told.
    pub(super) settings: Settings,
    /// Which pages may call.
    pub(super) origins: Origins,
    /// How the refresh cookie looks.
    pub(super) cookies: CookieWriter,
}

impl Shared {
    /// Prepares what does not change from request to request.
    pub(super) fn new(service: Arc<Service>, settings: Settings) -> Self {
        Self {
            service,
            origins: Origins::new(&settings),
            cookies: CookieWriter::new(&settings),
            settings,
        }
    }
}

/// One request, beyond its header.
pub(super) struct Exchange {
    /// What all requests share.
    pub(super) shared: Arc<Shared>,
    /// The id under which the request is answered and logged.
    trace_id: TraceId,
    /// Who is connected.
    pub(super) peer: Peer,
    /// What stands in the path where its template has a parameter.
    pub(super) path_parameter: Option<String>,
    /// The body, if the operation takes one and nobody has taken it yet.
    body: Mutex<Option<Object>>,
}

impl Exchange {
    /// Puts the parts together.
    pub(super) fn new(
        shared: Arc<Shared>,
        trace_id: TraceId,
        peer: Peer,
        path_parameter: Option<String>,
        body: Option<Object>,
    ) -> Self {
        Self {
            shared,
            trace_id,
            peer,
            path_parameter,
            body: Mutex::new(body),
        }
    }

    /// The exchange that `request` belongs to.
    pub(super) fn of(request: &Request) -> Result<&Self, Refusal> {
        let exchange = request.data::<Arc<Self>>().map(Arc::as_ref);
        exchange.ok_or_else(|| Refusal::internal("the request came without its exchange"))
    }

    /// Who sent `request`, which is the one of this exchange.
    pub(super) fn client(&self, request: &Request) -> Client {
        let address = client_address(
            self.peer,
            request.headers(),
            &self.shared.settings.trusted_proxies,
        );
        let user_agent = request
            .headers()
            .get(USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        Client::new(address, user_agent.as_deref(), self.trace_id)
    }

    /// Takes the body; there is one if the operation is documented to take one.
    pub(super) fn take_body(&self) -> Result<Object, Refusal> {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner).take();
        body.ok_or_else(|| Refusal::internal("the body was taken twice, or not read"))
    }
}
