//! The files: whose they are, who may use them, and whether there is room for more. Nothing is changed, and nothing written.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Finding;
use super::mending::Mending;
use crate::config::Config;
use crate::files::{Directory, Flaw, chown_argument, quoted, run_as, runner, shown_user};
use crate::store::LOCKS;

/// Less room than that and the next hour may fill it.
const LEAST_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// What the names of the files begin with that hold the database, copies of it, keys, and keys that were replaced.
const PRIVATE: [&str; 2] = ["arkloop.db", "arkloop.key"];
const OUTBOX: &str = "outbox";

/// The user whose files these must be, and their group.
#[derive(Clone, Copy)]
pub(super) struct RightUser {
    pub(super) user: u32,
    pub(super) group: u32,
    /// Whether nobody else can have brought it about that it is this one.
    pub(super) is_certain: bool,
}

impl RightUser {
    /// The owner of the data directory. A volume of root's may hold the database of another user, who counts then; but where everybody can make files,
    /// a stranger may have made it.
    fn of(config: &Config, directory: &Metadata) -> Self {
        let is_open = directory.mode() & 0o002 != 0;
        let of = |found: &Metadata| Self {
            user: found.uid(),
            group: found.gid(),
            is_certain: !is_open || found.uid() == runner(),
        };
        if directory.uid() != 0 {
            return of(directory);
        }
        let database = config.database_path().symlink_metadata();
        database.map_or_else(
            |_| Self {
                user: runner(),
                group: rustix::process::getegid().as_raw(),
                is_certain: true,
            },
            |found| of(&found),
        )
    }
}

/// Owners and modes of the data directory and of what the program keeps in it, whether the running user can write to all of it, and the free room beside
/// the database.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let directory = &config.data_dir;
    let Ok(found) = directory.metadata() else {
        return vec![Finding::bad(
            "files",
            format!("there is no data directory {}", directory.display()),
            "name another with --data-dir DIR, or make one with `arkloop init`",
        )];
    };
    let mut mending = Mending::of(RightUser::of(config, &found));
    let warning = check_directory(directory, &found, &mut mending);
    check_entries(config, &mut mending);
    let key = config.key_path();
    if let Ok(found) = key.metadata() {
        mending.look_at_key(&key, &found);
    }
    let mut findings: Vec<Finding> = mending.finding().into_iter().chain(warning).collect();
    if findings.is_empty() {
        findings.push(Finding::good(
            "files",
            format!("only their owner can read what is in {}", directory.display()),
        ));
    }
    findings.push(check_room(directory, &config.database_path()));
    findings
}

/// Why nothing else is looked at: the files are another user's, and even reading a database as another user leaves files of that user beside it; `None`
/// if the running user is the right one.
pub(super) fn of_another_user(config: &Config) -> Option<Finding> {
    let right = RightUser::of(config, &config.data_dir.metadata().ok()?);
    (right.user != runner()).then(|| {
        Finding::bad(
            "database",
            format!(
                "not opened: the files belong to {}, but this is run by {}, so that only their owners and modes were looked at",
                shown_user(right.user),
                shown_user(runner())
            ),
            run_as(right.user, right.group),
        )
    })
}

/// The sentence about a data directory in which others than root and the running user can make or rename files; `None`
/// if they cannot.
pub(in crate::app) fn open_to_others(directory: &Path) -> Option<String> {
    match Directory::open(directory).and_then(|opened| opened.flaw()) {
        Ok(Some(Flaw::Writable(mode))) => Some(format!(
            "{} can be written by others (mode {mode:04o}), who can replace the database there",
            directory.display()
        )),
        _ => None,
    }
}

/// Looks at the data directory itself; the warning about a volume that is open to others.
fn check_directory(directory: &Path, found: &Metadata, mending: &mut Mending) -> Option<Finding> {
    let right = mending.right();
    let is_volume = found.uid() == 0 && right.user != 0;
    if is_volume && found.mode() & 0o022 == 0 {
        mending.give(
            directory,
            format!(
                "{} belongs to root, so that {} cannot write to it",
                directory.display(),
                shown_user(right.user)
            ),
        );
        mending.close_directory(directory);
    } else if is_volume {
        let mut mend =
            "name a directory in it that does not exist yet, which arkloop makes for itself".to_owned();
        if right.is_certain {
            let owner = chown_argument(right.user, right.group);
            let path = quoted(directory);
            mend = format!("as root, run: chown {owner} {path} && chmod 700 {path}; or {mend}");
        }
        return open_to_others(directory).map(|seen| Finding::unwise("files", seen, mend));
    } else {
        mending.look_at(directory, found);
        if let (Some(seen), 0) = (open_to_others(directory), found.mode() & 0o077) {
            mending.note(seen);
        }
    }
    let writable = Directory::open(directory).and_then(|opened| opened.may_write());
    if let (Err(error), true) = (writable, right.user == runner()) {
        mending.note(format!("{} cannot be written: {error}", directory.display()));
    }
    None
}

/// Looks at what the program keeps in the data directory.
fn check_entries(config: &Config, mending: &mut Mending) {
    let entries = match fs::read_dir(&config.data_dir) {
        Ok(entries) => entries,
        // Another user is told to run this as the right one.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && mending.right().user != runner() => {
            return;
        }
        Err(error) => {
            return mending.note(format!("{} cannot be listed: {error}", config.data_dir.display()));
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_unstable();
    for path in paths {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_kept = LOCKS.contains(&name) || PRIVATE.iter().any(|prefix| name.starts_with(prefix));
        // A link is refused when it is used, and its target is not the program's.
        let found = path.symlink_metadata().ok().filter(|found| !found.is_symlink());
        match found {
            Some(found) if found.is_dir() && name == OUTBOX => {
                mending.look_at(&path, &found);
                mending.look_into(&path);
            }
            Some(found) if found.is_file() && is_kept && path != config.key_path() => {
                mending.look_at(&path, &found);
            }
            _ => {}
        }
    }
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
