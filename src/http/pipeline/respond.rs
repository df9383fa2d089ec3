//! The one layer around every operation: trace id, body, order of the checks, headers of the answer, log line.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Bytes;
use poem::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use poem::http::{HeaderMap, Method, StatusCode};
use poem::{Request, Response};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::bearer;
use super::body;
use super::catch::catch_panic;
use super::client_address::{Peer, client};
use super::code::Code;
use super::cookie;
use super::cors::{self, Access};
use super::echo_probe::EchoProbe;
use super::error::Refusal;
use super::exchange::{Exchange, Shared};
use super::limit::Standing;
use super::operation::{Handler, Operation};
use super::path;
use super::request_body::Fields;
use super::routes::{Resource, Routes};
use crate::domain::{Client, LimitClass, TraceId};
use crate::limits::Subject;
use crate::service::{Caller, RefreshCookies};

/// Names the trace id in every response.
const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// The policy of everything that is no page: it may load, run and embed nothing.
const NO_CONTENT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// One year, which is what the preload lists ask for; without subdomains, which are not ours to decide about.
const ONE_YEAR_OF_HTTPS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// A request that has arrived.
pub(crate) struct Arrival {
    pub(crate) request: Request,
    /// The whole body, or why there is none.
    pub(crate) body: Result<Bytes, Refusal>,
    pub(crate) peer: Peer,
    /// The address that sent it; `None` for a process behind the unix socket.
    pub(crate) address: Option<IpAddr>,
    /// When its head was read.
    pub(crate) started_at: Instant,
}

/// Everything that is served.
pub(crate) struct Site {
    shared: Arc<Shared>,
    routes: Routes,
}

impl Site {
    /// Serves those `operations` that the settings leave on.
    pub(crate) fn new(shared: Shared, operations: impl Iterator<Item = &'static Operation>) -> Self {
        Self {
            routes: Routes::new(operations, &shared.settings),
            shared: Arc::new(shared),
        }
    }

    /// How long to wait for whom.
    pub(crate) fn settings(&self) -> &crate::http::Settings {
        &self.shared.settings
    }

    /// Forgets whoever has not come for a while.
    pub(crate) fn sweep(&self) {
        if let Some(throttle) = &self.shared.throttle {
            throttle.sweep();
        }
    }

    /// Answers one request.
    pub(crate) async fn respond(&self, arrival: Arrival) -> Response {
        let trace_id = self.shared.service.system().new_trace_id();
        // At the highest level, so that a fault has its trace id at every log level.
        let span = tracing::error_span!("request", %trace_id);
        self.respond_under(trace_id, arrival).instrument(span).await
    }

    async fn respond_under(&self, trace_id: TraceId, arrival: Arrival) -> Response {
        let Arrival {
            request,
            body,
            peer,
            address,
            started_at,
        } = arrival;
        let trace_text = trace_id.to_string();
        let echo = EchoProbe::new(request.headers(), peer, &self.shared);
        if echo.is_none() {
            let trusted = &self.shared.settings.trusted_proxies;
            self.shared
                .forwarding_notices
                .look(peer, request.headers(), trusted);
        }
        let client = client(address, request.headers(), trace_id);
        let method = request.method().clone();
        let uri = request.uri().clone();
        let path = path::normalised(uri.path());
        let found = self.routes.find(&path, &method, request.headers());
        let operation = found
            .and_then(|resource| resource.operation(&method))
            .map_or("-", |known| known.id);
        let is_public = found.is_some_and(Resource::is_public);
        let access = Access::new(request.headers(), is_public, &self.shared.origins);
        let mut standing = None;
        let carried_out = self.carry_out(request, body, found, client, &access, &mut standing);
        let result = match catch_panic(carried_out).await {
            Ok(result) => result,
            Err(panicked) => Err(panicked.into()),
        };
        let mut response = result.unwrap_or_else(|refusal| {
            log_fault(&refusal, operation);
            count_limit(&refusal, operation);
            refusal.write(&trace_text)
        });
        if let Some(standing) = standing {
            standing.apply(response.headers_mut());
        }
        self.finish(response.headers_mut(), &trace_text, &access);
        if let Some(echo) = echo {
            echo.write(response.headers_mut());
        }
        note_request(&trace_text, &method, operation, &response, started_at);
        response
    }

    /// The checks that come before every handler, in the order of the contract: size, path and method, shape,
    /// origin, limit, token. Those before the limit cost so little that nothing needs protection from them.
    async fn carry_out(
        &self,
        mut request: Request,
        body: Result<Bytes, Refusal>,
        found: Option<&Resource>,
        client: Client,
        access: &Access,
        standing: &mut Option<Standing>,
    ) -> Result<Response, Refusal> {
        if cors::is_preflight(&request) {
            return Ok(self.preflight(request.headers(), found, &client, access));
        }
        let body = body?;
        if *request.method() == Method::OPTIONS && request.uri().path() == "*" {
            return Ok(cors::options(self.routes.allow()));
        }
        let resource = found.ok_or_else(|| Refusal::new(Code::NotFound))?;
        if *request.method() == Method::OPTIONS {
            return Ok(cors::options(resource.allow()));
        }
        let operation = resource.operation(request.method());
        let operation = operation.ok_or_else(|| Refusal::method_not_allowed(resource.allow()))?;
        let fields = match operation.body {
            Some(known) => Fields::new(known, body::parse(request.headers(), &body)?),
            None => Fields::default(),
        };
        if !self.shared.origins.may_act(request.method(), request.headers()) {
            self.note_foreign(&client, request.method(), request.headers());
            return Err(Refusal::new(Code::OriginForbidden));
        }
        let exchange = Exchange {
            shared: Arc::clone(&self.shared),
            client,
            path: path::normalised(request.uri().path()).into_owned(),
            headers: std::mem::take(request.headers_mut()),
            fields,
        };
        self.call(operation, exchange, standing).await
    }

    /// Answers a preflight, whatever else is wrong with it: the page of a refused one is told of a broken network, and the refusal is better sent to the
    /// request itself. It costs less than a refusal and counts for no limit.
    fn preflight(
        &self,
        headers: &HeaderMap,
        resource: Option<&Resource>,
        client: &Client,
        access: &Access,
    ) -> Response {
        if access.is_none() {
            let method = cors::requested_method(headers).unwrap_or(Method::OPTIONS);
            self.note_foreign(client, &method, headers);
        }
        access.preflight(resource, headers)
    }

    /// Tells the operator of a page that is not listed.
    fn note_foreign(&self, client: &Client, method: &Method, headers: &HeaderMap) {
        let listed = &self.shared.settings.allowed_origins;
        let notices = &self.shared.origin_notices;
        notices.look(client.address, method, headers, listed);
    }

    /// Counts a request, finds out who sent it if the operation asks for that, and carries it out.
    async fn call(
        &self,
        operation: &Operation,
        exchange: Exchange,
        standing: &mut Option<Standing>,
    ) -> Result<Response, Refusal> {
        let (headers, client) = (&exchange.headers, &exchange.client);
        let answer = match operation.handler {
            Handler::Open(handler) => {
                self.count(operation, client, None, standing)?;
                handler(exchange)
            }
            Handler::Token(handler) => {
                let caller = bearer::authenticate(headers, &self.shared.service, client.clone()).await;
                self.count(operation, client, caller.as_ref().ok(), standing)?;
                handler(exchange, caller?)
            }
            Handler::Cookies(handler) => {
                let cookies = self.admit_refresh(headers, client, standing).await?;
                handler(exchange, cookies)
            }
        };
        if let Some(probe) = &self.shared.settings.probe {
            probe.touch(operation.id);
        }
        answer.await
    }

    /// Counts a request for its session if an access token was needed and is good, and for its address otherwise. So neither a forged token nor a session of
    /// one's own permits more guesses at passwords.
    fn count(
        &self,
        operation: &Operation,
        client: &Client,
        caller: Option<&Caller>,
        standing: &mut Option<Standing>,
    ) -> Result<(), Refusal> {
        let (Some(throttle), Some(class)) = (&self.shared.throttle, operation.limit) else {
            return Ok(());
        };
        let subject = match caller {
            Some(caller) => Subject::Session(caller.session_id),
            None => Subject::of_address(client.address),
        };
        let (counted, outcome) = throttle.count(class, subject);
        *standing = Some(counted);
        if outcome.is_err() {
            let service = &self.shared.service;
            match caller {
                Some(caller) => service.note_caller_throttled(caller, subject.limit().into()),
                None => service.note_throttled(client, subject.limit().into()),
            }
        }
        outcome
    }

    /// Counts a refresh: for the session that it may continue or end, and for the address if there is none. So nobody spends the refreshes of others
    /// behind the same address, nor with a stolen cookie those of its owner.
    ///
    /// Of several sessions the first with a refresh left is counted: a cookie that was planted, of a session that is used up, spoils nothing.
    async fn admit_refresh(
        &self,
        headers: &HeaderMap,
        client: &Client,
        standing: &mut Option<Standing>,
    ) -> Result<RefreshCookies, Refusal> {
        let service = &self.shared.service;
        let cookies = service
            .look_at_cookies(&cookie::presented(headers), client)
            .await?;
        let Some(throttle) = &self.shared.throttle else {
            return Ok(cookies);
        };
        let mut refused = None;
        for id in cookies.sessions() {
            let (counted, outcome) = throttle.count(LimitClass::Refresh, Subject::Session(*id));
            *standing = Some(counted);
            match outcome {
                Ok(()) => return Ok(cookies),
                Err(refusal) => refused = Some((*id, refusal)),
            }
        }
        if let Some((id, refusal)) = refused {
            service.note_refresh_throttled(id, client).await?;
            return Err(refusal);
        }
        let subject = Subject::of_address(client.address);
        let (counted, outcome) = throttle.count(LimitClass::Refresh, subject);
        *standing = Some(counted);
        if outcome.is_err() {
            service.note_throttled(client, subject.limit().into());
        }
        outcome.map(|()| cookies)
    }

    /// Adds the headers that every response has, where the operation has not set its own.
    fn finish(&self, headers: &mut HeaderMap, trace_id: &str, access: &Access) {
        if let Ok(trace_id) = HeaderValue::from_str(trace_id) {
            headers.insert(X_TRACE_ID, trace_id);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers
            .entry(CONTENT_SECURITY_POLICY)
            .or_insert(NO_CONTENT_POLICY);
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        if self.shared.settings.is_secure {
            headers.insert(STRICT_TRANSPORT_SECURITY, ONE_YEAR_OF_HTTPS);
        }
        access.apply(headers);
    }
}

/// Logs the cause of what is the server's fault; its trace id is in the span.
fn log_fault(refusal: &Refusal, operation: &str) {
    let cause = refusal.cause();
    match refusal.code() {
        Code::InternalError => tracing::error!(operation, cause, "a request failed"),
        // Without a cause it is the client's own share that is used up.
        Code::Unavailable if cause.is_some() => {
            tracing::warn!(operation, cause, "a request could not be served");
        }
        _ => {}
    }
}

/// Counts a refusal of whoever came too often.
fn count_limit(refusal: &Refusal, operation: &'static str) {
    let code = refusal.code();
    if code.status() == StatusCode::TOO_MANY_REQUESTS {
        metrics::counter!("arkloop_limits_hit_total", "operation" => operation, "code" => code.as_str())
            .increment(1);
    }
}

/// The one line of every request, and its figures: no path and no query, which may hold anything.
fn note_request(
    trace_id: &str,
    method: &Method,
    operation: &'static str,
    response: &Response,
    started_at: Instant,
) {
    let (status, elapsed) = (response.status(), started_at.elapsed());
    let duration_ms = elapsed.as_secs_f64() * 1_000.0;
    tracing::debug!(trace_id, %method, operation, status = status.as_u16(), duration_ms, "answered");
    let labels = [
        ("operation", operation.to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("arkloop_http_requests_total", &labels).increment(1);
    metrics::histogram!("arkloop_http_request_duration_seconds", "operation" => operation).record(elapsed);
}
