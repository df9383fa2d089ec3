//! The configuration, the service and the output of a command.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use super::error::Refusal;
use super::output::Output;
use super::times::Times;
use crate::app::{self, App, Role};
use crate::config::{Config, Sources, is_config_variable};
use crate::domain::Operator;
use crate::files::quoted;
use crate::service::Service;
use crate::system::System;

pub(super) struct Context {
    /// The configuration, with the flags applied.
    pub(super) config: Config,
    pub(super) output: Output,
    pub(super) operator: Operator,
    /// The path by which this program was called, quoted for a shell. Printed commands begin with it, so that the operator can paste them.
    pub(super) called: String,
    /// The flags that select this database, for printed commands: ` --data-dir /srv/auth`.
    pub(super) location_flags: String,
}

impl Context {
    pub(super) fn load(sources: &Sources, command_name: &str, output: Output) -> Result<Self, Refusal> {
        let sudo_user = env::var_os("SUDO_USER").map(|name| name.to_string_lossy().into_owned());
        let uid = rustix::process::getuid().as_raw();
        Ok(Self {
            config: Config::load(sources)?,
            output,
            operator: Operator::new(uid, sudo_user.as_deref(), command_name),
            called: called(),
            location_flags: location_flags(sources),
        })
    }

    /// The format of times in a text that is printed now.
    pub(super) fn times(&self) -> Times {
        Times {
            now: System::machine().now(),
            are_relative: self.output.is_for_a_terminal(),
        }
    }

    /// Whether a server of this data directory answers.
    pub(super) fn server_runs(&self) -> bool {
        let listener = app::listener(&self.config).ok().flatten();
        listener.is_some_and(|listener| app::ask(&listener, "/healthz", &[]).is_ok())
    }

    /// Opens the database with [`Role::Command`] and runs `work` on it.
    pub(super) fn with_service<T, E: Into<Refusal>>(
        &self,
        work: impl AsyncFnOnce(&Service) -> Result<T, E>,
    ) -> Result<T, Refusal> {
        self.open(Role::Command, async |app| work(&app.service).await)
    }

    /// Opens the database with `role`, prints warnings and runs `work` on it.
    pub(super) fn open<T, E: Into<Refusal>>(
        &self,
        role: Role,
        work: impl AsyncFnOnce(&App) -> Result<T, E>,
    ) -> Result<T, Refusal> {
        run_to_end(async {
            let app = App::open(&self.config, System::machine(), role, self.operator.clone()).await?;
            for notice in &app.notices {
                self.output.warning(notice);
            }
            work(&app).await.map_err(Into::<Refusal>::into)
        })
    }
}

/// Runs `work` on this thread until it ends.
pub(super) fn run_to_end<T, E: Into<Refusal>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| no_runtime(&cause))?;
    runtime.block_on(work).map_err(Into::into)
}

/// The refusal if the system provides no threads or file descriptors.
pub(super) fn no_runtime(cause: &std::io::Error) -> Refusal {
    Refusal::new(
        format!("cannot start: {cause}"),
        "the system refuses threads or descriptors: see `ulimit -a`",
    )
}

/// The sources of the configuration other than flags: the working directory and the environment. A configuration variable that is not UTF-8 is refused,
/// because it may hold a path or a secret, which a conversion would change.
pub(super) fn surroundings() -> Result<Sources, Refusal> {
    let named = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut variables = BTreeMap::new();
    for (name, value) in named.filter(|(name, _)| name.starts_with("ARKLOOP_")) {
        match value.into_string() {
            Ok(value) => drop(variables.insert(name, value)),
            Err(_) if !is_config_variable(&name) => {}
            Err(_) => {
                return Err(Refusal::new(
                    format!("the environment variable {name} is not UTF-8"),
                    "give its value as UTF-8; a file or directory with another name can be reached through a link with such a name",
                ));
            }
        }
    }
    let cwd = env::current_dir().map_err(|cause| {
        Refusal::new(
            format!("cannot tell the working directory: {cause}"),
            "change into another directory",
        )
    })?;
    Ok(Sources {
        env: variables,
        cwd,
        ..Sources::default()
    })
}

/// The path by which this program was called, quoted for a shell: `./arkloop`.
fn called() -> String {
    let called = env::args_os().next().map(PathBuf::from);
    let called = called.filter(|called| !called.as_os_str().is_empty());
    quoted(&called.unwrap_or_else(|| "arkloop".into()))
}

/// The flags that select this database. They include paths from environment variables, because the shell where the command is pasted may lack the variables.
fn location_flags(sources: &Sources) -> String {
    let variable = |name: &str| {
        let value = sources.env.get(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let flags = [
        ("--config", &sources.config_flag, "ARKLOOP_CONFIG"),
        ("--data-dir", &sources.data_dir_flag, "ARKLOOP_DATA_DIR"),
    ];
    let flags = flags.into_iter().filter_map(|(flag, path, name)| {
        let path = path.clone().or_else(|| variable(name))?;
        Some(format!(" {flag} {}", quoted(&path)))
    });
    flags.collect()
}
