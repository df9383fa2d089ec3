//! Decides whether a concurrent history is linearizable: whether every call can be given a moment between its invocation and its response at which it took
//! effect, so that a sequential model gives the same results (Herlihy, Wing: "Linearizability: A Correctness Condition for Concurrent Objects", TOPLAS 1990).
//!
//! The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", JPDC 1993): of the calls that no finished call precedes, try each as the
//! next one. As Lowe adds ("Testing for Linearizability", CCPE 2017), a pair of calls done and state is tried once only. Histories are checked key by key, since a
//! history is linearizable if that of each object is.

use std::collections::HashSet;
use std::hash::Hash;

/// A sequential specification.
pub trait Model {
    type State: Clone + Eq + Hash;
    type Operation;

    fn initial(&self) -> Self::State;

    /// The state after the operation; `None` if it cannot have had this result in `state`.
    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;
}

/// A call with its result. Moments are of one clock.
#[derive(Clone, Debug)]
pub struct Call<O> {
    pub began_at: u64,
    /// `None` if no response came: it may have taken effect at any later moment, or never.
    pub ended_at: Option<u64>,
    pub operation: O,
}

pub fn is_linearizable<M: Model>(model: &M, calls: &[Call<M::Operation>]) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![(vec![0_u64; calls.len().div_ceil(64)], model.initial())];
    while let Some((done, state)) = open.pop() {
        let rest = || {
            calls
                .iter()
                .enumerate()
                .filter(|(number, _)| !contains(&done, *number))
        };
        let Some(first_end) = rest().filter_map(|(_, call)| call.ended_at).min() else {
            return true;
        };
        // What began after another call had ended comes after it.
        for (number, call) in rest().filter(|(_, call)| call.began_at <= first_end) {
            if let Some(next) = model.step(&state, &call.operation) {
                let mut with = done.clone();
                with[number / 64] |= 1 << (number % 64);
                if seen.insert((with.clone(), next.clone())) {
                    open.push((with, next));
                }
            }
        }
    }
    false
}

fn contains(done: &[u64], number: usize) -> bool {
    done[number / 64] & (1 << (number % 64)) != 0
}
