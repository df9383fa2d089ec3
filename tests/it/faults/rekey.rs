//! The replacement of the key file is cut off at every point, and the database opens afterwards.

use std::fs;
use std::time::Instant;

use crate::support::Workspace;

const KILLS: u32 = 10;
const INVITES: usize = 20;

/// A workspace whose invites have to be sealed anew.
fn in_use() -> Workspace {
    let workspace = Workspace::with_database_file();
    workspace.json(&["invite", "create", "--count", &INVITES.to_string()]);
    workspace
}

#[test]
fn a_replacement_that_was_cut_off_before_the_key_changed_hands_is_finished_by_the_next_command() {
    let workspace = in_use();
    let old = fs::read(workspace.key_file()).expect("there is a key");
    let kept = workspace.json(&["key", "rekey"])["kept"].clone();
    let new = fs::read(workspace.key_file()).expect("there is a key");
    // This is the state after the commit: the new key is still beside the old one.
    let kept = kept.as_str().expect("the old one is kept");
    fs::rename(
        workspace.key_file(),
        workspace.path().join("data/arkloop.key.next"),
    )
    .expect("it is moved");
    fs::rename(kept, workspace.key_file()).expect("it is moved");
    assert_eq!(
        workspace.json(&["invite", "list"]).as_array().map(Vec::len),
        Some(INVITES)
    );
    assert_eq!(fs::read(workspace.key_file()).expect("there is a key"), new);
    assert!(!workspace.path().join("data/arkloop.key.next").exists());
    let next = workspace.json(&["key", "rekey"]);
    assert!(next["kept"].is_string() && old != new);
}

#[test]
fn a_replacement_that_was_cut_off_before_the_database_changed_is_forgotten() {
    let [workspace, other] = [in_use(), Workspace::with_database_file()];
    let old = fs::read(workspace.key_file()).expect("there is a key");
    fs::copy(other.key_file(), workspace.path().join("data/arkloop.key.next")).expect("it is copied");
    assert_eq!(
        workspace.json(&["invite", "list"]).as_array().map(Vec::len),
        Some(INVITES)
    );
    assert_eq!(fs::read(workspace.key_file()).expect("there is a key"), old);
    workspace.json(&["key", "rekey"]);
    assert_eq!(
        workspace.json(&["invite", "list"]).as_array().map(Vec::len),
        Some(INVITES)
    );
}

#[test]
fn a_reset_that_was_cut_off_is_finished_by_the_next_command() {
    let workspace = in_use();
    fs::remove_file(workspace.key_file()).expect("there is a key");
    workspace.json(&["key", "reset", "--yes"]);
    fs::rename(
        workspace.key_file(),
        workspace.path().join("data/arkloop.key.next"),
    )
    .expect("it is moved");
    assert_eq!(
        workspace
            .json(&["invite", "list", "--all"])
            .as_array()
            .map(Vec::len),
        Some(INVITES)
    );
    assert!(workspace.key_file().exists());
}

#[test]
fn killing_a_replacement_at_any_moment_leaves_a_database_that_opens() {
    let workspace = in_use();
    let began = Instant::now();
    workspace.json(&["key", "rekey"]);
    let took = began.elapsed();
    for kill in 0..KILLS {
        let mut rekeying = workspace.spawn(&["key", "rekey"]);
        let nanos = std::time::UNIX_EPOCH
            .elapsed()
            .expect("it is past 1970")
            .subsec_nanos();
        let within = took / KILLS;
        std::thread::sleep(within * kill + within.mul_f64(f64::from(nanos % 1000) / 1000.0));
        let _ = rekeying.kill();
        rekeying.wait().expect("it ends");
        assert_eq!(
            workspace.json(&["invite", "list"]).as_array().map(Vec::len),
            Some(INVITES)
        );
    }
}
