//! SIGKILL at random moments: a process ends, and the system keeps what it wrote.

use std::time::Duration;

use crate::installation::Installation;
use crate::random::{length, seed};
use crate::run::{Kind, Run};

#[test]
fn what_was_acknowledged_survives_kill_9_at_any_moment() {
    let installation = Installation::new();
    let seed = seed();
    let run = Run {
        name: "kill",
        seed,
        kind: Kind::Kill,
        installation: &installation,
        crash: &mut |_, _| {},
    };
    run.run(length(Duration::from_secs(8))).expect_none("kill", seed);
}
