//! Commands of the operator, each in a process of its own beside the server. Some are killed.

use std::time::Duration;

use crate::installation::Ran;
use crate::load::{Conditions, Scene, Worker};
use crate::model::{Account, Invite, Truth, add, lock};

/// What a command did: not at all, surely, or perhaps.
fn truth(ran: &Ran) -> Option<Truth> {
    match ran {
        Ran::Done(_) => Some(Truth::Yes),
        Ran::Killed => Some(Truth::Doubt),
        Ran::Refused(_) => None,
    }
}

impl Worker {
    /// The delay after which a command is killed, if it is one of those.
    fn kill_after(&mut self) -> Option<Duration> {
        let delay = self.random.duration(Duration::from_millis(60));
        self.random.chance(25).then_some(delay)
    }

    pub fn command(&mut self, scene: &Scene) {
        let chosen = self.random.below(self.accounts.len());
        let kill_after = self.kill_after();
        let choice = self.random.below(5);
        let account = &mut self.accounts[chosen];
        if !account.is_settled() {
            return;
        }
        account.is_touched = true;
        match choice {
            0 => self.create_invite(scene),
            1 => self.revoke_invite(scene),
            2 if account.suspended == Truth::Yes => scene.reactivate(account, kill_after),
            2 => scene.suspend(account, kill_after),
            3 => {
                let session = self.random.below(account.sessions.len());
                scene.revoke_session(account, session, kill_after);
            }
            _ => scene.revoke_sessions(account, kill_after),
        }
    }

    pub fn create_invite(&mut self, scene: &Scene) {
        let uses = 1 + self.random.below(6);
        self.made += 1;
        let note = format!("w{}i{}", self.number, self.made);
        let arguments = ["invite", "create", "--uses", &uses.to_string(), "--note", &note];
        let kill_after = self.kill_after();
        match scene.run(&arguments, kill_after) {
            Ran::Done(made) => scene.know_invite(made["code"].as_str().unwrap_or_default(), uses),
            Ran::Killed => {
                lock(&scene.shared.lost_invites).insert(note, uses);
            }
            Ran::Refused(_) => {}
        }
    }

    fn revoke_invite(&mut self, scene: &Scene) {
        let code = {
            let mut invites = lock(&scene.shared.invites);
            let codes: Vec<String> = invites.keys().cloned().collect();
            let Some(code) = self.random.pick(&codes) else {
                return;
            };
            let invite = invites.get_mut(code).expect("it is one of them");
            if invite.revoked == Truth::No {
                invite.revoked = Truth::Doubt;
            }
            code.clone()
        };
        let kill_after = self.kill_after();
        if truth(&scene.run(&["invite", "revoke", &code], kill_after)) == Some(Truth::Yes)
            && let Some(invite) = lock(&scene.shared.invites).get_mut(&code)
        {
            invite.revoked = Truth::Yes;
        }
    }
}

impl Scene<'_> {
    /// Runs a command. It is never refused; in trouble it may fail, and its effect is in doubt then.
    fn run(&self, arguments: &[&str], kill_after: Option<Duration>) -> Ran {
        let ran = self.installation.run(arguments, kill_after);
        match (ran, self.conditions) {
            (Ran::Done(value), _) => {
                add(&self.shared.counts.acknowledged);
                Ran::Done(value)
            }
            (Ran::Refused(error), Conditions::Good | Conditions::WithoutMail) => {
                self.shared
                    .violation(format!("`arkloop {}` fails: {error}", arguments.join(" ")));
                Ran::Refused(error)
            }
            _ => {
                add(&self.shared.counts.in_doubt);
                Ran::Killed
            }
        }
    }

    pub fn know_invite(&self, code: &str, max_uses: usize) {
        let invite = Invite {
            max_uses,
            admitted: 0,
            in_doubt: 0,
            in_flight: 0,
            revoked: Truth::No,
        };
        lock(&self.shared.invites).insert(code.to_owned(), invite);
    }

    fn count_command(&self, account: &Account, event: &'static str) {
        let key = (account.name.clone(), event);
        *lock(&self.shared.commands).entry(key).or_default() += 1;
    }

    fn suspend(&self, account: &mut Account, kill_after: Option<Duration>) {
        match truth(&self.run(&["user", "suspend", &account.name], kill_after)) {
            Some(Truth::Yes) => {
                self.count_command(account, "user.suspended");
                account.suspended = Truth::Yes;
                account.end_sessions(Truth::No, None);
            }
            Some(_) => {
                account.suspended = Truth::Doubt;
                account.end_sessions(Truth::Doubt, None);
            }
            None => {}
        }
    }

    fn reactivate(&self, account: &mut Account, kill_after: Option<Duration>) {
        match truth(&self.run(&["user", "reactivate", &account.name], kill_after)) {
            Some(Truth::Yes) => {
                self.count_command(account, "user.reactivated");
                account.suspended = Truth::No;
            }
            Some(_) => account.suspended = Truth::Doubt,
            None => {}
        }
    }

    fn revoke_session(&self, account: &mut Account, session: usize, kill_after: Option<Duration>) {
        let Some(session) = account.sessions.get_mut(session) else {
            return;
        };
        // A session that ended is refused, or is ended once more.
        if session.alive != Truth::Yes {
            return;
        }
        match truth(&self.run(&["session", "revoke", &session.id], kill_after)) {
            Some(Truth::Yes) => session.alive = Truth::No,
            Some(_) => session.alive = Truth::Doubt,
            None => {}
        }
    }

    pub fn revoke_sessions(&self, account: &mut Account, kill_after: Option<Duration>) {
        match truth(&self.run(&["session", "revoke", "--user", &account.name], kill_after)) {
            Some(Truth::Yes) => account.end_sessions(Truth::No, None),
            Some(_) => account.end_sessions(Truth::Doubt, None),
            None => {}
        }
    }
}
