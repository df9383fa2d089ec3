//! Directories of other users: as the data directory, around it, and where a crash might have left one.

use std::fs;
use std::path::Path;

use crate::support::Workspace;
use crate::support::planting::{
    PRECIOUS, STRANGER, assert_refused, can_plant_for_others, directory, file, give, names, private_name,
    run_in, set_mode,
};

#[test]
fn a_stranger_s_data_directory_is_refused_before_anything_is_made() {
    if !can_plant_for_others("a data directory of another user") {
        return;
    }
    let workspace = Workspace::of_sqlite();
    let data = workspace.path().join("data");
    for mode in [0o700, 0o755, 0o777, 0o1777] {
        directory(&data, mode);
        give(&data, STRANGER, STRANGER);
        for command in [
            &["init"][..],
            &["serve", "-q", "--listen", "127.0.0.1:0"],
            &["user", "list"],
            &["key", "rekey"],
        ] {
            assert_refused(
                run_in(&workspace.path(), command, &[]),
                &["data belongs to", "65534", "runuser -u nobody -- /", "--data-dir"],
            );
        }
        assert!(names(&data).is_empty(), "{:?}", names(&data));
        fs::remove_dir(&data).expect("it is empty");
    }
}

#[test]
fn a_database_in_a_stranger_s_directory_is_not_used_nor_given_away() {
    let workspace = Workspace::with_database_file();
    if !can_plant_for_others("a data directory of another user") {
        return;
    }
    let data = workspace.path().join("data");
    workspace.json(&["backup", "copy.db"]);
    give(&data, STRANGER, STRANGER);
    let before = names(&data);
    for command in [
        &["user", "list"][..],
        &["backup", "again.db"],
        &["restore", "copy.db", "--yes"],
    ] {
        assert_refused(
            run_in(&workspace.path(), command, &[]),
            &["data belongs to", "65534"],
        );
    }
    let (code, said) = run_in(&workspace.path(), &["check"], &[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("65534") && said.contains("runuser -u nobody -- /"),
        "{said}"
    );
    // The hint gives root's files to the owner of the directory, and never the other way.
    assert!(said.contains("arkloop.db belongs to root"), "{said}");
    assert!(said.contains("chown -R --no-dereference nobody:"), "{said}");
    assert!(!said.contains("root:"), "{said}");
    assert_eq!(names(&data), before);
}

#[test]
fn a_data_directory_that_others_can_write_is_warned_of() {
    let mut workspace = Workspace::of_sqlite();
    let data = workspace.path().join("data");
    let warned = "can be written by others";
    directory(&data, 0o700);
    if can_plant_for_others("a data directory of root's") {
        // Kubernetes mounts a volume like this.
        set_mode(&workspace.path(), 0o755);
        workspace.run_as(STRANGER);
        set_mode(&data, 0o777);
    } else {
        set_mode(&data, 0o757);
    }
    let output = workspace.output(&["init"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains(warned) && said.contains("data"), "{said}");
    let checked = workspace.output(&["check"], "");
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.contains(warned), "{checked}");
    let root_s = fs::metadata(&data).expect("it is there");
    if std::os::unix::fs::MetadataExt::uid(&root_s) == 0 {
        give(&data, 0, STRANGER);
        set_mode(&data, 0o2775);
        workspace.json(&["backup", "data/copy.db"]);
        workspace.json(&["restore", "data/copy.db", "--yes"]);
        give(&data, STRANGER, STRANGER);
    }
    set_mode(&data, 0o700);
    let output = workspace.output(&["init"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains(warned), "{said}");
}

/// A directory as a crash might have left it, with files of these names.
fn leftover(place: &Path, digit: char, inside: &[&str]) -> std::path::PathBuf {
    let path = place.join(private_name(digit));
    directory(&path, 0o700);
    for name in inside {
        file(&path.join(name), PRECIOUS, 0o600);
    }
    path
}

#[test]
fn a_leftover_is_cleared_away_only_if_nobody_else_can_have_put_it_there() {
    let workspace = Workspace::with_database_file();
    let data = workspace.path().join("data");
    let whole = ["arkloop.db", "arkloop.db-wal", "use.lock"];
    let left = leftover(&data, 'a', &whole);
    let mixed = leftover(&data, 'b', &["arkloop.db", PRECIOUS]);
    for mode in [0o777, 0o1777] {
        set_mode(&data, mode);
        workspace.json(&["backup", &format!("{mode}.db")]);
        assert_eq!(names(&left), whole);
    }
    set_mode(&data, 0o700);
    workspace.json(&["backup", "copy.db"]);
    assert!(!left.exists());
    assert_eq!(names(&mixed), ["arkloop.db", PRECIOUS]);
}

#[test]
fn nothing_is_made_beneath_a_stranger_s_directory_in_a_shared_one() {
    let workspace = Workspace::with_database_file();
    if !can_plant_for_others("a directory of another user in a sticky directory") {
        return;
    }
    let shared = workspace.path().join("shared");
    let theirs = shared.join("theirs");
    directory(&shared, 0o1777);
    directory(&theirs, 0o755);
    directory(&theirs.join("in"), 0o755);
    give(&theirs, STRANGER, STRANGER);
    for command in [
        &["backup", "--keep", "1", "shared/theirs/in"][..],
        &["backup", "--keep", "1", "shared/theirs/in/.."],
        &["backup", "shared/theirs/new/copy.db"],
        &["backup", "--keep", "1", "shared/theirs/.."],
        &["--data-dir", "shared/theirs/de", "init"],
        &["--data-dir", "shared/theirs/in", "init"],
        &["serve", "-q", "--listen", "unix:shared/theirs/s.sock"],
        &["serve", "-q", "--listen", "unix:shared/theirs/in/s.sock"],
    ] {
        assert_refused(
            run_in(&workspace.path(), command, &[]),
            &["shared/theirs belongs to", "65534"],
        );
    }
    assert_eq!(names(&theirs), ["in"]);
    assert!(names(&theirs.join("in")).is_empty());
    assert_eq!(names(&shared), ["theirs"]);
}
