//! What the document says about one operation.

use poem_openapi::Tags as _;
use poem_openapi::registry::MetaSchemaRef;
use serde_json::{Map, Value, json};

use super::components::{self, Components, SCHEME, reference};
use crate::http::pipeline::operation::Handler;
use crate::http::pipeline::{Operation, Success, Tag};

/// Describes `operation`. The schemas and responses that the description refers to are added to `components`.
pub(super) fn describe(operation: &Operation, tag: Tag, components: &mut Components) -> Value {
    let mut described = json!({
        "tags": [tag.name()],
        "summary": operation.summary,
        "description": operation.description,
    });
    if let Some(description) = operation.parameter {
        let name = operation.path.split(['{', '}']).nth(1);
        described["parameters"] = json!([{
            "name": name,
            "schema": { "type": "string", "format": "uuid" },
            "in": "path",
            "description": description,
            "required": true,
        }]);
    }
    if !operation.fields.is_empty() {
        let schema = components.request(operation.request, operation.fields);
        described["requestBody"] = json!({
            "content": { "application/json": { "schema": schema } },
            "required": true,
        });
    }
    described["responses"] = responses(operation, components);
    let needed = json!({ SCHEME: [] });
    match operation.handler {
        Handler::Token(_) => described["security"] = json!([needed]),
        // The empty requirement says that the token may be missing.
        Handler::EitherToken(_) => described["security"] = json!([{}, needed]),
        Handler::Open(_) | Handler::Cookies(_) => {}
    }
    described["operationId"] = json!(operation.id);
    if !operation.takes_token() {
        described["security"] = json!([]);
    }
    described
}

/// The responses, keyed by status.
fn responses(operation: &Operation, components: &mut Components) -> Value {
    let mut responses = Map::new();
    let success = &operation.success;
    let is_limited = operation.limit.is_some();
    let described = describe_success(success, is_limited, components);
    responses.insert(success.status.as_str().to_owned(), described);
    if success.has_etag {
        responses.insert("304".to_owned(), reference("responses", "NotModified"));
    }
    for codes in operation.codes().chunk_by(|a, b| a.status() == b.status()) {
        let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
        let reference = components.response(&names.join("Or"), components::refusal(codes));
        responses.insert(codes[0].status().as_str().to_owned(), reference);
    }
    responses.into()
}

fn describe_success(success: &Success, is_limited: bool, components: &mut Components) -> Value {
    let mut described = json!({ "description": success.description });
    if let Some((media_type, schema)) = success.content {
        let schema = schema(&mut components.registry);
        if let (MetaSchemaRef::Reference(name), Some(example)) = (&schema, success.example) {
            components.add_example(name, example);
        }
        described["content"] = json!({ media_type: { "schema": schema } });
    }
    let mut headers = components::headers_named(&["X-Trace-Id", "Cache-Control"]);
    let text = json!({ "type": "string" });
    for (name, description) in success.headers {
        // Browsers hide this header from scripts, so a client in a page does not find it.
        let is_required = *name != "Set-Cookie";
        let header = json!({ "description": description, "required": is_required, "schema": text });
        headers.insert((*name).to_owned(), header);
    }
    for (name, description) in success.optional_headers {
        let header = json!({ "description": description, "schema": text, "required": false });
        headers.insert((*name).to_owned(), header);
    }
    if is_limited {
        headers.extend(components::headers_named(&["RateLimit-Policy", "RateLimit"]));
    }
    if success.has_etag {
        headers.insert("ETag".to_owned(), reference("headers", "ETag"));
    }
    described["headers"] = headers.into();
    if let Some(links) = success.links {
        described["links"] = links();
    }
    described
}
