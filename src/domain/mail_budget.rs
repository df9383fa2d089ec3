//! How often mail may be requested for one mailbox.

use std::time::Duration;

use super::Timestamp;

/// Why mail is sent; each purpose has a budget of its own. The names are those in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum MailPurpose {
    SignIn,
    Verify,
    Reset,
    /// Asks the reader of a new address to confirm it.
    Change,
    /// Informs the owner of a change.
    Notice,
}

/// When mail of one purpose was last requested for one mailbox, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailBudget(Vec<Timestamp>);

impl MailBudget {
    /// The maximum number of mails in an hour.
    pub const PER_HOUR: usize = 5;
    /// The maximum number of codes in an hour while codes of many accounts are being guessed.
    pub const PER_HOUR_BRAKED: usize = 2;
    /// The shortest time between two mails, except for notices.
    pub const PAUSE: Duration = Duration::from_mins(1);
    /// The maximum number of mails in a day.
    pub const PER_DAY: usize = 10;

    pub fn new(mut newest_first: Vec<Timestamp>) -> Self {
        newest_first.truncate(Self::PER_DAY);
        Self(newest_first)
    }

    pub fn newest_first(&self) -> &[Timestamp] {
        &self.0
    }

    /// The budget after one more mail at `now`.
    ///
    /// # Errors
    /// The time until another mail is allowed. The limits are 5 mails in an hour (2 if `is_braked`), 10 in a day and, except for notices, one in 60 s.
    pub fn spend(&self, purpose: MailPurpose, is_braked: bool, now: Timestamp) -> Result<Self, Duration> {
        let per_hour = if is_braked {
            Self::PER_HOUR_BRAKED
        } else {
            Self::PER_HOUR
        };
        let rules = [
            (per_hour, Duration::from_hours(1)),
            (Self::PER_DAY, Duration::from_hours(24)),
            (1, Self::PAUSE),
        ];
        // Notices need no pause: two changes may follow one another, and the second may be an attacker's.
        let rules = match purpose {
            MailPurpose::Notice => &rules[..2],
            _ => &rules[..],
        };
        let wait = rules
            .iter()
            .filter_map(|(most, window)| {
                // Times further in the future than the window do not count: a clock that was set back leaves them, and has to catch up first.
                let mut recent = self.0.iter().filter(|at| at.since(now) <= *window);
                recent
                    .nth(*most - 1)
                    .map(|earlier| window.saturating_sub(now.since(*earlier)))
            })
            .max()
            .unwrap_or_default();
        if wait > Duration::ZERO {
            Err(wait)
        } else {
            Ok(Self::new(
                std::iter::once(now).chain(self.0.iter().copied()).collect(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_minute_lies_between_two_mails() {
        let budget = MailBudget::default().spend(MailPurpose::Reset, false, at(0));
        let budget = budget.expect("it is the first");
        assert_eq!(
            budget.spend(MailPurpose::Reset, false, at(59)).err(),
            Some(Duration::from_secs(1))
        );
        assert!(budget.spend(MailPurpose::Reset, false, at(60)).is_ok());
    }

    #[test]
    fn five_in_an_hour_and_ten_in_a_day_are_allowed() {
        let mut budget = MailBudget::default();
        let mut sent = Vec::new();
        for minute in 0..48 * 60 {
            if let Ok(spent) = budget.spend(MailPurpose::Reset, false, at(minute * 60)) {
                budget = spent;
                sent.push(minute);
            }
        }
        let hour: Vec<u64> = (0..5).collect();
        assert_eq!(sent[..5], hour);
        assert_eq!(sent[5..10], [60, 61, 62, 63, 64]);
        assert_eq!(sent[10], 24 * 60);
    }

    #[test]
    fn while_braked_two_in_an_hour_are_allowed_also_of_those_from_before() {
        let mut budget = MailBudget::default();
        for second in [0, 60, 120] {
            budget = budget
                .spend(MailPurpose::SignIn, false, at(second))
                .expect("five an hour are allowed");
        }
        let wait = budget.spend(MailPurpose::SignIn, true, at(180)).err();
        assert_eq!(wait, Some(Duration::from_mins(58)));
        assert!(budget.spend(MailPurpose::SignIn, true, at(3600 + 60)).is_ok());
    }
}
