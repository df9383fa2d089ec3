//! A full disk, and a clock that jumps. Requests are refused in order meanwhile, nothing acknowledged is lost, and the server recovers without a restart.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::installation::{Installation, Server};
use crate::load::{Conditions, Scene, Worker};
use crate::model::Shared;
use crate::power::preload;
use crate::random::{Random, length, seed};
use crate::run::{Report, WORKERS, compare, say, work_for};

/// An installation whose disk and clock the test steers.
struct Steered {
    installation: Installation,
    control: PathBuf,
    shared: Shared,
    workers: Vec<Worker>,
    random: Random,
}

impl Steered {
    fn new(seed: u64) -> Self {
        let mut installation = Installation::new();
        preload(&mut installation);
        let control = installation.path().join("control");
        installation.set("LAYER_CONTROL", &control.display().to_string());
        let mut random = Random::new(seed);
        let workers = (0..WORKERS)
            .map(|number| Worker::new(number, random.fork()))
            .collect();
        let steered = Self {
            installation,
            control,
            shared: Shared::default(),
            workers,
            random,
        };
        steered.steer(0, 0);
        steered
    }

    /// Fills the disk, or moves the clock by so many milliseconds, for every process at once.
    fn steer(&self, is_full: i32, clock_ms: i64) {
        let mut bytes = is_full.to_ne_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(clock_ms.to_ne_bytes());
        // In place: the processes have it in their memory.
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .write(true)
            .truncate(false)
            .open(&self.control);
        file.and_then(|file| file.write_all_at(&bytes, 0))
            .expect("the directory is writable");
    }

    fn serve(&self) -> Server {
        self.installation.serve().expect("the server starts")
    }

    fn work(&mut self, server: &Server, conditions: Conditions, length: Duration) {
        let stop = AtomicBool::new(false);
        let scene = scene(&self.installation, &self.shared, server, &stop, conditions);
        work_for(&scene, &mut self.workers, length, || {});
    }

    /// Compares the server as it runs, and the one after a kill.
    fn compare(&mut self, server: &Server) {
        let stop = AtomicBool::new(false);
        let scene = scene(
            &self.installation,
            &self.shared,
            server,
            &stop,
            Conditions::WithoutMail,
        );
        compare(&scene, &mut self.workers, true);
    }

    fn report(self, name: &str, seed: u64) {
        let report = Report {
            violations: self.shared.violations(),
            counts: self.shared.counts,
        };
        say(&format!("{name}: seed {seed}: {}", report.counts.text()));
        report.expect_none(name, seed);
    }
}

fn scene<'a>(
    installation: &'a Installation,
    shared: &'a Shared,
    server: &Server,
    stop: &'a AtomicBool,
    conditions: Conditions,
) -> Scene<'a> {
    Scene {
        installation,
        address: server.address.clone(),
        shared,
        stop,
        conditions,
    }
}

#[test]
fn a_full_disk_loses_nothing_and_is_recovered_from_without_a_restart() {
    let seed = seed();
    let mut steered = Steered::new(seed);
    let mut server = steered.serve();
    let (length, started) = (length(Duration::from_secs(4)), Instant::now());
    let mut round = 0;
    while round < 2 || started.elapsed() < length {
        round += 1;
        steered.work(&server, Conditions::WithoutMail, Duration::from_millis(400));
        steered.steer(1, 0);
        steered.work(&server, Conditions::Trouble, Duration::from_millis(400));
        steered.steer(0, 0);
        steered.compare(&server);
        if round % 2 == 0 {
            // A full disk when the server is killed.
            steered.steer(1, 0);
            steered.work(&server, Conditions::Trouble, Duration::from_millis(200));
            server.kill();
            steered.steer(0, 0);
            server = steered.serve();
            steered.compare(&server);
        }
    }
    let unavailable = steered.shared.counts.unavailable.load(Ordering::Relaxed);
    assert!(unavailable > 0, "no request met the full disk");
    steered.report("full disk", seed);
}

#[test]
fn a_clock_that_jumps_loses_nothing() {
    let seed = seed();
    let mut steered = Steered::new(seed);
    let mut server = steered.serve();
    let (length, started) = (length(Duration::from_secs(4)), Instant::now());
    let mut round = 0;
    while round < 2 || started.elapsed() < length {
        round += 1;
        // Shorter than the life of an access token and of a code, so that the model stays the same.
        let minutes = i64::try_from(steered.random.below(17)).expect("it is small") - 8;
        steered.steer(0, minutes * 60_000);
        steered.work(&server, Conditions::Trouble, Duration::from_millis(400));
        if round % 2 == 0 {
            server.kill();
            server = steered.serve();
        }
        steered.compare(&server);
    }
    steered.report("clock", seed);
}
