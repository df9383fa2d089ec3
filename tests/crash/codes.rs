//! One-time codes, read from the mails that the server writes into its data directory.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Request;
use crate::installation::Ran;
use crate::load::{Conditions, Outcome, Scene};
use crate::model::{Account, Code, Session, Truth};

/// How long a mail may take that was acknowledged: the worker of the outbox is woken at once, and looks for old mail when it starts.
const MAIL: Duration = Duration::from_secs(15);

/// The code in the newest mail to `address`.
fn code_in(outbox: &Path, address: &str) -> Option<String> {
    let to = format!("To: {address}");
    let entries = fs::read_dir(outbox).ok()?.flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().contains("sign_in_code"))
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .filter(|mail| mail.lines().any(|line| line == to))
        .find_map(|mail| {
            let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit());
            mail.lines().map(str::trim).find(is_code).map(str::to_owned)
        })
}

impl Scene<'_> {
    /// Asks for a code and signs in with it; later tries the used one again.
    pub fn use_code(&self, account: &mut Account) {
        match account.code.clone() {
            Code::Unasked => self.ask_for_code(account),
            Code::Mailed => self.redeem_mailed_code(account, Duration::ZERO),
            Code::Used(code) => {
                let body = json!({"email": account.email(), "otp": code});
                if let Outcome::Done(_) = self.send(&Request::post("/v1/auth/email/otp/verify").body(body)) {
                    self.shared
                        .violation(format!("a code of {} was accepted twice", account.name));
                }
            }
            Code::Lost => {}
        }
    }

    fn ask_for_code(&self, account: &mut Account) {
        // The first code for an address that is not verified would take the account back, which ends its password.
        let Ran::Done(_) = self
            .installation
            .run(&["user", "verify-email", &account.name], None)
        else {
            self.shared
                .violation(format!("the address of {} is not verified", account.name));
            return;
        };
        let body = json!({"email": account.email()});
        match self.send(&Request::post("/v1/auth/email/otp/send").body(body)) {
            Outcome::Done(_) => account.code = Code::Mailed,
            Outcome::Refused(answer) => {
                let text = format!("no code is mailed to {}: {}", account.name, answer.brief());
                self.shared.violation(text);
            }
            Outcome::Doubt => account.code = Code::Lost,
            Outcome::Nothing => {}
        }
    }

    /// Signs in with a code whose mail was acknowledged; waits for it for so long, after which it is missing.
    pub fn redeem_mailed_code(&self, account: &mut Account, patience: Duration) {
        let outbox = self.installation.path().join("data/outbox");
        let started = Instant::now();
        let code = loop {
            if let Some(code) = code_in(&outbox, &account.email()) {
                break code;
            }
            if started.elapsed() >= patience {
                if !patience.is_zero() {
                    self.shared
                        .violation(format!("the mail with the code of {} is lost", account.name));
                }
                return;
            }
            thread::sleep(Duration::from_millis(10));
        };
        let body = json!({"email": account.email(), "otp": code});
        match self.send(&Request::post("/v1/auth/email/otp/verify").body(body)) {
            Outcome::Done(answer) => {
                if account.suspended == Truth::Yes {
                    self.shared
                        .violation(format!("{} signed in while suspended", account.name));
                }
                self.expect_audit(&answer, &format!("a sign-in by code of {}", account.name));
                account.sessions.extend(Session::of(&answer));
                account.code = Code::Used(code);
            }
            // A new password or a suspension ends it, and so does its age.
            Outcome::Refused(_) => account.code = Code::Lost,
            Outcome::Doubt => {
                account.unknown_sessions += 1;
                account.code = Code::Lost;
            }
            Outcome::Nothing => {}
        }
    }

    /// After a restart, an acknowledged mail has to arrive.
    pub fn await_mail(&self, account: &mut Account) {
        if self.conditions == Conditions::Good && account.code == Code::Mailed {
            self.redeem_mailed_code(account, MAIL);
        }
    }
}
