//! `man`: the manual, a page a command.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_mangen::Man;
use serde_json::json;

use super::error::Refusal;
use super::output::Output;
use crate::files::{Directory, Untrusted, run_as};

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
    let files: Vec<String> = pages.iter().map(Man::get_filename).collect();
    let refuse = |name: &str, cause: io::Error| {
        let path = arguments.directory.join(name);
        let owner = Untrusted::within(&cause).and_then(Untrusted::directory_owner);
        let group = || arguments.directory.metadata().map_or(0, |found| found.gid());
        let or = owner.map(|owner| format!(", or {}", run_as(owner, group())));
        Refusal::new(
            format!("cannot write {}: {cause}", path.display()),
            format!(
                "name a directory that exists and that you may write to{}",
                or.unwrap_or_default()
            ),
        )
    };
    let directory = Directory::open(&arguments.directory).and_then(|directory| {
        directory.refuse_to_write()?;
        Ok(directory)
    });
    let directory = directory.map_err(|cause| refuse(&files[0], cause))?;
    for (page, name) in pages.iter().zip(&files) {
        write(page, &directory, name).map_err(|cause| refuse(name, cause))?;
    }
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

fn write(page: &Man, directory: &Directory, name: &str) -> io::Result<()> {
    let mut file = directory.new_file()?;
    page.render(&mut file)?;
    file.let_all_read()?;
    file.replace(OsStr::new(name))
}
