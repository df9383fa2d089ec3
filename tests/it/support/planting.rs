//! What others may put where the program works: links, pipes, directories, files of another user.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Workspace;

/// The user of whom planted things are, where the tests are run by root: `nobody`.
pub const STRANGER: u32 = 65_534;

/// Whether the tests are run by root, who alone can plant what belongs to another user. Without it the test says loudly what it leaves out.
pub fn can_plant_for_others(left_out: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip(&format!("only root can plant {left_out}"));
    }
    is_root
}

/// Says that a test leaves something out, past the harness, which keeps what passing tests print.
pub fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Runs the executable in `directory`; its exit code and what it wrote. It is killed, and the code is 137, if it has not ended after 20 seconds.
pub fn run_in(directory: &Path, arguments: &[&str], variables: &[(&str, &Path)]) -> (i32, String) {
    run_after(&[], directory, arguments, variables)
}

fn run_after(
    before: &[&str],
    directory: &Path,
    arguments: &[&str],
    variables: &[(&str, &Path)],
) -> (i32, String) {
    let limit = ["timeout", "--signal=KILL", "20", env!("CARGO_BIN_EXE_arkloop")];
    let words = [before, &limit].concat();
    let output = Command::new(words[0])
        .args(&words[1..])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB", "8")
        .env("ARKLOOP_PASSWORD__ARGON2_ITERATIONS", "1")
        .envs(variables.iter().copied())
        .output()
        .expect("timeout is there");
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().unwrap_or(137);
    (code, String::from_utf8_lossy(&said).into_owned())
}

/// A user and a group that have no name, for services in containers.
pub const NAMELESS: u32 = 54_990;

/// As [`run_in`], as another user, of that group and of no other but `groups`. Only root can.
pub fn run_in_as(
    (user, groups): (u32, &[u32]),
    directory: &Path,
    arguments: &[&str],
    variables: &[(&str, &Path)],
) -> (i32, String) {
    let user = user.to_string();
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    let groups = match groups.join(",") {
        none if none.is_empty() => "--clear-groups".to_owned(),
        groups => format!("--groups={groups}"),
    };
    let as_user = ["setpriv", "--reuid", &user, "--regid", &user, &groups, "--"];
    run_after(&as_user, directory, arguments, variables)
}

/// Everything in a directory: the ways, and of each owner, mode, identity, size and the moments of its last changes.
pub fn listing(directory: &Path) -> Vec<String> {
    let found = fs::symlink_metadata(directory).expect("it is there");
    let mut lines = vec![format!(
        "{}: {}:{} {:o}, inode {}, {} bytes, {}.{:09} {}.{:09}",
        directory.display(),
        found.uid(),
        found.gid(),
        found.mode(),
        found.ino(),
        found.len(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec()
    )];
    if found.is_dir() {
        for name in names(directory) {
            lines.extend(listing(&directory.join(name)));
        }
    }
    lines
}

/// Asserts that a command is refused in time, and names each of `named`.
pub fn assert_refused((code, said): (i32, String), named: &[&str]) {
    assert_eq!(code, 1, "{said}");
    for name in named {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
}

/// Makes a directory with this mode, whatever the umask is.
pub fn directory(path: &Path, mode: u32) {
    fs::create_dir(path).expect("it can be made");
    set_mode(path, mode);
}

/// Makes a file with this mode, whatever the umask is.
pub fn file(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("it can be written");
    set_mode(path, mode);
}

/// Lets go of a lock. Closing the file alone does not: a child that another test has just started keeps a copy of it until it runs its own program.
pub fn let_go(lock: &fs::File) {
    lock.unlock().expect("it is held");
}

/// Sets the mode.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is one's own");
}

/// Makes a link to `target`, which need not exist.
pub fn link(target: impl AsRef<Path>, path: &Path) {
    symlink(target, path).expect("it can be made");
}

/// Makes a pipe, at which an unwary reader waits for ever.
pub fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe is made");
}

/// Gives the entry itself, also a link, to another user and group.
pub fn give(path: &Path, user: u32, group: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(group)).expect("root can give it");
}

/// What a stranger hopes to have emptied, overwritten or removed.
pub const PRECIOUS: &str = "precious";

/// The names in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("it is read").file_name();
    let entries = fs::read_dir(directory).expect("it is a directory").map(name);
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// A directory with something in it, and what is there.
pub fn precious(workspace: &Workspace) -> PathBuf {
    let path = workspace.path().join("precious");
    fs::create_dir(&path).expect("it can be made");
    for name in [PRECIOUS, "arkloop.db", "arkloop.key"] {
        file(&path.join(name), PRECIOUS, 0o600);
    }
    path
}

/// Asserts that nothing of it was changed.
pub fn assert_precious(directory: &Path) {
    assert_eq!(names(directory), ["arkloop.db", "arkloop.key", PRECIOUS]);
    for name in names(directory) {
        let text = fs::read_to_string(directory.join(&name)).expect("it is there");
        assert_eq!(text, PRECIOUS, "{name}");
    }
}

/// The form of the private names, with a random part of this digit.
pub fn private_name(digit: char) -> String {
    format!(".arkloop-{}", digit.to_string().repeat(32))
}
