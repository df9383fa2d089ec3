//! How much memory this process may use: the lowest limit of the machine and of every control group around the process.

use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A limit of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) kib: u64,
    /// The file that sets the limit; `None` for the RAM of the machine.
    pub(super) file: Option<String>,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.kib / 1024;
        match &self.file {
            Some(file) => write!(f, "the {mib} MiB that {file} allows"),
            None => write!(f, "the {mib} MiB of RAM"),
        }
    }
}

impl Memory {
    #[cfg(test)]
    pub(super) const fn of_ram(kib: u64) -> Self {
        Self { kib, file: None }
    }

    pub(super) fn of_this_process() -> Self {
        let system = rustix::system::sysinfo();
        let bytes = u128::from(system.totalram) * u128::from(system.mem_unit);
        let ram = Self {
            kib: u64::try_from(bytes / 1024).unwrap_or(u64::MAX),
            file: None,
        };
        least(Path::new("/"), ram)
    }
}

/// The lowest of `ram` and of the limits in the files below `root`.
fn least(root: &Path, ram: Memory) -> Memory {
    let groups = limits_of_groups(root).into_iter();
    // `meminfo` has the limit of an LXC container. The hardened systemd unit hides this file.
    let shown = meminfo(root).map(|kib| Memory { kib, file: None });
    groups
        .chain(shown)
        .fold(ram, |least, next| if next.kib < least.kib { next } else { least })
}

fn meminfo(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix(" kB")?.parse().ok()
}

/// The limits of the process's control groups and of all groups around them, in both versions (cgroups(7)).
fn limits_of_groups(root: &Path) -> Vec<Memory> {
    let read = |name| fs::read_to_string(root.join(name)).unwrap_or_default();
    let (mounts, own) = (read("proc/self/mountinfo"), read("proc/self/cgroup"));
    let mut limits = Vec::new();
    for mount in mounts.lines() {
        let Some((group_root, mount_point, version)) = hierarchy(mount) else {
            continue;
        };
        let Some(path) = own.lines().find_map(|line| version.path_in(line)) else {
            continue;
        };
        // In a container, the path may be below a root that is not mounted. The mounted group is then that of the container.
        let below = Path::new(path)
            .strip_prefix(&group_root)
            .unwrap_or(Path::new(path));
        let below: PathBuf = below
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect();
        for group in below.ancestors() {
            for name in version.files() {
                let file = mount_point.join(group).join(name);
                let within = file.strip_prefix("/").unwrap_or(&file);
                let text = fs::read_to_string(root.join(within)).unwrap_or_default();
                if let Some(bytes) = limit_in(&text) {
                    let (kib, file) = (bytes / 1024, Some(file.display().to_string()));
                    limits.push(Memory { kib, file });
                }
            }
        }
    }
    limits
}

/// The version of a hierarchy of control groups.
#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

impl Version {
    const fn files(self) -> &'static [&'static str] {
        match self {
            // `memory.stat` has the lowest limit of the group and all groups above it, also outside the container.
            Self::One => &["memory.limit_in_bytes", "memory.stat"],
            // Above `high` the kernel does not kill the process but slows it down to a crawl.
            Self::Two => &["memory.max", "memory.high"],
        }
    }

    /// The path of the process's own group in this line of `/proc/self/cgroup`.
    fn path_in(self, line: &str) -> Option<&str> {
        let mut parts = line.splitn(3, ':');
        let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_it = match self {
            Self::One => controllers.split(',').any(|controller| controller == "memory"),
            Self::Two => id == "0" && controllers.is_empty(),
        };
        is_it.then_some(path)
    }
}

/// The limit in the text of one of [`Version::files`], in bytes; `None` for `max`.
fn limit_in(text: &str) -> Option<u64> {
    let named = text
        .lines()
        .find_map(|line| line.strip_prefix("hierarchical_memory_limit "));
    named.unwrap_or(text).trim().parse().ok()
}

/// The root, mount point and version of a hierarchy with the memory controller; `None` if this line of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`)
/// does not describe one.
fn hierarchy(line: &str) -> Option<(PathBuf, PathBuf, Version)> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3).map(unescape);
    let (group_root, mount_point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let version = match after.next()? {
        "cgroup2" => Version::Two,
        "cgroup" if after.nth(1)?.split(',').any(|option| option == "memory") => Version::One,
        _ => return None,
    };
    Some((group_root.into(), mount_point.into(), version))
}

/// `mountinfo` writes white space and backslashes as three octal digits.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (escaped, plain)| {
            text.replace(escaped, plain)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAM: u64 = 64 * 1024 * 1024;
    const MIB: u64 = 1024 * 1024;

    /// The limit that these files set, and the file that sets it.
    fn bound(files: &[(&str, &str)]) -> (u64, String) {
        let root = tempfile::tempdir().expect("the system has a temporary directory");
        for (name, text) in files {
            let path = root.path().join(name);
            let directory = path.parent().expect("it lies in the root");
            fs::create_dir_all(directory)
                .and_then(|()| fs::write(&path, text))
                .expect("it is writable");
        }
        let found = least(root.path(), Memory { kib: RAM, file: None });
        (found.kib / 1024, found.file.unwrap_or_default())
    }

    #[test]
    fn every_group_around_the_process_counts() {
        const V2: &str = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                          36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let (max, half) = ((256 * MIB).to_string(), (128 * MIB).to_string());
        assert_eq!(bound(&[]), (RAM / 1024, String::new()));
        assert_eq!(
            bound(&[("proc/meminfo", "MemTotal:  1048576 kB\nMemFree: 1 kB\n")]),
            (1024, String::new())
        );
        let slice = [
            ("proc/self/mountinfo", V2),
            ("proc/self/cgroup", "0::/system.slice/arkloop.service\n"),
            ("sys/fs/cgroup/system.slice/arkloop.service/memory.max", "max\n"),
            ("sys/fs/cgroup/system.slice/memory.max", max.as_str()),
        ];
        assert_eq!(
            bound(&slice),
            (256, "/sys/fs/cgroup/system.slice/memory.max".to_owned())
        );
        let high = [
            slice.as_slice(),
            &[("sys/fs/cgroup/system.slice/memory.high", half.as_str())],
        ]
        .concat();
        assert_eq!(
            bound(&high),
            (128, "/sys/fs/cgroup/system.slice/memory.high".to_owned())
        );
        let nested = [
            ("proc/self/mountinfo", V1),
            ("proc/self/cgroup", "5:cpu:/other\n4:memory:/outer/inner\n0::/\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("sys/fs/cgroup/memory/outer/memory.limit_in_bytes", half.as_str()),
            (
                "sys/fs/cgroup/memory/outer/inner/memory.limit_in_bytes",
                max.as_str(),
            ),
        ];
        let outer = "/sys/fs/cgroup/memory/outer/memory.limit_in_bytes";
        assert_eq!(bound(&nested), (128, outer.to_owned()));
    }

    #[test]
    fn a_container_that_sees_its_own_groups_alone_is_bounded_by_them() {
        let max = (256 * MIB).to_string();
        let v2 = |root: &str| format!("31 23 0:28 {root} /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
        for (root, own) in [
            ("/", "/"),
            ("/../..", "/"),
            ("/docker/a", "/docker/a"),
            ("/docker/a", "/"),
            ("/", "/../b"),
        ] {
            let found = bound(&[
                ("proc/self/mountinfo", &v2(root)),
                ("proc/self/cgroup", &format!("0::{own}\n")),
                ("sys/fs/cgroup/memory.max", &max),
            ]);
            assert_eq!(
                found,
                (256, "/sys/fs/cgroup/memory.max".to_owned()),
                "{root} {own}"
            );
        }
        let v1 = "35 31 0:32 /docker/a /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n";
        let around = format!("cache 1\nhierarchical_memory_limit {max}\ntotal_cache 1\n");
        let found = bound(&[
            ("proc/self/mountinfo", v1),
            ("proc/self/cgroup", "4:memory:/docker/a\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("sys/fs/cgroup/memory/memory.stat", &around),
        ]);
        assert_eq!(found, (256, "/sys/fs/cgroup/memory/memory.stat".to_owned()));
    }
}
