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
mod client;
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
use process::{CPU_PRECISION_MS, cpu_ms, memory_mib};
use tally::{Tally, figure};
use visitor::{Bounds, Operation, Visitor};

/// How long the registration of the accounts may take, and how long the last answers. Without a limit, a server that hangs would hang the load
/// generator.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many connections sign in during a flood, and how many refresh at the same time (target 4 in the design of the performance).
const FLOOD: [(Operation, usize); 2] = [(Operation::Login, 32), (Operation::Refresh, 16)];

/// Measure an arkloop server on this machine from outside
#[derive(Parser)]
#[command(
    name = "load",
    bin_name = "cargo bench --bench load --",
    after_help = "The server must let anybody register, without limits:\n  \
                  ARKLOOP_REGISTRATION__MODE=open ARKLOOP_RATE_LIMIT__ENABLED=false"
)]
struct Arguments {
    /// What to measure
    #[arg(value_enum)]
    what: Option<What>,
    /// The server: http:// with a loopback address and a port
    #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    url: SocketAddr,
    /// How many connections send requests at the same time; a flood has its own numbers
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(1..=256))]
    connections: u16,
    /// How many seconds to measure, after every account is registered
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// The maximum number of requests over all connections
    #[arg(long, default_value_t = 5_000_000, value_parser = value_parser!(u32).range(1..=20_000_000))]
    requests: u32,
    /// The process id of the server, to report its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Sign-ins by password
    Login,
    /// Refreshes; each connection has a session of its own
    Refresh,
    /// GET /v1/me with a bearer token
    Me,
    /// GET /healthz
    Healthz,
    /// 32 connections signing in beside 16 refreshing ones
    Flood,
    /// No server at all: the bare hash in one thread
    Hash,
}

impl What {
    /// How many visitors there are for each operation; none for a measurement without a server.
    fn plan(self, connections: u16) -> Vec<(Operation, usize)> {
        let operation = match self {
            Self::Login => Operation::Login,
            Self::Refresh => Operation::Refresh,
            Self::Me => Operation::Me,
            Self::Healthz => Operation::Healthz,
            Self::Flood => return FLOOD.to_vec(),
            Self::Hash => return Vec::new(),
        };
        vec![(operation, connections.into())]
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
        _ => measure(&arguments, &what.plan(arguments.connections)).await,
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("not measured: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures the bare hash in one thread.
fn measure_hash(time: Duration) -> io::Result<()> {
    let (mut hash, own, began) = (BareHash::new(), std::process::id(), Instant::now());
    let (cpu_before, mut count) = (cpu_ms(own)?, 0_u32);
    while began.elapsed() < time {
        black_box(hash.compute());
        count += 1;
    }
    figure("hash", "count", &count.to_string());
    print_cpu("hash", cpu_ms(own)? - cpu_before, count);
    Ok(())
}

/// Lets every visitor arrive, then lets all of them send requests at the same time, and prints the figures.
async fn measure(arguments: &Arguments, plan: &[(Operation, usize)]) -> io::Result<()> {
    let arriving = timeout(PATIENCE, arrive(arguments.url, plan));
    let visitors = arriving.await.map_err(|_| late("register everybody"))??;
    let own = std::process::id();
    let cpu = |pid: Option<u32>| pid.map(cpu_ms).transpose();
    let (own_before, server_before, began) = (cpu_ms(own)?, cpu(arguments.pid)?, Instant::now());

    let time = Duration::from_secs(arguments.seconds);
    let number = u32::try_from(visitors.len()).unwrap_or(u32::MAX);
    let bounds = Bounds {
        until: began + time,
        requests: arguments.requests.div_ceil(number),
    };
    let staying = timeout(time + PATIENCE, stay(visitors, bounds));
    let tallies = staying.await.map_err(|_| late("answer everybody"))?;

    let (elapsed, server_after, own_after) = (began.elapsed(), cpu(arguments.pid)?, cpu_ms(own)?);
    let requests = tallies.values().map(Tally::requests).sum();
    for (name, mut tally) in tallies {
        tally.print(name, elapsed);
    }
    if let (Some(pid), Some(before), Some(after)) = (arguments.pid, server_before, server_after) {
        print_cpu("server", after - before, requests);
        for (name, line) in [("rss_mib", "VmRSS"), ("peak_rss_mib", "VmHWM")] {
            figure("server", name, &format!("{:.1}", memory_mib(pid, line)?));
        }
    }
    // If this is near 1, the generator limited the rate, not the server; the CPU time of the server is still valid.
    let busy = (own_after - own_before) / (elapsed.as_secs_f64() * 1000.0);
    figure("generator", "cpu_share", &format!("{busy:.2}"));
    Ok(())
}

fn late(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("the server took too long to {what}"),
    )
}

async fn arrive(address: SocketAddr, plan: &[(Operation, usize)]) -> io::Result<Vec<Visitor>> {
    // Each run has names of its own, so that several runs can use one database.
    let run = System::machine().now().as_millis();
    let mut arriving = JoinSet::new();
    for &(operation, number) in plan {
        for index in 0..number {
            let login = format!("{}-{run:x}-{index}", operation.name());
            arriving.spawn(async move { Visitor::arrive(address, operation, &login).await });
        }
    }
    arriving.join_all().await.into_iter().collect()
}

async fn stay(visitors: Vec<Visitor>, bounds: Bounds) -> BTreeMap<&'static str, Tally> {
    let mut staying = JoinSet::new();
    for visitor in visitors {
        let name = visitor.operation().name();
        staying.spawn(async move { (name, visitor.stay(bounds).await) });
    }
    let mut tallies = BTreeMap::<_, Tally>::new();
    for (name, tally) in staying.join_all().await {
        tallies.entry(name).or_default().merge(tally);
    }
    tallies
}

/// Prints the CPU time in total and per request, and by how much the latter can be wrong.
fn print_cpu(of: &str, cpu_ms: f64, requests: u32) {
    let each = |ms: f64| format!("{:.5}", ms / f64::from(requests.max(1)));
    figure(of, "cpu_ms", &format!("{cpu_ms:.0}"));
    figure(of, "cpu_ms_each", &each(cpu_ms));
    figure(of, "cpu_ms_each_precision", &each(CPU_PRECISION_MS));
}
