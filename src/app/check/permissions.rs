//! Collects wrong owners and modes, and composes one command line that fixes them all.

use std::collections::BTreeMap;
use std::fs::{Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::super::data_dir::Owner;
use super::finding::Finding;
use crate::files::{chown_argument, quoted, runner, secret_flaw, shown_user};

/// A command that fixes owners or modes. The order of the variants is the order of the commands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mend {
    Give,
    CloseDirectory,
    CloseFile,
    /// For a key file of root, which one group may read.
    CloseKey,
}

/// The flaws found so far, and the paths that each command fixes.
pub(super) struct Permissions {
    pub(super) owner: Owner,
    seen: Vec<String>,
    mends: BTreeMap<Mend, Vec<PathBuf>>,
    /// Files that cannot be written although their modes allow it, keyed by the error of the system.
    not_writable: BTreeMap<String, Vec<PathBuf>>,
}

impl Permissions {
    pub(super) fn of(owner: Owner) -> Self {
        Self {
            owner,
            seen: Vec::new(),
            mends: BTreeMap::new(),
            not_writable: BTreeMap::new(),
        }
    }

    /// Notes a flaw. [`Self::mend`] adds the command that fixes it, if there is one.
    pub(super) fn note(&mut self, seen: String) {
        self.seen.push(seen);
    }

    pub(super) fn mend(&mut self, mend: Mend, path: &Path) {
        self.mends.entry(mend).or_default().push(path.to_owned());
    }

    fn mends(&self, mend: Mend) -> &[PathBuf] {
        self.mends.get(&mend).map_or(&[], Vec::as_slice)
    }

    /// Checks a file or directory that only its owner may use. If the running user is the owner, also tries to open a file for writing.
    pub(super) fn look_at(&mut self, path: &Path, found: &Metadata) {
        let (mode, shown) = (found.mode() & 0o7777, path.display());
        let is_owned = found.uid() == self.owner.user;
        let foreign = || format!("{shown} belongs to {}", shown_user(found.uid()));
        if !is_owned && found.is_file() && found.nlink() > 1 {
            // A user who can create files here may have created a hard link to another user's file.
            return self.note(format!("{} and has other names: see what it is", foreign()));
        }
        if !is_owned {
            self.note(foreign());
            self.mend(Mend::Give, path);
        }
        let (needed, close) = if found.is_dir() {
            (0o700, Mend::CloseDirectory)
        } else {
            (0o600, Mend::CloseFile)
        };
        if mode & 0o077 != 0 {
            self.note(usable_by_others(path, mode));
        } else if mode & needed != needed {
            self.note(format!(
                "{shown} cannot be written by its owner (mode {mode:04o})"
            ));
        } else {
            if found.is_file() && is_owned && self.owner.is_runner() {
                self.try_to_write(path);
            }
            return;
        }
        self.mend(close, path);
    }

    /// Checks the owners of the files in a directory. Their modes do not matter, because only the owner can enter the directory.
    pub(super) fn look_into(&mut self, path: &Path) {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        let entries: Vec<Metadata> = entries.filter_map(|entry| entry.ok()?.metadata().ok()).collect();
        let owners = entries.iter().map(Metadata::uid);
        let mut others = owners.filter(|owner| *owner != self.owner.user);
        let Some(other) = others.next() else { return };
        let seen = format!(
            "of the files in {}, {} belong to {}",
            path.display(),
            others.count() + 1,
            shown_user(other)
        );
        // A user who can create files here may have created a hard link to a file of root, and the command must not give that file away.
        let is_plain = |found: &Metadata| found.is_file() && found.nlink() == 1;
        if !entries.iter().all(is_plain) {
            return self.note(format!(
                "{seen}, and not all are files with one name: see what they are"
            ));
        }
        self.note(seen);
        if !self.mends(Mend::Give).iter().any(|given| given == path) {
            self.mend(Mend::Give, path);
        }
    }

    /// Checks the key file, which may belong to root or be a link.
    pub(super) fn look_at_key(&mut self, path: &Path, found: &Metadata) {
        let mode = found.mode() & 0o7777;
        let is_owned = found.uid() == self.owner.user;
        let belongs_to_root = found.uid() == 0 && self.owner.user != 0;
        // Root lets a group read the key file, or users in an access list. With a list, the bits of the group show the mask of the list.
        let (seen, mend) = if !is_owned && !belongs_to_root || belongs_to_root && mode & 0o040 == 0 {
            let seen = format!("{} belongs to {}", path.display(), shown_user(found.uid()));
            (seen, Mend::Give)
        } else if secret_flaw((found.uid(), mode), self.owner.user).is_some() {
            let close = if is_owned { Mend::CloseFile } else { Mend::CloseKey };
            (usable_by_others(path, mode), close)
        } else {
            return;
        };
        // A user who can create files here decides where a link leads, and `chmod` follows links.
        if let Ok(target) = std::fs::read_link(path) {
            let target = target.display();
            self.note(format!("{seen}, and is a link to {target}: see what that is"));
        } else {
            self.note(seen);
            self.mend(mend, path);
        }
    }

    /// Notes each cause once, with its first file, because a read-only mount is the same cause for all files.
    fn note_not_writable(&mut self) {
        for (cause, paths) in std::mem::take(&mut self.not_writable) {
            let more = match paths.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = paths[0].display();
            self.note(format!("{first}{more} cannot be opened for writing: {cause}"));
        }
    }

    /// Joins all flaws into one finding; `None` if there are none.
    pub(super) fn finding(mut self) -> Option<Finding> {
        self.note_not_writable();
        if self.seen.is_empty() {
            return None;
        }
        let seen = self.seen.join("; ");
        if !self.owner.is_certain {
            let mend = "find out which user should own the database, because others can create files there and may have made it; then run this as that user";
            return Some(Finding::bad("files", seen, mend));
        }
        let commands: Vec<String> = self
            .mends
            .iter()
            .map(|(mend, paths)| self.command(*mend, paths))
            .collect();
        let needs_root = [Mend::Give, Mend::CloseKey]
            .iter()
            .any(|mend| self.mends.contains_key(mend));
        let mend = match commands.join(" && ") {
            none if none.is_empty() => {
                "see whether the file system is mounted for writing, and who else may write there".to_owned()
            }
            command if needs_root && runner() != 0 => format!("as root, run: {command}"),
            command => format!("run: {command}"),
        };
        Some(Finding::bad("files", seen, mend))
    }

    fn command(&self, mend: Mend, paths: &[PathBuf]) -> String {
        let paths: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
        let paths = paths.join(" ");
        match mend {
            Mend::Give => {
                let owner = chown_argument(self.owner.user, self.owner.group);
                format!("chown -R --no-dereference {owner} {paths}")
            }
            Mend::CloseDirectory => format!("chmod 700 {paths}"),
            Mend::CloseFile => format!("chmod 600 {paths}"),
            Mend::CloseKey => format!("chmod g-w,o= {paths}"),
        }
    }

    /// Opens a file for writing, because the file system may forbid what the mode allows. Opening changes nothing, and nothing is written.
    fn try_to_write(&mut self, path: &Path) {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(flags.bits().cast_signed());
        if let Err(error) = options.open(path) {
            let paths = self.not_writable.entry(error.to_string()).or_default();
            paths.push(path.to_owned());
        }
    }
}

fn usable_by_others(path: &Path, mode: u32) -> String {
    let shown = path.display();
    format!("{shown} can be used by others than its owner (mode {mode:04o})")
}
