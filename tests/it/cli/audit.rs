//! `audit`: the log of what operators and visitors did, read while a server runs.

use std::os::unix::fs::MetadataExt;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::Workspace;

/// A database in which an operator has done everything that changes something.
fn operated() -> Workspace {
    let mut workspace = Workspace::with_database();
    workspace.set("SUDO_USER", "ann");
    let invite = workspace.json(&["invite", "create", "--note", "for Bob"]);
    let code = invite["code"].as_str().expect("a code is a text");
    workspace.create_user("bob");
    for command in [
        &["invite", "revoke", code] as &[&str],
        &["registration", "set", "open"],
        &["user", "set-email", "bob", "bob@example.com"],
        &["user", "verify-email", "bob"],
        &["user", "suspend", "bob"],
        &["user", "reactivate", "bob"],
        &["session", "revoke", "--user", "bob"],
        &["mail", "retry"],
        &["user", "delete", "bob", "--yes"],
    ] {
        let output = workspace.output(command, "");
        assert!(output.status.success(), "{command:?}: {output:?}");
    }
    workspace
}

/// The text without the id of the user who runs the tests.
fn without_uid(workspace: &Workspace, text: &str) -> String {
    let uid = workspace.path().metadata().expect("the entry exists").uid();
    text.replace(&format!("operator {uid}"), "operator <uid>")
        .replace(&format!("\"uid\": {uid}"), "\"uid\": <uid>")
}

#[test]
fn every_command_that_changes_something_is_listed() {
    let workspace = operated();
    let listed = workspace.run(&["audit"]);
    assert_snapshot!(without_uid(&workspace, &listed), @"
    exit: 0
    stdout:
    TIME                  EVENT                RESULT  USER  BY                DETAIL             TRACE ID
    <time>  invite.created       done          operator <uid> (ann)  1 use: for Bob
    <time>  user.created         done    bob   operator <uid> (ann)
    <time>  invite.revoked       done          operator <uid> (ann)  1 use: for Bob
    <time>  registration.set     done          operator <uid> (ann)  open
    <time>  user.email_set       done    bob   operator <uid> (ann)
    <time>  user.email_verified  done    bob   operator <uid> (ann)
    <time>  user.suspended       done    bob   operator <uid> (ann)
    <time>  user.reactivated     done    bob   operator <uid> (ann)
    <time>  session.revoked      done    bob   operator <uid> (ann)  0 of this account
    <time>  mail.retried         done          operator <uid> (ann)  0 waiting
    <time>  user.deleted         done    bob   operator <uid> (ann)
    ");
}

#[test]
fn a_backup_and_a_restore_are_listed() {
    let workspace = Workspace::with_database_file();
    workspace.json(&["backup", "copy.db"]);
    workspace.json(&["restore", "copy.db", "--yes"]);
    workspace.json(&["backup", "another.db"]);
    // The restored log is that of the copy, which was made before the row about the copy itself was written.
    let listed = workspace.run(&["audit"]);
    assert_snapshot!(without_uid(&workspace, &listed), @"
    exit: 0
    stdout:
    TIME                  EVENT            RESULT  USER  BY          DETAIL                      TRACE ID
    <time>  backup.restored  done          operator <uid>
    <time>  backup.made      done          operator <uid>  <dir>/another.db
    ");
}

#[test]
fn an_operator_is_named_as_far_as_the_system_tells() {
    let workspace = operated();
    let listed = workspace.run(&["--json", "audit", "--event", "user.deleted"]);
    assert_snapshot!(without_uid(&workspace, &listed), @r#"
    exit: 0
    stdout:
    [
      {
        "id": 11,
        "at": "<time>",
        "last_at": null,
        "event": "user.deleted",
        "result": "done",
        "reason": null,
        "times": 1,
        "user_id": "<id>",
        "username": "bob",
        "session_id": null,
        "detail": null,
        "ip": null,
        "user_agent": null,
        "trace_id": null,
        "operator": {
          "uid": <uid>,
          "sudo_user": "ann",
          "command": "user delete"
        }
      }
    ]
    "#);
}

#[test]
fn what_visitors_do_is_listed_with_the_true_cause() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let server = workspace.serve();
    server.sign_in("ann");
    for (login, password) in [("ann", "a wrong password"), ("nobody", "a decent password")] {
        let body = json!({"login": login, "password": password});
        let (status, _) = server.request("POST", "/v1/auth/login", None, Some(&body));
        assert_eq!(status, 401);
    }
    assert_snapshot!(workspace.run(&["audit", "--event", "sign_in"]), @"
    exit: 0
    stdout:
    TIME                  EVENT             RESULT                    USER  BY         DETAIL  TRACE ID
    <time>  sign_in.password  done                      ann   127.0.0.1          <trace id>
    <time>  sign_in.password  refused: wrong_password   ann   127.0.0.1          <trace id>
    <time>  sign_in.password  refused: unknown_account        127.0.0.1          <trace id>
    ");
    assert_snapshot!(workspace.run(&["audit", "--user", "nobody"]), @"
    exit: 0
    stdout:
    TIME                  EVENT             RESULT                    USER  BY         DETAIL  TRACE ID
    <time>  sign_in.password  refused: unknown_account        127.0.0.1          <trace id>
    ");
    assert_snapshot!(workspace.run(&["audit", "--user", "ann", "--limit", "1", "--since", "1h"]), @"
    exit: 0
    stdout:
    TIME                  EVENT             RESULT                   USER  BY         DETAIL  TRACE ID
    <time>  sign_in.password  refused: wrong_password  ann   127.0.0.1          <trace id>
    stderr:
    2 more; go on with --before 3
    ");
    let listed = workspace.json(&["audit", "--event", "sign_in.password"]);
    let reasons: Vec<&Value> = listed
        .as_array()
        .expect("the value is a list")
        .iter()
        .map(|row| &row["reason"])
        .collect();
    assert_eq!(
        reasons,
        [&Value::Null, &json!("wrong_password"), &json!("unknown_account")]
    );
}

#[test]
fn a_follower_sees_rows_as_lines_of_json_as_they_come() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let mut follower = workspace.follow(&["audit", "--follow", "--event", "user"]);
    let line = follower.line();
    assert_eq!(
        (&line["event"], &line["username"]),
        (&json!("user.created"), &json!("ann"))
    );
    workspace.create_user("bob");
    assert_eq!(follower.line()["username"], "bob");
    assert_eq!(follower.interrupt().code(), Some(0));
}

#[test]
fn a_follower_ends_when_nobody_reads_any_more() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let mut follower = workspace.follow(&["audit", "--follow"]);
    follower.line();
    follower.close();
    workspace.create_user("bob");
    assert_eq!(follower.wait().code(), Some(0));
}

#[test]
fn wrong_usage_of_audit_is_told() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["audit", "--event", "sign"]), @"
    exit: 2
    stderr:
    error: invalid value 'sign' for '--event <EVENT>': it must be one of these:
      account, account.displaced, account.taken_back, account.deleted, account.exported
      backup, backup.made, backup.restored
      captcha, captcha.refused
      code, code.sent
      email, email.verification_sent, email.verified, email.rejected, email.change_requested, email.changed, email.change_cancelled, email.change_undone
      invite, invite.created, invite.revoked
      key, key.rotated, key.file_replaced, key.file_reset
      mail, mail.retried
      password, password.changed, password.reset_sent, password.reset
      profile, profile.changed
      refresh, refresh.reused, refresh.ahead, refresh.repeated, refresh.refused
      register
      registration, registration.set
      session, session.ended, session.revoked
      sign_in, sign_in.password, sign_in.code
      sign_out
      throttled
      user, user.created, user.link_created, user.password_set, user.email_set, user.email_verified, user.suspended, user.reactivated, user.deleted

    For more information, try '--help'.
    ");
    assert_snapshot!(workspace.run_in_both_forms(&["audit", "--since", "yesterday"]), @r#"
    exit: 2
    stderr:
    error: invalid value 'yesterday' for '--since <TIME>': it must be a time such as 30m, 1h or 7d

    For more information, try '--help'.
    exit: 2
    stderr:
    {"error":"invalid value 'yesterday' for '--since <TIME>': it must be a time such as 30m, 1h or 7d","hint":"see: arkloop --help"}
    "#);
    assert_snapshot!(workspace.run_in_both_forms(&["audit", "--user", "no name"]), @r#"
    exit: 1
    stderr:
    error: there is no user "no name"; give a username, an e-mail address or an id; see: arkloop user list
    exit: 1
    stderr:
    {"error":"there is no user \"no name\"","hint":"give a username, an e-mail address or an id; see: arkloop user list"}
    "#);
    assert_snapshot!(workspace.run(&["audit", "--user", "nobody"]), @"
    exit: 0
    stderr:
    Nothing of this is in the audit log.
    ");
}
