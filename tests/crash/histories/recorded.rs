//! Histories of the real server: clients beside each other on one session or one invite, with the moments of every request and answer.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::checker::{Call, is_linearizable};
use super::models::{InviteModel, InviteOperation, SessionModel, SessionOperation, Token};
use crate::client::{Answer, Reply, Request};
use crate::installation::{Installation, Ran, Server};
use crate::model::lock;
use crate::random::{Random, length, seed};
use crate::run::say;

const CLIENTS: usize = 6;
const CALLS: usize = 40;

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).expect("a test takes less than 500 years")
}

fn answer(request: &Request, server: &Server) -> Answer {
    match request.send(&server.address) {
        Reply::Answered(answer) => answer,
        other => panic!("the server does not answer: {other:?}"),
    }
}

/// What the clients of a session share.
struct Client<'a> {
    server: &'a Server,
    access: &'a str,
    start: Instant,
    /// The number of a cookie is its place.
    cookies: &'a Mutex<Vec<String>>,
    calls: &'a Mutex<Vec<Call<SessionOperation>>>,
}

impl Client<'_> {
    fn refresh(&self, age: usize) -> SessionOperation {
        let (presented, cookie) = {
            let cookies = lock(self.cookies);
            let number = (cookies.len() - 1).saturating_sub(age);
            (number, cookies[number].clone())
        };
        let answer = answer(&Request::post("/v1/auth/refresh").cookie(&cookie), self.server);
        assert!(matches!(answer.status, 200 | 401), "{}", answer.brief());
        let result = answer.cookie.map(|cookie| {
            let mut cookies = lock(self.cookies);
            let number = cookies
                .iter()
                .position(|known| *known == cookie)
                .unwrap_or_else(|| {
                    cookies.push(cookie);
                    cookies.len() - 1
                });
            Token::try_from(number).expect("they are few")
        });
        SessionOperation::Refresh {
            presented: Token::try_from(presented).expect("they are few"),
            result,
        }
    }

    fn work(&self, random: &mut Random) {
        for _ in 0..CALLS {
            let began_at = nanos(self.start);
            let operation = match random.below(1000) {
                0..700 => self.refresh(random.below(3)),
                700..705 => self.refresh(30),
                705..708 => {
                    let request = Request::post("/v1/auth/logout").bearer(self.access);
                    SessionOperation::SignOut {
                        is_done: answer(&request, self.server).status == 200,
                    }
                }
                _ => {
                    let request = Request::get("/v1/me").bearer(self.access);
                    SessionOperation::Look {
                        is_alive: answer(&request, self.server).status == 200,
                    }
                }
            };
            let ended_at = Some(nanos(self.start));
            lock(self.calls).push(Call {
                began_at,
                ended_at,
                operation,
            });
        }
    }
}

fn invite(installation: &Installation, uses: usize) -> String {
    match installation.run(&["invite", "create", "--uses", &uses.to_string()], None) {
        Ran::Done(invite) => invite["code"].as_str().expect("it has a code").to_owned(),
        other => panic!("no invite: {other:?}"),
    }
}

fn register(server: &Server, name: &str, invite: &str) -> Answer {
    let body = json!({
        "login": name, "email": format!("{name}@example.org"), "password": "a decent password", "invite_code": invite
    });
    answer(&Request::post("/v1/auth/register").body(body), server)
}

/// The history of one session; returns how many calls it has.
fn check_session(installation: &Installation, server: &Server, name: &str, random: &mut Random) -> usize {
    let registered = register(server, name, &invite(installation, 1));
    let cookies = Mutex::new(vec![registered.cookie.clone().expect("it signs in")]);
    let calls = Mutex::new(Vec::new());
    let client = Client {
        server,
        access: &registered.text("access_token"),
        start: Instant::now(),
        cookies: &cookies,
        calls: &calls,
    };
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let mut random = random.fork();
            let client = &client;
            scope.spawn(move || client.work(&mut random));
        }
    });
    let calls = lock(&calls);
    assert!(
        is_linearizable(&SessionModel { first: 0 }, &calls),
        "{name}: {calls:?}"
    );
    calls.len()
}

/// The history of one invite, which a command revokes in one of two cases.
fn check_invite(installation: &Installation, server: &Server, name: &str, random: &mut Random) -> usize {
    let max_uses = 1 + random.below(CLIENTS * 3);
    let code = invite(installation, max_uses);
    let calls = Mutex::new(Vec::new());
    let start = Instant::now();
    let note = |began_at, operation| {
        let ended_at = Some(nanos(start));
        lock(&calls).push(Call {
            began_at,
            ended_at,
            operation,
        });
    };
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (note, code) = (&note, &code);
            scope.spawn(move || {
                for number in 0..CALLS / 4 {
                    let began_at = nanos(start);
                    let answer = register(server, &format!("{name}c{client}n{number}"), code);
                    assert!(matches!(answer.status, 201 | 422), "{}", answer.brief());
                    note(
                        began_at,
                        InviteOperation::Redeem {
                            is_done: answer.status == 201,
                        },
                    );
                }
            });
        }
        if random.chance(50) {
            let began_at = nanos(start);
            assert!(matches!(
                installation.run(&["invite", "revoke", &code], None),
                Ran::Done(_)
            ));
            note(began_at, InviteOperation::Revoke);
        }
    });
    let calls = lock(&calls);
    assert!(
        is_linearizable(&InviteModel { max_uses }, &calls),
        "{name}: {calls:?}"
    );
    calls.len()
}

#[test]
fn sessions_and_invites_are_linearizable() {
    let mut installation = Installation::new();
    // Every rotation of a history is within the grace.
    installation.set("ARKLOOP_TOKENS__REFRESH_GRACE", "60s");
    let server = installation.serve().expect("the server starts");
    let (seed, length, start) = (seed(), length(Duration::from_secs(5)), Instant::now());
    let mut random = Random::new(seed);
    let (mut histories, mut calls) = (0, 0);
    while start.elapsed() < length {
        calls += check_session(&installation, &server, &format!("s{histories}"), &mut random);
        calls += check_invite(&installation, &server, &format!("i{histories}"), &mut random);
        histories += 2;
    }
    say(&format!(
        "histories: seed {seed}, {} s: {histories} histories of {calls} calls",
        length.as_secs()
    ));
}
