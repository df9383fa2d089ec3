//! `session …`, beside a running server.

use insta::assert_snapshot;

use crate::support::Workspace;

#[test]
fn sessions_are_listed() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    assert_snapshot!(workspace.run(&["session", "list", "ann"]), @"
    exit: 0
    stderr:
    This user has no sessions.
    ");
    let server = workspace.serve();
    server.sign_in("ann");
    assert_snapshot!(workspace.run(&["session", "list", "ann"]), @"
    exit: 0
    stdout:
    ID                                    BEGAN                 LAST USED             ENDED  ADDRESS    USER AGENT  LAST NETWORK
    <id>  <time>  <time>         127.0.0.1  a test      127.0.0.0/24
    ");
    assert_snapshot!(workspace.run(&["--json", "session", "list", "ann"]), @r#"
    exit: 0
    stdout:
    [
      {
        "id": "<id>",
        "current": false,
        "created_at": "<time>",
        "last_used_at": "<time>",
        "ip": "127.0.0.1",
        "user_agent": "a test",
        "user_id": "<id>",
        "ended_at": null,
        "ended_because": null,
        "last_network": "127.0.0.0/24",
        "last_user_agent": "a test"
      }
    ]
    "#);
}

#[test]
fn a_revoked_session_is_listed_with_the_reason() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let server = workspace.serve();
    server.sign_in("ann");
    let id = workspace.json(&["session", "list", "ann"])[0]["id"]
        .as_str()
        .map(str::to_owned);
    let id = id.expect("an id is a text");
    assert_snapshot!(workspace.run(&["session", "revoke", &id]), @"
    exit: 0
    stdout:
    1 session ended
    ");
    assert_snapshot!(workspace.run(&["session", "revoke", &id]), @"
    exit: 1
    stderr:
    error: there is no such session; it may have ended already; see: arkloop session list USER
    ");
    assert_snapshot!(workspace.run(&["session", "list", "ann"]), @"
    exit: 0
    stdout:
    ID                                    BEGAN                 LAST USED             ENDED                           ADDRESS    USER AGENT  LAST NETWORK
    <id>  <time>  <time>  <time> (revoked)  127.0.0.1  a test      127.0.0.0/24
    ");
    assert_snapshot!(workspace.run(&["--json", "session", "list", "ann"]), @r#"
    exit: 0
    stdout:
    [
      {
        "id": "<id>",
        "current": false,
        "created_at": "<time>",
        "last_used_at": "<time>",
        "ip": "127.0.0.1",
        "user_agent": "a test",
        "user_id": "<id>",
        "ended_at": "<time>",
        "ended_because": "revoked",
        "last_network": "127.0.0.0/24",
        "last_user_agent": "a test"
      }
    ]
    "#);
}

#[test]
fn a_revoked_session_is_refused_by_the_running_server_at_once() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    workspace.create_user("ben");
    let server = workspace.serve();
    let [ann, again, ben] = ["ann", "ann", "ben"].map(|login| server.sign_in(login));
    let status = |token: &str| server.request("GET", "/v1/me", Some(token), None).0;
    assert_eq!([status(&ann), status(&again), status(&ben)], [200, 200, 200]);
    assert_snapshot!(workspace.run(&["--json", "session", "revoke", "--user", "ann"]), @r#"
    exit: 0
    stdout:
    {
      "revoked": 2
    }
    "#);
    assert_eq!([status(&ann), status(&again), status(&ben)], [401, 401, 200]);
    assert_snapshot!(workspace.run(&["session", "revoke", "--all"]), @"
    exit: 0
    stdout:
    1 session ended
    ");
    assert_eq!(status(&ben), 401);
}

#[test]
fn the_sessions_of_nobody_are_refused() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["session", "list", "ann"]), @r#"
    exit: 1
    stderr:
    error: there is no user "ann"; give a username, an e-mail address or an id; see: arkloop user list
    "#);
    assert_snapshot!(workspace.run_in_both_forms(&["session", "revoke", "01980000-0000-7000-8000-000000000000"]), @r#"
    exit: 1
    stderr:
    error: there is no such session; it may have ended already; see: arkloop session list USER
    exit: 1
    stderr:
    {"error":"there is no such session","hint":"it may have ended already; see: arkloop session list USER"}
    "#);
    assert_snapshot!(workspace.run_in_both_forms(&["session", "revoke", "ann"]), @r#"
    exit: 2
    stderr:
    error: invalid value 'ann' for '[ID]': it must be an id as `arkloop session list` prints it

    For more information, try '--help'.
    exit: 2
    stderr:
    {"error":"invalid value 'ann' for '[ID]': it must be an id as `arkloop session list` prints it","hint":"see: arkloop --help"}
    "#);
}
