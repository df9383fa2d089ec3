//! Which certificates are trusted: those of well-known authorities, or those in a file of the operator.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, WantsVerifier,
};

use super::any_host::AnyHostVerifier;
use super::failure::{TlsProblem, judge};

/// The only provider of cryptography. Each use names it, and the process has no default, so that no library can choose another.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider knows every version of TLS")
}

/// Trusts the authorities that Mozilla trusts, which are compiled in.
pub fn trusting_well_known() -> Arc<ClientConfig> {
    Arc::new(
        builder()
            .with_root_certificates(well_known())
            .with_no_client_auth(),
    )
}

fn well_known() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// The authorities that this machine trusts, in DER form: those of the distribution and the operator, or those in `SSL_CERT_FILE`. Unreadable certificates
/// are left out.
pub fn system_authorities() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// Trusts only the certificates in `pem`: each as an authority, and also as the certificate of a server.
pub fn trusting_only(pem: &[u8]) -> Result<Arc<ClientConfig>, UnusableCertificates> {
    let builder = builder()
        .dangerous()
        .with_custom_certificate_verifier(verifier_of(pem)?);
    Ok(Arc::new(builder.with_no_client_auth()))
}

/// A builder for connections to a server with a certificate of one of `authorities`, for `host`.
pub(super) fn builder_trusting(
    authorities: Authorities<'_>,
    host: HostCheck,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, UnusableCertificates> {
    let of_roots = |roots: RootCertStore| {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        verifier.map_err(|_| UnusableCertificates::NoAuthorities)
    };
    let verifier: Arc<dyn ServerCertVerifier> = match authorities {
        Authorities::WellKnown => of_roots(well_known())?,
        Authorities::System => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(system_authorities());
            of_roots(roots)?
        }
        Authorities::Only(pem) => verifier_of(pem)?,
    };
    let verifier = match host {
        HostCheck::Strict => verifier,
        HostCheck::Off => Arc::new(AnyHostVerifier(verifier)),
    };
    Ok(builder().dangerous().with_custom_certificate_verifier(verifier))
}

fn verifier_of(pem: &[u8]) -> Result<Arc<TrustedFileVerifier>, UnusableCertificates> {
    let own = certificates(pem)?;
    let mut roots = RootCertStore::empty();
    for (index, certificate) in own.iter().enumerate() {
        roots
            .add(certificate.clone())
            .map_err(|_| UnusableCertificates::Broken(index + 1))?;
    }
    let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|_| UnusableCertificates::None)?;
    Ok(Arc::new(TrustedFileVerifier { own, authorities }))
}

/// Which authorities may have issued the certificate of a server.
#[derive(Clone, Copy)]
pub enum Authorities<'a> {
    /// Those that Mozilla trusts.
    WellKnown,
    /// Those that this machine trusts.
    System,
    /// Those in a file in PEM form.
    Only(&'a [u8]),
}

/// Whether the certificate of a server must be for the host that was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum HostCheck {
    Strict,
    Off,
}

/// The name that the server's certificate must have; `None` if no certificate can have `host`.
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).ok()
}

/// Why a file of certificates cannot be used. The texts continue a sentence that begins with the name of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableCertificates {
    #[error("is empty")]
    Empty,
    #[error(
        "is not in PEM form; a certificate in DER form is converted by: openssl x509 -inform der -in FILE -out FILE.pem"
    )]
    NotPem,
    #[error("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    None,
    #[error("holds a private key, which only the server itself may have: keep the certificates alone in it")]
    PrivateKey,
    #[error("holds a certificate that cannot be read: number {0}")]
    Broken(usize),
    #[error("holds no authority")]
    NoAuthorities,
}

pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, UnusableCertificates> {
    let text = String::from_utf8_lossy(pem);
    if text.trim().is_empty() {
        return Err(UnusableCertificates::Empty);
    }
    if text.contains("PRIVATE KEY-----") {
        return Err(UnusableCertificates::PrivateKey);
    }
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        let is_binary = std::str::from_utf8(pem).is_err() || pem.contains(&0);
        let (binary, other) = (UnusableCertificates::NotPem, UnusableCertificates::None);
        return Err(if is_binary { binary } else { other });
    }
    CertificateDer::pem_slice_iter(pem)
        .enumerate()
        .map(|(index, certificate)| certificate.map_err(|_| UnusableCertificates::Broken(index + 1)))
        .collect()
}

/// Accepts the certificates in the operator's file, and certificates that one of them has issued.
///
/// The certificate of an operator's own mail server is usually self-signed, and either claims to be an authority or has no extensions. The library refuses
/// such a certificate for a server, although the operator trusts it.
#[derive(Debug)]
struct TrustedFileVerifier {
    own: Vec<CertificateDer<'static>>,
    authorities: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for TrustedFileVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.authorities
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(Error::InvalidCertificate(error)) if self.own.iter().any(|own| own == end_entity) => {
                accept_own(end_entity, server_name, error)
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Accepts a certificate of the operator's file if `error` is only about its issuer, purpose or name, and its name fits. The library verifies the dates first,
/// so the dates are right.
fn accept_own(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    error: CertificateError,
) -> Result<ServerCertVerified, Error> {
    if !matches!(
        judge(&error).0,
        TlsProblem::Issuer | TlsProblem::Purpose | TlsProblem::Name
    ) {
        return Err(error.into());
    }
    match verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name) {
        // The common name counts only if there are no alternative names, as in old certificates (RFC 6125 §6.4.4).
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
            if presented.is_empty() && common_name_is(certificate, server_name) =>
        {
            Ok(ServerCertVerified::assertion())
        }
        verified => verified.map(|()| ServerCertVerified::assertion()),
    }
}

/// Whether the subject's common name is the name of the server.
fn common_name_is(certificate: &CertificateDer<'_>, server_name: &ServerName<'_>) -> bool {
    /// The object identifier 2.5.4.3 in DER.
    const COMMON_NAME: [u8; 5] = [6, 3, 0x55, 4, 3];
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else {
        return false;
    };
    let subject = certificate.subject();
    let after_identifier = subject
        .windows(COMMON_NAME.len())
        .position(|window| window == COMMON_NAME)
        .map(|at| &subject[at + COMMON_NAME.len()..]);
    match after_identifier {
        // The tag, the length and the text of a string of any type, shorter than 128 bytes.
        Some([_, length, rest @ ..]) => rest
            .get(..usize::from(*length))
            .is_some_and(|name| name.eq_ignore_ascii_case(server_name.to_str().as_bytes())),
        _ => false,
    }
}
