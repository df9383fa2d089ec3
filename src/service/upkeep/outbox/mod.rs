//! The outbox worker.

mod in_flight;
mod report;
mod retry;
mod worker;
