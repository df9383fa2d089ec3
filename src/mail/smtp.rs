//! Sends mails to a mail server: keeps connections for the next mails, and reports why the server refuses a mail.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::compose::Message;
use super::conversation::{Conversation, encrypt};
use super::error::{Failure, SendError, TransportError};
use super::message::build;
use super::reply::Redactions;
use super::settings::SmtpSettings;
use super::stage::{Progress, Stage};
use crate::domain::{HeloName, QueuedMail, SmtpSecurity};
use crate::tls::ClientConfig;

/// The timeout of the reply to QUIT, on which nothing depends.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);
/// The timeout of the reply to NOOP, which shows that a kept connection still works. Without the reply, a new connection is opened.
const NOOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The most addresses of the server's name that are tried.
const MAX_ADDRESSES: usize = 4;
/// The most connections that are kept for the next mails.
const MAX_IDLE: usize = 2;
/// For how long an idle connection is kept. Servers close idle connections after five minutes (RFC 5321 §4.5.3.2.7), many earlier.
const MAX_IDLE_TIME: Duration = Duration::from_mins(1);

/// Sends mails through one server.
pub struct SmtpTransport {
    settings: SmtpSettings,
    tls: Option<Arc<ClientConfig>>,
    /// The texts of the sign-in that must be hidden in replies.
    unsaid: Redactions,
    idle: Mutex<Vec<Session>>,
}

/// A conversation that is ready for a mail.
struct Session {
    conversation: Conversation,
    /// The argument of EHLO.
    helo: HeloName,
    idle_since: Instant,
}

/// One attempt to send a mail, or to check the server.
struct Attempt<'a> {
    transport: &'a SmtpTransport,
    /// The texts that must be hidden in replies.
    unsaid: Redactions,
    progress: &'a Progress,
    /// The argument of EHLO.
    helo: Option<HeloName>,
}

impl SmtpTransport {
    pub(super) fn new(settings: SmtpSettings) -> Result<Self, TransportError> {
        let credentials = settings.credentials.as_ref();
        Ok(Self {
            tls: settings.tls()?,
            unsaid: credentials.map_or_else(Redactions::default, |credentials| {
                Redactions::of_credentials(&credentials.user, &credentials.password)
            }),
            idle: Mutex::new(Vec::new()),
            settings,
        })
    }

    pub(super) const fn slow_after(&self) -> Duration {
        self.settings.timeouts.slow
    }

    pub(super) async fn send(
        &self,
        mail: &QueuedMail,
        message: &Message,
        progress: &Progress,
    ) -> Result<(), SendError> {
        let formatted = build(mail, message, &self.settings.from)?;
        let mut attempt = self.attempt(self.unsaid.with_mail(message), progress);
        let mut session = match self.reuse().await {
            Some(session) => session,
            None => attempt.open().await?,
        };
        let handed_over = attempt.hand_over(&mut session, &formatted).await;
        match &handed_over {
            Ok(()) => self.keep(session).await,
            Err(SendError::Server {
                failure: Failure::Refused(_),
                ..
            }) => quit(session).await,
            // A late reply would be read as the reply to the next command. Dropping the connection closes it.
            Err(_) => {}
        }
        handed_over
    }

    /// Connects, signs in and names the sender, because many servers refuse a missing sign-in only then. No mail begins before DATA. Returns the argument of
    /// EHLO.
    pub(super) async fn check(&self) -> Result<HeloName, SendError> {
        let progress = Progress::default();
        let mut attempt = self.attempt(self.unsaid.clone(), &progress);
        let mut session = attempt.open().await?;
        let sender = sender_command(self.settings.from.email.as_ref());
        let named = attempt
            .step(Stage::Sender, session.conversation.command(&sender, 250))
            .await;
        let helo = session.helo.clone();
        quit(session).await;
        named.map(|_| helo)
    }

    fn attempt<'a>(&'a self, unsaid: Redactions, progress: &'a Progress) -> Attempt<'a> {
        Attempt {
            transport: self,
            unsaid,
            progress,
            helo: None,
        }
    }

    /// Returns a kept connection that still works, if there is one.
    async fn reuse(&self) -> Option<Session> {
        loop {
            // This is a statement of its own, so that the lock is not held while the server replies.
            let idle = self.idle.lock().pop();
            let mut session = idle?;
            if session.idle_since.elapsed() < MAX_IDLE_TIME
                && let Ok(Ok(_)) = timeout(NOOP_TIMEOUT, session.conversation.command("NOOP", 250)).await
            {
                return Some(session);
            }
        }
    }

    async fn keep(&self, mut session: Session) {
        session.idle_since = Instant::now();
        let left_over = {
            let mut idle = self.idle.lock();
            idle.retain(|kept| kept.idle_since.elapsed() < MAX_IDLE_TIME);
            if idle.len() < MAX_IDLE {
                idle.push(session);
                None
            } else {
                Some(session)
            }
        };
        if let Some(session) = left_over {
            quit(session).await;
        }
    }
}

impl Attempt<'_> {
    /// Connects, encrypts and signs in at the first address of the server that works.
    async fn open(&mut self) -> Result<Session, SendError> {
        let server = &self.transport.settings;
        let looking_up = async { Ok(tokio::net::lookup_host((server.host.as_str(), server.port)).await?) };
        let addresses = self.step(Stage::Connect, looking_up).await?;
        let nowhere = Failure::Broken("the server's name has no address".to_owned());
        let mut last = self.error(Stage::Connect, nowhere);
        for address in addresses.take(MAX_ADDRESSES) {
            match self.open_at(address).await {
                Err(error) if error.stage().is_some_and(Stage::is_opening) => last = error,
                opened => return opened,
            }
        }
        Err(last)
    }

    async fn open_at(&mut self, address: SocketAddr) -> Result<Session, SendError> {
        let server = &self.transport.settings;
        self.helo = None;
        let connecting = async { Ok(TcpStream::connect(address).await?) };
        let tcp = self.step(Stage::Connect, connecting).await?;
        let helo = match (&server.helo_name, tcp.local_addr()) {
            (Some(name), _) => name.clone(),
            (None, Ok(own)) => HeloName::literal(own.ip()),
            (None, Err(error)) => return Err(self.error(Stage::Connect, error.into())),
        };
        self.helo = Some(helo.clone());
        let mut conversation = match &self.transport.tls {
            Some(tls) if server.security == SmtpSecurity::Tls => {
                let encrypting = encrypt(Box::new(tcp), tls, &server.host);
                Conversation::new(self.step(Stage::Tls, encrypting).await?)
            }
            _ => Conversation::new(Box::new(tcp)),
        };
        self.step(Stage::Greeting, conversation.expect(220)).await?;
        if let (SmtpSecurity::StartTls, Some(tls)) = (server.security, &self.transport.tls) {
            self.step(Stage::StartTls, conversation.refuse_early()).await?;
            self.step(Stage::Hello, conversation.hello(helo.as_str())).await?;
            let plain = self.step(Stage::StartTls, conversation.start_tls()).await?;
            let encrypting = encrypt(plain, tls, &server.host);
            conversation = Conversation::new(self.step(Stage::Tls, encrypting).await?);
        }
        // EHLO is sent again after STARTTLS, because offers from before TLS do not count (RFC 3207 §4.2).
        self.step(Stage::Hello, conversation.hello(helo.as_str())).await?;
        if let Some(credentials) = &server.credentials {
            let signing_in = conversation.sign_in(&credentials.user, &credentials.password);
            self.step(Stage::SignIn, signing_in).await?;
        }
        Ok(Session {
            conversation,
            helo,
            idle_since: Instant::now(),
        })
    }

    /// Sends one mail and waits until the server replies that it has taken the mail.
    async fn hand_over(&mut self, session: &mut Session, message: &lettre::Message) -> Result<(), SendError> {
        let Session {
            conversation, helo, ..
        } = session;
        self.helo = Some(helo.clone());
        let envelope = message.envelope();
        // The message is all ASCII, so it needs no extension.
        let sender = sender_command(envelope.from().map_or("", |sender| sender.as_ref()));
        self.step(Stage::Sender, conversation.command(&sender, 250))
            .await?;
        for address in envelope.to() {
            let recipient = format!("RCPT TO:<{address}>");
            self.step(Stage::Recipient, conversation.command(&recipient, 250))
                .await?;
        }
        self.step(Stage::Data, conversation.command("DATA", 354)).await?;
        let content = message.formatted();
        self.step(Stage::Content, conversation.content(&content)).await?;
        self.step(Stage::End, conversation.command(".", 250)).await?;
        Ok(())
    }

    /// Does the work of one stage within its timeout.
    async fn step<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, SendError> {
        self.progress.reach(stage);
        let limit = self.transport.settings.timeouts.of(stage);
        let done = timeout(limit, work).await;
        done.unwrap_or(Err(Failure::Silent(limit)))
            .map_err(|failure| self.error(stage, failure))
    }

    /// Adds a hint, and then hides secrets in the server's words.
    fn error(&self, stage: Stage, mut failure: Failure) -> SendError {
        let helo = self.helo.as_ref().map_or("", HeloName::as_str);
        let hint = self.transport.settings.hint(stage, &failure, helo);
        if let Failure::Refused(reply) = &mut failure {
            reply.hide(&self.unsaid);
        }
        SendError::Server { stage, failure, hint }
    }
}

fn sender_command(address: &str) -> String {
    format!("MAIL FROM:<{address}>")
}

/// Ends a session with QUIT (RFC 5321 §4.1.1.10) and ignores whether that works.
async fn quit(mut session: Session) {
    let _ = timeout(QUIT_TIMEOUT, session.conversation.command("QUIT", 221)).await;
}
