//! What all commands have in common: how they fail without a usable database or configuration, and how they report wrong usage.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use insta::assert_snapshot;

use crate::support::shown::{command_of, leaves};
use crate::support::{Workspace, old_database};

/// What a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing that may be missing.
    Nothing,
    /// A configuration, and no database.
    Configuration,
    /// A server that runs or has run.
    Server,
    /// A database, which the command creates if there is none.
    Room,
    /// A database.
    Database,
    /// A database whose key file is gone.
    LostKey,
    /// A backup; the database is replaced, if there is one.
    Backup,
}

/// Each command in a valid form.
const CALLS: [(&str, Needs); 38] = [
    ("init", Needs::Room),
    // The server cannot listen there, so the command always ends.
    ("serve -q --listen unix:/nowhere/socket", Needs::Room),
    ("invite create", Needs::Database),
    ("invite list", Needs::Database),
    ("invite show ABCD-EFGH-JKMN-PQRS", Needs::Database),
    ("invite revoke ABCD-EFGH-JKMN-PQRS", Needs::Database),
    ("registration show", Needs::Database),
    ("registration set open", Needs::Database),
    ("user create ann --email ann@example.org", Needs::Database),
    ("user link ann", Needs::Database),
    ("user list", Needs::Database),
    ("user show ann", Needs::Database),
    ("user set-password ann --password-stdin", Needs::Database),
    ("user set-email ann ann@example.net", Needs::Database),
    ("user verify-email ann", Needs::Database),
    ("user suspend ann", Needs::Database),
    ("user reactivate ann", Needs::Database),
    ("user delete ann --yes", Needs::Database),
    ("session list ann", Needs::Database),
    ("session revoke --all", Needs::Database),
    ("key list", Needs::Database),
    ("key rotate", Needs::Database),
    ("key rekey", Needs::Database),
    ("key reset --yes", Needs::LostKey),
    ("audit", Needs::Database),
    ("explain ann", Needs::Database),
    ("mail test ann@example.org", Needs::Database),
    ("mail queue", Needs::Database),
    ("mail retry", Needs::Database),
    ("backup copy.db", Needs::Database),
    ("restore copy.db --yes", Needs::Backup),
    // The URL of the other database is not set.
    ("db copy sqlite postgres", Needs::Configuration),
    // Without a database, `check` goes on and reports that; see `check.rs`.
    ("check", Needs::Configuration),
    ("healthcheck", Needs::Server),
    ("config show", Needs::Configuration),
    ("openapi", Needs::Nothing),
    ("completions bash", Needs::Nothing),
    ("man .", Needs::Nothing),
];

/// Runs every command that needs one of `needs`, in text and as JSON. Returns the most common output, then each other one with the names of its
/// commands.
fn said_by_all(workspace: &Workspace, needs: &[Needs]) -> String {
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for (call, _) in CALLS.iter().filter(|(_, need)| needs.contains(need)) {
        let call: Vec<&str> = call.split(' ').collect();
        let text = workspace.run(&call) + &workspace.run(&[&["--json"], call.as_slice()].concat());
        let command = command_of(&call).expect("it is a command");
        match said.iter_mut().find(|(other, _)| *other == text) {
            Some((_, commands)) => commands.push(command),
            None => said.push((text, vec![command])),
        }
    }
    said.sort_by_key(|(_, commands)| std::cmp::Reverse(commands.len()));
    let most = said.remove(0).0;
    let others = said
        .iter()
        .map(|(text, commands)| format!("{}:\n{text}", commands.join(", ")));
    [most].into_iter().chain(others).collect()
}

/// The text with placeholders for the versions of the schema and of the program, which change with every release.
fn without_versions(text: &str) -> String {
    let newest = old_database::newest();
    text.replace(
        &format!("this version knows only {newest}"),
        "this version knows only <newest>",
    )
    .replace(
        &format!("this version needs {newest}"),
        "this version needs <newest>",
    )
    .replace(env!("CARGO_PKG_VERSION"), "<version>")
}

fn edit(workspace: &Workspace, sql: &str) {
    let database = rusqlite::Connection::open(old_database::path(workspace)).expect("the database opens");
    database.execute_batch(sql).expect("the SQL is executed");
}

#[test]
fn every_command_is_in_the_list() {
    let listed: BTreeSet<&str> = CALLS
        .iter()
        .filter_map(|(call, _)| command_of(&call.split(' ').collect::<Vec<_>>()))
        .collect();
    assert_eq!(listed, leaves());
}

#[test]
fn without_a_database_every_command_says_where_it_looked() {
    let workspace = Workspace::new();
    assert_snapshot!(said_by_all(&workspace, &[Needs::Database, Needs::LostKey]), @r#"
    exit: 1
    stderr:
    error: there is no database at <dir>/data/arkloop.db; make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR
    exit: 1
    stderr:
    {"error":"there is no database at <dir>/data/arkloop.db","hint":"make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR"}
    "#);
    assert!(!workspace.path().join("data").exists());
}

#[test]
fn the_database_of_another_user_is_left_alone_by_every_command() {
    let workspace = Workspace::with_database_file();
    workspace.json(&["backup", "copy.db"]);
    let path = old_database::path(&workspace);
    // Only root may give files away. If another user runs the tests, a link to a file of root replaces the database.
    if chown(&path, Some(65_534), None).is_err() {
        fs::remove_file(&path)
            .and_then(|()| symlink("/etc/passwd", &path))
            .expect("the directory is ours");
    }
    let [owner, runner] =
        [&path, &workspace.path()].map(|path| path.metadata().expect("the entry exists").uid());
    let needs = [Needs::Room, Needs::Database, Needs::LostKey, Needs::Backup];
    let said = said_by_all(&workspace, &needs);
    let [owner, runner] = [owner, runner].map(arkloop::files::shown_user);
    let said = said.replace(
        &format!("belongs to {owner}, but this is run by {runner}"),
        "belongs to <owner>, but this is run by <runner>",
    );
    // The proposed way differs if the database belongs to root.
    let said = said.replace("run: runuser -u nobody -- <command>", "<how to>");
    assert_snapshot!(said.replace("run it as root", "<how to>"), @r#"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db belongs to <owner>, but this is run by <runner>; <how to>; nothing was changed
    exit: 1
    stderr:
    {"error":"<dir>/data/arkloop.db belongs to <owner>, but this is run by <runner>","hint":"<how to>; nothing was changed"}
    "#);
}

#[test]
fn an_older_schema_is_left_alone_by_every_command() {
    let workspace = Workspace::with_database_file();
    old_database::put(&workspace, old_database::FIRST_RELEASE, 1);
    assert_snapshot!(without_versions(&said_by_all(&workspace, &[Needs::Database])), @r#"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db has schema 2, but this version needs <newest>; run `arkloop init` or restart `arkloop serve` to bring it up to date
    exit: 1
    stderr:
    {"error":"<dir>/data/arkloop.db has schema 2, but this version needs <newest>","hint":"run `arkloop init` or restart `arkloop serve` to bring it up to date"}
    "#);
}

#[test]
fn a_newer_schema_is_left_alone_by_every_command() {
    let workspace = Workspace::with_database_file();
    edit(&workspace, "PRAGMA user_version = 999");
    let needs = [Needs::Room, Needs::Database];
    assert_snapshot!(without_versions(&said_by_all(&workspace, &needs)), @r#"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db has schema 999, but this version knows only <newest>; use arkloop <version> or newer
    exit: 1
    stderr:
    {"error":"<dir>/data/arkloop.db has schema 999, but this version knows only <newest>","hint":"use arkloop <version> or newer"}
    "#);
}

#[test]
fn a_file_that_is_no_database_of_ours_is_left_alone_by_every_command() {
    let workspace = Workspace::with_database_file();
    let needs = [Needs::Room, Needs::Database];
    workspace.write("data/arkloop.db", &"This is no database. ".repeat(1000));
    assert_snapshot!(said_by_all(&workspace, &needs), @r#"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db is not an arkloop database; name another data directory with --data-dir DIR; nothing was changed
    exit: 1
    stderr:
    {"error":"<dir>/data/arkloop.db is not an arkloop database","hint":"name another data directory with --data-dir DIR; nothing was changed"}
    "#);
}

#[test]
fn a_lost_key_file_is_told_by_every_command() {
    let workspace = Workspace::with_database_file();
    workspace.json(&["backup", "copy.db"]);
    let key = workspace.path().join("data/arkloop.key");
    let needs = [Needs::Room, Needs::Database, Needs::LostKey, Needs::Backup];
    fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("the mode can be changed");
    assert_snapshot!(said_by_all(&workspace, &needs), @r#"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key can be read by others (mode 0644); run: chmod 600 <dir>/data/arkloop.key
    exit: 1
    stderr:
    {"error":"the key file <dir>/data/arkloop.key can be read by others (mode 0644)","hint":"run: chmod 600 <dir>/data/arkloop.key"}
    "#);
    fs::remove_file(&key).expect("the file can be removed");
    let needs = [Needs::Room, Needs::Database];
    assert_snapshot!(said_by_all(&workspace, &needs), @r#"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key does not exist; put the key file of this database there, or name it with key_file in the configuration; if it is lost for good, see `arkloop key reset --help`
    exit: 1
    stderr:
    {"error":"the key file <dir>/data/arkloop.key does not exist","hint":"put the key file of this database there, or name it with key_file in the configuration; if it is lost for good, see `arkloop key reset --help`"}
    "#);
}

#[test]
fn a_key_file_is_not_reset_for_a_database_that_cannot_be_used() {
    let workspace = Workspace::with_database_file();
    let key = workspace.path().join("data/arkloop.key");
    fs::remove_file(&key).expect("the file can be removed");
    edit(&workspace, "PRAGMA user_version = 999");
    let newer = said_by_all(&workspace, &[Needs::LostKey]);
    assert_snapshot!(without_versions(&newer), @r#"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db has schema 999, but this version knows only <newest>; use arkloop <version> or newer
    exit: 1
    stderr:
    {"error":"<dir>/data/arkloop.db has schema 999, but this version knows only <newest>","hint":"use arkloop <version> or newer"}
    "#);
    workspace.write("data/arkloop.db", &"This is no database. ".repeat(1000));
    assert_snapshot!(said_by_all(&workspace, &[Needs::LostKey]), @r#"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db is not an arkloop database; name another data directory with --data-dir DIR; nothing was changed
    exit: 1
    stderr:
    {"error":"<dir>/data/arkloop.db is not an arkloop database","hint":"name another data directory with --data-dir DIR; nothing was changed"}
    "#);
    assert!(!key.exists());
}

#[test]
fn the_key_file_of_another_database_is_told_by_every_command() {
    let [workspace, other] = [Workspace::with_database(), Workspace::with_database()];
    let key = |workspace: &Workspace| workspace.path().join("data/arkloop.key");
    fs::copy(key(&other), key(&workspace)).expect("there is a key");
    let needs = [Needs::Room, Needs::Database];
    assert_snapshot!(said_by_all(&workspace, &needs), @r#"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key is <key>, but <dir>/data/arkloop.db needs <key>; put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed
    exit: 1
    stderr:
    {"error":"the key file <dir>/data/arkloop.key is <key>, but <dir>/data/arkloop.db needs <key>","hint":"put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed"}
    "#);
}

#[test]
fn a_bad_configuration_is_told_by_every_command_that_reads_it() {
    let workspace = Workspace::with_database();
    let needs = [
        Needs::Room,
        Needs::Database,
        Needs::Backup,
        Needs::Configuration,
        Needs::Server,
    ];
    workspace.write("arkloop.toml", "[tokens]\naccess_ttl = \"1 day\"\n");
    assert_snapshot!(said_by_all(&workspace, &needs), @r#"
    exit: 1
    stderr:
    error: the value of tokens.access_ttl is not acceptable (<dir>/arkloop.toml, line 2); it must be a duration from 1s to 1h: a whole number and one of the units s, m, h, d, such as "15m"
    exit: 1
    stderr:
    {"error":"the value of tokens.access_ttl is not acceptable (<dir>/arkloop.toml, line 2)","hint":"it must be a duration from 1s to 1h: a whole number and one of the units s, m, h, d, such as \"15m\""}
    "#);
}

#[test]
fn a_result_that_cannot_be_written_is_told() {
    let workspace = Workspace::with_database();
    let told = [
        "user list --json",
        "openapi",
        "--json openapi",
        "completions bash",
        "--json completions bash",
    ];
    let told = told.map(|call| workspace.run_onto_a_full_disk(&call.split(' ').collect::<Vec<_>>()));
    assert_snapshot!(told.concat(), @r#"
    exit: 1
    stderr:
    {"error":"the result cannot be written: No space left on device (os error 28)","hint":"the command itself was carried out"}
    exit: 1
    stderr:
    error: the result cannot be written: No space left on device (os error 28); the command itself was carried out
    exit: 1
    stderr:
    {"error":"the result cannot be written: No space left on device (os error 28)","hint":"the command itself was carried out"}
    exit: 1
    stderr:
    error: the result cannot be written: No space left on device (os error 28); the command itself was carried out
    exit: 1
    stderr:
    {"error":"the result cannot be written: No space left on device (os error 28)","hint":"the command itself was carried out"}
    "#);
}

#[test]
fn what_no_configuration_changes_is_the_same_as_json() {
    let workspace = Workspace::new();
    for call in ["openapi", "completions bash", "completions zsh"] {
        let call: Vec<&str> = call.split(' ').collect();
        assert_eq!(
            workspace.run(&call),
            workspace.run(&[&["--json"], call.as_slice()].concat())
        );
    }
}

#[test]
fn wrong_usage_of_every_command_is_told_with_its_usage() {
    let workspace = Workspace::new();
    let told = leaves().into_iter().map(|command| {
        let call: Vec<&str> = command.split(' ').chain(["--zzz"]).collect();
        let text = workspace.run(&call);
        let json = workspace.run(&[&["--json"], call.as_slice()].concat());
        let refused = "exit: 2\nstderr:\nerror: unexpected argument '--zzz' found\n";
        assert!(text.starts_with(refused), "{command}: {text}");
        assert!(
            text.contains(&format!("Usage: arkloop {command}")),
            "{command}: {text}"
        );
        let (head, object) = json.split_once("stderr:\n").expect("something was said");
        assert_eq!(head, "exit: 2\n", "{command}");
        object.to_owned()
    });
    let told: BTreeSet<String> = told.collect();
    assert_snapshot!(told.into_iter().collect::<String>(), @r#"
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop audit [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop check [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop config show [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop healthcheck [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop init [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop invite create [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop invite list [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop key list [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop key rekey [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop key reset [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop key rotate [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop mail queue [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop mail retry [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop openapi [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop registration show [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop serve [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"Usage: arkloop user list [OPTIONS]"}
    {"error":"unexpected argument '--zzz' found","hint":"to pass '--zzz' as a value, use '-- --zzz'"}
    "#);
}
