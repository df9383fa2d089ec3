//! `user …`

use insta::assert_snapshot;
use serde_json::json;

use crate::support::Workspace;

/// Runs `user create LOGIN` with a password, and with an address that is derived from the login unless `more` has one.
fn create(workspace: &Workspace, login: &str, more: &[&str], password: &str) -> String {
    let email = format!("{login}@example.org");
    let email: &[&str] = if more.contains(&"--email") {
        &[]
    } else {
        &["--email", &email]
    };
    let arguments = [&["user", "create", login, "--password-stdin"], email, more].concat();
    workspace.run_with_input(&arguments, password)
}

#[test]
fn an_account_is_made_with_a_password_from_standard_input() {
    let workspace = Workspace::with_database();
    assert_snapshot!(create(&workspace, "Ann", &[], "a decent password\n"), @"
    exit: 0
    stdout:
    id            <id>
    username      Ann
    e-mail        Ann@example.org (not verified)
    password      set
    status        active
    locale        en
    created       <time>
    last sign-in  never
    sessions      0
    ");
    assert_snapshot!(create(&workspace, "ben", &["--verified", "--json"], "another decent one\r\nand a second line"), @r#"
    exit: 0
    stdout:
    {
      "id": "<id>",
      "username": "ben",
      "email": "ben@example.org",
      "email_verified": true,
      "has_password": true,
      "status": "active",
      "locale": "en",
      "created_at": "<time>",
      "last_sign_in_at": null,
      "sessions": 0,
      "set_password_link": null,
      "mailed_to": null
    }
    "#);
}

#[test]
fn the_owner_of_an_account_without_a_password_sets_one_through_a_link() {
    let workspace = Workspace::with_database();
    let shown = workspace.run(&["user", "create", "ann", "--email", "ann@example.org"]);
    assert_snapshot!(hide_token(&shown), @"
    exit: 0
    stdout:
    id            <id>
    username      ann
    e-mail        ann@example.org (not verified)
    password      none
    status        active
    locale        en
    created       <time>
    last sign-in  never
    sessions      0

    http://localhost:8080/reset#token=<token>
    stderr:
    The link sets the password: give it to the account's owner alone. It works once, until <time>, and proves no address.
    A mail with the link to ann@example.org is queued: the server writes it into <dir>/data/outbox while it runs and sends nothing, because mail.transport is file
    ");
    let arguments = [
        "--json",
        "user",
        "create",
        "ben",
        "--email",
        "ben@example.org",
        "--verified",
    ];
    let shown = workspace.run(&arguments);
    assert_snapshot!(hide_token(&shown), @r#"
    exit: 0
    stdout:
    {
      "id": "<id>",
      "username": "ben",
      "email": "ben@example.org",
      "email_verified": true,
      "has_password": false,
      "status": "active",
      "locale": "en",
      "created_at": "<time>",
      "last_sign_in_at": null,
      "sessions": 0,
      "set_password_link": "http://localhost:8080/reset#token=<token>",
      "mailed_to": "ben@example.org"
    }
    "#);
}

#[test]
fn a_password_that_was_not_asked_for_is_not_read_from_standard_input() {
    let workspace = Workspace::with_database();
    let create = ["user", "create", "ann", "--email", "ann@example.org"];
    let user = workspace.json_with_input(&create, "a decent password\n");
    assert_eq!(user["has_password"], false);
}

#[test]
fn the_link_to_set_a_password_works_once_and_proves_no_address() {
    let workspace = Workspace::with_database();
    let link_of = |login: &str| {
        let email = format!("{login}@example.org");
        let user = workspace.json(&["user", "create", login, "--email", &email]);
        let link = user["set_password_link"]
            .as_str()
            .expect("a link is a text")
            .to_owned();
        link.split_once("#token=").expect("it has a token").1.to_owned()
    };
    let (ann, ben) = (link_of("ann"), link_of("ben"));
    let server = workspace.serve();
    let confirm = |token: &str| {
        let body = json!({ "token": token, "new_password": "a decent password" });
        server
            .request("POST", "/v1/auth/password/reset/confirm", None, Some(&body))
            .0
    };
    assert_eq!(confirm(&ann), 204);
    assert_eq!(confirm(&ann), 422);
    server.sign_in("ann");
    assert_eq!(workspace.json(&["user", "show", "ann"])["email_verified"], false);
    // A password that the operator sets replaces the link.
    workspace.json_with_input(
        &["user", "set-password", "ben", "--password-stdin"],
        "another decent one\n",
    );
    assert_eq!(confirm(&ben), 422);
}

#[test]
fn the_link_to_set_a_password_leads_where_the_configuration_says() {
    let mut workspace = Workspace::with_database();
    workspace.set(
        "ARKLOOP_LINKS__RESET",
        "https://app.example.org/password?t={token}",
    );
    let user = workspace.json(&["user", "create", "ann", "--email", "ann@example.org"]);
    let link = user["set_password_link"].as_str().expect("a link is a text");
    assert!(link.starts_with("https://app.example.org/password?t="), "{link}");
}

/// Replaces the token of the link in the text: all characters after `#token=` that can be part of a token.
pub fn hide_token(text: &str) -> String {
    let (before, rest) = text.split_once("#token=").expect("there is a link");
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let rest = rest.trim_start_matches(is_token);
    format!("{before}#token=<token>{rest}")
}

#[test]
fn accounts_are_listed_and_searched() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["user", "list"]), @"
    exit: 0
    stderr:
    There is no account.
    ");
    workspace.create_user("ann");
    workspace.create_user("ben");
    workspace.json(&["user", "suspend", "ben"]);
    assert_snapshot!(workspace.run(&["user", "list"]), @"
    exit: 0
    stdout:
    USERNAME  E-MAIL           STATUS     SESSIONS  CREATED               ID
    ann       ann@example.org  active     0         <time>  <id>
    ben       ben@example.org  suspended  0         <time>  <id>
    ");
    assert_snapshot!(workspace.run(&["--json", "user", "list", "--search", "ANN"]), @r#"
    exit: 0
    stdout:
    [
      {
        "id": "<id>",
        "username": "ann",
        "email": "ann@example.org",
        "email_verified": false,
        "has_password": true,
        "status": "active",
        "locale": "en",
        "created_at": "<time>",
        "last_sign_in_at": null,
        "sessions": 0
      }
    ]
    "#);
    assert_snapshot!(workspace.run(&["user", "list", "--status", "suspended"]), @"
    exit: 0
    stdout:
    USERNAME  E-MAIL           STATUS     SESSIONS  CREATED               ID
    ben       ben@example.org  suspended  0         <time>  <id>
    ");
    assert_snapshot!(workspace.run(&["user", "list", "--search", "nobody"]), @"
    exit: 0
    stderr:
    No account has this text in its username or e-mail address.
    ");
    // What is searched for is no pattern.
    for wildcards in ["a_n", "a%n", "%", "_", "!"] {
        let found = workspace.json(&["user", "list", "--search", wildcards]);
        assert_eq!(found.as_array().map(Vec::len), Some(0), "{wildcards}");
    }
}

#[test]
fn an_account_is_found_by_name_by_address_and_by_id() {
    let workspace = Workspace::with_database();
    let id = workspace.create_user("ann");
    assert_snapshot!(workspace.run(&["user", "show", "ann@example.org"]), @"
    exit: 0
    stdout:
    id            <id>
    username      ann
    e-mail        ann@example.org (not verified)
    password      set
    status        active
    locale        en
    created       <time>
    last sign-in  never
    sessions      0
    ");
    assert_eq!(
        workspace.json(&["user", "show", "ANN"]),
        workspace.json(&["user", "show", &id])
    );
}

#[test]
fn an_account_is_changed() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    assert_snapshot!(workspace.run(&["user", "verify-email", "ann"]), @"
    exit: 0
    stdout:
    ann has a verified address
    ");
    assert_snapshot!(workspace.run(&["--json", "user", "set-email", "ann", "ann@example.net"]), @r#"
    exit: 0
    stdout:
    {
      "id": "<id>",
      "username": "ann",
      "email": "ann@example.net",
      "email_verified": false,
      "has_password": true,
      "status": "active",
      "locale": "en",
      "created_at": "<time>",
      "last_sign_in_at": null,
      "sessions": 0
    }
    "#);
    assert_snapshot!(workspace.run(&["user", "set-email", "ann", "ann@example.com"]), @"
    exit: 0
    stdout:
    ann has a new address, which is not verified; every session has ended
    ");
    assert_snapshot!(workspace.run(&["user", "suspend", "ann"]), @"
    exit: 0
    stdout:
    ann is suspended, and every session has ended
    ");
    assert_snapshot!(workspace.run(&["user", "reactivate", "ann"]), @"
    exit: 0
    stdout:
    ann is active
    ");
    let set_password = ["user", "set-password", "ann", "--password-stdin"];
    assert_snapshot!(workspace.run_with_input(&set_password, "an even better one\n"), @"
    exit: 0
    stdout:
    ann has a new password, and every session has ended
    ");
}

#[test]
fn what_was_changed_is_told_as_json() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let set_password = ["--json", "user", "set-password", "ann", "--password-stdin"];
    let told = workspace.run_with_input(&set_password, "an even better one\n");
    assert_snapshot!(told, @r#"
    exit: 0
    stdout:
    {
      "id": "<id>",
      "username": "ann",
      "email": "ann@example.org",
      "email_verified": false,
      "has_password": true,
      "status": "active",
      "locale": "en",
      "created_at": "<time>",
      "last_sign_in_at": null,
      "sessions": 0
    }
    "#);
    assert_eq!(workspace.run(&["--json", "user", "reactivate", "ann"]), told);
    let told = told.replace("\"email_verified\": false", "\"email_verified\": true");
    assert_eq!(workspace.run(&["--json", "user", "verify-email", "ann"]), told);
    let told = told.replace("\"status\": \"active\"", "\"status\": \"suspended\"");
    assert_eq!(workspace.run(&["--json", "user", "suspend", "ann"]), told);
    assert_eq!(workspace.run(&["--json", "user", "show", "ann"]), told);
}
