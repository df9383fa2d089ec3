//! The server's verdict as a session of the world.

use std::net::IpAddr;
use std::time::Duration;

use arkloop::domain::{Client, Generation, RefreshRules, RefreshVerdict, Rotation, Timestamp};

use super::world::{Moment, Place, Said, Session, Token};
use super::{AT_HOME, GRACE, LOST_ANSWER};

#[derive(Debug)]
pub struct UnderTest {
    rules: RefreshRules,
    state: Rotation,
    over: bool,
}

impl UnderTest {
    /// A session with the default rules.
    pub fn begin() -> Self {
        Self::with(GRACE, LOST_ANSWER)
    }

    pub fn with(grace: Moment, lost_answer: Moment) -> Self {
        let [grace, lost_answer] = [grace, lost_answer]
            .map(|span| Duration::from_millis(u64::try_from(span).expect("it is no past")));
        Self {
            rules: RefreshRules { grace, lost_answer },
            state: Rotation::first(Timestamp::from_millis(0), client(AT_HOME)),
            over: false,
        }
    }
}

fn client(place: Place) -> Client {
    let address: IpAddr = place.address.parse().expect("it is an address");
    Client {
        address: Some(address),
        user_agent: Some(place.agent.to_owned()),
        trace_id: None,
    }
}

impl Session for UnderTest {
    fn present(&mut self, token: Token, now: Moment, from: Place) -> Said {
        if self.over {
            return Said::Over;
        }
        let (token, client, now) = (Generation(token), client(from), Timestamp::from_millis(now));
        let verdict = self.state.judge(token, &client, now, &self.rules);
        if let Some(next) = self.state.after(verdict, token, &client, now) {
            self.state = next;
        }
        match verdict {
            _ if verdict.is_served() => Said::Cookie(self.state.generation.0),
            RefreshVerdict::RepeatElsewhere => Said::Refused,
            _ => {
                self.over = true;
                Said::Over
            }
        }
    }
}
