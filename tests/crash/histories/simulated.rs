//! Histories of a simulated server, with and without a fault, to see what the checker makes of them.
//!
//! A call is invoked, has its effect and responds in three steps; which client takes the next step is seeded.

use super::checker::Call;
use super::models::{InviteOperation, SessionOperation, Token};
use crate::random::Random;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Whether a use is left is decided when the call comes in, and the use is taken later.
    InviteSpentTwice,
    /// A sign-out is acknowledged before it has its effect.
    SignOutForgotten,
    /// Whether a token is the current one is decided when the call comes in.
    TwoGenerations,
}

const CLIENTS: usize = 5;
const STEPS: usize = 600;

#[derive(Clone, Copy)]
enum Wish {
    Refresh(Token),
    SignOut,
    Look,
    Redeem,
    Revoke,
}

/// A client between two steps.
enum Phase<O> {
    Idle,
    Invoked {
        began_at: u64,
        wish: Wish,
        was_right: bool,
    },
    Answered {
        began_at: u64,
        operation: O,
    },
}

struct Server {
    fault: Fault,
    tokens: Vec<Token>,
    is_alive: bool,
    /// The moment when a sign-out has its effect that was acknowledged before.
    ends_at: Option<u64>,
    left: usize,
}

impl Server {
    fn is_current(&self, token: Token) -> bool {
        self.tokens.last() == Some(&token)
    }

    fn act(&mut self, now: u64, wish: Wish, was_current: bool) -> SessionOperation {
        match wish {
            Wish::Refresh(presented) => {
                let rotates = match self.fault {
                    Fault::TwoGenerations => was_current,
                    _ => self.is_current(presented),
                };
                if self.is_alive && rotates {
                    self.tokens
                        .push(self.tokens.iter().max().map_or(0, |token| token + 1));
                }
                let result = self.is_alive.then(|| self.tokens.last().copied()).flatten();
                SessionOperation::Refresh { presented, result }
            }
            Wish::SignOut => {
                let is_done = self.is_alive;
                if self.fault == Fault::SignOutForgotten {
                    self.ends_at.get_or_insert(now + 20);
                } else {
                    self.is_alive = false;
                }
                SessionOperation::SignOut { is_done }
            }
            _ => SessionOperation::Look {
                is_alive: self.is_alive,
            },
        }
    }

    fn redeem(&mut self, wish: Wish, had_use: bool) -> InviteOperation {
        if matches!(wish, Wish::Revoke) {
            self.left = 0;
            return InviteOperation::Revoke;
        }
        let is_done = if self.fault == Fault::InviteSpentTwice {
            had_use
        } else {
            self.left > 0
        };
        self.left = self.left.saturating_sub(usize::from(is_done));
        InviteOperation::Redeem { is_done }
    }
}

/// Lets clients call the server. `wish` chooses what one wants; `decide` is asked at the invocation, `act` at the effect.
fn simulate<O>(
    mut server: Server,
    random: &mut Random,
    wish: impl Fn(&Server, &mut Random) -> Wish,
    decide: impl Fn(&Server, Wish) -> bool,
    act: impl Fn(&mut Server, u64, Wish, bool) -> O,
) -> Vec<Call<O>> {
    let mut clients: Vec<Phase<O>> = (0..CLIENTS).map(|_| Phase::Idle).collect();
    let mut calls = Vec::new();
    for now in 0.. {
        if server.ends_at.is_some_and(|end| end <= now) {
            server.is_alive = false;
        }
        let chosen = random.below(CLIENTS);
        let is_over = calls.len() * 3 >= STEPS;
        clients[chosen] = match std::mem::replace(&mut clients[chosen], Phase::Idle) {
            Phase::Idle if is_over => Phase::Idle,
            Phase::Idle => {
                let wish = wish(&server, random);
                Phase::Invoked {
                    began_at: now,
                    wish,
                    was_right: decide(&server, wish),
                }
            }
            Phase::Invoked {
                began_at,
                wish,
                was_right,
            } => Phase::Answered {
                began_at,
                operation: act(&mut server, now, wish, was_right),
            },
            Phase::Answered { began_at, operation } => {
                calls.push(Call {
                    began_at,
                    ended_at: Some(now),
                    operation,
                });
                Phase::Idle
            }
        };
        if is_over && clients.iter().all(|client| matches!(client, Phase::Idle)) {
            return calls;
        }
    }
    calls
}

/// Calls on one session, whose first token is 0. Clients know the tokens of the others, as tabs of a browser do.
pub fn session(fault: Fault, random: &mut Random) -> Vec<Call<SessionOperation>> {
    let server = Server {
        fault,
        tokens: vec![0],
        is_alive: true,
        ends_at: None,
        left: 0,
    };
    let wish = |server: &Server, random: &mut Random| match random.below(100) {
        0..80 => {
            let age = random.below(4).min(server.tokens.len() - 1);
            Wish::Refresh(server.tokens[server.tokens.len() - 1 - age])
        }
        80..99 => Wish::Look,
        _ => Wish::SignOut,
    };
    let decide = |server: &Server, wish| matches!(wish, Wish::Refresh(token) if server.is_current(token));
    simulate(server, random, wish, decide, Server::act)
}

/// Calls on one invite for `max_uses` accounts.
pub fn invite(fault: Fault, max_uses: usize, random: &mut Random) -> Vec<Call<InviteOperation>> {
    let server = Server {
        fault,
        tokens: vec![0],
        is_alive: true,
        ends_at: None,
        left: max_uses,
    };
    let wish = |_: &Server, random: &mut Random| match random.below(400) {
        0 => Wish::Revoke,
        _ => Wish::Redeem,
    };
    let decide = |server: &Server, _| server.left > 0;
    simulate(server, random, wish, decide, |server, _, wish, had_use| {
        server.redeem(wish, had_use)
    })
}
