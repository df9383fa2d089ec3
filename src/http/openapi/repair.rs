//! One pass over the document that poem-openapi makes.
//!
//! It says 3.0.0, puts charsets into content types, writes header names in capitals, calls members of responses optional
//! that are always there, does not say that unknown members are refused, and knows nothing of refusals.

use serde_json::{Map, Value, json};

use super::{components, refusals};
use crate::http::pipeline::limit;

/// The members of responses that may be left out: the y coordinate is only there for P-256 keys.
const OPTIONAL_MEMBERS: [(&str, &str); 1] = [("Jwk", "y")];
/// The operations whose content clients keep.
const KEPT: [&str; 3] = ["jwks", "openapi_document", "docs"];
/// The forms of members of responses, which the handlers fill with texts.
const FORMATS: [(&str, &str); 4] = [
    ("id", "uuid"),
    ("user_id", "uuid"),
    ("created_at", "date-time"),
    ("last_used_at", "date-time"),
];

/// Makes the document say what is so.
pub(super) fn repair(document: &mut Value) {
    document["openapi"] = json!("3.0.3");
    let mut responses = Map::new();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (method, operation) in paths.values_mut().filter_map(Value::as_object_mut).flatten() {
            repair_operation(method, operation, &mut responses);
        }
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        for (name, schema) in schemas.iter_mut() {
            repair_schema(name, schema);
        }
        components::add_schemas(schemas);
    }
    responses.sort_keys();
    document["components"]["responses"] = responses.into();
    document["components"]["examples"] = components::examples().into();
    document["components"]["headers"] = components::headers();
    sort_tags(document);
    tidy(document);
}

/// Puts the groups into the order in which their operations come.
fn sort_tags(document: &mut Value) {
    let operations = document["paths"].as_object().into_iter().flat_map(Map::values);
    let operations = operations.filter_map(Value::as_object).flat_map(Map::values);
    let order: Vec<Value> = operations.map(|operation| operation["tags"][0].clone()).collect();
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(|tag| order.iter().position(|name| *name == tag["name"]));
    }
}

/// Completes an operation, and adds the responses that it refers to to `shared`.
fn repair_operation(method: &str, operation: &mut Value, shared: &mut Map<String, Value>) {
    let codes = refusals::refusals(method, operation);
    if operation.get("security").is_none() {
        operation["security"] = json!([]);
    }
    let operation_id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for response in responses.values_mut() {
        repair_response(response);
        if limit::class_of(&operation_id).is_some() {
            for name in ["RateLimit-Policy", "RateLimit"] {
                response["headers"][name] = components::header(name);
            }
        }
    }
    if KEPT.contains(&operation_id.as_str()) {
        responses["200"]["headers"]["ETag"] = components::header("ETag");
        let reference = json!({ "$ref": "#/components/responses/NotModified" });
        responses.insert("304".to_owned(), reference);
        shared.insert("NotModified".to_owned(), components::not_modified());
    }
    if operation_id == "list_sessions" {
        responses["200"]["links"] = json!({ "DeleteSession": {
            "description": "Ends a session of the list.",
            "operationId": "delete_session",
            "parameters": { "id": "$response.body#/sessions/0/id" },
        } });
    }
    for group in codes.chunk_by(|a, b| a.status() == b.status()) {
        let (name, response) = components::refusal(group);
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        responses.insert(group[0].status().as_str().to_owned(), reference);
        shared.insert(name, response);
    }
}

fn repair_response(response: &mut Value) {
    let own = response["headers"].take();
    let mut headers = Map::new();
    for name in ["X-Trace-Id", "Cache-Control"] {
        headers.insert(name.to_owned(), components::header(name));
    }
    for (name, mut header) in own.as_object().cloned().unwrap_or_default() {
        let name = header_name(&name);
        // What a handler gives to a response is in every one of them, but browsers hide cookies from their pages.
        header["required"] = json!(name != "Set-Cookie");
        headers.insert(name, header);
    }
    response["headers"] = Value::Object(headers);
    if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) {
        *content = std::mem::take(content)
            .into_iter()
            .map(|(name, media)| (name.split(';').next().unwrap_or_default().to_owned(), media))
            .collect();
        if let Some(schema) = content
            .get_mut("application/json")
            .map(|media| &mut media["schema"])
            && *schema == json!({})
        {
            // Only the document itself has no schema.
            *schema = json!({ "type": "object" });
        }
    }
}

/// `SET-COOKIE` as `Set-Cookie`; what is not in capitals stays.
fn header_name(name: &str) -> String {
    if name.chars().any(|c| c.is_ascii_lowercase()) {
        return name.to_owned();
    }
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_owned() + &rest.to_ascii_lowercase()
    });
    words.collect::<Vec<_>>().join("-")
}

fn repair_schema(name: &str, schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    // It repeats the name.
    schema.shift_remove("title");
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    if name.ends_with("Request") {
        schema.insert("additionalProperties".to_owned(), json!(false));
        return;
    }
    for (member, format) in FORMATS {
        if let Some(property) = properties.get_mut(member) {
            property["format"] = json!(format);
        }
    }
    match name {
        "Done" => properties["ok"]["enum"] = json!([true]),
        "Jwk" => properties["use"]["enum"] = json!(["sig"]),
        _ => {}
    }
    let always = properties
        .keys()
        .filter(|member| !OPTIONAL_MEMBERS.contains(&(name, member.as_str())));
    let always = always.cloned().collect();
    schema.insert("required".to_owned(), always);
}

/// Leaves out what says nothing, and joins the lines of doc comments.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, default) in [("deprecated", json!(false)), ("explode", json!(true))] {
                if object.get(key) == Some(&default) {
                    object.shift_remove(key);
                }
            }
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text
                    .split("\n\n")
                    .map(|part| part.replace('\n', " "))
                    .collect::<Vec<_>>()
                    .join("\n\n");
            }
            if let Some(Value::Array(parts)) = object.get_mut("allOf") {
                // A description beside a reference is repeated as a schema of its own.
                parts.retain(|part| {
                    part.as_object()
                        .is_none_or(|part| !part.keys().eq(["description"]))
                });
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
