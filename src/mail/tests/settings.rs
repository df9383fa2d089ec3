//! Which settings are refused, and which way of speaking the others mean.

use std::path::PathBuf;

use secrecy::SecretString;

use super::FROM;
use crate::domain::SmtpSecurity;
use crate::mail::smtp_server::SmtpServer;
use crate::mail::{SmtpSettings, SmtpTimeouts, Transport, TransportError};

fn settings(url: &str) -> SmtpSettings {
    SmtpSettings {
        url: url.to_owned(),
        default_port: 587,
        security: SmtpSecurity::StartTls,
        helo_name: None,
        user: String::new(),
        password: None,
        from: FROM.to_owned(),
        ca_file: None,
        timeouts: SmtpTimeouts::SERVER,
    }
}

#[test]
fn a_url_of_another_form_is_refused_and_not_repeated() {
    for url in [
        "",
        "mail.example.org",
        "mail.example.org:587",
        "http://mail.example.org",
        "smtp://",
        "smtp:mail.example.org",
        "smtp://mail example.org",
        "smtp://user:hunter2@mail.example.org",
        "smtps://user@mail.example.org",
        "smtp://mail.example.org/path",
        "smtp://mail.example.org?tls=none",
        "smtp://mail.example.org#x",
        "smtp://mail.example.org:99999",
    ] {
        let error = Transport::smtp(&settings(url)).expect_err(url);
        assert!(matches!(error, TransportError::Url), "{url}: {error}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn the_host_is_a_name_or_an_address_and_the_port_is_of_the_url() {
    for (url, host, port) in [
        ("smtp://mail.example.org", "mail.example.org", 587),
        ("smtp://mail.example.org:2525/", "mail.example.org", 2525),
        ("smtps://10.0.0.1:25", "10.0.0.1", 25),
        ("smtp://[2001:db8::1]", "2001:db8::1", 587),
    ] {
        let server = SmtpServer::new(&settings(url)).expect(url);
        assert_eq!((server.host.as_str(), server.port), (host, port), "{url}");
    }
}

#[test]
fn user_and_password_come_together() {
    let url = "smtps://mail.example.org";
    let both = SmtpSettings {
        user: "arkloop".to_owned(),
        password: Some(SecretString::from("hunter2")),
        ..settings(url)
    };
    let without_password = SmtpSettings {
        password: None,
        ..both.clone()
    };
    let without_user = SmtpSettings {
        user: String::new(),
        ..both.clone()
    };
    let transport = Transport::smtp(&both).expect("the settings are valid");
    assert_eq!(format!("{transport:?}"), "Transport(smtp)");
    for settings in [without_password, without_user] {
        let error = Transport::smtp(&settings).expect_err("one is missing");
        assert!(matches!(error, TransportError::Credentials), "{error}");
    }
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
            ..settings("smtps://mail.example.org")
        };
        let error = Transport::smtp(&settings).expect_err(name);
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }
    let settings = SmtpSettings {
        ca_file: Some(directory.path().join("missing")),
        ..settings("smtps://mail.example.org")
    };
    let error = Transport::smtp(&settings).expect_err("there is no file");
    assert!(matches!(error, TransportError::CaFile { .. }), "{error}");
}

#[test]
fn a_sender_that_is_no_address_is_refused() {
    for from in ["", "Arkloop", "a@b.org\r\nBcc: c@d.org"] {
        let settings = SmtpSettings {
            from: from.to_owned(),
            ..settings("smtps://mail.example.org")
        };
        assert!(
            matches!(Transport::smtp(&settings), Err(TransportError::From)),
            "{from:?}"
        );
        assert!(
            Transport::file(PathBuf::from("outbox"), from).is_err(),
            "{from:?}"
        );
    }
}
