//! The rule of refresh tokens once more, over the whole history of a session instead of the columns that are stored; the server's verdict is compared
//! with it. Beside it the rule of version 0.1, to show that the simulated world finds a worse rule.

use super::world::{Moment, Place, Said, Session, Token};

const REMEMBERED: usize = 8;

/// A change of the generation.
#[derive(Clone, Copy)]
struct Move {
    at: Moment,
    from: Place,
    /// The generation that was presented, and that this move replaced.
    left: Token,
    /// The generation that was handed out.
    to: Token,
}

/// A session that remembers everything and decides as the documentation says.
pub struct ByHistory {
    pub grace: Moment,
    pub lost_answer: Moment,
    moves: Vec<Move>,
    /// Every generation that was served, by a move or by a repeat.
    served: Vec<Token>,
    over: bool,
}

impl ByHistory {
    pub fn new(grace: Moment, lost_answer: Moment) -> Self {
        Self {
            grace,
            lost_answer,
            moves: Vec::new(),
            served: Vec::new(),
            over: false,
        }
    }

    fn current(&self) -> Token {
        self.moves.last().map_or(0, |last| last.to)
    }

    /// Within the grace, and no more than the grace in the future.
    fn is_recent(&self, at: Moment, now: Moment) -> bool {
        at - now <= self.grace && now - at < self.grace
    }

    /// The last move that left this generation, if it is among the last eight generations that were left.
    fn left(&self, token: Token) -> Option<Move> {
        let mut generations: Vec<Token> = self.moves.iter().map(|a| a.left).collect();
        generations.dedup();
        let remembered = generations.len().saturating_sub(REMEMBERED);
        generations[remembered..]
            .contains(&token)
            .then(|| self.moves.iter().rfind(|a| a.left == token).copied())
            .flatten()
    }

    fn go_on(&mut self, left: Token, now: Moment, from: Place) -> Said {
        let to = self.current() + 1;
        self.moves.push(Move {
            at: now,
            from,
            left,
            to,
        });
        Said::Cookie(to)
    }

    fn revoke(&mut self) -> Said {
        self.over = true;
        Said::Over
    }
}

fn without_digits(agent: &str) -> String {
    agent.chars().filter(|c| !c.is_ascii_digit()).collect()
}

impl Session for ByHistory {
    fn present(&mut self, token: Token, now: Moment, from: Place) -> Said {
        if self.over {
            return Said::Over;
        }
        let current = self.current();
        if token > current {
            return self.revoke();
        }
        let newest = self.served.iter().copied().max();
        self.served.push(token);
        if token == current {
            return self.go_on(token, now, from);
        }
        let last = *self.moves.last().expect("there is one, or the token is current");
        let is_elsewhere = last.from.address != from.address && last.from.agent != from.agent;
        let repeat = if is_elsewhere {
            Said::Refused
        } else {
            Said::Cookie(current)
        };
        match newest {
            Some(newest) if token < newest => match self.left(token) {
                Some(left) if self.is_recent(left.at, now) => repeat,
                _ => self.revoke(),
            },
            Some(newest) if token > newest => {
                if self.is_recent(last.at, now) && last.from == from {
                    // This generation was skipped before; now the last move replaces it too.
                    self.moves.push(Move { left: token, ..last });
                    Said::Cookie(current)
                } else {
                    self.revoke()
                }
            }
            _ if self.is_recent(last.at, now) => repeat,
            _ => {
                let is_on = self.grace > 0 && self.lost_answer > 0;
                let is_young = now - last.at < self.lost_answer;
                if is_on && is_young && without_digits(last.from.agent) == without_digits(from.agent) {
                    self.go_on(token, now, from)
                } else {
                    self.revoke()
                }
            }
        }
    }
}

/// The rule of version 0.1: a token is answered for the grace after it was replaced, and reuse afterwards, whatever became of the answer.
pub struct FirstRelease {
    grace: Moment,
    rotated_at: Vec<Moment>,
    over: bool,
}

impl FirstRelease {
    pub fn new(grace: Moment) -> Self {
        Self {
            grace,
            rotated_at: Vec::new(),
            over: false,
        }
    }
}

impl Session for FirstRelease {
    fn present(&mut self, token: Token, now: Moment, _: Place) -> Said {
        let current = Token::try_from(self.rotated_at.len()).expect("it is small");
        let index = usize::try_from(token).expect("it is small");
        if self.over || token > current {
            self.over = true;
            return Said::Over;
        }
        if token == current {
            self.rotated_at.push(now);
            return Said::Cookie(current + 1);
        }
        let is_remembered = self.rotated_at.len() - index <= REMEMBERED;
        if is_remembered && now - self.rotated_at[index] < self.grace {
            return Said::Cookie(current);
        }
        self.over = true;
        Said::Over
    }
}
