//! STARTTLS, and what a third party writes into its plaintext part: nothing that was read before TLS counts inside it.

use std::time::Duration;

use insta::assert_snapshot;

use crate::support::smtp::{Fault, SmtpServer, Stage};
use crate::support::{TestApp, Workspace};

/// Answers to everything that a client says inside TLS: to EHLO, AUTH, MAIL, RCPT, DATA and to the mail.
const FORGED: &str = "250 localhost\r\n250 fine\r\n250 fine\r\n354 go on\r\n250 taken\r\n";

/// The failure of the first try of a mail, which must fail.
async fn first_failure(smtp: &SmtpServer) -> String {
    let app = TestApp::builder().open().smtp(smtp).start().await;
    app.register("alice").await;
    let wait = async {
        loop {
            let waiting = app.service().list_waiting_mail().await.expect("they are listed");
            assert!(!waiting.is_empty(), "a mail that nobody took counts as sent");
            if let Some(error) = waiting.into_iter().find_map(|(_, mail)| mail.attempts.last_error) {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_mins(1), wait).await;
    assert_eq!(smtp.received().len(), 0);
    told.expect("the mail was tried")
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_out_over_starttls_however_its_answer_is_cut() {
    for answer in [
        &[&b"220 2.0.0 go ahead\r\n"[..]][..],
        &[b"220-go\r\n220 ahead\r\n"],
        &[b"2", b"20 go", b" ahead\r", b"\n"],
        &[b"220-go\r\n2", b"20-on\r\n", b"220 \r\n"],
    ] {
        let smtp = SmtpServer::with_starttls(answer);
        let app = TestApp::builder().open().smtp(&smtp).start().await;
        app.register("alice").await;
        smtp.mail_to("alice@example.org").await;
        app.wait_for_empty_outbox().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_with_the_answer_to_starttls_refuses_the_connection() {
    let forged = |answer: &str| format!("{answer}{FORGED}").into_bytes();
    let answers = [
        vec![forged("220 go ahead\r\n")],
        vec![forged("220-go\r\n220 ahead\r\n")],
        vec![b"2".to_vec(), forged("20 go ahead\r\n")],
        vec![b"220 go ahead\r\n".to_vec(), FORGED.into()],
        vec![b"220 go ahead\r\n2".to_vec(), b"50 localhost\r\n".to_vec()],
        vec![b"220 go ahead\r\n220 go ahead\r\n".to_vec()],
        vec![b"220 go ahead\r\n\n".to_vec()],
        vec![b"220 go ahead\r\n\x16\x03\x03\x00\x00".to_vec()],
        vec![b"220 go ahead\r\n\xff\xff".to_vec()],
    ];
    for answer in answers {
        let parts: Vec<_> = answer.iter().map(Vec::as_slice).collect();
        let smtp = SmtpServer::with_starttls(&parts);
        // An attacker in between withholds the true server's words.
        smtp.always(Stage::EncryptedHello, Fault::Silence);
        let told = first_failure(&smtp).await;
        let shown: Vec<_> = parts.iter().map(|part| part.escape_ascii().to_string()).collect();
        assert!(
            told.contains("it sent more than the answer that was due before TLS began")
                || told.contains("while starting TLS: it does not speak TLS there"),
            "{shown:?}: {told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_before_its_question_refuses_the_connection() {
    for (stage, answer) in [
        (Stage::Greeting, "220 localhost\r\n250 STARTTLS"),
        (Stage::Hello, "250-localhost\r\n250 STARTTLS\r\n220 go ahead"),
    ] {
        let smtp = SmtpServer::with_starttls(&[b"220 go ahead\r\n"]);
        smtp.always(stage, Fault::Answer(answer));
        let told = first_failure(&smtp).await;
        assert!(told.contains("before TLS began"), "{answer:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_begins_after_a_220_and_nothing_else() {
    for (fault, expected) in [
        (
            Fault::Answer("250 2.0.0 fine"),
            "answered 250 2.0.0 while asking for STARTTLS",
        ),
        (
            Fault::Answer("221 2.0.0 goodbye"),
            "answered 221 2.0.0 while asking for STARTTLS",
        ),
        (
            Fault::Answer("334 go on"),
            "answered 334 while asking for STARTTLS",
        ),
        (Fault::Answer("220-go\r\n250 fine"), "its answer is no SMTP"),
        (Fault::Answer("hello"), "its answer is no SMTP"),
        (
            Fault::Answer("454 4.7.0 not now"),
            "answered 454 4.7.0 while asking for STARTTLS",
        ),
        (
            Fault::Answer("501 5.5.4 no"),
            "answered 501 5.5.4 while asking for STARTTLS",
        ),
        (
            Fault::Answer("421 4.3.2 no time"),
            "answered 421 4.3.2 while asking for STARTTLS",
        ),
        (Fault::Close, "it closed the connection"),
    ] {
        let smtp = SmtpServer::with_starttls(&[]);
        smtp.always(Stage::StartTls, fault);
        let told = first_failure(&smtp).await;
        assert!(told.contains(expected), "{fault:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hides_starttls_gets_nothing() {
    let smtp = SmtpServer::with_starttls(&[]);
    smtp.always(Stage::Hello, Fault::Answer("250-localhost\r\n250 AUTH PLAIN"));
    let told = first_failure(&smtp).await;
    assert!(told.contains("it offers no STARTTLS"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_offers_before_tls_does_not_count_inside_it() {
    let smtp = SmtpServer::with_starttls(&[b"220 go ahead\r\n"]);
    smtp.always(Stage::EncryptedHello, Fault::Answer("250 localhost"));
    let mut workspace = Workspace::new();
    workspace
        .send_mail_through(&smtp)
        .set("ARKLOOP_MAIL__SMTP_USER", "arkloop")
        .set("ARKLOOP_MAIL__SMTP_PASSWORD", "the mail server's password");
    assert!(workspace.output(&["init"], "").status.success(), "init works");
    assert_snapshot!(workspace.run(&["mail", "test", "ann@example.org"]), @"
    exit: 1
    stderr:
    error: the mail was not sent: the conversation with the mail server failed while signing in: it offers no way to sign in that is known here (PLAIN or LOGIN); if the server takes mail from this host without a sign-in, leave out mail.smtp_user and mail.smtp_password
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_mail_says_that_the_answer_to_starttls_was_tampered_with() {
    let answer = format!("220 go ahead\r\n{FORGED}");
    let smtp = SmtpServer::with_starttls(&[answer.as_bytes()]);
    smtp.always(Stage::EncryptedHello, Fault::Silence);
    let mut workspace = Workspace::new();
    workspace.send_mail_through(&smtp);
    assert!(workspace.output(&["init"], "").status.success(), "init works");
    assert_snapshot!(workspace.run(&["mail", "test", "ann@example.org"]), @"
    exit: 1
    stderr:
    error: the mail was not sent: the conversation with the mail server failed while asking for STARTTLS: it sent more than the answer that was due before TLS began, which a third party may have added; check [mail] in the configuration, and whether the mail server runs
    ");
}
