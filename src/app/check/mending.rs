//! What is wrong with owners and modes, gathered, and the one command that mends all of it.

use std::fs::{Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::Finding;
use super::files::RightUser;
use crate::files::{chown_argument, quoted, runner, secret_flaw, shown_user};

/// What was seen, and what mends it.
pub(super) struct Mending {
    right: RightUser,
    seen: Vec<String>,
    give: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
    keys: Vec<PathBuf>,
    /// Files whose modes allow writing, with what the system says instead.
    not_writable: Vec<(PathBuf, String)>,
}

impl Mending {
    /// Nothing yet, for the files of this user.
    pub(super) fn of(right: RightUser) -> Self {
        Self {
            right,
            seen: Vec::new(),
            give: Vec::new(),
            directories: Vec::new(),
            files: Vec::new(),
            keys: Vec::new(),
            not_writable: Vec::new(),
        }
    }

    /// Whose the files must be.
    pub(super) fn right(&self) -> RightUser {
        self.right
    }

    /// Notes what no command mends.
    pub(super) fn note(&mut self, seen: String) {
        self.seen.push(seen);
    }

    /// Notes what is mended when its owner is the right one.
    pub(super) fn give(&mut self, path: &Path, seen: String) {
        self.seen.push(seen);
        self.give.push(path.to_owned());
    }

    /// A directory that nobody but its owner is to use.
    pub(super) fn close_directory(&mut self, path: &Path) {
        self.directories.push(path.to_owned());
    }

    /// Looks at a file or directory that only the right user may use, and tries whether the running one can write to it, if that is the same.
    pub(super) fn look_at(&mut self, path: &Path, found: &Metadata) {
        let (mode, shown) = (found.mode() & 0o7777, path.display());
        let is_right = found.uid() == self.right.user;
        if !is_right && found.is_file() && found.nlink() > 1 {
            // Whoever may make files here may have linked a file of that user's from anywhere.
            self.note(format!(
                "{shown} belongs to {} and has other names: look what it is",
                shown_user(found.uid())
            ));
            return;
        }
        if !is_right {
            self.give(path, format!("{shown} belongs to {}", shown_user(found.uid())));
        }
        let needed = if found.is_dir() { 0o700 } else { 0o600 };
        if mode & 0o077 != 0 {
            self.note(format!(
                "{shown} can be used by others than its owner (mode {mode:04o})"
            ));
        } else if mode & needed != needed {
            self.note(format!(
                "{shown} cannot be written by its owner (mode {mode:04o})"
            ));
        } else {
            if found.is_file() && is_right && runner() == self.right.user {
                self.try_to_write(path);
            }
            return;
        }
        if found.is_dir() {
            self.directories.push(path.to_owned());
        } else {
            self.files.push(path.to_owned());
        }
    }

    /// Looks at the owners of what is in a directory; its files are as private as the directory.
    pub(super) fn look_into(&mut self, path: &Path) {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        let entries: Vec<Metadata> = entries.filter_map(|entry| entry.ok()?.metadata().ok()).collect();
        let owners = entries.iter().map(Metadata::uid);
        let mut others = owners.filter(|owner| *owner != self.right.user);
        let Some(owner) = others.next() else { return };
        let seen = format!(
            "of the files in {}, {} belong to {}",
            path.display(),
            others.count() + 1,
            shown_user(owner)
        );
        // The command would give away a file of root's that whoever may make files here has linked from anywhere.
        let is_plain = |found: &Metadata| found.is_file() && found.nlink() == 1;
        if !entries.iter().all(is_plain) {
            self.note(format!(
                "{seen}, and not all are files with one name: look what they are"
            ));
        } else if self.give.iter().any(|given| given == path) {
            self.note(seen);
        } else {
            self.give(path, seen);
        }
    }

    /// Looks at the key file, which may be root's, or at a link to it.
    pub(super) fn look_at_key(&mut self, path: &Path, found: &Metadata) {
        let (mode, shown) = (found.mode() & 0o7777, path.display());
        let is_right = found.uid() == self.right.user;
        let is_root_s = found.uid() == 0 && self.right.user != 0;
        // Root's is shown through its group, or through an access list, whose mask stands where the group's bits are.
        let (seen, mended) = if !is_right && !is_root_s || is_root_s && mode & 0o040 == 0 {
            let seen = format!("{shown} belongs to {}", shown_user(found.uid()));
            (seen, &mut self.give)
        } else if secret_flaw((found.uid(), mode), self.right.user).is_some() {
            let seen = format!("{shown} can be used by others than its owner (mode {mode:04o})");
            (seen, if is_right { &mut self.files } else { &mut self.keys })
        } else {
            return;
        };
        // Who may make files here decides where a link leads, and `chmod` follows it.
        if let Ok(target) = std::fs::read_link(path) {
            self.seen.push(format!(
                "{seen}, and is a link to {}: look what that is",
                target.display()
            ));
        } else {
            mended.push(path.to_owned());
            self.seen.push(seen);
        }
    }

    /// Names each cause once, with the first file: on a read-only mount it is the same for all.
    fn tell_not_writable(&mut self) {
        while let Some((path, cause)) = self.not_writable.first().cloned() {
            let before = self.not_writable.len();
            self.not_writable.retain(|(_, other)| *other != cause);
            let more = match before - self.not_writable.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.note(format!(
                "{}{more} cannot be opened for writing: {cause}",
                path.display()
            ));
        }
    }

    /// All of it as one finding; `None` if there is nothing.
    pub(super) fn finding(mut self) -> Option<Finding> {
        self.tell_not_writable();
        if self.seen.is_empty() {
            return None;
        }
        let seen = self.seen.join("; ");
        let run = |words: &str, paths: &[PathBuf]| {
            let paths: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
            (!paths.is_empty()).then(|| format!("{words} {}", paths.join(" ")))
        };
        let owner = chown_argument(self.right.user, self.right.group);
        let commands = [
            run(&format!("chown -R --no-dereference {owner}"), &self.give),
            run("chmod 700", &self.directories),
            run("chmod 600", &self.files),
            run("chmod g-w,o=", &self.keys),
        ];
        let commands: Vec<String> = commands.into_iter().flatten().collect();
        if !self.right.is_certain {
            let mend = "look whose the database should be, since others can make files there and may have made it; then run this as that user";
            return Some(Finding::bad("files", seen, mend));
        }
        let needs_root = !self.give.is_empty() || !self.keys.is_empty();
        let mend = match commands.join(" && ") {
            none if none.is_empty() => {
                "look whether the file system is mounted for writing, and who else may write there".to_owned()
            }
            command if needs_root && runner() != 0 => format!("as root, run: {command}"),
            command => format!("run: {command}"),
        };
        Some(Finding::bad("files", seen, mend))
    }

    /// The mode may allow what the file system does not. Opening changes nothing, and nothing is written.
    fn try_to_write(&mut self, path: &Path) {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = flags.bits().cast_signed();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path);
        if let Err(error) = opened {
            self.not_writable.push((path.to_owned(), error.to_string()));
        }
    }
}
