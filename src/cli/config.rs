//! `config`: prints the configuration.

use clap::Subcommand;

use super::context::Context;
use super::report::Report;

/// See the configuration.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example: see which keys are set, and by which variable or file\n  arkloop config show | grep '#'"
)]
pub(super) enum Command {
    /// Print every key with its effective value and the place where it is set; secrets are masked
    #[command(
        after_help = "Example: where does the server listen?\n  arkloop --json config show | jq -r .server.listen"
    )]
    Show,
}

pub(super) fn show(context: &Context) -> Report {
    for warning in context.config.warnings() {
        context.output.warning(&warning);
    }
    Report::new(context.config.to_json(), context.config.to_toml())
}
