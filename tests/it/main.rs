//! Black-box tests over a real port, and of the real executable.

#![expect(
    unreachable_pub,
    reason = "`pub` says that other files of the tests may use an item; nothing leaves this binary"
)]

mod api;
mod cli;
mod contract;
mod faults;
mod support;
