//! Mail that the mail server refuses: the operator sees why in the server's words, and it goes out when the cause is fixed.

use std::time::Duration;

use serde_json::{Value, json};

use super::mail::{wait_for_empty_outbox, workspace};
use crate::support::Workspace;
use crate::support::smtp::{Fault, SmtpServer, Stage};

/// Longer than a mail without a pause takes on a busy machine, and shorter than the pauses after five failures together.
const WITHOUT_PAUSES: Duration = Duration::from_secs(20);

fn invite(workspace: &Workspace, address: &str) {
    workspace.json(&["invite", "create", "--email", address]);
}

fn row_id(workspace: &Workspace) -> String {
    workspace.database().text("SELECT message_id FROM outbox")
}

/// How the operator causes another try.
enum Way {
    Restart,
    Retry,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_mends_goes_out_under_its_id_after_a_retry_or_a_restart() {
    for (way, stage, answer) in [
        (
            Way::Restart,
            Stage::Sender,
            "550 5.7.1 the sender is not known here",
        ),
        (
            Way::Retry,
            Stage::Recipient,
            "554 5.7.1 <ann@example.org>: relaying denied",
        ),
    ] {
        let smtp = SmtpServer::start();
        smtp.always(stage, Fault::Answer(answer));
        let workspace = workspace(&smtp);
        let server = workspace.serve();
        invite(&workspace, "ann@example.org");
        // After so many tries, the next automatic one is far away.
        for attempts in 1..=4 {
            workspace.wait_for_attempts(attempts);
            workspace.json(&["mail", "retry"]);
        }
        workspace.wait_for_attempts(5);
        let id = row_id(&workspace);
        smtp.heal();
        let _server = match way {
            Way::Restart => {
                server.stop();
                workspace.serve()
            }
            Way::Retry => {
                workspace.json(&["mail", "retry"]);
                server
            }
        };
        let mail = tokio::time::timeout(WITHOUT_PAUSES, smtp.mail_to("ann@example.org")).await;
        let mail = mail.unwrap_or_else(|_| panic!("{answer}: it waited"));
        assert_eq!(format!("<{}>", mail.message_id()), id);
        wait_for_empty_outbox(&workspace).await;
        assert_eq!(smtp.received().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mail_server_says_is_kept_and_shown_without_the_recipient() {
    let smtp = SmtpServer::start();
    smtp.always(
        Stage::Recipient,
        Fault::Answer("550 5.7.1 <Ann@example.org>: \u{1b}[31mrelaying\u{7} denied"),
    );
    let workspace = workspace(&smtp);
    let server = workspace.serve();
    invite(&workspace, "ann@example.org");
    let [mail] = <[Value; 1]>::try_from(workspace.wait_for_attempts(1)).expect("one mail waits");
    let said = mail["last_error"].as_str().expect("it is a text");
    assert!(said.contains("550 5.7.1"), "{said}");
    assert!(said.contains("relaying denied"), "{said}");
    assert!(!said.to_lowercase().contains("ann@"), "{said}");
    assert!(said.bytes().all(|byte| byte >= b' '), "{said}");
    assert_eq!(
        (&mail["to"], &mail["status"]),
        (&json!("ann@example.org"), &json!("waiting"))
    );
    let queue = workspace.run(&["mail", "queue"]);
    assert!(
        queue.contains("relaying denied") && queue.contains("ann@example.org"),
        "{queue}"
    );
    let check = workspace.run(&["check"]);
    assert!(
        check.contains("relaying denied") && !check.contains("ann@example.org"),
        "{check}"
    );
    smtp.heal();
    workspace.json(&["mail", "retry"]);
    wait_for_empty_outbox(&workspace).await;
    let log = server.stop();
    assert_eq!(log.matches("relaying denied").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_mail_is_refused_for_is_logged_once() {
    for (stage, answer) in [
        (Stage::Hello, "550 5.7.1 go away"),
        (Stage::Sender, "550 5.7.1 go away"),
        (Stage::Recipient, "504 5.5.2 go away"),
    ] {
        let smtp = SmtpServer::start();
        smtp.always(stage, Fault::Answer(answer));
        let workspace = workspace(&smtp);
        let server = workspace.serve();
        for number in 0..5 {
            invite(&workspace, &format!("ann@{number}.example"));
        }
        workspace.json(&["mail", "retry"]);
        workspace.wait_for_attempts(1);
        let log = server.stop();
        assert_eq!(log.matches("go away").count(), 1, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_expires_before_it_is_taken_is_told_in_the_log_and_by_check() {
    let smtp = SmtpServer::start();
    smtp.always(Stage::Recipient, Fault::Answer("554 5.7.1 go away"));
    let workspace = workspace(&smtp);
    let server = workspace.serve();
    invite(&workspace, "ann@example.org");
    workspace.wait_for_attempts(1);
    workspace
        .database()
        .change("UPDATE outbox SET expires_at = created_at + 1");
    wait_for_empty_outbox(&workspace).await;
    let check = workspace.run(&["check"]);
    assert!(check.contains("before the mail server took it"), "{check}");
    let log = server.stop();
    let told = log
        .lines()
        .find(|line| line.contains("expired before the mail server took it"));
    assert!(told.is_some_and(|line| line.contains("go away")), "{log}");
}
