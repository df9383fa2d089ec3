//! TLS as a client: who is trusted, and what its failures mean in words.

use std::sync::Arc;
use std::{fmt, io};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

pub use rustls::ClientConfig;

use crate::domain::{Timestamp, is_unprintable};

/// How many of the hosts of a certificate an error names.
const MAX_NAMES: usize = 5;

/// The one provider of cryptography. It is named at each use, and is not the default of the process, so that no library can choose another.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Trusts the authorities that Mozilla does, which are compiled in.
pub fn trusting_well_known() -> Arc<ClientConfig> {
    let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider knows every version of TLS");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The authorities that this machine trusts, in DER form: those of the distribution and what the operator has added, or what `SSL_CERT_FILE` names. What cannot
/// be read is left out.
pub fn system_authorities() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// Trusts the certificates in `pem`, and nothing else: as authorities, and each as a server's own.
pub fn trusting_only(pem: &[u8]) -> Result<Arc<ClientConfig>, UnusableCertificates> {
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
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider knows every version of TLS");
    let verifier = Arc::new(OwnOrIssued { own, authorities });
    Ok(Arc::new(
        builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth(),
    ))
}

/// The name that a server's certificate must be for; `None` if no certificate can be.
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).ok()
}

/// Why a file of certificates cannot be used; the end of a sentence that begins with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableCertificates {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It is binary.
    #[error(
        "is not in PEM form; a certificate in DER form is converted by: openssl x509 -inform der -in FILE -out FILE.pem"
    )]
    NotPem,
    /// It is PEM of other things, or text.
    #[error("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    None,
    /// It has more in it than it should.
    #[error("holds a private key, which only the mail server may have: keep the certificates alone in it")]
    PrivateKey,
    /// One of the certificates is damaged.
    #[error("holds a certificate that cannot be read: number {0}")]
    Broken(usize),
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, UnusableCertificates> {
    let text = String::from_utf8_lossy(pem);
    if text.trim().is_empty() {
        return Err(UnusableCertificates::Empty);
    }
    if text.contains("PRIVATE KEY-----") {
        return Err(UnusableCertificates::PrivateKey);
    }
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        let is_binary = std::str::from_utf8(pem).is_err() || pem.contains(&0);
        return Err(if is_binary {
            UnusableCertificates::NotPem
        } else {
            UnusableCertificates::None
        });
    }
    CertificateDer::pem_slice_iter(pem)
        .enumerate()
        .map(|(index, certificate)| certificate.map_err(|_| UnusableCertificates::Broken(index + 1)))
        .collect()
}

/// Accepts what an authority has issued, and the very certificates that the operator has named.
///
/// The usual certificate of one's own mail server signs itself and calls itself an authority, or has no extensions at all. Verified as issued by itself it
/// is refused, although the operator has said that it is the one.
#[derive(Debug)]
struct OwnOrIssued {
    own: Vec<CertificateDer<'static>>,
    authorities: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for OwnOrIssued {
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

/// Accepts a named certificate although `error` speaks against its issuer or its purpose. The dates are what is verified first, so they are right then.
fn accept_own(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    error: CertificateError,
) -> Result<ServerCertVerified, Error> {
    match Distrust::of(&error) {
        Distrust::Issuer | Distrust::Purpose | Distrust::Name => {}
        Distrust::Dates | Distrust::Other => return Err(error.into()),
    }
    match verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name) {
        // Only where there are no alternative names at all, as the older habit was (RFC 6125 §6.4.4).
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
            if presented.is_empty() && common_name_is(certificate, server_name) =>
        {
            Ok(ServerCertVerified::assertion())
        }
        verified => verified.map(|()| ServerCertVerified::assertion()),
    }
}

/// Whether the common name in the subject is that of the server.
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
        // A string of any type, shorter than 128 bytes.
        Some([_, length, rest @ ..]) => rest
            .get(..usize::from(*length))
            .is_some_and(|name| name.eq_ignore_ascii_case(server_name.to_str().as_bytes())),
        _ => false,
    }
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// No trusted authority has issued it.
    Issuer,
    /// It is for something else than serving.
    Purpose,
    /// It is for another host.
    Name,
    /// It is not valid yet, or not any more.
    Dates,
    /// Anything else.
    Other,
}

impl Distrust {
    fn of(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::Issuer,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Dates,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::Name,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Purpose
            }
            // The library has no type of its own for this one.
            CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => Self::Issuer,
            _ => Self::Other,
        }
    }
}

/// Why TLS failed, in words that a sentence about the server ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFailure {
    /// Of which kind.
    pub kind: TlsFailureKind,
    /// `its certificate expired on 2026-01-01`.
    pub text: String,
}

/// What an operator has to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailureKind {
    /// The server's certificate.
    Certificate(Distrust),
    /// What came is no TLS.
    NotTls,
    /// Anything else.
    Other,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TlsFailure {
    /// What failed, if an error of a stream under TLS is TLS's.
    pub fn of_io(error: &io::Error) -> Option<Self> {
        let error: &Error = error.get_ref()?.downcast_ref()?;
        Some(error.into())
    }
}

impl From<&Error> for TlsFailure {
    fn from(error: &Error) -> Self {
        let (kind, text) = match error {
            Error::InvalidCertificate(error) => (
                TlsFailureKind::Certificate(Distrust::of(error)),
                described_certificate(error),
            ),
            Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
                (TlsFailureKind::NotTls, "it does not speak TLS there".to_owned())
            }
            Error::AlertReceived(alert) => {
                let alert = alert.as_str().map_or_else(|| u8::from(*alert).to_string(), words);
                (
                    TlsFailureKind::Other,
                    format!("it ended TLS with the alert \"{alert}\""),
                )
            }
            Error::PeerIncompatible(_) => (
                TlsFailureKind::Other,
                "it has no version or cipher of TLS that is accepted (TLS 1.2 or 1.3)".to_owned(),
            ),
            Error::NoCertificatesPresented => (TlsFailureKind::Other, "it shows no certificate".to_owned()),
            _ => (TlsFailureKind::Other, "it breaks the rules of TLS".to_owned()),
        };
        Self { kind, text }
    }
}

/// `HandshakeFailure` as words.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

fn described_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "no authority that is trusted here has issued its certificate".to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired on {}", date(*not_after))
        }
        CertificateError::Expired => "its certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid before {}", date(*not_before))
        }
        CertificateError::NotValidYet => "its certificate is not valid yet".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "its certificate is for {}, and not for {}",
            named(presented),
            expected.to_str()
        ),
        CertificateError::NotValidForName => "its certificate is for another host".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is for another purpose than a server's".to_owned()
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        CertificateError::BadEncoding => "its certificate cannot be read".to_owned(),
        CertificateError::BadSignature => "its certificate has a wrong signature".to_owned(),
        CertificateError::Other(other) => match other.to_string().as_str() {
            "CaUsedAsEndEntity" => {
                "its certificate signs itself, and is not among those that are trusted".to_owned()
            }
            "UnsupportedCertVersion" => {
                "its certificate is of version 1 of X.509, which is not accepted".to_owned()
            }
            _ => "its certificate cannot be used".to_owned(),
        },
        _ => "its certificate cannot be used".to_owned(),
    }
}

/// The hosts of a certificate, from texts such as `DnsName("mail.example.org")`. They are a stranger's, and there may be hundreds.
fn named(presented: &[String]) -> String {
    let of_text = |text: &String| -> String {
        let inner = text
            .split_once('(')
            .and_then(|(_, inner)| inner.strip_suffix(')'));
        let name = inner.unwrap_or(text).trim_matches('"');
        name.chars().filter(|c| !is_unprintable(*c)).collect()
    };
    match presented {
        [] => "no host (it has no alternative name)".to_owned(),
        names => names
            .iter()
            .take(MAX_NAMES)
            .map(of_text)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn date(at: UnixTime) -> String {
    let millis = i64::try_from(at.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    let text = Timestamp::from_millis(millis).to_string();
    text.split_once('T')
        .map_or(text.clone(), |(date, _)| date.to_owned())
}
