//! Key files that an orchestrator mounts: which are accepted, and what happens if they cannot be replaced.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Workspace;
use crate::support::planting::{
    STRANGER, assert_refused, can_plant_for_others, directory, give, link, listing, run_in_as, set_mode,
};

/// A workspace of the service's user whose key file is in `secret/`, a directory of root.
fn with_secret() -> (Workspace, PathBuf) {
    let mut workspace = Workspace::of_sqlite();
    set_mode(&workspace.path(), 0o755);
    let (data, secret) = (workspace.path().join("data"), workspace.path().join("secret"));
    directory(&data, 0o700);
    give(&data, STRANGER, STRANGER);
    workspace.run_as(STRANGER);
    workspace.json(&["init"]);
    directory(&secret, 0o755);
    let key = secret.join("arkloop.key");
    fs::rename(data.join("arkloop.key"), &key).expect("the entry can be moved");
    workspace.set("ARKLOOP_KEY_FILE", key.to_str().expect("the path is text"));
    (workspace, key)
}

fn run(workspace: &Workspace, key: &Path, arguments: &[&str]) -> (i32, String) {
    run_in_as(
        (STRANGER, &[]),
        &workspace.path(),
        arguments,
        &[("ARKLOOP_KEY_FILE", key)],
    )
}

#[test]
fn a_key_of_root_s_is_taken_if_nobody_else_can_write_it_and_others_cannot_read_it() {
    if !can_plant_for_others("a key file of root's for another user") {
        return;
    }
    let (workspace, key) = with_secret();
    give(&key, 0, STRANGER);
    for mode in [0o640, 0o440] {
        set_mode(&key, mode);
        workspace.json(&["user", "list"]);
        let (_, said) = run(&workspace, &key, &["check"]);
        assert!(said.contains("ok       files"), "{said}");
    }
    for mode in [0o660, 0o644, 0o444] {
        set_mode(&key, mode);
        let refused = run(&workspace, &key, &["user", "list"]);
        assert_refused(
            refused,
            &[
                &format!("{mode:04o}"),
                "as root, run: chmod g-w,o=",
                "defaultMode: 0400",
                "mode: 0400",
            ],
        );
        let (_, said) = run(&workspace, &key, &["check"]);
        assert!(said.contains("as root, run: chmod g-w,o= "), "{said}");
    }
    set_mode(&key, 0o400);
    assert_refused(
        run(&workspace, &key, &["user", "list"]),
        &[
            "Permission denied",
            "as root, run: chgrp 65534 ",
            "chmod 640",
            "fsGroup",
        ],
    );
    // Only the owner may have access to a key file that belongs to the service's user.
    give(&key, STRANGER, STRANGER);
    for (mode, is_taken) in [
        (0o600, true),
        (0o400, true),
        (0o640, false),
        (0o440, false),
        (0o604, false),
    ] {
        set_mode(&key, mode);
        let (code, said) = run(&workspace, &key, &["user", "list"]);
        assert_eq!(code == 0, is_taken, "{mode:o}: {said}");
        assert!(is_taken || said.contains("run: chmod 600 "), "{said}");
    }
}

#[test]
fn a_key_in_a_secret_of_kubernetes_is_taken() {
    if !can_plant_for_others("a secret as the kubelet makes it") {
        return;
    }
    let (workspace, key) = with_secret();
    let mounted = workspace.path().join("mounted");
    directory(&mounted, 0o1777);
    give(&mounted, 0, STRANGER);
    let version = mounted.join("..2026_11_28_10_00_00.123456789");
    directory(&version, 0o755);
    fs::rename(&key, version.join("arkloop.key")).expect("the entry can be moved");
    // `defaultMode: 0400` and `fsGroup` together.
    give(&version.join("arkloop.key"), 0, STRANGER);
    set_mode(&version.join("arkloop.key"), 0o440);
    link("..2026_11_28_10_00_00.123456789", &mounted.join("..data"));
    link("..data/arkloop.key", &mounted.join("arkloop.key"));
    let key = mounted.join("arkloop.key");
    let (code, said) = run(&workspace, &key, &["user", "list"]);
    assert_eq!(code, 0, "{said}");
    let before = [listing(&mounted), listing(&workspace.path().join("data"))];
    assert_refused(
        run(&workspace, &key, &["key", "rekey"]),
        &[
            "cannot be replaced where it is",
            "is a link",
            "ARKLOOP_KEY_FILE=COPY",
        ],
    );
    assert_eq!(
        [listing(&mounted), listing(&workspace.path().join("data"))],
        before
    );
}

#[test]
fn a_key_that_cannot_be_replaced_is_left_with_its_database_and_the_way_around_works() {
    if !can_plant_for_others("a key file of root's in a directory of root's") {
        return;
    }
    let (workspace, key) = with_secret();
    workspace.create_user("ann");
    let secret = key.parent().expect("the path has a parent");
    let data = workspace.path().join("data");
    give(&key, 0, STRANGER);
    set_mode(&key, 0o440);
    let state = || [listing(secret), listing(&data)];
    for (owner, named) in [(0, "cannot be written"), (STRANGER, "belongs to root")] {
        // The key file belongs to root in both cases, and only its owner may create a hard link to it.
        give(secret, owner, owner);
        let before = state();
        let refused = run(&workspace, &key, &["key", "rekey"]);
        assert_refused(
            refused,
            &["cannot be replaced where it is", named, "nothing was changed"],
        );
        assert_eq!(state(), before);
        workspace.json(&["user", "list"]);
    }
    // The steps that the refusal proposes.
    let copy = data.join("copy.key");
    fs::copy(&key, &copy).expect("the file can be copied");
    give(&copy, STRANGER, STRANGER);
    set_mode(&copy, 0o600);
    let (code, said) = run(&workspace, &copy, &["key", "rekey"]);
    assert_eq!(code, 0, "{said}");
    fs::copy(&copy, &key).expect("root puts it in place");
    set_mode(&key, 0o440);
    workspace.json(&["user", "list"]);
    // `key reset` is refused too, after the key is lost.
    give(secret, 0, 0);
    fs::remove_file(&key).expect("the file can be removed");
    let before = state();
    let refused = run(&workspace, &key, &["key", "reset", "--yes"]);
    assert_refused(
        refused,
        &[
            "cannot be replaced where it is",
            "ARKLOOP_KEY_FILE=COPY arkloop key reset",
        ],
    );
    assert_eq!(state(), before);
}
