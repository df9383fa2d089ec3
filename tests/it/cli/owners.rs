//! Which user may run a command: a command checks this before it touches anything, and its error names the right user.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::Workspace;
use crate::support::planting::{
    NAMELESS, STRANGER, assert_refused, can_plant_for_others, directory, file, give, listing, names, run_in,
    run_in_as, set_mode,
};

/// The group of a volume. Only processes of the container with that volume are in it.
const VOLUME: u32 = 54_321;

/// Commands that use the data directory, each in a valid form; the first two create the directory.
const CALLS: [&str; 12] = [
    "init",
    "serve --listen 127.0.0.1:0",
    "check",
    "user list",
    "invite create",
    "registration set open",
    "key rotate",
    "key rekey",
    "key reset --yes",
    "backup copy.db",
    "restore copy.db --yes",
    "mail test ann@example.org",
];

/// A directory that every user may search, with a directory `data` that has this owner and mode.
fn home_of(user: u32, mode: u32) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("the system has a temporary directory");
    set_mode(root.path(), 0o755);
    let data = root.path().join("data");
    directory(&data, mode);
    give(&data, user, user);
    (root, data)
}

fn call(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

#[test]
fn root_makes_nothing_in_the_directory_of_another_user() {
    if !can_plant_for_others("a data directory of another user") {
        return;
    }
    for (user, how) in [
        (STRANGER, "run: runuser -u nobody -- /".to_owned()),
        (
            NAMELESS,
            format!("run: setpriv --reuid {NAMELESS} --regid {NAMELESS} --clear-groups -- /"),
        ),
    ] {
        let (root, data) = home_of(user, 0o700);
        let before = listing(root.path());
        // Commands find the directory as the default below the working directory, by flag, as the working directory itself, and as a parent.
        let places = [
            (root.path(), vec![]),
            (
                Path::new("/"),
                vec!["--data-dir", data.to_str().expect("the path is text")],
            ),
            (data.as_path(), vec![]),
            (root.path(), vec!["--data-dir", "data/deep/er"]),
        ];
        for (place, flags) in &places {
            let is_in_it = *place == root.path() && flags.is_empty();
            for command in &CALLS[..if is_in_it { CALLS.len() } else { 2 }] {
                let (code, said) = run_in(place, &[flags.as_slice(), &call(command)].concat(), &[]);
                assert!(code == 1 || *command == "check", "{command}: {said}");
                assert!(said.contains(&how), "{command}: {said}");
                assert!(said.contains(&format!("/arkloop {}", flags.join(" "))), "{said}");
                assert!(said.contains(&format!("id {user}")), "{command}: {said}");
                assert!(!said.contains("-u root") && !said.contains("sudo"), "{said}");
                assert_eq!(listing(root.path()), before, "{command}");
            }
        }
        // The user who owns the directory may run the command.
        let made = run_in_as((user, &[]), root.path(), &["init"], &[]);
        assert_eq!(made.0, 0, "{}", made.1);
        let before = names(&data);
        for command in CALLS {
            let (_, said) = run_in(root.path(), &call(command), &[]);
            assert!(said.contains(&how), "{command}: {said}");
            assert_eq!(names(&data), before, "{command}");
        }
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_before_anything_is_made() {
    if !can_plant_for_others("a data directory of root's") {
        return;
    }
    let (root, data) = home_of(0, 0o755);
    let run = |arguments: &[&str]| run_in_as((STRANGER, &[]), root.path(), arguments, &[]);
    let before = listing(root.path());
    for arguments in [
        &["init"][..],
        &["-q", "serve", "--listen", "127.0.0.1:0"],
        &["restore", "copy.db", "--yes"],
    ] {
        assert_refused(
            run(arguments),
            &[
                "data cannot be written by nobody",
                "as root, run: chown nobody:nogroup",
                "data && chmod 700",
                "--data-dir DIR",
            ],
        );
    }
    // If the directory is missing, the nearest directory above it decides; no command is proposed that gives it away.
    let refused = run(&["--data-dir", "other/data", "init"]);
    assert!(!refused.1.contains("chown"), "{}", refused.1);
    assert_refused(refused, &["cannot be written by nobody", "--data-dir DIR"]);
    assert_eq!(listing(root.path()), before);
    file(&data.join("notes"), "of somebody else", 0o644);
    let refused = run(&["init"]);
    assert!(!refused.1.contains("chown"), "{}", refused.1);
    assert_refused(refused, &["cannot be written by nobody"]);
    assert_eq!(names(&data), ["notes"]);
}

#[test]
fn volumes_as_containers_get_them_are_used() {
    if !can_plant_for_others("a volume of root's") {
        return;
    }
    // A claim with fsGroup, an emptyDir, and an emptyDir with fsGroup; the data is in the volume itself or in a directory below it.
    for (group, mode) in [(VOLUME, 0o2775), (0, 0o777), (VOLUME, 0o2777)] {
        for data in ["volume", "volume/data"] {
            let root = tempfile::tempdir().expect("the system has a temporary directory");
            set_mode(root.path(), 0o755);
            let volume = root.path().join("volume");
            directory(&volume, 0o755);
            give(&volume, 0, group);
            set_mode(&volume, mode);
            let run = |arguments: &[&str]| {
                let arguments = [&["--data-dir", data], arguments].concat();
                let (code, said) = run_in_as((NAMELESS, &[VOLUME]), root.path(), &arguments, &[]);
                assert_eq!(code, 0, "{arguments:?} in {mode:o}: {said}");
                said
            };
            run(&["init"]);
            run(&["user", "list"]);
            run(&["backup", "volume/copy.db"]);
            run(&["restore", "volume/copy.db", "--yes"]);
            run(&["key", "rekey"]);
            let made = |path: &str| fs::metadata(root.path().join(path)).expect("the entry exists");
            assert_eq!(made(&format!("{data}/arkloop.db")).mode() & 0o777, 0o600);
            if data == "volume/data" {
                assert_eq!(made(data).mode() & 0o777, 0o700);
            }
        }
    }
}

#[test]
fn a_database_one_level_up_is_not_passed_over_for_a_new_one() {
    let workspace = Workspace::with_database_file();
    let before = names(&workspace.path().join("data"));
    for command in ["init", "-q serve --listen 127.0.0.1:0"] {
        let call = [&["--data-dir", "data/data"], call(command).as_slice()].concat();
        assert_refused(
            run_in(&workspace.path(), &call, &[]),
            &["data/data does not exist", "there is a database in", "--data-dir"],
        );
    }
    assert_eq!(names(&workspace.path().join("data")), before);
    directory(&workspace.path().join("data/data"), 0o700);
    workspace.json(&["--data-dir", "data/data", "init"]);
}

#[test]
fn the_right_user_is_told_with_the_whole_command_and_sudo_only_where_it_is() {
    if !can_plant_for_others("the database of another user") {
        return;
    }
    let (root, data) = home_of(STRANGER, 0o755);
    assert_eq!(run_in_as((STRANGER, &[]), root.path(), &["init"], &[]).0, 0);
    let arguments = ["user", "show", "it's $HOME", "--json"];
    let called = "arkloop user show 'it'\\''s $HOME' --json";
    let quoted_in_json = called.replace('\\', "\\\\");
    let (_, said) = run_in(root.path(), &arguments, &[]);
    assert!(said.contains("runuser -u nobody -- /"), "{said}");
    assert!(said.contains(&quoted_in_json), "{said}");
    let by_other =
        |variables: &[(&str, &Path)]| run_in_as((NAMELESS, &[]), root.path(), &["user", "list"], variables).1;
    let said = by_other(&[]);
    assert!(said.contains("as root, run: runuser -u nobody -- /"), "{said}");
    assert!(!said.contains("sudo"), "{said}");
    let bin = root.path().join("bin");
    directory(&bin, 0o755);
    file(&bin.join("sudo"), "", 0o755);
    let path = PathBuf::from(format!("{}:/usr/bin:/bin", bin.display()));
    let said = by_other(&[("PATH", &path), ("ARKLOOP_DATA_DIR", &data)]);
    let kept = "--preserve-env=ARKLOOP_DATA_DIR,ARKLOOP_PASSWORD__";
    assert!(said.contains(&format!("run: sudo -u nobody {kept}")), "{said}");
    // Root does not need sudo.
    let said = run_in(root.path(), &["user", "list"], &[("PATH", &path)]).1;
    assert!(!said.contains("sudo"), "{said}");
}

#[test]
fn root_leaves_no_manual_and_no_backup_in_the_directory_of_another_user() {
    if !can_plant_for_others("a directory of another user") {
        return;
    }
    let workspace = Workspace::with_database_file();
    let theirs = workspace.path().join("theirs");
    directory(&theirs, 0o755);
    give(&theirs, STRANGER, STRANGER);
    for arguments in [
        &["man", "theirs"][..],
        &["backup", "theirs/copy.db"],
        &["backup", "--keep", "1", "theirs"],
        &["backup", "--keep", "1", "theirs/new"],
    ] {
        assert_refused(
            run_in(&workspace.path(), arguments, &[]),
            &["theirs belongs to nobody (id 65534)"],
        );
    }
    let refused = run_in(&workspace.path(), &["man", "theirs"], &[]);
    assert_refused(refused, &["run: runuser -u nobody -- /", "arkloop man theirs"]);
    assert!(names(&theirs).is_empty(), "{:?}", names(&theirs));
    set_mode(&workspace.path(), 0o755);
    let written = run_in_as((STRANGER, &[]), &workspace.path(), &["man", "theirs"], &[]);
    assert_eq!(written.0, 0, "{}", written.1);
    let refused = run_in_as((NAMELESS, &[]), &workspace.path(), &["man", "theirs"], &[]);
    assert_refused(refused, &["Permission denied"]);
}

#[test]
fn a_configuration_that_this_user_may_not_read_is_for_the_user_of_the_server() {
    if !can_plant_for_others("a configuration of another user") {
        return;
    }
    let (root, _) = home_of(NAMELESS, 0o700);
    fs::write(root.path().join("arkloop.toml"), "").expect("the directory is writable");
    set_mode(&root.path().join("arkloop.toml"), 0o640);
    for command in ["check", "user list"] {
        let (code, said) = run_in_as((STRANGER, &[]), root.path(), &call(command), &[]);
        assert_eq!(code, 1, "{said}");
        let way = "may not read it; run this as the user of the server, which must be allowed to read the file, or name another";
        assert!(said.contains(&format!("(id {STRANGER}) {way}")), "{said}");
    }
}
