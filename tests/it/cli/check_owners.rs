//! `check` of owners and modes: it changes nothing, and one command that it proposes fixes everything that it finds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Workspace;
use crate::support::planting::{
    STRANGER, can_plant_for_others, directory, file, give, link, listing, names, run_in, run_in_as, set_mode,
};

/// A workspace with a database, which belongs to the service's user if root runs the tests, and otherwise to the user who runs them.
fn installation() -> Workspace {
    let mut workspace = Workspace::of_sqlite();
    if can_plant_for_others("a database of another user") {
        set_mode(&workspace.path(), 0o755);
        directory(&data(&workspace), 0o700);
        give(&data(&workspace), STRANGER, STRANGER);
        workspace.run_as(STRANGER);
    }
    workspace.json(&["init"]);
    workspace
}

fn data(workspace: &Workspace) -> PathBuf {
    workspace.path().join("data")
}

/// What `check` says if the owner runs it, and if root does, provided that root runs the tests.
fn checks(workspace: &Workspace, data: &Path) -> Vec<String> {
    let arguments = ["--data-dir", data.to_str().expect("the path is text"), "check"];
    let by_owner = workspace.output(&arguments, "");
    let mut said = vec![String::from_utf8_lossy(&[by_owner.stdout, by_owner.stderr].concat()).into_owned()];
    if rustix::process::geteuid().is_root() {
        said.push(run_in(&workspace.path(), &arguments, &[]).1);
    }
    said
}

#[test]
fn check_changes_nothing_whoever_runs_it() {
    let workspace = installation();
    let data = data(&workspace);
    let unchanged = |what: &str| {
        let before = listing(&data);
        for said in checks(&workspace, &data) {
            assert!(said.contains("files"), "{said}");
            assert_eq!(listing(&data), before, "{what}: {said}");
        }
    };
    unchanged("after init");
    for lock in ["use.lock", "turn.lock", "write.lock"] {
        fs::remove_file(data.join(lock)).expect("the file can be removed");
    }
    unchanged("without locks");
    let server = workspace.serve();
    workspace.create_user("ann");
    // Without the times of changes, because the running server may write meanwhile.
    let without_moments = || -> Vec<String> {
        let lines = listing(&data).into_iter();
        lines
            .map(|line| line.split(", inode").next().unwrap_or_default().to_owned())
            .collect()
    };
    let before = without_moments();
    for said in checks(&workspace, &data) {
        assert_eq!(without_moments(), before, "{said}");
    }
    server.kill();
    assert!(names(&data).contains(&"arkloop.db-shm".to_owned()));
    unchanged("after a crash");
    let by_owner = &checks(&workspace, &data)[0];
    assert!(
        by_owner.contains("database         whole") || by_owner.contains("database       whole"),
        "{by_owner}"
    );
    assert!(
        by_owner.contains("first") || by_owner.contains("since"),
        "{by_owner}"
    );
    for name in names(&data) {
        set_mode(&data.join(name), 0o400);
    }
    set_mode(&data, 0o500);
    unchanged("a directory that cannot be written");
    let by_owner = &checks(&workspace, &data)[0];
    assert!(
        by_owner.contains("arkloop.db cannot be written by its owner (mode 0400)"),
        "{by_owner}"
    );
    assert!(by_owner.contains("chmod 700 "), "{by_owner}");
    set_mode(&data, 0o700);
}

/// The command that the line about files proposes.
fn command(said: &str) -> &str {
    let line = said.lines().find(|line| line.starts_with("mend     files"));
    let line = line.unwrap_or_else(|| panic!("no problem of files is reported: {said}"));
    line.split_once("run: ").expect("a command is proposed").1
}

fn mend(command: &str) {
    let done = Command::new("sh").args(["-c", command]).status();
    assert!(done.is_ok_and(|status| status.success()), "{command}");
}

#[test]
fn one_command_mends_every_owner_and_mode_that_check_names() {
    if !can_plant_for_others("files of root's in the data directory of another user") {
        return;
    }
    let workspace = installation();
    let renamed = workspace.path().join("it's the data");
    fs::rename(data(&workspace), &renamed).expect("the entry can be moved");
    // What version 0.1 leaves behind if root runs it: an outbox, the files of SQLite, locks.
    directory(&renamed.join("outbox"), 0o755);
    file(&renamed.join("outbox/1-invite-a.eml"), "", 0o600);
    for name in ["arkloop.db-wal", "server.lock", "arkloop.key"] {
        let _ = fs::remove_file(renamed.join(name));
        file(&renamed.join(name), "", 0o644);
    }
    // These two do not belong to the program.
    directory(&renamed.join("lost+found"), 0o700);
    file(&renamed.join("arkloop.toml"), "", 0o644);
    set_mode(&renamed.join("arkloop.db"), 0o660);
    set_mode(&renamed.join("use.lock"), 0o400);
    set_mode(&renamed, 0o750);
    let [by_owner, by_root] = <[String; 2]>::try_from(checks(&workspace, &renamed)).expect("root runs this");
    for said in [&by_owner, &by_root] {
        for seen in [
            "outbox belongs to root",
            "of the files in",
            "arkloop.db-wal belongs to root",
            "server.lock belongs to root",
            "arkloop.db can be used by others than its owner (mode 0660)",
            "use.lock cannot be written by its owner (mode 0400)",
            "it's the data can be used by others than its owner (mode 0750)",
        ] {
            assert!(said.contains(seen), "{seen}: {said}");
        }
        assert_eq!(command(said), command(&by_owner));
    }
    assert!(
        by_owner.contains("as root, run: chown -R --no-dereference nobody:nogroup '/"),
        "{by_owner}"
    );
    assert!(
        !command(&by_owner).contains("lost+found") && !command(&by_owner).contains("toml"),
        "{by_owner}"
    );
    mend(command(&by_owner));
    for said in checks(&workspace, &renamed) {
        assert!(said.contains("ok       files"), "{said}");
    }
    assert!(fs::read_dir(renamed.join("lost+found")).is_ok());
}

#[test]
fn another_user_is_told_of_owners_and_modes_and_how_to_see_the_rest() {
    if !can_plant_for_others("a database of another user") {
        return;
    }
    let workspace = installation();
    let (code, said) = run_in(&workspace.path(), &["check"], &[]);
    // The command fails, because it could not check everything.
    assert_eq!(code, 1, "{said}");
    for seen in [
        "ok       files",
        "not opened: the files belong to nobody (id 65534), but this is run by root",
        "run: runuser -u nobody -- /",
    ] {
        assert!(said.contains(seen), "{seen}: {said}");
    }
    assert!(!said.contains("-u root") && !said.contains("whole"), "{said}");
    // A third user cannot even look into the directory.
    let (code, said) = run_in_as((54_991, &[]), &workspace.path(), &["check"], &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("as root, run: runuser -u nobody -- /"), "{said}");
}

#[test]
fn what_root_made_in_the_service_s_directory_is_given_back_and_nothing_that_is_linked_elsewhere() {
    let mut workspace = Workspace::with_database_file();
    if !can_plant_for_others("the directory of another user") {
        return;
    }
    // The state after root ran `init` of version 0.1 in a directory that tmpfiles had created.
    let data = data(&workspace);
    set_mode(&workspace.path(), 0o755);
    give(&data, STRANGER, STRANGER);
    let elsewhere = workspace.path().join("shadow");
    file(&elsewhere, "root's own", 0o600);
    fs::hard_link(&elsewhere, data.join("arkloop.db.linked")).expect("the link can be created");
    workspace.run_as(STRANGER);
    for said in checks(&workspace, &data) {
        assert!(said.contains("arkloop.db belongs to root"), "{said}");
        assert!(
            said.contains("arkloop.db.linked belongs to root and has other names"),
            "{said}"
        );
        assert!(!command(&said).contains("linked"), "{said}");
    }
    let refused = workspace.run(&["user", "list"]);
    assert!(
        refused.contains("chown -R --no-dereference nobody:nogroup"),
        "{refused}"
    );
    fs::remove_file(data.join("arkloop.db.linked")).expect("the file can be removed");
    mend(command(&checks(&workspace, &data)[1]));
    workspace.json(&["user", "list"]);
    assert_eq!(
        fs::read_to_string(Path::new(&elsewhere)).ok().as_deref(),
        Some("root's own")
    );
}

#[test]
fn no_command_leads_through_a_link_that_the_service_may_have_made() {
    if !can_plant_for_others("a key file of root's") {
        return;
    }
    let workspace = installation();
    let (data, elsewhere) = (data(&workspace), workspace.path().join("shadow"));
    file(&elsewhere, "root's own", 0o600);
    directory(&data.join("outbox"), 0o700);
    give(&data.join("outbox"), STRANGER, STRANGER);
    fs::hard_link(&elsewhere, data.join("outbox/linked")).expect("the link can be created");
    fs::rename(data.join("arkloop.key"), data.join("key")).expect("the entry can be moved");
    link(&elsewhere, &data.join("arkloop.key"));
    for mode in [0o600, 0o644] {
        set_mode(&elsewhere, mode);
        let (_, said) = run_in(&workspace.path(), &["check"], &[]);
        let line = said.lines().find(|line| line.starts_with("mend     files"));
        let line = line.unwrap_or_else(|| panic!("no problem of files is reported: {said}"));
        assert!(
            line.contains("outbox, 1 belong to root, and not all are files with one name"),
            "{line}"
        );
        assert!(line.contains("is a link to "), "{line}");
        assert!(!line.contains("run: "), "{line}");
    }
}

#[test]
fn whoever_makes_a_database_in_an_open_directory_is_not_given_the_key() {
    if !can_plant_for_others("a database in a directory of root's that everybody can write to") {
        return;
    }
    let workspace = Workspace::of_sqlite();
    let data = data(&workspace);
    directory(&data, 0o777);
    for (name, user) in [("arkloop.db", 54_991), ("arkloop.key", STRANGER)] {
        file(&data.join(name), "", 0o600);
        give(&data.join(name), user, user);
    }
    let (_, said) = run_in(&workspace.path(), &["check"], &[]);
    assert!(said.contains("arkloop.key belongs to nobody"), "{said}");
    assert!(
        !said.contains("chown") && said.contains("may have made it"),
        "{said}"
    );
}
