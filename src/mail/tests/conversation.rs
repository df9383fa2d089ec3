//! Conversations with a mail server whose replies the test chooses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{CODE, FROM, compose, queued, sign_in_code};
use crate::domain::SmtpSecurity;
use crate::mail::error::Failure;
use crate::mail::reply::Reply;
use crate::mail::{Credentials, Progress, SendError, SmtpSettings, SmtpTimeouts, Stage, Transport, Verdict};

/// The beginning of a command, and the reply to it if that differs from the reply of a server that takes every mail. `None` is the usual reply, sent later
/// than the client waits.
#[derive(Clone, Copy)]
struct Exception(&'static str, Option<&'static str>);

/// When a late reply comes: after the timeouts below, but before the client gives up a NOOP on the same connection.
const LATE: Duration = Duration::from_millis(1500);

/// The server takes every mail.
const WILLING: Exception = Exception("(nothing)", None);

impl Exception {
    fn answer(self, command: &str) -> Option<&'static str> {
        if command.starts_with(self.0) {
            return self.1;
        }
        Some(match command.split([' ', ':']).next().unwrap_or_default() {
            "CONNECT" => "220 test\r\n",
            "EHLO" => "250-test\r\n250 AUTH PLAIN\r\n",
            "AUTH" => "235 2.7.0 welcome\r\n",
            "DATA" => "354 go on\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "250 2.0.0 fine\r\n",
        })
    }
}

/// A mail server without TLS.
struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(exception: Exception) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let heard = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn({
            let heard = Arc::clone(&heard);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(converse(stream, exception, Arc::clone(&heard)));
                }
            }
        });
        Self {
            port: address.port(),
            heard,
        }
    }

    fn transport(&self) -> Transport {
        Transport::smtp(self.settings()).expect("the settings are valid")
    }

    fn settings(&self) -> SmtpSettings {
        SmtpSettings {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            security: SmtpSecurity::None,
            helo_name: None,
            credentials: Some(Credentials {
                user: "arkloop".to_owned(),
                password: "hunter2".into(),
            }),
            from: FROM.parse().expect("the sender is valid"),
            ca_file: None,
            timeouts: SmtpTimeouts::SERVER,
        }
    }

    /// The lines that begin with `verb`.
    fn heard(&self, verb: &str) -> Vec<String> {
        let heard = self.heard.lock().expect("no test panics while it holds it");
        heard
            .iter()
            .filter(|line| line.starts_with(verb))
            .cloned()
            .collect()
    }
}

async fn converse(stream: TcpStream, exception: Exception, heard: Arc<Mutex<Vec<String>>>) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut line = "CONNECT".to_owned();
    let mut is_content = false;
    loop {
        heard
            .lock()
            .expect("no test panics while it holds it")
            .push(line.clone());
        let answer = match line.as_str() {
            "." if is_content => exception.answer("CONTENT"),
            _ if is_content => Some(""),
            command => exception.answer(command),
        };
        is_content = (is_content && line != ".") || answer.is_some_and(|answer| answer.starts_with("354"));
        if answer.is_none() {
            sleep(LATE).await;
        }
        let answer = answer.unwrap_or("250 2.0.0 fine\r\n");
        if writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        match lines.next_line().await {
            Ok(Some(next)) => line = next,
            _ => return,
        }
    }
}

async fn send(transport: &Transport) -> Result<(), SendError> {
    let letter = sign_in_code();
    let composed = compose(&letter, "en");
    transport
        .send(&queued(&letter), &composed, &Progress::default())
        .await
}

#[tokio::test]
async fn mails_share_a_connection_and_a_sign_in() {
    let server = Server::start(WILLING).await;
    let transport = server.transport();
    for _mail in 0..3 {
        send(&transport).await.expect("the server takes it");
    }
    assert_eq!(server.heard("CONNECT").len(), 1);
    assert_eq!(server.heard("AUTH").len(), 1);
    assert_eq!(server.heard("MAIL"), vec!["MAIL FROM:<no-reply@example.org>"; 3]);
    assert_eq!(server.heard("RCPT"), vec!["RCPT TO:<alice@example.org>"; 3]);
    assert!(!server.heard(&format!("    {CODE}")).is_empty());
}

#[tokio::test]
async fn a_check_signs_in_and_names_the_sender_and_sends_nothing() {
    let server = Server::start(WILLING).await;
    server.transport().check().await.expect("the server is willing");
    for (verb, times) in [("AUTH", 1), ("MAIL", 1), ("RCPT", 0), ("DATA", 0)] {
        assert_eq!(server.heard(verb).len(), times, "{verb}");
    }
    assert_eq!(server.heard("QUIT").len(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words_without_the_recipient_and_weighed() {
    for (command, answer, text, verdict) in [
        (
            "RCPT",
            "550 5.1.1 <alice@example.org>: unknown\r\n",
            "the mail server answered 550 5.1.1 while naming the recipient: \"<recipient>: unknown\"",
            Verdict::Final,
        ),
        (
            "RCPT",
            "450 4.2.0 come back, alice@example.org\r\n",
            "the mail server answered 450 4.2.0 while naming the recipient: \"come back, <recipient>\"",
            Verdict::Single,
        ),
        (
            "CONTENT",
            "554 alice@example.org does not like it\r\n",
            "the mail server answered 554 while sending the mail: \"<recipient> does not like it\"",
            Verdict::Single,
        ),
        (
            "AUTH",
            "535 5.7.8 hunter2 is wrong\r\n",
            "the mail server answered 535 5.7.8 while signing in: \"<secret> is wrong\"",
            Verdict::General,
        ),
        (
            "CONNECT",
            "no mail server for you\r\n",
            "the conversation with the mail server failed while waiting for its greeting: its answer is no SMTP",
            Verdict::General,
        ),
    ] {
        let server = Server::start(Exception(command, Some(answer))).await;
        let error = send(&server.transport()).await.expect_err(text);
        assert_eq!(error.to_string(), text);
        assert_eq!(error.verdict(), verdict, "{text}");
        assert!(!format!("{error:?}").contains("alice"), "{error:?}");
    }
}

/// Whether the reply `line` at `stage` is final for a mail.
fn is_final(stage: Stage, line: &str) -> bool {
    let (code, words) = line.split_at(3);
    let code = code.parse().expect("it is a code");
    let refused = SendError::Server {
        stage,
        failure: Failure::Refused(Reply::new(code, &[words.trim_start()])),
        hint: None,
    };
    refused.verdict() == Verdict::Final
}

#[test]
fn what_a_server_says_of_the_recipient_is_final() {
    for line in [
        "550 5.1.1 no such user",
        "550 5.1.2 no such domain",
        "501 5.1.3 no address",
        "551 5.1.6 moved",
        "556 5.1.10 null MX",
        "550 5.2.1 closed",
        "554 5.1.1 gone",
    ] {
        // A server that checks the recipient late refuses DATA or the whole mail.
        for (stage, expected) in [
            (Stage::Recipient, true),
            (Stage::Data, true),
            (Stage::End, true),
            (Stage::Sender, false),
            (Stage::Hello, false),
        ] {
            assert_eq!(is_final(stage, line), expected, "{line} {stage:?}");
        }
    }
    for line in ["550 no such user", "550", "553 not here"] {
        assert!(is_final(Stage::Recipient, line), "{line}");
        assert!(
            !is_final(Stage::End, line) && !is_final(Stage::Sender, line),
            "{line}"
        );
    }
}

#[test]
fn what_the_operator_can_mend_is_not_final() {
    for line in [
        "550 5.7.1 relaying denied",
        "550 5.7.26 no SPF",
        "550 5.1.0 sender rejected",
        "550 5.1.7 bad sender",
        "550 5.1.8 bad sender's domain",
        "553 5.7.1 not your address",
        "554 5.7.1 access denied",
        "554 no",
        "504 5.5.2 need a full host name",
        "501 syntax",
        "503 5.5.1 sign in first",
        "530 5.7.0 STARTTLS first",
        "551 not local",
        "552 5.2.2 mailbox full",
        "552 5.3.4 too large",
        "571 blocked",
        "450 4.1.1 not yet",
        "450 5.1.1 nonsense",
        "421 5.1.1 nonsense",
    ] {
        for stage in [
            Stage::Hello,
            Stage::Sender,
            Stage::Recipient,
            Stage::Data,
            Stage::End,
        ] {
            assert!(!is_final(stage, line), "{line} {stage:?}");
        }
    }
}

#[tokio::test]
async fn waiting_ends_at_every_step_and_a_late_answer_is_not_taken_for_another() {
    let mut cases = JoinSet::new();
    for (command, stage) in [
        ("CONNECT", Stage::Greeting),
        ("EHLO", Stage::Hello),
        ("AUTH", Stage::SignIn),
        ("MAIL", Stage::Sender),
        ("RCPT", Stage::Recipient),
        ("DATA", Stage::Data),
        ("CONTENT", Stage::End),
    ] {
        cases.spawn(give_up(command, stage));
    }
    cases.join_all().await;
}

/// Sends two mails through a server whose reply to `command` is late.
async fn give_up(command: &'static str, stage: Stage) {
    let server = Server::start(Exception(command, None)).await;
    let limit = Duration::from_secs(1);
    let settings = SmtpSettings {
        timeouts: SmtpTimeouts {
            greeting: limit,
            command: limit,
            data: limit,
            end: limit,
            ..SmtpTimeouts::SERVER
        },
        ..server.settings()
    };
    let transport = Transport::smtp(settings).expect("the settings are valid");
    for attempt in 1..=2 {
        let error = send(&transport).await.expect_err("the server is late");
        assert_eq!(error.stage(), Some(stage), "{error}");
        let SendError::Server { failure, .. } = &error else {
            panic!("{error}");
        };
        assert!(matches!(failure, Failure::Silent(_)), "{error}");
        assert_eq!(server.heard("CONNECT").len(), attempt, "{stage}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let server = Server::start(Exception("NOOP", Some("421 too late\r\n"))).await;
    let transport = server.transport();
    for _mail in 0..2 {
        send(&transport).await.expect("the server takes it");
    }
    assert_eq!(server.heard("CONNECT").len(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let server = Server::start(WILLING).await;
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let closed = port.local_addr().expect("it is bound").port();
    drop(port);
    let error = send(
        &Server {
            port: closed,
            ..server
        }
        .transport(),
    )
    .await
    .expect_err("no server listens");
    assert!(
        matches!(
            error,
            SendError::Server {
                stage: Stage::Connect,
                failure: Failure::Broken(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn without_a_transport_nothing_is_sent() {
    let transport = Transport::Off;
    assert!(transport.is_off());
    assert!(matches!(send(&transport).await, Err(SendError::Off)));
}
