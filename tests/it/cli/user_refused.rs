//! Refusals of `user …`: accounts that cannot be created, changed or deleted.

use insta::assert_snapshot;

use crate::support::Workspace;

/// Tries to create an account with a password, in text and as JSON.
fn refused(workspace: &Workspace, login: &str, email: &str, password: &str) -> String {
    let arguments = ["user", "create", login, "--email", email, "--password-stdin"];
    workspace.run_in_both_forms_with_input(&arguments, password)
}

#[test]
fn a_name_or_an_address_that_is_taken_makes_no_account() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    assert_snapshot!(refused(&workspace, "ANN", "cat@example.org", "a decent password\n"), @r#"
    exit: 1
    stderr:
    error: the username is taken; choose another, or look who has it: arkloop user list --search NAME
    exit: 1
    stderr:
    {"error":"the username is taken","hint":"choose another, or look who has it: arkloop user list --search NAME"}
    "#);
    assert_snapshot!(refused(&workspace, "cat", "ANN@example.org", "a decent password\n"), @r#"
    exit: 1
    stderr:
    error: the e-mail address is taken; give another, or look who has it: arkloop user list --search ADDRESS
    exit: 1
    stderr:
    {"error":"the e-mail address is taken","hint":"give another, or look who has it: arkloop user list --search ADDRESS"}
    "#);
    assert_eq!(
        workspace.json(&["user", "list"]).as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_name_or_an_address_that_is_none_is_wrong_usage() {
    let workspace = Workspace::with_database();
    assert_snapshot!(refused(&workspace, "c", "cat@example.org", ""), @r#"
    exit: 2
    stderr:
    error: invalid value 'c' for '<LOGIN>': it is too short: at least 2 characters

    For more information, try '--help'.
    exit: 2
    stderr:
    {"error":"invalid value 'c' for '<LOGIN>': it is too short: at least 2 characters","hint":"see: arkloop --help"}
    "#);
    assert_snapshot!(refused(&workspace, "cat", "cat", ""), @r#"
    exit: 2
    stderr:
    error: invalid value 'cat' for '--email <ADDRESS>': it must be one e-mail address such as name@example.org

    For more information, try '--help'.
    exit: 2
    stderr:
    {"error":"invalid value 'cat' for '--email <ADDRESS>': it must be one e-mail address such as name@example.org","hint":"see: arkloop --help"}
    "#);
    assert_snapshot!(workspace.run_in_both_forms(&["user", "list", "--status", "gone"]), @r#"
    exit: 2
    stderr:
    error: invalid value 'gone' for '--status <STATUS>': it must be active or suspended

    For more information, try '--help'.
    exit: 2
    stderr:
    {"error":"invalid value 'gone' for '--status <STATUS>': it must be active or suspended","hint":"see: arkloop --help"}
    "#);
}

#[test]
fn a_password_that_nobody_should_have_makes_no_account() {
    let workspace = Workspace::with_database();
    let refused = |login: &str, password: &str| refused(&workspace, login, "cat@example.org", password);
    assert_snapshot!(refused("cat", ""), @r#"
    exit: 1
    stderr:
    error: the password is empty; choose another and run the command again
    exit: 1
    stderr:
    {"error":"the password is empty","hint":"choose another and run the command again"}
    "#);
    assert_snapshot!(refused("cat", "short\n"), @r#"
    exit: 1
    stderr:
    error: the password is too short: at least 8 characters; choose another and run the command again
    exit: 1
    stderr:
    {"error":"the password is too short: at least 8 characters","hint":"choose another and run the command again"}
    "#);
    assert_snapshot!(refused("cat", &"long".repeat(33)), @r#"
    exit: 1
    stderr:
    error: the password is too long: at most 128 characters; choose another and run the command again
    exit: 1
    stderr:
    {"error":"the password is too long: at most 128 characters","hint":"choose another and run the command again"}
    "#);
    assert_snapshot!(refused("cat", "password1\n"), @r#"
    exit: 1
    stderr:
    error: the password is one of the most common passwords; choose another and run the command again
    exit: 1
    stderr:
    {"error":"the password is one of the most common passwords","hint":"choose another and run the command again"}
    "#);
    assert_snapshot!(refused("a-rather-long-cat", "A-RATHER-LONG-CAT\n"), @r#"
    exit: 1
    stderr:
    error: the password must not be the account's own username or address; choose another and run the command again
    exit: 1
    stderr:
    {"error":"the password must not be the account's own username or address","hint":"choose another and run the command again"}
    "#);
    assert_eq!(workspace.json(&["user", "list"]), serde_json::json!([]));
}

#[test]
fn a_password_that_is_no_text_is_refused() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let set_password = ["user", "set-password", "ann", "--password-stdin"];
    assert_snapshot!(workspace.run_in_both_forms_with_input(&set_password, b"a decent \xFF password\n"), @r#"
    exit: 1
    stderr:
    error: the password on standard input is not UTF-8; give it as one line of UTF-8 text
    exit: 1
    stderr:
    {"error":"the password on standard input is not UTF-8","hint":"give it as one line of UTF-8 text"}
    "#);
    let output = workspace.output(&set_password, b"a decent \0 password\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("has a NUL byte in it"),
        "{said}"
    );
    assert!(!said.contains("decent"), "{said}");
    let marked = workspace.output(&set_password, "\u{feff}a quiet harbour\r\n");
    assert!(marked.status.success(), "{marked:?}");
    let body = serde_json::json!({"login": "ann", "password": "a quiet harbour"});
    assert_eq!(
        workspace
            .serve()
            .request("POST", "/v1/auth/login", None, Some(&body))
            .0,
        200
    );
}

#[test]
fn a_change_that_cannot_be_is_refused() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    workspace.create_user("ben");
    assert_snapshot!(workspace.run_in_both_forms(&["user", "set-email", "ben", "Ann@Example.org"]), @r#"
    exit: 1
    stderr:
    error: the e-mail address is taken; give another, or look who has it: arkloop user list --search ADDRESS
    exit: 1
    stderr:
    {"error":"the e-mail address is taken","hint":"give another, or look who has it: arkloop user list --search ADDRESS"}
    "#);
    assert_snapshot!(workspace.run_in_both_forms(&["user", "set-email", "ben", "nonsense"]), @r#"
    exit: 2
    stderr:
    error: invalid value 'nonsense' for '<ADDRESS>': it must be one e-mail address such as name@example.org

    For more information, try '--help'.
    exit: 2
    stderr:
    {"error":"invalid value 'nonsense' for '<ADDRESS>': it must be one e-mail address such as name@example.org","hint":"see: arkloop --help"}
    "#);
    assert_snapshot!(workspace.run_in_both_forms(&["user", "set-password", "ann"]), @r#"
    exit: 1
    stderr:
    error: nobody can be asked for the new password; give the password on standard input with --password-stdin
    exit: 1
    stderr:
    {"error":"nobody can be asked for the new password","hint":"give the password on standard input with --password-stdin"}
    "#);
    let set_password = ["user", "set-password", "ann", "--password-stdin"];
    let refused = |password: &str| workspace.run_in_both_forms_with_input(&set_password, password);
    assert_snapshot!(refused("ann@example.org\n"), @r#"
    exit: 1
    stderr:
    error: the password must not be the account's own username or address; choose another and run the command again
    exit: 1
    stderr:
    {"error":"the password must not be the account's own username or address","hint":"choose another and run the command again"}
    "#);
    assert_snapshot!(refused("password1\n"), @r#"
    exit: 1
    stderr:
    error: the password is one of the most common passwords; choose another and run the command again
    exit: 1
    stderr:
    {"error":"the password is one of the most common passwords","hint":"choose another and run the command again"}
    "#);
}

#[test]
fn an_account_is_deleted_only_when_somebody_is_sure() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    workspace.create_user("ben");
    assert_snapshot!(workspace.run_in_both_forms_with_input(&["user", "delete", "ann"], "y\n"), @r#"
    exit: 1
    stderr:
    error: nobody can be asked whether to delete ann <ann@example.org>; add --yes if you are sure
    exit: 1
    stderr:
    {"error":"nobody can be asked whether to delete ann <ann@example.org>","hint":"add --yes if you are sure"}
    "#);
    assert_snapshot!(workspace.run(&["user", "delete", "ann", "--yes"]), @"
    exit: 0
    stdout:
    ann is deleted
    ");
    assert_snapshot!(workspace.run(&["--json", "user", "delete", "ben", "--yes"]), @r#"
    exit: 0
    stdout:
    {
      "id": "<id>",
      "username": "ben",
      "deleted": true
    }
    "#);
}

#[test]
fn nobody_is_found_by_the_name_of_nobody() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let refused = workspace.run_in_both_forms(&["user", "show", "cat@example.org"]);
    assert_snapshot!(refused, @r#"
    exit: 1
    stderr:
    error: there is no user "cat@example.org"; give a username, an e-mail address or an id; see: arkloop user list
    exit: 1
    stderr:
    {"error":"there is no user \"cat@example.org\"","hint":"give a username, an e-mail address or an id; see: arkloop user list"}
    "#);
    let id = "cat@example.org";
    for call in [
        &["user", "set-password", id, "--password-stdin"] as &[&str],
        &["user", "set-email", id, "cat@example.net"],
        &["user", "verify-email", id],
        &["user", "suspend", id],
        &["user", "reactivate", id],
        &["user", "delete", id, "--yes"],
        &["session", "list", id],
        &["session", "revoke", "--user", id],
    ] {
        assert_eq!(workspace.run_in_both_forms(call), refused, "{call:?}");
    }
}
