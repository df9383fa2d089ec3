//! `registration …`

use insta::assert_snapshot;

use crate::support::Workspace;

#[test]
fn registration_is_by_invite_until_it_is_set() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["registration", "show"]), @"
    exit: 0
    stdout:
    invite_only (the default)
    ");
    assert_snapshot!(workspace.run(&["registration", "set", "open"]), @"
    exit: 0
    stdout:
    open (set in the database)
    ");
    assert_snapshot!(workspace.run(&["--json", "registration", "show"]), @r#"
    exit: 0
    stdout:
    {
      "mode": "open",
      "source": "database"
    }
    "#);
    assert_snapshot!(workspace.run(&["--json", "registration", "set", "disabled"]), @r#"
    exit: 0
    stdout:
    {
      "mode": "disabled",
      "source": "database"
    }
    "#);
}

#[test]
fn a_pinned_mode_cannot_be_set() {
    let mut workspace = Workspace::with_database();
    workspace.set("ARKLOOP_REGISTRATION__MODE", "disabled");
    assert_snapshot!(workspace.run(&["registration", "show"]), @"
    exit: 0
    stdout:
    disabled (pinned by the configuration)
    ");
    assert_snapshot!(workspace.run(&["registration", "set", "open"]), @"
    exit: 1
    stderr:
    error: the configuration pins registration.mode to disabled; take registration.mode out of the configuration (and restart the server) to set it here
    ");
    assert_snapshot!(workspace.run(&["--json", "registration", "set", "open"]), @r#"
    exit: 1
    stderr:
    {"error":"the configuration pins registration.mode to disabled","hint":"take registration.mode out of the configuration (and restart the server) to set it here"}
    "#);
}
