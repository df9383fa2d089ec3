//! The server of one test: in this process, on a free port, with its own data directory, and with a clock that the test moves.

mod requests;
mod rows;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arkloop::app::{self, App, Role};
use arkloop::domain::{Listen, Operator, RegistrationMode, Timestamp};
use arkloop::http::{self, Deadlines, Server};
use arkloop::mail::SmtpTimeouts;
use arkloop::service::Service;
use arkloop::store::{Setting, StoreError, TestHooks};
use arkloop::system::{Machine, System, ThisMachine};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use requests::registration;

use super::command::Workspace;
use super::database::Database;
use super::machine::{MovableClock, seeded_system};
use super::panic_trigger::PanicTrigger;
use super::smtp::SmtpServer;
use super::statements::Watched;
use super::store_probe::StoreProbe;

/// The initial time of the clock of every test: 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// The password of every account whose password does not matter to the test.
pub const PASSWORD: &str = "a quiet harbour";

/// The settings of a server that is not started yet.
pub struct Builder {
    workspace: Workspace,
    deadlines: Deadlines,
    patience: SmtpTimeouts,
    machine_clock: bool,
    outbox: Outbox,
    limits: Limits,
}

/// Whether the server sends the mail of its outbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outbox {
    /// Mail stays in the queue, so that every write is caused by the test.
    Rests,
    /// Mail is sent, as by `serve`.
    IsWorkedOff,
}

/// Whether requests are limited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limits {
    /// Requests are not limited.
    Lifted,
    /// Requests are limited as configured.
    Hold,
}

impl Builder {
    /// Sets a configuration key by its variable without the prefix, such as `REGISTRATION__MODE`.
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.workspace.set(&format!("ARKLOOP_{variable}"), value);
        self
    }

    /// Sends mail through `server`.
    pub fn smtp(mut self, server: &SmtpServer) -> Self {
        self.outbox = Outbox::IsWorkedOff;
        self.workspace.send_mail_through(server);
        self
    }

    /// Limits requests as configured.
    pub fn limited(mut self) -> Self {
        self.limits = Limits::Hold;
        self
    }

    /// Limits requests, and sets the rate of one class: `limit("login", "30/1m")`.
    pub fn limit(self, class: &str, rate: &str) -> Self {
        let variable = format!("RATE_LIMIT__{}", class.to_uppercase());
        self.limited().set(&variable, rate)
    }

    /// Opens registration to everyone.
    pub fn open(self) -> Self {
        self.set("REGISTRATION__MODE", "open")
    }

    /// Uses SQLite in every run, for tests of what only SQLite has, such as its file.
    pub fn of_sqlite(mut self) -> Self {
        self.workspace.use_sqlite();
        self
    }

    /// Uses the clock of the machine, for tests in which another process works on the same database.
    pub fn machine_clock(mut self) -> Self {
        self.machine_clock = true;
        self
    }

    /// Sets how long the server waits for clients.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Sets how long the server waits for the mail server.
    pub fn patience(mut self, patience: SmtpTimeouts) -> Self {
        self.patience = patience;
        self
    }

    pub async fn start(self) -> TestApp {
        let clock = Arc::new(MovableClock::new(START));
        let set_up = SetUp {
            workspace: Arc::new(self.workspace),
            clock,
            deadlines: self.deadlines,
            patience: self.patience,
            machine_clock: self.machine_clock,
            outbox: self.outbox,
            limits: self.limits,
            starts: 0,
        };
        TestApp {
            running: Some(Running::start(&set_up).await),
            set_up,
        }
    }
}

/// What a server keeps over a restart.
struct SetUp {
    workspace: Arc<Workspace>,
    clock: Arc<MovableClock>,
    deadlines: Deadlines,
    patience: SmtpTimeouts,
    machine_clock: bool,
    outbox: Outbox,
    limits: Limits,
    /// The number of restarts. It is part of the seed, so that a server draws new random bytes after a restart.
    starts: u64,
}

struct Running {
    app: App,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    postman: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    store_probe: StoreProbe,
    _watched: Watched,
    panic_trigger: PanicTrigger,
}

impl Running {
    async fn start(set_up: &SetUp) -> Self {
        set_up.workspace.vault().watch_log();
        let config = set_up.workspace.config();
        let system = if set_up.machine_clock {
            System::machine()
        } else {
            let seed = set_up.clock.now().as_millis().cast_unsigned() ^ set_up.starts << 48;
            seeded_system(&set_up.clock, seed)
        };
        let store_probe = StoreProbe::default();
        let probe: Arc<dyn TestHooks> = Arc::new(store_probe.clone());
        let app = App::open_with_hooks(
            &config,
            system,
            Role::Server,
            Operator::new(0, None, "serve"),
            set_up.patience,
            Some(probe),
        );
        let app = app.await.expect("the parts join");
        let panic_trigger = PanicTrigger::default();
        let trigger = panic_trigger.clone();
        let settings = app::http_settings(&config);
        let settings = http::ServerSettings {
            logo: app::read_logo(&config).expect("the logo can be shown"),
            rates: settings.rates.filter(|_| set_up.limits == Limits::Hold),
            // Every operation of the document is served, unless the test turns these off.
            arkloop_client: settings.arkloop_client || !config.is_set("server.arkloop_client"),
            deadlines: set_up.deadlines,
            before_answer: Some(Arc::new(move |operation| trigger.touch(operation))),
            ..settings
        };
        let listen = Listen::Tcp("127.0.0.1:0".parse().expect("it is an address"));
        let server = Server::bind(&listen, Arc::clone(&app.service), settings).expect("there is a free port");
        let address = server.local_addr().expect("the socket has an address");
        set_up.workspace.vault().serve_at(address);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let postman = match set_up.outbox {
            Outbox::Rests => None,
            Outbox::IsWorkedOff => {
                let (stop, stopped) = oneshot::channel();
                let work = Arc::clone(&app.service).deliver_mail(async {
                    let _ = stopped.await;
                });
                Some((stop, tokio::spawn(work)))
            }
        };
        Self {
            app,
            address,
            stop,
            task,
            postman,
            _watched: Watched(set_up.workspace.engine(), store_probe.clone()),
            store_probe,
            panic_trigger,
        }
    }
}

/// The machine of a command: the clock of the test, and true randomness, because seeded bytes could repeat those of the server.
struct CommandMachine(Arc<MovableClock>);

impl Machine for CommandMachine {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn fill(&self, bytes: &mut [u8]) {
        ThisMachine.fill(bytes);
    }
}

/// A running server.
pub struct TestApp {
    running: Option<Running>,
    set_up: SetUp,
}

impl TestApp {
    /// A server that requires invites, with very cheap password hashes.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A server with registration open.
    pub async fn open() -> Self {
        Self::builder().open().start().await
    }

    pub fn builder() -> Builder {
        Builder {
            workspace: Workspace::new(),
            deadlines: Deadlines::default(),
            patience: SmtpTimeouts::SERVER,
            machine_clock: false,
            outbox: Outbox::Rests,
            limits: Limits::Lifted,
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the server runs")
    }

    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    pub fn service(&self) -> &Arc<Service> {
        &self.running().app.service
    }

    /// The means to cause faults in the writer.
    pub fn store_probe(&self) -> &StoreProbe {
        &self.running().store_probe
    }

    /// The means to cause panics in handlers.
    pub fn panic_trigger(&self) -> &PanicTrigger {
        &self.running().panic_trigger
    }

    pub fn data_dir(&self) -> std::path::PathBuf {
        self.set_up.workspace.path().join("data")
    }

    /// The database, past the server.
    pub fn database(&self) -> &Database {
        self.set_up.workspace.database()
    }

    /// Changes rows past the server.
    pub fn change(&self, sql: &str) {
        self.database().change(sql);
    }

    /// Reads one number past the server.
    pub fn count(&self, sql: &str) -> i64 {
        self.database().count(sql)
    }

    /// Reads one text past the server; empty if there is none.
    pub fn text(&self, sql: &str) -> String {
        self.database().text(sql)
    }

    /// Waits until every mail is sent or dropped.
    pub async fn wait_for_empty_outbox(&self) {
        let wait = async {
            while self.count("SELECT count(*) FROM outbox") > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let emptied = tokio::time::timeout(Duration::from_mins(1), wait).await;
        emptied.expect("the outbox becomes empty");
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.set_up.clock.advance(by);
    }

    /// Sets the clock back.
    pub fn turn_back(&self, by: Duration) {
        self.set_up.clock.turn_back(by);
    }

    /// Stops the server in order, and starts another one on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Starts the server again after [`TestApp::stop`].
    pub async fn start_again(&mut self) {
        self.set_up.starts += 1;
        self.running = Some(Running::start(&self.set_up).await);
    }

    /// Restarts the server with another setting.
    pub async fn restart_with(&mut self, variable: &str, value: &str) {
        self.stop().await;
        let workspace = Arc::get_mut(&mut self.set_up.workspace).expect("no command is running");
        workspace.set(&format!("ARKLOOP_{variable}"), value);
        self.start_again().await;
    }

    /// Stops the server in order.
    pub async fn stop(&mut self) {
        let running = self.running.take().expect("the server runs");
        let _ = running.stop.send(());
        running.task.await.expect("the server did not panic");
        if let Some((stop, postman)) = running.postman {
            let _ = stop.send(());
            postman.await.expect("the mail worker did not panic");
        }
        // Mails that were being sent release the service a moment later.
        for _ in 0..5_000 {
            if Arc::strong_count(&running.app.service) == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        running.app.close();
    }

    /// The app of an operator's command: for the database it is another process, but it has the clock of this server.
    pub async fn command(&self) -> App {
        let system = System::new(Arc::new(CommandMachine(Arc::clone(&self.set_up.clock))));
        let operator = Operator::new(0, None, "a command");
        let config = self.set_up.workspace.config();
        let probe: Arc<dyn TestHooks> = Arc::new(self.running().store_probe.clone());
        let patience = self.set_up.patience;
        let app = App::open_with_hooks(&config, system, Role::Command, operator, patience, Some(probe)).await;
        app.expect("the parts join")
    }

    /// The workspace in which the real executable can be run on the data of this server, with the same configuration.
    pub fn workspace(&self) -> &Arc<Workspace> {
        &self.set_up.workspace
    }

    /// Sends a write, which keeps the writer busy while the gate is closed.
    pub fn occupy_writer(&self) -> JoinHandle<Result<(), StoreError>> {
        let service = Arc::clone(self.service());
        let invite_only = Some(RegistrationMode::InviteOnly.into_str());
        tokio::spawn(async move {
            service
                .store()
                .write(move |tx| tx.put_setting(Setting::RegistrationMode, invite_only, START))
                .await
        })
    }
}
