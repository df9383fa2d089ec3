//! `openapi`: prints the OpenAPI document.

use std::process::ExitCode;

use super::error::Refusal;
use super::output;

/// Print the OpenAPI document of the HTTP API, byte for byte as the server serves it
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: keep a copy beside a client's sources\n  arkloop openapi > arkloop.json")]
pub(super) struct Arguments {}

pub(super) fn run() -> Result<ExitCode, Refusal> {
    output::print(&crate::http::document())?;
    Ok(ExitCode::SUCCESS)
}
