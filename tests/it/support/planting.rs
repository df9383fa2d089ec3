//! Entries that another user may have put where the program works: links, pipes, directories, files of that user.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Workspace;

/// The owner of planted entries if root runs the tests: `nobody`.
pub const STRANGER: u32 = 65_534;

/// Whether root runs the tests, who alone can plant files of another user. If not, prints that the test leaves `left_out` out.
pub fn can_plant_for_others(left_out: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip(&format!("only root can plant {left_out}"));
    }
    is_root
}

/// Prints why a test leaves something out. It writes to standard error directly, because the harness hides what passing tests print.
pub fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Runs the executable in `directory`; returns its exit code and its output. After 20 seconds it is killed, and the code is 137.
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
        .expect("the command timeout is installed");
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().unwrap_or(137);
    (code, String::from_utf8_lossy(&said).into_owned())
}

/// A user and a group that have no name, for services in containers.
pub const NAMELESS: u32 = 54_990;

/// As [`run_in`], but as another user with that group and the supplementary groups `groups`. Only root can do this.
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

/// Everything in a directory: the path, owner, mode, inode, size and times of change of each entry.
pub fn listing(directory: &Path) -> Vec<String> {
    let found = fs::symlink_metadata(directory).expect("the entry exists");
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

/// Asserts that a command was refused before the time limit, and that its output has each of `named`.
pub fn assert_refused((code, said): (i32, String), named: &[&str]) {
    assert_eq!(code, 1, "{said}");
    for name in named {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
}

/// Creates a directory with this mode, regardless of the umask.
pub fn directory(path: &Path, mode: u32) {
    fs::create_dir(path).expect("the directory can be created");
    set_mode(path, mode);
}

/// Creates a file with this mode, regardless of the umask.
pub fn file(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("the file can be written");
    set_mode(path, mode);
}

/// Releases a lock. Closing the file is not enough: a child that another test has just started has a copy of the descriptor until it runs its program.
pub fn let_go(lock: &fs::File) {
    lock.unlock().expect("it is held");
}

/// Sets the mode of an entry.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("the mode can be changed");
}

/// Creates a link to `target`, which need not exist.
pub fn link(target: impl AsRef<Path>, path: &Path) {
    symlink(target, path).expect("the link can be created");
}

/// Creates a named pipe, on which a careless reader waits for ever.
pub fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo succeeds");
}

/// Gives an entry to another user and group. Links are not followed.
pub fn give(path: &Path, user: u32, group: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(group)).expect("root can give it");
}

/// The content of files that an attack tries to empty, overwrite or remove.
pub const PRECIOUS: &str = "precious";

/// The names in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("the entry can be read").file_name();
    let entries = fs::read_dir(directory)
        .expect("the directory can be read")
        .map(name);
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// Creates a directory with files that must not change.
pub fn precious(workspace: &Workspace) -> PathBuf {
    let path = workspace.path().join("precious");
    fs::create_dir(&path).expect("the directory can be created");
    for name in [PRECIOUS, "arkloop.db", "arkloop.key"] {
        file(&path.join(name), PRECIOUS, 0o600);
    }
    path
}

/// Asserts that nothing in a directory of [`precious`] was changed.
pub fn assert_precious(directory: &Path) {
    assert_eq!(names(directory), ["arkloop.db", "arkloop.key", PRECIOUS]);
    for name in names(directory) {
        let text = fs::read_to_string(directory.join(&name)).expect("the file can be read");
        assert_eq!(text, PRECIOUS, "{name}");
    }
}

/// The name of a temporary file of the program whose random part consists of this digit.
pub fn private_name(digit: char) -> String {
    format!(".arkloop-{}", digit.to_string().repeat(32))
}
