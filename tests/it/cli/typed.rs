//! Codes, names, addresses and languages that an operator types or pastes are parsed as over HTTP.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Workspace, full_width, pasted_dashes};

#[test]
fn an_invite_code_is_read_however_it_was_typed_or_pasted() {
    let workspace = Workspace::with_database();
    let made = workspace.json(&["invite", "create"]);
    let code = made["code"].as_str().expect("the value is a text");
    let mut spellings = vec![
        full_width(code),
        format!("\u{feff} {code}.\u{200b}"),
        format!("{}。", code.to_lowercase()),
    ];
    spellings.extend(pasted_dashes(code));
    for spelling in &spellings {
        assert_eq!(
            workspace.json(&["invite", "show", spelling])["code"],
            code,
            "{spelling:?}"
        );
    }
    let after = workspace.json(&["invite", "list", "--after", &full_width(code)]);
    assert_eq!(after, json!([]));
    assert_eq!(
        workspace.json(&["invite", "revoke", &spellings[1]])["status"],
        "revoked"
    );
}

#[test]
fn names_and_addresses_are_trimmed_as_over_http() {
    const AROUND: &str = "\u{feff}\u{200b}\u{a0}\u{202a}\u{ad}";
    let workspace = Workspace::with_database();
    let around = |text: &str| format!("{}{text}{}", AROUND.repeat(60), AROUND.repeat(60));
    let [ann, address] = [around("ann"), around("ann@example.org")];
    let create = ["user", "create", &ann, "--email", &address, "--password-stdin"];
    let user = workspace.json_with_input(&create, "a decent password\n");
    assert_eq!(
        (&user["username"], &user["email"]),
        (&json!("ann"), &json!("ann@example.org"))
    );
    let id = around(user["id"].as_str().expect("the value is a text"));
    for who in [&ann, &address, &id] {
        assert_eq!(workspace.json(&["user", "show", who])["id"], user["id"]);
        assert_eq!(workspace.json(&["session", "list", who]), json!([]));
        assert!(workspace.json(&["audit", "--user", who])[0]["event"].is_string());
        let told = workspace.json(&["explain", who])["timeline"].clone();
        assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
    }
    assert_eq!(
        workspace.json(&["user", "list", "--search", &around("EXAMPLE")])[0]["id"],
        user["id"]
    );
    assert_eq!(workspace.json(&["user", "list", "--after", &id]), json!([]));
    let moved = workspace.json(&["user", "set-email", &ann, &around("ann@example.net")]);
    assert_eq!(moved["email"], "ann@example.net");
    assert_snapshot!(workspace.run(&["mail", "test", &around("ops@example.org")]), @"
    exit: 0
    stdout:
    a test mail to ops@example.org was written into <dir>/data/outbox
    ");
    // The same is true of an IP address, which is not the name of an account.
    assert!(workspace.json(&["explain", &around("192.0.2.7")])["now"].is_array());
    for address in ["192.0.2.7", "2001:db8::7"] {
        let told = workspace.json(&["explain", "--ip", &around(address)]);
        assert!(told["now"].is_array(), "{told}");
    }
    let served = workspace.serve();
    let body = json!({"login": "ann", "password": "a decent password"});
    assert_eq!(served.request("POST", "/v1/auth/login", None, Some(&body)).0, 200);
    let sessions = workspace.json(&["session", "list", "ann"]);
    let session = around(sessions[0]["id"].as_str().expect("the value is a text"));
    assert_eq!(
        workspace.json(&["session", "list", "ann", "--after", &session]),
        json!([])
    );
    assert_eq!(workspace.json(&["session", "revoke", &session])["revoked"], 1);
}

#[test]
fn a_language_is_taken_as_devices_say_it_and_one_that_is_none_is_refused() {
    let mut workspace = Workspace::with_database();
    for (number, (said, kept)) in [
        ("en_US", "en-US"),
        ("zh_CN.UTF-8", "zh-CN"),
        ("sr_RS@latin", "sr-Latn-RS"),
        (" de ", "de"),
        ("\u{ff5a}\u{ff48}\u{2011}tw", "zh-TW"),
    ]
    .into_iter()
    .enumerate()
    {
        let (login, address) = (format!("user-{number}"), format!("user-{number}@example.org"));
        let create = ["user", "create", &login, "--email", &address, "--locale", said];
        assert_eq!(workspace.json(&create)["locale"], kept, "{said}");
    }
    workspace.json(&[
        "invite",
        "create",
        "--email",
        "ann@example.org",
        "--locale",
        "zh_TW.UTF-8",
    ]);
    assert_snapshot!(workspace.run(&["user", "create", "ann", "--email", "ann@example.org", "--locale", "English"]), @"
    exit: 2
    stderr:
    error: invalid value 'English' for '--locale <LANGUAGE>': it must be a language tag such as en or zh-CN

    For more information, try '--help'.
    ");
    for (said, kept) in [("zh_CN.UTF-8", "zh"), ("en_GB", "en"), (" zh-Hans ", "zh")] {
        workspace.set("ARKLOOP_MAIL__LOCALE", said);
        assert_eq!(
            workspace.json(&["config", "show"])["mail"]["locale"],
            kept,
            "{said}"
        );
    }
    workspace.set("ARKLOOP_MAIL__LOCALE", "de_DE");
    assert_snapshot!(workspace.run(&["config", "show"]), @r#"
    exit: 1
    stderr:
    error: the value of mail.locale is not acceptable (variable ARKLOOP_MAIL__LOCALE); it must be one of "en", "zh", also as a device says it, such as zh_CN.UTF-8
    "#);
}

#[test]
fn a_new_password_has_no_control_characters_and_any_space_is_one() {
    let workspace = Workspace::with_database();
    let create = [
        "user",
        "create",
        "ann",
        "--email",
        "ann@example.org",
        "--password-stdin",
    ];
    assert_snapshot!(workspace.run_in_both_forms_with_input(&create, "a quiet\tharbour\n"), @r#"
    exit: 1
    stderr:
    error: the password may only have printable characters and spaces, no tab, line break or other control character; choose another and run the command again
    exit: 1
    stderr:
    {"error":"the password may only have printable characters and spaces, no tab, line break or other control character","hint":"choose another and run the command again"}
    "#);
    workspace.json_with_input(&create, "a\u{a0}quiet\u{3000}harbour\n");
    let set = ["user", "set-password", "ann", "--password-stdin"];
    assert_snapshot!(workspace.run_in_both_forms_with_input(&set, "a louder\u{85}harbour\n"), @r#"
    exit: 1
    stderr:
    error: the password may only have printable characters and spaces, no tab, line break or other control character; choose another and run the command again
    exit: 1
    stderr:
    {"error":"the password may only have printable characters and spaces, no tab, line break or other control character","hint":"choose another and run the command again"}
    "#);
    let served = workspace.serve();
    let sign_in = |password: &str| {
        let body = json!({"login": "ann", "password": password});
        served.request("POST", "/v1/auth/login", None, Some(&body)).0
    };
    assert_eq!(sign_in("a quiet harbour"), 200);
    workspace.json_with_input(&set, "a\u{2003}louder\u{202f}harbour\n");
    assert_eq!(sign_in("a louder harbour"), 200);
    assert_eq!(sign_in("a\u{a0}louder harbour"), 200);
}
