//! The parts of the document that no handler describes: the shape of refusals, and headers.

use serde_json::{Map, Value, json};

use super::super::code::{Code, FIELD_CODES};
use super::{EXAMPLE_TRACE_ID, refusals};
use crate::domain::{FieldError, FieldErrors, Limit};

/// Adds the schemas of refusals.
pub(super) fn add_schemas(schemas: &mut Map<String, Value>) {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    schemas.insert("Error".to_owned(), error());
    schemas.insert(
        "ErrorCode".to_owned(),
        json!({
            "type": "string",
            "description": "Why a request was refused. Stable; a client branches on it.",
            "enum": codes,
        }),
    );
    schemas.insert("FieldError".to_owned(), field_error());
    schemas.insert(
        "FieldErrorCode".to_owned(),
        json!({
            "type": "string",
            "description": "What is wrong with a field. Stable; a client branches on it.",
            "enum": FIELD_CODES,
        }),
    );
    schemas.sort_keys();
}

fn error() -> Value {
    json!({
        "type": "object",
        "description": "A refusal.",
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
                        "enum": Limit::ALL.map(Limit::as_str),
                    },
                },
                "additionalProperties": false,
            },
        },
        "additionalProperties": false,
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
        "additionalProperties": false,
    })
}

/// The headers that responses refer to.
pub(super) fn headers() -> Value {
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
        "WWW-Authenticate": {
            "description": "The challenge of RFC 6750 §3.",
            "required": true,
            "schema": { "type": "string", "enum": ["Bearer", "Bearer error=\"invalid_token\""] },
        },
        "Retry-After": {
            "description": "When to try again, in whole seconds.",
            "required": true,
            "schema": { "type": "string", "pattern": "^[1-9][0-9]*$" },
            "example": "1",
        },
        "RateLimit-Policy": {
            "description": "The limit that the request was counted by: its name, how many requests it holds (`q`), and in how many seconds it is full again after it was used up (`w`). Not there where the operator turned limits off, and on what is refused before the limit is asked.",
            "schema": { "type": "string", "pattern": "^\"[a-z_]+\";q=[1-9][0-9]*;w=[1-9][0-9]*$" },
            "example": "\"login\";q=30;w=60",
        },
        "RateLimit": {
            "description": "What is left of that limit: how many requests would be served at once (`r`), and the most seconds until there is one more (`t`).",
            "schema": { "type": "string", "pattern": "^\"[a-z_]+\";r=[0-9]+;t=[1-9][0-9]*$" },
            "example": "\"login\";r=29;t=2",
        },
    })
}

/// A reference to one of [`headers`].
pub(super) fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// The response of `operation` for all of its `codes` that share one status.
pub(super) fn refusal_response(operation: &Value, codes: &[Code]) -> Value {
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let lines: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.as_str(), code.message()))
        .collect();
    let examples: Map<String, Value> = codes
        .iter()
        .map(|code| (code.as_str().to_owned(), example(operation, *code)))
        .collect();
    let mut headers = Map::new();
    if codes[0].status().as_u16() == 401 && refusals::needs_bearer(operation) {
        headers.insert("WWW-Authenticate".to_owned(), header("WWW-Authenticate"));
    }
    if matches!(codes[0].status().as_u16(), 429 | 503) {
        headers.insert("Retry-After".to_owned(), header("Retry-After"));
    }
    json!({
        "description": lines.join("\n\n"),
        "headers": headers,
        "content": { "application/json": {
            "schema": { "allOf": [
                { "$ref": "#/components/schemas/Error" },
                { "type": "object", "properties": { "code": { "type": "string", "enum": names } } },
            ] },
            "examples": examples,
        } },
    })
}

fn example(operation: &Value, code: Code) -> Value {
    let id = operation["operationId"].as_str().unwrap_or_default();
    let fields = match code {
        Code::ValidationError => bad_field(id),
        _ => FieldErrors::default(),
    };
    let limit = (code.status().as_u16() == 429).then_some(Limit::Address);
    json!({ "summary": code.message(), "value": code.body(EXAMPLE_TRACE_ID, &fields, limit) })
}

/// A field of the operation's body, and what may be wrong with it.
fn bad_field(id: &str) -> FieldErrors {
    match id {
        "update_me" => FieldErrors::one("username", FieldError::TooShort { min: 2 }),
        "change_password" => FieldErrors::one("current_password", FieldError::Incorrect),
        "send_code" | "send_reset" => FieldErrors::one("email", FieldError::Missing),
        "sign_in_by_code" => FieldErrors::one("otp", FieldError::Missing),
        "register" | "login" | "check" => FieldErrors::one("login", FieldError::Missing),
        _ => FieldErrors::one("token", FieldError::Missing),
    }
}
