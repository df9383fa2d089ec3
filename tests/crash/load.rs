//! The mixed load: each worker has accounts of its own and does one thing at a time with them, so that the order of its operations is known. Invites are
//! shared by all workers. Concurrent operations on one session or invite are the subject of `histories`.

use crate::client::{Answer, Reply, Request};
use crate::installation::Installation;
use crate::model::{Account, Code, Shared, Truth, add, lock};
use crate::random::Random;
use std::sync::atomic::{AtomicBool, Ordering};

/// From so many live sessions on, an account signs out instead of in.
pub const MOST_SESSIONS: usize = 8;

/// Where the workers act.
pub struct Scene<'a> {
    pub installation: &'a Installation,
    pub address: String,
    pub shared: &'a Shared,
    pub stop: &'a AtomicBool,
    pub conditions: Conditions,
}

/// What workers may expect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Conditions {
    Good,
    /// Mails in files are not read: what was written before a loss of power need not be there.
    WithoutMail,
    /// The clock or the disk is wrong, or the database away: commands may fail, and grace is not measured by the harness.
    Trouble,
}

pub struct Worker {
    pub number: usize,
    pub random: Random,
    pub accounts: Vec<Account>,
    pub made: usize,
}

/// What the harness takes a reply for.
pub enum Outcome {
    Done(Answer),
    Refused(Answer),
    Doubt,
    Nothing,
}

impl Scene<'_> {
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends a request and sorts its reply. 503 is in doubt: it is also the answer when the outcome of a commit is unknown.
    pub fn send(&self, request: &Request) -> Outcome {
        let counts = &self.shared.counts;
        match request.send(&self.address) {
            Reply::Unsent => Outcome::Nothing,
            Reply::Lost => {
                add(&counts.in_doubt);
                Outcome::Doubt
            }
            Reply::Answered(answer) if answer.status < 300 => {
                add(&counts.acknowledged);
                Outcome::Done(answer)
            }
            Reply::Answered(answer) if answer.status < 500 => {
                add(&counts.refused);
                Outcome::Refused(answer)
            }
            Reply::Answered(answer) => {
                if answer.status != 503 || answer.retry_after.is_none() {
                    self.shared
                        .violation(format!("{} is answered {}", request.path, answer.brief()));
                }
                add(&counts.unavailable);
                Outcome::Doubt
            }
        }
    }

    /// Remembers an acknowledged effect that the audit log must have.
    pub fn expect_audit(&self, answer: &Answer, what: &str) {
        let entry = (answer.trace_id.clone(), what.to_owned());
        lock(&self.shared.traces).push(entry);
    }
}

impl Worker {
    pub const fn new(number: usize, random: Random) -> Self {
        Self {
            number,
            random,
            accounts: Vec::new(),
            made: 0,
        }
    }

    /// Works until the scene is over or the server is gone.
    pub fn work(&mut self, scene: &Scene) {
        while !scene.is_over() {
            let choice = self.random.below(100);
            if choice < 16 || self.accounts.is_empty() {
                self.register(scene);
                continue;
            }
            if choice > 91 {
                self.command(scene);
                continue;
            }
            // Mostly new accounts, so that a long run has many with a long life and some at work.
            let newest = self.accounts.len().min(8);
            let recent = self.accounts.len() - 1 - self.random.below(newest);
            let chosen = if self.random.chance(80) {
                recent
            } else {
                self.random.below(self.accounts.len())
            };
            if !self.accounts[chosen].is_settled() {
                continue;
            }
            self.accounts[chosen].is_touched = true;
            self.operate(scene, chosen, choice);
        }
    }

    fn operate(&mut self, scene: &Scene, chosen: usize, choice: usize) {
        let account = &mut self.accounts[chosen];
        let session = pick_session(&mut self.random, account);
        // At 20 sessions the least recently used one would make way.
        let choice = if choice < 45 && account.live_sessions() > MOST_SESSIONS {
            72
        } else {
            choice
        };
        match (choice, session) {
            (0..35, _) => scene.sign_in(account),
            (35..39, _) => scene.try_wrong_password(account),
            (39..45, _) if scene.conditions == Conditions::Good => scene.use_code(account),
            (45..72, Some(session)) => scene.refresh(account, session),
            (72..78, Some(session)) => scene.sign_out(account, session),
            (78..85, Some(session)) => {
                let password = format!("password {} of {}", self.random.next(), account.name);
                scene.change_password(account, session, &password);
            }
            (85..89, Some(session)) if scene.conditions != Conditions::Trouble => {
                scene.reuse_cookie(account, session);
            }
            (_, Some(session)) => scene.look_at_me(account, session),
            (_, None) if account.live_sessions() <= MOST_SESSIONS => scene.sign_in(account),
            (_, None) => {}
        }
        account.forget_old_sessions();
    }

    fn register(&mut self, scene: &Scene) {
        let Some(invite) = scene.pick_invite(&mut self.random) else {
            self.create_invite(scene);
            return;
        };
        self.made += 1;
        let name = format!("w{}n{}", self.number, self.made);
        let password = format!("password of {name}");
        let mut account = Account {
            name,
            invite,
            exists: Truth::No,
            passwords: vec![password],
            suspended: Truth::No,
            sessions: Vec::new(),
            lost_change: Vec::new(),
            unknown_sessions: 0,
            code: Code::Unasked,
            is_touched: true,
        };
        scene.register(&mut account);
        self.accounts.push(account);
    }
}

/// A session of which nothing is in doubt, mostly a live one.
fn pick_session(random: &mut Random, account: &Account) -> Option<usize> {
    let wanted = if random.chance(90) { Truth::Yes } else { Truth::No };
    let candidates = account.sessions.iter().enumerate();
    let candidates: Vec<usize> = candidates
        .filter(|(_, session)| session.alive == wanted && !session.is_refresh_lost)
        .map(|(number, _)| number)
        .collect();
    random.pick(&candidates).copied()
}
