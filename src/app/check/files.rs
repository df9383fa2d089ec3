//! Checks of the files: owners, modes, and the free space beside the database. They write nothing.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::super::data_dir::{Owner, warning_if_open};
use super::finding::Finding;
use super::permissions::{Mend, Permissions};
use crate::config::Config;
use crate::files::{Directory, chown_argument, quoted, run_as, runner, shown_user};
use crate::store::LOCKS;

/// With less free space than this, the next hour may fill the disk.
const LEAST_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// The prefixes of the names of the database, of its copies, and of present and former key files.
const PRIVATE: [&str; 2] = ["arkloop.db", "arkloop.key"];
const OUTBOX: &str = "outbox";

/// Checks owners and modes of the data directory and of the program's files in it, whether the running user can write to all of it, and the free space
/// beside the database.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let directory = &config.data_dir;
    let Ok(found) = directory.metadata() else {
        return vec![Finding::bad(
            "files",
            format!("there is no data directory {}", directory.display()),
            "name another with --data-dir DIR, or make one with `arkloop init`",
        )];
    };
    let mut permissions = Permissions::of(Owner::of(config, &found));
    let warning = check_directory(directory, &found, &mut permissions);
    check_entries(config, &mut permissions);
    let key = config.key_path();
    if let Ok(found) = key.metadata() {
        permissions.look_at_key(&key, &found);
    }
    let mut findings: Vec<Finding> = permissions.finding().into_iter().chain(warning).collect();
    if findings.is_empty() {
        findings.push(Finding::good(
            "files",
            format!("only their owner can read what is in {}", directory.display()),
        ));
    }
    findings.push(check_room(directory, &config.database_path()));
    findings
}

/// The finding that the files belong to another user, or `None` if the running user owns them or there is no data directory. `check` does not open a database
/// of another user, because even a read leaves files of the running user beside it.
pub(super) fn of_another_user(config: &Config) -> Option<Finding> {
    let owner = Owner::of(config, &config.data_dir.metadata().ok()?);
    (!owner.is_runner()).then(|| {
        Finding::bad(
            "database",
            format!(
                "not opened: the files belong to {}, but this is run by {}, so that only their owners and modes were checked",
                shown_user(owner.user),
                shown_user(runner())
            ),
            run_as(owner.user, owner.group),
        )
    })
}

/// Judges the data directory itself; returns a warning about a volume that is open to other users.
fn check_directory(directory: &Path, found: &Metadata, permissions: &mut Permissions) -> Option<Finding> {
    let owner = permissions.owner;
    let is_volume = found.uid() == 0 && owner.user != 0;
    if is_volume && found.mode() & 0o022 == 0 {
        let user = shown_user(owner.user);
        permissions.note(format!(
            "{} belongs to root, so that {user} cannot write to it",
            directory.display()
        ));
        permissions.mend(Mend::Give, directory);
        permissions.mend(Mend::CloseDirectory, directory);
    } else if is_volume {
        let mut mend = "name a new directory in it, which arkloop creates for itself".to_owned();
        if owner.is_certain {
            let (owner, path) = (chown_argument(owner.user, owner.group), quoted(directory));
            mend = format!("as root, run: chown {owner} {path} && chmod 700 {path}; or {mend}");
        }
        return warning_if_open(directory).map(|seen| Finding::unwise("files", seen, mend));
    } else {
        permissions.look_at(directory, found);
        if let (Some(seen), 0) = (warning_if_open(directory), found.mode() & 0o077) {
            permissions.note(seen);
        }
    }
    let writable = Directory::open(directory).and_then(|opened| opened.may_write());
    if let (Err(error), true) = (writable, owner.is_runner()) {
        permissions.note(format!("{} cannot be written: {error}", directory.display()));
    }
    None
}

/// Judges the program's files in the data directory.
fn check_entries(config: &Config, permissions: &mut Permissions) {
    let directory = &config.data_dir;
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        // `of_another_user` reports this.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && !permissions.owner.is_runner() => return,
        Err(error) => return permissions.note(format!("{} cannot be listed: {error}", directory.display())),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_unstable();
    for path in paths {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_kept = LOCKS.contains(&name) || PRIVATE.iter().any(|prefix| name.starts_with(prefix));
        // Links are skipped: the program refuses to use them, and their targets are not files of the program.
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() && name == OUTBOX => {
                permissions.look_at(&path, &found);
                permissions.look_into(&path);
            }
            Ok(found) if found.is_file() && is_kept && path != config.key_path() => {
                permissions.look_at(&path, &found);
            }
            _ => {}
        }
    }
}

/// Checks that there is space for the database to grow and for a copy beside it.
fn check_room(directory: &Path, database: &Path) -> Finding {
    let free = match rustix::fs::statvfs(directory) {
        Ok(volume) => volume.f_bavail.saturating_mul(volume.f_frsize),
        Err(error) => {
            let seen = format!("the free space of {} is unknown: {error}", directory.display());
            return Finding::bad("disk", seen, "run this as the user who runs the server");
        }
    };
    let needed = LEAST_FREE_BYTES.max(database.metadata().map_or(0, |found| found.len()));
    let mebibytes = |bytes: u64| bytes / (1024 * 1024);
    let seen = format!("{} MiB are free", mebibytes(free));
    if free < needed {
        let mend = format!(
            "free at least {} MiB: a backup needs as much as the database, and a full disk refuses every write",
            mebibytes(needed)
        );
        return Finding::bad("disk", seen, mend);
    }
    Finding::good("disk", seen)
}
