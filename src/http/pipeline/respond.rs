//! The steps that every request passes, in order.
//!
//! They are not poem middleware: poem's `RealIp` and `Tracing` accept forwarding headers from any peer and log the query string, `Cors` reflects every origin,
//! and `SizeLimit` answers 411 to a POST without a body. Several of these steps also need the results of earlier ones.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use hyper::body::Bytes;
use poem::http::{HeaderMap, Method};
use poem::{Request, Response};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::bearer;
use super::body;
use super::client_address::{ForwardingNotices, Peer, client};
use super::code::Code;
use super::cookie;
use super::cors::{self, Access};
use super::echo_probe::{CheckWords, EchoProbe};
use super::error::Refusal;
use super::exchange::{Exchange, Shared};
use super::headers;
use super::limit::RateLimitHeaders;
use super::operation::{Handler, Operation};
use super::origin::Origins;
use super::origin_notices::OriginNotices;
use super::path;
use super::report::{Meter, report_refusal, report_request};
use super::request_body::Fields;
use super::routes::{Resource, Routes};
use crate::domain::{Client, TraceId};
use crate::http::ServerSettings;
use crate::limits::Subject;
use crate::service::Caller;

/// A request that has arrived.
pub(crate) struct Arrival {
    pub(crate) request: Request,
    /// The whole body, or why there is none.
    pub(crate) body: Result<Bytes, Refusal>,
    pub(crate) peer: Peer,
    /// The address of the client; `None` if the request came through the unix socket and names no client.
    pub(crate) address: Option<IpAddr>,
    /// When the head of the request was read.
    pub(crate) started_at: Instant,
}

/// The operations that a listener serves, and the state of the checks that their requests pass.
pub(crate) struct Pipeline {
    shared: Arc<Shared>,
    routes: Routes,
    /// The metrics of requests that are for no operation.
    unknown: Meter,
    origins: Origins,
    check_words: CheckWords,
    origin_notices: OriginNotices,
    forwarding_notices: ForwardingNotices,
}

impl Pipeline {
    /// Serves those `operations` that the settings turn on.
    pub(crate) fn new(shared: Shared, operations: impl Iterator<Item = &'static Operation>) -> Self {
        Self {
            routes: Routes::new(operations, &shared.settings),
            unknown: Meter::new("-"),
            origins: Origins::new(&shared.settings),
            shared: Arc::new(shared),
            check_words: CheckWords::default(),
            origin_notices: OriginNotices::default(),
            forwarding_notices: ForwardingNotices::default(),
        }
    }

    pub(crate) fn settings(&self) -> &ServerSettings {
        &self.shared.settings
    }

    /// Frees the memory of limits that no client has used for a while.
    pub(crate) fn sweep(&self) {
        if let Some(throttle) = &self.shared.throttle {
            throttle.limits.sweep();
        }
    }

    /// Answers one request.
    pub(crate) async fn respond(&self, arrival: Arrival) -> Response {
        let trace_id = self.shared.service.system().new_trace_id();
        // A span of the level that every log level includes, so that the log line of a fault always has the trace id.
        let span = tracing::error_span!("request", %trace_id);
        self.respond_under(trace_id, arrival).instrument(span).await
    }

    async fn respond_under(&self, trace_id: TraceId, arrival: Arrival) -> Response {
        let (service, settings) = (&self.shared.service, self.settings());
        let (request, peer) = (arrival.request, arrival.peer);
        let headers = request.headers();
        let echo = EchoProbe::new(headers, peer, arrival.address, &self.check_words, service);
        if echo.is_none() {
            let trusted = &settings.trusted_proxies;
            self.forwarding_notices.look(peer, headers, trusted);
        }
        let client = client(arrival.address, headers, trace_id);
        let method = request.method().clone();
        let path = path::normalised(request.uri().path()).into_owned();
        let resource = self.routes.find(&path, &method, headers);
        let meter = resource.and_then(|resource| resource.meter(&method));
        let meter = meter.unwrap_or(&self.unknown);
        let is_public = resource.is_some_and(Resource::is_public);
        let access = Access::new(headers, is_public, &self.origins);
        let mut rate_limit = None;
        let result = if cors::is_preflight(&request) {
            if access.is_none() {
                let asked = cors::requested_method(headers).unwrap_or(Method::OPTIONS);
                self.log_refused_origin(&client, &asked, headers);
            }
            Ok(access.preflight(resource, headers))
        } else {
            let carried_out = self.carry_out(request, path, arrival.body, resource, client, &mut rate_limit);
            let caught = AssertUnwindSafe(carried_out).catch_unwind().await;
            // The message of a panic is dropped, since it may hold a secret.
            caught.unwrap_or_else(|_| Err(Refusal::internal("a handler panicked")))
        };
        let trace_text = trace_id.to_string();
        let mut response = result.unwrap_or_else(|refusal| {
            report_refusal(&refusal, meter.operation);
            refusal.write(&trace_text)
        });
        let headers = response.headers_mut();
        headers.extend(rate_limit.into_iter().flatten());
        headers::add_common(headers, &trace_text, settings.is_secure);
        access.apply(headers);
        if let Some(echo) = echo {
            echo.write(headers);
        }
        report_request(&trace_text, &method, meter, &response, arrival.started_at);
        response
    }

    /// Logs that a page was refused because its origin is not listed.
    fn log_refused_origin(&self, client: &Client, method: &Method, headers: &HeaderMap) {
        let listed = &self.settings().allowed_origins;
        self.origin_notices
            .note_refused(client.address, method, headers, listed);
    }

    /// The checks before every handler, in the order of the contract: size, path and method, shape, origin, limit, token. The checks before
    /// the limit cost so little that they need no limit.
    async fn carry_out(
        &self,
        mut request: Request,
        path: String,
        body: Result<Bytes, Refusal>,
        resource: Option<&Resource>,
        client: Client,
        rate_limit: &mut Option<RateLimitHeaders>,
    ) -> Result<Response, Refusal> {
        let body = body?;
        let is_options = *request.method() == Method::OPTIONS;
        if is_options && path == "*" {
            return Ok(cors::options(self.routes.allow()));
        }
        let resource = resource.ok_or_else(|| Refusal::new(Code::NotFound))?;
        if is_options {
            return Ok(cors::options(resource.allow()));
        }
        let operation = resource.operation(request.method());
        let operation = operation.ok_or_else(|| Refusal::method_not_allowed(resource.allow()))?;
        let fields = if operation.fields.is_empty() {
            Fields::default()
        } else {
            Fields::new(operation.fields, body::parse(request.headers(), &body)?)
        };
        if !self.origins.may_act(request.method(), request.headers()) {
            self.log_refused_origin(&client, request.method(), request.headers());
            return Err(Refusal::new(Code::OriginForbidden));
        }
        let exchange = Exchange {
            shared: Arc::clone(&self.shared),
            client,
            path,
            headers: std::mem::take(request.headers_mut()),
            fields,
        };
        self.call(operation, exchange, rate_limit).await
    }

    /// Authenticates a request if the operation asks for that, counts it, and carries it out.
    ///
    /// A request counts for a session only if the operation takes a token or cookie and that is valid, and for its address otherwise. So neither a
    /// forged token nor an account of their own gives attackers more guesses at passwords, and clients behind one address do not use up each other's refreshes.
    async fn call(
        &self,
        operation: &Operation,
        exchange: Exchange,
        rate_limit: &mut Option<RateLimitHeaders>,
    ) -> Result<Response, Refusal> {
        let (headers, client) = (&exchange.headers, &exchange.client);
        let service = &self.shared.service;
        let address = Subject::of_address(client.address);
        let answer = match operation.handler {
            Handler::Open(handler) => {
                self.count(operation, &[address], client, None, rate_limit)
                    .await?;
                handler(exchange)
            }
            Handler::Token(handler) => {
                let caller = bearer::authenticate(headers, service, client.clone()).await;
                let known = caller.as_ref().ok();
                let subject = known.map_or(address, |caller| Subject::Session(caller.session_id));
                self.count(operation, &[subject], client, known, rate_limit)
                    .await?;
                handler(exchange, caller?)
            }
            Handler::EitherToken(handler) => {
                let caller = bearer::authenticate_if_sent(headers, service, client.clone()).await;
                let known = caller.as_ref().ok().and_then(Option::as_ref);
                let subject = known.map_or(address, |caller| Subject::Session(caller.session_id));
                self.count(operation, &[subject], client, known, rate_limit)
                    .await?;
                handler(exchange, caller?)
            }
            Handler::Cookies(handler) => {
                let cookies = cookie::presented(headers);
                let cookies = service.look_at_cookies(&cookies, client).await?;
                let sessions = cookies.sessions().iter().copied().map(Subject::Session);
                let mut subjects: Vec<Subject> = sessions.collect();
                if subjects.is_empty() {
                    subjects.push(address);
                }
                self.count(operation, &subjects, client, None, rate_limit).await?;
                handler(exchange, cookies)
            }
        };
        if let Some(before_answer) = &self.settings().before_answer {
            before_answer(operation.id);
        }
        answer.await
    }

    /// Counts a request for the first of `subjects` that has a request left. So an attacker cannot block a client by planting the cookie of a session that has
    /// none left.
    async fn count(
        &self,
        operation: &Operation,
        subjects: &[Subject],
        client: &Client,
        caller: Option<&Caller>,
        rate_limit: &mut Option<RateLimitHeaders>,
    ) -> Result<(), Refusal> {
        let (Some(throttle), Some(class)) = (&self.shared.throttle, operation.limit) else {
            return Ok(());
        };
        let mut refused = None;
        for subject in subjects {
            let (state, outcome) = throttle.count(class, *subject);
            *rate_limit = Some(state);
            match outcome {
                Ok(()) => return Ok(()),
                Err(refusal) => refused = Some((*subject, refusal)),
            }
        }
        let Some((subject, refusal)) = refused else {
            return Ok(());
        };
        let service = &self.shared.service;
        match (subject, caller) {
            (_, Some(caller)) => service.note_caller_throttled(caller, subject.limit().into()),
            (Subject::Session(id), None) => service.note_refresh_throttled(id, client).await?,
            _ => service.note_throttled(client, subject.limit().into()),
        }
        Err(refusal)
    }
}
