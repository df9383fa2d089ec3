//! The crash harness: drives the real executable with a seeded mixed load, crashes it, restarts it, and compares what it then says with a model of what
//! was acknowledged. See docs/reliability.md.
//!
//! It is a test of its own beside `tests/it`, because it links nothing of the program: what it knows, it has over HTTP and from commands. `cargo test` runs it
//! for seconds; `ARKLOOP_CRASH_SECONDS` and `ARKLOOP_CRASH_SEED` make a run long, or repeat its plan.

#![expect(
    unreachable_pub,
    reason = "a test exports nothing, and `pub` is shorter than `pub(crate)`"
)]

mod client;
mod codes;
mod compare;
mod histories;
mod installation;
mod kill;
mod load;
mod model;
mod operations;
mod operator;
mod postgres;
mod power;
mod random;
mod run;
mod trouble;
