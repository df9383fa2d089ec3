//! arkloop: an auth server in one executable over one SQLite file.
//!
//! A noun has the same file name in every layer: `session.rs` is in `cli`, `http/api`, `service`, `service/rules`, `domain` and `store`.
//!
//! - [`cli`]: the commands, one file per noun. `output.rs` prints.
//! - [`http`]: `transport` (connections), `pipeline` (what every request passes), `api` (the operations, one file per noun), `openapi`, `pages`.
//! - [`app`]: joins the parts when a process starts, and does the work of `check`.
//! - [`service`]: the use cases, which `cli` and `http` share. `rules`: the parts of one change that use cases share. `operator`: use cases of the command
//!   line only. `upkeep`: backup, restore, rekey, sweep, the mail worker.
//! - [`store`]: all SQL, one file per noun. `sqlite` and `postgres`, the engines: connections, the writer, locks, migrations.
//! - [`domain`]: parsed types and pure functions, without I/O and clock.
//! - [`crypto`]: passwords, tokens, sealing, the key file. [`limits`]: rates of requests. [`mail`]: SMTP. [`captcha`]: Turnstile. [`web`]: an HTTP client.
//!   [`tls`]: trusted certificates. [`files`]: files in directories that other users may write. [`config`]: the configuration. [`telemetry`]: logs and
//!   metrics. [`fault`]: repeated work that fails. [`system`]: the only source of time and randomness.
//!
//! Imports go in one direction only. `tests/it/contract/layering.rs` tests the following rules, and that no files import each other in a cycle:
//!
//! ```text
//! main → cli        cli → app config service files domain system telemetry (serve and openapi also http)
//! http → service limits files domain system          app → everything below it
//! service → store crypto mail captcha files domain system
//! store, config → files domain  crypto → files domain system        mail → tls files domain
//! captcha → web domain system   limits → domain system              files → system
//! system, tls, telemetry → domain     web → tls    domain, fault → nothing     everything may name fault
//! ```

/// Unit tests include a file of the integration tests, which calls this crate `arkloop`.
#[cfg(test)]
extern crate self as arkloop;

pub mod app;
pub mod captcha;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod fault;
pub mod files;
pub mod http;
pub mod limits;
pub mod mail;
pub mod service;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod tls;
pub mod web;
