//! The command line, one file for each noun. This file parses the arguments, runs the command and returns its exit code.
//!
//! Commands call the same methods of [`crate::service`] as HTTP, on the same database, even while the server runs. Results go to standard output and
//! everything else to standard error. Apart from the log, only `output.rs` writes to them.

mod account;
mod arguments;
mod ask;
mod audit;
mod backup;
mod check;
mod completions;
mod config;
mod context;
mod db;
mod error;
mod explain;
mod healthcheck;
mod init;
mod invite;
mod key;
mod layout;
mod mail;
mod man;
mod messages;
mod openapi;
mod output;
mod password_link;
mod progress;
mod registration;
mod report;
mod restore;
mod serve;
mod session;
mod signals;
mod times;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::context::{Context, surroundings};
use self::error::Refusal;
use self::output::Output;
use crate::app::Role;
use crate::config::{Config, Sources};
use crate::telemetry;

/// A self-hosted auth server over one SQLite file, and the commands to operate it.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: run a server and create an invite\n  arkloop serve\n  arkloop invite create --note \"for Ann\""
)]
struct Arguments {
    #[command(flatten)]
    global: GlobalArguments,
    #[command(subcommand)]
    command: Command,
}

/// The flags that every command has.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Flags of every command")]
struct GlobalArguments {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "The configuration file [default: ARKLOOP_CONFIG, ./arkloop.toml, /etc/arkloop/arkloop.toml]"
    )]
    config: Option<PathBuf>,
    /// The directory of the database; overrides the configuration
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON document instead of text; a refusal is an object on standard error
    #[arg(long, global = true)]
    json: bool,
    /// Log more; repeat the flag for still more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Print no warnings and log faults only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Arguments),
    Serve(serve::Arguments),
    #[command(subcommand)]
    Invite(invite::Command),
    #[command(subcommand)]
    Registration(registration::Command),
    #[command(subcommand)]
    User(user::Command),
    #[command(subcommand)]
    Session(session::Command),
    #[command(subcommand)]
    Mail(mail::Command),
    Audit(audit::Arguments),
    #[command(subcommand)]
    Key(key::Command),
    Backup(backup::Arguments),
    Restore(restore::Arguments),
    #[command(subcommand)]
    Db(db::Command),
    Explain(explain::Arguments),
    #[command(subcommand)]
    Config(config::Command),
    /// Check everything that this server needs, and say what to fix
    ///
    /// It prints lines about configuration, files, disk, database, clock, keys, mail, Turnstile, the running server and the proxy. Lines about
    /// what must be fixed come last; with --quiet there are no others. The exit code is 1 if something must be fixed. It changes nothing, sends
    /// no mail, and causes no warning in the log of a running server. If another user than the owner of the files runs it, it checks only the
    /// configuration and the owners and modes of the files.
    #[command(
        after_help = "Examples: after an installation; every night by cron, which mails the output\n  arkloop check\n  arkloop --quiet check"
    )]
    Check,
    /// Ask the running server whether it can serve
    ///
    /// The exit code is 0 if /readyz answers 200 and 1 otherwise, for containers and supervisors. The server is asked at the address that it recorded in the
    /// data directory, over TCP or its unix socket, and has 3 seconds to answer. The command opens neither the database nor the key file, and no rate
    /// limit counts its request.
    #[command(after_help = "Example: in a Dockerfile\n  HEALTHCHECK CMD [\"arkloop\", \"healthcheck\"]")]
    Healthcheck,
    /// Print the OpenAPI document of the HTTP API, byte for byte as the server serves it
    #[command(
        after_help = "Example: keep a copy beside a client's sources\n  arkloop openapi > arkloop.json"
    )]
    Openapi,
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// Runs the command that the process arguments name. The exit code is 0 for success, 1 for a refusal or failure, and 2 for a usage error.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // A usage error is also printed as JSON, so `--json` must be known before the arguments are parsed.
    let output = Output {
        is_json: arguments.iter().any(|argument| argument == "--json"),
        is_quiet: false,
    };
    if let Err(refusal) = refuse_non_utf8(&arguments) {
        output.refusal(&refusal);
        return ExitCode::from(2);
    }
    let parsed = Arguments::command().try_get_matches_from(&arguments);
    let parsed = parsed.and_then(|matches| {
        let arguments = Arguments::from_arg_matches(&matches)?;
        Ok((arguments, command_name(&matches)))
    });
    let (arguments, command_name) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return print_usage(output, &error),
    };
    let output = Output {
        is_json: arguments.global.json,
        is_quiet: arguments.global.quiet,
    };
    let ended = run_command(arguments.command, &arguments.global, &command_name, output);
    ended.unwrap_or_else(|refusal| {
        output.refusal(&refusal);
        ExitCode::FAILURE
    })
}

/// Refuses arguments that are not UTF-8, including paths, because JSON and the audit log cannot hold them unchanged.
fn refuse_non_utf8(arguments: &[OsString]) -> Result<(), Refusal> {
    let other = arguments
        .iter()
        .skip(1)
        .find(|argument| argument.to_str().is_none());
    other.map_or(Ok(()), |argument| {
        Err(Refusal::new(
            format!("the argument {} is not UTF-8", argument.display()),
            "give it as UTF-8; a file or directory with another name can be reached through a link with such a name",
        ))
    })
}

/// Prints the output of clap. Help and version are results; everything else is a usage error.
fn print_usage(output: Output, error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = output::print(&text);
        return ExitCode::SUCCESS;
    }
    if output.is_json {
        let (problem, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let problem: Vec<&str> = problem.trim_start_matches("error: ").split_whitespace().collect();
        let tip = rest.lines().find_map(|line| line.trim().strip_prefix("tip: "));
        let usage = || rest.lines().find(|line| line.starts_with("Usage:"));
        let hint = tip.or_else(usage).unwrap_or("see: arkloop --help");
        output.refusal(&Refusal::new(problem.join(" "), hint));
    } else {
        output::write_stderr(text.trim_end());
    }
    ExitCode::from(2)
}

/// The names of the command and its subcommand, such as `invite create`.
fn command_name(matches: &ArgMatches) -> String {
    let subcommands = std::iter::successors(matches.subcommand(), |(_, matches)| matches.subcommand());
    subcommands.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

fn run_command(
    command: Command,
    global: &GlobalArguments,
    command_name: &str,
    output: Output,
) -> Result<ExitCode, Refusal> {
    let (role, listen_flag) = match &command {
        Command::Serve(arguments) => (Role::Server, arguments.listen.clone()),
        _ => (Role::Command, None),
    };
    let context = || {
        let sources = Sources {
            config_flag: global.config.clone(),
            data_dir_flag: global.data_dir.clone(),
            listen_flag,
            ..surroundings()?
        };
        let context = Context::load(&sources, command_name, output)?;
        start_log(&context.config, global, role);
        Ok::<_, Refusal>(context)
    };
    let report = match command {
        Command::Openapi => return openapi::run(),
        Command::Completions(arguments) => return completions::run(&arguments, Arguments::command()),
        Command::Man(arguments) => man::run(&arguments, Arguments::command()),
        Command::Serve(_) => return serve::run(&context()?),
        Command::Check => return check::run(&context()?),
        Command::Audit(arguments) if arguments.follow => return audit::follow(&arguments, &context()?),
        Command::Init(arguments) => init::run(&arguments, &context()?),
        Command::Invite(command) => invite::run(command, &context()?),
        Command::Registration(command) => registration::run(&command, &context()?),
        Command::User(command) => user::run(command, &context()?),
        Command::Session(command) => session::run(command, &context()?),
        Command::Mail(command) => mail::run(command, &context()?),
        Command::Audit(arguments) => audit::list(&arguments, &context()?),
        Command::Key(command) => key::run(&command, &context()?),
        Command::Backup(arguments) => backup::run(arguments, &context()?),
        Command::Restore(arguments) => restore::run(&arguments, &context()?),
        Command::Db(command) => db::run(&command, &context()?),
        Command::Explain(arguments) => explain::run(arguments, &context()?),
        Command::Config(config::Command::Show) => Ok(config::show(&context()?)),
        Command::Healthcheck => healthcheck::run(&context()?),
    }?;
    output.report(&report)?;
    Ok(ExitCode::SUCCESS)
}

/// Starts the log. The server logs at the configured level, and other commands log at most warnings. Each `-v` adds one level; `-q` leaves only faults.
fn start_log(config: &Config, global: &GlobalArguments, role: Role) {
    use tracing::Level;
    const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let configured = config.log_level as usize;
    let base = if role == Role::Server {
        configured
    } else {
        configured.min(1)
    };
    let wanted = base + usize::from(global.verbose);
    let index = if global.quiet { 0 } else { wanted };
    telemetry::start(config.log_format, LEVELS[index.min(LEVELS.len() - 1)]);
}
