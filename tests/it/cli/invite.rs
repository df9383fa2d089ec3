//! `invite …`

use std::collections::BTreeSet;

use insta::assert_snapshot;

use crate::support::Workspace;

fn code_of(invite: &serde_json::Value) -> &str {
    invite["code"].as_str().expect("a code is a text")
}

#[test]
fn an_invite_is_a_code_on_a_line_of_its_own() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["invite", "create"]), @"
    exit: 0
    stdout:
    <code>
    http://localhost:8080/register?invite=<code>
    stderr:
    It admits one account until <time>.
    ");
    assert_snapshot!(workspace.run(&["--json", "invite", "create", "--uses", "5", "--note", "the band"]), @r#"
    exit: 0
    stdout:
    {
      "code": "<code>",
      "link": "http://localhost:8080/register?invite=<code>",
      "uses": 0,
      "max_uses": 5,
      "status": "active",
      "note": "the band",
      "created_at": "<time>",
      "expires_at": "<time>",
      "revoked_at": null
    }
    "#);
    assert_snapshot!(workspace.run(&["invite", "create", "--never-expires", "--uses", "2"]), @"
    exit: 0
    stdout:
    <code>
    http://localhost:8080/register?invite=<code>
    stderr:
    It admits 2 accounts and never expires.
    ");
}

#[test]
fn many_invites_are_made_at_once() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["invite", "create", "--count", "2"]), @"
    exit: 0
    stdout:
    <code>  http://localhost:8080/register?invite=<code>
    <code>  http://localhost:8080/register?invite=<code>
    stderr:
    Each admits one account until <time>.
    ");
    assert_snapshot!(workspace.run(&["--json", "invite", "create", "--count", "1"]), @r#"
    exit: 0
    stdout:
    [
      {
        "code": "<code>",
        "link": "http://localhost:8080/register?invite=<code>",
        "uses": 0,
        "max_uses": 1,
        "status": "active",
        "note": null,
        "created_at": "<time>",
        "expires_at": "<time>",
        "revoked_at": null
      }
    ]
    "#);
    let made = workspace.json(&["invite", "create", "--count", "1000", "--note", "the fair"]);
    let codes: BTreeSet<&str> = made
        .as_array()
        .expect("the value is a list")
        .iter()
        .map(code_of)
        .collect();
    assert_eq!(codes.len(), 1000);
    let listed = workspace.json(&["invite", "list"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(1003));
    for count in ["0", "1001", "x"] {
        let output = workspace.output(&["invite", "create", "--count", count], "");
        assert_eq!(output.status.code(), Some(2), "{count}");
    }
    assert_snapshot!(workspace.run_in_both_forms(&["invite", "create", "--count", "2", "--email", "ann@example.org"]), @r#"
    exit: 2
    stderr:
    error: the argument '--count <N>' cannot be used with '--email <ADDRESS>'

    Usage: arkloop invite create --count <N>

    For more information, try '--help'.
    exit: 2
    stderr:
    {"error":"the argument '--count <N>' cannot be used with '--email <ADDRESS>'","hint":"Usage: arkloop invite create --count <N>"}
    "#);
}

#[test]
fn an_invite_has_no_link_where_there_is_no_page_for_it() {
    let mut workspace = Workspace::with_database();
    workspace.set("ARKLOOP_SERVER__PAGES", "false");
    assert_snapshot!(workspace.run(&["-q", "invite", "create"]), @"
    exit: 0
    stdout:
    <code>
    ");
    assert_eq!(
        workspace.json(&["invite", "create"])["link"],
        serde_json::Value::Null
    );
}

#[test]
fn the_link_of_an_invite_leads_to_the_app() {
    let mut workspace = Workspace::with_database();
    workspace.set("ARKLOOP_SERVER__APP_URL", "https://app.example.org");
    assert_snapshot!(workspace.run(&["-q", "invite", "create"]), @"
    exit: 0
    stdout:
    <code>
    https://app.example.org/register?invite=<code>
    ");
    let invite = workspace.json(&["invite", "create"]);
    let link = format!("https://app.example.org/register?invite={}", code_of(&invite));
    assert_eq!(invite["link"], link.as_str());
}

#[test]
fn an_invite_is_mailed_as_well() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["invite", "create", "--email", "ann@example.org"]), @"
    exit: 0
    stdout:
    <code>
    http://localhost:8080/register?invite=<code>
    stderr:
    It admits one account until <time>.
    A mail with it to ann@example.org is queued: the server writes it into <dir>/data/outbox while it runs and sends nothing, because mail.transport is file
    ");
    assert_snapshot!(workspace.run(&["--json", "invite", "create", "--email", "Ben@Example.org"]), @r#"
    exit: 0
    stdout:
    {
      "code": "<code>",
      "link": "http://localhost:8080/register?invite=<code>",
      "uses": 0,
      "max_uses": 1,
      "status": "active",
      "note": null,
      "created_at": "<time>",
      "expires_at": "<time>",
      "revoked_at": null
    }
    "#);
    let queue = workspace.json(&["mail", "queue"]);
    let waits: Vec<_> = queue
        .as_array()
        .expect("the value is a list")
        .iter()
        .map(|mail| format!("{} to {}", mail["kind"], mail["to"]))
        .collect();
    assert_snapshot!(waits.join(", "), @r#""invite" to "ann@example.org", "invite" to "Ben@example.org""#);
    assert_snapshot!(workspace.run_in_both_forms(&["invite", "create", "--email", "ann"]), @r#"
    exit: 2
    stderr:
    error: invalid value 'ann' for '--email <ADDRESS>': it must be one e-mail address such as name@example.org

    For more information, try '--help'.
    exit: 2
    stderr:
    {"error":"invalid value 'ann' for '--email <ADDRESS>': it must be one e-mail address such as name@example.org","hint":"see: arkloop --help"}
    "#);
}

#[test]
fn invites_are_listed_newest_first_and_only_those_that_admit_somebody() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["invite", "list"]), @"
    exit: 0
    stderr:
    No invite can be used now; see the others with --all.
    ");
    assert_snapshot!(workspace.run(&["--json", "invite", "list"]), @"
    exit: 0
    stdout:
    []
    ");
    let first = workspace.json(&["invite", "create", "--note", "first"]);
    workspace.json(&["invite", "create", "--note", "second", "--never-expires"]);
    workspace.json(&["invite", "revoke", code_of(&first)]);
    assert_snapshot!(workspace.run(&["invite", "list"]), @"
    exit: 0
    stdout:
    CODE                 STATUS  USES  EXPIRES  NOTE
    <code>  active  0/1   never    second
    ");
    assert_snapshot!(workspace.run(&["invite", "list", "--all"]), @"
    exit: 0
    stdout:
    CODE                 STATUS   USES  EXPIRES               NOTE
    <code>  active   0/1   never                 second
    <code>  revoked  0/1   <time>  first
    ");
    assert_snapshot!(workspace.run(&["--json", "invite", "list", "--all"]), @r#"
    exit: 0
    stdout:
    [
      {
        "code": "<code>",
        "link": "http://localhost:8080/register?invite=<code>",
        "uses": 0,
        "max_uses": 1,
        "status": "active",
        "note": "second",
        "created_at": "<time>",
        "expires_at": null,
        "revoked_at": null
      },
      {
        "code": "<code>",
        "link": "http://localhost:8080/register?invite=<code>",
        "uses": 0,
        "max_uses": 1,
        "status": "revoked",
        "note": "first",
        "created_at": "<time>",
        "expires_at": "<time>",
        "revoked_at": "<time>"
      }
    ]
    "#);
}

#[test]
fn an_invite_is_shown_however_its_code_is_typed() {
    let workspace = Workspace::with_database();
    let invite = workspace.json(&["invite", "create", "--note", "for Ann"]);
    let typed = code_of(&invite).to_lowercase().replace('-', "");
    assert_snapshot!(workspace.run(&["invite", "show", &typed]), @"
    exit: 0
    stdout:
    code     <code>
    link     http://localhost:8080/register?invite=<code>
    status   active
    uses     0 of 1
    note     for Ann
    created  <time>
    expires  <time>
    ");
    assert_snapshot!(workspace.run(&["--json", "invite", "show", &typed]), @r#"
    exit: 0
    stdout:
    {
      "code": "<code>",
      "link": "http://localhost:8080/register?invite=<code>",
      "uses": 0,
      "max_uses": 1,
      "status": "active",
      "note": "for Ann",
      "created_at": "<time>",
      "expires_at": "<time>",
      "revoked_at": null
    }
    "#);
    assert_eq!(workspace.json(&["invite", "show", &typed]), invite);
}

#[test]
fn a_revoked_invite_stays_revoked() {
    let workspace = Workspace::with_database();
    let invite = workspace.json(&["invite", "create"]);
    assert_snapshot!(workspace.run(&["invite", "revoke", code_of(&invite)]), @"
    exit: 0
    stdout:
    <code> is revoked
    ");
    assert_snapshot!(workspace.run(&["invite", "show", code_of(&invite)]), @"
    exit: 0
    stdout:
    code     <code>
    link     http://localhost:8080/register?invite=<code>
    status   revoked
    uses     0 of 1
    created  <time>
    expires  <time>
    revoked  <time>
    ");
    let once = workspace.json(&["invite", "show", code_of(&invite)]);
    assert_snapshot!(workspace.run(&["--json", "invite", "revoke", code_of(&invite)]), @r#"
    exit: 0
    stdout:
    {
      "code": "<code>",
      "link": "http://localhost:8080/register?invite=<code>",
      "uses": 0,
      "max_uses": 1,
      "status": "revoked",
      "note": null,
      "created_at": "<time>",
      "expires_at": "<time>",
      "revoked_at": "<time>"
    }
    "#);
    assert_eq!(workspace.json(&["invite", "show", code_of(&invite)]), once);
}

#[test]
fn what_is_no_invite_is_refused() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run_in_both_forms(&["invite", "show", "ABCD-EFGH-JKMN-PQRS"]), @r#"
    exit: 1
    stderr:
    error: there is no invite with this code; see: arkloop invite list --all
    exit: 1
    stderr:
    {"error":"there is no invite with this code","hint":"see: arkloop invite list --all"}
    "#);
    assert_snapshot!(workspace.run_in_both_forms(&["invite", "revoke", "nothing"]), @r#"
    exit: 1
    stderr:
    error: there is no invite with this code; see: arkloop invite list --all
    exit: 1
    stderr:
    {"error":"there is no invite with this code","hint":"see: arkloop invite list --all"}
    "#);
}

#[test]
fn a_note_is_one_short_line() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["invite", "create", "--note", "two\nlines"]), @"
    exit: 2
    stderr:
    error: invalid value 'two
    lines' for '--note <TEXT>': it may only have one line of printable characters

    For more information, try '--help'.
    ");
    assert_eq!(
        workspace.json(&["invite", "create", "--note", "  "])["note"],
        serde_json::Value::Null
    );
}
