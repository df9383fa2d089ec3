//! The parts of the document that no handler describes: the shape of refusals, and headers.

use std::collections::BTreeMap;

use poem::http::StatusCode;
use poem_openapi::registry::Registry;
use serde_json::{Map, Value, json};
use strum::VariantArray;

use super::schemas;
use crate::domain::{FieldError, FieldErrors, Limit, LimitClass, Rates};
use crate::http::pipeline::RequestBody;
use crate::http::pipeline::code::{Code, FIELD_CODES};
use crate::http::pipeline::limit;

/// The name of the security scheme.
pub(super) const SCHEME: &str = "bearer";
const EXAMPLE_TRACE_ID: &str = "4f1c2ab09d3e4b7f8a6c5d0e1f2a3b4c";

/// The statuses of refusals that come before a request is counted.
const UNCOUNTED: [StatusCode; 3] = [
    StatusCode::BAD_REQUEST,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
];

/// The parts that operations refer to.
#[derive(Default)]
pub(super) struct Components {
    /// The schemas of response bodies.
    pub(super) registry: Registry,
    requests: BTreeMap<&'static str, Value>,
    responses: BTreeMap<String, Value>,
}

impl Components {
    /// Adds the schema of a request body, and refers to it.
    pub(super) fn request(&mut self, body: &RequestBody) -> Value {
        self.requests.insert(body.name, schemas::request(body));
        reference("schemas", body.name)
    }

    /// Adds a response, and refers to it.
    pub(super) fn response(&mut self, name: &str, response: Value) -> Value {
        self.responses.insert(name.to_owned(), response);
        reference("responses", name)
    }

    /// Adds an example to the schema of a response body.
    pub(super) fn add_example(&mut self, name: &str, example: &str) {
        let schema = self.registry.schemas.get_mut(name);
        let schema = schema.expect("a schema is registered before it is referred to");
        schema.example = Some(serde_json::from_str(example).expect("every example is JSON"));
    }

    pub(super) fn into_value(self) -> Value {
        let mut all = refusal_schemas();
        for (name, schema) in self.registry.schemas {
            let schema = schemas::response(&name, schema);
            all.insert(name, schema);
        }
        for (name, schema) in self.requests {
            all.insert(name.to_owned(), schema);
        }
        all.sort_keys();
        json!({
            "schemas": all,
            "securitySchemes": { SCHEME: {
                "type": "http",
                "description": "The access token that register, login and refresh answer.",
                "scheme": "bearer",
                "bearerFormat": "JWT",
            } },
            "responses": self.responses,
            "examples": examples(),
            "headers": headers(),
        })
    }
}

/// Refers to one of the components.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// Refers to common headers.
pub(super) fn headers_named(names: &[&str]) -> Map<String, Value> {
    let references = names
        .iter()
        .map(|name| ((*name).to_owned(), reference("headers", name)));
    references.collect()
}

fn refusal_schemas() -> Map<String, Value> {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let schemas = [
        ("ApiError", error()),
        (
            "ErrorCode",
            json!({
                "type": "string",
                "description": "Why a request was refused. A client branches on it. A code keeps its meaning; a later release may add codes, which a client treats by their status.",
                "enum": codes,
            }),
        ),
        ("FieldError", field_error()),
        (
            "FieldErrorCode",
            json!({
                "type": "string",
                "description": "What is wrong with a field. A client branches on it. A later release may add codes, which a client treats as `invalid`.",
                "enum": FIELD_CODES,
            }),
        ),
    ];
    schemas
        .map(|(name, schema)| (name.to_owned(), schema))
        .into_iter()
        .collect()
}

fn error() -> Value {
    json!({
        "type": "object",
        "description": "Every refusal of every operation. Which codes a response can have is in its description and its examples.",
        "required": ["code", "message", "trace_id"],
        "properties": {
            "code": { "$ref": "#/components/schemas/ErrorCode" },
            "message": { "type": "string", "description": "A sentence for a person." },
            "trace_id": {
                "type": "string",
                "description": "The same as in `X-Trace-Id`; the log has it too.",
                "pattern": "^[0-9a-f]{32}$",
            },
            "details": {
                "type": "object",
                "description": "Left out when there is nothing to say.",
                "properties": {
                    "fields": {
                        "type": "object",
                        "description": "With `validation.error`: every bad field by its name. An unknown field whose name does not look like one is called `(unknown)`. No value is ever repeated.",
                        "additionalProperties": { "$ref": "#/components/schemas/FieldError" },
                    },
                    "limit": {
                        "type": "string",
                        "description": "With a 429: whose limit was reached, that of an address, an account or a session.",
                        "enum": Limit::VARIANTS.iter().map(<&str>::from).collect::<Vec<_>>(),
                    },
                },
            },
        },
    })
}

fn field_error() -> Value {
    json!({
        "type": "object",
        "description": "What is wrong with one field.",
        "required": ["code", "message"],
        "properties": {
            "code": { "$ref": "#/components/schemas/FieldErrorCode" },
            "message": { "type": "string", "description": "A sentence for a person." },
            "min": { "type": "integer", "description": "With `too_short`: the fewest characters." },
            "max": { "type": "integer", "description": "With `too_long`: the most characters." },
        },
    })
}

/// The headers that responses refer to.
pub(crate) fn headers() -> Value {
    let class = LimitClass::Login;
    let rate = Rates::default().of(class);
    json!({
        "X-Trace-Id": {
            "description": "Names this request in the log of the server.",
            "required": true,
            "schema": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
            "example": EXAMPLE_TRACE_ID,
        },
        "Cache-Control": {
            "description": "Whether and for how long the response may be kept.",
            "required": true,
            "schema": { "type": "string" },
            "example": "no-store",
        },
        "ETag": {
            "description": "Names the content. A client that keeps it sends this value as `If-None-Match` and gets a 304 until the content changes.",
            "required": true,
            "schema": { "type": "string" },
            "example": "W/\"60c3a9f5d1e8b274\"",
        },
        "WWW-Authenticate": {
            "description": "The challenge that every 401 carries (RFC 9110 §15.5.2): with an error where the access token is not good (RFC 6750 §3.1), else without.",
            "required": true,
            // No enum: generators name a variant after each value, or write it between quotes of their own.
            "schema": { "type": "string", "pattern": "^Bearer( error=\"invalid_token\")?$" },
            "example": "Bearer",
        },
        "Accept-Encoding": {
            "description": "Present where a `Content-Encoding` was the reason: bodies are read without one.",
            "schema": { "type": "string", "enum": ["identity"] },
        },
        "Retry-After": {
            "description": "When to try again, in whole seconds.",
            "required": true,
            "schema": { "type": "string", "pattern": "^[1-9][0-9]*$" },
            "example": "1",
        },
        "RateLimit-Policy": {
            "description": "The limit that the request was counted by: its name, how many requests it holds (`q`), and in how many seconds it is full again after it was used up (`w`). Absent from operations without a limit, where the operator turned limits off, and from refusals that come before the request is counted.",
            "schema": { "type": "string", "pattern": "^\"[a-z_]+\";q=[1-9][0-9]*;w=[1-9][0-9]*$" },
            "example": limit::policy(class, rate),
        },
        "RateLimit": {
            "description": "What is left of that limit: how many requests would be served at once (`r`), and the most seconds until there is one more (`t`).",
            "schema": { "type": "string", "pattern": "^\"[a-z_]+\";r=[0-9]+;t=[1-9][0-9]*$" },
            "example": limit::state(class, rate.requests().get() - 1, rate.interval()),
        },
    })
}

/// The response to a client that has the content already.
pub(super) fn not_modified() -> Value {
    let headers = headers_named(&["X-Trace-Id", "Cache-Control", "ETag"]);
    json!({ "description": "`If-None-Match` names the content as it is now.", "headers": headers })
}

/// One example for each code.
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
    // No operation answers that its path has no such operation.
    let listed = Code::ALL.iter().filter(|code| **code != Code::MethodNotAllowed);
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
