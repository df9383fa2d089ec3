//! Which origins may be listed, in the file, in the variable and according to `check`.

use arkloop::config::Origin;
use insta::assert_snapshot;

use super::config::{Place, refusal, refusal_of};
use crate::support::Workspace;

const KEY: &str = "ARKLOOP_SERVER__ALLOWED_ORIGINS";

/// Texts that are not the origin of a single app.
const OF_NO_APP: [&str; 55] = [
    "null",
    "NULL",
    "file://",
    "file:///",
    "FILE://localhost",
    "file:///android_asset",
    "*",
    "*://localhost",
    "app://*",
    "capacitor://*.example.org",
    "chrome-extension://*",
    "chrome-extension://<id>",
    "chrome-extension://%2A",
    "chrome-extension://\u{ff0a}",
    "capacitor://localhost:*",
    "capacitor://localhost/index.html",
    "capacitor://localhost//",
    "capacitor://user@localhost",
    "capacitor://user:secret@localhost",
    "capacitor://localhost?a=b",
    "capacitor://localhost#a",
    "capacitor://local host",
    "capacitor://localhost\\",
    "capacitor://l\u{f6}calhost",
    "capacitor://localhost:",
    "capacitor://localhost:0",
    "capacitor://localhost:65536",
    "capacitor://localhost:+80",
    "capacitor://",
    "capacitor:///",
    "capacitor://:80",
    "capacitor:localhost",
    "localhost",
    "localhost:8100",
    "://localhost",
    "1app://localhost",
    "a_b://localhost",
    "a b://localhost",
    "https://a!pp.example.org",
    "https://a;pp.example.org",
    "htps://app.example.org",
    "htttps://app.example.org",
    "ws://app.example.org",
    "wss://app.example.org",
    "ftp://app.example.org",
    "data://localhost",
    "blob://localhost",
    "filesystem://localhost",
    "about://blank",
    "javascript://localhost",
    "view-source://localhost",
    "intent://scan",
    "Intent://app.example.org",
    "android-app://org.example.app",
    "market://details",
];

/// The items of the list, in the form in which they are compared with the origins that browsers send.
fn listed(place: &Place) -> Vec<String> {
    let origins = place.load().server.allowed_origins;
    origins
        .iter()
        .map(|origin| Origin::as_str(origin).to_owned())
        .collect()
}

#[test]
fn an_origin_is_listed_as_browsers_write_it() {
    for (text, written) in [
        ("https://app.example.org", "https://app.example.org"),
        ("https://APP.example.org:443/", "https://app.example.org"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://tauri.localhost", "http://tauri.localhost"),
        ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("Capacitor://LOCALHOST/", "capacitor://localhost"),
        ("capacitor://localhost:8100", "capacitor://localhost:8100"),
        (
            "capacitor://app.example.org:08100",
            "capacitor://app.example.org:8100",
        ),
        ("ionic://localhost", "ionic://localhost"),
        ("tauri://localhost", "tauri://localhost"),
        ("app://.", "app://."),
        ("app://-", "app://-"),
        ("app://notes/", "app://notes"),
        ("com.example.notes://localhost", "com.example.notes://localhost"),
        (
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        ),
        (
            "moz-extension://3c3f1f0e-8a5d-4f0b-9d0c-0f6f6d7e2b11",
            "moz-extension://3c3f1f0e-8a5d-4f0b-9d0c-0f6f6d7e2b11",
        ),
        (
            "safari-web-extension://E7D3D1B7-13A7-4B5F-8C52-5A3B1F0C9D2E",
            "safari-web-extension://e7d3d1b7-13a7-4b5f-8c52-5a3b1f0c9d2e",
        ),
        ("vscode-webview://0abcdefg", "vscode-webview://0abcdefg"),
    ] {
        let file = Place::new(&format!("server.allowed_origins = [\"{text}\"]"));
        assert_eq!(listed(&file), [written], "{text}");
        let variable = Place::new("").with(&[(KEY, text)]);
        assert_eq!(listed(&variable), [written], "{text}");
    }
    let several = Place::new("").with(&[(KEY, "https://app.example.org, capacitor://localhost,app://.")]);
    assert_eq!(
        listed(&several),
        ["https://app.example.org", "capacitor://localhost", "app://."]
    );
}

#[test]
fn what_names_no_single_app_is_not_listed() {
    for text in OF_NO_APP {
        for text in [text.to_owned(), format!("https://app.example.org,{text}")] {
            let told = refusal_of(KEY, &text);
            assert!(
                told.contains("the value of server.allowed_origins is not acceptable"),
                "{text}: {told}"
            );
            assert!(told.contains("capacitor://localhost"), "{text}: {told}");
        }
    }
    assert_snapshot!(refusal("server.allowed_origins = [\"null\"]"), @r#"the value of server.allowed_origins is not acceptable (<dir>/arkloop.toml, line 1); it must be a list (separated by commas in a variable) of origins without path, query, user or star, each by itself: of web apps such as "https://app.example.org", of native apps and extensions such as "capacitor://localhost", "app://." or "chrome-extension://" and the id; "null" and "file://" name no app: serve its pages from http, https or a scheme of its own"#);
    assert_snapshot!(refusal_of(KEY, "file://"), @r#"the value of server.allowed_origins is not acceptable (variable ARKLOOP_SERVER__ALLOWED_ORIGINS); it must be a list (separated by commas in a variable) of origins without path, query, user or star, each by itself: of web apps such as "https://app.example.org", of native apps and extensions such as "capacitor://localhost", "app://." or "chrome-extension://" and the id; "null" and "file://" name no app: serve its pages from http, https or a scheme of its own"#);
    // The server links to pages below these keys, so an origin of a native app is refused.
    for key in ["server.public_url", "server.app_url"] {
        let told = refusal(&format!("{key} = \"capacitor://localhost\""));
        assert!(told.contains("must be an http or https origin"), "{told}");
    }
}

#[test]
fn check_and_config_show_take_the_origin_of_an_app_and_refuse_null() {
    let mut workspace = Workspace::with_database();
    workspace.set(KEY, "capacitor://localhost,app://.");
    let shown = workspace.json(&["config", "show"]);
    assert_eq!(
        shown["server"]["allowed_origins"],
        serde_json::json!(["capacitor://localhost", "app://."])
    );
    let checked = workspace.output(&["check"], "");
    let told = String::from_utf8_lossy(&checked.stdout);
    assert!(
        told.contains("mend     server") && !told.contains("origin"),
        "{told}"
    );
    workspace.set(KEY, "null");
    assert_snapshot!(workspace.run(&["check"]), @r#"
    exit: 1
    stderr:
    error: the value of server.allowed_origins is not acceptable (variable ARKLOOP_SERVER__ALLOWED_ORIGINS); it must be a list (separated by commas in a variable) of origins without path, query, user or star, each by itself: of web apps such as "https://app.example.org", of native apps and extensions such as "capacitor://localhost", "app://." or "chrome-extension://" and the id; "null" and "file://" name no app: serve its pages from http, https or a scheme of its own
    "#);
}
