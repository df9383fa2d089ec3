//! Tests that the document, the example configuration, the guides and the layers agree with the code.

mod build;
mod chunks;
mod claims;
mod config_example;
mod config_reference;
mod debug_output;
mod document;
mod engines;
mod guides;
mod imports;
mod layering;
mod numbers;
mod plans;
mod scale;
mod secret_types;
mod security;
mod statements;
