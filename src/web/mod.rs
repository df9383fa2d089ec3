//! The one HTTP client: blocking, without proxies and redirects, with bounded time and bounded answers.

mod client;
mod unix_socket;

pub use client::{Address, Answer, Client, Failure, TOTAL_TIMEOUT};
