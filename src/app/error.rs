//! Why the parts could not be joined, and what the operator can do about it.
//!
//! The hints are here and not beside the errors, because they name commands and options, which the lower modules do not know.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::crypto::{HashError, KeyFileError, Keys, fingerprint_of, read_key_file};
use crate::domain::KeyFingerprint;
use crate::files::{chown_argument, quoted, run_as, runner, shown_user};
use crate::mail::TransportError;
use crate::store::{ConnectionFlaw, SqliteStore};
use crate::{service, store};

/// Why the parts could not be joined. Nothing has changed, except that a data directory or a key file may be new.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Store(#[from] store::OpenError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The key file belongs to another database.
    #[error("the key file {} is {found}, but {} needs {}", key_file.display(), database.display(), named(*needed))]
    OtherKeyFile {
        key_file: PathBuf,
        found: KeyFingerprint,
        /// The database, or a backup.
        database: PathBuf,
        /// The key of the database; `None` if its record cannot be read.
        needed: Option<KeyFingerprint>,
    },
    /// There is a key file without its database. A lost database is not replaced by an empty one.
    #[error("the key file {} is there, but its database {} is missing or empty", key_file.display(), database.display())]
    DatabaseLost {
        database: PathBuf,
        key_file: PathBuf,
        /// Whether the database is one of SQLite.
        is_file: bool,
    },
    /// The key file exists, and a key file is never overwritten.
    #[error("the key file {} is not lost", .0.display())]
    KeyNotLost(PathBuf),
    /// A copy has only one database.
    #[error("database.url is not set, so there is no database of PostgreSQL")]
    NoUrl,
    /// A backup cannot replace the database.
    #[error(transparent)]
    NotRestored(store::OpenError),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Mail(#[from] TransportError),
    /// A read or write of the open database failed.
    #[error(transparent)]
    Service(#[from] service::Error),
}

fn named(key: Option<KeyFingerprint>) -> String {
    key.map_or_else(|| "another".to_owned(), |key| key.to_string())
}

impl OpenError {
    /// The error for a missing database. If there is a key file, the database is more likely lost than not created yet.
    pub(super) fn no_database(config: &Config) -> Self {
        match read_key_file(&config.key_path()) {
            Err(KeyFileError::Missing(_)) => store::OpenError::Missing(config.database_path()).into(),
            Ok(_) | Err(_) => Self::database_lost(config),
        }
    }

    pub(super) fn database_lost(config: &Config) -> Self {
        if config.database_url.is_none() && SqliteStore::has_unfinished_copy(&config.data_dir) {
            return store::OpenError::UnfinishedCopy(config.database_path()).into();
        }
        Self::DatabaseLost {
            database: config.database_path(),
            key_file: config.key_path(),
            is_file: config.database_url.is_none(),
        }
    }

    /// The error for a store that could not be opened with `keys`.
    pub(super) fn of_store(error: store::OpenError, config: &Config, keys: Option<&Keys>) -> Self {
        match (error, keys) {
            (store::OpenError::OtherKey { path, recorded }, Some(keys)) => {
                Self::other_key(config, keys, &path, recorded.as_deref())
            }
            (other, _) => other.into(),
        }
    }

    /// The error for a database whose `recorded` check value is not that of `keys`.
    pub(super) fn other_key(config: &Config, keys: &Keys, database: &Path, recorded: Option<&str>) -> Self {
        Self::OtherKeyFile {
            key_file: config.key_path(),
            found: keys.fingerprint(),
            database: database.to_owned(),
            needed: recorded.and_then(fingerprint_of),
        }
    }

    /// What the operator can do; `None` if the message already says it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Store(error) => return store_hint(error),
            Self::KeyFile(error) => return Some(key_file_hint(error)),
            Self::NotRestored(error) => return restore_hint(error),
            Self::OtherKeyFile { .. } => {
                "put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed"
            }
            Self::DatabaseLost { is_file: false, .. } => {
                "bring it back with pg_restore or a snapshot, or copy the file there with `arkloop db copy sqlite postgres`; only if there is \
                 nothing to keep, make new, empty tables once with `arkloop init --yes`"
            }
            Self::DatabaseLost { .. } => {
                "bring it back with `arkloop restore FILE`; only if there never was one, because the key file was put there first, make a new, empty one \
                 once with `arkloop init --yes`; or name another data directory with --data-dir DIR"
            }
            Self::NoUrl => {
                "set it, or its variable ARKLOOP_DATABASE__URL; the file is that of the data directory"
            }
            Self::KeyNotLost(_) => {
                "if it fits, arkloop key rekey replaces it; if it is of another database, move it away and run this again"
            }
            Self::Hash(HashError::NoThread(_)) => {
                "raise the limit of processes: --pids-limit of docker run, TasksMax= of the systemd unit, or ulimit -u"
            }
            Self::Hash(_) => "check the argon2 parameters of [password] in the configuration",
            Self::Mail(_) => "check [mail] in the configuration",
            Self::Service(_) => "see the log; `arkloop --data-dir DIR serve` names another data directory",
        };
        Some(hint.to_owned())
    }
}

fn connection_hint(flaw: &ConnectionFlaw) -> String {
    let hint = match flaw {
        ConnectionFlaw::File(Some(mend)) => return format!("run: {mend}"),
        ConnectionFlaw::File(None) => "mend the file, or name another in database.url",
        ConnectionFlaw::Login => {
            "compare user, password and database in database.url with those of PostgreSQL and its pg_hba.conf"
        }
        ConnectionFlaw::Issuer => {
            "name the file with the certificate of the server's authority in database.url: sslrootcert=FILE"
        }
        ConnectionFlaw::Host => "name the host in database.url as the certificate does",
        ConnectionFlaw::Certificate => "give PostgreSQL a certificate that is good for its host",
        ConnectionFlaw::NoTls => {
            "turn on ssl in postgresql.conf; only in a network that you trust with every password hash: sslmode=disable in database.url"
        }
        ConnectionFlaw::ReadOnly => {
            "name the primary in database.url, or every host of it and its standbys: host=a,b finds the one that takes writes"
        }
        ConnectionFlaw::Network => {
            "see that PostgreSQL runs and can be reached, and compare host and port in database.url"
        }
        ConnectionFlaw::Other => "see the log of PostgreSQL",
    };
    hint.to_owned()
}

fn store_hint(error: &store::OpenError) -> Option<String> {
    use store::OpenError as Refused;
    Some(match error {
        Refused::Missing(_) => {
            "make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR".to_owned()
        }
        Refused::AlreadyServed(_) => "stop that one first, or name another data directory with --data-dir DIR".to_owned(),
        Refused::InUse(_) => "wait until it has finished, and try again".to_owned(),
        Refused::Foreign(_) => "name another data directory with --data-dir DIR; nothing was changed".to_owned(),
        Refused::Locked(_) => "close that program (a shell of SQLite, a backup tool), and try again".to_owned(),
        Refused::Corrupt { .. } => "put a backup in its place; nothing was changed".to_owned(),
        Refused::Newer { made_by, .. } => newer_hint(made_by.as_deref()),
        Refused::Older { is_served: true, .. } => {
            "a server of the older version runs on it, so nothing was changed; stop every such server, and start this version".to_owned()
        }
        Refused::Older { .. } => "run `arkloop init` or restart `arkloop serve` to bring it up to date".to_owned(),
        Refused::NotCopied { .. } => "mend that, and start again; nothing was changed".to_owned(),
        Refused::Exists(_) => "name another file".to_owned(),
        Refused::NotConnected(error) => return Some(connection_hint(&error.flaw)),
        Refused::NotEmpty(_) => "move it away, or name another; nothing was changed".to_owned(),
        Refused::UnfinishedCopy(_) => "run the same `arkloop db copy` again, which finishes it".to_owned(),
        Refused::CopyFailed(_) => "the source is as it was; run it again, and it goes on where it stopped".to_owned(),
        Refused::CopyDiffers(_) => {
            "the source is as it was, and the copy cannot be opened; see whether another program changes one of the two, and run it again"
                .to_owned()
        }
        Refused::NoFile => {
            "bring the database back with pg_restore or a snapshot, and then run: arkloop restore --after-external".to_owned()
        }
        Refused::NotABackup(_) => "make a backup of it with `arkloop backup FILE`, and restore that".to_owned(),
        Refused::OtherKey { .. } => "put the key file of this database there".to_owned(),
        Refused::EditedHistory { .. } => "use the version of arkloop that made it".to_owned(),
        Refused::OtherOwner { path, owner, .. } => format!("{}; nothing was changed", owner_hint(path, *owner)),
        Refused::OtherDirectoryOwner { path, owner, .. } => format!(
            "name another with --data-dir DIR, or {}; nothing was changed",
            run_as(*owner, group_of(path))
        ),
        Refused::UnreadableDirectory { .. } => "run it as the user who runs the server; nothing was changed".to_owned(),
        Refused::NotWritable { path, .. } => format!("{}; nothing was changed", not_writable_hint(path)),
        Refused::DatabaseInParent { found, .. } => format!(
            "use that one with --data-dir {}, or create the directory first if you want another; nothing was changed",
            quoted(found)
        ),
        Refused::OldSqlite(_) => "build arkloop with its bundled SQLite".to_owned(),
        Refused::Io { .. } => "check that the directory exists, has room and belongs to the user who runs arkloop".to_owned(),
        Refused::Engine(..) | Refused::Unusable(_) => return None,
    })
}

/// The hint for an error about a backup, where another data directory would not help.
fn restore_hint(error: &store::OpenError) -> Option<String> {
    use store::OpenError as Refused;
    Some(match error {
        Refused::Foreign(_) => "name a file that `arkloop backup` made; nothing was changed".to_owned(),
        Refused::Corrupt { .. } => "take another backup; nothing was changed".to_owned(),
        Refused::AlreadyServed(_) => "stop that server first; nothing was changed".to_owned(),
        Refused::Newer { made_by, .. } => format!("{}; nothing was changed", newer_hint(made_by.as_deref())),
        Refused::Io { .. } => {
            "check that it exists and may be read, and that the data directory has room for it".to_owned()
        }
        other => return store_hint(other),
    })
}

fn newer_hint(made_by: Option<&str>) -> String {
    match made_by {
        Some(version) => format!("use arkloop {version} or newer"),
        None => "use the version of arkloop that made it, or a newer one".to_owned(),
    }
}

fn key_file_hint(error: &KeyFileError) -> String {
    match error {
        KeyFileError::Missing(_) => {
            "put the key file of this database there, or name it with key_file in the configuration; if it is lost for good, \
             see `arkloop key reset --help`"
                .to_owned()
        }
        KeyFileError::Io { path, source } if is_only_roots(path, source) => format!(
            "as root, run: chgrp {} {1} && chmod 640 {1}; a pod of Kubernetes needs securityContext.fsGroup",
            rustix::process::getegid().as_raw(),
            quoted(path)
        ),
        KeyFileError::Io { .. } => {
            "check that it is a file which belongs to the user who runs arkloop, and that the disk has room"
                .to_owned()
        }
        KeyFileError::TooOpen { path, owner, .. } if *owner == runner() => {
            format!("run: chmod 600 {}", quoted(path))
        }
        KeyFileError::TooOpen { path, .. } => format!(
            "as root, run: chmod g-w,o= {}; for a secret of Kubernetes set defaultMode: 0400, for one of Docker mode: 0400",
            quoted(path)
        ),
        KeyFileError::NotReplaceable { path, .. } => not_replaceable_hint(path),
        KeyFileError::OtherOwner { path, owner } => format!(
            "{}; if that is not the user of the server, put the right key file there",
            run_as(*owner, group_of(path))
        ),
        KeyFileError::WrongLength { .. } => "put the right key file there; it was not changed".to_owned(),
    }
}

fn is_only_roots(path: &Path, cause: &std::io::Error) -> bool {
    cause.kind() == std::io::ErrorKind::PermissionDenied
        && runner() != 0
        && path.metadata().is_ok_and(|found| found.uid() == 0)
}

/// A short form of the steps in docs/keys.md.
fn not_replaceable_hint(path: &Path) -> String {
    let is_there = path.exists();
    let path = quoted(path);
    let first = if is_there {
        format!("copy it (install -m 600 {path} COPY), run ARKLOOP_KEY_FILE=COPY arkloop key rekey")
    } else {
        "run ARKLOOP_KEY_FILE=COPY arkloop key reset".to_owned()
    };
    format!(
        "{first} with COPY in a directory of the user who runs arkloop, and put the new COPY where {path} comes from; nothing was changed"
    )
}

impl From<store::StoreError> for OpenError {
    fn from(error: store::StoreError) -> Self {
        Self::Service(error.into())
    }
}

/// How to use the database at `path`, which belongs to `owner`: as that user, or after `chown` if root created it in another user's directory.
fn owner_hint(path: &Path, owner: u32) -> String {
    let directory = path.parent().unwrap_or(path);
    match directory.metadata() {
        Ok(around) if owner == 0 && around.uid() != 0 => {
            let rightful = chown_argument(around.uid(), around.gid());
            format!(
                "root made it in the directory of {}: as root, run: chown -R --no-dereference {rightful} {}; `arkloop check` names every such file",
                shown_user(around.uid()),
                quoted(path)
            )
        }
        _ => run_as(owner, group_of(path)),
    }
}

/// The group of a file, or of its directory if the file is missing.
fn group_of(path: &Path) -> u32 {
    let found = path.symlink_metadata().or_else(|_| path.join("..").metadata());
    found.map_or(0, |found| found.gid())
}

/// Suggests another data directory, and `chown` to the running user only if the directory is empty.
fn not_writable_hint(path: &Path) -> String {
    const ANOTHER: &str = "name another data directory with --data-dir DIR";
    let is_empty = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if runner() == 0 || !is_empty {
        return ANOTHER.to_owned();
    }
    let (user, group) = (runner(), rustix::process::getegid().as_raw());
    format!(
        "as root, run: chown {} {1} && chmod 700 {1}; or {ANOTHER}",
        chown_argument(user, group),
        quoted(path)
    )
}
