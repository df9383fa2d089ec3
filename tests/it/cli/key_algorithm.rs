//! The algorithm of access tokens: ES256 for new installations; others keep the algorithm of their keys until the operator changes it.

use std::fs;

use arkloop::crypto::{SealedFor, SigningKey, read_key_file};
use arkloop::domain::SignatureAlgorithm;
use arkloop::system::System;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::key::{served, without_kids};
use crate::support::{Workspace, old_database};

/// The algorithm and the key id in the header of a token.
fn header_of(token: &str) -> (String, String) {
    let head = token.split('.').next().expect("a token has a head");
    let head = URL_SAFE_NO_PAD.decode(head).expect("it is base64url");
    let head: Value = serde_json::from_slice(&head).expect("it is JSON");
    let member = |name: &str| head[name].as_str().expect("the value is a text").to_owned();
    (member("alg"), member("kid"))
}

/// The algorithms of the signing keys, in the order of `key list`.
fn algorithms(workspace: &Workspace) -> Vec<String> {
    let listed = workspace.json(&["key", "list"]);
    let keys = listed["signing_keys"].as_array().expect("the value is a list");
    keys.iter()
        .map(|key| key["algorithm"].as_str().expect("the value is a text").to_owned())
        .collect()
}

/// Starts the server in the workspace, and returns the algorithm and the key id of a token that it signs.
fn header_after_a_start(workspace: &Workspace) -> (String, String) {
    let server = workspace.serve();
    let token = server.sign_in("ann");
    assert_eq!(server.request("GET", "/v1/me", Some(&token), None).0, 200);
    server.stop();
    header_of(&token)
}

/// A database of version 0.1 with a signing key as a server of that version created it; returns the id of the key too.
fn installation_of_the_version_before() -> (Workspace, String) {
    let workspace = Workspace::with_database_file();
    old_database::put(&workspace, old_database::BEFORE_LOST_ANSWERS, 1);
    let system = System::machine();
    let (key, pkcs8) =
        SigningKey::generate(SignatureAlgorithm::EdDsa, &system).expect("the key is generated");
    let keys = read_key_file(&workspace.path().join("data/arkloop.key")).expect("the key file can be read");
    let sealed = keys.seal(SealedFor::SigningKey(&key.kid), &pkcs8, &system);
    rusqlite::Connection::open(old_database::path(&workspace))
        .and_then(|database| {
            database.execute(
                "INSERT INTO signing_keys (kid, algorithm, sealed_private, created_at, active_at)
                 VALUES (?1, 'EdDSA', ?2, 1767225600000, 1767225600000)",
                (&key.kid, sealed.0),
            )
        })
        .expect("the row fits the schema");
    (workspace, key.kid.clone())
}

/// An installation whose keys are for `EdDSA`, although its configuration no longer names that algorithm.
fn with_eddsa(workspace: Workspace) -> Workspace {
    workspace.create_user("ann");
    workspace.write("arkloop.toml", "tokens.algorithm = \"EdDSA\"\n");
    workspace.serve().stop();
    workspace.write("arkloop.toml", "");
    workspace
}

#[test]
fn a_new_installation_signs_with_es256() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    assert_eq!(header_after_a_start(&workspace).0, "ES256");
    assert_eq!(algorithms(&workspace), ["ES256"]);
}

#[test]
fn an_installation_of_the_version_before_keeps_its_algorithm_whatever_is_replaced() {
    let (workspace, kid) = installation_of_the_version_before();
    workspace.serve().stop();
    workspace.create_user("ann");
    let eddsa = "EdDSA".to_owned();
    assert_eq!(header_after_a_start(&workspace), (eddsa.clone(), kid.clone()));
    assert_eq!(
        workspace.json(&["key", "rotate"])["algorithm_changed"],
        Value::Null
    );
    assert_eq!(algorithms(&workspace), ["EdDSA", "EdDSA"]);
    let rotated = workspace.json(&["key", "rotate", "--now"]);
    assert_eq!(rotated["algorithm_changed"], Value::Null);
    let (algorithm, new_kid) = header_after_a_start(&workspace);
    assert_eq!(algorithm, eddsa);
    assert_ne!(new_kid, kid);
    workspace.json(&["backup", "before.db"]);
    assert_eq!(
        workspace.json(&["restore", "before.db", "--yes"])["algorithm_changed"],
        Value::Null
    );
    let (algorithm, restored_kid) = header_after_a_start(&workspace);
    assert_eq!(algorithm, eddsa);
    assert_ne!(restored_kid, new_kid);
    workspace.json(&["key", "rekey"]);
    assert_eq!(
        header_after_a_start(&workspace),
        (eddsa.clone(), restored_kid.clone())
    );
    fs::remove_file(workspace.path().join("data/arkloop.key")).expect("there is a key");
    assert_eq!(
        workspace.json(&["key", "reset", "--yes"])["algorithm_changed"],
        Value::Null
    );
    let (algorithm, reset_kid) = header_after_a_start(&workspace);
    assert_eq!(algorithm, eddsa);
    assert_ne!(reset_kid, restored_kid);
    assert_eq!(algorithms(&workspace), ["EdDSA"]);
}

#[test]
fn a_rotation_changes_the_algorithm_by_the_flag_and_says_so() {
    let workspace = with_eddsa(Workspace::with_database());
    assert_snapshot!(without_kids(&workspace.run(&["key", "rotate", "--algorithm", "es256"])), @"
    exit: 0
    stdout:
    key file   <key> (<dir>/data/arkloop.key)
    next       ES256 <kid>, signs from <time> on
    signing    EdDSA <kid>, until <time>, published until <time>
    algorithm  changed from EdDSA to ES256
    stderr:
    Services that accept only EdDSA refuse the tokens of the new key. Let them accept ES256.
    ");
    assert_eq!(header_after_a_start(&workspace).0, "EdDSA");
    let detail = workspace.json(&["audit", "--event", "key.rotated"])[0]["detail"].to_string();
    assert!(
        detail.ends_with(", algorithm changed from EdDSA to ES256\""),
        "{detail}"
    );
    // The algorithm of the key that signs is kept, not that of the key that waits.
    let now = workspace.json(&["key", "rotate", "--now"]);
    assert_eq!(now["algorithm_changed"], Value::Null);
    assert_eq!(header_after_a_start(&workspace).0, "EdDSA");
    let now = workspace.json(&["key", "rotate", "--now", "--algorithm", "ES256"]);
    assert_eq!(now["algorithm_changed"], json!({"from": "EdDSA", "to": "ES256"}));
    assert_eq!(header_after_a_start(&workspace).0, "ES256");
    assert_eq!(algorithms(&workspace), ["ES256"]);
}

#[test]
fn a_rotation_changes_the_algorithm_by_the_configuration_and_says_so() {
    let mut workspace = with_eddsa(Workspace::with_database());
    workspace.write("arkloop.toml", "[tokens]\nalgorithm = \"ES256\"\n");
    let checked = workspace.run(&["check"]);
    let warned = "with EdDSA; tokens.algorithm is ES256; change it in order before the next start does it at once: arkloop key rotate";
    assert!(checked.contains(warned), "{checked}");
    assert_snapshot!(without_kids(&workspace.run(&["key", "rotate", "--now"])), @"
    exit: 0
    stdout:
    key file   <key> (<dir>/data/arkloop.key)
    signing    ES256 <kid>, since <time>
    algorithm  changed from EdDSA to ES256
    stderr:
    Services that accept only EdDSA refuse the tokens of the new key. Let them accept ES256.
    ");
    assert!(!workspace.run(&["check"]).contains("tokens.algorithm is"));
    workspace.set("ARKLOOP_TOKENS__ALGORITHM", "EdDSA");
    let announced = workspace.json(&["key", "rotate"]);
    assert_eq!(
        announced["algorithm_changed"],
        json!({"from": "ES256", "to": "EdDSA"})
    );
    // The new key has the algorithm of the configuration, so a start does not change the keys.
    let log = workspace.serve().stop();
    assert_eq!(algorithms(&workspace), ["EdDSA", "ES256"]);
    assert!(!log.contains("tokens.algorithm"), "{log}");
}

#[test]
fn a_flag_against_the_configuration_counts_and_is_warned_about() {
    let workspace = with_eddsa(Workspace::with_database());
    workspace.write("arkloop.toml", "tokens.algorithm = \"EdDSA\"\n");
    assert_snapshot!(without_kids(&workspace.run(&["key", "rotate", "--now", "--algorithm", "ES256"])), @r#"
    exit: 0
    stdout:
    key file   <key> (<dir>/data/arkloop.key)
    signing    ES256 <kid>, since <time>
    algorithm  changed from EdDSA to ES256
    stderr:
    warning: tokens.algorithm is "EdDSA", so the next start of the server goes back to that; set it to "ES256"
    Services that accept only EdDSA refuse the tokens of the new key. Let them accept ES256.
    "#);
    let log = workspace.serve().stop();
    assert!(
        log.contains("access tokens are signed with EdDSA from now on and with ES256 before: tokens.algorithm has changed"),
        "{log}"
    );
    assert_eq!(algorithms(&workspace), ["EdDSA", "ES256"]);
}

#[test]
fn a_lost_key_and_a_backup_change_the_algorithm_only_if_it_is_asked_for() {
    let workspace = with_eddsa(Workspace::with_database_file());
    workspace.json(&["backup", "before.db"]);
    fs::remove_file(workspace.path().join("data/arkloop.key")).expect("there is a key");
    assert_snapshot!(workspace.run(&["key", "reset", "--yes", "--algorithm", "ES256"]), @"
    exit: 0
    stdout:
    key file         <key> (<dir>/data/arkloop.key)
    sessions ended   0
    invites revoked  0
    algorithm        changed from EdDSA to ES256
    stderr:
    Services that accept only EdDSA refuse the tokens of the new key. Let them accept ES256.
    Keep a copy of the new key file apart from the database. Backups from before need the lost one and cannot be restored without it; make a new backup.
    ");
    assert_eq!(header_after_a_start(&workspace).0, "ES256");
    let workspace = with_eddsa(Workspace::with_database_file());
    workspace.json(&["backup", "before.db"]);
    workspace.write("arkloop.toml", "tokens.algorithm = \"ES256\"\n");
    let restored = workspace.run(&["restore", "before.db", "--yes"]);
    assert!(
        restored.contains("\nalgorithm        changed from EdDSA to ES256\n"),
        "{restored}"
    );
    assert!(
        restored.contains("\nServices that accept only EdDSA refuse"),
        "{restored}"
    );
    let details = workspace.json(&["audit", "--event", "backup.restored"]);
    assert_eq!(details[0]["detail"], "algorithm changed from EdDSA to ES256");
    let restored = workspace.json(&["restore", "before.db", "--yes"]);
    assert_eq!(
        restored["algorithm_changed"],
        json!({"from": "EdDSA", "to": "ES256"})
    );
    assert_eq!(header_after_a_start(&workspace).0, "ES256");
}

#[test]
fn an_unknown_algorithm_is_refused_with_those_that_there_are() {
    let workspace = served();
    assert_snapshot!(workspace.run(&["key", "rotate", "--algorithm", "RS256"]), @"
    exit: 2
    stderr:
    error: invalid value 'RS256' for '--algorithm <ALGORITHM>'
      [possible values: ES256, EdDSA]

      tip: a similar value exists: 'ES256'

    For more information, try '--help'.
    ");
    assert_eq!(
        workspace
            .output(&["key", "reset", "--algorithm", "none"], "")
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        workspace
            .output(&["key", "rekey", "--algorithm", "ES256"], "")
            .status
            .code(),
        Some(2)
    );
    assert_eq!(algorithms(&workspace), ["ES256"]);
}
