//! TLS as a client: which certificates are trusted, and what a failure means.

mod failure;
mod trust;

pub use rustls::ClientConfig;

pub use failure::{TlsFailure, TlsProblem};
pub use trust::{
    UnusableCertificates, provider, server_name, system_authorities, trusting_only, trusting_well_known,
};
