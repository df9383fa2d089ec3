//! Black-box tests over a real port, and of the real executable.

#![expect(
    unreachable_pub,
    reason = "`pub` marks items that other test files use; the binary exports nothing"
)]

mod api;
mod cli;
mod contract;
mod faults;
mod support;
