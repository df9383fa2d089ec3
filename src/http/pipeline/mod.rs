//! The steps of every request after its body was read: trace id, route, fields, origin, limit, token, handler, refusal, headers, metrics.

pub(super) mod bearer;
pub(super) mod body;
pub(super) mod client_address;
pub(super) mod code;
pub(super) mod content;
pub(super) mod contents;
pub(super) mod cookie;
pub(super) mod cors;
pub(super) mod echo_probe;
pub(super) mod error;
pub(super) mod exchange;
mod headers;
pub(super) mod limit;
pub(super) mod metrics;
pub(super) mod operation;
pub(super) mod origin;
pub(super) mod origin_notices;
pub(super) mod path;
mod report;
pub(super) mod request_body;
pub(super) mod respond;
mod routes;
pub(super) mod weights;

pub(super) use code::Code;
pub(super) use error::Refusal;
pub(super) use exchange::{Exchange, Shared};
pub(super) use operation::{Operation, Success, Tag};
pub(super) use request_body::Fields;
