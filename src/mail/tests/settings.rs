//! Which settings are refused, and which way of speaking the others mean.

use std::path::PathBuf;

use secrecy::SecretString;

use super::FROM;
use crate::mail::smtp_server::{Encryption, SmtpServer};
use crate::mail::{Patience, SmtpSettings, Transport, TransportError};

fn settings(url: &str) -> SmtpSettings {
    SmtpSettings {
        url: url.to_owned(),
        user: String::new(),
        password: None,
        from: FROM.to_owned(),
        ca_file: None,
        patience: Patience::SERVER,
    }
}

/// A file of one authority, made for this test.
fn ca_file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, include_str!("authority.pem")).expect("there is room");
    (directory, path)
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
fn nothing_is_sent_in_the_clear_but_to_this_machine() {
    for (url, encryption, host, port) in [
        ("smtp://mail.example.org", "starttls", "mail.example.org", 587),
        (
            "smtp://mail.example.org:2525/",
            "starttls",
            "mail.example.org",
            2525,
        ),
        ("smtp://10.0.0.1:25", "starttls", "10.0.0.1", 25),
        (
            "smtp://localhost.example.org",
            "starttls",
            "localhost.example.org",
            587,
        ),
        ("smtps://mail.example.org", "implicit", "mail.example.org", 465),
        ("smtps://localhost:4650", "implicit", "localhost", 4650),
        ("smtp://localhost:25", "plain", "localhost", 25),
        ("smtp://127.0.0.2", "plain", "127.0.0.2", 587),
        ("smtp://[::1]:1025", "plain", "::1", 1025),
        ("smtp://[2001:db8::1]", "starttls", "2001:db8::1", 587),
    ] {
        let server = SmtpServer::new(&settings(url)).expect(url);
        assert_eq!(described(&server.encryption), encryption, "{url}");
        assert_eq!((server.host.as_str(), server.port), (host, port), "{url}");
    }
}

#[test]
fn with_a_private_authority_even_this_machine_is_spoken_to_in_tls() {
    let (_directory, path) = ca_file();
    let settings = SmtpSettings {
        ca_file: Some(path),
        ..settings("smtp://localhost:2525")
    };
    let server = SmtpServer::new(&settings).expect("the settings are valid");
    assert_eq!(described(&server.encryption), "starttls");
}

fn described(encryption: &Encryption) -> &'static str {
    match encryption {
        Encryption::Implicit(_) => "implicit",
        Encryption::StartTls(_) => "starttls",
        Encryption::None => "plain",
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
fn a_file_without_authorities_is_refused() {
    let directory = tempfile::tempdir().expect("there is room");
    let broken = "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n";
    for (name, text) in [("empty", ""), ("text", "no certificate"), ("broken", broken)] {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("there is room");
        let settings = SmtpSettings {
            ca_file: Some(path),
            ..settings("smtps://mail.example.org")
        };
        let error = Transport::smtp(&settings).expect_err(name);
        assert!(
            matches!(error, TransportError::NoCertificate(_)),
            "{name}: {error}"
        );
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
