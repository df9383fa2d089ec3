//! What the server serves: one file a noun, as everywhere, and beside them what every request passes through.
//!
//! A request's way: `server` accepts the connection, `slots` finds it a place, `connection` and `framing` guard it,
//! `respond` gives it a trace id, reads its body and writes the one log line, `routes` finds the operation (by its path as `path` normalises it) and holds
//! what is refused before any handler runs (`body` for the shape, `origin`, `limit`), the handler takes its parts (`bearer`,
//! `cookie`, `client_address`, `form`), calls one method of [`crate::service`] and converts. Whatever is refused on the
//! way is written by `error` alone, but for what cannot be read as a request at all.
//!
//! Only this module names `poem` and `hyper`, and it imports nothing of the crate but `service`, `limits`,
//! `domain` and `system`.

mod bearer;
mod body;
mod browser_client;
mod captcha;
mod catch;
mod client_address;
mod code;
mod connection;
mod cookie;
mod cors;
mod docs;
mod email;
mod error;
mod exchange;
mod fields;
mod form;
mod framing;
mod health;
mod kept;
mod keys;
mod limit;
mod metrics;
mod mirror;
mod one_time_code;
mod openapi;
mod origin;
mod origin_notices;
mod pages;
mod password;
mod path;
mod probe;
mod registration;
mod respond;
mod routes;
mod server;
mod session;
mod settings;
mod sign_in;
mod slots;
mod socket_file;
mod user;
mod weights;

pub use body::MAX_BYTES as MAX_BODY_BYTES;
pub use metrics::Figures;
pub use openapi::document;
#[doc(hidden)]
pub use probe::Probe;
pub use server::Server;
pub use settings::{Deadlines, Settings};
