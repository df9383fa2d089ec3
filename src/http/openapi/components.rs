//! The parts of the document that operations refer to. `components.json` has the fixed parts: the shape of refusals, the headers, and the
//! response 304.

use poem::http::StatusCode;
use poem_openapi::registry::Registry;
use serde_json::{Map, Value, json};
use strum::{VariantArray as _, VariantNames as _};

use super::schemas;
use crate::domain::{FieldError, FieldErrors, Limit, LimitClass};
use crate::http::pipeline::request_body::Field;
use crate::http::pipeline::{Code, limit};

/// The name of the security scheme.
pub(super) const SCHEME: &str = "bearer";
const EXAMPLE_TRACE_ID: &str = "4f1c2ab09d3e4b7f8a6c5d0e1f2a3b4c";
/// The statuses of refusals that come before a request is counted.
const UNCOUNTED: [StatusCode; 3] = [
    StatusCode::BAD_REQUEST,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
];

/// The parts that were added so far.
pub(super) struct Components {
    /// The schemas of response bodies.
    pub(super) registry: Registry,
    /// All other parts, in the form of the document.
    parts: Value,
}

impl Components {
    pub(super) fn new() -> Self {
        let parts = include_str!("components.json");
        let mut parts: Value = serde_json::from_str(parts).expect("the file is JSON");
        let codes = Code::VARIANTS.iter().map(|code| code.as_str());
        let schemas = &mut parts["schemas"];
        schemas["ErrorCode"]["enum"] = codes.collect();
        let mut field_codes = FieldError::VARIANTS.to_vec();
        field_codes.dedup();
        schemas["FieldErrorCode"]["enum"] = json!(field_codes);
        let details = &mut schemas["ApiError"]["properties"]["details"];
        details["properties"]["limit"]["enum"] = Limit::VARIANTS.iter().map(<&str>::from).collect();
        let class = LimitClass::Login;
        let rate = class.default_rate();
        let headers = &mut parts["headers"];
        headers["X-Trace-Id"]["example"] = json!(EXAMPLE_TRACE_ID);
        headers["RateLimit-Policy"]["example"] = json!(limit::policy(class, rate));
        let state = limit::state(class, rate.requests().get() - 1, rate.interval());
        headers["RateLimit"]["example"] = json!(state);
        parts["examples"] = examples().into();
        Self {
            registry: Registry::new(),
            parts,
        }
    }

    /// Adds the schema of a request body, and returns a reference to it.
    pub(super) fn request(&mut self, name: &str, fields: &[&Field]) -> Value {
        self.parts["schemas"][name] = schemas::request(fields);
        reference("schemas", name)
    }

    /// Adds a response, and returns a reference to it.
    pub(super) fn response(&mut self, name: &str, response: Value) -> Value {
        self.parts["responses"][name] = response;
        reference("responses", name)
    }

    /// Adds an example to the schema of a response body.
    pub(super) fn add_example(&mut self, name: &str, example: &str) {
        let schema = self.registry.schemas.get_mut(name);
        let schema = schema.expect("a schema is registered before it is referred to");
        schema.example = Some(serde_json::from_str(example).expect("every example is JSON"));
    }

    /// All parts; schemas and responses are in the order of their names.
    pub(super) fn into_value(mut self) -> Value {
        for (name, schema) in self.registry.schemas {
            self.parts["schemas"][&name] = schemas::response(&name, schema);
        }
        for kind in ["schemas", "responses"] {
            self.parts[kind].as_object_mut().map(Map::sort_keys);
        }
        self.parts
    }
}

/// A reference to a part.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// References to common headers, by name.
pub(super) fn headers_named(names: &[&str]) -> Map<String, Value> {
    let references = names
        .iter()
        .map(|name| ((*name).to_owned(), reference("headers", name)));
    references.collect()
}

/// One example for each code that an operation answers.
fn examples() -> Map<String, Value> {
    let example = |code: &Code| {
        let fields = match code {
            Code::ValidationError => FieldErrors::one("email", FieldError::Missing),
            _ => FieldErrors::default(),
        };
        let limit = (code.status() == StatusCode::TOO_MANY_REQUESTS).then_some(Limit::Address);
        let value = code.body(EXAMPLE_TRACE_ID, &fields, limit);
        (
            code.as_str().to_owned(),
            json!({ "summary": code.message(), "value": value }),
        )
    };
    // This code means that the path has no operation with the method of the request.
    let listed = Code::VARIANTS
        .iter()
        .filter(|code| **code != Code::MethodNotAllowed);
    listed.map(example).collect()
}

/// The response for all of `codes`, which share one status.
pub(super) fn refusal(codes: &[Code]) -> Value {
    let lines: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.as_str(), code.message()))
        .collect();
    let mut headers = vec!["X-Trace-Id", "Cache-Control"];
    headers.extend(match codes[0].status() {
        StatusCode::UNAUTHORIZED => Some("WWW-Authenticate"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Some("Accept-Encoding"),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some("Retry-After"),
        _ => None,
    });
    if !UNCOUNTED.contains(&codes[0].status()) {
        headers.extend(["RateLimit-Policy", "RateLimit"]);
    }
    let examples = codes
        .iter()
        .map(|code| (code.as_str().to_owned(), reference("examples", code.as_str())));
    json!({
        "description": lines.join("\n\n"),
        "headers": headers_named(&headers),
        "content": { "application/json": {
            "schema": reference("schemas", "ApiError"),
            "examples": examples.collect::<Map<_, _>>(),
        } },
    })
}
