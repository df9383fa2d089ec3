//! The document (`OpenAPI` 3.0.3): made from the handlers, completed by [`refusals`] (what each operation can be refused with)
//! and by one pass of [`repair`] over what poem-openapi leaves out or gets wrong.

mod components;
#[cfg(test)]
mod properties;
mod refusals;
mod repair;

use std::collections::HashMap;
use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::http::{Method, StatusCode};
use poem_openapi::registry::{MetaApi, Registry};
use poem_openapi::{ContactObject, LicenseObject, OpenApi, OpenApiService, ServerObject, Tags};
use serde_json::Value;

use crate::http::api::captcha::CaptchaApi;
use crate::http::api::email::EmailApi;
use crate::http::api::health::HealthApi;
use crate::http::api::keys::KeysApi;
use crate::http::api::one_time_code::OneTimeCodeApi;
use crate::http::api::password::PasswordApi;
use crate::http::api::registration::RegistrationApi;
use crate::http::api::session::SessionApi;
use crate::http::api::sign_in::SignInApi;
use crate::http::api::user::UserApi;
use crate::http::pages::browser_client::BrowserClientApi;
use crate::http::pages::built_in::PagesApi;
use crate::http::pages::docs::DocsApi;
use crate::http::pipeline::exchange::Shared;

/// An id in examples.
pub(crate) const EXAMPLE_UUID: &str = "019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17";
/// A moment in examples.
pub(crate) const EXAMPLE_TIME: &str = "2026-11-22T10:00:00Z";
/// The beginning of an access token in examples.
pub(crate) const EXAMPLE_TOKEN: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9…";
/// A trace id in examples.
const EXAMPLE_TRACE_ID: &str = "4f1c2ab09d3e4b7f8a6c5d0e1f2a3b4c";

/// What the groups of operations are called.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Making an account.
    Registration,
    /// Signing in, staying signed in, signing out.
    #[oai(rename = "Sign-in")]
    SignIn,
    /// Proving an address.
    #[oai(rename = "E-mail")]
    Email,
    /// The own account.
    Account,
    /// Where the account is signed in.
    Sessions,
    /// Public keys for services that verify access tokens.
    Keys,
    /// The server itself.
    Server,
}

/// Every operation, in the order of the document.
pub(crate) type Api = (
    CaptchaApi,
    RegistrationApi,
    SignInApi,
    OneTimeCodeApi,
    EmailApi,
    UserApi,
    PasswordApi,
    SessionApi,
    KeysApi,
    HealthApi,
    DocsApi,
    PagesApi,
    BrowserClientApi,
);

/// The operations over `shared`.
pub(crate) fn api(shared: &Arc<Shared>) -> Api {
    (
        CaptchaApi(Arc::clone(shared)),
        RegistrationApi(Arc::clone(shared)),
        SignInApi(Arc::clone(shared)),
        OneTimeCodeApi(Arc::clone(shared)),
        EmailApi(Arc::clone(shared)),
        UserApi(Arc::clone(shared)),
        PasswordApi(Arc::clone(shared)),
        SessionApi(Arc::clone(shared)),
        KeysApi(Arc::clone(shared)),
        HealthApi(Arc::clone(shared)),
        // Served without white space: people read `/docs`.
        DocsApi::new(made().to_string()),
        PagesApi::new(shared),
        BrowserClientApi::new(),
    )
}

/// The `OpenAPI` 3.0.3 document of this server, as JSON for people to read, with a newline at its end.
///
/// It needs no server and depends on no configuration: it lists what a server may serve.
pub fn document() -> String {
    let mut text = serde_json::to_string_pretty(&made()).unwrap_or_default();
    text.push('\n');
    text
}

fn made() -> Value {
    let made = OpenApiService::new(Described, "arkloop", env!("CARGO_PKG_VERSION"))
        .description(include_str!("description.md"))
        .contact(ContactObject::new().name("The arkloop developers"))
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/"))
        .server(ServerObject::new("/").description("This server"))
        .spec();
    let mut document: Value = serde_json::from_str(&made).unwrap_or_default();
    repair::repair(&mut document);
    document
}

/// Begins the counters of requests at zero, so that a rate shows the first one: of each operation every status, and every limit, that the document lists.
pub(crate) fn start_counters() {
    let document = made();
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.filter_map(|(_, path)| path.as_object()).flatten();
    for (method, operation) in operations {
        let Some(id) = operation["operationId"].as_str() else {
            continue;
        };
        for (status, _) in operation["responses"].as_object().into_iter().flatten() {
            count_none("arkloop_http_requests_total", id, ("status", status));
        }
        for code in refusals::refusals(method, operation) {
            if code.status() == StatusCode::TOO_MANY_REQUESTS {
                count_none("arkloop_limits_hit_total", id, ("code", code.as_str()));
            }
        }
    }
}

fn count_none(counter: &'static str, operation: &str, (label, value): (&'static str, &str)) {
    let labels = [("operation", operation.to_owned()), (label, value.to_owned())];
    metrics::counter!(counter, &labels).increment(0);
}

/// What [`Api`] says of itself, without a service behind it.
struct Described;

impl OpenApi for Described {
    fn meta() -> Vec<MetaApi> {
        Api::meta()
    }

    fn register(registry: &mut Registry) {
        Api::register(registry);
    }

    fn add_routes(self, _routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}
