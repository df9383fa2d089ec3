//! Connections on which the client shows a certificate of its own.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::trust::{Authorities, HostCheck, UnusableCertificates, builder_trusting, certificates};

/// The certificate of the client and its key, both in PEM form.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    pub certificates: &'a [u8],
    pub private_key: &'a [u8],
}

/// Why a TLS configuration cannot be made: which file, and what is wrong with it. The texts continue a sentence that begins with the name of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableFile {
    #[error("{0}")]
    Authorities(UnusableCertificates),
    #[error("{0}")]
    Certificates(UnusableCertificates),
    #[error("holds no private key in PEM form without a passphrase (-----BEGIN PRIVATE KEY-----)")]
    Key,
    #[error("holds a private key that is not the one of the certificate, or of a kind that cannot be used")]
    OtherKey,
}

/// The configuration of connections to a server with a certificate of one of `authorities`.
pub fn trusting(
    authorities: Authorities<'_>,
    host: HostCheck,
    identity: Option<Identity<'_>>,
) -> Result<Arc<ClientConfig>, UnusableFile> {
    let builder = builder_trusting(authorities, host).map_err(UnusableFile::Authorities)?;
    let Some(identity) = identity else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let chain = certificates(identity.certificates).map_err(UnusableFile::Certificates)?;
    let key = PrivateKeyDer::from_pem_slice(identity.private_key).map_err(|_| UnusableFile::Key)?;
    let config = builder.with_client_auth_cert(chain, key);
    config.map(Arc::new).map_err(|_| UnusableFile::OtherKey)
}
