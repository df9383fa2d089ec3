//! Settings that are refused, and a password that is not printed.

use super::FROM;
use crate::domain::SmtpSecurity;
use crate::mail::{Credentials, SmtpSettings, SmtpTimeouts, Transport, TransportError};

fn settings() -> SmtpSettings {
    SmtpSettings {
        host: "mail.example.org".to_owned(),
        port: 587,
        security: SmtpSecurity::StartTls,
        helo_name: None,
        credentials: None,
        from: FROM.parse().expect("the sender is valid"),
        ca_file: None,
        timeouts: SmtpTimeouts::SERVER,
    }
}

#[test]
fn a_transport_prints_no_password() {
    let settings = SmtpSettings {
        credentials: Some(Credentials {
            user: "arkloop".to_owned(),
            password: "hunter2".into(),
        }),
        ..settings()
    };
    let transport = Transport::smtp(settings).expect("the settings are valid");
    assert_eq!(format!("{transport:?}"), "Transport(smtp)");
}

#[test]
fn a_file_of_certificates_that_cannot_be_used_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().expect("there is room");
    let good = include_str!("authority.pem");
    let broken = "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n";
    let cut = &good[..good.len() - 40];
    let key = "-----BEGIN PRIVATE KEY-----\nbm8=\n-----END PRIVATE KEY-----\n";
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nbm8=\n-----END CERTIFICATE REQUEST-----\n";
    for (name, text, reason) in [
        ("empty", String::new(), "is empty"),
        ("blank", " \r\n".to_owned(), "is empty"),
        (
            "text",
            "no certificate".to_owned(),
            "holds no certificate in PEM form",
        ),
        ("request", request.to_owned(), "holds no certificate in PEM form"),
        (
            "broken",
            broken.to_owned(),
            "holds a certificate that cannot be read: number 1",
        ),
        (
            "second",
            format!("{good}{broken}"),
            "holds a certificate that cannot be read: number 2",
        ),
        (
            "cut",
            cut.to_owned(),
            "holds a certificate that cannot be read: number 1",
        ),
        ("key", key.to_owned(), "holds a private key"),
        ("both", format!("{good}{key}"), "holds a private key"),
        (
            "encrypted",
            format!("{good}{}", key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            "holds a private key",
        ),
        ("der", "0\u{0}\u{1}".to_owned(), "is not in PEM form"),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("there is room");
        let settings = SmtpSettings {
            ca_file: Some(path),
            ..settings()
        };
        let error = Transport::smtp(settings).expect_err(name);
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }
    let settings = SmtpSettings {
        ca_file: Some(directory.path().join("missing")),
        ..settings()
    };
    let error = Transport::smtp(settings).expect_err("there is no file");
    assert!(matches!(error, TransportError::CaFile { .. }), "{error}");
}
