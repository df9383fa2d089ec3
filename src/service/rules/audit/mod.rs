//! The audit log: writing it.

mod budget;
mod pending;
mod record;

pub(crate) use pending::SharedCounts;
