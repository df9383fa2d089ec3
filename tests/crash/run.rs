//! A run: rounds of work, crash, recovery and comparison, until its time is over.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::installation::{Installation, Server};
use crate::load::{Conditions, Scene, Worker};
use crate::model::{Counts, Shared, add};
use crate::random::{Random, seed};

pub const WORKERS: usize = 4;

/// What happens to the disk when every process is dead.
pub type Crash<'a> = dyn FnMut(&Installation, &mut Random) + 'a;

/// How a run crashes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server is killed; commands beside it go on.
    Kill,
    /// Everything ends at once.
    PowerCut,
}

pub struct Run<'a> {
    pub name: &'static str,
    pub seed: u64,
    pub kind: Kind,
    pub installation: &'a Installation,
    pub crash: &'a mut Crash<'a>,
}

/// What a run found.
pub struct Report {
    pub violations: Vec<String>,
    pub counts: Counts,
}

/// Writes a line that is seen of a test that passes, too: libtest captures only what `println!` writes.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "crash: {line}");
}

impl Report {
    /// Fails the test with what was broken.
    pub fn expect_none(&self, name: &str, seed: u64) {
        assert!(
            self.violations.is_empty(),
            "{name}, ARKLOOP_CRASH_SEED={seed}: {} violations:\n{}",
            self.violations.len(),
            self.violations
                .iter()
                .take(20)
                .cloned()
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}

/// Runs in parts, each with an installation and a seed of its own: most of what a crash can do to a first start, it can do once.
pub fn in_parts(name: &str, length: Duration, mut run: impl FnMut(u64, Duration) -> Report) {
    let (first, started, total) = (seed(), Instant::now(), Counts::default());
    let part = (length / 3).min(Duration::from_mins(1));
    for number in 0.. {
        let left = length.saturating_sub(started.elapsed());
        if left.is_zero() {
            break;
        }
        let seed = first + number;
        let report = run(seed, part.min(left));
        report.expect_none(name, seed);
        total.absorb(&report.counts);
    }
    say(&format!("{name}, in all: {}", total.text()));
}

impl<'a> Run<'a> {
    pub fn run(mut self, length: Duration) -> Report {
        let started = Instant::now();
        let mut random = Random::new(self.seed);
        say(&format!(
            "{}: seed {}, {} s",
            self.name,
            self.seed,
            length.as_secs()
        ));
        let shared = Shared::default();
        let mut workers: Vec<Worker> = (0..WORKERS)
            .map(|number| Worker::new(number, random.fork()))
            .collect();
        // The first start is killed before there is anything, as often as the seed says.
        while random.chance(70) {
            self.kill_a_start(&shared, &mut random);
        }
        loop {
            let is_last = started.elapsed() >= length;
            let Some(server) = self.start(&shared) else {
                break;
            };
            let stop = AtomicBool::new(false);
            compare(
                &self.scene(&shared, &server, &stop),
                &mut workers,
                is_last || random.chance(25),
            );
            if is_last || shared.is_broken() {
                break;
            }
            self.work(&shared, &mut workers, server, &mut random);
            while random.chance(30) {
                self.kill_a_start(&shared, &mut random);
            }
        }
        let report = Report {
            violations: shared.violations(),
            counts: shared.counts,
        };
        say(&format!("{}: {}", self.name, report.counts.text()));
        report
    }

    fn start(&self, shared: &Shared) -> Option<Server> {
        self.installation
            .serve()
            .map_err(|error| shared.violation(error))
            .ok()
    }

    /// Kills a server while it starts: the first time, or during its recovery.
    fn kill_a_start(&mut self, shared: &Shared, random: &mut Random) {
        let (mut child, _) = self.installation.spawn();
        thread::sleep(random.duration(Duration::from_millis(80)));
        let _ = child.kill();
        let _ = child.wait();
        add(&shared.counts.kills);
        (self.crash)(self.installation, random);
    }

    fn scene<'b>(&self, shared: &'b Shared, server: &Server, stop: &'b AtomicBool) -> Scene<'b>
    where
        'a: 'b,
    {
        Scene {
            installation: self.installation,
            address: server.address.clone(),
            shared,
            stop,
            conditions: match self.kind {
                Kind::Kill => Conditions::Good,
                Kind::PowerCut => Conditions::WithoutMail,
            },
        }
    }

    /// Lets the workers work, and crashes at a random moment.
    fn work(&mut self, shared: &Shared, workers: &mut [Worker], server: Server, random: &mut Random) {
        let stop = AtomicBool::new(false);
        let scene = self.scene(shared, &server, &stop);
        let length = Duration::from_millis(50) + random.duration(Duration::from_millis(750));
        work_for(&scene, workers, length, || {
            self.installation.set_dark(self.kind == Kind::PowerCut);
            server.kill();
        });
        self.installation.set_dark(false);
        add(&shared.counts.kills);
        (self.crash)(self.installation, random);
    }
}

/// Compares the server with the model: all of it if the comparison is thorough, else mostly what was used.
pub fn compare(scene: &Scene, workers: &mut [Worker], is_thorough: bool) {
    let users = scene.users();
    let others = if is_thorough { 100 } else { 10 };
    thread::scope(|scope| {
        for worker in &mut *workers {
            scope.spawn(|| worker.compare(scene, &users, others));
        }
    });
    scene.compare_invites(workers);
    scene.compare_audit();
    if is_thorough {
        scene.check_database();
    }
}

/// Lets all workers work for so long.
pub fn work_for(scene: &Scene, workers: &mut [Worker], length: Duration, then: impl FnOnce()) {
    thread::scope(|threads| {
        for worker in &mut *workers {
            threads.spawn(|| worker.work(scene));
        }
        thread::sleep(length);
        then();
        scene.stop.store(true, Ordering::Relaxed);
    });
}

impl Counts {
    fn absorb(&self, part: &Self) {
        let pairs = [
            (&self.kills, &part.kills),
            (&self.acknowledged, &part.acknowledged),
            (&self.refused, &part.refused),
            (&self.in_doubt, &part.in_doubt),
            (&self.unavailable, &part.unavailable),
            (&self.compared, &part.compared),
        ];
        for (sum, count) in pairs {
            sum.fetch_add(count.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    pub fn text(&self) -> String {
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "{} crashes, {} acknowledged, {} refused, {} in doubt, {} unavailable, {} accounts compared",
            number(&self.kills),
            number(&self.acknowledged),
            number(&self.refused),
            number(&self.in_doubt),
            number(&self.unavailable),
            number(&self.compared)
        )
    }
}
