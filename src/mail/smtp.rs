//! Handing mails over to a mail server: its connections, how long it may take, and what is told when it does not take one.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::compose::Message;
use super::conversation::{Conversation, Failure, encrypt};
use super::error::{SendError, Stage, TransportError};
use super::hint::Circumstances;
use super::message::build;
use super::patience::{Progress, SmtpTimeouts};
use super::reply::{Reply, Unsaid};
use super::smtp_server::{Encryption, SmtpServer, SmtpSettings};
use crate::domain::{HeloName, QueuedMail};

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
    patience: SmtpTimeouts,
    /// What the server's words may not repeat of the sign-in.
    unsaid: Unsaid,
    idle: Mutex<Vec<Idle>>,
}

/// A connection between two mails.
struct Idle {
    session: Session,
    since: Instant,
}

/// A conversation that has come as far as the first mail.
struct Session {
    conversation: Conversation,
    /// What EHLO said.
    helo: HeloName,
}

/// What is needed to tell how far it has come, and of a failure.
struct Telling<'a> {
    server: &'a SmtpServer,
    helo: &'a str,
    unsaid: &'a Unsaid,
    progress: &'a Progress,
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
            patience: settings.timeouts,
            idle: Mutex::new(Vec::new()),
        })
    }

    pub(super) const fn slow_after(&self) -> Duration {
        self.patience.slow
    }

    pub(super) async fn send(
        &self,
        mail: &QueuedMail,
        message: &Message,
        progress: &Progress,
    ) -> Result<(), SendError> {
        let formatted = build(mail, message, &self.server.from)?;
        let mut session = match self.reuse().await {
            Some(session) => session,
            None => self.open(progress).await?,
        };
        let unsaid = self.unsaid.with_mail(message);
        let handed_over = self.hand_over(&mut session, &formatted, &unsaid, progress).await;
        match &handed_over {
            Ok(()) => self.keep(session).await,
            Err(SendError::Refused { .. }) => quit(session).await,
            // The conversation is out of step; dropping the connection closes it.
            Err(_) => {}
        }
        handed_over
    }

    /// Goes as far as naming the sender, which many servers refuse to accept from strangers. A mail is not begun before DATA. Says how it greeted.
    pub(super) async fn check(&self) -> Result<HeloName, SendError> {
        let progress = Progress::new();
        let mut session = self.open(&progress).await?;
        let named = self
            .telling(session.helo.as_str(), &self.unsaid, &progress)
            .within(
                self.patience.command,
                Stage::Sender,
                session
                    .conversation
                    .command(&sender_command(self.server.from.email.as_ref())),
            )
            .await;
        let helo = session.helo.clone();
        quit(session).await;
        named.map(|()| helo)
    }

    /// A connection from before that still answers.
    async fn reuse(&self) -> Option<Session> {
        loop {
            // Taken in a statement of its own, so that the lock is not held while the server is asked.
            let idle = self.idle_sessions().pop();
            let Idle { mut session, since } = idle?;
            if since.elapsed() < MAX_IDLE_TIME
                && let Ok(Ok(())) = timeout(NOOP_TIMEOUT, session.conversation.command("NOOP")).await
            {
                return Some(session);
            }
        }
    }

    async fn keep(&self, session: Session) {
        let left_over = {
            let mut idle = self.idle_sessions();
            idle.retain(|kept| kept.since.elapsed() < MAX_IDLE_TIME);
            if idle.len() < MAX_IDLE {
                let since = Instant::now();
                idle.push(Idle { session, since });
                None
            } else {
                Some(session)
            }
        };
        if let Some(session) = left_over {
            quit(session).await;
        }
    }

    fn idle_sessions(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects, encrypts and signs in, at the first address of the server that answers.
    async fn open(&self, progress: &Progress) -> Result<Session, SendError> {
        let telling = self.telling("", &self.unsaid, progress);
        let looking_up = async {
            let name = (self.server.host.as_str(), self.server.port);
            Ok(tokio::net::lookup_host(name).await?)
        };
        let addresses = telling
            .within(self.patience.connection, Stage::Connect, looking_up)
            .await?;
        let nowhere = Failure::Broken("the server's name has no address".to_owned());
        let mut last = telling.failed(Stage::Connect, &nowhere);
        for address in addresses.take(MAX_ADDRESSES) {
            match self.open_at(address, progress).await {
                Err(error) if error.stage().is_some_and(Stage::is_opening) => last = error,
                opened => return opened,
            }
        }
        Err(last)
    }

    async fn open_at(&self, address: SocketAddr, progress: &Progress) -> Result<Session, SendError> {
        let host = self.server.host.as_str();
        let (limit, first) = (self.patience.command, self.patience.greeting);
        let telling = self.telling("", &self.unsaid, progress);
        let connecting = async { Ok(TcpStream::connect(address).await?) };
        let tcp = telling
            .within(self.patience.connection, Stage::Connect, connecting)
            .await?;
        let own_address = tcp.local_addr().map(|own| own.ip());
        let helo = match (&self.server.helo_name, own_address) {
            (Some(name), _) => name.clone(),
            (None, Ok(address)) => HeloName::literal(address),
            (None, Err(error)) => return Err(telling.failed(Stage::Connect, &error.into())),
        };
        let telling = self.telling(helo.as_str(), &self.unsaid, progress);
        let mut conversation = match &self.server.encryption {
            Encryption::None => Conversation::new(Box::new(tcp) as _),
            Encryption::Implicit(tls) => telling.within(limit, Stage::Tls, encrypt(tcp, tls, host)).await?,
            Encryption::StartTls(tls) => {
                let mut plain = Conversation::new(tcp);
                telling.within(first, Stage::Greeting, plain.greeting()).await?;
                telling
                    .within(limit, Stage::StartTls, plain.refuse_early())
                    .await?;
                telling
                    .within(first, Stage::Hello, plain.hello(helo.as_str()))
                    .await?;
                telling
                    .within(limit, Stage::StartTls, plain.agree_on_tls())
                    .await?;
                telling
                    .within(limit, Stage::Tls, encrypt(plain.into_inner(), tls, host))
                    .await?
            }
        };
        if !matches!(self.server.encryption, Encryption::StartTls(_)) {
            telling
                .within(first, Stage::Greeting, conversation.greeting())
                .await?;
        }
        // After STARTTLS again: nothing that was offered before counts (RFC 3207 §4.2).
        telling
            .within(first, Stage::Hello, conversation.hello(helo.as_str()))
            .await?;
        if let Some(credentials) = &self.server.credentials {
            let signing_in = conversation.sign_in(&credentials.user, &credentials.password);
            telling.within(limit, Stage::SignIn, signing_in).await?;
        }
        Ok(Session { conversation, helo })
    }

    /// One mail, up to the server's word that it has taken it over.
    async fn hand_over(
        &self,
        session: &mut Session,
        message: &lettre::Message,
        unsaid: &Unsaid,
        progress: &Progress,
    ) -> Result<(), SendError> {
        let (limit, envelope) = (self.patience.command, message.envelope());
        let Session { conversation, helo } = session;
        let telling = self.telling(helo.as_str(), unsaid, progress);
        // The message is ASCII throughout, so no extension is asked for.
        let sender = sender_command(envelope.from().map_or("", |sender| sender.as_ref()));
        telling
            .within(limit, Stage::Sender, conversation.command(&sender))
            .await?;
        for address in envelope.to() {
            let recipient = format!("RCPT TO:<{address}>");
            telling
                .within(limit, Stage::Recipient, conversation.command(&recipient))
                .await?;
        }
        telling
            .within(self.patience.data, Stage::Data, conversation.data())
            .await?;
        let bytes = message.formatted();
        telling
            .within(
                self.patience.content,
                Stage::Content,
                conversation.content(&bytes),
            )
            .await?;
        let answer = telling
            .within(self.patience.end, Stage::End, conversation.end())
            .await;
        answer.map_err(|error| match error {
            SendError::Connection { cause, .. } => SendError::Unanswered { cause },
            SendError::Timeout { .. } => SendError::Unanswered {
                cause: format!("no answer came within {} s", self.patience.end.as_secs()),
            },
            refused => refused,
        })
    }

    fn telling<'a>(&'a self, helo: &'a str, unsaid: &'a Unsaid, progress: &'a Progress) -> Telling<'a> {
        Telling {
            server: &self.server,
            helo,
            unsaid,
            progress,
        }
    }
}

fn sender_command(address: &str) -> String {
    format!("MAIL FROM:<{address}>")
}

impl Telling<'_> {
    async fn within<T>(
        &self,
        limit: Duration,
        stage: Stage,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, SendError> {
        self.progress.reach(stage);
        match timeout(limit, work).await {
            Ok(result) => result.map_err(|failure| self.failed(stage, &failure)),
            Err(_) => Err(SendError::Timeout {
                stage,
                hint: self.circumstances().hint_of_silence(stage),
            }),
        }
    }

    fn failed(&self, stage: Stage, failure: &Failure) -> SendError {
        let hint = self.circumstances().hint(stage, failure);
        let cause = match failure {
            Failure::Answer { code, lines } => {
                let lines = lines.iter().map(String::as_str);
                let reply = Reply::new(*code, lines, self.unsaid);
                return SendError::Refused { stage, reply, hint };
            }
            Failure::Tls(failure) => failure.text.clone(),
            Failure::NoStartTls => "it offers no STARTTLS".to_owned(),
            Failure::NoSignIn { .. } => {
                "it offers no way to sign in that is known here (PLAIN or LOGIN)".to_owned()
            }
            Failure::Broken(cause) => cause.clone(),
        };
        SendError::Connection { stage, cause, hint }
    }

    fn circumstances(&self) -> Circumstances<'_> {
        let server = self.server;
        Circumstances {
            host: &server.host,
            port: server.port,
            security: server.security,
            signs_in: server.credentials.is_some(),
            has_ca_file: server.has_ca_file,
            helo: self.helo,
            sender: server.from.email.as_ref(),
        }
    }
}

/// Takes leave, as RFC 5321 §4.1.1.10 wants it.
async fn quit(mut session: Session) {
    let _ = timeout(QUIT_TIMEOUT, session.conversation.quit()).await;
}
