//! What must agree: the document, the example configuration, the layers.

mod config_example;
mod document;
mod layering;
mod secret_types;
mod security;
