//! The HTTP client of the whole program: blocking, without proxies or redirects, with limits on the time and the size of a response.

mod client;
mod unix_socket;

pub use client::{Answer, Client, Failure, TOTAL_TIMEOUT, Url};
