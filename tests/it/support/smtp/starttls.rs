//! How the mail server of a test begins TLS, and the certificate of the server.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

#[derive(Clone)]
pub(super) struct StartTls {
    pub(super) acceptor: TlsAcceptor,
    /// The certificate, which is its own authority.
    pub(super) authority: String,
    /// The parts of the answer to STARTTLS, each of which is sent separately in plaintext.
    pub(super) answer: Vec<Vec<u8>>,
    /// Whether TLS begins with the first byte instead.
    pub(super) is_implicit: bool,
}

impl StartTls {
    pub(super) fn answering(answer: &[&[u8]]) -> Self {
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address can be certified");
        Self {
            answer: answer.iter().map(|part| part.to_vec()).collect(),
            ..Self::certified(&params)
        }
    }

    /// STARTTLS with a self-signed certificate.
    pub(super) fn certified(params: &CertificateParams) -> Self {
        let signing_key = KeyPair::generate().expect("there is randomness");
        let cert = params
            .self_signed(&signing_key)
            .expect("the parameters are valid");
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
            answer: vec![b"220 go ahead\r\n".to_vec()],
            is_implicit: false,
        }
    }
}
