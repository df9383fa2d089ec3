//! Links, pipes, directories and files that others have put where the program keeps its own: database, locks, keys, mails, pages, sockets.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::Workspace;
use crate::support::planting::{
    PRECIOUS, STRANGER, assert_precious, assert_refused, can_plant_for_others, directory, file, give, link,
    names, pipe, precious, private_name, run_in,
};

#[test]
fn a_lock_that_is_a_link_or_a_pipe_is_refused_and_named() {
    for lock in ["server.lock", "use.lock", "write.lock", "turn.lock"] {
        let workspace = Workspace::with_database_file();
        let precious = precious(&workspace);
        let path = workspace.path().join("data").join(lock);
        let command: &[&str] = match lock {
            "server.lock" => &["key", "rekey"],
            _ => &["invite", "create"],
        };
        for target in [precious.join(PRECIOUS), precious.join("new")] {
            let _ = fs::remove_file(&path);
            link(target, &path);
            assert_refused(run_in(&workspace.path(), command, &[]), &[lock, "is a link"]);
        }
        fs::remove_file(&path).expect("it is there");
        pipe(&path);
        assert_refused(
            run_in(&workspace.path(), command, &[]),
            &[lock, "not a regular file"],
        );
        assert_precious(&precious);
        if can_plant_for_others("a lock of another user") {
            fs::remove_file(&path).expect("it is there");
            file(&path, "", 0o666);
            give(&path, STRANGER, STRANGER);
            assert_refused(run_in(&workspace.path(), command, &[]), &[lock, "65534"]);
        }
    }
}

#[test]
fn a_database_that_is_a_link_or_a_pipe_is_refused_and_named() {
    for name in ["arkloop.db", "arkloop.db-wal", "arkloop.db-shm"] {
        let workspace = Workspace::with_database_file();
        let (path, aside) = (
            workspace.path().join("data").join(name),
            workspace.path().join("aside"),
        );
        if name == "arkloop.db" {
            fs::rename(&path, &aside).expect("it is there");
        } else {
            file(&aside, "", 0o600);
            let _ = fs::remove_file(&path);
        }
        link(&aside, &path);
        let before = fs::read(&aside).expect("it is there");
        for command in [&["user", "list"][..], &["init"], &["restore", "aside", "--yes"]] {
            assert_refused(run_in(&workspace.path(), command, &[]), &[name, "is a link"]);
        }
        fs::remove_file(&path).expect("it is there");
        pipe(&path);
        assert_refused(
            run_in(&workspace.path(), &["user", "list"], &[]),
            &[name, "not a regular file"],
        );
        assert!(
            fs::read(&aside).expect("it is there") == before,
            "{name} was written to"
        );
        // The search for secrets would block at the pipe.
        fs::rename(&aside, &path).expect("it is there");
    }
}

#[test]
fn a_key_is_made_whatever_has_the_old_name_of_its_beginning() {
    let workspace = Workspace::new();
    let data = workspace.path().join("data");
    directory(&data, 0o700);
    let planted = data.join("arkloop.key.new");
    directory(&planted, 0o700);
    assert!(workspace.output(&["init"], "").status.success());
    assert!(planted.is_dir());
    assert!(
        !names(&data).iter().any(|name| name.starts_with('.')),
        "{:?}",
        names(&data)
    );
}

#[test]
fn a_planted_successor_of_the_key_is_refused_and_kept() {
    type Plant = fn(&Path, &Path);
    let plants: [(Plant, &str); 3] = [
        (|path, target| link(target, path), "is a link"),
        (|path, _| pipe(path), "not a regular file"),
        (|path, _| directory(path, 0o700), "arkloop.key.next"),
    ];
    for (plant, said) in plants {
        let workspace = Workspace::with_database_file();
        let precious = precious(&workspace);
        let key = workspace.path().join("data/arkloop.key");
        let before = fs::read(&key).expect("there is a key");
        let path = workspace.path().join("data/arkloop.key.next");
        plant(&path, &precious.join(PRECIOUS));
        assert_refused(
            run_in(&workspace.path(), &["key", "rekey"], &[]),
            &["arkloop.key.next", said],
        );
        assert_eq!(fs::read(&key).expect("there is a key"), before);
        assert!(path.symlink_metadata().is_ok());
        assert_precious(&precious);
        workspace.json(&["user", "list"]);
    }
}

#[test]
fn a_key_file_that_is_a_pipe_or_a_stranger_s_is_refused() {
    let workspace = Workspace::with_database_file();
    let key = workspace.path().join("data/arkloop.key");
    if can_plant_for_others("a key file of another user") {
        give(&key, STRANGER, STRANGER);
        assert_refused(
            run_in(&workspace.path(), &["user", "list"], &[]),
            &["arkloop.key", "65534", "runuser -u nobody -- /"],
        );
    }
    fs::remove_file(&key).expect("it is there");
    pipe(&key);
    assert_refused(
        run_in(&workspace.path(), &["user", "list"], &[]),
        &["arkloop.key", "not a regular file"],
    );
}

#[test]
fn the_outbox_is_swept_of_mails_only() {
    let workspace = Workspace::with_database();
    let (outbox, precious) = (workspace.path().join("data/outbox"), precious(&workspace));
    directory(&outbox, 0o700);
    link(precious.join(PRECIOUS), &outbox.join("1-invite-a.eml"));
    directory(&outbox.join("1-invite-b.eml"), 0o700);
    pipe(&outbox.join("1-invite-c.eml"));
    file(&outbox.join("1-invite-z.eml"), "a mail", 0o600);
    file(&outbox.join(private_name('a')), "half of a mail", 0o600);
    let _server = workspace.serve();
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_swept = || !outbox.join("1-invite-z.eml").exists() && !outbox.join(private_name('a')).exists();
    while !is_swept() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let left = names(&outbox);
    assert_precious(&precious);
    // The search for secrets would read them as mails, and block at the pipe.
    fs::remove_dir_all(&outbox).expect("it is there");
    assert_eq!(left, ["1-invite-a.eml", "1-invite-b.eml", "1-invite-c.eml"]);
}

#[test]
fn manual_pages_are_written_through_no_link() {
    let workspace = Workspace::new();
    let (man, precious) = (workspace.path().join("man1"), precious(&workspace));
    directory(&man, 0o755);
    let page = man.join("arkloop-audit.1");
    link(precious.join(PRECIOUS), &page);
    assert_refused(
        run_in(&workspace.path(), &["man", "man1"], &[]),
        &["arkloop-audit.1", "is a link"],
    );
    fs::remove_file(&page).expect("it is there");
    fs::hard_link(precious.join(PRECIOUS), &page).expect("it can be made");
    let (code, said) = run_in(&workspace.path(), &["man", "man1"], &[]);
    assert_eq!(code, 0, "{said}");
    assert_precious(&precious);
    let mode = fs::metadata(&page).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert!(!names(&man).iter().any(|name| name.starts_with('.')));
}

#[test]
fn a_socket_takes_the_place_of_one_s_own_dead_socket_only() {
    let workspace = Workspace::with_database_file();
    let (path, precious) = (workspace.path().join("run.sock"), precious(&workspace));
    link(precious.join(PRECIOUS), &path);
    let serve = ["serve", "-q", "--listen", "unix:run.sock"];
    assert_refused(
        run_in(&workspace.path(), &serve, &[]),
        &["run.sock", "not a socket"],
    );
    fs::remove_file(&path).expect("it is still there");
    file(&path, PRECIOUS, 0o600);
    assert_refused(
        run_in(&workspace.path(), &serve, &[]),
        &["run.sock", "not a socket"],
    );
    fs::remove_file(&path).expect("it is still there");
    drop(UnixListener::bind(&path).expect("it can be made"));
    if can_plant_for_others("a socket of another user") {
        give(&path, STRANGER, STRANGER);
        assert_refused(run_in(&workspace.path(), &serve, &[]), &["run.sock", "65534"]);
        give(&path, 0, 0);
    }
    assert_precious(&precious);
    let mut child = workspace.spawn(&serve);
    let deadline = Instant::now() + Duration::from_secs(20);
    let mode = || fs::symlink_metadata(&path).map(|found| found.mode() & 0o777);
    while mode().ok() != Some(0o660) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(mode().ok(), Some(0o660));
    // The server does not remove a file that has replaced its socket.
    fs::remove_file(&path).expect("it is there");
    file(&path, PRECIOUS, 0o600);
    crate::support::send_signal(child.id(), "TERM");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some(PRECIOUS));
}
