//! The output of commands on terminals of several widths, and in a pipe.

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::Workspace;

/// A database with a few rows for each command that lists something.
fn furnished() -> Workspace {
    let workspace = Workspace::with_database();
    let ann = workspace.create_user("ann");
    workspace.create_user("a.rather-long_name.of.31.letters");
    workspace.json(&["invite", "create", "--note", "\u{8fd9}\u{662f}\u{7ed9}\u{5b89}\u{7684}\u{9080}\u{8bf7}\u{ff0c}\u{8bf7}\u{5728}\u{4e03}\u{5929}\u{4e4b}\u{5185}\u{4f7f}\u{7528}\u{5b83}"]);
    workspace.json(&["user", "suspend", &ann]);
    workspace
}

#[test]
fn nothing_breaks_inside_a_word_an_id_or_a_time_on_terminals_of_80_and_40_columns() {
    let workspace = furnished();
    let id = workspace.json(&["user", "list"])[0]["id"]
        .as_str()
        .map(str::to_owned);
    let id = id.expect("an id is a text");
    for arguments in [
        &["user", "list"][..],
        &["user", "show", "ann"],
        &["invite", "list"],
        &["audit"],
        &["explain", "ann"],
        &["check"],
        &["mail", "queue"],
        &["user", "show", "somebody-who-is-not-there-at-all"],
        &["audit", "--event", "foo"],
    ] {
        for columns in [40, 80, 90, 300] {
            let screen = workspace.look_at_a_terminal(columns, arguments);
            screen.fits();
            if arguments == ["user", "list"] {
                assert!(screen.text().contains(&id), "{}", screen.text());
            }
        }
    }
}

#[test]
fn a_question_ends_its_lines_between_words() {
    let screen = furnished().look_at_a_terminal(40, &["user", "delete", "ann"]);
    let question = "Really delete ann <ann@example.org>?\nThis cannot be undone. [y/N] ";
    assert!(screen.text().contains(question), "{}", screen.text());
}

#[test]
fn a_narrow_terminal_has_a_block_for_each_record() {
    let workspace = furnished();
    let screen = |columns, arguments| workspace.look_at_a_terminal(columns, arguments).redacted();
    let list: &[&str] = &["user", "list", "--limit", "1"];
    assert_snapshot!(screen(80, list), @"
    username:  ann
    e-mail:    ann@example.org
    status:    suspended
    sessions:  0
    created:   <ago>
    id:        <id>
    1 more; go on with --after <id>
    ");
    assert_snapshot!(screen(40, list), @"
    username:  ann
    e-mail:    ann@example.org
    status:    suspended
    sessions:  0
    created:   <ago>
    id:
      <id>
    1 more; go on with --after
    <id>
    ");
    assert_snapshot!(screen(120, list), @"
    USERNAME  E-MAIL           STATUS     SESSIONS  CREATED  ID
    ann       ann@example.org  suspended  0         <ago>  <id>
    1 more; go on with --after <id>
    ");
    assert_snapshot!(screen(40, &["invite", "list"]), @"
    code:     <code>
    status:   active
    uses:     0/1
    expires:  in 7 days
    note:     这是给安的邀请，请在七天之内使
              用它
    ");
}

#[test]
fn a_refusal_ends_its_lines_between_words() {
    let workspace = Workspace::with_database();
    let screen = |columns, arguments| workspace.look_at_a_terminal(columns, arguments).redacted();
    assert_snapshot!(screen(40, &["user", "show", "nobody"]), @r#"
    error: there is no user "nobody"; give a
    username, an e-mail address or an id;
    see: arkloop user list
    "#);
    assert_snapshot!(screen(60, &["audit", "--event", "foo"]), @"
    error: invalid value 'foo' for '--event <EVENT>': it must be
    one of these:
      account, account.displaced, account.taken_back,
      account.deleted, account.exported
      backup, backup.made, backup.restored
      captcha, captcha.refused
      code, code.sent
      email, email.verification_sent, email.verified,
      email.rejected, email.change_requested, email.changed,
      email.change_cancelled, email.change_undone
      invite, invite.created, invite.revoked
      key, key.rotated, key.file_replaced, key.file_reset
      mail, mail.retried
      password, password.changed, password.reset_sent,
      password.reset
      profile, profile.changed
      refresh, refresh.reused, refresh.ahead, refresh.repeated,
      refresh.refused
      register
      registration, registration.set
      session, session.ended, session.revoked
      sign_in, sign_in.password, sign_in.code
      sign_out
      throttled
      user, user.created, user.link_created, user.password_set,
      user.email_set, user.email_verified, user.suspended,
      user.reactivated, user.deleted

    For more information, try '--help'.
    ");
}

#[test]
fn a_list_is_read_in_parts_each_behind_the_last_row_of_the_one_before() {
    let workspace = Workspace::with_database();
    for login in ["ann", "ben", "cleo"] {
        workspace.create_user(login);
    }
    workspace.json(&["invite", "create", "--count", "3"]);
    let lists: [(&[&str], &str); 2] = [(&["user", "list"], "id"), (&["invite", "list"], "code")];
    for (list, cursor) in lists {
        let whole = workspace.json(list);
        let mut parts: Vec<Value> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let place = after.iter().flat_map(|after| ["--after", after]);
            let arguments: Vec<&str> = list
                .iter()
                .copied()
                .chain(["--limit", "2"])
                .chain(place)
                .collect();
            let part = workspace.json(&arguments);
            let rows = part.as_array().expect("a list is an array");
            let Some(last) = rows.last() else { break };
            after = last[cursor].as_str().map(str::to_owned);
            parts.extend(rows.iter().cloned());
        }
        assert_eq!(Value::Array(parts), whole, "{list:?}");
    }
}

#[test]
fn the_audit_log_is_read_in_parts_forwards_and_backwards() {
    let workspace = Workspace::with_database();
    for login in ["ann", "ben", "cleo"] {
        workspace.create_user(login);
    }
    let ids = |arguments: &[&str]| {
        let rows = workspace.json(&[&["audit"], arguments].concat());
        let rows = rows.as_array().expect("a list is an array").clone();
        rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]), [1, 2, 3]);
    assert_eq!(ids(&["--limit", "2"]), [2, 3]);
    assert_eq!(ids(&["--limit", "2", "--before", "2"]), [1]);
    assert_eq!(ids(&["--limit", "2", "--after", "0"]), [1, 2]);
    assert_eq!(ids(&["--limit", "2", "--after", "2"]), [3]);
    assert_eq!(ids(&["--after", "3"]), Vec::<i64>::new());
    assert_snapshot!(workspace.run(&["--json", "audit", "--limit", "1", "--event", "user"]), @r#"
    exit: 0
    stdout:
    [
      {
        "id": 3,
        "at": "<time>",
        "last_at": null,
        "event": "user.created",
        "result": "done",
        "reason": null,
        "times": 1,
        "user_id": "<id>",
        "username": "cleo",
        "session_id": null,
        "detail": null,
        "ip": null,
        "user_agent": null,
        "trace_id": null,
        "operator": {
          "uid": 0,
          "sudo_user": null,
          "command": "user create"
        }
      }
    ]
    stderr:
    {"more":2,"at_least":false,"before":"3"}
    "#);
    assert_snapshot!(workspace.run(&["audit", "--after", "4"]), @"
    exit: 1
    stderr:
    error: the list has nothing with the id 4, so it cannot go on behind it; it may have been removed meanwhile; give the id of another row, or begin again without --after
    ");
}

#[test]
fn a_list_that_is_cut_says_how_many_rows_follow_and_how_to_see_them() {
    let workspace = Workspace::with_database();
    workspace.json(&["invite", "create", "--count", "101"]);
    let shown = workspace.look_at_a_terminal(80, &["invite", "list"]);
    assert_eq!(shown.text().matches("status:").count(), 100);
    let codes = workspace.json(&["invite", "list"]);
    assert_eq!(codes.as_array().map(Vec::len), Some(101));
    let cut = workspace.output(&["--json", "invite", "list", "--limit", "100"], "");
    let more: Value = serde_json::from_slice(&cut.stderr).expect("it is JSON");
    assert_eq!(more["more"], 1);
    let last = more["after"].as_str().expect("it is an id");
    let note = format!("1 more; go on with --after {last}\n");
    assert!(shown.text().ends_with(&note), "{}", shown.text());
    let rest = workspace.json(&["invite", "list", "--after", last]);
    assert_eq!(rest[0], codes[100]);
}

#[test]
fn a_list_does_not_go_on_behind_what_it_does_not_have() {
    let workspace = Workspace::with_database();
    let ann = workspace.create_user("ann");
    let stranger = "01980000-0000-7000-8000-00000000abcd";
    let refused = workspace.run(&["user", "list", "--after", stranger]);
    assert_snapshot!(refused, @"
    exit: 1
    stderr:
    error: the list has nothing with the id <id>, so it cannot go on behind it; it may have been removed meanwhile; give the id of another row, or begin again without --after
    ");
    for list in [&["session", "list", "ann"][..], &["invite", "list"]] {
        assert_eq!(workspace.run(&[list, &["--after", stranger]].concat()), refused);
    }
    assert_snapshot!(workspace.run(&["user", "list", "--after", "ann"]), @"
    exit: 2
    stderr:
    error: invalid value 'ann' for '--after <ID>': it must be an id as `arkloop user list` prints it

    For more information, try '--help'.
    ");
    assert_snapshot!(workspace.run(&["invite", "list", "--after", "ABCD-EFGH-JKMN-PQRS"]), @"
    exit: 1
    stderr:
    error: there is no invite with this code; see: arkloop invite list --all
    ");
    assert_snapshot!(workspace.run(&["user", "list", "--after", &ann]), @"
    exit: 0
    stderr:
    No account follows.
    ");
}
