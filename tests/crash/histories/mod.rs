//! Histories of concurrent operations on one session or one invite, checked against a sequential model.

mod checker;
mod models;
mod recorded;
mod simulated;

use self::checker::is_linearizable;
use self::models::{InviteModel, SessionModel};
use self::simulated::Fault;
use crate::random::Random;
use crate::run::say;

/// How many histories of each kind are simulated.
const SIMULATED: u64 = 60;
const USES: usize = 7;

/// How many simulated histories of a server with this fault are rejected.
fn rejected(fault: Fault) -> (usize, usize) {
    let mut rejected = (0, 0);
    for seed in 0..SIMULATED {
        let mut random = Random::new(seed);
        let session = simulated::session(fault, &mut random);
        rejected.0 += usize::from(!is_linearizable(&SessionModel { first: 0 }, &session));
        let invite = simulated::invite(fault, USES, &mut random);
        rejected.1 += usize::from(!is_linearizable(&InviteModel { max_uses: USES }, &invite));
    }
    rejected
}

#[test]
fn histories_of_a_server_without_a_fault_are_accepted() {
    assert_eq!(rejected(Fault::None), (0, 0));
}

#[test]
fn an_invite_that_is_spent_twice_is_rejected() {
    let (sessions, invites) = rejected(Fault::InviteSpentTwice);
    say(&format!(
        "planted: an invite spent twice: {invites} of {SIMULATED} histories are rejected"
    ));
    assert!(sessions == 0 && invites > 0, "{sessions} {invites}");
}

#[test]
fn a_refresh_after_an_acknowledged_sign_out_is_rejected() {
    let (sessions, invites) = rejected(Fault::SignOutForgotten);
    say(&format!(
        "planted: a sign-out forgotten: {sessions} of {SIMULATED} histories are rejected"
    ));
    assert!(sessions > 0 && invites == 0, "{sessions} {invites}");
}

#[test]
fn two_generations_from_one_refresh_token_are_rejected() {
    let (sessions, invites) = rejected(Fault::TwoGenerations);
    say(&format!(
        "planted: two generations of one token: {sessions} of {SIMULATED} histories are rejected"
    ));
    assert!(sessions > 0 && invites == 0, "{sessions} {invites}");
}
