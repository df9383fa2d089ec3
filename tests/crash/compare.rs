//! Compares a server that was restarted with the model. What was acknowledged must hold and what was refused must not; what is in doubt is looked at, is
//! certain from then on, and has to fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Request;
use crate::installation::Ran;
use crate::load::{MOST_SESSIONS, Outcome, Scene, Worker};
use crate::model::{Account, Session, Truth, add, lock};
use crate::random::Random;

/// How many ended sessions of an account are tried again.
const ENDED_TRIED: usize = 3;

/// How often a request is repeated that is answered 503.
const TRIES: usize = 40;

/// The accounts of the server: their ids and whether they are suspended.
pub type Users = BTreeMap<String, bool>;

impl Scene<'_> {
    /// What a command lists; empty after a violation.
    fn list(&self, arguments: &[&str]) -> Vec<Value> {
        match self.installation.run(arguments, None) {
            Ran::Done(Value::Array(rows)) => rows,
            other => {
                self.shared
                    .violation(format!("`arkloop {}`: {other:?}", arguments.join(" ")));
                Vec::new()
            }
        }
    }

    pub fn users(&self) -> Users {
        let rows = self.list(&["user", "list"]);
        let users = rows.iter().filter_map(|user| {
            let name = user["username"].as_str()?.to_owned();
            Some((name, user["status"] == "suspended"))
        });
        users.collect()
    }

    /// Compares invites with the accounts that they admitted; all workers have compared theirs before.
    pub fn compare_invites(&self, workers: &[Worker]) {
        let rows = self.list(&["invite", "list", "--all"]);
        let mut invites = lock(&self.shared.invites);
        let lost = std::mem::take(&mut *lock(&self.shared.lost_invites));
        let mut found = BTreeSet::new();
        for row in &rows {
            let code = row["code"].as_str().unwrap_or_default();
            found.insert(code.to_owned());
            if !invites.contains_key(code) {
                match lost.get(row["note"].as_str().unwrap_or_default()) {
                    Some(uses) => {
                        drop(invites);
                        self.know_invite(code, *uses);
                        invites = lock(&self.shared.invites);
                    }
                    None => self
                        .shared
                        .violation(format!("nobody made the invite {}", row["note"])),
                }
            }
            let Some(invite) = invites.get_mut(code) else {
                continue;
            };
            let accounts = workers.iter().flat_map(|worker| &worker.accounts);
            let admitted = accounts
                .filter(|account| account.invite == code && account.exists == Truth::Yes)
                .count();
            let uses = row["uses"].as_u64().and_then(|uses| usize::try_from(uses).ok());
            if uses != Some(admitted) || admitted > invite.max_uses {
                let text = format!(
                    "an invite for {} says {uses:?} uses and admitted {admitted}",
                    invite.max_uses
                );
                self.shared.violation(text);
            }
            invite.admitted = admitted;
            invite.in_doubt = 0;
            let revoked = if row["revoked_at"].is_null() {
                Truth::No
            } else {
                Truth::Yes
            };
            if invite.revoked != Truth::Doubt && invite.revoked != revoked {
                self.shared.violation(format!(
                    "lost: an invite is revoked: {:?}, not {revoked:?}",
                    invite.revoked
                ));
            }
            invite.revoked = revoked;
        }
        for code in invites.keys().filter(|code| !found.contains(*code)) {
            self.shared.violation(format!("lost: the invite {}", &code[..4]));
        }
    }

    /// Every acknowledged effect has its row in the audit log.
    pub fn compare_audit(&self) {
        let rows = self.list(&["audit"]);
        let done = rows.iter().filter(|row| row["result"] == "done");
        let traces: BTreeSet<&str> = done.clone().filter_map(|row| row["trace_id"].as_str()).collect();
        for (trace, what) in lock(&self.shared.traces).iter() {
            if !traces.contains(trace.as_str()) {
                self.shared.violation(format!("lost: the audit row of {what}"));
            }
        }
        let mut commands: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for row in done {
            let key = (
                row["username"].as_str().unwrap_or_default(),
                row["event"].as_str().unwrap_or_default(),
            );
            *commands.entry(key).or_default() += 1;
        }
        for ((name, event), times) in lock(&self.shared.commands).iter() {
            if commands
                .get(&(name.as_str(), *event))
                .copied()
                .unwrap_or_default()
                < *times
            {
                self.shared
                    .violation(format!("lost: audit rows of {event} of {name}"));
            }
        }
    }

    /// `arkloop check` finds the database whole.
    pub fn check_database(&self) {
        let rows = self.list(&["check"]);
        if !rows.iter().any(|row| {
            (row["subject"] == "database" || row["subject"] == "postgresql") && row["state"] == "ok"
        }) {
            self.shared
                .violation(format!("the database is not whole: {rows:?}"));
        }
    }

    fn compare_account(&self, account: &mut Account, users: &Users) {
        let found = users.get(&account.name);
        match (account.exists, found) {
            (Truth::Yes, None) => self
                .shared
                .violation(format!("lost: the account {}", account.name)),
            (Truth::No, Some(_)) => {
                self.shared
                    .violation(format!("the account {} was refused and exists", account.name));
            }
            _ => {}
        }
        let was_lost = account.exists == Truth::Doubt;
        account.exists = if found.is_some() { Truth::Yes } else { Truth::No };
        let Some(is_suspended) = found else {
            return;
        };
        if was_lost {
            self.repeat_registration(account);
        }
        let suspended = if *is_suspended { Truth::Yes } else { Truth::No };
        let was_in_doubt = account.suspended == Truth::Doubt;
        if !was_in_doubt && account.suspended != suspended {
            let text = format!(
                "lost: {} is suspended: {:?}, not {suspended:?}",
                account.name, account.suspended
            );
            self.shared.violation(text);
        }
        account.suspended = suspended;
        if suspended == Truth::Yes {
            account.end_sessions(Truth::No, None);
        }
        self.compare_passwords(account);
        self.compare_sessions(account);
        self.await_mail(account);
    }

    /// Sends a request again while it is answered 503, as it is when the database was away.
    fn insist(&self, account: &mut Account, request: &Request) -> Option<Outcome> {
        for _ in 0..TRIES {
            match self.send(request) {
                Outcome::Doubt => account.unknown_sessions += 1,
                Outcome::Nothing => return None,
                outcome => return Some(outcome),
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.shared
            .violation(format!("{} is answered 503 for too long", request.path));
        None
    }

    /// Exactly one of the passwords that may hold is accepted.
    fn compare_passwords(&self, account: &mut Account) {
        let mut accepted = Vec::new();
        for password in account.passwords.clone() {
            let body = json!({"login": account.name, "password": password});
            match self.insist(account, &Request::post("/v1/auth/login").body(body)) {
                Some(Outcome::Done(answer)) => {
                    if account.suspended == Truth::Yes {
                        self.shared
                            .violation(format!("{} signed in while suspended", account.name));
                    }
                    self.expect_audit(&answer, &format!("a sign-in of {}", account.name));
                    account.sessions.extend(Session::of(&answer));
                    accepted.push(password);
                }
                Some(Outcome::Refused(answer)) if answer.code() == "auth.user_suspended" => {
                    accepted.push(password);
                }
                Some(_) => {}
                None => return,
            }
        }
        if accepted.len() != 1 {
            let tried = account.passwords.len();
            let text = format!(
                "lost: {} of {tried} passwords of {} work",
                accepted.len(),
                account.name
            );
            self.shared.violation(text);
        }
        self.compare_lost_change(account, accepted.first());
        if !accepted.is_empty() {
            account.passwords = accepted;
        }
    }

    /// A change of the password whose answer was lost has ended every other session, or none.
    fn compare_lost_change(&self, account: &mut Account, accepted: Option<&String>) {
        let others = std::mem::take(&mut account.lost_change);
        if others.is_empty() || account.suspended == Truth::Yes {
            return;
        }
        let is_changed = accepted == account.passwords.last();
        let listed = self.listed_sessions(account).unwrap_or_default();
        if others.iter().any(|id| listed.contains(id) == is_changed) {
            let text = format!(
                "half of a change: {} has a new password: {is_changed}",
                account.name
            );
            self.shared.violation(text);
        }
    }

    fn compare_sessions(&self, account: &mut Account) {
        let Some(listed) = self.listed_sessions(account) else {
            return;
        };
        let name = account.name.clone();
        let mut unknown = listed.clone();
        let mut ended_tried = 0;
        for number in 0..account.sessions.len() {
            let session = &account.sessions[number];
            let (alive, id) = (session.alive, session.id.clone());
            let is_listed = unknown.remove(&id);
            match alive {
                Truth::Yes if !is_listed => self.shared.violation(format!("lost: a live session of {name}")),
                Truth::No if is_listed => {
                    self.shared
                        .violation(format!("lost: the end of a session of {name}"));
                }
                Truth::Doubt if is_listed => account.sessions[number].alive = Truth::Yes,
                Truth::Doubt => account.sessions[number].alive = Truth::No,
                _ => {}
            }
            let is_ended = account.sessions[number].alive == Truth::No;
            if is_ended && ended_tried < ENDED_TRIED {
                ended_tried += 1;
                self.try_ended(account, number);
            } else if !is_ended {
                // A lost change of the password may have replaced the cookie, which then is refused without an effect.
                if alive == Truth::Doubt {
                    account.sessions[number].alive = Truth::Doubt;
                }
                self.refresh(account, number);
                if account.sessions[number].is_refresh_lost {
                    self.refresh(account, number);
                }
                let session = &mut account.sessions[number];
                if session.alive != Truth::Yes {
                    account.unknown_sessions += usize::from(alive == Truth::Doubt);
                    account.sessions.remove(number);
                    return self.compare_sessions(account);
                }
            }
        }
        if unknown.len() > account.unknown_sessions {
            self.shared.violation(format!(
                "nobody signed in for {} sessions of {name}",
                unknown.len()
            ));
        }
        account.unknown_sessions = unknown.len();
        if account.live_sessions() > MOST_SESSIONS {
            self.revoke_sessions(account, None);
        }
    }

    /// The live sessions of the account as one of them sees them; the empty set if it has none.
    fn listed_sessions(&self, account: &mut Account) -> Option<BTreeSet<String>> {
        // The newest one is of the sign-in just now.
        let session = account
            .sessions
            .last()
            .filter(|session| session.alive == Truth::Yes);
        let Some(session) = session else {
            return Some(BTreeSet::new());
        };
        let (access, unknown) = (session.access.clone(), account.unknown_sessions);
        let listed = self.insist(account, &Request::get("/v1/auth/sessions").bearer(&access));
        account.unknown_sessions = unknown;
        let Some(Outcome::Done(answer)) = listed else {
            self.shared
                .violation(format!("{} cannot list sessions", account.name));
            return None;
        };
        let listed = answer.body["sessions"].as_array()?;
        let ids = listed.iter().filter_map(|session| session["id"].as_str());
        Some(ids.map(str::to_owned).collect())
    }

    fn try_ended(&self, account: &mut Account, number: usize) {
        let bearer = account.sessions[number].access.clone();
        if let Outcome::Done(_) = self.send(&Request::get("/v1/me").bearer(&bearer)) {
            let (id, suspended) = (&account.sessions[number].id, account.suspended);
            let text = format!(
                "lost: the end of session {id} of {} (suspended: {suspended:?})",
                account.name
            );
            self.shared.violation(text);
        }
        if !account.sessions[number].cookies.is_empty() {
            self.refresh(account, number);
        }
    }
}

impl Worker {
    /// Compares the accounts that were used since the last comparison, and so many in 100 of the others.
    pub fn compare(&mut self, scene: &Scene, users: &Users, others: usize) {
        let random: &mut Random = &mut self.random;
        for account in &mut self.accounts {
            if account.is_touched || random.chance(others) {
                scene.compare_account(account, users);
                account.is_touched = false;
                add(&scene.shared.counts.compared);
            } else if users.contains_key(&account.name) != (account.exists == Truth::Yes) {
                scene
                    .shared
                    .violation(format!("lost: the account {}, or its deletion", account.name));
            }
        }
    }
}
