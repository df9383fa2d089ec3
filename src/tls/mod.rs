//! The client's side of TLS: which certificates are trusted, and why a connection failed.

mod any_host;
mod end_point;
mod failure;
mod identity;
mod trust;

pub use rustls::ClientConfig;

pub use end_point::end_point_digest;
pub use failure::{TlsFailure, TlsProblem};
pub use identity::{Identity, UnusableFile, trusting};
pub use trust::{
    Authorities, HostCheck, UnusableCertificates, provider, server_name, system_authorities, trusting_only,
    trusting_well_known,
};
