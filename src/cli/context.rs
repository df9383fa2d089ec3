//! What every command works with.

use crate::app::{self, App, Role};
use crate::config::Config;
use crate::domain::Operator;
use crate::service::Service;
use crate::system::System;

use super::error::Refusal;
use super::output::Output;
use super::times::Times;

/// The configuration, and where to print.
pub(super) struct Context {
    /// The configuration, flags included.
    pub(super) config: Config,
    /// Where to print.
    pub(super) output: Output,
    /// Who runs this command.
    pub(super) operator: Operator,
    /// This program as it was called: how a command begins that can be pasted.
    pub(super) called: String,
    /// The flags that lead to this database, each after a space, to repeat in proposed commands.
    pub(super) location_flags: String,
}

impl Context {
    /// How times read in what is printed now.
    pub(super) fn times(&self) -> Times {
        self.output.times(System::machine().now())
    }

    /// Whether a server of this data directory answers.
    pub(super) fn server_runs(&self) -> bool {
        let listener = app::listener(&self.config).ok().flatten();
        listener.is_some_and(|listener| app::ask(&listener, "/healthz", &[]).is_ok())
    }

    /// Opens the database as a command and carries out `work` on it.
    pub(super) fn with_service<T>(
        &self,
        work: impl AsyncFnOnce(&Service) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.open(Role::Command, async |app| work(&app.service).await)
    }

    /// Opens the database in `role` and carries out `work` on it, on this thread: a command has one thing to do.
    pub(super) fn open<T>(
        &self,
        role: Role,
        work: impl AsyncFnOnce(&App) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        run_to_end(async {
            let app = App::open(&self.config, System::machine(), role, self.operator.clone()).await?;
            for notice in app.notices() {
                self.output.warning(notice);
            }
            work(&app).await
        })
    }
}

/// Carries out `work` on this thread.
pub(super) fn run_to_end<T>(work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| no_runtime(&cause))?;
    runtime.block_on(work)
}

/// The system refuses what a runtime needs.
pub(super) fn no_runtime(cause: &std::io::Error) -> Refusal {
    Refusal::new(
        format!("cannot start: {cause}"),
        "the system refuses threads or descriptors: see `ulimit -a`",
    )
}
