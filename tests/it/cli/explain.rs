//! `explain`: the true cause of every refusal, in words.

use arkloop::domain::{AuditReason, InviteUses};
use arkloop::service::{InviteDraft, UserRef};
use insta::assert_snapshot;
use serde_json::json;

use crate::support::{PASSWORD, TestApp, Workspace, registration};

/// The texts of `explain`, without the times and the trace ids.
fn told(workspace: &Workspace, subject: &str) -> String {
    let document = workspace.json(&["explain", subject]);
    let lines = document["timeline"]
        .as_array()
        .expect("the value is a list")
        .iter();
    let lines = lines.map(|line| line["text"].as_str().expect("the value is a text"));
    let now = document["now"].as_array().expect("the value is a list").iter();
    let now = now.map(|text| text.as_str().expect("the value is a text"));
    // This line has the time of the machine.
    let now = now.filter(|text| !text.starts_with("The next code can be mailed at"));
    let told = lines.chain(now).collect::<Vec<_>>().join("\n");
    // The line about a session has the time at which the session began.
    let (first, rest) = told.split_once("begun at ").unwrap_or((&told, ""));
    let rest = rest.split_once(", last used").map(|(_, rest)| rest);
    rest.map_or(first.to_owned(), |rest| {
        format!("{first}begun at <time>, last used{rest}")
    })
}

/// A server whose commands read the same clock.
async fn start() -> TestApp {
    TestApp::builder().open().machine_clock().start().await
}

#[tokio::test]
async fn a_failed_sign_in_is_explained() {
    let app = start().await;
    app.register("alice").await;
    app.login("alice", "a wrong password").await;
    app.login("alicia", PASSWORD).await;
    app.service()
        .suspend(UserRef::parse("alice"))
        .await
        .expect("the account exists");
    app.login("alice", PASSWORD).await;
    assert_snapshot!(told(app.workspace(), "alice"), @"
    Registered and signed in; from 127.0.0.1.
    A sign-in by password was refused: the password was wrong; from 127.0.0.1.
    The account was suspended; all sessions ended; by the operator.
    The session begun at <time>, last used from 127.0.0.0/24 ended: the operator suspended the account. Its tokens are refused since then.
    A sign-in by password was refused: the account is suspended, although everything else was right; from 127.0.0.1.
    The account is suspended; lift it with: arkloop user reactivate.
    The address was never verified.
    The account is signed in nowhere.
    ");
    assert_snapshot!(told(app.workspace(), "alicia"), @"
    A sign-in by password was refused: no account has the name or address that was typed; from 127.0.0.1.
    No account has this name.
    ");
    assert_snapshot!(told(app.workspace(), "127.0.0.1"), @"
    Registered and signed in; from 127.0.0.1; as alice.
    A sign-in by password was refused: the password was wrong; from 127.0.0.1; as alice.
    A sign-in by password was refused: no account has the name or address that was typed; from 127.0.0.1.
    A sign-in by password was refused: the account is suspended, although everything else was right; from 127.0.0.1; as alice.
    ");
}

#[tokio::test]
async fn a_code_that_did_not_work_is_explained() {
    let app = start().await;
    app.register("alice").await;
    app.verify_code("alice@example.org", "000000").await;
    app.send_code("alice@example.org").await;
    app.send_code("alice@example.org").await;
    for _ in 0..6 {
        app.verify_code("alice@example.org", "no code").await;
    }
    assert_snapshot!(told(app.workspace(), "alice@example.org"), @"
    Registered and signed in; from 127.0.0.1.
    A sign-in by a mailed code was refused: no code had been asked for, or not lately; from 127.0.0.1.
    A code to sign in was mailed; from 127.0.0.1.
    No code was mailed: mail was asked for too often: allowed are 5 in an hour, 10 in a day, and 1 minute between two; from 127.0.0.1.
    A sign-in by a mailed code was refused: the code was wrong; from 127.0.0.1.
    A sign-in by a mailed code was refused: the code was wrong; from 127.0.0.1.
    A sign-in by a mailed code was refused: the code was wrong; from 127.0.0.1.
    A sign-in by a mailed code was refused: the code was wrong; from 127.0.0.1.
    A sign-in by a mailed code was refused: the code was wrong; from 127.0.0.1.
    A sign-in by a mailed code was refused: 5 wrong codes had been tried, so this code is void even if it was right; a new one helps; from 127.0.0.1.
    The address was never verified.
    The account is signed in once.
    ");
}

#[tokio::test]
async fn a_session_that_ended_is_explained() {
    let app = TestApp::builder()
        .open()
        .machine_clock()
        .set("TOKENS__REFRESH_GRACE", "0s")
        .start()
        .await;
    let first = app.register("alice").await;
    app.refresh(&first.cookie()).await;
    assert_eq!(app.refresh(&first.cookie()).await.status, 401);
    app.login("alice", PASSWORD).await;
    app.service()
        .revoke_sessions_of(UserRef::parse("alice"))
        .await
        .expect("it is there");
    assert_snapshot!(told(app.workspace(), "alice"), @"
    Registered and signed in; from 127.0.0.1.
    A session ended, because an old sign-in cookie came back that a newer one had replaced: somebody may have a copy of it; its successor was never used; from 127.0.0.1.
    Signed in by password; from 127.0.0.1.
    Sessions were ended; 1 of this account; by the operator.
    The session begun at <time>, last used from 127.0.0.0/24 ended: the operator ended it. Its tokens are refused since then.
    The address was never verified.
    The account is signed in nowhere.
    ");
}

#[tokio::test]
async fn a_refused_invite_and_a_limit_are_explained() {
    let app = TestApp::builder().machine_clock().start().await;
    let mut body = registration("alice");
    app.post("/v1/auth/register").json(&body).send().await;
    body["invite_code"] = json!("ABCD-EFGH-JKMN-PQRS");
    app.post("/v1/auth/register").json(&body).send().await;
    let draft = InviteDraft {
        max_uses: InviteUses::new(1).expect("it is a number of uses"),
        expires_in: Some(std::time::Duration::ZERO),
        note: None,
        mail_to: None,
        locale: None,
    };
    let expired = app
        .service()
        .create_invites(&draft, std::num::NonZeroU16::MIN)
        .await
        .expect("it is made");
    body["invite_code"] = json!(expired[0].code.reveal());
    app.post("/v1/auth/register").json(&body).send().await;
    let client = arkloop::domain::Client::new(
        Some([203, 0, 113, 7].into()),
        None,
        arkloop::domain::TraceId([0; 16]),
    );
    for _ in 0..3 {
        app.service().note_throttled(&client, AuditReason::AddressLimit);
    }
    app.service().flush_audit().await.expect("it is written");
    assert_snapshot!(told(app.workspace(), "alice@example.org"), @"
    A registration was refused: an invite is needed, and none was given; from 127.0.0.1.
    A registration was refused: there is no such invite; its code may have been mistyped; from 127.0.0.1.
    A registration was refused: the invite was too old; from 127.0.0.1.
    No account has this name.
    ");
    assert_snapshot!(told(app.workspace(), "203.0.113.7"), @"Requests were refused: too many requests came from this address in a short time; from 203.0.113.7; 3 times.");
}

#[tokio::test]
async fn what_still_has_to_wait_is_told_with_the_end_of_it() {
    let app = start().await;
    app.register("alice").await;
    for login in ["alice", "alicia"] {
        assert_eq!(app.login(login, "a wrong password").await.status, 401);
    }
    app.send_code("alice@example.org").await;
    let guess_more = |length: u32, where_from: &str| {
        app.change(&format!(
            "UPDATE password_failures SET length = {length} WHERE {where_from}"
        ));
    };
    // So many failures make the next try wait for a minute.
    guess_more(11, "network <> x''");
    let waits = |subject: &str| {
        let told = app.workspace().run(&["explain", subject]);
        let now = told.lines().filter_map(|line| line.strip_prefix("now"));
        now.map(str::trim).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(waits("alice"), @"
    The address was never verified.
    The next code can be mailed at <time>, because others were mailed before.
    After wrong passwords, 127.0.0.1 may try a password again at <time>; a mailed code helps at once.
    The account is signed in once.
    ");
    assert_snapshot!(waits("alicia"), @"
    No account has this name.
    After wrong passwords, 127.0.0.1 may try a password again at <time>; a mailed code helps at once.
    ");
    assert_snapshot!(waits("127.0.0.1"), @"After wrong passwords, 127.0.0.1 may try a password of alice again at <time>; a mailed code helps at once.");
    guess_more(100, "network = x''");
    assert_snapshot!(waits("alice"), @"
    The address was never verified.
    The next code can be mailed at <time>, because others were mailed before.
    After 100 wrong passwords in a row, a password may be tried again at <time>, and at once from where the account was signed in during the last 30 days; a mailed code helps too.
    The account is signed in once.
    ");
    assert_snapshot!(waits("127.0.0.1"), @"After 100 wrong passwords in a row, a password of alice may be tried again at <time>, and at once from where the account was signed in during the last 30 days; a mailed code helps too.");
}

#[test]
fn what_is_told_to_people_has_times_and_trace_ids() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let server = workspace.serve();
    let body = json!({"login": "ann", "password": "a wrong password"});
    server.request("POST", "/v1/auth/login", None, Some(&body));
    assert_snapshot!(workspace.run_in_both_forms(&["explain", "ann"]), @r#"
    exit: 0
    stdout:
    <time>  The account was made; by the operator.
    <time>  A sign-in by password was refused: the password was wrong; from 127.0.0.1. [<trace id>]
    now                   The address was never verified.
    now                   The account is signed in nowhere.
    exit: 0
    stdout:
    {
      "timeline": [
        {
          "at": "<time>",
          "text": "The account was made; by the operator.",
          "trace_id": null
        },
        {
          "at": "<time>",
          "text": "A sign-in by password was refused: the password was wrong; from 127.0.0.1.",
          "trace_id": "<trace id>"
        }
      ],
      "now": [
        "The address was never verified.",
        "The account is signed in nowhere."
      ]
    }
    "#);
    assert_snapshot!(workspace.run_in_both_forms(&["explain", "no name"]), @r#"
    exit: 1
    stderr:
    error: there is no user "no name"; give a username, an e-mail address or an id; see: arkloop user list
    exit: 1
    stderr:
    {"error":"there is no user \"no name\"","hint":"give a username, an e-mail address or an id; see: arkloop user list"}
    "#);
}

#[test]
fn numbers_are_those_of_the_server_and_only_ways_that_exist_are_named() {
    let mut workspace = Workspace::with_database();
    workspace.create_user("ann");
    workspace
        .set("ARKLOOP_RATE_LIMIT__WRONG_PASSWORDS_PER_ACCOUNT", "3/2h")
        .set("ARKLOOP_OTP__ENABLED", "false");
    let server = workspace.serve();
    let guess = || {
        let body = json!({"login": "ann", "password": "a wrong password"});
        server.request("POST", "/v1/auth/login", None, Some(&body)).0
    };
    assert_eq!(guess(), 401);
    workspace
        .database()
        .change("UPDATE password_failures SET length = 3 WHERE network = x''");
    assert_eq!(guess(), 429);
    // The command gets a configuration that differs from the server's.
    workspace
        .set("ARKLOOP_RATE_LIMIT__WRONG_PASSWORDS_PER_ACCOUNT", "100/15m")
        .set("ARKLOOP_OTP__ENABLED", "true");
    assert_snapshot!(workspace.run(&["explain", "ann"]), @"
    exit: 0
    stdout:
    <time>  The account was made; by the operator.
    <time>  A sign-in by password was refused: the password was wrong; from 127.0.0.1. [<trace id>]
    now                   The address was never verified.
    now                   After 3 wrong passwords in a row, a password may be tried again at <time>, and at once from where the account was signed in during the last 30 days; setting another password through a mailed link helps too.
    now                   The account is signed in nowhere.
    ");
    drop(server);
    workspace
        .set("ARKLOOP_RATE_LIMIT__WRONG_PASSWORDS_PER_ACCOUNT", "3/2h")
        .set("ARKLOOP_MAIL__TRANSPORT", "off");
    let _server = workspace.serve();
    workspace.set("ARKLOOP_MAIL__TRANSPORT", "file");
    assert_snapshot!(workspace.run(&["explain", "ann"]), @r#"
    exit: 0
    stdout:
    <time>  The account was made; by the operator.
    <time>  A sign-in by password was refused: the password was wrong; from 127.0.0.1. [<trace id>]
    now                   The address was never verified.
    now                   After 3 wrong passwords in a row, a password may be tried again at <time>, and at once from where the account was signed in during the last 30 days; `arkloop user set-password` helps too.
    now                   The account is signed in nowhere.
    stderr:
    warning: mail.transport is "file" here, but the server last ran with "off"; the server's is used, except by mail test (--config names its configuration)
    "#);
}

#[test]
fn an_address_of_which_nothing_is_known_is_told_as_that() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run_in_both_forms(&["explain", "203.0.113.9"]), @r#"
    exit: 0
    stdout:
    now  The audit log has nothing that came from 203.0.113.9.
    exit: 0
    stdout:
    {
      "timeline": [],
      "now": [
        "The audit log has nothing that came from 203.0.113.9."
      ]
    }
    "#);
}
