//! `completions`: scripts with which a shell completes commands.

use std::process::ExitCode;

use clap::Command;
use clap_complete::{Shell, generate};

use super::error::Refusal;
use super::output;

/// Print a script with which a shell completes commands
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples: for all later shells of this user\n  arkloop completions bash > ~/.local/share/bash-completion/completions/arkloop\n  arkloop completions fish > ~/.config/fish/completions/arkloop.fish\n  arkloop completions zsh > \"${fpath[1]}/_arkloop\""
)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, mut root: Command) -> Result<ExitCode, Refusal> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut root, env!("CARGO_PKG_NAME"), &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
