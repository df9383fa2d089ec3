//! A mail server of a test's own: real SMTP without encryption on a loopback port, which goes wrong where the test wants it to.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mail_parser::{Message, MessageParser};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

/// How long a test waits for a mail before it fails: more than the time-outs and the first two pauses of the worker together.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest line that is read, far more than any client here sends.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// Where in a conversation something goes wrong, in the order in which a conversation gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A connection has come; the greeting is due.
    Greeting,
    /// EHLO has come.
    Hello,
    /// MAIL FROM has come.
    Sender,
    /// RCPT TO has come.
    Recipient,
    /// DATA has come.
    Data,
    /// The first line of a mail has come, and its end has not. No answer is due.
    Content,
    /// The whole mail has come, and the server has not taken it yet.
    End,
    /// The server has taken the mail, and the client does not know it yet.
    Taken,
    /// The client has been told that the mail is taken, and has said nothing since. No answer is due.
    Told,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The server answers this line instead; after a 421 it closes, as RFC 5321 §3.8 says.
    Answer(&'static str),
    /// The server says nothing any more, and keeps the connection.
    Silence,
    /// The server closes the connection.
    Close,
}

/// A mail that the server has taken.
#[derive(Clone)]
pub struct ReceivedMail {
    /// MAIL FROM.
    pub sender: String,
    /// Each RCPT TO.
    pub recipients: Vec<String>,
    /// What stood between DATA and the final dot, byte for byte.
    pub content: Vec<u8>,
}

impl ReceivedMail {
    /// The mail as a library reads it that did not write it.
    pub fn message(&self) -> Message<'_> {
        MessageParser::default()
            .parse(&self.content)
            .expect("the content is a mail")
    }

    /// The body for programs that show text.
    pub fn text(&self) -> String {
        self.message()
            .body_text(0)
            .expect("a mail has a text")
            .into_owned()
    }

    /// `Message-ID` without its angle brackets.
    pub fn message_id(&self) -> String {
        self.message()
            .message_id()
            .expect("a mail has a Message-ID")
            .to_owned()
    }

    /// The sign-in or invite code: what stands alone in its line.
    pub fn code(&self) -> String {
        let text = self.text();
        let is_code = |line: &&str| {
            line.len() >= 6
                && line
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'-')
        };
        let code = text.lines().map(str::trim).find(is_code);
        code.unwrap_or_else(|| panic!("no code in {text}")).to_owned()
    }

    /// The link: what stands alone in its line.
    pub fn link(&self) -> String {
        let text = self.text();
        let is_link = |line: &&str| line.starts_with("http://") || line.starts_with("https://");
        let link = text.lines().map(str::trim).find(is_link);
        link.unwrap_or_else(|| panic!("no link in {text}")).to_owned()
    }

    /// The token in the link.
    pub fn token(&self) -> String {
        let link = self.link();
        let token = link.split_once("#token=").map(|(_, token)| token.to_owned());
        token.unwrap_or_else(|| panic!("no token in {link}"))
    }
}

/// What the server and its conversations share.
#[derive(Default)]
struct Shared {
    faults: Mutex<Faults>,
    received: Mutex<Vec<Received>>,
    arrived: Notify,
    /// Each stage that a conversation got to.
    reached: Mutex<Vec<Stage>>,
}

#[derive(Default)]
struct Faults {
    once: Vec<(Stage, Fault)>,
    always: Vec<(Stage, Fault)>,
}

struct Received {
    mail: ReceivedMail,
    is_read: bool,
}

impl Shared {
    /// What goes wrong now at `stage`.
    fn fault(&self, stage: Stage) -> Option<Fault> {
        lock(&self.reached).push(stage);
        let mut faults = lock(&self.faults);
        if let Some(index) = faults.once.iter().position(|(at, _)| *at == stage) {
            return Some(faults.once.remove(index).1);
        }
        let standing = faults.always.iter().find(|(at, _)| *at == stage);
        standing.map(|(_, fault)| *fault)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mail server that runs until it is dropped.
pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
    /// Bound and never listening: it keeps the port from everybody else while the server does not listen.
    _reserved: TcpSocket,
}

impl SmtpServer {
    /// A server that takes every mail.
    pub fn start() -> Self {
        let mut server = Self::refusing();
        server.listen();
        server
    }

    /// A server that is down: whoever connects is refused.
    pub fn refusing() -> Self {
        let reserved = bind("127.0.0.1:0".parse().expect("it is an address"));
        let address = reserved.local_addr().expect("it is bound");
        Self {
            address,
            shared: Arc::default(),
            listening: None,
            _reserved: reserved,
        }
    }

    /// Begins to accept connections.
    pub fn listen(&mut self) {
        let listener = bind(self.address).listen(64).expect("a bound socket can listen");
        self.listening = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
    }

    /// The value of `mail.smtp_url` that leads here.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Lets something go wrong each time a conversation gets to `stage`.
    pub fn always(&self, stage: Stage, fault: Fault) {
        refuse_impossible(stage, fault);
        lock(&self.shared.faults).always.push((stage, fault));
    }

    /// Lets something go wrong the next time a conversation gets to `stage`; several for one stage happen one after the other.
    pub fn once(&self, stage: Stage, fault: Fault) {
        refuse_impossible(stage, fault);
        lock(&self.shared.faults).once.push((stage, fault));
    }

    /// Lets nothing go wrong from now on. A conversation that has fallen silent stays so.
    pub fn heal(&self) {
        *lock(&self.shared.faults) = Faults::default();
    }

    /// Waits until a conversation gets, or got, to `stage`.
    pub async fn wait_until_reached(&self, stage: Stage) {
        let wait = async {
            while !lock(&self.shared.reached).contains(&stage) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, wait).await;
        reached.unwrap_or_else(|_| panic!("no conversation got to {stage:?}"));
    }

    /// Every mail that was taken, in this order.
    pub fn received(&self) -> Vec<ReceivedMail> {
        lock(&self.shared.received)
            .iter()
            .map(|received| received.mail.clone())
            .collect()
    }

    /// Waits for the oldest mail to `address` that no test has asked for yet.
    pub async fn mail_to(&self, address: &str) -> ReceivedMail {
        let wait = async {
            loop {
                let arrived = self.shared.arrived.notified();
                tokio::pin!(arrived);
                // From here on no arrival is missed.
                arrived.as_mut().enable();
                if let Some(mail) = self.take_unread(address) {
                    return mail;
                }
                arrived.await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, wait).await;
        found.unwrap_or_else(|_| {
            panic!(
                "no mail to {address} came; what came is for {:?}",
                self.all_recipients()
            )
        })
    }

    fn take_unread(&self, address: &str) -> Option<ReceivedMail> {
        let mut received = lock(&self.shared.received);
        let found = received
            .iter_mut()
            .find(|found| !found.is_read && found.mail.recipients.iter().any(|to| to == address))?;
        found.is_read = true;
        Some(found.mail.clone())
    }

    fn all_recipients(&self) -> Vec<Vec<String>> {
        self.received().into_iter().map(|mail| mail.recipients).collect()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        if let Some(task) = self.listening.take() {
            task.abort();
        }
    }
}

/// What no client could tell from a fault of its own.
fn refuse_impossible(stage: Stage, fault: Fault) {
    let is_answer_due = !matches!(stage, Stage::Content | Stage::Told);
    assert!(
        is_answer_due || !matches!(fault, Fault::Answer(_)),
        "no answer is due at {stage:?}"
    );
}

/// A socket that shares its port with those of the same server.
fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("there is a socket");
    socket.set_reuseaddr(true).expect("the option is known");
    socket.set_reuseport(true).expect("the option is known");
    socket.bind(address).expect("the port is free");
    socket
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Ends every conversation when it is dropped.
    let mut conversations = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        conversations.spawn(async move { Conversation::new(stream, shared).run().await });
    }
}

/// What became of a command.
#[derive(PartialEq, Eq)]
enum Outcome {
    Done,
    Refused,
}

struct Conversation {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    shared: Arc<Shared>,
    envelope: Option<(String, Vec<String>)>,
}

impl Conversation {
    fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
            shared,
            envelope: None,
        }
    }

    /// Speaks until one side closes; the error is how.
    async fn run(mut self) -> io::Result<()> {
        self.answer(Stage::Greeting, "220 localhost ESMTP").await?;
        loop {
            let line = self.line().await?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.command(&line).await?;
        }
    }

    async fn command(&mut self, line: &str) -> io::Result<()> {
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match (verb.as_str(), &mut self.envelope) {
            ("EHLO" | "HELO", _) => {
                let _ = self
                    .answer(Stage::Hello, "250-localhost\r\n250 AUTH PLAIN")
                    .await?;
            }
            ("MAIL", None) => {
                if self.answer(Stage::Sender, "250 2.1.0 the sender is fine").await? == Outcome::Done {
                    self.envelope = Some((path_of(line), Vec::new()));
                }
            }
            ("RCPT", Some((_, recipients))) => {
                recipients.push(path_of(line));
                if self
                    .answer(Stage::Recipient, "250 2.1.5 the recipient is fine")
                    .await?
                    == Outcome::Refused
                    && let Some((_, recipients)) = &mut self.envelope
                {
                    recipients.pop();
                }
            }
            ("DATA", Some((_, recipients))) if !recipients.is_empty() => self.data().await?,
            ("RSET", _) => {
                self.envelope = None;
                self.say("250 2.0.0 forgotten").await?;
            }
            ("AUTH", _) => self.say("235 2.7.0 come in").await?,
            ("NOOP", _) => self.say("250 2.0.0 still here").await?,
            ("QUIT", _) => {
                self.say("221 2.0.0 goodbye").await?;
                return Err(closed());
            }
            ("MAIL" | "RCPT" | "DATA", _) => self.say("503 5.5.1 not now").await?,
            _ => self.say("502 5.5.2 not known").await?,
        }
        Ok(())
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.answer(Stage::Data, "354 go on").await? == Outcome::Refused {
            return Ok(());
        }
        let mut content = self.line().await?;
        self.fail(Stage::Content).await?;
        let mut line = std::mem::take(&mut content);
        while line != b".\r\n" {
            // RFC 5321 §4.5.2: a dot was put before a line that begins with one.
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            line = self.line().await?;
        }
        if let Some(Fault::Answer(answer)) = self.fail(Stage::End).await? {
            self.envelope = None;
            return self.refuse(answer).await;
        }
        let (sender, recipients) = self.envelope.take().unwrap_or_default();
        let mail = ReceivedMail {
            sender,
            recipients,
            content,
        };
        lock(&self.shared.received).push(Received { mail, is_read: false });
        self.shared.arrived.notify_waiters();
        let _ = self.answer(Stage::Taken, "250 2.0.0 taken").await?;
        self.fail(Stage::Told).await?;
        Ok(())
    }

    /// Says `usual`, unless something goes wrong at `stage`.
    async fn answer(&mut self, stage: Stage, usual: &str) -> io::Result<Outcome> {
        if let Some(Fault::Answer(answer)) = self.fail(stage).await? {
            self.refuse(answer).await?;
            return Ok(Outcome::Refused);
        }
        self.say(usual).await?;
        Ok(Outcome::Done)
    }

    /// Falls silent or closes if that goes wrong at `stage`; gives a wrong answer to whoever has to say it.
    async fn fail(&mut self, stage: Stage) -> io::Result<Option<Fault>> {
        match self.shared.fault(stage) {
            Some(Fault::Silence) => {
                // Until the client gives up.
                tokio::io::copy(&mut self.reader, &mut tokio::io::sink()).await?;
                Err(closed())
            }
            Some(Fault::Close) => Err(closed()),
            answer => Ok(answer),
        }
    }

    async fn refuse(&mut self, answer: &str) -> io::Result<()> {
        self.say(answer).await?;
        if answer.starts_with("421") {
            Err(closed())
        } else {
            Ok(())
        }
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.writer.write_all(format!("{line}\r\n").as_bytes()).await
    }

    /// The next line with its end.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
            .await?;
        if line.ends_with(b"\n") {
            Ok(line)
        } else {
            Err(closed())
        }
    }
}

fn closed() -> io::Error {
    ErrorKind::ConnectionAborted.into()
}

/// `ann@example.org` of `RCPT TO:<ann@example.org>`.
fn path_of(line: &str) -> String {
    let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    path.map(|(path, _)| path.to_owned()).unwrap_or_default()
}
