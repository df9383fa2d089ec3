//! `man`: writes one manual page for each command.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::iter;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgGroup, Command};
use clap_mangen::Man;
use serde_json::json;

use super::error::Refusal;
use super::report::Report;
use crate::files::{Directory, Untrusted, run_as};

/// Write the manual pages into a directory: one for each command
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: for all users of this machine\n  arkloop man /usr/local/share/man/man1\n  man arkloop-invite-create"
)]
pub(super) struct Arguments {
    /// An existing directory for the pages; pages of an earlier version in it are replaced
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments, root: Command) -> Result<Report, Refusal> {
    let mut root = root.disable_help_subcommand(true);
    root.build();
    let pages: Vec<(String, String)> = with_subcommands(root).into_iter().map(page).collect();
    let refuse = |name: &str, cause: io::Error| {
        let path = arguments.directory.join(name);
        let owner = Untrusted::within(&cause).and_then(Untrusted::directory_owner);
        let group = || arguments.directory.metadata().map_or(0, |found| found.gid());
        let or = owner.map(|owner| format!(", or {}", run_as(owner, group())));
        let or = or.unwrap_or_default();
        Refusal::new(
            format!("cannot write {}: {cause}", path.display()),
            format!("name a directory that exists and that you may write to{or}"),
        )
    };
    let directory = Directory::open(&arguments.directory)
        .and_then(|directory| directory.refuse_to_write().map(|()| directory))
        .map_err(|cause| refuse(&pages[0].0, cause))?;
    for (name, text) in &pages {
        write(&directory, name, text).map_err(|cause| refuse(name, cause))?;
    }
    let names: Vec<String> = pages.into_iter().map(|(name, _)| name).collect();
    Ok(Report::new(json!(names), names.join("\n")))
}

fn write(directory: &Directory, name: &str, text: &str) -> io::Result<()> {
    let mut new = directory.new_file()?;
    new.file.write_all(text.as_bytes())?;
    new.let_all_read()?;
    new.replace(OsStr::new(name))
}

/// The command, followed by all its subcommands.
fn with_subcommands(command: Command) -> Vec<Command> {
    let below = command.get_subcommands().cloned().flat_map(with_subcommands);
    let below: Vec<Command> = below.collect();
    iter::once(command).chain(below).collect()
}

/// The file name of the page of a command, and its text.
///
/// The synopsis of the generator is replaced, because the generator changes the order of options, mixes in the flags of every command and omits values.
fn page(command: Command) -> (String, String) {
    const BEGIN: &str = ".SH SYNOPSIS\n";
    const END: &str = "\n.SH DESCRIPTION\n";
    let synopsis = synopsis(&command);
    let version = format!("arkloop {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).manual("arkloop manual").source(version);
    let mut text = Vec::new();
    man.render(&mut text).expect("writes to memory succeed");
    let text = String::from_utf8_lossy(&text);
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.expect("the generator writes both sections");
    let text = format!("{before}{BEGIN}{synopsis}{END}{after}");
    (
        man.get_filename(),
        text.replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n"),
    )
}

/// The synopsis: the options with their values in the order of the help, the positional arguments, and the flags of every command.
fn synopsis(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let is_root = name == command.get_name();
    let (global, mut own): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(|arg| !is_told_elsewhere(arg))
        .partition(|arg| arg.is_global_set());
    own.sort_by_key(|arg| arg.is_positional());
    let mut parts = vec![bold(name)];
    // In this program, a required group contains all arguments of its command.
    if command.get_groups().any(ArgGroup::is_required_set) {
        parts.push(format!("<{}>", alternatives(own)));
    } else {
        parts.extend(own.into_iter().map(bracketed));
    }
    if is_root {
        let (logging, others): (Vec<&Arg>, Vec<&Arg>) =
            global.into_iter().partition(|arg| arg.get_short().is_some());
        parts.extend(others.into_iter().map(bracketed));
        parts.push(format!("[{}]", alternatives(logging)));
    }
    if command.has_subcommands() {
        parts.push(format!("<{}>", italic("command")));
    }
    if !is_root {
        parts.push(format!("[{}]", italic("flags of every command")));
    }
    parts.join(" ")
}

/// Every page describes help and version below its synopsis.
fn is_told_elsewhere(arg: &Arg) -> bool {
    arg.is_hide_set() || matches!(arg.get_id().as_str(), "help" | "version")
}

fn alternatives(args: Vec<&Arg>) -> String {
    args.into_iter().map(bare).collect::<Vec<_>>().join("|")
}

fn bracketed(arg: &Arg) -> String {
    if arg.is_required_set() {
        bare(arg)
    } else {
        format!("[{}]", bare(arg))
    }
}

/// An option with its value, or the name of a positional argument.
fn bare(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let flag = short.or_else(|| arg.get_long().map(|long| format!("--{long}")));
    let names = arg.get_value_names().unwrap_or_default();
    let value = names.first().filter(|_| arg.get_action().takes_values());
    let repeats = if matches!(arg.get_action(), ArgAction::Count) {
        "..."
    } else {
        ""
    };
    let parts = [flag.map(|flag| bold(&flag)), value.map(|name| italic(name))];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(" ") + repeats
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escape(text))
}

fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", escape(text))
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
