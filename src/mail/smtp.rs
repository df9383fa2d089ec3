//! The conversation with a mail server.
//!
//! The commands are those of `lettre`, but its own transport and pool are not used: over tokio their time-out covers the TCP connection alone, so
//! that a server which falls silent later holds the sender for ever; and a sending that is given up puts its connection back in the middle of a
//! conversation, where the next mail goes wrong.

use std::error::Error as _;
use std::future::{Future, pending};
use std::iter;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::sync::Notify;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use super::error::{SendError, Stage, TransportError};
use super::message::{Parcel, build};
use super::patience::{Patience, Progress};
use super::reply::{Reply, Unsaid};
use super::smtp_server::{Encryption, SmtpServer, SmtpSettings};
use super::starttls::{StartTlsStream, Upgrade};

/// For the answer to QUIT, on which nothing depends.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);
/// For the answer to NOOP, by which a kept connection shows that it is still there. It costs no more than another connection to give it up.
const NOOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How many addresses of the server's name are tried.
const MAX_ADDRESSES: usize = 4;
/// How many connections are kept for the next mail.
const MAX_IDLE: usize = 2;
/// How long they are used again. Servers close after five minutes (RFC 5321 §4.5.3.2.7), many after less.
const MAX_IDLE_TIME: Duration = Duration::from_mins(1);

/// Sends mails through one server.
pub struct SmtpTransport {
    server: SmtpServer,
    client: ClientId,
    patience: Patience,
    /// What the server's words may not repeat of the sign-in.
    unsaid: Unsaid,
    idle: Mutex<Vec<Idle>>,
}

/// A connection between two mails.
struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl SmtpTransport {
    pub(super) fn new(settings: &SmtpSettings) -> Result<Self, TransportError> {
        let unsaid = settings
            .password
            .as_ref()
            .map_or_else(Unsaid::default, |password| {
                Unsaid::of_credentials(&settings.user, password)
            });
        Ok(Self {
            server: SmtpServer::new(settings)?,
            unsaid,
            // The host's name, as EHLO wants it.
            client: ClientId::default(),
            patience: settings.patience,
            idle: Mutex::new(Vec::new()),
        })
    }

    pub(super) const fn slow_after(&self) -> Duration {
        self.patience.slow
    }

    pub(super) async fn send(&self, parcel: &Parcel<'_>, progress: &Progress) -> Result<(), SendError> {
        let message = build(parcel, &self.server.from)?;
        let mut connection = match self.reuse().await {
            Some(connection) => connection,
            None => self.open(progress).await?,
        };
        let unsaid = self.unsaid.with_mail(parcel);
        let handed_over = self.hand_over(&mut connection, &message, &unsaid, progress).await;
        match &handed_over {
            Ok(()) => self.keep(connection).await,
            Err(SendError::Refused { .. }) => quit(connection).await,
            // The conversation is out of step; dropping the connection closes it.
            Err(_) => {}
        }
        handed_over
    }

    /// Goes as far as naming the sender, which many servers refuse to accept from strangers. A mail is not begun before DATA.
    pub(super) async fn check(&self) -> Result<(), SendError> {
        let mut connection = self.open(&Progress::new()).await?;
        let sender = Mail::new(Some(self.server.from.email.clone()), Vec::new());
        let named = connection.command(sender);
        let named = within(self.patience.command, Stage::Sender, &self.unsaid, named).await;
        quit(connection).await;
        named.map(drop)
    }

    /// A connection from before that still answers.
    async fn reuse(&self) -> Option<AsyncSmtpConnection> {
        loop {
            // Taken in a statement of its own, so that the lock is not held while the server is asked.
            let idle = self.idle_connections().pop();
            let Idle {
                mut connection,
                since,
            } = idle?;
            if since.elapsed() < MAX_IDLE_TIME
                && timeout(NOOP_TIMEOUT, connection.test_connected()).await == Ok(true)
            {
                return Some(connection);
            }
        }
    }

    async fn keep(&self, connection: AsyncSmtpConnection) {
        let left_over = {
            let mut idle = self.idle_connections();
            idle.retain(|kept| kept.since.elapsed() < MAX_IDLE_TIME);
            if idle.len() < MAX_IDLE {
                idle.push(Idle {
                    connection,
                    since: Instant::now(),
                });
                None
            } else {
                Some(connection)
            }
        };
        if let Some(connection) = left_over {
            quit(connection).await;
        }
    }

    fn idle_connections(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects, encrypts and signs in.
    async fn open(&self, progress: &Progress) -> Result<AsyncSmtpConnection, SendError> {
        let upgrade = Upgrade::default();
        let mut connection = self.connect(&upgrade).await?;
        if let Encryption::StartTls(parameters) = &self.server.encryption {
            upgrade.announce();
            progress.reach(Stage::StartTls);
            // Fails where the server does not offer it. lettre says EHLO again inside TLS, so nothing that was offered before it counts.
            let started = connection.starttls(parameters.clone(), &self.client);
            within(self.patience.command, Stage::StartTls, &self.unsaid, started).await?;
        }
        if let Some(credentials) = &self.server.credentials {
            progress.reach(Stage::SignIn);
            let signed_in = connection.auth(DEFAULT_MECHANISMS, credentials);
            within(self.patience.command, Stage::SignIn, &self.unsaid, signed_in).await?;
        }
        Ok(connection)
    }

    /// Connects to the first address of the server that answers.
    async fn connect(&self, upgrade: &Upgrade) -> Result<AsyncSmtpConnection, SendError> {
        let mut last = SendError::Connection {
            stage: Stage::Connect,
            cause: "the server's name has no address".to_owned(),
            hint: None,
        };
        for address in self.resolve().await? {
            match timeout(self.patience.greeting, self.connect_to(address, upgrade)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => last = error,
                Err(_) => last = timed_out(Stage::Connect),
            }
        }
        Err(last)
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        upgrade: &Upgrade,
    ) -> Result<AsyncSmtpConnection, SendError> {
        let limit = self.patience.connection;
        let connected = match &self.server.encryption {
            Encryption::StartTls(_) => {
                let stream = timeout(limit, StartTlsStream::connect(address, upgrade)).await;
                let stream = stream
                    .map_err(|_| timed_out(Stage::Connect))?
                    .map_err(|error| failed(Stage::Connect, &error))?;
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.client).await
            }
            Encryption::Implicit(tls) => {
                AsyncSmtpConnection::connect_tokio1(
                    address,
                    Some(limit),
                    &self.client,
                    Some(tls.clone()),
                    None,
                )
                .await
            }
            Encryption::None => {
                AsyncSmtpConnection::connect_tokio1(address, Some(limit), &self.client, None, None).await
            }
        };
        connected.map_err(|error| describe(Stage::Connect, &self.unsaid, &error))
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, SendError> {
        let looking_up = tokio::net::lookup_host((self.server.host.as_str(), self.server.port));
        match timeout(self.patience.connection, looking_up).await {
            Ok(Ok(addresses)) => Ok(addresses.take(MAX_ADDRESSES).collect()),
            Ok(Err(error)) => Err(failed(Stage::Connect, &error)),
            Err(_) => Err(timed_out(Stage::Connect)),
        }
    }

    /// One mail, up to the server's word that it has taken it over.
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        message: &lettre::Message,
        unsaid: &Unsaid,
        progress: &Progress,
    ) -> Result<(), SendError> {
        let envelope = message.envelope();
        let command = self.patience.command;
        // The message is ASCII throughout, so no extension is asked for.
        let sender = Mail::new(envelope.from().cloned(), Vec::new());
        progress.reach(Stage::Sender);
        within(command, Stage::Sender, unsaid, connection.command(sender)).await?;
        for address in envelope.to() {
            let recipient = Rcpt::new(address.clone(), Vec::new());
            progress.reach(Stage::Recipient);
            within(command, Stage::Recipient, unsaid, connection.command(recipient)).await?;
        }
        progress.reach(Stage::Data);
        within(self.patience.data, Stage::Data, unsaid, connection.command(Data)).await?;
        progress.reach(Stage::Content);
        let bytes = message.formatted();
        let answer = self.send_content(connection, &bytes, progress).await;
        match (answer, progress.at()) {
            (Ok(Ok(())), _) => Ok(()),
            (Ok(Err(error)), (Stage::End, _)) if error.status().is_none() => Err(SendError::Unanswered {
                cause: cause_of(&error),
            }),
            (Err(_), (Stage::End, _)) => Err(SendError::Unanswered {
                cause: format!("no answer came within {} s", self.patience.end.as_secs()),
            }),
            (Ok(Err(error)), (stage, _)) => Err(describe(stage, unsaid, &error)),
            (Err(_), (stage, _)) => Err(timed_out(stage)),
        }
    }

    /// Sends the mail itself, and waits for the answer to it.
    async fn send_content(
        &self,
        connection: &mut AsyncSmtpConnection,
        bytes: &[u8],
        progress: &Progress,
    ) -> Result<Result<(), SmtpError>, Elapsed> {
        let ended = Notify::new();
        // lettre asks for the next part when it has sent all before. Only the dot is left then.
        let end = iter::from_fn(|| {
            progress.reach(Stage::End);
            ended.notify_one();
            None
        });
        let mut sending = pin!(connection.message_iter(iter::once(bytes).chain(end)));
        let answer = tokio::select! {
            biased;
            answer = &mut sending => answer,
            () = ended.notified() => timeout(self.patience.end, sending).await?,
            elapsed = timeout(self.patience.content, pending()) => elapsed?,
        };
        Ok(answer.map(drop))
    }
}

/// Takes leave, as RFC 5321 §4.1.1.10 wants it.
async fn quit(mut connection: AsyncSmtpConnection) {
    let _ = timeout(QUIT_TIMEOUT, connection.quit()).await;
}

async fn within<T>(
    limit: Duration,
    stage: Stage,
    unsaid: &Unsaid,
    work: impl Future<Output = Result<T, SmtpError>>,
) -> Result<T, SendError> {
    match timeout(limit, work).await {
        Ok(result) => result.map_err(|error| describe(stage, unsaid, &error)),
        Err(_) => Err(timed_out(stage)),
    }
}

fn timed_out(stage: Stage) -> SendError {
    SendError::Timeout { stage, hint: None }
}

fn failed(stage: Stage, cause: &impl ToString) -> SendError {
    SendError::Connection {
        stage,
        cause: cause.to_string(),
        hint: None,
    }
}

/// Says what went wrong.
fn describe(stage: Stage, unsaid: &Unsaid, error: &SmtpError) -> SendError {
    if let Some(code) = error.status() {
        let words = error.source().map(ToString::to_string).unwrap_or_default();
        return SendError::Refused {
            stage,
            reply: Reply::new(code.into(), [words.as_str()], unsaid),
            hint: None,
        };
    }
    failed(stage, &cause_of(error))
}

/// What came instead of an answer.
fn cause_of(error: &SmtpError) -> String {
    if error.is_response() {
        return "its answer is no SMTP, or ended early".to_owned();
    }
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        cause = inner.to_string();
        source = inner.source();
    }
    cause
}
