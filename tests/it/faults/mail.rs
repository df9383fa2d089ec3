//! Mail when the mail server is down, refuses, hangs or breaks off, and when our own server ends in the middle of it: no request waits for it, none is lost,
//! and none comes twice unless the protocol cannot prevent that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arkloop::domain::MailStatus;
use arkloop::mail::SmtpTimeouts;
use tokio::task::JoinSet;

use crate::support::smtp::{Fault, SmtpServer, Stage};
use crate::support::{Answer, Request, TestApp, Workspace, registration};

/// Longer than the longest pause after a first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(7);
/// Longer than a request takes on a busy machine if it waits for nothing, and shorter than any time-out of the conversation with a mail server.
const AT_ONCE: Duration = Duration::from_secs(8);

async fn start(smtp: &SmtpServer) -> TestApp {
    TestApp::builder().open().smtp(smtp).start().await
}

/// Registers alice and asks for each kind of mail, for her and for an unknown address. Both get the same answers.
async fn ask_for_mails(app: &TestApp) {
    app.register("alice").await;
    let mut shown = Vec::new();
    for address in ["alice@example.org", "nobody@example.org"] {
        shown.push(
            [app.send_code(address).await, app.send_reset(address).await].map(|answer: Answer| {
                assert_eq!(answer.brief(), "204 -");
                answer.shown_with_headers()
            }),
        );
    }
    assert_eq!(shown[0], shown[1], "known and unknown are told apart");
}

/// Waits until each mail that is not a decoy has failed once.
async fn wait_until_all_failed_once(app: &TestApp, mails: i64) {
    let wait = async {
        let failed =
            "SELECT count(*) FROM outbox WHERE expires_at > created_at AND attempts = 1 AND last_error <> ''";
        while app.count(failed) < mails {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let failed = tokio::time::timeout(Duration::from_mins(1), wait).await;
    failed.expect("every mail was tried");
}

/// Checks that each mail to alice came once, that the code works, and that no other address got mail.
async fn check_mails(app: &TestApp, smtp: &SmtpServer) {
    app.wait_for_empty_outbox().await;
    let received = smtp.received();
    assert_eq!(received.len(), 3, "verification, code and reset");
    assert!(
        received
            .iter()
            .all(|mail| mail.recipients == ["alice@example.org"])
    );
    let code = received
        .iter()
        .find(|mail| !mail.text().contains("#token="))
        .expect("the code came")
        .code();
    assert_eq!(app.verify_code("alice@example.org", &code).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_tried_again() {
    let mut smtp = SmtpServer::refusing();
    let app = start(&smtp).await;
    ask_for_mails(&app).await;
    wait_until_all_failed_once(&app, 3).await;
    smtp.listen();
    app.advance(FIRST_PAUSE);
    check_mails(&app, &smtp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_refused_for_now_is_tried_again() {
    for (stage, answer) in [
        (Stage::Greeting, "421 4.3.2 not now"),
        (Stage::Hello, "550 5.7.1 not you"),
        (Stage::Sender, "450 4.7.1 come again later"),
        (Stage::Sender, "550 5.7.1 not from you"),
        (Stage::Recipient, "450 4.2.1 greylisted"),
        (Stage::Recipient, "530 5.7.0 who are you"),
        (Stage::Recipient, "504 5.5.2 need a full host name"),
        (Stage::Recipient, "550 5.7.1 relaying denied"),
        (Stage::Recipient, "554 access denied"),
        (Stage::Data, "451 4.3.0 out of order"),
        (Stage::Data, "554 no valid recipients"),
        (Stage::End, "450 4.7.1 greylisted"),
        (Stage::End, "550 5.7.1 looks like spam"),
        (Stage::End, "550 no"),
    ] {
        let smtp = SmtpServer::start();
        smtp.always(stage, Fault::Answer(answer));
        let app = start(&smtp).await;
        ask_for_mails(&app).await;
        wait_until_all_failed_once(&app, 3).await;
        assert_eq!(smtp.received().len(), 0, "{answer}");
        smtp.heal();
        app.advance(FIRST_PAUSE);
        check_mails(&app, &smtp).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_refused_for_good_is_tried_again_only_when_the_operator_asks() {
    for (stage, answer) in [
        (Stage::Recipient, "550 5.1.1 nobody here"),
        (Stage::Recipient, "550 unknown user"),
        (Stage::End, "550 5.1.1 nobody here after all"),
    ] {
        let smtp = SmtpServer::start();
        smtp.always(stage, Fault::Answer(answer));
        let app = start(&smtp).await;
        ask_for_mails(&app).await;
        wait_until_all_failed_once(&app, 3).await;
        smtp.heal();
        // Later than any pause, and before the code expires.
        app.advance(Duration::from_secs(590));
        // A mail that is due is sent, so the worker has looked; those that were refused are not among them.
        app.register("bob").await;
        smtp.mail_to("bob@example.org").await;
        assert_eq!(smtp.received().len(), 1, "{answer}");
        while app.count("SELECT count(*) FROM outbox WHERE attempts = 0") > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let waiting = app.service().list_waiting_mail().await.expect("they are listed");
        assert_eq!(waiting.len(), 3, "{waiting:?}");
        for (_, mail) in waiting {
            let (status, next_attempt) = (mail.status(), mail.next_attempt());
            let said = mail.attempts.last_error.unwrap_or_default();
            assert!(said.contains(answer[4..].trim_start_matches("5.1.1 ")), "{said}");
            assert_eq!((mail.attempts.count, next_attempt), (1, None), "{said}");
            assert_eq!(status, MailStatus::Refused, "{said}");
        }
        assert_eq!(app.service().retry_mail().await.expect("they are due"), 3);
        for _ in 0..3 {
            smtp.mail_to("alice@example.org").await;
        }
        app.wait_for_empty_outbox().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_refused_for_good_is_dropped_when_it_expires() {
    let smtp = SmtpServer::start();
    smtp.always(Stage::Recipient, Fault::Answer("550 5.1.1 nobody here"));
    let app = start(&smtp).await;
    ask_for_mails(&app).await;
    wait_until_all_failed_once(&app, 3).await;
    smtp.heal();
    // The verification is good for a day, the other mails for less.
    app.advance(Duration::from_hours(24));
    app.wait_for_empty_outbox().await;
    assert_eq!(smtp.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_server_that_hangs() {
    let smtp = SmtpServer::start();
    smtp.always(Stage::Greeting, Fault::Silence);
    let patience = SmtpTimeouts {
        greeting: Duration::from_secs(2),
        ..SmtpTimeouts::SERVER
    };
    let app = TestApp::builder().open().smtp(&smtp).patience(patience);
    let app = app.start().await;
    let answered = tokio::time::timeout(AT_ONCE, async {
        ask_for_mails(&app).await;
        smtp.wait_until_reached(Stage::Greeting).await;
        // While the worker hangs for certain:
        assert_eq!(app.send_code("someone@example.org").await.status, 204);
    });
    answered.await.expect("no request waits for the mail server");
    assert_eq!(smtp.received().len(), 0);
    smtp.heal();
    // The conversations that hang are ended first.
    while app.count("SELECT count(*) FROM outbox WHERE attempts = 0 AND expires_at > created_at") > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.advance(FIRST_PAUSE);
    check_mails(&app, &smtp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_breaks_off_before_the_end_is_one_mail_in_the_end() {
    for stage in [Stage::Greeting, Stage::Hello, Stage::Data] {
        let smtp = SmtpServer::start();
        smtp.always(stage, Fault::Close);
        let app = start(&smtp).await;
        ask_for_mails(&app).await;
        wait_until_all_failed_once(&app, 3).await;
        smtp.heal();
        app.advance(FIRST_PAUSE);
        check_mails(&app, &smtp).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_never_sent() {
    let mut smtp = SmtpServer::refusing();
    let app = start(&smtp).await;
    app.register("alice").await;
    assert_eq!(app.send_code("alice@example.org").await.status, 204);
    wait_until_all_failed_once(&app, 2).await;
    // The code lasts ten minutes, the link a day.
    app.advance(Duration::from_mins(11));
    smtp.listen();
    app.wait_for_empty_outbox().await;
    let received = smtp.received();
    assert_eq!(received.len(), 1);
    assert!(received[0].link().contains("/verify#token="));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_sent_after_a_restart() {
    let mut smtp = SmtpServer::refusing();
    let mut app = start(&smtp).await;
    ask_for_mails(&app).await;
    wait_until_all_failed_once(&app, 3).await;
    app.stop().await;
    smtp.listen();
    app.advance(FIRST_PAUSE);
    app.start_again().await;
    check_mails(&app, &smtp).await;
}

/// The real executable, with its mail going to `smtp`.
pub(super) fn workspace(smtp: &SmtpServer) -> Workspace {
    let mut workspace = Workspace::new();
    workspace
        .set("ARKLOOP_REGISTRATION__MODE", "open")
        .send_mail_through(smtp);
    workspace
}

pub(super) async fn wait_for_empty_outbox(workspace: &Workspace) {
    let wait = async {
        while workspace.database().count("SELECT count(*) FROM outbox") > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let emptied = tokio::time::timeout(Duration::from_mins(1), wait).await;
    emptied.expect("the outbox is worked off");
}

/// Kills the server when the conversation about its first mail has reached `stage`, starts it again, and returns the Message-IDs of the mails that came.
async fn kill_at(stage: Stage) -> Vec<String> {
    let smtp = SmtpServer::start();
    smtp.once(stage, Fault::Silence);
    let workspace = workspace(&smtp);
    let server = workspace.serve();
    let address: SocketAddr = server.address().parse().expect("it is an address");
    let request = Request::new(address, "POST", "/v1/auth/register").json(&registration("alice"));
    assert_eq!(request.send().await.status, 201);
    smtp.wait_until_reached(stage).await;
    server.kill();
    let server = workspace.serve();
    wait_for_empty_outbox(&workspace).await;
    server.kill();
    smtp.received().iter().map(|mail| mail.message_id()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_end_of_a_mail_exactly_one_comes() {
    for stage in [Stage::Data, Stage::Content, Stage::End] {
        assert_eq!(kill_at(stage).await.len(), 1, "{stage:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_a_mail_was_taken_one_more_comes_with_the_same_id() {
    let ids = kill_at(Stage::Taken).await;
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

/// Lets the next commit through and fails all later ones, so that a registration is stored, but not that its mail was sent. Returns how many failed,
/// and a switch that lets commits through again.
pub(super) fn fail_all_but_one_commit(app: &TestApp) -> (Arc<AtomicUsize>, Arc<AtomicBool>) {
    let (failed, works) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, switch, mut is_first) = (Arc::clone(&failed), Arc::clone(&works), true);
    app.store_probe().on_commit(move || {
        let goes_through = std::mem::take(&mut is_first) || switch.load(Ordering::SeqCst);
        count.fetch_add(usize::from(!goes_through), Ordering::SeqCst);
        goes_through
    });
    (failed, works)
}

async fn wait_for(count: &AtomicUsize, number: usize) {
    while count.load(Ordering::SeqCst) < number {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_to_forget_a_mail_does_not_send_it_again_and_again() {
    let smtp = SmtpServer::start();
    let app = start(&smtp).await;
    let (failed, works) = fail_all_but_one_commit(&app);
    app.register("alice").await;
    wait_for(&failed, 3).await;
    assert_eq!(smtp.received().len(), 1);
    works.store(true, Ordering::SeqCst);
    app.wait_for_empty_outbox().await;
    assert_eq!(smtp.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_between_taking_and_commit_one_more_comes_with_the_same_id() {
    let smtp = SmtpServer::start();
    let mut app = start(&smtp).await;
    let (failed, _) = fail_all_but_one_commit(&app);
    app.register("alice").await;
    wait_for(&failed, 1).await;
    app.stop().await;
    app.advance(Duration::from_secs(1));
    app.start_again().await;
    app.wait_for_empty_outbox().await;
    let ids: Vec<_> = smtp.received().iter().map(|mail| mail.message_id()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_has_one_worker() {
    let smtp = SmtpServer::start();
    let mut workspace = workspace(&smtp);
    // With PostgreSQL a second server runs, and leaves the mail to the first.
    workspace.use_sqlite();
    workspace.set("ARKLOOP_RATE_LIMIT__ENABLED", "false");
    let server = workspace.serve();
    let second = workspace.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(second.starts_with("exit: 1"), "{second}");
    let address: SocketAddr = server.address().parse().expect("it is an address");
    let mut registering = JoinSet::new();
    for number in 0..20 {
        let body = registration(&format!("user-{number}"));
        registering.spawn(
            Request::new(address, "POST", "/v1/auth/register")
                .json(&body)
                .send(),
        );
    }
    // Retries by the operator start no second worker.
    for _ in 0..5 {
        workspace.run(&["mail", "retry"]);
    }
    assert!(
        registering
            .join_all()
            .await
            .iter()
            .all(|answer| answer.status == 201)
    );
    workspace.run(&["mail", "retry"]);
    wait_for_empty_outbox(&workspace).await;
    let mut recipients: Vec<_> = smtp
        .received()
        .into_iter()
        .flat_map(|mail| mail.recipients)
        .collect();
    assert_eq!(recipients.len(), 20);
    recipients.sort();
    recipients.dedup();
    assert_eq!(recipients.len(), 20, "each exactly once");
}
