//! arkloop: an auth server in one executable over one SQLite file.
//!
//! Where to look:
//!
//! - [`cli`]: what an operator can do, one file a noun; [`http`]: what the server serves, one file a noun.
//! - [`service`]: the rules, one method a use case; both doors above call the same methods.
//! - [`domain`]: the words, parsed once at the border.
//! - [`limits`]: how often an address or a session may ask.
//! - [`store`]: all SQL; [`crypto`]: passwords, tokens, sealing, the key file.
//! - [`mail`]: how mails are written and handed over; [`captcha`]: the question to Turnstile; [`web`]: questions over HTTP;
//!   [`tls`]: who is trusted.
//! - [`fault`]: what a loop does when its work fails.
//! - [`files`]: how files and directories are found, judged, made and removed where others may have a hand in.
//! - [`app`] joins the parts, [`config`] reads what they are told, [`system`] is the only door to clock and randomness.
//!
//! Imports point one way; `tests/it/contract/layering.rs` reads the sources and holds it:
//!
//! ```text
//! main → cli        cli → app config service files domain system telemetry (serve and openapi also http)
//! http → service limits files domain system          app → everything below it
//! service → store crypto mail captcha files domain system
//! store, config → files domain  crypto → files domain system        mail → tls files domain
//! captcha → web domain system   limits → domain system              files → system
//! system, tls → domain          web → tls     domain, fault → nothing     everything may name fault
//! ```

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
