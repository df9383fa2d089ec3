//! Changes of an account's address: how long a former address is remembered, and which one gets a link to undo the change.

use std::time::Duration;

use super::Timestamp;

/// How long an account must have had an address before that address gets an undo. Without this minimum, the owner's change
/// back would mail an undo to the thief's address.
pub const MIN_HELD: Duration = Duration::from_hours(72);

/// How long a verified address that an account has left is remembered. The longer it is, the longer a change back to the address gets no undo.
pub const FORMER_ADDRESS_TTL: Duration = Duration::from_hours(30 * 24);

/// The address that a change leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftAddress {
    pub is_verified: bool,
    /// Since when the account has had it.
    pub since: Timestamp,
    /// Whether the new address has the same key, so that it differs only in case.
    pub has_same_key: bool,
}

impl LeftAddress {
    /// Whether the address gets a link to undo the change. `was_new_one_held` says whether the account held the new address verified within [`FORMER_ADDRESS_TTL`]:
    /// if so, the owner is probably moving the account back, and the address that it leaves is the thief's.
    pub fn gets_undo(self, was_new_one_held: bool, now: Timestamp) -> bool {
        self.is_verified && !self.has_same_key && !was_new_one_held && now.since(self.since) >= MIN_HELD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn left_after(held: Duration) -> LeftAddress {
        LeftAddress {
            is_verified: true,
            since: NOW - held,
            has_same_key: false,
        }
    }

    #[test]
    fn a_verified_address_gets_an_undo_after_72_hours() {
        assert!(left_after(MIN_HELD).gets_undo(false, NOW));
        let short = left_after(MIN_HELD.saturating_sub(Duration::from_millis(1)));
        assert!(!short.gets_undo(false, NOW));
    }

    #[test]
    fn an_address_that_was_never_verified_gets_no_undo() {
        let left = LeftAddress {
            is_verified: false,
            ..left_after(MIN_HELD * 2)
        };
        assert!(!left.gets_undo(false, NOW));
    }

    #[test]
    fn another_spelling_of_the_same_address_gets_no_undo() {
        let left = LeftAddress {
            has_same_key: true,
            ..left_after(MIN_HELD * 2)
        };
        assert!(!left.gets_undo(false, NOW));
    }

    #[test]
    fn a_change_back_gets_no_undo() {
        assert!(!left_after(MIN_HELD * 2).gets_undo(true, NOW));
    }

    #[test]
    fn an_address_from_the_future_gets_no_undo() {
        let left = LeftAddress {
            since: NOW + MIN_HELD * 2,
            ..left_after(MIN_HELD)
        };
        assert!(!left.gets_undo(false, NOW));
    }
}
