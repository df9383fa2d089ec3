//! What sessions and invites are, when one thing happens after the other.

use super::checker::Model;

/// A refresh token: the number under which it was first seen.
pub type Token = u32;

/// How many replaced tokens of a session are answered within the grace (`MAX_REMEMBERED_ROTATIONS`).
const REMEMBERED: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionOperation {
    /// A refresh, and the token that it gave.
    Refresh {
        presented: Token,
        result: Option<Token>,
    },
    SignOut {
        is_done: bool,
    },
    /// A request with the access token, which tells whether the session lives.
    Look {
        is_alive: bool,
    },
}

/// A session whose every rotation is within the grace.
pub struct SessionModel {
    pub first: Token,
}

impl Model for SessionModel {
    /// The tokens in their order while the session lives, the current one last.
    type State = Option<Vec<Token>>;
    type Operation = SessionOperation;

    fn initial(&self) -> Self::State {
        Some(vec![self.first])
    }

    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State> {
        match (state, operation) {
            (Some(tokens), SessionOperation::Refresh { presented, result }) => {
                refresh(tokens, *presented, *result)
            }
            (Some(_), SessionOperation::SignOut { is_done: true }) => Some(None),
            (Some(_), SessionOperation::Look { is_alive: true })
            | (
                None,
                SessionOperation::Refresh { result: None, .. }
                | SessionOperation::SignOut { is_done: false }
                | SessionOperation::Look { is_alive: false },
            ) => Some(state.clone()),
            _ => None,
        }
    }
}

fn refresh(tokens: &[Token], presented: Token, result: Option<Token>) -> Option<Option<Vec<Token>>> {
    let current = tokens.len() - 1;
    let age = current - tokens.iter().position(|token| *token == presented)?;
    match result {
        Some(next) if age == 0 && !tokens.contains(&next) => Some(Some([tokens, &[next]].concat())),
        Some(repeated) if (1..=REMEMBERED).contains(&age) && repeated == tokens[current] => {
            Some(Some(tokens.to_vec()))
        }
        // A token that was forgotten counts as stolen: the session ends.
        None if age > REMEMBERED => Some(None),
        _ => None,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InviteOperation {
    Redeem { is_done: bool },
    Revoke,
}

pub struct InviteModel {
    pub max_uses: usize,
}

impl Model for InviteModel {
    /// The uses that are left.
    type State = usize;
    type Operation = InviteOperation;

    fn initial(&self) -> usize {
        self.max_uses
    }

    fn step(&self, left: &usize, operation: &InviteOperation) -> Option<usize> {
        match operation {
            InviteOperation::Redeem { is_done: true } => left.checked_sub(1),
            InviteOperation::Redeem { is_done: false } => (*left == 0).then_some(0),
            InviteOperation::Revoke => Some(0),
        }
    }
}
