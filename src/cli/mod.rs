//! What an operator can do: one file a noun. This one turns arguments into a command and its end into an exit code.
//!
//! Commands call the same methods of [`crate::service`] as HTTP does, on the same database, also while the server runs. Results go to standard output,
//! everything else to standard error, and only `output.rs` writes to either.

mod ask;
mod audit;
mod backup;
mod check;
mod completions;
mod config;
mod context;
mod error;
mod explain;
mod healthcheck;
mod init;
mod invite;
mod key;
mod layout;
mod mail;
mod man;
mod openapi;
mod output;
mod paging;
mod password_link;
mod progress;
mod registration;
mod restore;
mod room;
mod sentences;
mod serve;
mod session;
mod signals;
mod times;
mod user;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::context::Context;
use self::error::Refusal;
use self::output::{Output, Style};
use crate::config::{Config, Sources, is_variable};
use crate::domain::Operator;
use crate::files::quoted;
use crate::telemetry;

/// A self-hosted auth server over one SQLite file, and the commands to operate it.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: run a server and invite somebody to it\n  arkloop serve\n  arkloop invite create --note \"for Ann\""
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
    /// The directory of the database; beats the one of the configuration
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON document instead of text; a refusal is an object on standard error
    #[arg(long, global = true)]
    json: bool,
    /// Log more; twice or three times for still more
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
    Explain(explain::Arguments),
    #[command(subcommand)]
    Config(config::Command),
    Check(check::Arguments),
    Healthcheck(healthcheck::Arguments),
    Openapi(openapi::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// Runs the command that the arguments of the process name.
///
/// 0: done. 1: refused or failed. 2: wrong usage.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Asked before parsing, because wrong usage is told as JSON too.
    let style = if arguments.iter().any(|argument| argument == "--json") {
        Style::Json
    } else {
        Style::Text
    };
    if let Err(refusal) = refuse_other_text(&arguments) {
        Output::new(style, output::Volume::Normal).refusal(&refusal);
        return ExitCode::from(2);
    }
    let parsed = Arguments::command().try_get_matches_from(&arguments);
    let parsed = parsed.and_then(|matches| {
        let arguments = Arguments::from_arg_matches(&matches)?;
        Ok((arguments, command_name(&matches)))
    });
    let (arguments, command_name) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return tell_usage(style, &error),
    };
    let style = if arguments.global.json {
        Style::Json
    } else {
        Style::Text
    };
    let output = Output::new(style, arguments.global.quiet.into());
    match dispatch(arguments, &command_name, output) {
        Ok(code) => code,
        Err(refusal) => {
            output.refusal(&refusal);
            ExitCode::FAILURE
        }
    }
}

/// Refuses arguments that are not UTF-8, paths too: they could be neither written into JSON nor into the audit log as they are.
fn refuse_other_text(arguments: &[OsString]) -> Result<(), Refusal> {
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

/// Prints what clap says: help and version are results, the rest is wrong usage.
fn tell_usage(style: Style, error: &clap::Error) -> ExitCode {
    let output = Output::new(style, output::Volume::Normal);
    let is_wanted = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    match (is_wanted, style) {
        (true, _) => {
            let _ = output::print(&error.render().to_string());
            ExitCode::SUCCESS
        }
        (false, Style::Text) => {
            output::usage(&error.render().to_string());
            ExitCode::from(2)
        }
        (false, Style::Json) => {
            let text = error.render().to_string();
            let (problem, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
            let problem = problem
                .trim_start_matches("error: ")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            let tip = rest.lines().find_map(|line| line.trim().strip_prefix("tip: "));
            let usage = || rest.lines().find(|line| line.starts_with("Usage:"));
            let hint = tip.or_else(usage).unwrap_or("see: arkloop --help");
            output.refusal(&Refusal::new(problem, hint));
            ExitCode::from(2)
        }
    }
}

/// The words of the command without its arguments: `invite create`.
fn command_name(matches: &ArgMatches) -> String {
    let subcommands = std::iter::successors(matches.subcommand(), |(_, matches)| matches.subcommand());
    subcommands.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// Who runs this process, as far as it can tell.
fn operator(command_name: &str) -> Operator {
    let sudo_user = std::env::var_os("SUDO_USER").map(|name| name.to_string_lossy().into_owned());
    Operator::new(
        rustix::process::getuid().as_raw(),
        sudo_user.as_deref(),
        command_name,
    )
}

fn dispatch(arguments: Arguments, command_name: &str, output: Output) -> Result<ExitCode, Refusal> {
    let Arguments { global, command } = arguments;
    // What these print is the same whatever the configuration says, and must not need one.
    let printed = match &command {
        Command::Openapi(_) => Some(openapi::run()),
        Command::Completions(arguments) => Some(completions::run(arguments)),
        Command::Man(arguments) => Some(man::run(arguments, output)),
        _ => None,
    };
    if let Some(printed) = printed {
        return printed.map(|()| ExitCode::SUCCESS);
    }
    let sources = Sources {
        config_flag: global.config.clone(),
        data_dir_flag: global.data_dir.clone(),
        listen_flag: match &command {
            Command::Serve(serve) => serve.listen.clone(),
            _ => None,
        },
        env: environment()?,
        cwd: std::env::current_dir().map_err(|cause| {
            Refusal::new(
                format!("cannot tell the working directory: {cause}"),
                "change into another",
            )
        })?,
    };
    let config = Config::load(&sources)?;
    let context = Context {
        config,
        output,
        operator: operator(command_name),
        called: called(),
        location_flags: location_flags(&sources),
    };
    start_log(&context.config, &command, &global);
    match command {
        Command::Serve(_) => return serve::run(&context),
        Command::Init(arguments) => init::run(&arguments, &context),
        Command::Invite(command) => invite::run(command, &context),
        Command::Registration(command) => registration::run(&command, &context),
        Command::User(command) => user::run(command, &context),
        Command::Session(command) => session::run(command, &context),
        Command::Mail(command) => mail::run(command, &context),
        Command::Audit(arguments) => audit::run(&arguments, &context),
        Command::Key(command) => key::run(&command, &context),
        Command::Backup(arguments) => backup::run(arguments, &context),
        Command::Restore(arguments) => restore::run(&arguments, &context),
        Command::Explain(arguments) => explain::run(arguments, &context),
        Command::Config(config::Command::Show) => config::show(&context),
        Command::Check(_) => check::run(&context),
        Command::Healthcheck(_) => healthcheck::run(&context),
        Command::Openapi(_) | Command::Completions(_) | Command::Man(_) => Ok(()),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The variables that may be ours. One that is ours and not UTF-8 is refused: it is a path or a secret, and would be another one.
fn environment() -> Result<BTreeMap<String, String>, Refusal> {
    let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut variables = BTreeMap::new();
    for (name, value) in named.filter(|(name, _)| name.starts_with("ARKLOOP_")) {
        match value.into_string() {
            Ok(value) => drop(variables.insert(name, value)),
            Err(_) if !is_variable(&name) => {}
            Err(_) => {
                return Err(Refusal::new(
                    format!("the environment variable {name} is not UTF-8"),
                    "give its value as UTF-8; a file or directory with another name can be reached through a link with such a name",
                ));
            }
        }
    }
    Ok(variables)
}

/// This program as it was called, for a shell: `./arkloop`.
fn called() -> String {
    let called = std::env::args_os().next().map(PathBuf::from);
    let called = called.filter(|called| !called.as_os_str().is_empty());
    quoted(&called.unwrap_or_else(|| "arkloop".into()))
}

/// The flags that lead to this database, to repeat in a command that is proposed: ` --data-dir /srv/auth`.
///
/// What variables say is given as flags too: the shell in which the command is pasted may not have them.
fn location_flags(sources: &Sources) -> String {
    let variable = |name: &str| {
        let value = sources.env.get(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let flags = [
        ("--config", sources.config_flag.clone(), "ARKLOOP_CONFIG"),
        ("--data-dir", sources.data_dir_flag.clone(), "ARKLOOP_DATA_DIR"),
    ];
    flags
        .into_iter()
        .filter_map(|(flag, path, name)| {
            Some(format!(" {flag} {}", quoted(&path.or_else(|| variable(name))?)))
        })
        .collect()
}

/// The server logs from the configured level on, a command from warnings on; each `-v` is one level more.
fn start_log(config: &Config, command: &Command, global: &GlobalArguments) {
    use tracing::Level;
    const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let configured = config.log.level as usize;
    let base = if matches!(command, Command::Serve(_)) {
        configured
    } else {
        configured.min(1)
    };
    let index = if global.quiet {
        0
    } else {
        base + usize::from(global.verbose)
    };
    let format = match config.log.format {
        crate::config::LogFormat::Text => telemetry::Format::Text,
        crate::config::LogFormat::Json => telemetry::Format::Json,
    };
    telemetry::start(format, LEVELS[index.min(LEVELS.len() - 1)]);
}
