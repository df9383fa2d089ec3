//! The HTTP server.
//!
//! `transport` accepts connections, limits their number, and reads requests from them. Every request passes through `pipeline`: it creates a trace id, finds
//! the operation, reads the body, checks origin, limit and token before the handler runs, and writes refusals and the log line. `api` has the handlers, one file
//! per noun: each reads its fields, calls one method of [`crate::service`] and writes the answer. `openapi` writes the document, and `pages` has the pages for
//! people. `settings` has the settings of the server, and `wiring` joins the modules.
//!
//! Only this module names `poem` and `hyper`.

mod api;
mod openapi;
mod pages;
mod pipeline;
mod settings;
mod transport;
mod wiring;

pub use pipeline::body::MAX_BYTES as MAX_BODY_BYTES;
pub use pipeline::echo_probe::{EchoProbe, X_ARKLOOP_CHECK};
pub use pipeline::exchange::MetricsText;
pub use settings::{Deadlines, ServerSettings};
pub use transport::server::Server;
pub use wiring::document;
