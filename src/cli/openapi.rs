//! `openapi`: prints the OpenAPI document.

use std::process::ExitCode;

use super::error::Refusal;
use super::output;

pub(super) fn run() -> Result<ExitCode, Refusal> {
    output::print(&crate::http::document())?;
    Ok(ExitCode::SUCCESS)
}
