//! How many rows of the audit log strangers can cause.

use std::time::Duration;

use crate::domain::{Actor, AuditEvent, AuditOutcome, AuditRecord, Timestamp};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Whose rows share a budget. What the operator does, and what was done to an account by its owner, has none: each of these costs a password hash, a
/// mail or a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Rows about no account, which anybody can cause with any name.
    NoAccount,
    /// Refusals at an account, which whoever knows its name can cause.
    AtAccount,
    /// Changes of profiles, which cost nothing.
    Profile,
    /// Rows that count what memory refused, one for each address and minute.
    Tally,
    /// The same for refreshes without a token that this server made: a page that nobody is signed in to asks so each time it is opened.
    StrangeRefresh,
    /// Refreshes of sessions that had ended, which a program that was forgotten somewhere goes on trying.
    EndedSession,
}

impl Class {
    pub(super) const ALL: [Self; 6] = [
        Self::NoAccount,
        Self::AtAccount,
        Self::Profile,
        Self::Tally,
        Self::StrangeRefresh,
        Self::EndedSession,
    ];

    /// The class of a row; `None` if it needs no budget.
    pub(super) fn of(record: &AuditRecord) -> Option<Self> {
        match (&record.actor, &record.subject, record.outcome) {
            (Actor::Operator(_), ..) => None,
            _ if record.event == AuditEvent::RefreshRefused => Some(Self::EndedSession),
            (_, None, _) => Some(Self::NoAccount),
            (_, Some(_), AuditOutcome::Refused(_)) => Some(Self::AtAccount),
            _ if record.event == AuditEvent::ProfileChanged => Some(Self::Profile),
            _ => None,
        }
    }

    /// The class of a row that counts events of this kind.
    pub(super) fn of_tally(event: AuditEvent) -> Self {
        match event {
            AuditEvent::RefreshRefused => Self::StrangeRefresh,
            _ => Self::Tally,
        }
    }

    /// How many rows of their own there may be in a minute and in an hour; further ones are counted in one row for the hour. All six used up without
    /// end, in the 90 days that rows are kept, make nine million rows, which is little more than one gigabyte.
    const fn most(self) -> (u32, u32) {
        match self {
            // More than a thousand people mistype their names in.
            Self::NoAccount | Self::Profile => (60, 1000),
            Self::AtAccount => (120, 1500),
            // Enough addresses to see who it is.
            Self::Tally => (20, 300),
            Self::StrangeRefresh | Self::EndedSession => (20, 150),
        }
    }
}

/// How many rows a class has had in the present minute and hour. It is in memory: after a restart a stranger has the budget of one hour more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    minute: i64,
    in_minute: u32,
    hour: i64,
    in_hour: u32,
}

impl Budget {
    /// Takes one row, if there is one left.
    pub(super) fn take(&mut self, class: Class, now: Timestamp) -> bool {
        let (minute, hour) = (start_of(now, MINUTE).as_millis(), start_of(now, HOUR).as_millis());
        if self.minute != minute {
            (self.minute, self.in_minute) = (minute, 0);
        }
        if self.hour != hour {
            (self.hour, self.in_hour) = (hour, 0);
        }
        let (most_in_minute, most_in_hour) = class.most();
        let is_left = self.in_minute < most_in_minute && self.in_hour < most_in_hour;
        if is_left {
            self.in_minute += 1;
            self.in_hour += 1;
        }
        is_left
    }
}

/// When the present minute began.
pub(super) fn start_of_minute(now: Timestamp) -> Timestamp {
    start_of(now, MINUTE)
}

/// When the present hour began.
pub(super) fn start_of_hour(now: Timestamp) -> Timestamp {
    start_of(now, HOUR)
}

fn start_of(now: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_millis()).expect("a span is short");
    Timestamp::from_millis(now.as_millis().div_euclid(span) * span)
}
