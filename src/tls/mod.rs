//! The client's side of TLS: which certificates are trusted, and why a connection failed.

mod failure;
mod trust;

pub use rustls::ClientConfig;

pub use failure::{TlsFailure, TlsProblem};
pub use trust::{
    UnusableCertificates, provider, server_name, system_authorities, trusting_only, trusting_well_known,
};
