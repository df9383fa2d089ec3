//! A server that runs as a process of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::Value;

use super::Answer;
use super::redact::redact;
use super::secrets::Vault;
use super::shown::show;

/// A running server. It is killed on drop.
pub struct Served {
    pub(super) child: Child,
    /// Returns the whole log after the server has ended.
    pub(super) log: Option<JoinHandle<String>>,
    pub(super) address: String,
    pub(super) path: PathBuf,
    pub(super) vault: Arc<Vault>,
}

impl Served {
    /// The address at which the server listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process id of the server.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request; returns status and body.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let bearer = bearer.map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
        self.vault.gather_request(bearer.as_slice(), body.as_bytes());
        let authorization = bearer.map_or(String::new(), |(name, value)| format!("{name}: {value}\r\n"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nuser-agent: a test\r\n{authorization}\r\n",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        stream
            .write_all([head, body].concat().as_bytes())
            .expect("the server reads");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .expect("the server answers in text");
        let (head, body) = response.split_once("\r\n\r\n").expect("a response has a head");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("a response has a status");
        let headers = head.lines().filter_map(|line| line.split_once(": "));
        self.vault.gather_answer(&Answer {
            status,
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
            bytes: Vec::new(),
        });
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Signs in with the password of [`Workspace::create_user`]; returns the access token.
    pub fn sign_in(&self, login: &str) -> String {
        let body = serde_json::json!({ "login": login, "password": "a decent password" });
        let (status, body) = self.request("POST", "/v1/auth/login", None, Some(&body));
        assert_eq!(status, 200, "{body}");
        body["access_token"]
            .as_str()
            .expect("a token is a text")
            .to_owned()
    }

    /// Sends a signal such as `TERM`.
    pub fn signal(&self, name: &str) {
        send_signal(self.id(), name);
    }

    /// Kills the server, as a loss of power would end it.
    pub fn kill(mut self) {
        self.child.kill().expect("the process runs");
        self.child.wait().expect("the process ends");
    }

    /// Stops the server in order; returns the whole log without placeholders.
    pub fn stop(mut self) -> String {
        self.signal("TERM");
        let status = self.child.wait().expect("the server ends");
        show(&["serve"], status.code().unwrap_or(-1));
        self.take_log().expect("the log is text")
    }

    /// The whole log of a server that has ended, once.
    fn take_log(&mut self) -> Option<String> {
        let log = self.log.take()?.join().ok()?;
        self.vault.hear("the log of the executable", &log);
        Some(log)
    }

    /// Waits until the server ends. Returns the exit status, and the whole log with placeholders for values that differ between runs.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("the server ends");
        show(&["serve"], status.code().unwrap_or(-1));
        let log = self.take_log().unwrap_or_default();
        (
            status,
            redact(&log.replace(&self.address, "<address>"), &self.path),
        )
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.take_log();
    }
}

/// Sends a signal such as `TERM` to a process.
pub fn send_signal(id: u32, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &id.to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "the signal is sent");
}
