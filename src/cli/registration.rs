//! `registration`: the mode that says who may create an account.

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::error::Refusal;
use super::report::Report;
use crate::domain::RegistrationMode;
use crate::service::ModeSource;

/// See or set who may create an account
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: let anybody register\n  arkloop registration set open")]
pub(super) enum Command {
    /// Print the mode and where it comes from: the default, the database or the configuration
    #[command(after_help = "Example:\n  arkloop registration show")]
    Show,
    /// Set the mode; a running server applies it from the next request on
    #[command(
        after_help = "Example: stop registration, even with an invite\n  arkloop registration set disabled"
    )]
    Set {
        /// Who may create an account from now on.
        #[arg(value_parser = parse_mode, help = "open: everyone; invite_only: everyone with an invite; disabled: no one")]
        mode: RegistrationMode,
    },
}

fn parse_mode(text: &str) -> Result<RegistrationMode, &'static str> {
    let unknown = "a registration mode is one of open, invite_only, disabled";
    text.parse().map_err(|_| unknown)
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Report, Refusal> {
    let (mode, source) = context.with_service(async |service| {
        if let Command::Set { mode } = command {
            service.set_registration_mode(*mode).await?;
        }
        service.registration_mode().await
    })?;
    let mode = mode.into_str();
    let document = json!({ "mode": mode, "source": source.into_str() });
    Ok(Report::new(document, format!("{mode} ({})", describe(source))))
}

const fn describe(source: ModeSource) -> &'static str {
    match source {
        ModeSource::Default => "the default",
        ModeSource::Database => "set in the database",
        ModeSource::Config => "pinned by the configuration",
    }
}
