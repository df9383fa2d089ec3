//! `key list` and `key rotate`.

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::Workspace;

/// Hides key ids, which differ from run to run.
pub(super) fn without_kids(text: &str) -> String {
    let is_kid = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        word.len() == 43 && !word.contains('.')
    };
    let line = |line: &str| {
        let words = line.split(' ').map(|word| {
            if !is_kid(word) {
                return word.to_owned();
            }
            let start = word.find(|c: char| c != '"').unwrap_or_default();
            format!("{}<kid>{}", &word[..start], &word[start + 43..])
        });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A workspace in which a server has run.
pub(super) fn served() -> Workspace {
    let workspace = Workspace::with_database();
    workspace.serve().stop();
    workspace
}

fn kids(document: &Value) -> Vec<String> {
    let keys = document["signing_keys"].as_array().expect("the value is a list");
    keys.iter().map(|key| key["kid"].to_string()).collect()
}

#[test]
fn keys_are_listed() {
    let workspace = served();
    assert_snapshot!(without_kids(&workspace.run(&["key", "list"])), @"
    exit: 0
    stdout:
    key file  <key> (<dir>/data/arkloop.key)
    signing   ES256 <kid>, since <time>
    ");
    assert_snapshot!(without_kids(&workspace.run(&["--json", "key", "list"])), @r#"
    exit: 0
    stdout:
    {
      "key_file": "<dir>/data/arkloop.key",
      "key": "<key>",
      "signing_keys": [
        {
          "kid": "<kid>",
          "algorithm": "ES256",
          "status": "signing",
          "created_at": "<time>",
          "active_at": "<time>",
          "retired_at": null,
          "published_until": null
        }
      ]
    }
    "#);
    assert_snapshot!(Workspace::with_database().run(&["key", "list"]), @"
    exit: 0
    stdout:
    key file  <key> (<dir>/data/arkloop.key)
    ");
    assert_snapshot!(Workspace::new().run(&["key", "list"]), @"
    exit: 1
    stderr:
    error: there is no database at <dir>/data/arkloop.db; make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR
    ");
}

#[test]
fn a_rotation_announces_the_new_key_and_keeps_the_old_one() {
    let workspace = served();
    let before = kids(&workspace.json(&["key", "list"]));
    assert_snapshot!(without_kids(&workspace.run(&["key", "rotate"])), @"
    exit: 0
    stdout:
    key file  <key> (<dir>/data/arkloop.key)
    next      ES256 <kid>, signs from <time> on
    signing   ES256 <kid>, until <time>, published until <time>
    ");
    let after = kids(&workspace.json(&["key", "list"]));
    assert_eq!((after.len(), &after[1]), (2, &before[0]));
    let workspace = served();
    assert_snapshot!(without_kids(&workspace.run(&["--json", "key", "rotate"])), @r#"
    exit: 0
    stdout:
    {
      "key_file": "<dir>/data/arkloop.key",
      "key": "<key>",
      "signing_keys": [
        {
          "kid": "<kid>",
          "algorithm": "ES256",
          "status": "next",
          "created_at": "<time>",
          "active_at": "<time>",
          "retired_at": null,
          "published_until": null
        },
        {
          "kid": "<kid>",
          "algorithm": "ES256",
          "status": "signing",
          "created_at": "<time>",
          "active_at": "<time>",
          "retired_at": "<time>",
          "published_until": "<time>"
        }
      ],
      "algorithm_changed": null
    }
    "#);
}

#[test]
fn a_rotation_at_once_drops_every_other_key() {
    let workspace = served();
    workspace.json(&["key", "rotate"]);
    let before = kids(&workspace.json(&["key", "list"]));
    assert_snapshot!(without_kids(&workspace.run(&["key", "rotate", "--now"])), @"
    exit: 0
    stdout:
    key file  <key> (<dir>/data/arkloop.key)
    signing   ES256 <kid>, since <time>
    ");
    let after = kids(&workspace.json(&["key", "list"]));
    assert!(
        after.len() == 1 && !before.contains(&after[0]),
        "{before:?} {after:?}"
    );
    assert_snapshot!(without_kids(&workspace.run(&["--json", "key", "rotate", "--now"])), @r#"
    exit: 0
    stdout:
    {
      "key_file": "<dir>/data/arkloop.key",
      "key": "<key>",
      "signing_keys": [
        {
          "kid": "<kid>",
          "algorithm": "ES256",
          "status": "signing",
          "created_at": "<time>",
          "active_at": "<time>",
          "retired_at": null,
          "published_until": null
        }
      ],
      "algorithm_changed": null
    }
    "#);
}

#[test]
fn what_never_signed_cannot_be_rotated() {
    let workspace = Workspace::with_database();
    assert_snapshot!(workspace.run(&["key", "rotate"]), @"
    exit: 1
    stderr:
    error: there is no signing key yet; the server makes one when it starts
    ");
    assert_snapshot!(workspace.run(&["--json", "key", "rotate", "--now"]), @r#"
    exit: 1
    stderr:
    {"error":"there is no signing key yet","hint":"the server makes one when it starts"}
    "#);
}

#[test]
fn a_second_rotation_is_refused_while_a_key_waits_and_one_at_once_is_not() {
    let workspace = served();
    workspace.json(&["key", "rotate"]);
    let before = workspace.json(&["key", "list"])["signing_keys"].clone();
    let refused = workspace.run_in_both_forms(&["key", "rotate"]);
    let kid = before[0]["kid"].as_str().expect("it has an id");
    assert_snapshot!(refused.replace(kid, "<kid>"), @r#"
    exit: 1
    stderr:
    error: the key <kid> was made before and waits: it signs from <time> on; wait until then; if a key may be in other hands: arkloop key rotate --now
    exit: 1
    stderr:
    {"error":"the key <kid> was made before and waits: it signs from <time> on","hint":"wait until then; if a key may be in other hands: arkloop key rotate --now"}
    "#);
    assert_eq!(workspace.json(&["key", "list"])["signing_keys"], before);
    let checked = workspace.run(&["check"]);
    assert!(
        checked.contains("a new key signs access tokens from <time> on, with ES256"),
        "{checked}"
    );
    let keys = workspace.json(&["key", "rotate", "--now"])["signing_keys"].clone();
    assert_eq!(keys.as_array().map(Vec::len), Some(1));
}
