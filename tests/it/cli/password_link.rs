//! Links to set a password: the output of `user create` without a password and of `user link`, and who gets a mail.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::user::hide_token;
use crate::support::Workspace;

const CREATE: [&str; 5] = ["user", "create", "ann", "--email", "ann@example.org"];

/// A database, and mail by `transport`.
fn with_mail(transport: &str) -> Workspace {
    let mut workspace = Workspace::with_database();
    workspace
        .set("ARKLOOP_MAIL__TRANSPORT", transport)
        .set("ARKLOOP_MAIL__SMTP_URL", "smtp://127.0.0.1:9");
    workspace
}

/// The notes of a command on standard error.
fn notes(shown: &str) -> &str {
    shown.split_once("stderr:\n").map_or("", |(_, notes)| notes)
}

/// The kind and the recipient of each mail that waits.
fn queue(workspace: &Workspace) -> Vec<String> {
    let queue = workspace.json(&["mail", "queue"]);
    let mails = queue.as_array().expect("the value is a list").iter();
    mails
        .map(|mail| format!("{} {}", mail["kind"], mail["to"]).replace('"', ""))
        .collect()
}

fn link_in(user: &Value) -> String {
    let link = user["set_password_link"].as_str();
    link.expect("a link is a text").to_owned()
}

#[test]
fn whom_the_link_of_a_new_account_was_mailed_to_is_told() {
    let workspace = with_mail("smtp");
    assert_snapshot!(notes(&hide_token(&workspace.run(&CREATE))), @"
    The link sets the password: give it to the account's owner alone. It works once, until <time>, and proves no address.
    A mail with the link to ann@example.org is queued: the server sends it while it runs; see: arkloop mail queue
    ");
    assert_eq!(queue(&workspace), ["set_password ann@example.org"]);
    let ben = workspace.json(&["user", "create", "ben", "--email", "ben@example.org"]);
    assert_eq!(ben["mailed_to"], "ben@example.org");
}

#[test]
fn a_link_that_is_not_mailed_is_said_not_to_be() {
    let workspace = with_mail("smtp");
    let unwanted = [CREATE.as_slice(), &["--no-mail"]].concat();
    assert_snapshot!(notes(&hide_token(&workspace.run(&unwanted))), @"
    The link sets the password: give it to the account's owner alone. It works once, until <time>, and proves no address.
    The link is not mailed.
    ");
    let ben = ["user", "create", "ben", "--email", "ben@example.org", "--no-mail"];
    assert_eq!(workspace.json(&ben)["mailed_to"], Value::Null);
    assert_eq!(
        workspace.json(&["user", "link", "ben", "--no-mail"])["mailed_to"],
        Value::Null
    );
    assert!(queue(&workspace).is_empty());

    let workspace = with_mail("off");
    assert_snapshot!(notes(&hide_token(&workspace.run(&CREATE))), @"
    The link sets the password: give it to the account's owner alone. It works once, until <time>, and proves no address.
    The link is not mailed, because mail is off.
    ");
    assert_eq!(workspace.json(&["user", "link", "ann"])["mailed_to"], Value::Null);
}

#[test]
fn a_link_without_a_page_is_told() {
    let mut workspace = with_mail("off");
    workspace.set("ARKLOOP_SERVER__PAGES", "false");
    let shown = workspace.run(&CREATE);
    assert!(shown.contains("This server has no page at the link"), "{shown}");
    workspace.set(
        "ARKLOOP_LINKS__RESET",
        "https://app.example.org/password#token={token}",
    );
    let shown = workspace.run(&["user", "link", "ann"]);
    assert!(!shown.contains("no page"), "{shown}");
}

#[test]
fn another_link_takes_the_place_of_the_one_before_and_of_its_mail() {
    let workspace = Workspace::with_database();
    let first = link_in(&workspace.json(&CREATE));
    assert_snapshot!(hide_token(&workspace.run(&["user", "link", "ANN@example.org"])), @r#"
    exit: 0
    stdout:
    ann sets the password here:

    http://localhost:8080/reset#token=<token>
    stderr:
    The link sets the password: give it to the account's owner alone. It works once, until <time>, and proves no address.
    A mail with the link to ann@example.org is queued: the server writes it into <dir>/data/outbox while it runs and sends nothing, because mail.transport is file
    "#);
    let shown = workspace.run(&["--json", "user", "link", "ann"]);
    assert_snapshot!(hide_token(&shown), @r#"
    exit: 0
    stdout:
    {
      "id": "<id>",
      "username": "ann",
      "email": "ann@example.org",
      "email_verified": false,
      "has_password": false,
      "status": "active",
      "locale": "en",
      "created_at": "<time>",
      "last_sign_in_at": null,
      "sessions": 0,
      "set_password_link": "http://localhost:8080/reset#token=<token>",
      "mailed_to": "ann@example.org"
    }
    "#);
    assert_eq!(queue(&workspace), ["set_password ann@example.org"]);
    let last = link_in(&workspace.json(&["user", "link", "ann"]));
    let server = workspace.serve();
    let confirm = |link: &str| {
        let token = link.split_once("#token=").expect("it has a token").1;
        let body = json!({ "token": token, "new_password": "a decent password" });
        let path = "/v1/auth/password/reset/confirm";
        server.request("POST", path, None, Some(&body)).0
    };
    assert_eq!(confirm(&first), 422);
    assert_eq!(confirm(&last), 204);
    server.sign_in("ann");
    // A link also works for an account with a password. The old password stays valid until the link is used.
    let another = link_in(&workspace.json(&["user", "link", "ann"]));
    server.sign_in("ann");
    assert_eq!(confirm(&another), 204);
    let ann = workspace.json(&["user", "show", "ann"]);
    assert_eq!(
        (&ann["email_verified"], &ann["sessions"]),
        (&json!(false), &json!(0))
    );
    let made = workspace.json(&["audit", "--event", "user.link_created"]);
    assert_eq!(made.as_array().map(Vec::len), Some(4));
}

#[test]
fn no_link_is_made_that_would_not_work() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    workspace.json(&["user", "suspend", "ann"]);
    assert_snapshot!(workspace.run(&["user", "link", "ann"]), @"
    exit: 1
    stderr:
    error: the account is suspended; no link works for it; let it be used again first: arkloop user reactivate USER
    ");
    assert!(
        workspace
            .run(&["user", "link", "ben"])
            .contains("there is no user \"ben\"")
    );
}

#[test]
fn mails_of_commands_are_in_the_language_that_was_asked_for() {
    let mut workspace = Workspace::with_database();
    let locale_of = |user: &Value| user["locale"].as_str().expect("the value is a text").to_owned();
    workspace.set("ARKLOOP_MAIL__LOCALE", "zh");
    assert_eq!(locale_of(&workspace.json(&CREATE)), "zh");
    let ben = [
        "user",
        "create",
        "ben",
        "--email",
        "b@example.org",
        "--locale",
        "en-GB",
    ];
    assert_eq!(locale_of(&workspace.json(&ben)), "en-GB");
    for (more, address) in [
        (["--locale", "en"].as_slice(), "c@example.org"),
        (&[], "d@example.org"),
    ] {
        workspace.json(&[&["invite", "create", "--email", address], more].concat());
    }
    workspace.json(&["mail", "test", "e@example.org"]);
    let server = workspace.serve();
    workspace.json(&["mail", "retry"]);
    let subject_to = |address: &str| {
        let outbox = workspace.path().join("data/outbox");
        let mails = || std::fs::read_dir(&outbox).into_iter().flatten().flatten();
        for _ in 0..200 {
            let texts = mails().filter_map(|mail| std::fs::read(mail.path()).ok());
            for text in texts {
                let parsed = mail_parser::MessageParser::default().parse(&text);
                let parsed = parsed.expect("it is a mail");
                let to = parsed.to().and_then(|to| to.first()?.address());
                if to == Some(address) {
                    return parsed.subject().unwrap_or_default().to_owned();
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("no mail to {address}");
    };
    for (address, subject) in [
        ("ann@example.org", "【localhost】请为您的新账号设置密码"),
        ("b@example.org", "localhost: Set a password for your new account"),
        ("c@example.org", "localhost: You are invited to create an account"),
        ("d@example.org", "【localhost】邀请您注册账号"),
        ("e@example.org", "【localhost】测试邮件"),
    ] {
        assert_eq!(subject_to(address), subject);
    }
    drop(server);
    let alone = workspace.run(&["invite", "create", "--locale", "en"]);
    assert!(
        alone.starts_with("exit: 2\n") && alone.contains("--email"),
        "{alone}"
    );
}

#[test]
fn a_command_goes_by_the_mails_of_the_server_and_says_where_its_configuration_differs() {
    let mut workspace = with_mail("smtp");
    workspace.set("ARKLOOP_SERVER__NAME", "Example");
    drop(workspace.serve());
    workspace
        .set("ARKLOOP_MAIL__TRANSPORT", "off")
        .set("ARKLOOP_SERVER__NAME", "Another");
    let told = workspace.run(&CREATE);
    assert_snapshot!(notes(&hide_token(&told)), @r#"
    warning: server.name is "Another" here, but the server last ran with "Example"; the server's is used (--config names its configuration)
    warning: mail.transport is "off" here, but the server last ran with "smtp"; the server's is used, except by mail test (--config names its configuration)
    The link sets the password: give it to the account's owner alone. It works once, until <time>, and proves no address.
    A mail with the link to ann@example.org is queued: the server sends it while it runs; see: arkloop mail queue
    "#);
    assert_eq!(queue(&workspace), ["set_password ann@example.org"]);
}

#[test]
fn a_name_that_could_break_a_mail_is_refused() {
    let mut workspace = Workspace::new();
    let refused = ["a\nBcc: b@example.org", "a\u{202e}b", "   ", &"x".repeat(65)].map(|name| {
        workspace.set("ARKLOOP_SERVER__NAME", name);
        workspace.run(&["config", "show"])
    });
    assert!(refused.iter().all(|told| *told == refused[0]), "{refused:?}");
    assert_snapshot!(refused[0], @"
    exit: 1
    stderr:
    error: the value of server.name is not acceptable (variable ARKLOOP_SERVER__NAME); it must be one line of at most 64 characters in any script, without control and format characters
    ");
    workspace.set("ARKLOOP_SERVER__NAME", "示例");
    assert_eq!(workspace.json(&["config", "show"])["server"]["name"], "示例");
}
