//! Text from strangers is escaped in terminals and logs: control characters would steer the terminal, and bidirectional ones reorder the line.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{TestApp, Workspace};

/// Text with an escape sequence, a carriage return, a C1 control, an override of the direction, an isolate, a zero-width space and a tag.
const WILD: &str = "evil\u{1b}[2J\r\u{9b}31m\u{202e}gnp\u{2066}.\u{200b}\u{e0041}exe";

fn is_unprintable(c: char) -> bool {
    let acts = matches!(u32::from(c), 0x00..0x20 | 0x7f..0xa0 | 0xad | 0x61c | 0x200b | 0x200e | 0x200f | 0x2028..0x202f | 0x2060..0x2070 | 0xfeff | 0xe0000..0xe0080);
    acts && c != '\n'
}

fn assert_printable(arguments: &[&str], text: &str) {
    assert!(!text.contains(is_unprintable), "{arguments:?}: {text:?}");
}

/// A database with [`WILD`] in every column that can have text from a stranger.
fn wild_database() -> Workspace {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    workspace.json(&["invite", "create", "--note", "for Ann"]);
    let sql = "
        INSERT INTO sessions (id, user_id, nonce, method, created_at, last_used_at, expires_at, address, user_agent)
            SELECT id, id, randomblob(16), 'pwd', created_at, created_at, created_at + 1000000, '192.0.2.1', :wild FROM users;
        UPDATE invites SET note = :wild;
        UPDATE audit_events SET detail = :wild, operator_sudo_user = :wild;
        INSERT INTO audit_events (at, event, refused_because, user_id, username, detail, address, user_agent)
            SELECT created_at, 'sign_in.password', 'wrong_password', id, username, :wild, '192.0.2.1', :wild FROM users;
        INSERT INTO outbox (id, kind, sealed_mail, message_id, created_at, expires_at, next_attempt_at, last_error)
            SELECT id, 'test', x'00', 'a@b', created_at, created_at + 100000000, created_at, :wild FROM users;";
    workspace
        .database()
        .change(&sql.replace(":wild", &format!("'{WILD}'")));
    workspace
}

#[test]
fn no_command_shows_an_unprintable_character() {
    let workspace = wild_database();
    for arguments in [
        vec!["session", "list", "ann"],
        vec!["invite", "list", "--all"],
        vec!["audit"],
        vec!["audit", "--user", "ann"],
        vec!["explain", "ann"],
        vec!["explain", "192.0.2.1"],
        vec!["mail", "queue"],
        vec!["check"],
        // Refusals repeat the arguments.
        vec!["user", "show", WILD],
        vec!["invite", "show", WILD],
        vec!["session", "revoke", WILD],
        vec!["audit", "--event", WILD],
        vec!["explain", WILD],
        vec![WILD],
        vec!["--config", WILD, "check"],
        vec!["backup", WILD],
    ] {
        for style in [None, Some("--json")] {
            let arguments: Vec<&str> = style.into_iter().chain(arguments.iter().copied()).collect();
            let output = workspace.output(&arguments, "");
            for stream in [&output.stdout, &output.stderr] {
                assert_printable(&arguments, &String::from_utf8_lossy(stream));
            }
        }
    }
    let sessions = workspace.json(&["session", "list", "ann"]);
    assert_eq!(
        sessions[0]["user_agent"],
        json!(WILD),
        "JSON escapes the text without changing it"
    );
    let question = workspace.run_at_a_terminal(&["restore", WILD], "n\n");
    assert_printable(&["restore"], &question);
}

#[test]
fn a_note_has_printable_characters_only() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["invite", "create", "--note", "for \u{202e}nnA"]), @r"
    exit: 2
    stderr:
    error: invalid value 'for \u{202e}nnA' for '--note <TEXT>': it may only have one line of printable characters

    For more information, try '--help'.
    ");
    workspace.json(&[
        "invite",
        "create",
        "--note",
        "f\u{fc}r \u{6b63} \u{1f469}\u{200d}\u{1f680}",
    ]);
}

#[tokio::test]
async fn a_user_agent_is_kept_without_unprintable_characters() {
    let app = TestApp::open().await;
    let mut body = crate::support::registration("alice");
    body["locale"] = json!("en");
    let answer = app
        .post("/v1/auth/register")
        .header_of_bytes(
            "user-agent",
            "Good\u{202e}\u{2066}Browser\u{9b}/1\u{200b}".as_bytes(),
        )
        .json(&body)
        .send()
        .await;
    assert_eq!(answer.status, 201);
    let sessions = app
        .get("/v1/auth/sessions")
        .bearer(&answer.access_token())
        .send()
        .await;
    assert_eq!(
        sessions.json()["sessions"][0]["user_agent"],
        json!("GoodBrowser/1")
    );
}
