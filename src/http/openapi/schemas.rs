//! The schemas of bodies.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use serde_json::{Value, json};

use crate::http::pipeline::request_body::Field;

/// The schema of a request body, which refuses unknown members.
pub(super) fn request(fields: &[&Field]) -> Value {
    let properties = fields
        .iter()
        .map(|field| (field.name, MetaSchemaRef::Inline(Box::new(schema(field)))));
    let required = fields.iter().filter(|field| field.is_required);
    let mut schema = json!(MetaSchema {
        required: required.map(|field| field.name).collect(),
        properties: properties.collect(),
        ..MetaSchema::new("object")
    });
    schema["additionalProperties"] = json!(false);
    schema
}

fn schema(field: &Field) -> MetaSchema {
    MetaSchema {
        description: Some(field.description),
        example: Some(field.example.into()),
        min_length: field.min_length,
        max_length: field.max_length,
        pattern: field.pattern.map(str::to_owned),
        nullable: !field.is_required,
        deprecated: field.is_deprecated,
        ..MetaSchema::new("string")
    }
}

/// The schema of a response body, corrected: the derive of poem-openapi marks a nullable member as optional although it is always present, and adds no
/// formats.
pub(super) fn response(name: &str, mut schema: MetaSchema) -> Value {
    // The title repeats the name.
    schema.title = None;
    for (member, property) in &mut schema.properties {
        let MetaSchemaRef::Inline(property) = property else {
            continue;
        };
        // The derive repeats a description beside a reference as another schema.
        property
            .all_of
            .retain(|part| matches!(part, MetaSchemaRef::Reference(_)));
        property.enum_items.extend(only_value(name, member));
        if property.nullable {
            schema.required.push(member);
        }
    }
    let order = |member: &&str| schema.properties.iter().position(|(name, _)| name == member);
    schema.required.sort_by_key(order);
    let mut schema = json!(schema);
    describe_on_one_line(&mut schema);
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (member, property) in properties.into_iter().flatten() {
        describe_on_one_line(property);
        if let Some(format) = format(member) {
            property["format"] = json!(format);
        }
    }
    schema
}

/// The value that a member always has.
fn only_value(schema: &str, member: &str) -> Option<Value> {
    match (schema, member) {
        ("Done", "ok") => Some(json!(true)),
        ("Jwk", "use") => Some(json!("sig")),
        _ => None,
    }
}

/// Ids and times have one format each in the whole API.
fn format(member: &str) -> Option<&'static str> {
    if member == "id" || member.ends_with("_id") {
        Some("uuid")
    } else {
        (member == "at" || member.ends_with("_at")).then_some("date-time")
    }
}

/// Joins the lines of a description, which the derive takes from a doc comment.
fn describe_on_one_line(schema: &mut Value) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = on_one_line(description);
    }
}

/// Joins the lines of each paragraph.
pub(super) fn on_one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
