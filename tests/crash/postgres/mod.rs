//! The same load and model over PostgreSQL: a node of arkloop is killed, the primary crashes and comes back, a replica is promoted. `ARKLOOP_CRASH_POSTGRES`
//! names the directory of the programs of PostgreSQL, as `.ci/crash` does; without it these tests say that they try nothing.

mod cluster;
mod relay;

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use self::cluster::{Node, Replication};
use self::relay::Relay;
use crate::client::{Reply, Request};
use crate::installation::{Installation, Server};
use crate::load::{Conditions, Scene, Worker};
use crate::model::{Shared, add};
use crate::random::{Random, length, seed};
use crate::run::{Kind, Report, Run, WORKERS, compare, say, work_for};

/// How soon a server serves again after its database is back.
const RECOVERY: Duration = Duration::from_secs(30);
const LENGTH: Duration = Duration::from_secs(15);

/// A server of arkloop over a cluster whose primary changes.
struct Site {
    installation: Installation,
    relay: Relay,
    database: Database,
}

/// The cluster. A new replica takes the place of one that was promoted.
struct Database {
    primary: Node,
    replica: Option<Node>,
}

impl Database {
    fn restart(&self) {
        self.primary.crash();
        thread::sleep(Duration::from_millis(300));
        self.primary.start();
    }
}

impl Site {
    /// `None` if no programs of PostgreSQL are named, which is said.
    fn new(name: &str) -> Option<Self> {
        let Some(primary) = Node::primary() else {
            say(&format!(
                "{name}: NOT TRIED, because ARKLOOP_CRASH_POSTGRES names no programs of PostgreSQL"
            ));
            return None;
        };
        primary.sql("CREATE DATABASE arkloop TEMPLATE template0");
        let relay = Relay::start();
        relay.lead_to(primary.path());
        let mut installation = Installation::new();
        let url = format!("postgres://postgres@127.0.0.1:{}/arkloop", relay.port);
        installation.set("ARKLOOP_DATABASE__URL", &url);
        Some(Self {
            installation,
            relay,
            database: Database {
                primary,
                replica: None,
            },
        })
    }

    /// Rounds of work, in the middle of which `disturb` takes the database away and brings it back. Each is compared on the server as it runs.
    fn run(
        mut self,
        name: &str,
        seed: u64,
        length: Duration,
        mut disturb: impl FnMut(&mut Database, &Relay),
    ) -> Report {
        say(&format!("{name}: seed {seed}, {} s", length.as_secs()));
        let mut random = Random::new(seed);
        let mut workers: Vec<Worker> = (0..WORKERS)
            .map(|number| Worker::new(number, random.fork()))
            .collect();
        let (shared, started) = (Shared::default(), Instant::now());
        let server = self.installation.serve().expect("the server starts");
        while started.elapsed() < length && !shared.is_broken() {
            let stop = AtomicBool::new(false);
            let scene = |conditions| Scene {
                installation: &self.installation,
                address: server.address.clone(),
                shared: &shared,
                stop: &stop,
                conditions,
            };
            let before = Duration::from_millis(300) + random.duration(Duration::from_millis(900));
            work_for(&scene(Conditions::Trouble), &mut workers, before, || {
                add(&shared.counts.kills);
                disturb(&mut self.database, &self.relay);
                await_recovery(&server);
            });
            compare(&scene(Conditions::WithoutMail), &mut workers, random.chance(25));
        }
        let report = Report {
            violations: shared.violations(),
            counts: shared.counts,
        };
        say(&format!("{name}: {}", report.counts.text()));
        report
    }
}

/// Waits until the server serves again, without a restart.
fn await_recovery(server: &Server) {
    let started = Instant::now();
    loop {
        let reply = Request::get("/readyz").send(&server.address);
        if matches!(reply, Reply::Answered(answer) if answer.status == 200) {
            return;
        }
        assert!(started.elapsed() < RECOVERY, "the server does not recover");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_node_is_killed() {
    let name = "PostgreSQL, node killed";
    let Some(site) = Site::new(name) else {
        return;
    };
    let seed = seed();
    let run = Run {
        name,
        seed,
        kind: Kind::Kill,
        installation: &site.installation,
        crash: &mut |_, _| {},
    };
    run.run(length(LENGTH)).expect_none(name, seed);
}

#[test]
fn the_primary_crashes_and_comes_back() {
    let name = "PostgreSQL, primary restarted";
    let Some(site) = Site::new(name) else {
        return;
    };
    let seed = seed();
    let report = site.run(name, seed, length(LENGTH), |database, _| database.restart());
    report.expect_none(name, seed);
}

/// The database stays, and its answers get lost: whether a transaction was committed is unknown to the server.
#[test]
fn connections_are_cut_before_the_answers_to_commits() {
    let name = "PostgreSQL, connections cut";
    let Some(site) = Site::new(name) else {
        return;
    };
    let seed = seed();
    let report = site.run(name, seed, length(LENGTH), |_, relay| {
        for _ in 0..5 {
            relay.cut(Duration::from_millis(20));
            thread::sleep(Duration::from_millis(150));
        }
    });
    report.expect_none(name, seed);
}

/// A round of the loss of the primary: its replica takes its place, and gets a replica of its own.
fn promote(database: &mut Database, relay: &Relay, replication: Replication) {
    let replica = database.replica.take().expect("it was made before");
    database.primary.crash();
    relay.lead_nowhere();
    replica.promote();
    // A replica that waits for its own replica would wait for ever.
    replica.replicate(Replication::Asynchronous);
    database.primary = replica;
    with_replica(database, replication);
    relay.lead_to(database.primary.path());
}

fn with_replica(database: &mut Database, replication: Replication) {
    database.replica = Some(database.primary.replica());
    let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    while database.primary.sql(streams) != "1" {
        thread::sleep(Duration::from_millis(20));
    }
    database.primary.replicate(replication);
}

fn promoted(name: &str, replication: Replication) -> Option<(u64, Report)> {
    let mut site = Site::new(name)?;
    with_replica(&mut site.database, replication);
    let seed = seed();
    Some((
        seed,
        site.run(name, seed, length(LENGTH), |database, relay| {
            promote(database, relay, replication);
        }),
    ))
}

#[test]
fn a_synchronous_replica_is_promoted() {
    let name = "PostgreSQL, synchronous replica promoted";
    if let Some((seed, report)) = promoted(name, Replication::Synchronous) {
        report.expect_none(name, seed);
    }
}

/// Without `synchronous_standby_names` the last transactions may be lost with the primary: how many is said, not judged.
#[test]
fn the_loss_with_an_asynchronous_replica_is_measured() {
    let name = "PostgreSQL, asynchronous replica promoted";
    if let Some((_, report)) = promoted(name, Replication::Asynchronous) {
        say(&format!(
            "{name}: {} facts of the model are lost",
            report.violations.len()
        ));
    }
}

/// Planted: the replica had lost its primary before, and is promoted.
#[test]
fn a_stale_replica_that_is_promoted_is_found_out() {
    let name = "PostgreSQL, planted: a stale replica promoted";
    let Some(mut site) = Site::new(name) else {
        return;
    };
    with_replica(&mut site.database, Replication::Asynchronous);
    let mut is_stale = false;
    let report = site.run(name, seed(), Duration::from_secs(30), |database, relay| {
        if std::mem::replace(&mut is_stale, true) {
            promote(database, relay, Replication::Asynchronous);
        } else if let Some(replica) = &database.replica {
            replica.sql("ALTER SYSTEM SET primary_conninfo = ''");
            replica.sql("SELECT pg_reload_conf()");
        }
    });
    let is_found = report
        .violations
        .iter()
        .any(|violation| violation.starts_with("lost"));
    assert!(is_found, "no loss was found: {:?}", report.violations);
}
