//! The siteverify of one test: it judges tokens as Cloudflare's does, misbehaves when the test asks for it, and remembers every request.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The secret key that this siteverify knows.
pub const SECRET_KEY: &str = "0x4AAAAAAAfake-secret";
/// The host of all tokens, unless the test sets another.
const HOSTNAME: &str = "auth.example.org";
/// More than arkloop may read.
const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// As by Cloudflare: the secret is compared, and a token that begins with `good` is valid once; repeats with the same idempotency key count as one use.
    Judge,
    /// With success, as if the token had been created on this host.
    SuccessOn(&'static str),
    /// With this status and body.
    Answer(u16, &'static str),
    /// With this status and body, after a delay.
    AnswerAfter(Duration, u16, &'static str),
    /// With a redirect to this address, which may answer with success.
    Redirect(String),
    /// With success, followed by ten megabytes of white space.
    TenMegabytes,
    /// With success, sent at one byte per 200 ms.
    Drip,
    /// With bytes that are not HTTP.
    Noise,
    /// Not at all: the connection is closed.
    HangUp,
    /// Not at all, until [`Siteverify::release`]; then the connection is closed.
    Hang,
}

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Question {
    /// Method and path.
    pub target: String,
    pub content_type: String,
    pub form: BTreeMap<String, String>,
}

impl Question {
    fn field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    pub fn idempotency_key(&self) -> &str {
        self.field("idempotency_key")
    }
}

#[derive(Default)]
struct State {
    planned: VecDeque<Behaviour>,
    usual: Option<Behaviour>,
    questions: Vec<Question>,
    /// Each token that was used, with the idempotency key of the request that used it.
    used: HashMap<String, String>,
}

impl State {
    fn verdict(&mut self, question: &Question) -> String {
        let token = question.field("response");
        let key = question.idempotency_key().to_owned();
        let refuse = |code: &str| json!({"success": false, "error-codes": [code]}).to_string();
        if question.field("secret") != SECRET_KEY {
            return refuse("invalid-input-secret");
        }
        if !token.starts_with("good") {
            return refuse("invalid-input-response");
        }
        if *self.used.entry(token.to_owned()).or_insert(key.clone()) != key {
            return refuse("timeout-or-duplicate");
        }
        success_on(HOSTNAME)
    }
}

fn success_on(host: &str) -> String {
    json!({"success": true, "error-codes": [], "challenge_ts": "2026-01-01T00:00:00.000Z", "hostname": host})
        .to_string()
}

/// A running siteverify; it ends with the runtime of the test.
pub struct Siteverify {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    released: watch::Sender<u64>,
}

impl Siteverify {
    /// Starts a siteverify that judges tokens.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("there is a free port");
        let address = listener.local_addr().expect("the socket has an address");
        let state = Arc::new(Mutex::new(State::default()));
        let (released, release) = watch::channel(0);
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared), release.clone()));
            }
        });
        Self {
            address,
            state,
            released,
        }
    }

    /// Starts a siteverify that answers every request in the same way.
    pub async fn always(behaviour: Behaviour) -> Self {
        let siteverify = Self::start().await;
        siteverify.lock().usual = Some(behaviour);
        siteverify
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value for `turnstile.verify_url`.
    pub fn url(&self) -> String {
        format!("http://{}/turnstile/v0/siteverify", self.address)
    }

    /// Plans the behaviour for the next request for which nothing is planned yet.
    pub fn once(&self, behaviour: Behaviour) {
        self.lock().planned.push_back(behaviour);
    }

    /// Sets the behaviour for all requests for which nothing is planned.
    pub fn usually(&self, behaviour: Behaviour) {
        self.lock().usual = Some(behaviour);
    }

    /// Closes the connections that hang.
    pub fn release(&self) {
        self.released.send_modify(|times| *times += 1);
    }

    /// Every request so far.
    pub fn questions(&self) -> Vec<Question> {
        self.lock().questions.clone()
    }

    /// Waits until so many requests have come.
    pub async fn wait_for_questions(&self, number: usize) {
        while self.lock().questions.len() < number {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Answers the requests on one connection. An error means that the client is gone.
async fn serve(
    stream: TcpStream,
    state: Arc<Mutex<State>>,
    mut release: watch::Receiver<u64>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(question) = read(&mut stream).await? {
        let (behaviour, verdict) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.questions.push(question.clone());
            release.mark_unchanged();
            let usual = state.usual.clone().unwrap_or(Behaviour::Judge);
            let behaviour = state.planned.pop_front().unwrap_or(usual);
            let verdict = match behaviour {
                Behaviour::Judge => state.verdict(&question),
                _ => String::new(),
            };
            (behaviour, verdict)
        };
        match behaviour {
            Behaviour::Judge => answer(&mut stream, 200, &verdict).await?,
            Behaviour::SuccessOn(host) => answer(&mut stream, 200, &success_on(host)).await?,
            Behaviour::Answer(status, body) => answer(&mut stream, status, body).await?,
            Behaviour::AnswerAfter(delay, status, body) => {
                tokio::time::sleep(delay).await;
                answer(&mut stream, status, body).await?;
            }
            Behaviour::Redirect(target) => {
                let head =
                    format!("HTTP/1.1 307 Redirect\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
            }
            Behaviour::TenMegabytes => {
                let body = success_on(HOSTNAME) + &" ".repeat(TEN_MEGABYTES);
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
                stream.write_all(head.as_bytes()).await?;
                return stream.write_all(body.as_bytes()).await;
            }
            Behaviour::Drip => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                    success_on(HOSTNAME).len()
                );
                stream.write_all(head.as_bytes()).await?;
                for byte in success_on(HOSTNAME).bytes() {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            Behaviour::Noise => {
                return stream
                    .write_all(b"\x15\x03\x01\x00\x02\x02\x46 no HTTP\r\n\r\n")
                    .await;
            }
            Behaviour::HangUp => return Ok(()),
            Behaviour::Hang => {
                let _ = release.changed().await;
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn answer(stream: &mut BufReader<TcpStream>, status: u16, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

/// Reads a request; `None` if the client sends no more.
async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Question>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length = header("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body).await?;
    Ok(Some(Question {
        target: lines
            .first()
            .map(|line| line.trim_end_matches(" HTTP/1.1").to_owned())
            .unwrap_or_default(),
        content_type: header("content-type").unwrap_or_default(),
        form: url::form_urlencoded::parse(&body).into_owned().collect(),
    }))
}
