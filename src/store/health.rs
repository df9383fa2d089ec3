//! Tells whether the database can be written, without asking the engine: from the outcome of the last write, and from whether the open files still have
//! their names.
//!
//! SQLite keeps writing to a file that was removed or replaced, and those writes are lost.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, open, statat};
use rustix::io::Errno;

use super::{Access, Result, StoreError};
use crate::fault::Fault;

/// If the last commit is this old when a caller asks for the health, the server tries a write of its own.
const FRESH: Duration = Duration::from_secs(30);
/// How long a file must be missing or replaced before this counts as final: while a file system is remounted, its files are missing for a short time.
const CERTAIN: Duration = Duration::from_secs(1);

pub(super) struct Health {
    /// The database file first, then its companions; empty in a process that does not serve.
    files: Vec<HeldFile>,
    state: Mutex<State>,
}

struct State {
    /// Why the last write was lost; `None` if it was committed.
    lost: Option<String>,
    committed_at: Instant,
    /// Whether a caller has asked since the last commit.
    is_asked: bool,
    replaced: Option<Replaced>,
}

struct Replaced {
    path: PathBuf,
    /// Whether the replaced file is the database file itself.
    is_database: bool,
    since: Instant,
    is_final: bool,
}

/// A file that was opened, and the path at which it was found.
struct HeldFile {
    path: PathBuf,
    /// Opened with `O_PATH`: closing an ordinary descriptor of the database would drop the locks that SQLite has on it (POSIX).
    descriptor: OwnedFd,
}

impl HeldFile {
    fn open(path: PathBuf) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = open(&path, flags, Mode::empty()).ok()?;
        Some(Self { path, descriptor })
    }

    /// Whether another file or no file is now at the path. Any other error leaves this open, and counts as `false`.
    ///
    /// Both inode numbers are read now: some file systems renumber their files, so a stored number may be out of date.
    fn is_replaced(&self) -> bool {
        match (
            fstat(&self.descriptor),
            statat(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW),
        ) {
            (Ok(held), Ok(found)) => (held.st_dev, held.st_ino) != (found.st_dev, found.st_ino),
            (Ok(_), Err(Errno::NOENT | Errno::NOTDIR)) => true,
            _ => false,
        }
    }
}

impl Health {
    /// Watches the files at `paths` that exist, the database first.
    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            files: paths.into_iter().filter_map(HeldFile::open).collect(),
            state: Mutex::new(State {
                lost: None,
                committed_at: Instant::now(),
                is_asked: false,
                replaced: None,
            }),
        }
    }

    /// Notes what became of a batch of writes. Only a COMMIT that `has_changed` a row was written to disk, so only that one shows that writes succeed.
    pub(super) fn note_outcome(
        &self,
        committed: &Result<()>,
        has_changed: bool,
        access: Access,
        fault: &Fault,
    ) {
        match (committed, access) {
            (Ok(()), _) if !has_changed => {}
            (Ok(()), _) => {
                self.committed();
                fault.ended();
            }
            // The command itself reports the error.
            (Err(lost), Access::Use) => tracing::debug!("the write was lost: {lost}"),
            (Err(lost), _) => {
                self.failed(&lost.to_string());
                fault.failed(lost);
            }
        }
    }

    /// Notes that a write was committed.
    pub(super) fn committed(&self) {
        let mut state = self.state.lock();
        (state.lost, state.is_asked, state.committed_at) = (None, false, Instant::now());
    }

    /// Notes that a write was lost.
    pub(super) fn failed(&self, cause: &str) {
        self.state.lock().lost = Some(cause.to_owned());
    }

    /// Why the database cannot be written; `None` if the last write was committed. A call may lead to a [trial](Self::needs_trial).
    pub(super) fn trouble(&self) -> Option<String> {
        let mut state = self.state.lock();
        state.is_asked = true;
        let replaced = state
            .replaced
            .as_ref()
            .map(|replaced| replaced.refusal().to_string());
        replaced.or_else(|| state.lost.clone())
    }

    /// Whether the server must try a write of its own to learn whether the database can be written.
    pub(super) fn needs_trial(&self, now: Instant) -> bool {
        let state = self.state.lock();
        match &state.replaced {
            Some(replaced) => !replaced.is_final,
            None => state.lost.is_some() || state.is_asked && now >= state.committed_at + FRESH,
        }
    }

    /// Checks that the open files still have their names; an error if one was removed or replaced.
    pub(super) fn look(&self) -> Result<()> {
        let found = self.files.iter().position(HeldFile::is_replaced);
        self.judge(found, Instant::now())
    }

    /// Updates the state; returns an error if writes must be refused. `found` is the index of a file that was replaced, if there is one.
    fn judge(&self, found: Option<usize>, now: Instant) -> Result<()> {
        let mut state = self.state.lock();
        match (&mut state.replaced, found) {
            (Some(replaced), _) if replaced.is_final => {}
            (None, None) => return Ok(()),
            (Some(replaced), None) => {
                tracing::warn!(
                    "{} is the file again that the server has open",
                    replaced.path.display()
                );
                state.replaced = None;
                return Ok(());
            }
            (Some(replaced), Some(_)) => {
                if now >= replaced.since + CERTAIN {
                    replaced.is_final = true;
                    tracing::error!("{}", replaced.refusal());
                }
            }
            (None, Some(index)) => {
                state.replaced = Some(Replaced {
                    path: self.files[index].path.clone(),
                    is_database: index == 0,
                    since: now,
                    is_final: false,
                });
            }
        }
        state
            .replaced
            .as_ref()
            .map_or(Ok(()), |replaced| Err(replaced.refusal()))
    }

    /// Whether the database file that SQLite has open was removed or replaced. SQLite must not close it then: the last connection removes the log by its name,
    /// which now belongs to another database.
    pub(super) fn is_database_replaced(&self) -> bool {
        self.state
            .lock()
            .replaced
            .as_ref()
            .is_some_and(|replaced| replaced.is_database)
    }
}

impl Replaced {
    fn refusal(&self) -> StoreError {
        let path = self.path.display();
        StoreError::Unavailable(if self.is_final {
            format!(
                "{path} was replaced or removed while the server runs, so nothing is written any more; put the right file in its place and restart the \
                 server"
            )
        } else {
            format!("{path} is not the file that the server has open")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watching() -> (tempfile::TempDir, Health) {
        let directory = tempfile::tempdir().expect("the system has a temporary directory");
        let path = directory.path().join("arkloop.db");
        std::fs::write(&path, "").expect("it is written");
        let health = Health::of([path]);
        (directory, health)
    }

    #[test]
    fn a_file_that_is_away_for_less_than_a_second_stops_writes_for_as_long() {
        let (directory, health) = watching();
        let start = Instant::now();
        assert!(health.judge(Some(0), start).is_err());
        assert!(health.judge(Some(0), start + Duration::from_millis(900)).is_err());
        assert!(health.trouble().is_some() && health.is_database_replaced());
        assert!(health.judge(None, start + Duration::from_millis(950)).is_ok());
        assert_eq!(health.trouble(), None);
        // The next absence is timed from its own start.
        assert!(health.judge(Some(0), start + Duration::from_secs(2)).is_err());
        assert!(health.judge(None, start + Duration::from_millis(2100)).is_ok());
        drop(directory);
    }

    #[test]
    fn a_file_that_is_away_for_a_second_stops_writes_for_good() {
        let (_directory, health) = watching();
        let start = Instant::now();
        assert!(health.judge(Some(0), start).is_err());
        assert!(health.judge(Some(0), start + CERTAIN).is_err());
        assert!(health.judge(None, start + CERTAIN * 2).is_err());
        let trouble = health.trouble().unwrap_or_default();
        assert!(trouble.contains("was replaced or removed"), "{trouble}");
        health.committed();
        assert!(health.trouble().is_some() && !health.needs_trial(Instant::now()));
    }

    #[test]
    fn the_same_file_is_seen_by_its_descriptor_and_its_name() {
        let (directory, health) = watching();
        assert!(health.look().is_ok());
        let path = directory.path().join("arkloop.db");
        std::fs::rename(&path, directory.path().join("aside")).expect("it is moved");
        assert!(health.look().is_err());
        std::os::unix::fs::symlink("aside", &path).expect("it is made");
        assert!(
            health.look().is_err(),
            "SQLite opens the target of a link under another name"
        );
        std::fs::remove_file(&path).expect("it is there");
        std::fs::rename(directory.path().join("aside"), &path).expect("it is moved");
        assert!(health.look().is_ok());
    }

    #[test]
    fn a_question_causes_a_trial_only_half_a_minute_after_the_last_commit() {
        let (_directory, health) = watching();
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert!(!health.needs_trial(later(60)), "no caller has asked");
        assert_eq!(health.trouble(), None);
        assert!(!health.needs_trial(later(29)));
        assert!(health.needs_trial(later(31)));
        health.committed();
        assert!(!health.needs_trial(later(60)));
        health.failed("no");
        assert!(health.needs_trial(Instant::now()));
        assert_eq!(health.trouble().as_deref(), Some("no"));
        health.committed();
        assert_eq!(health.trouble(), None);
    }
}
