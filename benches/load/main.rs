//! A load generator over plain TCP on this machine: `cargo bench --bench load -- --help`.
//!
//! This file has the arguments and the course of a run. `benches/run` starts the server and judges the figures.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program prints its results"
)]

#[path = "../bare_hash/mod.rs"]
mod bare_hash;
mod chunked;
mod client;
mod peer;
mod process;
mod tally;
mod visitor;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use arkloop::system::System;
use clap::{Parser, ValueEnum, value_parser};
use tokio::task::JoinSet;
use tokio::time::timeout;

use bare_hash::BareHash;
use peer::Peer;
use process::{CPU_PRECISION_MS, cpu_ms, memory_mib};
use tally::{Tally, figure};
use visitor::{Bounds, Group, Operation, Visitor};

/// How long the registration of the accounts may take, and how long the last answers. Without a limit, a server that hangs would hang the load
/// generator.
const PATIENCE: Duration = Duration::from_mins(3);
/// How often the connections of a storm send a request, all at the same time.
const RHYTHM: Duration = Duration::from_secs(2);

/// Measure a server on this machine from outside
#[derive(Parser)]
#[command(
    name = "load",
    bin_name = "cargo bench --bench load --",
    after_help = "The server must let anybody register, without limits; for arkloop:\n  \
                  ARKLOOP_REGISTRATION__MODE=open ARKLOOP_RATE_LIMIT__ENABLED=false"
)]
struct Arguments {
    /// What to measure
    #[arg(value_enum)]
    what: Option<What>,
    /// The server: http:// with a loopback address and a port
    #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    url: SocketAddr,
    /// The kind of the server
    #[arg(long, value_enum, default_value_t = Peer::Arkloop)]
    peer: Peer,
    /// How many connections send requests at the same time; a flood has its own numbers
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(1..=256))]
    connections: u16,
    /// How many seconds to measure, after every account is registered; a flood takes them three times: before, during and after it
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// The maximum number of requests over all connections
    #[arg(long, default_value_t = 5_000_000, value_parser = value_parser!(u32).range(1..=20_000_000))]
    requests: u32,
    /// The process id of the server, to report its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// Print each half second, too: its number of requests, and their p50, p99 and maximum in milliseconds
    #[arg(long)]
    series: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Registrations, each of a new account
    Register,
    /// Sign-ins by password
    Login,
    /// Refreshes; each connection has a session of its own
    Refresh,
    /// Reads of the own account
    Me,
    /// Questions whether the server is alive
    Healthz,
    /// 32 connections signing in beside 16 refreshing ones
    FloodSignIn,
    /// 32 connections registering beside 16 refreshing and 16 reading ones
    FloodRegister,
    /// 256 connections refreshing at the same moment, every 2 s, beside 16 refreshing and 16 reading ones
    Storm,
    /// No server at all: the bare hash in one thread, by argon2-rust and by argon2, for --seconds each
    Hash,
}

impl What {
    /// The visitors of a run, and those that come and go during a flood.
    fn groups(self, connections: u16) -> (Vec<Group>, Option<Group>) {
        let group = |operation: Operation, number| Group {
            name: operation.name(),
            operation,
            number,
            rhythm: Duration::ZERO,
        };
        let flood = |operation, number, rhythm| Group {
            name: "flood",
            operation,
            number,
            rhythm,
        };
        let alone = |operation| (vec![group(operation, connections.into())], None);
        let beside = || vec![group(Operation::Refresh, 16), group(Operation::Me, 16)];
        match self {
            Self::Register => alone(Operation::Register),
            Self::Login => alone(Operation::Login),
            Self::Refresh => alone(Operation::Refresh),
            Self::Me => alone(Operation::Me),
            Self::Healthz => alone(Operation::Healthz),
            Self::FloodSignIn => {
                let flood = flood(Operation::Login, 32, Duration::ZERO);
                (vec![group(Operation::Refresh, 16)], Some(flood))
            }
            Self::FloodRegister => (beside(), Some(flood(Operation::Register, 32, Duration::ZERO))),
            Self::Storm => (beside(), Some(flood(Operation::Refresh, 256, RHYTHM))),
            Self::Hash => (Vec::new(), None),
        }
    }
}

fn parse_url(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    match address.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        // Load on another operator's server would be an attack, and over a network the network would be measured.
        _ => Err("it must be a loopback address with a port, such as http://127.0.0.1:8080".to_owned()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Added by cargo to every bench target.
    let arguments = std::env::args_os().filter(|argument| argument != "--bench");
    let arguments = Arguments::parse_from(arguments);
    let Some(what) = arguments.what else {
        println!("load measures nothing unless it is told what: cargo bench --bench load -- --help");
        return ExitCode::SUCCESS;
    };
    let measured = match what {
        What::Hash => measure_hash(Duration::from_secs(arguments.seconds)),
        _ => measure(&arguments, what).await,
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("not measured: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures the bare hash in one thread: first `argon2-rust`, which the server uses by default, then the portable `argon2`.
fn measure_hash(time: Duration) -> io::Result<()> {
    let (algorithm, version) = (argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13);
    let mut fast = argon2_rust::Argon2::new(algorithm, version, argon2_rust::Params::OWASP).hasher();
    repeat("hash", time, || {
        let mut output = [0; 32];
        let computed = fast.hash_into(b"correct horse", &[7; 16], &mut output);
        computed.expect("the password and the salt fit the cost");
        output
    })?;
    figure("hash", "backend", &argon2_rust::detected_backend().to_string());
    let mut portable = BareHash::new();
    repeat("portable_hash", time, || portable.compute())
}

/// Computes as many hashes as fit into `time`.
fn repeat(name: &str, time: Duration, mut compute: impl FnMut() -> [u8; 32]) -> io::Result<()> {
    let (own, began) = (std::process::id(), Instant::now());
    let (cpu_before, mut count) = (cpu_ms(own)?, 0_u32);
    while began.elapsed() < time {
        black_box(compute());
        count += 1;
    }
    figure(name, "count", &count.to_string());
    print_cpu(name, cpu_ms(own)? - cpu_before, count);
    Ok(())
}

/// Lets every visitor arrive, then measures once, or before, during and after a flood.
async fn measure(arguments: &Arguments, what: What) -> io::Result<()> {
    let (groups, flood) = what.groups(arguments.connections);
    let mut visitors = arrive_in_time(arguments, &groups).await?;
    let Some(flood) = flood else {
        measure_part(arguments, Instant::now(), "", visitors).await?;
        return Ok(());
    };
    let crowd = arrive_in_time(arguments, &[flood]).await?;
    let clock = Instant::now();
    visitors = measure_part(arguments, clock, "before.", visitors).await?;
    visitors.extend(crowd);
    visitors = measure_part(arguments, clock, "during.", visitors).await?;
    visitors.retain(|visitor| visitor.name() != flood.name);
    measure_part(arguments, clock, "after.", visitors).await?;
    Ok(())
}

/// Lets all visitors send requests at the same time, prints the figures with `part` before their names, and gives the visitors back.
async fn measure_part(
    arguments: &Arguments,
    clock: Instant,
    part: &str,
    visitors: Vec<Visitor>,
) -> io::Result<Vec<Visitor>> {
    let own = std::process::id();
    let cpu = |pid: Option<u32>| pid.map(cpu_ms).transpose();
    let (own_before, server_before, began) = (cpu_ms(own)?, cpu(arguments.pid)?, Instant::now());

    let time = Duration::from_secs(arguments.seconds);
    let number = u32::try_from(visitors.len()).unwrap_or(u32::MAX);
    let bounds = Bounds {
        clock,
        began,
        until: began + time,
        requests: arguments.requests.div_ceil(number),
    };
    let staying = timeout(time + PATIENCE, stay(visitors, bounds));
    let (visitors, tallies) = staying.await.map_err(|_| late("answer everybody"))?;

    let (elapsed, server_after, own_after) = (began.elapsed(), cpu(arguments.pid)?, cpu_ms(own)?);
    let requests = tallies.values().map(Tally::requests).sum();
    for (name, mut tally) in tallies {
        let name = format!("{part}{name}");
        tally.print(&name, elapsed);
        if arguments.series {
            tally.print_series(&name);
        }
    }
    let server = format!("{part}server");
    if let (Some(pid), Some(before), Some(after)) = (arguments.pid, server_before, server_after) {
        print_cpu(&server, after - before, requests);
        for (name, line) in [("rss_mib", "VmRSS"), ("peak_rss_mib", "VmHWM")] {
            figure(&server, name, &format!("{:.1}", memory_mib(pid, line)?));
        }
    }
    // If this is near 1, the generator limited the rate, not the server; the CPU time of the server is still valid.
    let busy = (own_after - own_before) / (elapsed.as_secs_f64() * 1000.0);
    figure(&format!("{part}generator"), "cpu_share", &format!("{busy:.2}"));
    Ok(visitors)
}

fn late(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("the server took too long to {what}"),
    )
}

async fn arrive_in_time(arguments: &Arguments, groups: &[Group]) -> io::Result<Vec<Visitor>> {
    let arriving = timeout(PATIENCE, arrive(arguments, groups));
    arriving.await.map_err(|_| late("register everybody"))?
}

async fn arrive(arguments: &Arguments, groups: &[Group]) -> io::Result<Vec<Visitor>> {
    // Each run has names of its own, so that several runs can use one database.
    let run = System::machine().now().as_millis();
    let (address, peer) = (arguments.url, arguments.peer);
    let mut arriving = JoinSet::new();
    for &group in groups {
        for index in 0..group.number {
            let login = format!("{}-{run:x}-{index}", group.name);
            arriving.spawn(async move { Visitor::arrive(address, peer, group, login).await });
        }
    }
    arriving.join_all().await.into_iter().collect()
}

async fn stay(visitors: Vec<Visitor>, bounds: Bounds) -> (Vec<Visitor>, BTreeMap<&'static str, Tally>) {
    let mut staying = JoinSet::new();
    for mut visitor in visitors {
        staying.spawn(async move {
            let tally = visitor.stay(bounds).await;
            (visitor, tally)
        });
    }
    let (mut visitors, mut tallies) = (Vec::new(), BTreeMap::<_, Tally>::new());
    for (visitor, tally) in staying.join_all().await {
        tallies.entry(visitor.name()).or_default().merge(tally);
        visitors.push(visitor);
    }
    (visitors, tallies)
}

/// Prints the CPU time in total and per request, and by how much the latter can be wrong.
fn print_cpu(of: &str, cpu_ms: f64, requests: u32) {
    let each = |ms: f64| format!("{:.5}", ms / f64::from(requests.max(1)));
    figure(of, "cpu_ms", &format!("{cpu_ms:.0}"));
    figure(of, "cpu_ms_each", &each(cpu_ms));
    figure(of, "cpu_ms_each_precision", &each(CPU_PRECISION_MS));
}
