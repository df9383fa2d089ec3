//! `mail …`, and the mail that other commands queue.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::Workspace;
use crate::support::smtp::{Fault, SmtpServer, Stage};

/// A directory with a database whose mail goes to `server`.
fn sending_to(server: &SmtpServer) -> Workspace {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_MAIL__TRANSPORT", "smtp");
    workspace.set("ARKLOOP_MAIL__SMTP_URL", &server.url());
    workspace.set("ARKLOOP_MAIL__HELO_NAME", "auth.example.org");
    assert!(workspace.output(&["init"], "").status.success(), "init works");
    workspace
}

fn without_mail() -> Workspace {
    let mut workspace = Workspace::with_database();
    workspace.set("ARKLOOP_MAIL__TRANSPORT", "off");
    workspace
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_mail_is_taken_by_the_mail_server() {
    let server = SmtpServer::start();
    let workspace = sending_to(&server);
    assert_snapshot!(workspace.run(&["mail", "test", "Ann@Example.org"]), @"
    exit: 0
    stdout:
    the mail server has taken a test mail to Ann@example.org, and was greeted as auth.example.org
    ");
    assert_snapshot!(workspace.run(&["--json", "mail", "test", "ann@example.org"]), @r#"
    exit: 0
    stdout:
    {
      "to": "ann@example.org",
      "transport": "smtp",
      "helo_name": "auth.example.org"
    }
    "#);
    let mail = server.mail_to("Ann@example.org").await;
    assert_eq!(mail.sender, "no-reply@localhost");
    assert_snapshot!(mail.message().subject().unwrap_or_default(), @"localhost: Test mail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_mail_that_is_not_taken_says_why_in_one_line() {
    let mut server = SmtpServer::refusing();
    let workspace = sending_to(&server);
    let test = ["mail", "test", "ann@example.org"];
    assert_snapshot!(workspace.run_in_both_forms(&test), @r#"
    exit: 1
    stderr:
    error: the mail was not sent: the conversation with the mail server failed while connecting: Connection refused (os error 111); check [mail] in the configuration, and whether the mail server runs
    exit: 1
    stderr:
    {"error":"the mail was not sent: the conversation with the mail server failed while connecting: Connection refused (os error 111)","hint":"check [mail] in the configuration, and whether the mail server runs"}
    "#);
    server.listen();
    let told = |stage: Stage, fault: Fault| {
        server.always(stage, fault);
        let told = workspace.run_in_both_forms(&test);
        server.heal();
        told
    };
    assert_snapshot!(told(Stage::Greeting, Fault::Answer("421 4.3.2 no time")), @r#"
    exit: 1
    stderr:
    error: the mail was not sent: the mail server answered 421 4.3.2 while waiting for its greeting: "no time"; check [mail] in the configuration, and whether the mail server runs
    exit: 1
    stderr:
    {"error":"the mail was not sent: the mail server answered 421 4.3.2 while waiting for its greeting: \"no time\"","hint":"check [mail] in the configuration, and whether the mail server runs"}
    "#);
    assert_snapshot!(told(Stage::Recipient, Fault::Answer("550 5.1.1 nobody here")), @r#"
    exit: 1
    stderr:
    error: the mail was not sent: the mail server answered 550 5.1.1 while naming the recipient: "nobody here"; see whether the recipient's address is right and the mail server takes mail for it
    exit: 1
    stderr:
    {"error":"the mail was not sent: the mail server answered 550 5.1.1 while naming the recipient: \"nobody here\"","hint":"see whether the recipient's address is right and the mail server takes mail for it"}
    "#);
    assert_snapshot!(told(Stage::End, Fault::Answer("451 4.3.0 later")), @r#"
    exit: 1
    stderr:
    error: the mail was not sent: the mail server answered 451 4.3.0 while sending the mail: "later"; check [mail] in the configuration, and whether the mail server runs
    exit: 1
    stderr:
    {"error":"the mail was not sent: the mail server answered 451 4.3.0 while sending the mail: \"later\"","hint":"check [mail] in the configuration, and whether the mail server runs"}
    "#);
    assert_snapshot!(told(Stage::Content, Fault::Close), @r#"
    exit: 1
    stderr:
    error: the mail was not sent: the whole mail was sent, and the mail server did not say whether it took it: it closed the connection; check [mail] in the configuration, and whether the mail server runs
    exit: 1
    stderr:
    {"error":"the mail was not sent: the whole mail was sent, and the mail server did not say whether it took it: it closed the connection","hint":"check [mail] in the configuration, and whether the mail server runs"}
    "#);
    assert!(server.received().is_empty());
}

#[test]
fn a_test_mail_is_a_file_where_mail_is_files() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["mail", "test", "ann@example.org"]), @"
    exit: 0
    stdout:
    a test mail to ann@example.org was written into <dir>/data/outbox
    ");
    let files: Vec<_> = fs::read_dir(workspace.path().join("data/outbox"))
        .expect("the directory was made")
        .map(|entry| entry.expect("the entry can be read").path())
        .collect();
    let [file] = files.as_slice() else {
        panic!("one file: {files:?}");
    };
    let text = fs::read_to_string(file).expect("the file can be read");
    assert!(text.contains("To: ann@example.org\r\n"), "{text}");
    let mode = fs::metadata(file).expect("the entry exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn without_mail_a_command_that_needs_it_says_how_to_turn_it_on() {
    let workspace = without_mail();
    assert_snapshot!(workspace.run_in_both_forms(&["mail", "test", "ann@example.org"]), @r#"
    exit: 1
    stderr:
    error: mail is off; set mail.transport to "smtp" and mail.smtp_url to your mail server (or mail.transport to "file", to try things out) in the configuration of the server, and name that with --config
    exit: 1
    stderr:
    {"error":"mail is off","hint":"set mail.transport to \"smtp\" and mail.smtp_url to your mail server (or mail.transport to \"file\", to try things out) in the configuration of the server, and name that with --config"}
    "#);
    assert_snapshot!(workspace.run_in_both_forms(&["invite", "create", "--email", "ann@example.org"]), @r#"
    exit: 1
    stderr:
    error: mail is off; set mail.transport to "smtp" and mail.smtp_url to your mail server (or mail.transport to "file", to try things out) in the configuration of the server, and name that with --config
    exit: 1
    stderr:
    {"error":"mail is off","hint":"set mail.transport to \"smtp\" and mail.smtp_url to your mail server (or mail.transport to \"file\", to try things out) in the configuration of the server, and name that with --config"}
    "#);
    // No invite was created either.
    assert_eq!(workspace.json(&["invite", "list"]), serde_json::json!([]));
}

#[test]
fn a_test_mail_needs_an_address() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run_in_both_forms(&["mail", "test", "ann"]), @r#"
    exit: 2
    stderr:
    error: invalid value 'ann' for '<ADDRESS>': it must be one e-mail address such as name@example.org

    For more information, try '--help'.
    exit: 2
    stderr:
    {"error":"invalid value 'ann' for '<ADDRESS>': it must be one e-mail address such as name@example.org","hint":"see: arkloop --help"}
    "#);
}

#[test]
fn an_empty_queue_is_empty() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["mail", "queue"]), @"
    exit: 0
    stderr:
    No mail waits.
    ");
    assert_snapshot!(workspace.run(&["--json", "mail", "queue"]), @"
    exit: 0
    stdout:
    []
    ");
    assert_snapshot!(workspace.run(&["mail", "retry"]), @"
    exit: 0
    stdout:
    no mail waits
    ");
    assert_snapshot!(workspace.run(&["--json", "mail", "retry"]), @r#"
    exit: 0
    stdout:
    {
      "retried": 0
    }
    "#);
}

#[test]
fn what_waits_is_listed_without_what_it_says() {
    let workspace = Workspace::with_database();
    let invite = workspace.json(&["invite", "create", "--email", "ann@example.org"]);
    assert_snapshot!(workspace.run(&["mail", "queue"]), @"
    exit: 0
    stdout:
    KIND    TO               QUEUED                EXPIRES               STATUS   NEXT TRY              TRIES  LAST ERROR
    invite  ann@example.org  <time>  <time>  waiting  <time>  0
    ");
    assert_snapshot!(workspace.run(&["--json", "mail", "queue"]), @r#"
    exit: 0
    stdout:
    [
      {
        "id": "<id>",
        "kind": "invite",
        "to": "ann@example.org",
        "created_at": "<time>",
        "expires_at": "<time>",
        "status": "waiting",
        "next_attempt_at": "<time>",
        "attempts": 0,
        "last_error": null,
        "hint": null
      }
    ]
    "#);
    let code = invite["code"].as_str().expect("a code is a text");
    let queue = workspace.json(&["mail", "queue"]).to_string();
    assert!(!queue.contains(code), "{queue}");
    assert_snapshot!(workspace.run(&["mail", "retry"]), @"
    exit: 0
    stdout:
    1 mail is due now
    stderr:
    No server runs; the next one tries when it starts. See: arkloop mail queue
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_waits_until_the_mail_server_is_back() {
    let mut server = SmtpServer::refusing();
    let workspace = sending_to(&server);
    let _arkloop = workspace.serve();
    let invite = workspace.json(&["invite", "create", "--email", "ann@example.org"]);
    let mail = &workspace.wait_for_attempts(1)[0];
    assert_snapshot!(mail["last_error"].as_str().unwrap_or_default(), @"the conversation with the mail server failed while connecting: Connection refused (os error 111)");
    assert!(
        mail["next_attempt_at"].as_str() > mail["created_at"].as_str(),
        "{mail}"
    );
    server.listen();
    assert_snapshot!(workspace.run(&["--json", "mail", "retry"]), @r#"
    exit: 0
    stdout:
    {
      "retried": 1
    }
    "#);
    let arrived = server.mail_to("ann@example.org").await;
    assert_eq!(arrived.code(), invite["code"].as_str().expect("a code is a text"));
    while workspace.json(&["mail", "queue"]) != serde_json::json!([]) {
        std::thread::yield_now();
    }
    assert_eq!(server.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_refused_for_good_waits_for_the_operator() {
    let server = SmtpServer::start();
    server.once(Stage::Recipient, Fault::Answer("550 5.1.1 nobody here"));
    let workspace = sending_to(&server);
    let _arkloop = workspace.serve();
    workspace.json(&["invite", "create", "--email", "ann@example.org"]);
    let mail = &workspace.wait_for_attempts(1)[0];
    assert_eq!(mail["next_attempt_at"], Value::Null);
    assert_snapshot!(workspace.run(&["mail", "queue"]), @r#"
    exit: 0
    stdout:
    KIND    TO               QUEUED                EXPIRES               STATUS   NEXT TRY  TRIES  LAST ERROR
    invite  ann@example.org  <time>  <time>  refused  never     1      the mail server answered 550 5.1.1 while naming the recipient: "nobody here"
    "#);
    workspace.json(&["mail", "retry"]);
    server.mail_to("ann@example.org").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_cut_off_arrives_once_and_keeps_its_id() {
    let server = SmtpServer::start();
    // The connection closes before the end of the mail, after the mail is accepted but before the answer, and after the answer.
    server.once(Stage::Content, Fault::Close);
    server.once(Stage::Taken, Fault::Close);
    server.once(Stage::Told, Fault::Close);
    let workspace = sending_to(&server);
    let _arkloop = workspace.serve();
    workspace.json(&["invite", "create", "--email", "ann@example.org"]);
    workspace.wait_for_attempts(1);
    workspace.json(&["mail", "retry"]);
    let without_a_word = server.mail_to("ann@example.org").await;
    workspace.wait_for_attempts(2);
    workspace.json(&["mail", "retry"]);
    let with_a_word = server.mail_to("ann@example.org").await;
    assert_eq!(without_a_word.content, with_a_word.content);
    while workspace.json(&["mail", "queue"]) != serde_json::json!([]) {
        std::thread::yield_now();
    }
    assert_eq!(server.received().len(), 2);
}
