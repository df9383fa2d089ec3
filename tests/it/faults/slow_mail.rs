//! Mail through a server that is slow: it gets each mail once, and a mail that it is slow with holds up no other.

use std::net::SocketAddr;
use std::time::Duration;

use arkloop::domain::{MailStatus, QueuedMail};
use arkloop::mail::SmtpTimeouts;
use serde_json::Value;

use super::mail::workspace;
use crate::support::smtp::{Fault, SmtpServer, Stage};
use crate::support::{Request, TestApp, registration};

/// The time after which a mail server counts as slow in these tests.
const SLOW: Duration = Duration::from_millis(100);
/// Longer than [`SLOW`], and shorter than any time-out.
const LATER: Duration = Duration::from_millis(400);
/// Longer than a mail that is not held up takes on a busy machine, and shorter than any time-out of a server.
const AT_ONCE: Duration = Duration::from_secs(20);
/// The waits before the first and before the second repeat of a mail that may have arrived.
const REPEATS: [Duration; 2] = [Duration::from_hours(2), Duration::from_hours(8)];
const ALICE: &str = "alice@example.org";

/// A server that soon counts a mail server as slow, with the usual time-outs otherwise.
async fn start(smtp: &SmtpServer) -> TestApp {
    let patience = SmtpTimeouts {
        slow: SLOW,
        ..SmtpTimeouts::SERVER
    };
    let app = TestApp::builder().open().smtp(smtp).patience(patience);
    app.start().await
}

/// The mail to `address` that waits, once it is `status`.
async fn wait_until(app: &TestApp, address: &str, status: MailStatus) -> QueuedMail {
    let wait = async {
        loop {
            let waiting = app.service().list_waiting_mail().await.expect("it is listed");
            let found = waiting
                .into_iter()
                .find(|(to, mail)| to == address && mail.status() == status);
            if let Some((_, mail)) = found {
                return mail;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(AT_ONCE, wait).await;
    waited.unwrap_or_else(|_| panic!("no mail to {address} became {status:?}"))
}

/// The Message-IDs of all copies that the mail server got of mail to `address`.
fn copies(smtp: &SmtpServer, address: &str) -> Vec<String> {
    let received = smtp.received().into_iter();
    let received = received.filter(|mail| mail.recipients == [address]);
    received.map(|mail| mail.message_id()).collect()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(AT_ONCE, wait).await;
    waited.unwrap_or_else(|_| panic!("{what}: it did not come to that"));
}

async fn mail_within(smtp: &SmtpServer, address: &str) {
    let mail = tokio::time::timeout(AT_ONCE, smtp.mail_to(address)).await;
    mail.unwrap_or_else(|_| panic!("the mail to {address} was held up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_slow_to_take_a_mail_gets_it_once() {
    let smtp = SmtpServer::start();
    smtp.always(Stage::End, Fault::Delay(LATER));
    let app = start(&smtp).await;
    app.register("alice").await;
    // Whatever ends the server now, the next one does not send it again at once.
    let mail = wait_until(&app, ALICE, MailStatus::Unanswered).await;
    assert_eq!(mail.next_attempt(), Some(mail.created_at + REPEATS[0]));
    app.wait_for_empty_outbox().await;
    assert_eq!(copies(&smtp, ALICE).len(), 1);
    assert_eq!(smtp.times_reached(Stage::End), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_may_have_arrived_is_repeated_twice_hours_apart_under_one_id() {
    let smtp = SmtpServer::start();
    smtp.always(Stage::Taken, Fault::Close);
    let mut app = start(&smtp).await;
    app.register("alice").await;
    for (number, pause) in REPEATS.into_iter().enumerate() {
        let mail = wait_until(&app, ALICE, MailStatus::Unanswered).await;
        assert_eq!(mail.next_attempt(), Some(app.service().system().now() + pause));
        app.advance(pause.saturating_sub(Duration::from_secs(1)));
        app.restart().await;
        // Mail that is due is sent, so the worker has looked.
        app.mail_invite(&format!("marker-{number}@example.net")).await;
        mail_within(&smtp, &format!("marker-{number}@example.net")).await;
        assert_eq!(copies(&smtp, ALICE).len(), number + 1);
        app.advance(Duration::from_secs(1));
        until("another copy", || copies(&smtp, ALICE).len() != number + 1).await;
        let noted = "SELECT count(*) FROM outbox WHERE kind = 'verify_email' AND next_attempt_at > ";
        let noted = format!("{noted}{}", app.service().system().now().as_millis());
        until("what came of it is noted", || app.count(&noted) > 0).await;
    }
    let mail = wait_until(&app, ALICE, MailStatus::Unanswered).await;
    assert_eq!((mail.attempts.count, mail.next_attempt()), (3, None));
    let mut ids = copies(&smtp, ALICE);
    ids.dedup();
    assert_eq!(ids.len(), 1, "each copy is the same mail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_may_have_arrived_is_not_repeated() {
    let smtp = SmtpServer::start();
    let app = start(&smtp).await;
    app.register("alice").await;
    app.wait_for_empty_outbox().await;
    smtp.once(Stage::Taken, Fault::Close);
    assert_eq!(app.send_code(ALICE).await.status, 204);
    let mail = wait_until(&app, ALICE, MailStatus::Unanswered).await;
    assert_eq!((mail.kind.as_str(), mail.next_attempt()), ("sign_in_code", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_that_a_server_does_not_answer_to_hold_up_no_code_and_no_other_domain() {
    for stage in [Stage::Recipient, Stage::End] {
        let smtp = SmtpServer::start();
        let app = start(&smtp).await;
        app.register("alice").await;
        app.wait_for_empty_outbox().await;
        for _ in 0..3 {
            smtp.once(stage, Fault::Silence);
        }
        let before = smtp.times_reached(stage);
        for number in 0..3 {
            app.mail_invite(&format!("stuck-{number}@EXAMPLE.org")).await;
        }
        until("three are stuck", || smtp.times_reached(stage) >= before + 3).await;
        assert_eq!(app.send_code(ALICE).await.status, 204);
        mail_within(&smtp, ALICE).await;
        app.mail_invite("bob@example.net").await;
        mail_within(&smtp, "bob@example.net").await;
        until("the others are gone", || {
            app.count("SELECT count(*) FROM outbox") <= 3
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_mails_at_a_time_go_to_one_domain_and_a_code_is_the_next() {
    let smtp = SmtpServer::start();
    // Nothing is slow here.
    let app = TestApp::builder().open().smtp(&smtp).start().await;
    app.register("alice").await;
    app.wait_for_empty_outbox().await;
    smtp.always(Stage::Data, Fault::Delay(LATER));
    let before = smtp.times_reached(Stage::Sender);
    for number in 0..6 {
        app.mail_invite(&format!("bob-{number}@Example.ORG")).await;
    }
    app.mail_invite("carol@example.net").await;
    mail_within(&smtp, "carol@example.net").await;
    assert!(
        smtp.times_reached(Stage::Sender) <= before + 5,
        "two by two, and carol's"
    );
    assert_eq!(app.send_code(ALICE).await.status, 204);
    mail_within(&smtp, ALICE).await;
    assert!(smtp.received().len() < 9, "the code overtook an invite");
    app.wait_for_empty_outbox().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_that_never_comes_holds_up_no_other_mail() {
    let smtp = SmtpServer::start();
    for _ in 0..3 {
        smtp.once(Stage::Greeting, Fault::Silence);
    }
    let app = start(&smtp).await;
    app.register("alice").await;
    app.mail_invite("bob@example.org").await;
    app.mail_invite("carol@example.org").await;
    until("three are stuck", || smtp.times_reached(Stage::Greeting) >= 3).await;
    for name in ["dan", "erin"] {
        app.register(name).await;
        mail_within(&smtp, &format!("{name}@example.org")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_no_slow_answer_and_the_next_start_repeats_nothing() {
    let smtp = SmtpServer::start();
    smtp.once(Stage::Taken, Fault::Silence);
    let workspace = workspace(&smtp);
    let server = workspace.serve();
    let address: SocketAddr = server.address().parse().expect("it is an address");
    let request = Request::new(address, "POST", "/v1/auth/register").json(&registration("alice"));
    assert_eq!(request.send().await.status, 201);
    smtp.wait_until_reached(Stage::Taken).await;
    server.signal("TERM");
    let (status, log) = tokio::task::spawn_blocking(|| server.wait())
        .await
        .expect("it did not panic");
    assert_eq!(status.code(), Some(0), "{log}");
    let queue = || workspace.json(&["mail", "queue"]);
    let stopped = queue();
    assert_eq!(stopped[0]["status"], "unanswered", "{stopped}");
    let _server = workspace.serve();
    workspace.json(&["invite", "create", "--email", "bob@example.net"]);
    smtp.mail_to("bob@example.net").await;
    assert_eq!(copies(&smtp, ALICE).len(), 1);
    // The operator may ask for it all the same.
    assert_ne!(workspace.json(&["mail", "retry"]), Value::Null);
    smtp.mail_to(ALICE).await;
    until("another copy", || copies(&smtp, ALICE).len() >= 2).await;
}
