//! How the mail server of a test answers STARTTLS, and its certificate.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

#[derive(Clone)]
pub(super) struct StartTls {
    pub(super) acceptor: TlsAcceptor,
    /// The certificate, which is its own authority.
    pub(super) authority: String,
    /// What is written in plaintext, each part by itself.
    pub(super) answer: Vec<Vec<u8>>,
}

impl StartTls {
    pub(super) fn answering(answer: &[&[u8]]) -> Self {
        let names = ["127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).expect("an address can be certified");
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config
                    .with_no_client_auth()
                    .with_single_cert(vec![cert.der().clone()], key)
            });
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config.expect("key and certificate fit"))),
            authority: cert.pem(),
            answer: answer.iter().map(|part| part.to_vec()).collect(),
        }
    }
}
