//! A client that sends each request on a new connection.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::secrets::Vault;
use super::{Answer, record};

/// A request that is not sent yet.
pub struct Request {
    address: SocketAddr,
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
}

impl Request {
    pub fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        Self {
            address,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Adds a header; those of the same name stay.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.header_of_bytes(name, value.as_bytes())
    }

    /// Adds a header whose value need not be text.
    pub fn header_of_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a query, `?` included.
    pub fn query(mut self, query: &str) -> Self {
        self.path += query;
        self
    }

    /// Adds an access token.
    pub fn bearer(self, access_token: &str) -> Self {
        self.header("authorization", &format!("Bearer {access_token}"))
    }

    /// Adds a refresh cookie.
    pub fn cookie(self, value: &str) -> Self {
        self.header("cookie", &format!("arkloop_refresh_token={value}"))
    }

    /// Sets a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.text("application/json", body.to_string())
    }

    /// Sets any body with any content type.
    pub fn text(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sends the request and waits for the whole answer, which is recorded.
    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        self.try_send()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends the request. The error is that of a connection that ended before the answer was complete.
    pub async fn try_send(self) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let vault = Vault::of(self.address);
        if let Some(vault) = &vault {
            let as_text = |(name, value): &(String, Vec<u8>)| {
                (name.clone(), String::from_utf8_lossy(value).into_owned())
            };
            let headers: Vec<(String, String)> = self.headers.iter().map(as_text).collect();
            vault.gather_request(&headers, &self.body);
        }
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let mut request = hyper::Request::builder()
            .method(self.method.as_str())
            .uri(&self.path);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        let response = sender.send_request(request.body(Full::new(self.body))?).await?;
        let (parts, body) = response.into_parts();
        let headers = parts.headers.iter();
        let bytes = body.collect().await?.to_bytes().to_vec();
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()))
                .collect(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
            bytes,
        };
        driver.abort();
        if let Some(vault) = &vault {
            vault.gather_answer(&answer);
        }
        check_for_old_clients(&answer);
        if is_of_an_operation(&self.method, &answer) {
            record::observe(&self.method, &self.path, answer.status, &answer.code());
        }
        Ok(answer)
    }
}

/// Fails if some clients could not handle the answer: a 401 without a challenge is an error in the JDK, and so is a cookie with `Max-Age` but
/// without `Expires`.
fn check_for_old_clients(answer: &Answer) {
    let challenge = answer.header("www-authenticate");
    let is_challenged = challenge.is_some_and(|challenge| challenge.starts_with("Bearer"));
    assert_eq!(is_challenged, answer.status == 401, "{answer:?}");
    if let Some(cookie) = answer.header("set-cookie") {
        assert!(
            cookie.contains("; Max-Age=") && cookie.contains("; Expires="),
            "{cookie}"
        );
    }
}

/// Whether an answer belongs to an operation. Preflights and wrong methods do not, and a refused HEAD has no body with a code.
fn is_of_an_operation(method: &str, answer: &Answer) -> bool {
    match method {
        "HEAD" => answer.status < 400,
        method => method != "OPTIONS" && answer.status != 405,
    }
}
