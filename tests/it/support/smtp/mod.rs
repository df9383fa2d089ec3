//! The mail server of one test: real SMTP on a loopback port, with STARTTLS and with faults if the test asks for them.

mod conversation;
mod received;
mod starttls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rcgen::CertificateParams;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use conversation::Conversation;
pub use received::ReceivedMail;
use starttls::StartTls;

/// How long a test waits for a mail before it fails: more than the sum of the time-outs and the first two pauses of the worker.
const PATIENCE: Duration = Duration::from_mins(1);

/// The mailbox of every server of this run, by its URL.
static MAILBOXES: Mutex<BTreeMap<String, Weak<Shared>>> = Mutex::new(BTreeMap::new());

/// The stages of a conversation at which a fault can occur, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A connection has come; the greeting is due.
    Greeting,
    /// EHLO has come.
    Hello,
    /// STARTTLS has come.
    StartTls,
    /// EHLO has come inside TLS.
    EncryptedHello,
    /// AUTH has come.
    SignIn,
    /// MAIL FROM has come.
    Sender,
    /// RCPT TO has come.
    Recipient,
    /// DATA has come.
    Data,
    /// The first line of a mail has come, but not its end. No answer is due.
    Content,
    /// The whole mail has come, and the server has not accepted it yet.
    End,
    /// The server has accepted the mail, and the client does not know that yet.
    Taken,
    /// The client knows that the mail is accepted, and has sent nothing since. No answer is due.
    Told,
}

/// A fault of the server.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The server answers this line instead; after a 421 it closes, as RFC 5321 §3.8 says.
    Answer(&'static str),
    /// The server goes on as usual after this time.
    Delay(Duration),
    /// The server sends nothing more, and keeps the connection open.
    Silence,
    /// The server closes the connection.
    Close,
}
/// What the server and its conversations share.
#[derive(Default)]
struct Shared {
    faults: Mutex<Faults>,
    received: Mutex<Vec<Received>>,
    arrived: Notify,
    /// Each stage that a conversation has reached.
    reached: Mutex<Vec<Stage>>,
    start_tls: Option<StartTls>,
    /// The argument of each EHLO.
    greetings: Mutex<Vec<String>>,
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
    /// Records that a conversation has reached `stage`, and returns the fault that is set for it.
    fn fault(&self, stage: Stage) -> Option<Fault> {
        lock(&self.reached).push(stage);
        let mut faults = lock(&self.faults);
        if let Some(index) = faults.once.iter().position(|(at, _)| *at == stage) {
            return Some(faults.once.remove(index).1);
        }
        let standing = faults.always.iter().find(|(at, _)| *at == stage);
        standing.map(|(_, fault)| *fault)
    }

    fn received(&self) -> Vec<ReceivedMail> {
        let received = lock(&self.received);
        received.iter().map(|received| received.mail.clone()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The mails that a server accepts. The mailbox outlives the server.
pub struct Mailbox(Arc<Shared>);

impl Mailbox {
    /// The mailbox of the server at a value of `mail.smtp_url`.
    pub fn at(url: &str) -> Option<Self> {
        lock(&MAILBOXES).get(url).and_then(Weak::upgrade).map(Self)
    }

    /// Every mail that was accepted, in order of arrival.
    pub fn received(&self) -> Vec<ReceivedMail> {
        self.0.received()
    }
}

/// A mail server that runs until it is dropped.
pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
    /// A bound socket that never listens. It reserves the port while the server does not listen.
    _reserved: TcpSocket,
}

impl SmtpServer {
    /// Starts a server that accepts every mail.
    pub fn start() -> Self {
        let mut server = Self::refusing();
        server.listen();
        server
    }

    /// A server that is down: connections are refused.
    pub fn refusing() -> Self {
        Self::with(Shared::default())
    }

    /// A server that offers STARTTLS, and sends the parts of its answer separately before TLS begins.
    pub fn with_starttls(answer: &[&[u8]]) -> Self {
        let mut server = Self::with(Shared {
            start_tls: Some(StartTls::answering(answer)),
            ..Shared::default()
        });
        server.listen();
        server
    }

    /// A server with STARTTLS and a self-signed certificate.
    pub fn certified(params: &CertificateParams) -> Self {
        let mut server = Self::with(Shared {
            start_tls: Some(StartTls::certified(params)),
            ..Shared::default()
        });
        server.listen();
        server
    }

    /// A server with TLS from the first byte.
    pub fn with_tls() -> Self {
        let mut server = Self::with(Shared {
            start_tls: Some(StartTls {
                is_implicit: true,
                ..StartTls::answering(&[])
            }),
            ..Shared::default()
        });
        server.listen();
        server
    }

    fn with(shared: Shared) -> Self {
        let reserved = bind("127.0.0.1:0".parse().expect("it is an address"));
        let address = reserved.local_addr().expect("the socket has an address");
        let server = Self {
            address,
            shared: Arc::new(shared),
            listening: None,
            _reserved: reserved,
        };
        lock(&MAILBOXES).insert(server.url(), Arc::downgrade(&server.shared));
        server
    }

    /// Begins to accept connections.
    pub fn listen(&mut self) {
        let listener = bind(self.address).listen(64).expect("a bound socket can listen");
        self.listening = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
    }

    /// The value of `mail.smtp_url` for this server.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The argument of each EHLO so far.
    pub fn greetings(&self) -> Vec<String> {
        lock(&self.shared.greetings).clone()
    }

    /// The port of the server.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The authority of the server's certificate in PEM form, if the server uses TLS.
    pub fn authority(&self) -> Option<&str> {
        self.shared.start_tls.as_ref().map(|tls| tls.authority.as_str())
    }

    /// Causes a fault each time a conversation reaches `stage`.
    pub fn always(&self, stage: Stage, fault: Fault) {
        refuse_impossible(stage, fault);
        lock(&self.shared.faults).always.push((stage, fault));
    }

    /// Causes a fault the next time a conversation reaches `stage`. Several faults for one stage are used one after the other.
    pub fn once(&self, stage: Stage, fault: Fault) {
        refuse_impossible(stage, fault);
        lock(&self.shared.faults).once.push((stage, fault));
    }

    /// Removes all faults. A conversation that has fallen silent stays silent.
    pub fn heal(&self) {
        *lock(&self.shared.faults) = Faults::default();
    }

    /// Waits until a conversation has reached `stage`.
    pub async fn wait_until_reached(&self, stage: Stage) {
        let wait = async {
            while !lock(&self.shared.reached).contains(&stage) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, wait).await;
        reached.unwrap_or_else(|_| panic!("no conversation got to {stage:?}"));
    }

    /// How often conversations have reached `stage`.
    pub fn times_reached(&self, stage: Stage) -> usize {
        lock(&self.shared.reached)
            .iter()
            .filter(|at| **at == stage)
            .count()
    }

    /// Every mail that was accepted, in order of arrival.
    pub fn received(&self) -> Vec<ReceivedMail> {
        self.shared.received()
    }

    /// Waits for the oldest mail to `address` that this function has not returned yet.
    pub async fn mail_to(&self, address: &str) -> ReceivedMail {
        let wait = async {
            loop {
                let arrived = self.shared.arrived.notified();
                tokio::pin!(arrived);
                // From here on, every arrival is noticed.
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

/// Panics if a test asks for an answer at a stage at which no answer is due.
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
    // The set ends every conversation when it is dropped.
    let mut conversations = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        conversations.spawn(async move { Conversation::new(stream, shared).run().await });
    }
}
