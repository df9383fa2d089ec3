//! `man`: the manual, a page a command.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_mangen::Man;
use serde_json::json;

use super::error::Refusal;
use super::output::Output;

/// Write the manual pages into a directory: one for each command
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: for all users of this machine\n  arkloop man /usr/local/share/man/man1\n  man arkloop-invite-create"
)]
pub(super) struct Arguments {
    /// Where they go; it must exist, and pages of an earlier version in it are replaced
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// `man DIR`
pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Refusal> {
    let mut root = super::Arguments::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    collect(root, &mut pages);
    for page in &pages {
        write(page, &arguments.directory)?;
    }
    let files: Vec<String> = pages.iter().map(Man::get_filename).collect();
    output.result(&json!(files), || files.join("\n"))
}

/// The page of a command, and those of everything below it, whose names say the way there: `arkloop-invite-create`.
fn collect(command: clap::Command, pages: &mut Vec<Man>) {
    let children: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    let version = format!("arkloop {}", env!("CARGO_PKG_VERSION"));
    pages.push(Man::new(command).manual("arkloop manual").source(version));
    for child in children {
        collect(child, pages);
    }
}

fn write(page: &Man, directory: &Path) -> Result<(), Refusal> {
    let path = directory.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text)
        .and_then(|()| fs::write(&path, text))
        .map_err(|cause| {
            Refusal::new(
                format!("cannot write {}: {cause}", path.display()),
                "name a directory that exists and that you may write to",
            )
        })
}
