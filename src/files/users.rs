//! The users of this machine: their names, which one runs this process, and how another one can run it.

use std::ffi::OsStr;
use std::path::Path;

use rustix::fs::{Access, access};

use super::shell::quoted;

/// The prefix of the configuration's variables, which `sudo` drops by default.
const VARIABLES: &str = "ARKLOOP_";

/// The effective user id of this process.
pub fn runner() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The user, as in a sentence: `root`, `arkloop (id 990)` or `the user with id 990`.
pub fn shown_user(id: u32) -> String {
    match user_name(id) {
        _ if id == 0 => "root".to_owned(),
        Some(name) => format!("{name} (id {id})"),
        None => format!("the user with id {id}"),
    }
}

/// The user and the group for `chown`: as names if the local accounts have them, else as numbers.
pub fn chown_argument(user: u32, group: u32) -> String {
    let named = |file, id: u32| name_in(file, id).unwrap_or_else(|| id.to_string());
    format!("{}:{}", named("/etc/passwd", user), named("/etc/group", group))
}

/// How `user` with the group `group` can run the command line of this process, as the end of a sentence. For root, it does not contain a command to
/// copy, because the operator should not run one as root without thought.
pub fn run_as(user: u32, group: u32) -> String {
    let command = as_called();
    if user == 0 {
        return "run it as root".to_owned();
    }
    if runner() != 0 && is_installed("sudo") {
        let name = user_name(user).unwrap_or_else(|| format!("'#{user}'"));
        return format!("run: sudo -u {name} {}{command}", kept_variables());
    }
    let by_root = match user_name(user) {
        Some(name) => format!("runuser -u {name} -- {command}"),
        // `runuser` accepts only a name.
        None => format!("setpriv --reuid {user} --regid {group} --clear-groups -- {command}"),
    };
    if runner() == 0 {
        format!("run: {by_root}")
    } else {
        format!("as root, run: {by_root}")
    }
}

fn user_name(id: u32) -> Option<String> {
    name_in("/etc/passwd", id)
}

/// The name of the user or group with this id, in a file of lines `name:password:id:…`.
fn name_in(file: &str, id: u32) -> Option<String> {
    let accounts = std::fs::read_to_string(file).ok()?;
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    })
}

/// The command line of this process, quoted for a POSIX shell.
fn as_called() -> String {
    let words: Vec<String> = std::env::args_os().map(|word| quoted(Path::new(&word))).collect();
    words.join(" ")
}

/// The option of `sudo` that keeps the configuration's variables; empty if none are set.
fn kept_variables() -> String {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(VARIABLES)).collect();
    names.sort_unstable();
    match names.join(",") {
        none if none.is_empty() => none,
        names => format!("--preserve-env={names} "),
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path);
    places.any(|place| access(place.join(OsStr::new(program)), Access::EXEC_OK).is_ok())
}
