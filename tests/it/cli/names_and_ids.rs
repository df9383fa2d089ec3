//! Texts that may be an id or a name: an id is never read as a name, and an ambiguous text is refused.

use std::fmt::Write as _;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::Workspace;

/// Creates two accounts: `ann`, and one whose name `spelling` derives from her id. Returns the id and that name.
fn impersonate(workspace: &Workspace, spelling: impl Fn(&str) -> String) -> (String, String) {
    let id = workspace.create_user("ann");
    let name = spelling(&id);
    let arguments = [
        "user",
        "create",
        &name,
        "--email",
        "mallory@example.org",
        "--password-stdin",
    ];
    workspace.json_with_input(&arguments, "a decent password\n");
    (id, name)
}

fn bare(id: &str) -> String {
    id.replace('-', "")
}

/// One account in the form of `user show`.
fn show(workspace: &Workspace, user: &str) -> Value {
    workspace.json(&["user", "show", user])
}

#[test]
fn a_username_of_32_hex_digits_is_never_the_account_with_that_id() {
    for spelling in [bare, |id: &str| bare(id).to_uppercase()] {
        let workspace = Workspace::with_database();
        let (id, name) = impersonate(&workspace, spelling);
        assert_eq!(show(&workspace, &name)["email"], "mallory@example.org");
        for command in [
            vec!["user", "suspend", &name],
            vec!["user", "set-email", &name, "else@example.org"],
            vec!["user", "verify-email", &name],
            vec!["session", "revoke", "--user", &name],
        ] {
            workspace.json(&command);
        }
        workspace.json_with_input(
            &["user", "set-password", &name, "--password-stdin"],
            "another password\n",
        );
        assert_eq!(workspace.json(&["session", "list", &name]), json!([]));
        let told = workspace.json(&["explain", &name])["now"].to_string();
        assert!(told.contains("The account is suspended"), "{told}");
        let rows = workspace.json(&["audit", "--user", &name]);
        let rows = rows.as_array().expect("the value is a list");
        let is_of_ann = |row: &&Value| row["user_id"] == id.as_str();
        assert!(
            !rows.is_empty() && !rows.iter().any(|row| is_of_ann(&row)),
            "{rows:?}"
        );
        let ann = show(&workspace, &id.to_uppercase());
        assert_eq!(ann["username"], "ann");
        assert_eq!(
            (&ann["status"], &ann["email"]),
            (&json!("active"), &json!("ann@example.org"))
        );
        workspace.json(&["user", "delete", &name, "--yes"]);
        assert_eq!(show(&workspace, &id)["username"], "ann");
    }
}

#[test]
fn an_id_is_read_with_its_hyphens_only() {
    let workspace = Workspace::with_database();
    let id = workspace.create_user("ann");
    let server = workspace.serve();
    let token = server.sign_in("ann");
    let session = workspace.json(&["session", "list", "ann"])[0]["id"].clone();
    let session = session.as_str().expect("an id is a text");
    let spellings = |id: &str| {
        [
            bare(id),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
            format!("{id}-"),
        ]
    };
    let mut said = String::new();
    for spelling in spellings(&id) {
        for command in [
            "user show",
            "session list",
            "user suspend",
            "session revoke --user",
        ] {
            let arguments: Vec<&str> = command.split(' ').chain([spelling.as_str()]).collect();
            let output = workspace.output(&arguments, "");
            let _ = writeln!(said, "{command}: {:?}", output.status.code());
        }
    }
    for spelling in spellings(session) {
        let output = workspace.output(&["session", "revoke", &spelling], "");
        let _ = writeln!(said, "session revoke: {:?}", output.status.code());
        let path = format!("/v1/auth/sessions/{spelling}")
            .replace('{', "%7B")
            .replace('}', "%7D");
        let (status, body) = server.request("DELETE", &path, Some(&token), None);
        assert_eq!(
            (status, &body["code"]),
            (404, &json!("session.not_found")),
            "{path}"
        );
    }
    let said: Vec<&str> = said.lines().collect();
    let refused = |line: &&str| line.ends_with("Some(1)");
    assert_eq!(said.iter().filter(|line| refused(line)).count(), 16, "{said:?}");
    assert_eq!(
        said.iter().filter(|line| line.ends_with("Some(2)")).count(),
        4,
        "{said:?}"
    );
    assert_eq!(server.request("GET", "/v1/me", Some(&token), None).0, 200);
    let path = format!("/v1/auth/sessions/{}", session.to_uppercase());
    assert_eq!(server.request("DELETE", &path, Some(&token), None).0, 204);
}

#[test]
fn an_ip_address_that_is_a_username_is_refused_until_it_is_said_which_is_meant() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    assert_snapshot!(workspace.run(&["explain", "203.0.113.7"]), @"
    exit: 0
    stdout:
    now  The audit log has nothing that came from 203.0.113.7.
    ");
    let arguments = [
        "user",
        "create",
        "203.0.113.7",
        "--email",
        "mallory@example.org",
        "--password-stdin",
    ];
    workspace.json_with_input(&arguments, "a decent password\n");
    assert_snapshot!(workspace.run_in_both_forms(&["explain", "203.0.113.7"]), @r#"
    exit: 1
    stderr:
    error: 203.0.113.7 is an IP address, and an account has it as its username; for the IP address say: arkloop explain --ip IP; for the account give its e-mail address or id; see: arkloop user show NAME
    exit: 1
    stderr:
    {"error":"203.0.113.7 is an IP address, and an account has it as its username","hint":"for the IP address say: arkloop explain --ip IP; for the account give its e-mail address or id; see: arkloop user show NAME"}
    "#);
    assert_snapshot!(workspace.run(&["explain", "--ip", "203.0.113.7"]), @"
    exit: 0
    stdout:
    now  The audit log has nothing that came from 203.0.113.7.
    ");
    assert_snapshot!(workspace.run(&["explain", "mallory@example.org"]), @"
    exit: 0
    stdout:
    <time>  The account was made; by the operator.
    now                   The address was never verified.
    now                   The account is signed in nowhere.
    ");
    assert_snapshot!(workspace.run(&["explain", "::ffff:203.0.113.7"]), @"
    exit: 0
    stdout:
    now  The audit log has nothing that came from ::ffff:203.0.113.7.
    ");
    assert_eq!(show(&workspace, "203.0.113.7")["email"], "mallory@example.org");
}

#[test]
fn check_names_usernames_that_may_be_taken_for_an_id_or_an_address() {
    let workspace = Workspace::with_database();
    impersonate(&workspace, bare);
    for (number, name) in [
        "0123456789abcdef0123456789ABCDEF",
        "203.0.113.7",
        "1.2.3",
        "0123456789abcdef",
    ]
    .iter()
    .enumerate()
    {
        let email = format!("{number}@example.org");
        workspace.json(&["user", "create", name, "--email", &email]);
    }
    let output = workspace.run(&["check"]);
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| line.contains(" usernames "))
        .collect();
    assert_snapshot!(lines.join("\n"), @"
    warning  usernames      <trace id> is a username in the form of an id without hyphens; read it as a name only: arkloop user show <trace id>
    warning  usernames      203.0.113.7 is a username in the form of an IP address; for what came from that address say: arkloop explain --ip 203.0.113.7
    mend     usernames      an account calls itself <trace id>, which is the id of ann without its hyphens; a command of version 0.1 given that name was carried out on ann: see `arkloop audit --user ann`, and whether to suspend the other: arkloop user suspend <trace id>
    ");
    for number in 0..10 {
        let (name, email) = (format!("10.0.0.{number}"), format!("ten{number}@example.org"));
        workspace.json(&["user", "create", &name, "--email", &email]);
    }
    let output = workspace.run(&["check"]);
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| line.contains(" usernames "))
        .collect();
    assert_eq!(lines.len(), 11);
    assert_snapshot!(lines[9], @"warning  usernames      3 more have the form of an id or of an IP address; see: arkloop user list");
}
