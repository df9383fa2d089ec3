//! `man`: the manual, a page a command.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgGroup, Command, CommandFactory as _, Id};
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
    let files: Vec<String> = pages.iter().map(|page| page.man.get_filename()).collect();
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

/// A page, and the synopsis that belongs into it.
struct Page {
    man: Man,
    synopsis: String,
}

/// The page of a command, and those of everything below it, whose names say the way there: `arkloop-invite-create`.
fn collect(command: Command, pages: &mut Vec<Page>) {
    let children: Vec<Command> = command.get_subcommands().cloned().collect();
    let version = format!("arkloop {}", env!("CARGO_PKG_VERSION"));
    pages.push(Page {
        synopsis: synopsis(&command),
        man: Man::new(command).manual("arkloop manual").source(version),
    });
    for child in children {
        collect(child, pages);
    }
}

fn write(page: &Page, directory: &Directory, name: &str) -> io::Result<()> {
    let mut text = Vec::new();
    page.man.render(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let mut file = directory.new_file()?;
    file.write_all(with_synopsis(&text, &page.synopsis).as_bytes())?;
    file.let_all_read()?;
    file.replace(OsStr::new(name))
}

/// The page with another synopsis: the generator sorts options by their numbers, those of all commands among the own ones, and leaves their values out.
fn with_synopsis(page: &str, synopsis: &str) -> String {
    const BEGIN: &str = ".SH SYNOPSIS\n";
    const END: &str = "\n.SH DESCRIPTION\n";
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.expect("the generator writes both sections");
    format!("{before}{BEGIN}{synopsis}{END}{after}").replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n")
}

/// How a command is called: its own options in the order of its help with their values, what it is about, and the flags that every command has.
fn synopsis(command: &Command) -> String {
    let mut parts = vec![bold(command.get_bin_name().unwrap_or_else(|| command.get_name()))];
    let is_root = command
        .get_bin_name()
        .is_none_or(|name| name == command.get_name());
    let (own, positionals): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && !is_told_elsewhere(arg))
        .partition(|arg| !arg.is_positional());
    let grouped: Vec<&Id> = command
        .get_groups()
        .filter(|group| group.is_required_set())
        .flat_map(ArgGroup::get_args)
        .collect();
    let alone = |arg: &&&Arg| !grouped.contains(&arg.get_id());
    parts.extend(own.iter().filter(alone).map(|arg| bracketed(arg)));
    let alternatives: Vec<String> = own
        .iter()
        .chain(&positionals)
        .filter(|arg| grouped.contains(&arg.get_id()))
        .map(|arg| bare(arg))
        .collect();
    if !alternatives.is_empty() {
        parts.push(format!("<{}>", alternatives.join("|")));
    }
    parts.extend(positionals.iter().filter(alone).map(|arg| bracketed(arg)));
    if is_root {
        let flags = command.get_arguments().filter(|arg| arg.is_global_set());
        let (logging, flags): (Vec<&Arg>, Vec<&Arg>) = flags.partition(|arg| arg.get_short().is_some());
        parts.extend(flags.into_iter().map(bracketed));
        let logging: Vec<String> = logging.into_iter().map(bare).collect();
        parts.push(format!("[{}]", logging.join("|")));
    }
    if command.has_subcommands() {
        parts.push(format!("<{}>", italic("command")));
    }
    if !is_root {
        parts.push(format!("[{}]", italic("flags of every command")));
    }
    parts.join(" ")
}

/// Help and version are said by every page below its synopsis.
fn is_told_elsewhere(arg: &Arg) -> bool {
    arg.is_hide_set() || matches!(arg.get_id().as_str(), "help" | "version")
}

fn bracketed(arg: &Arg) -> String {
    if arg.is_required_set() {
        bare(arg)
    } else {
        format!("[{}]", bare(arg))
    }
}

/// An option with its value, or the name of what is given without one.
fn bare(arg: &Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let value = takes_value.then(|| {
        let names = arg.get_value_names().unwrap_or_default();
        italic(
            &names
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(" "),
        )
    });
    let flag = match (arg.get_short(), arg.get_long()) {
        (Some(short), _) => Some(bold(&format!("-{short}"))),
        (None, long) => long.map(|long| bold(&format!("--{long}"))),
    };
    let repeats = if matches!(arg.get_action(), ArgAction::Count) {
        "..."
    } else {
        ""
    };
    let words: Vec<String> = flag.into_iter().chain(value).collect();
    words.join(" ") + repeats
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
