//! What a disk may hold after a loss of power, rebuilt from the journal of the layer: everything that was synced, and any part of the rest. Of writes that
//! were not synced, each sector of 512 bytes is kept or lost by itself; entries of directories likewise, until the directory is synced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::random::Random;

const SECTOR: usize = 512;
const HEAD: usize = 40;

/// A file or directory: its inode, and when it was born, because inodes are used again.
type Id = (u64, u64);
type Entries = BTreeMap<String, Id>;

enum Change {
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
}

/// What is kept of the changes that were not synced.
#[derive(Clone, Copy)]
enum Kept {
    Nothing,
    All,
    /// Each sector with this chance in 100.
    Sectors(usize),
    /// The oldest ones, of which this many in 100.
    Oldest(usize),
}

pub struct Disk {
    root: PathBuf,
    journal: PathBuf,
    files: BTreeMap<Id, Vec<u8>>,
    changes: BTreeMap<Id, Vec<Change>>,
    /// What each directory holds for certain.
    directories: BTreeMap<PathBuf, Entries>,
}

impl Disk {
    /// Takes what is in `root` for durable.
    pub fn new(root: &Path, journal: &Path) -> Self {
        fs::write(journal, "").expect("the directory is writable");
        let mut disk = Self {
            root: root.to_owned(),
            journal: journal.to_owned(),
            files: BTreeMap::new(),
            changes: BTreeMap::new(),
            directories: BTreeMap::new(),
        };
        disk.directories = present(root);
        for (directory, entries) in &disk.directories {
            for (name, id) in entries {
                if let Ok(bytes) = fs::read(directory.join(name)) {
                    disk.files.insert(*id, bytes);
                }
            }
        }
        disk
    }

    /// Replaces `data` by what is left of it; every process must have ended. Returns how many changes were not synced.
    pub fn cut_power(self, random: &mut Random) -> usize {
        let mode = match random.below(5) {
            0 => Kept::Nothing,
            1 => Kept::All,
            2 => Kept::Sectors(50),
            3 => Kept::Sectors(90),
            _ => Kept::Oldest(random.below(100)),
        };
        self.cut(mode, random)
    }

    /// As [`Disk::cut_power`], and nothing is left that was not synced.
    pub fn lose_all_unsynced(self) {
        self.cut(Kept::Nothing, &mut Random::new(0));
    }

    fn cut(mut self, mode: Kept, random: &mut Random) -> usize {
        let journal = fs::read(&self.journal).expect("the layer writes a journal");
        let mut rest = journal.as_slice();
        while let Some(next) = self.replay(rest) {
            rest = next;
        }
        let lost = self.changes.values().map(Vec::len).sum();
        for (id, changes) in std::mem::take(&mut self.changes) {
            keep(self.files.entry(id).or_default(), &changes, mode, random);
        }
        let now = present(&self.root);
        let data = self.root.join("data");
        let aside = self.root.join("lost");
        if data.exists() {
            fs::rename(&data, &aside).expect("the directory is writable");
        }
        let top = self.entries(&self.root, &now, mode, random);
        if top.contains_key("data") {
            self.restore(&data, &now, mode, random);
        }
        let _ = fs::remove_dir_all(aside);
        lost
    }

    /// Takes the first record of the journal into account; returns what follows it. The last record may be cut off, with its process.
    fn replay<'a>(&mut self, journal: &'a [u8]) -> Option<&'a [u8]> {
        let head = journal.get(..HEAD)?;
        let number =
            |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("they are eight bytes"));
        let [kind, path] =
            [0, 4].map(|at| u32::from_le_bytes(head[at..at + 4].try_into().expect("they are four")));
        let id = (number(8), number(16));
        let [offset, length] = [24, 32].map(|at| usize::try_from(number(at)).expect("files are small"));
        let path_end = HEAD + usize::try_from(path).expect("a path is short");
        let path = journal.get(HEAD..path_end)?;
        let data = journal.get(path_end..path_end + length)?;
        match kind {
            1 => {
                let write = Change::Write {
                    offset,
                    data: data.to_vec(),
                };
                self.changes.entry(id).or_default().push(write);
            }
            2 => self.changes.entry(id).or_default().push(Change::Truncate(offset)),
            3 => {
                let file = self.files.entry(id).or_default();
                for change in self.changes.remove(&id).unwrap_or_default() {
                    change.apply(file);
                }
            }
            _ => {
                let path = PathBuf::from(String::from_utf8_lossy(path).into_owned());
                self.directories.insert(path, parse_listing(data));
            }
        }
        journal.get(path_end + length..)
    }

    /// The entries of a directory after the cut: each is as it was synced, or as it was at last. A name is never lost by a rename over it.
    fn entries(
        &self,
        directory: &Path,
        now: &BTreeMap<PathBuf, Entries>,
        mode: Kept,
        random: &mut Random,
    ) -> Entries {
        let nothing = Entries::new();
        let synced = self.directories.get(directory).unwrap_or(&nothing);
        let last = now.get(directory).unwrap_or(&nothing);
        let ids: BTreeSet<&Id> = synced.values().chain(last.values()).collect();
        let mut entries = Entries::new();
        for id in ids {
            let is_new = match mode {
                Kept::Nothing => false,
                Kept::All => true,
                Kept::Sectors(percent) | Kept::Oldest(percent) => random.chance(percent),
            };
            let source = if is_new { last } else { synced };
            let names = source.iter().filter(|(_, found)| *found == id);
            entries.extend(names.map(|(name, id)| (name.clone(), *id)));
        }
        for (name, id) in synced {
            if last.contains_key(name) {
                entries.entry(name.clone()).or_insert(*id);
            }
        }
        entries
    }

    fn restore(&self, directory: &Path, now: &BTreeMap<PathBuf, Entries>, mode: Kept, random: &mut Random) {
        fs::create_dir(directory).expect("the directory is writable");
        set_mode(directory, 0o700);
        for (name, id) in self.entries(directory, now, mode, random) {
            let path = directory.join(&name);
            if now.contains_key(&path) || self.directories.contains_key(&path) {
                self.restore(&path, now, mode, random);
            } else if !name.ends_with("-shm") {
                // The index of the WAL is shared memory, which no crash of a machine leaves.
                fs::write(&path, self.files.get(&id).map_or(&[][..], Vec::as_slice)).expect("it is writable");
                set_mode(&path, 0o600);
            }
        }
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => write(file, *offset, data),
            Self::Truncate(size) => file.resize(*size, 0),
        }
    }
}

fn write(file: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(data);
}

/// Applies a part of changes that were not synced.
fn keep(file: &mut Vec<u8>, changes: &[Change], mode: Kept, random: &mut Random) {
    let percent = match mode {
        Kept::Nothing => return,
        Kept::All => 100,
        Kept::Sectors(percent) => percent,
        Kept::Oldest(percent) => {
            changes[..changes.len() * percent / 100]
                .iter()
                .for_each(|change| change.apply(file));
            return;
        }
    };
    for change in changes {
        match change {
            Change::Write { offset, data } => {
                let mut from = 0;
                while from < data.len() {
                    let sector_end = (offset + from) / SECTOR * SECTOR + SECTOR - offset;
                    let to = sector_end.min(data.len());
                    if random.chance(percent) {
                        write(file, offset + from, &data[from..to]);
                    }
                    from = to;
                }
            }
            Change::Truncate(_) if random.chance(percent) => change.apply(file),
            Change::Truncate(_) => {}
        }
    }
}

fn parse_listing(mut data: &[u8]) -> Entries {
    let mut entries = Entries::new();
    while data.len() > 16 {
        let number =
            |at: usize| u64::from_le_bytes(data[at..at + 8].try_into().expect("they are eight bytes"));
        let name: Vec<u8> = data[16..].iter().copied().take_while(|byte| *byte != 0).collect();
        entries.insert(
            String::from_utf8_lossy(&name).into_owned(),
            (number(0), number(8)),
        );
        data = &data[(17 + name.len()).min(data.len())..];
    }
    entries
}

/// `root` with nothing but `data` in it, and the directories in `data`.
fn present(root: &Path) -> BTreeMap<PathBuf, Entries> {
    let mut directories = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let mut entries = Entries::new();
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if directory == root && name != "data" {
                continue;
            }
            let born = metadata
                .created()
                .ok()
                .and_then(|born| born.duration_since(UNIX_EPOCH).ok());
            let born = born.map_or(0, |born| {
                u64::try_from(born.as_nanos()).expect("it is before 2500")
            });
            entries.insert(name, (metadata.ino(), born));
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
        directories.insert(directory, entries);
    }
    directories
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is our own");
}
