//! The conversation with a mail server.
//!
//! The commands are those of `lettre`, but its own transport and pool are not used: over tokio their time-out covers the TCP connection alone, so
//! that a server which falls silent later holds the sender for ever; and a sending that is given up puts its connection back in the middle of a
//! conversation, where the next mail goes wrong.

use std::error::Error as _;
use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::{Instant, timeout};

use super::error::{SendError, Stage, TransportError};
use super::message::{Parcel, build};
use super::reply::{Reply, Unsaid};
use super::smtp_server::{Encryption, SmtpServer, SmtpSettings};
use super::starttls::{StartTlsStream, Upgrade};

/// How long the server may take.
pub(super) struct Patience {
    /// For a connection to one address of the server up to its answer to EHLO, and for each command after it.
    pub(super) command: Duration,
    /// For the answer to a whole mail.
    pub(super) content: Duration,
}

/// Servers read a mail for viruses and spam before they answer, and whoever gives up before that sends it again and again. RFC 5321 §4.5.3.2
/// asks for 10 minutes then and for 5 at most commands, which would hold the other mails too long.
const PATIENCE: Patience = Patience {
    command: Duration::from_secs(10),
    content: Duration::from_secs(30),
};
/// For the answer to QUIT, on which nothing depends.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);
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
        Self::with_patience(settings, PATIENCE)
    }

    /// For tests, which have less of it.
    pub(super) fn with_patience(settings: &SmtpSettings, patience: Patience) -> Result<Self, TransportError> {
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
            patience,
            idle: Mutex::new(Vec::new()),
        })
    }

    pub(super) async fn send(&self, parcel: &Parcel<'_>) -> Result<(), SendError> {
        let message = build(parcel, &self.server.from)?;
        let mut connection = match self.reuse().await {
            Some(connection) => connection,
            None => self.open().await?,
        };
        let handed_over = self
            .hand_over(&mut connection, &message, &self.unsaid.with_mail(parcel))
            .await;
        match &handed_over {
            Ok(()) => self.keep(connection),
            Err(SendError::Refused { .. }) => quit(connection).await,
            // The conversation is out of step; dropping the connection closes it.
            Err(_) => {}
        }
        handed_over
    }

    pub(super) async fn check(&self) -> Result<(), SendError> {
        quit(self.open().await?).await;
        Ok(())
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
                && timeout(self.patience.command, connection.test_connected()).await == Ok(true)
            {
                return Some(connection);
            }
        }
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle_connections();
        idle.retain(|kept| kept.since.elapsed() < MAX_IDLE_TIME);
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    fn idle_connections(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects, encrypts and signs in.
    async fn open(&self) -> Result<AsyncSmtpConnection, SendError> {
        let upgrade = Upgrade::default();
        let mut connection = self.connect(&upgrade).await?;
        if let Encryption::StartTls(parameters) = &self.server.encryption {
            upgrade.announce();
            // Fails where the server does not offer it. lettre says EHLO again inside TLS, so nothing that was offered before it counts.
            let started = connection.starttls(parameters.clone(), &self.client);
            within(self.patience.command, Stage::StartTls, &self.unsaid, started).await?;
        }
        if let Some(credentials) = &self.server.credentials {
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
            match timeout(self.patience.command, self.connect_to(address, upgrade)).await {
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
        let connected = match &self.server.encryption {
            Encryption::StartTls(_) => {
                let stream = StartTlsStream::connect(address, upgrade).await;
                let stream = stream.map_err(|error| failed(Stage::Connect, &error))?;
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.client).await
            }
            Encryption::Implicit(tls) => {
                AsyncSmtpConnection::connect_tokio1(address, None, &self.client, Some(tls.clone()), None)
                    .await
            }
            Encryption::None => {
                AsyncSmtpConnection::connect_tokio1(address, None, &self.client, None, None).await
            }
        };
        connected.map_err(|error| describe(Stage::Connect, &self.unsaid, &error))
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, SendError> {
        let looking_up = tokio::net::lookup_host((self.server.host.as_str(), self.server.port));
        match timeout(self.patience.command, looking_up).await {
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
    ) -> Result<(), SendError> {
        let envelope = message.envelope();
        // The message is ASCII throughout, so no extension is asked for.
        let sender = Mail::new(envelope.from().cloned(), Vec::new());
        self.command(connection, Stage::Sender, unsaid, sender).await?;
        for address in envelope.to() {
            self.command(
                connection,
                Stage::Recipient,
                unsaid,
                Rcpt::new(address.clone(), Vec::new()),
            )
            .await?;
        }
        self.command(connection, Stage::Data, unsaid, Data).await?;
        let bytes = message.formatted();
        within(
            self.patience.content,
            Stage::Content,
            unsaid,
            connection.message(&bytes),
        )
        .await?;
        Ok(())
    }

    async fn command(
        &self,
        connection: &mut AsyncSmtpConnection,
        stage: Stage,
        unsaid: &Unsaid,
        command: impl Display,
    ) -> Result<(), SendError> {
        within(self.patience.command, stage, unsaid, connection.command(command)).await?;
        Ok(())
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
    if error.is_response() {
        return failed(stage, &"its answer is no SMTP, or ended early");
    }
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        cause = inner.to_string();
        source = inner.source();
    }
    failed(stage, &cause)
}
