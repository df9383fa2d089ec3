//! `serve`: starts the server and runs it until a signal stops it.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::context::{Context, no_runtime};
use super::error::Refusal;
use super::signals::Signals;
use crate::app::{self, App, Capacity, Origin, Role};
use crate::config::Config;
use crate::domain::{Listen, Logo, MailTransport, RegistrationMode};
use crate::http;
use crate::service::Service;
use crate::system::System;
use crate::telemetry::Metrics;

/// File descriptors that are not for client connections: the database and its locks for each worker, connections to the mail server and to Turnstile, and
/// the log.
const DESCRIPTORS_BESIDE_CONNECTIONS: u64 = 256;

/// The maximum number of threads for blocking work: long reports, captchas and files. More threads would only use memory while they wait.
const BLOCKING_THREADS: usize = 128;
/// How long such a thread waits for more work. Until it ends, the allocator keeps memory for it.
const BLOCKING_THREADS_KEPT: Duration = Duration::from_secs(2);

/// How long a server has only requests to do after its start.
const FIRST_REQUESTS: Duration = Duration::from_millis(250);

/// The maximum length of the path of a unix socket: `sun_path` (unix(7)) without the final zero byte.
const LONGEST_SOCKET_PATH: usize = 107;
/// The stack size of the threads that [`refuse_too_few_threads`] starts; they do nothing.
const SMALL_STACK: usize = 64 * 1024;

/// Run the server until SIGTERM, SIGINT or SIGQUIT
///
/// With nothing configured it creates ./data and listens on 127.0.0.1:8080. After the first signal it answers the requests in progress and stops; another
/// signal ends it at once. SIGHUP acts like SIGTERM if the server was started on a terminal; otherwise, and under nohup, it is logged and ignored. The
/// configuration is read only at the start: after a change, check it with arkloop config show, then restart the server.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: on another port, with the data elsewhere\n  arkloop --data-dir /srv/auth serve --listen 127.0.0.1:9000"
)]
pub(super) struct Arguments {
    #[arg(
        long,
        value_name = "ADDR",
        help = "Where to listen: an address with a port, or unix:/path/of/socket; beats server.listen of the configuration"
    )]
    pub(super) listen: Option<String>,
}

pub(super) fn run(context: &Context) -> Result<ExitCode, Refusal> {
    let capacity = Capacity::of(&context.config);
    refuse_too_few_threads(&capacity)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(capacity.workers)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_THREADS_KEPT)
        .build()
        .map_err(|cause| no_runtime(&cause))?;
    let ended = runtime.block_on(serve(context, &capacity));
    // After a second signal, the remaining tasks are not awaited.
    runtime.shutdown_background();
    ended
}

async fn serve(context: &Context, capacity: &Capacity) -> Result<ExitCode, Refusal> {
    let config = &context.config;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let logo = app::read_logo(config)?;
    raise_descriptor_limit(config.server.max_connections);
    // This comes before the slow part of the start, so that no signal is lost.
    let mut signals = Signals::new().map_err(|cause| no_runtime(&cause))?;
    let app = App::open(config, System::machine(), Role::Server, context.operator.clone()).await?;
    for notice in &app.notices {
        tracing::warn!("{notice}");
    }
    tell_origin(config, app.origin);
    tracing::info!("{capacity}");
    if let Some((problem, mend)) = capacity.problem() {
        tracing::warn!("{problem}; {mend}");
    }
    let mut tasks = JoinSet::new();
    start_metrics(config, &app, &mut tasks)?;
    let server = listen(config, &app, capacity, logo)?;
    if config.server.docs {
        tracing::info!("the API is described at {}/docs", config.public_url());
    }
    tell_mail(config);
    tell_registration(context, &app).await?;
    tasks.spawn(keep_up(Arc::clone(&app.service), app.origin));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = stopped.map(drop).shared();
    let mail_worker = tokio::spawn(Arc::clone(&app.service).deliver_mail(stopped.clone()));
    tell_systemd(NotifyState::Ready);
    let ended_by = run_until_stopped(server.run(stopped), &mut signals, stop).await;
    if ended_by.is_some() {
        // A mail whose sending is interrupted stays in the outbox, and the next start sends it.
        mail_worker.abort();
    }
    // The mail worker stops at the same time as the server and takes no longer.
    let _ = mail_worker.await;
    // This waits for the aborted tasks, because each holds the service until it ends.
    tasks.shutdown().await;
    if let Some(signal) = ended_by {
        // The exit code with which shells report a process that the signal has ended.
        return Ok(ExitCode::from(128 + signal as u8));
    }
    if let Err(error) = app.service.flush_audit().await {
        tracing::warn!("the last refusals are missing from the audit log: {error}");
    }
    app.close();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Refuses to start if the system provides fewer threads than the server needs, because libraries would panic later.
fn refuse_too_few_threads(capacity: &Capacity) -> Result<(), Refusal> {
    let needed = capacity.threads();
    // The lock keeps all threads alive at the same time.
    let lock = Mutex::new(());
    let (got, failed) = thread::scope(|scope| {
        let _locked = lock.lock();
        let mut got = 0;
        let failed = (0..needed).find_map(|_| {
            let thread = thread::Builder::new().stack_size(SMALL_STACK);
            let started = thread.spawn_scoped(scope, || drop(lock.lock()));
            started.map(|_| got += 1).err()
        });
        (got, failed)
    });
    match failed {
        None => Ok(()),
        Some(cause) => Err(Refusal::new(
            format!("the server needs {needed} threads, but the system gives only {got}: {cause}"),
            "raise the limit of processes: --pids-limit of docker run, TasksMax= of the systemd unit, or ulimit -u",
        )),
    }
}

/// Raises the limit of open files for the connections. The usual soft limit of 1024 protects only programs that use `select`; others may raise it up to the
/// hard limit (systemd, "File Descriptor Limits").
fn raise_descriptor_limit(max_connections: usize) {
    let needed = max_connections as u64 + DESCRIPTORS_BESIDE_CONNECTIONS;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < needed) {
        let current = Some(needed.min(most));
        // If this fails, accepting a connection fails later, and the server survives that.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    }
    if most < needed {
        tracing::warn!(
            "only {most} files may be open at once, but {max_connections} connections need {needed}: raise the limit \
             (ulimit -Hn, LimitNOFILE) or lower server.max_connections"
        );
    }
}

fn listen(
    config: &Config,
    app: &App,
    capacity: &Capacity,
    logo: Option<Logo>,
) -> Result<http::Server, Refusal> {
    let place = &config.server.listen;
    let settings = http::ServerSettings {
        logo,
        ..app::http_settings(config)
    };
    let server = http::Server::bind(place, Arc::clone(&app.service), settings)
        .map_err(|cause| why_not_listening("listen", place, &cause, "--listen or server.listen"))?;
    // If the configured port is 0, the real one is known only now.
    let (shown, listener) = match server.local_addr() {
        Some(address) => (format!("http://{address}"), Listen::Tcp(address)),
        None => (place.to_string(), place.clone()),
    };
    if let Err(error) = app::record_server(config, &listener, capacity) {
        tracing::warn!("healthcheck and check cannot find this server: {error}");
    }
    let public_url = config.public_url();
    tracing::info!("listening on {shown}; server.public_url is {public_url}");
    Ok(server)
}

/// The refusal if the server cannot listen at `place`, which comes from `key` of the configuration.
fn why_not_listening(to: &str, place: &Listen, cause: &io::Error, key: &str) -> Refusal {
    let mend = match (cause.kind(), place) {
        (_, Listen::Unix(path)) if path.as_os_str().as_bytes().len() > LONGEST_SOCKET_PATH => {
            return Refusal::new(
                format!(
                    "cannot {to} on {place}: its path has {} bytes, and that of a unix socket has at most {LONGEST_SOCKET_PATH}",
                    path.as_os_str().as_bytes().len()
                ),
                format!("name a shorter one in {key}, such as unix:/run/arkloop/arkloop.sock"),
            );
        }
        (ErrorKind::NotFound, Listen::Unix(_)) => "make its directory, or name another place in",
        (ErrorKind::PermissionDenied, Listen::Tcp(_)) => "take a port from 1024 on in",
        (ErrorKind::AddrNotAvailable, _) => "this machine does not have that address; name another in",
        _ => "stop what listens there, or name another place with",
    };
    Refusal::new(
        format!("cannot {to} on {place}: {cause}"),
        format!("{mend} {key}"),
    )
}

/// Starts the metrics and the server for them, if `metrics.listen` is set.
fn start_metrics(config: &Config, app: &App, tasks: &mut JoinSet<()>) -> Result<(), Refusal> {
    let Some(place) = &config.metrics_listen else {
        return Ok(());
    };
    let metrics = Metrics::start(app.service.system().now()).map_err(|cause| {
        Refusal::new(
            format!("cannot collect metrics: {cause}"),
            "take metrics.listen out of the configuration",
        )
    })?;
    app.service.start_counters();
    let rendered = metrics.clone();
    let render = Arc::new(move || rendered.render());
    let server = http::Server::bind_metrics(place, Arc::clone(&app.service), render)
        .map_err(|cause| why_not_listening("serve metrics", place, &cause, "metrics.listen"))?;
    let shown = server.local_addr().map_or_else(
        || place.to_string(),
        |address| format!("http://{address}/metrics"),
    );
    tracing::info!("metrics are served on {shown}");
    tasks.spawn(async move {
        tokio::select! {
            // This server runs until the main server has ended, so that metrics also cover the shutdown.
            () = server.run(pending()) => {}
            () = metrics.keep_tidy() => {}
        }
    });
    Ok(())
}

/// Runs the server until it ends. Dropping `stop` tells the server and the mail worker to finish. Returns the second signal if that one ended it at once.
async fn run_until_stopped(
    running: impl Future<Output = ()>,
    signals: &mut Signals,
    stop: oneshot::Sender<()>,
) -> Option<Signal> {
    let mut running = pin!(running);
    tokio::select! {
        () = &mut running => return None,
        signal = signals.next_stop() => tracing::info!("{} received: finishing what has begun", signal.as_str()),
    }
    tell_systemd(NotifyState::Stopping);
    drop(stop);
    tokio::select! {
        () = &mut running => None,
        signal = signals.next_stop() => {
            tracing::warn!("{} received again: ending at once", signal.as_str());
            Some(signal)
        }
    }
}

/// Reports the state of the server to systemd, if the unit has `Type=notify`.
///
/// Without the report, `systemctl start` would return before the server listens, and the first requests of a proxy would fail.
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be notified");
    }
}

fn tell_origin(config: &Config, origin: Origin) {
    let database = config.database_path();
    match origin {
        Origin::Found => tracing::info!("the database is {}", database.display()),
        Origin::Made => tracing::info!(
            "made a new, empty installation in {}; keep a copy of its key file {} elsewhere",
            config.data_dir.display(),
            config.key_path().display()
        ),
    }
}

/// Tells how many accounts there are, and removes what is out of date from then on. Both read whole tables, so the first requests go before them.
async fn keep_up(service: Arc<Service>, origin: Origin) {
    tokio::time::sleep(FIRST_REQUESTS).await;
    tokio::join!(
        tell_accounts(&service, origin),
        App::housekeep(Arc::clone(&service))
    );
}

/// Logs the number of accounts, so that an operator notices a wrong database.
async fn tell_accounts(service: &Service, origin: Origin) {
    if origin == Origin::Made {
        return;
    }
    match service.count_users().await {
        Ok(1) => tracing::info!("the database has 1 account"),
        Ok(count) => tracing::info!("the database has {count} accounts"),
        Err(error) => tracing::warn!("the accounts cannot be counted: {error}"),
    }
}

fn tell_mail(config: &Config) {
    match config.mail_transport() {
        MailTransport::Smtp => {
            let url = config.mail.smtp_url.as_ref();
            let url = url.map(ToString::to_string).unwrap_or_default();
            let sender = config.sender(&config.service_name());
            tracing::info!("mail goes through {url} as {sender}");
        }
        MailTransport::File => tracing::info!(
            "mail is not sent but written into {}, to try things out",
            config.outbox_path().display()
        ),
        MailTransport::Off => tracing::warn!(
            "mail is off: people cannot verify an address, sign in with a code or reset a password; set mail.transport"
        ),
    }
}

async fn tell_registration(context: &Context, app: &App) -> Result<(), Refusal> {
    let (mode, _) = app.service.registration_mode().await?;
    let arkloop = format!("{}{}", context.called, context.location_flags);
    match mode {
        RegistrationMode::InviteOnly => {
            tracing::info!("registration is by invite only; make one with: {arkloop} invite create");
        }
        RegistrationMode::Open => tracing::info!("registration is open to anybody"),
        RegistrationMode::Disabled => {
            tracing::info!("registration is disabled; make accounts with: {arkloop} user create");
        }
    }
    Ok(())
}
