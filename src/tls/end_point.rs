//! The digest of a server's certificate to which a password exchange is bound (`tls-server-end-point`, RFC 5929 §4).

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

/// The kinds of signatures, as object identifiers in DER, and the digest of each. MD5 and SHA-1 count as SHA-256.
const SIGNATURES: [(&[u8], &Algorithm); 9] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4], &SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5], &SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], &SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12], &SHA384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13], &SHA512),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], &SHA256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], &SHA256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3], &SHA384),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4], &SHA512),
];
const SEQUENCE: u8 = 0x30;
const IDENTIFIER: u8 = 6;

/// The digest of a certificate in DER form; `None` if its kind of signature has none of its own, as Ed25519.
pub fn end_point_digest(certificate: &[u8]) -> Option<Vec<u8>> {
    // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm, … }, signature } (RFC 5280 §4.1)
    let (content, _) = element(SEQUENCE, certificate)?;
    let (_, after) = element(SEQUENCE, content)?;
    let (algorithm, _) = element(SEQUENCE, after)?;
    let (identifier, _) = element(IDENTIFIER, algorithm)?;
    let (_, algorithm) = SIGNATURES.iter().find(|(known, _)| *known == identifier)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

/// The content of the element with this tag at the beginning of `der`, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ ..0x80 => (short, rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
            let wider = |length: usize, byte: &u8| length.checked_mul(0x100)?.checked_add(usize::from(*byte));
            (bytes.iter().try_fold(0, wider)?, rest)
        }
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}
