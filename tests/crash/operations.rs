//! What is done with accounts over HTTP, and what each answer says about the server.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Answer, Request};
use crate::load::{Outcome, Scene};
use crate::model::{Account, Session, Truth, lock};
use crate::random::Random;

/// The time after a rotation when every older refresh token counts as stolen: the grace of the installation, and more.
const AFTER_GRACE: Duration = Duration::from_millis(1300);

impl Session {
    pub fn of(answer: &Answer) -> Option<Self> {
        Some(Self {
            id: answer.session_id()?,
            access: answer.text("access_token"),
            access_at: Instant::now(),
            cookies: vec![answer.cookie.clone()?],
            moved_at: Instant::now(),
            is_refresh_lost: false,
            alive: Truth::Yes,
        })
    }
}

fn registration(account: &Account) -> Request<'static> {
    Request::post("/v1/auth/register").body(json!({
        "login": account.name, "email": account.email(), "password": account.password(), "invite_code": account.invite,
    }))
}

impl Scene<'_> {
    pub fn pick_invite(&self, random: &mut Random) -> Option<String> {
        let invites = lock(&self.shared.invites);
        let open = invites
            .iter()
            .filter(|(_, invite)| invite.revoked == Truth::No && invite.possible_uses() < invite.max_uses);
        let open: Vec<&String> = open.map(|(code, _)| code).collect();
        let all: Vec<&String> = invites.keys().collect();
        let choices = if random.chance(85) { open } else { all };
        random.pick(&choices).map(|code| (*code).clone())
    }

    pub fn register(&self, account: &mut Account) {
        let revoked = {
            let mut invites = lock(&self.shared.invites);
            let invite = invites
                .get_mut(&account.invite)
                .expect("it was picked from there");
            invite.in_flight += 1;
            invite.revoked
        };
        let outcome = self.send(&registration(account));
        let mut invites = lock(&self.shared.invites);
        let invite = invites.get_mut(&account.invite).expect("invites are not removed");
        invite.in_flight -= 1;
        match outcome {
            Outcome::Done(answer) => {
                invite.admitted += 1;
                if revoked == Truth::Yes || invite.admitted > invite.max_uses {
                    let text = format!("{} was admitted by a spent or revoked invite", account.name);
                    self.shared.violation(text);
                }
                account.exists = Truth::Yes;
                account.sessions.extend(Session::of(&answer));
                self.expect_audit(&answer, &format!("the registration of {}", account.name));
            }
            Outcome::Refused(answer) => {
                let may_be_spent = invite.possible_uses() >= invite.max_uses || invite.revoked != Truth::No;
                if answer.code() != "auth.invite_code_invalid" || !may_be_spent {
                    self.shared
                        .violation(format!("{} was refused: {}", account.name, answer.brief()));
                }
            }
            Outcome::Doubt => {
                invite.in_doubt += 1;
                account.exists = Truth::Doubt;
                account.unknown_sessions += 1;
            }
            Outcome::Nothing => {}
        }
    }

    /// A client repeats a registration whose answer was lost, and which took effect: 409, and no second use of the invite.
    pub fn repeat_registration(&self, account: &Account) {
        match self.send(&registration(account)) {
            Outcome::Done(_) => self
                .shared
                .violation(format!("{} was registered twice", account.name)),
            Outcome::Refused(answer) if answer.status != 409 => {
                self.shared
                    .violation(format!("a repeated registration is answered {}", answer.brief()));
            }
            _ => {}
        }
    }

    pub fn sign_in(&self, account: &mut Account) {
        let body = json!({"login": account.name, "password": account.password()});
        match self.send(&Request::post("/v1/auth/login").body(body)) {
            Outcome::Done(answer) => {
                if account.suspended == Truth::Yes {
                    self.shared
                        .violation(format!("{} signed in while suspended", account.name));
                }
                self.expect_audit(&answer, &format!("a sign-in of {}", account.name));
                account.sessions.extend(Session::of(&answer));
            }
            Outcome::Refused(answer) => {
                if account.suspended != Truth::Yes || answer.code() != "auth.user_suspended" {
                    self.shared
                        .violation(format!("{} cannot sign in: {}", account.name, answer.brief()));
                }
            }
            Outcome::Doubt => account.unknown_sessions += 1,
            Outcome::Nothing => {}
        }
    }

    pub fn try_wrong_password(&self, account: &Account) {
        let body = json!({"login": account.name, "password": "some other password"});
        if let Outcome::Done(_) = self.send(&Request::post("/v1/auth/login").body(body)) {
            self.shared
                .violation(format!("{} signed in with a wrong password", account.name));
        }
    }

    /// Refreshes a session with its newest cookie.
    pub fn refresh(&self, account: &mut Account, session: usize) {
        let name = account.name.clone();
        let session = &mut account.sessions[session];
        let cookie = session.cookies.last().expect("a session has a cookie").clone();
        match self.send(&Request::post("/v1/auth/refresh").cookie(&cookie)) {
            Outcome::Done(answer) => {
                if session.alive == Truth::No || answer.session_id().as_ref() != Some(&session.id) {
                    self.shared
                        .violation(format!("a session of {name} that ended was refreshed"));
                }
                session.alive = Truth::Yes;
                session.access = answer.text("access_token");
                session.access_at = Instant::now();
                session.cookies.extend(answer.cookie);
                session.moved_at = Instant::now();
                session.is_refresh_lost = false;
            }
            Outcome::Refused(answer) => {
                if session.alive == Truth::Yes {
                    let text = format!("a live session of {name} is not refreshed: {}", answer.brief());
                    self.shared.violation(text);
                }
                session.alive = Truth::No;
            }
            Outcome::Doubt => session.is_refresh_lost = true,
            Outcome::Nothing => {}
        }
    }

    pub fn sign_out(&self, account: &mut Account, session: usize) {
        let name = account.name.clone();
        let session = &mut account.sessions[session];
        match self.send(&Request::post("/v1/auth/logout").bearer(&session.access)) {
            Outcome::Done(answer) => {
                if session.alive == Truth::No {
                    self.shared
                        .violation(format!("a session of {name} was ended twice"));
                }
                session.alive = Truth::No;
                self.expect_audit(&answer, &format!("a sign-out of {name}"));
            }
            Outcome::Refused(answer) => {
                if session.alive == Truth::Yes {
                    let text = format!("{name} cannot sign out: {}", answer.brief());
                    self.shared.violation(text);
                }
            }
            Outcome::Doubt if session.alive == Truth::Yes => session.alive = Truth::Doubt,
            Outcome::Doubt | Outcome::Nothing => {}
        }
    }

    pub fn change_password(&self, account: &mut Account, number: usize, password: &str) {
        let session = &account.sessions[number];
        let body = json!({"current_password": account.password(), "new_password": password});
        let request = Request::post("/v1/auth/password/change")
            .bearer(&session.access)
            .body(body);
        let cookie = session.cookies.last().cloned().unwrap_or_default();
        match self.send(&request.cookie(&cookie)) {
            Outcome::Done(answer) => {
                if session.alive == Truth::No {
                    let text = format!("an ended session changed the password of {}", account.name);
                    self.shared.violation(text);
                }
                self.expect_audit(&answer, &format!("a new password of {}", account.name));
                account.passwords = vec![password.to_owned()];
                account.end_sessions(Truth::No, Some(number));
                let session = &mut account.sessions[number];
                session.moved_at = Instant::now();
                match answer.cookie {
                    Some(cookie) => session.cookies = vec![cookie],
                    None => self.shared.violation("a new password comes without a new cookie"),
                }
            }
            Outcome::Refused(answer) => {
                if session.alive == Truth::Yes {
                    let text = format!("{} has no new password: {}", account.name, answer.brief());
                    self.shared.violation(text);
                }
            }
            Outcome::Doubt if session.alive == Truth::Yes => {
                account.passwords.push(password.to_owned());
                let others = account.sessions.iter().enumerate();
                let others =
                    others.filter(|(other, session)| *other != number && session.alive == Truth::Yes);
                account.lost_change = others.map(|(_, session)| session.id.clone()).collect();
                // The cookie of this session may have been replaced by one that was never received.
                account.end_sessions(Truth::Doubt, None);
            }
            Outcome::Doubt | Outcome::Nothing => {}
        }
    }

    /// Presents a token that was replaced twice, after the grace: it counts as stolen and ends the session.
    pub fn reuse_cookie(&self, account: &mut Account, session: usize) {
        let name = account.name.clone();
        let session = &mut account.sessions[session];
        if session.cookies.len() < 3 || session.moved_at.elapsed() < AFTER_GRACE {
            return;
        }
        let cookie = session.cookies[session.cookies.len() - 3].clone();
        match self.send(&Request::post("/v1/auth/refresh").cookie(&cookie)) {
            Outcome::Done(_) => self
                .shared
                .violation(format!("an old cookie of {name} was served")),
            Outcome::Refused(_) => session.alive = Truth::No,
            Outcome::Doubt if session.alive == Truth::Yes => session.alive = Truth::Doubt,
            Outcome::Doubt | Outcome::Nothing => {}
        }
    }

    pub fn look_at_me(&self, account: &Account, session: usize) {
        let session = &account.sessions[session];
        let alive = match self.send(&Request::get("/v1/me").bearer(&session.access)) {
            Outcome::Done(_) => Truth::Yes,
            Outcome::Refused(_) => Truth::No,
            Outcome::Doubt | Outcome::Nothing => return,
        };
        if alive != session.alive {
            let text = format!(
                "a session of {} is {:?}, not {alive:?}",
                account.name, session.alive
            );
            self.shared.violation(text);
        }
    }
}
