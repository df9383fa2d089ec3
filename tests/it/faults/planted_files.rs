//! Links, directories and files that others have put where backups are made and older ones removed.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::support::planting::{
    PRECIOUS, STRANGER, assert_precious, assert_refused, can_plant_for_others, directory, file, give, let_go,
    link, names, pipe, precious, private_name, run_in, set_mode, skip,
};
use crate::support::{Workspace, old_database};

/// A workspace with a database, and a directory in it that everybody may write to, as `/tmp` is.
fn shared() -> (Workspace, PathBuf) {
    let workspace = Workspace::with_database_file();
    let shared = workspace.path().join("shared");
    directory(&shared, 0o1777);
    (workspace, shared)
}

#[test]
fn a_backup_empties_no_directory_behind_a_planted_link() {
    let (workspace, shared) = shared();
    let precious = precious(&workspace);
    for (place, name) in [
        (&shared, ".arkloop-backup.partial"),
        (&shared, ".arkloop-restore.partial"),
        (&workspace.path().join("data"), ".arkloop-backup.partial"),
        (&workspace.path().join("data"), ".arkloop-restore.partial"),
    ] {
        let target = if place == &shared {
            workspace.path().join("data")
        } else {
            precious.clone()
        };
        link(target, &place.join(name));
    }
    workspace.create_user("ann");
    workspace.json(&["backup", "shared/copy.db"]);
    workspace.json(&["backup", "--keep", "1", "shared"]);
    workspace.json(&["restore", "shared/copy.db", "--yes"]);
    assert_eq!(
        workspace.json(&["user", "list"]).as_array().map(Vec::len),
        Some(1)
    );
    assert_precious(&precious);
    for name in [".arkloop-backup.partial", ".arkloop-restore.partial"] {
        assert!(shared.join(name).is_symlink(), "{name} was removed");
    }
}

#[test]
fn a_planted_directory_of_the_old_name_keeps_what_is_in_it() {
    let (workspace, shared) = shared();
    let planted = shared.join(".arkloop-backup.partial");
    fs::create_dir_all(planted.join("deeper")).expect("it can be made");
    file(&planted.join(PRECIOUS), PRECIOUS, 0o600);
    workspace.json(&["backup", "shared/copy.db"]);
    assert_eq!(names(&planted), ["deeper", PRECIOUS]);
}

#[test]
fn a_killed_backup_leaves_what_the_next_one_clears_away_and_nothing_else_goes() {
    let mut workspace = Workspace::with_database_file();
    let data = workspace.path().join("data");
    // The kernel kills it when a file grows beyond 64 blocks, which is in the middle of the copy.
    workspace.under("ulimit -c 0; ulimit -f 64");
    assert!(!workspace.output(&["backup", "copy.db"], "").status.success());
    workspace.under(":");
    let is_left = |name: &String| name.starts_with(".arkloop-");
    assert_eq!(
        names(&data).iter().filter(|name| is_left(name)).count(),
        1,
        "{:?}",
        names(&data)
    );
    assert_eq!(names(&workspace.path()), ["data"]);
    // Beside it: one whose maker still runs, one with something else in it, a link, a file, and a name of another form.
    let [held, strange, linked, plain] = ['a', 'b', 'c', 'd'].map(|digit| data.join(private_name(digit)));
    let lock = {
        directory(&held, 0o700);
        let lock = File::open(&held).expect("it opens");
        lock.lock().expect("nobody holds it");
        lock
    };
    let precious = precious(&workspace);
    directory(&strange, 0o700);
    fs::create_dir(strange.join("deeper")).expect("it can be made");
    link(precious.join(PRECIOUS), &strange.join("link"));
    link(&precious, &linked);
    file(&plain, "half of a key", 0o600);
    fs::create_dir(data.join(".arkloop-notes")).expect("it can be made");
    workspace.json(&["backup", "copy.db"]);
    let left: Vec<String> = names(&data).into_iter().filter(is_left).collect();
    let expected = [
        private_name('a'),
        private_name('b'),
        private_name('c'),
        ".arkloop-notes".to_owned(),
    ];
    assert_eq!(left, expected);
    assert_eq!(names(&strange), ["deeper", "link"]);
    assert_precious(&precious);
    let_go(&lock);
    workspace.json(&["backup", "again.db"]);
    assert!(!held.exists());
    assert_eq!(
        names(&workspace.path()),
        ["again.db", "copy.db", "data", "precious"]
    );
}

#[test]
fn a_backup_to_another_file_system_is_the_same_backup() {
    let workspace = Workspace::with_database_file();
    workspace.create_user("ann");
    let elsewhere = tempfile::tempdir_in("/dev/shm").expect("there is a second file system");
    let device = |path: &Path| fs::metadata(path).expect("it is there").dev();
    if device(elsewhere.path()) == device(&workspace.path()) {
        skip("/dev/shm is on the file system of the temporary directory");
    }
    let left = elsewhere.path().join(private_name('a'));
    file(&left, "half of a backup", 0o600);
    let copy = elsewhere.path().join("copy.db");
    workspace.json(&["backup", copy.to_str().expect("it is text")]);
    assert_eq!(names(elsewhere.path()), ["copy.db"]);
    assert_eq!(fs::metadata(&copy).expect("it is there").mode() & 0o777, 0o600);
    assert_eq!(old_database::integrity(&copy), "ok");
    link(
        workspace.path().join("nothing"),
        &elsewhere.path().join("planted.db"),
    );
    let planted = elsewhere.path().join("planted.db");
    let refused = run_in(
        &workspace.path(),
        &["backup", planted.to_str().expect("it is text")],
        &[],
    );
    assert_refused(refused, &["planted.db exists already"]);
}

#[test]
fn two_backups_at_once_do_not_meet() {
    let workspace = Workspace::with_database_file();
    let mut children: Vec<_> = (0..4)
        .map(|number| workspace.spawn(&["backup", &format!("{number}.db")]))
        .collect();
    for child in &mut children {
        assert!(child.wait().expect("it ends").success());
    }
    assert_eq!(names(&workspace.path()), ["0.db", "1.db", "2.db", "3.db", "data"]);
    assert!(
        !names(&workspace.path().join("data"))
            .iter()
            .any(|name| name.starts_with('.'))
    );
}

#[test]
fn only_files_of_one_s_own_make_way_for_a_new_backup() {
    let (workspace, shared) = shared();
    let precious = precious(&workspace);
    let dated = |day: u32| shared.join(format!("arkloop-202001{day:02}T000000.000Z.db"));
    link(precious.join(PRECIOUS), &dated(1));
    link(&precious, &dated(2));
    directory(&dated(3), 0o700);
    file(&dated(3).join(PRECIOUS), PRECIOUS, 0o600);
    pipe(&dated(4));
    link("nowhere", &dated(5));
    file(&dated(6), "a backup", 0o600);
    let mut left: Vec<PathBuf> = (1..=5).map(dated).collect();
    if can_plant_for_others("a dated file of another user") {
        file(&dated(7), "not ours", 0o600);
        give(&dated(7), STRANGER, STRANGER);
        left.push(dated(7));
        // Nor does a later file of another user push the real backups out.
        let newest = shared.join("arkloop-99990101T000000.000Z.db");
        file(&newest, "not ours", 0o600);
        give(&newest, STRANGER, STRANGER);
        left.push(newest);
    }
    let made = workspace.json(&["backup", "--keep", "1", "shared"]);
    assert_eq!(made["removed"].as_array().map(Vec::len), Some(1), "{made}");
    assert!(fs::exists(made["file"].as_str().expect("it is text")).expect("it can be asked"));
    for path in left {
        assert!(path.symlink_metadata().is_ok(), "{} was removed", path.display());
    }
    assert_precious(&precious);
}

#[test]
fn a_backup_does_not_go_where_a_stranger_s_link_or_directory_leads() {
    let (workspace, shared) = shared();
    if !can_plant_for_others("a link and a directory of another user in a sticky directory") {
        return;
    }
    link(workspace.path().join("data"), &shared.join("link"));
    give(&shared.join("link"), STRANGER, STRANGER);
    directory(&shared.join("theirs"), 0o777);
    give(&shared.join("theirs"), STRANGER, STRANGER);
    // A command that ends while its connections are being opened leaves SQLite's log, which the next one removes.
    let left = || {
        let mut left = names(&workspace.path().join("data"));
        left.retain(|name| !name.ends_with("-shm") && !name.ends_with("-wal"));
        left
    };
    let before = left();
    for place in ["shared/link", "shared/theirs"] {
        for arguments in [
            vec!["backup", "--keep", "1", place],
            vec!["backup", &format!("{place}/copy.db")],
        ] {
            assert_refused(run_in(&workspace.path(), &arguments, &[]), &[place, "65534"]);
        }
    }
    assert_refused(
        run_in(&workspace.path(), &["--data-dir", "shared/theirs", "init"], &[]),
        &["shared/theirs", "65534"],
    );
    assert_eq!(left(), before);
    assert!(names(&shared.join("theirs")).is_empty());
    // A link of one's own is accepted there.
    link(workspace.path(), &shared.join("own"));
    workspace.json(&["backup", "shared/own/copy.db"]);
}

#[test]
fn a_restore_does_not_wait_at_a_pipe() {
    let workspace = Workspace::with_database_file();
    pipe(&workspace.path().join("backup.db"));
    assert_refused(
        run_in(&workspace.path(), &["restore", "backup.db", "--yes"], &[]),
        &["backup.db"],
    );
}

#[test]
fn a_directory_of_everybody_s_is_no_place_to_be_led_through() {
    let workspace = Workspace::with_database_file();
    let open = workspace.path().join("open");
    directory(&open, 0o777);
    link(workspace.path().join("data"), &open.join("link"));
    for arguments in [
        ["--data-dir", "open/link", "user", "list"],
        ["backup", "--keep", "1", "open/link"],
    ] {
        assert_refused(
            run_in(&workspace.path(), &arguments, &[]),
            &["open", "open/link", "0777"],
        );
    }
    set_mode(&open, 0o755);
    let (code, said) = run_in(
        &workspace.path(),
        &["--data-dir", "open/link", "user", "list"],
        &[],
    );
    assert_eq!(code, 0, "{said}");
}
