//! SIGKILL at random moments: a process ends, and the system keeps what it wrote.

use std::time::Duration;

use crate::installation::Installation;
use crate::random::length;
use crate::run::{Kind, Run, in_parts};

#[test]
fn what_was_acknowledged_survives_kill_9_at_any_moment() {
    in_parts("kill", length(Duration::from_secs(8)), |seed, length| {
        let (installation, crash) = (Installation::new(), &mut |_: &_, _: &mut _| {});
        let run = Run {
            name: "kill",
            seed,
            kind: Kind::Kill,
            installation: &installation,
            crash,
        };
        run.run(length)
    });
}
