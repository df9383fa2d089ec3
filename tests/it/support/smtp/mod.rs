//! A mail server of a test's own: real SMTP on a loopback port, with STARTTLS where the test asks for it, which goes wrong where the test wants it to.

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

/// How long a test waits for a mail before it fails: more than the time-outs and the first two pauses of the worker together.
const PATIENCE: Duration = Duration::from_mins(1);

/// What every server of this run has taken, by its URL.
static MAILBOXES: Mutex<BTreeMap<String, Weak<Shared>>> = Mutex::new(BTreeMap::new());

/// Where in a conversation something goes wrong, in the order in which a conversation gets there.
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
    /// The server goes on as usual, but later.
    Delay(Duration),
    /// The server says nothing any more, and keeps the connection.
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
    /// Each stage that a conversation got to.
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

    fn received(&self) -> Vec<ReceivedMail> {
        let received = lock(&self.received);
        received.iter().map(|received| received.mail.clone()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a server has taken and will take; it outlives the server.
pub struct Mailbox(Arc<Shared>);

impl Mailbox {
    /// The mailbox of the server that a value of `mail.smtp_url` leads to.
    pub fn at(url: &str) -> Option<Self> {
        lock(&MAILBOXES).get(url).and_then(Weak::upgrade).map(Self)
    }

    /// Every mail that was taken, in this order.
    pub fn received(&self) -> Vec<ReceivedMail> {
        self.0.received()
    }
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
        Self::with(Shared::default())
    }

    /// A server that offers STARTTLS, and writes the parts of its answer one after the other before TLS begins.
    pub fn with_starttls(answer: &[&[u8]]) -> Self {
        let mut server = Self::with(Shared {
            start_tls: Some(StartTls::answering(answer)),
            ..Shared::default()
        });
        server.listen();
        server
    }

    /// A server with a certificate that signs itself, and STARTTLS.
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
        let address = reserved.local_addr().expect("it is bound");
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

    /// The value of `mail.smtp_url` that leads here.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// What each EHLO has said.
    pub fn greetings(&self) -> Vec<String> {
        lock(&self.shared.greetings).clone()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The authority of its certificate in PEM form, if it offers STARTTLS.
    pub fn authority(&self) -> Option<&str> {
        self.shared.start_tls.as_ref().map(|tls| tls.authority.as_str())
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

    /// How often conversations got to `stage`.
    pub fn times_reached(&self, stage: Stage) -> usize {
        lock(&self.shared.reached)
            .iter()
            .filter(|at| **at == stage)
            .count()
    }

    /// Every mail that was taken, in this order.
    pub fn received(&self) -> Vec<ReceivedMail> {
        self.shared.received()
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
