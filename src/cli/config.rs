//! `config`: prints the configuration.

use clap::Subcommand;

use super::context::Context;
use super::report::Report;

/// See the configuration.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example: see which variables and files have set something\n  arkloop config show | grep '#'"
)]
pub(super) enum Command {
    /// Print every key with the value that holds and the place it was given; secrets are masked
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
