//! The files: whose they are, who may read them, and whether there is room for more.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Finding;
use crate::config::Config;
use crate::files::{Directory, Flaw, is_trusted, quoted, run_as, runner, shown_user};

/// Less room than that and the next hour may fill it.
const LEAST_FREE_BYTES: u64 = 256 * 1024 * 1024;

/// Modes and owners of the data directory, the database and the key file, and the free room beside the database.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let database = config.database_path();
    let Ok(owner) = config.data_dir.metadata().map(|found| found.uid()) else {
        return vec![Finding::bad(
            "files",
            format!("there is no data directory {}", config.data_dir.display()),
            "name another with --data-dir DIR, or make one with `arkloop init`",
        )];
    };
    if !is_trusted(owner) {
        return vec![of_stranger(&config.data_dir, owner)];
    }
    let mut findings: Vec<Finding> = check_directory(&config.data_dir, owner)
        .into_iter()
        .chain(
            [&database, &config.key_path()]
                .into_iter()
                .filter_map(|path| check_private(path, owner)),
        )
        .collect();
    if findings.is_empty() {
        findings.push(Finding::good(
            "files",
            format!(
                "only their owner can read what is in {}",
                config.data_dir.display()
            ),
        ));
    }
    findings.push(check_room(&config.data_dir, &database));
    findings
}

/// Whether the directory is there and belongs to neither root nor the running user.
pub(super) fn is_stranger_s(directory: &Path) -> bool {
    directory.metadata().is_ok_and(|found| !is_trusted(found.uid()))
}

/// Nothing in it is to be given to anybody: its owner may have put it there.
fn of_stranger(directory: &Path, owner: u32) -> Finding {
    let seen = format!(
        "{} belongs to {}, who can replace what is in it",
        directory.display(),
        shown_user(owner)
    );
    let mend = format!("name another with --data-dir DIR, or {}", run_as(owner, owner));
    Finding::bad("files", seen, mend)
}

/// The sentence about a data directory in which others than root and the running user can make or rename files; `None`
/// if they cannot.
pub(in crate::app) fn open_to_others(directory: &Path) -> Option<String> {
    match Directory::open(directory).and_then(|opened| opened.flaw()) {
        Ok(Some(Flaw::Writable(mode))) => Some(format!(
            "{} can be written by others (mode {mode:04o}), and who can write there has the database",
            directory.display()
        )),
        _ => None,
    }
}

/// What is wrong with the data directory, which `owner` has: root or the running user.
fn check_directory(directory: &Path, owner: u32) -> Option<Finding> {
    let runner = runner();
    match open_to_others(directory) {
        Some(seen) if owner == runner => Some(Finding::bad(
            "files",
            seen,
            format!("run: chmod 700 {}", quoted(directory)),
        )),
        // As a volume is mounted into a container.
        Some(seen) => {
            let mend = format!(
                "run as root: chown {runner} {0} && chmod 700 {0}",
                quoted(directory)
            );
            Some(Finding::unwise("files", seen, mend))
        }
        None if owner == runner => check_private(directory, owner),
        None => None,
    }
}

/// What is wrong with a path that only the `owner` of the data directory may use; `None` if nothing, or if it is not
/// there, which opening the database tells about.
fn check_private(path: &Path, owner: u32) -> Option<Finding> {
    let found: Metadata = match path.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            let seen = format!("{} cannot be looked at: {error}", path.display());
            return Some(Finding::bad(
                "files",
                seen,
                "run this as the user who runs the server",
            ));
        }
    };
    let (mode, shown) = (found.mode() & 0o7777, path.display());
    if found.uid() != owner && found.uid() != runner() {
        let seen = format!(
            "{shown} belongs to another user than the data directory (user id {})",
            found.uid()
        );
        return Some(Finding::bad(
            "files",
            seen,
            format!("run: chown {} {}", runner(), quoted(path)),
        ));
    }
    (mode & 0o077 != 0).then(|| {
        let right = if found.is_dir() { "700" } else { "600" };
        let seen = format!("{shown} can be used by others than its owner (mode {mode:04o})");
        Finding::bad("files", seen, format!("run: chmod {right} {}", quoted(path)))
    })
}

/// Whether the database could still grow, and a copy of it be made beside it.
fn check_room(directory: &Path, database: &Path) -> Finding {
    let free = match rustix::fs::statvfs(directory) {
        Ok(volume) => volume.f_bavail.saturating_mul(volume.f_frsize),
        Err(error) => {
            let seen = format!("the free room of {} is unknown: {error}", directory.display());
            return Finding::bad("disk", seen, "run this as the user who runs the server");
        }
    };
    let needed = LEAST_FREE_BYTES.max(database.metadata().map_or(0, |found| found.len()));
    let mebibytes = |bytes: u64| bytes / (1024 * 1024);
    let seen = format!("{} MiB are free", mebibytes(free));
    if free < needed {
        let mend = format!(
            "make room for at least {} MiB: a backup needs as much as the database, and a full disk refuses every write",
            mebibytes(needed)
        );
        return Finding::bad("disk", seen, mend);
    }
    Finding::good("disk", seen)
}
