//! The `OpenAPI` 3.0.3 document, generated from the operations: their paths, their refusals, and the schemas of their bodies.
//!
//! poem-openapi generates only the schemas. The document is written here, because poem-openapi cannot describe everything that an
//! [`Operation`] contains.

mod components;
mod operation;
#[cfg(test)]
mod properties;
mod schemas;

use poem_openapi::Tags as _;
use serde_json::{Map, Value, json};

use super::pipeline::Operation;
use components::Components;
use schemas::on_one_line;

/// Describes `operations`, in their order.
pub(super) fn document(operations: impl Iterator<Item = &'static Operation>) -> Value {
    let mut components = Components::new();
    let mut tags = Vec::new();
    let mut paths = Map::new();
    for operation in operations {
        let Some(tag) = operation.tag else { continue };
        tag.register(&mut components.registry);
        if !tags.contains(&tag.name()) {
            tags.push(tag.name());
        }
        let path = paths.entry(operation.path).or_insert_with(|| Map::new().into());
        path[operation.method.as_str().to_lowercase()] = operation::describe(operation, tag, &mut components);
    }
    let tags = tags.into_iter().map(|name| {
        let mut known = components.registry.tags.iter();
        json!(known.find(|tag| tag.name == name))
    });
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "arkloop",
            "description": on_one_line(include_str!("description.md")),
            "version": env!("CARGO_PKG_VERSION"),
            "contact": { "name": "The arkloop developers" },
            "license": { "name": "MIT OR Apache-2.0", "url": "https://spdx.org/licenses/" },
        },
        "servers": [{ "url": "/", "description": "This server" }],
        "tags": tags.collect::<Vec<_>>(),
        "paths": paths,
        "components": components.into_value(),
    })
}
