//! How many hash threads, readers and connections the cores and the memory of this process allow.

use std::fmt;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use super::memory::Memory;
use crate::config::Config;

/// All hashes together take at most a quarter of the memory; the rest is for connections, SQLite and the kernel's buffers.
const HASH_SHARE_DIVISOR: u64 = 4;
/// All hashes together also take at most this much, in KiB: enough for eight threads at 64 MiB a hash.
const MAX_HASH_KIB: u64 = 512 * 1024;
/// All connections together take at most a quarter of the memory.
const CONNECTION_PART: u64 = 4;
/// The maximum memory of a connection, in KiB: the largest head, the largest body, the answer, and the server's state.
const CONNECTION_KIB: u64 = 64;
/// The maximum number of readers. Each keeps a cache, and more readers than this make no answer faster.
const MAX_READERS: usize = 16;
/// The threads besides the workers and the hash threads: for the database and for blocking calls.
const OTHER_THREADS: usize = 16;

/// The memory of this process, and what it allows.
#[derive(Clone, Debug)]
pub struct Capacity {
    memory: Memory,
    /// The memory of one hash, in KiB.
    hash_kib: u64,
    pub(super) hash_threads: NonZeroUsize,
    /// Whether `password.hash_threads` is set.
    is_set: bool,
    /// The maximum number of HTTP connections.
    pub(super) connections: usize,
    /// Threads that answer requests, and as many reading connections to the database.
    pub workers: usize,
}

impl Capacity {
    /// Measures the cores and the memory of this process, and divides the memory under `config`.
    pub fn of(config: &Config) -> Self {
        // `available_parallelism` respects CPU affinity and the quotas of control groups.
        let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self::new(config, cores, Memory::of_this_process())
    }

    fn new(config: &Config, cores: NonZeroUsize, memory: Memory) -> Self {
        let hash_kib = u64::from(config.password.cost.memory_kib).max(1);
        let fitting = usize::try_from(hash_share(&memory) / hash_kib).unwrap_or(usize::MAX);
        let fitting = NonZeroUsize::new(fitting).unwrap_or(NonZeroUsize::MIN);
        let connections =
            usize::try_from(memory.kib / CONNECTION_PART / CONNECTION_KIB).unwrap_or(usize::MAX);
        Self {
            hash_threads: config.password.hash_threads.unwrap_or(cores.min(fitting)),
            is_set: config.password.hash_threads.is_some(),
            connections: config.server.max_connections.min(connections.max(1)),
            workers: cores.get().min(MAX_READERS),
            hash_kib,
            memory,
        }
    }

    /// How many threads a server needs in all.
    pub fn threads(&self) -> usize {
        self.workers + self.hash_threads.get() + OTHER_THREADS
    }

    /// Writes a record, from which `check` judges the memory of the server instead of its own.
    pub(super) fn to_record(&self) -> String {
        let Memory { kib, file } = &self.memory;
        format!("{} {kib} {}", self.workers, file.as_deref().unwrap_or_default())
    }

    /// Reads what [`Capacity::to_record`] wrote.
    pub(super) fn from_record(config: &Config, record: &str) -> Option<Self> {
        let mut parts = record.splitn(3, ' ');
        let cores = parts.next()?.parse().ok()?;
        let kib = parts.next()?.parse().ok()?;
        let file = Some(parts.next()?).filter(|file| !file.is_empty());
        let file = file.map(str::to_owned);
        Some(Self::new(config, cores, Memory { kib, file }))
    }

    /// The maximum memory of all hashes together, in KiB.
    pub(super) fn hash_memory_kib(&self) -> u64 {
        hash_share(&self.memory).max(self.hashes_kib())
    }

    fn hashes_kib(&self) -> u64 {
        self.hash_kib.saturating_mul(self.hash_threads.get() as u64)
    }

    /// Why the memory may be too small, and how to fix that; `None` if it is enough.
    pub fn problem(&self) -> Option<(String, &'static str)> {
        let (hashes, memory, threads) = (self.hashes_kib(), &self.memory, self.hash_threads);
        let mib = in_mib(hashes);
        if self.is_set && hashes > memory.kib / 2 {
            let problem = format!(
                "password.hash_threads = {threads} lets password hashes take {mib}, more than half of {memory}: sign-ins may end the server"
            );
            Some((
                problem,
                "lower password.hash_threads, or give the server more memory",
            ))
        } else if !self.is_set && hashes > hash_share(memory) {
            let problem = format!(
                "a single password hash takes {mib}, more than its share of {memory}: sign-ins may end the server"
            );
            Some((
                problem,
                "give the server more memory, or lower password.argon2_memory_kib",
            ))
        } else {
            None
        }
    }
}

/// One line for the log and for `check`.
impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (threads, hashes) = (self.hash_threads, in_mib(self.hashes_kib()));
        let passwords = if threads == NonZeroUsize::MIN {
            "password is"
        } else {
            "passwords are"
        };
        write!(
            f,
            "at most {threads} {passwords} hashed at once ({hashes}) and {} connections served, in {}",
            self.connections, self.memory
        )
    }
}

fn hash_share(memory: &Memory) -> u64 {
    (memory.kib / HASH_SHARE_DIVISOR).min(MAX_HASH_KIB)
}

fn in_mib(kib: u64) -> String {
    match kib {
        0..1024 => format!("{kib} KiB"),
        _ => format!("{} MiB", kib / 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn capacity(cores: usize, mib: u64, variables: &[(&str, &str)]) -> Capacity {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sources = Sources {
            env: variables.collect(),
            cwd: "/nowhere".into(),
            ..Sources::default()
        };
        let config = Config::load(&sources).expect("it is right");
        let cores = NonZeroUsize::new(cores).expect("it is not zero");
        Capacity::new(&config, cores, Memory::of_ram(mib * 1024))
    }

    #[test]
    fn hashes_take_a_share_of_the_memory_however_many_cores_there_are() {
        let threads = |cores, mib| capacity(cores, mib, &[]).hash_threads.get();
        assert_eq!(
            [64, 128, 256, 512, 1024].map(|mib| threads(64, mib)),
            [1, 1, 3, 6, 13]
        );
        assert_eq!(threads(64, 1024 * 1024), 26);
        assert_eq!(threads(2, 1024 * 1024), 2);
        let costly = capacity(64, 1024, &[("ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB", "65536")]);
        assert_eq!(costly.hash_threads.get(), 4);
        for mib in [128, 256, 512, 4096] {
            assert_eq!(capacity(64, mib, &[]).problem(), None, "{mib}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_and_one_hash_is_made_all_the_same() {
        let tiny = capacity(16, 64, &[]);
        assert_eq!(tiny.hash_threads, NonZeroUsize::MIN);
        assert_eq!(
            tiny.problem().map(|(seen, _)| seen).as_deref(),
            Some(
                "a single password hash takes 19 MiB, more than its share of the 64 MiB of RAM: sign-ins may end the server"
            )
        );
        let set = |threads| capacity(16, 256, &[("ARKLOOP_PASSWORD__HASH_THREADS", threads)]);
        assert_eq!((set("6").hash_threads.get(), set("6").problem()), (6, None));
        assert!(
            set("16")
                .problem()
                .is_some_and(|(seen, _)| seen.contains("304 MiB"))
        );
    }

    #[test]
    fn connections_and_readers_take_a_share_too() {
        let small = capacity(64, 128, &[]);
        assert_eq!((small.connections, small.workers), (512, MAX_READERS));
        assert_eq!(capacity(2, 4096, &[]).connections, 2000);
        assert_eq!(
            small.to_string(),
            "at most 1 password is hashed at once (19 MiB) and 512 connections served, in the 128 MiB of RAM"
        );
    }
}
