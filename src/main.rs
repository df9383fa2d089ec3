//! The executable: arguments in, exit code out. Everything else is in the library.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The option of mimalloc, and its value, by which a large block goes back to the system when it is freed. By default that takes a further call of the
/// allocator, which an idle server does not make.
const PURGE_AT_ONCE: (&str, &str) = ("MIMALLOC_ARENA_PURGE_MULT", "0");

fn main() -> ExitCode {
    if env::args_os().any(|argument| argument == "serve") {
        purge_at_once();
    }
    arkloop::cli::run()
}

/// Starts this program anew with the option, which mimalloc reads from the environment when a process begins. The process stays the same.
fn purge_at_once() {
    let (option, value) = PURGE_AT_ONCE;
    let mut arguments = env::args_os();
    if let (None, Some(name), Ok(program)) = (env::var_os(option), arguments.next(), env::current_exe()) {
        // It returns only if it fails. Then memory goes back later, and everything else is the same.
        let _failed = Command::new(program)
            .arg0(name)
            .args(arguments)
            .env(option, value)
            .exec();
    }
}
