//! The executable: arguments in, exit code out. Everything else is in the library.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// With this option and value, mimalloc returns memory to the system as soon as one of its pages is free. By default it waits for a later call of the
/// allocator, and an idle server makes none.
const PURGE_AT_ONCE: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");

fn main() -> ExitCode {
    if env::args_os().any(|argument| argument == "serve") {
        purge_at_once();
    }
    arkloop::cli::run()
}

/// Executes this program again with the option in its environment, because mimalloc reads it only when a program starts. The process id stays the same.
fn purge_at_once() {
    let (option, value) = PURGE_AT_ONCE;
    let mut arguments = env::args_os();
    if let (None, Some(name), Ok(program)) = (env::var_os(option), arguments.next(), env::current_exe()) {
        // `exec` returns only if it fails. The server then returns memory later, and nothing else changes.
        let _failed = Command::new(program)
            .arg0(name)
            .args(arguments)
            .env(option, value)
            .exec();
    }
}
