//! Clearing away what nobody will ask for again.

use std::time::Duration;

use super::{Error, Service};
use crate::domain::SessionId;

/// How long a session stays after it is over: an old refresh token is recognised as reuse for so long, and the operator sees why it ended.
const KEEP_ENDED_SESSIONS: Duration = Duration::from_hours(30 * 24);
/// How many rows one write removes, so that no request waits long behind it.
const CHUNK: u32 = 200;

impl Service {
    /// Removes sessions that were over 30 days ago, some at a time; says how many.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let over_before = self.system.now() - KEEP_ENDED_SESSIONS;
        let began_before = SessionId::first_at(over_before);
        let mut total = 0;
        loop {
            let some = self.store.write(move |tx| {
                tx.delete_old_sessions(began_before, over_before, CHUNK)
                    .map_err(Error::from)
            });
            match some.await? {
                0 => return Ok(total),
                removed => total += removed,
            }
        }
    }
}
