//! The secrets of one directory, and the output of programs about it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::Value;

use super::log::Window;
use super::{Haystack, Secrets};
use crate::support::Answer;
use crate::support::record::{Seen, record};
use crate::support::smtp::{Mailbox, ReceivedMail};

/// The vault of the server at each address.
static VAULTS: Mutex<BTreeMap<SocketAddr, Weak<Vault>>> = Mutex::new(BTreeMap::new());

/// The secrets of one directory, and the output of programs. On drop, the output is searched.
#[derive(Default)]
pub struct Vault(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    secrets: Secrets,
    /// Texts that were given as a name, an address or an argument, in lower case. These are stored and logged on purpose.
    public: BTreeSet<String>,
    mailboxes: Vec<Mailbox>,
    said: BTreeMap<&'static str, String>,
    log: Option<Window>,
    is_given_up: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vault {
    /// The vault of the server that listens at `address`.
    pub fn of(address: SocketAddr) -> Option<Arc<Self>> {
        lock(&VAULTS).get(&address).and_then(Weak::upgrade)
    }

    /// Notes the address of the server that has these secrets.
    pub fn serve_at(self: &Arc<Self>, address: SocketAddr) {
        lock(&VAULTS).insert(address, Arc::downgrade(self));
    }

    /// Includes what this process logs from now on.
    pub fn watch_log(&self) {
        lock(&self.0).log.get_or_insert_with(Window::open);
    }

    /// Includes the mails that come to this mailbox.
    pub fn watch_mailbox(&self, mailbox: Mailbox) {
        lock(&self.0).mailboxes.push(mailbox);
    }

    /// Adds secrets.
    pub fn gather(&self, gather: impl FnOnce(&mut Secrets)) {
        gather(&mut lock(&self.0).secrets);
    }

    /// Notes output that must contain no secret.
    pub fn hear(&self, place: &'static str, said: &str) {
        let mut contents = lock(&self.0);
        let all = contents.said.entry(place).or_default();
        all.push_str(said);
        all.push('\n');
    }

    /// Gathers the secrets in a request.
    pub fn gather_request(&self, headers: &[(String, String)], body: &[u8]) {
        let mut contents = lock(&self.0);
        for (name, value) in headers {
            match name.to_lowercase().as_str() {
                "authorization" => {
                    let token = value.strip_prefix("Bearer ").unwrap_or(value);
                    contents.secrets.add_token("a bearer token", token);
                }
                "cookie" => {
                    for (_, value) in value.split(';').filter_map(|pair| pair.split_once('=')) {
                        contents.secrets.add_token("a cookie", value);
                    }
                }
                _ => {}
            }
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        for (name, value) in body.as_object().into_iter().flatten() {
            let Some(value) = value.as_str() else {
                continue;
            };
            match name.as_str() {
                "password" | "current_password" | "new_password" | "cf_turnstile_token" => {
                    contents.secrets.add_typed(name, value);
                }
                "otp" | "code" | "invite_code" => contents.secrets.add_code(name, value),
                "token" | "flow_token" => contents.secrets.add_token(name, value),
                "login" | "email" | "username" | "identity" => {
                    contents.public.insert(value.trim().to_lowercase());
                }
                _ => {}
            }
        }
    }

    /// Gathers the secrets in an answer. A refusal must contain no secret.
    pub fn gather_answer(&self, answer: &Answer) {
        if answer.status >= 400 {
            self.hear("a refusal", &format!("{:?} {}", answer.headers, answer.body));
            return;
        }
        let mut contents = lock(&self.0);
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let value = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            contents
                .secrets
                .add_token("a cookie", value.map_or("", |(_, value)| value));
        }
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        for name in ["access_token", "flow_token"] {
            if let Some(token) = body.get(name).and_then(Value::as_str) {
                contents.secrets.add_token(name, token);
            }
        }
    }

    /// Gathers the secrets in the input of a command and in what it prints for the operator. Its other output must contain no secret. Arguments are not
    /// secret, because every user of the machine can read them.
    pub fn gather_command(&self, arguments: &[&str], input: &str, output: &Output) {
        if arguments.contains(&"--password-stdin") {
            self.gather(|secrets| {
                for line in input.lines() {
                    secrets.add_typed("a password on standard input", line);
                }
            });
        }
        let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
        let printed = String::from_utf8_lossy(&output.stdout);
        if ["invite", "user"].iter().any(|noun| arguments.contains(noun)) {
            self.gather_printed(&printed);
        } else {
            said.push_str(&printed);
        }
        let arguments = arguments.iter().map(|argument| argument.to_lowercase());
        lock(&self.0).public.extend(arguments);
        self.hear("what a command wrote", &said);
    }

    /// Gathers links and invite codes.
    fn gather_printed(&self, printed: &str) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let is_dashed = |word: &&str| {
            word.len() == 19 && word.split('-').map(str::len).eq([4; 4]) && **word == word.to_uppercase()
        };
        let mut contents = lock(&self.0);
        for code in printed.split(|c| !is_part(c)).filter(is_dashed) {
            contents.secrets.add_code("a printed code", code);
        }
        for rest in printed.split("token=").skip(1) {
            let token = rest.split(|c| !is_part(c)).next().unwrap_or_default();
            contents.secrets.add_token("a printed token", token);
        }
    }

    /// Disables the search, for a test that plants a secret.
    pub fn give_up(&self) {
        lock(&self.0).is_given_up = true;
    }

    /// Forgets every secret and all output.
    pub fn forget(&self) {
        let mut contents = lock(&self.0);
        contents.secrets = Secrets::default();
        contents.said.clear();
    }

    fn secrets(&self) -> Secrets {
        let contents = lock(&self.0);
        let mut secrets = contents.secrets.clone();
        for mail in contents.mailboxes.iter().flat_map(Mailbox::received) {
            secrets.add_mail(&mail);
        }
        secrets.remove_public(&contents.public);
        secrets
    }

    /// The output so far.
    pub fn said(&self) -> Haystack {
        let contents = lock(&self.0);
        let mut haystack = Haystack::default();
        for (place, said) in &contents.said {
            haystack = haystack.with_said(place, said.as_bytes());
        }
        match &contents.log {
            Some(log) => haystack.with_said("the log of this process", log.text()),
            None => haystack,
        }
    }

    /// Gathers the mails that were written as files.
    pub fn gather_written_mails(&self, directory: &Path) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let content = std::fs::read(entry.path()).unwrap_or_default();
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "eml")
            {
                let mail = ReceivedMail {
                    sender: String::new(),
                    recipients: Vec::new(),
                    content,
                };
                self.gather(|secrets| secrets.add_mail(&mail));
            }
        }
    }

    /// The secrets of this vault that are found.
    pub fn find_in(&self, haystack: &Haystack) -> BTreeSet<String> {
        haystack.find(&self.secrets())
    }

    /// Fails the test if a secret is found. The secret is recorded too, because a panic in another thread does not fail a test.
    pub fn search(&self, haystack: &Haystack) {
        // A test that has already failed reports its own reason.
        if lock(&self.0).is_given_up || std::thread::panicking() {
            return;
        }
        let secrets = self.secrets();
        let found = haystack.find(&secrets);
        for secret in &found {
            record(Seen::Secret(secret.clone()));
        }
        assert!(found.is_empty(), "secrets are exposed: {found:#?}");
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.search(&self.said());
    }
}
