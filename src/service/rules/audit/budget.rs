//! How many rows of the audit log strangers can cause, and whose share they are.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use crate::domain::{Actor, AuditEvent, AuditOutcome, AuditRecord, Timestamp, UserId, site_of};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Whose rows share a budget. What the operator does has none, nor has what costs a password hash, a mail, a link or a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// Rows about no account, which anybody can cause with any name.
    NoAccount,
    /// Refusals at an account, which whoever knows its name can cause.
    AtAccount,
    /// What an owner does and what costs nothing, such as a change of the profile.
    ByOwner,
    /// Rows that count what memory refused, one for each address, account and minute.
    Tally,
    /// The same for refreshes without a token that this server made: a page that nobody is signed in to asks so each time it is opened.
    StrangeRefresh,
    /// Refreshes of sessions that had ended, which a program that was forgotten somewhere goes on trying.
    EndedSession,
}

/// So many rows in a minute and in an hour.
#[derive(Clone, Copy, Debug)]
struct Most {
    in_minute: u32,
    in_hour: u32,
}

impl Class {
    pub(super) const ALL: [Self; 6] = [
        Self::NoAccount,
        Self::AtAccount,
        Self::ByOwner,
        Self::Tally,
        Self::StrangeRefresh,
        Self::EndedSession,
    ];

    /// The class of a row; `None` if it needs no budget.
    pub(super) fn of(record: &AuditRecord) -> Option<Self> {
        match (&record.actor, &record.subject, record.outcome) {
            (Actor::Operator(_), ..) => None,
            _ if matches!(
                record.event,
                AuditEvent::RefreshRefused | AuditEvent::RefreshRepeated
            ) =>
            {
                Some(Self::EndedSession)
            }
            (_, None, _) => Some(Self::NoAccount),
            (_, Some(_), AuditOutcome::Refused(_)) => Some(Self::AtAccount),
            (_, Some(_), AuditOutcome::Done) if costs(record.event) => None,
            _ => Some(Self::ByOwner),
        }
    }

    /// The class of a row that counts events of this kind.
    pub(super) fn of_tally(event: AuditEvent) -> Self {
        match event {
            AuditEvent::RefreshRefused => Self::StrangeRefresh,
            _ => Self::Tally,
        }
    }

    /// The wall: how many rows of their own all accounts and networks have together.
    const fn wall(self) -> Most {
        match self {
            Self::NoAccount | Self::AtAccount => Most {
                in_minute: 60,
                in_hour: 600,
            },
            Self::ByOwner => Most {
                in_minute: 30,
                in_hour: 300,
            },
            // Enough addresses to see who it is.
            Self::Tally => Most {
                in_minute: 20,
                in_hour: 300,
            },
            Self::StrangeRefresh | Self::EndedSession => Most {
                in_minute: 20,
                in_hour: 150,
            },
        }
    }

    /// The share of one account, and that of one network: in an hour a tenth of the wall. More than the people of one office mistype.
    const fn share(self) -> Most {
        let wall = self.wall();
        Most {
            in_minute: wall.in_minute / 3,
            in_hour: wall.in_hour / 10,
        }
    }
}

/// Whether something that was done costs who does it a password hash, a mail, a link or a session each time.
const fn costs(event: AuditEvent) -> bool {
    matches!(
        event,
        AuditEvent::Register
            | AuditEvent::SignInByPassword
            | AuditEvent::SignInByCode
            | AuditEvent::SignOut
            | AuditEvent::RefreshReused
            | AuditEvent::RefreshAhead
            | AuditEvent::CodeSent
            | AuditEvent::VerificationSent
            | AuditEvent::EmailRejected
            | AuditEvent::AccountTakenBack
            | AuditEvent::PasswordChanged
            | AuditEvent::ResetSent
            | AuditEvent::PasswordReset
    )
}

/// How many rows one budget gave in the present hour.
#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    minute: i64,
    in_minute: u32,
    in_hour: u32,
}

impl Budget {
    fn has(self, minute: i64, most: Most) -> bool {
        let in_minute = if self.minute == minute { self.in_minute } else { 0 };
        in_minute < most.in_minute && self.in_hour < most.in_hour
    }

    fn take(&mut self, minute: i64) {
        if self.minute != minute {
            (self.minute, self.in_minute) = (minute, 0);
        }
        self.in_minute += 1;
        self.in_hour += 1;
    }

    /// Gives back a row of `minute`.
    fn give_back(&mut self, minute: i64) {
        if self.minute == minute {
            self.in_minute = self.in_minute.saturating_sub(1);
        }
        self.in_hour = self.in_hour.saturating_sub(1);
    }
}

/// A row that was taken, and whose shares it was taken from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    class: Class,
    account: Option<UserId>,
    site: Option<IpAddr>,
    at: Timestamp,
}

/// How many rows were given in the present hour: to each account, to each network, and in all. A row comes out of all three.
///
/// A network is what one client may have as a whole (`site_of`): with shares for each /64, a home connection would have as many as it likes. It is in
/// memory: after a restart a stranger has the budget of one hour more.
///
/// An account or network is remembered only with a row that it got. So there are never more of them than rows in an hour, 2 100, and none has to be
/// forgotten for another.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    hour: i64,
    walls: [Budget; Class::ALL.len()],
    accounts: HashMap<(Class, UserId), Budget>,
    sites: HashMap<(Class, Option<IpAddr>), Budget>,
}

impl Budgets {
    /// Takes a row of a class for a record; `None` if a share that it would come out of is used up, or the wall is reached.
    pub(super) fn take(&mut self, class: Class, record: &AuditRecord, now: Timestamp) -> Option<Taken> {
        let hour = start_of_hour(now).as_millis();
        if self.hour != hour {
            *self = Self {
                hour,
                ..Self::default()
            };
        }
        let account = record.subject.as_ref().map(|subject| subject.user_id);
        let site = match &record.actor {
            Actor::Client(client) => client.address.map(site_of),
            Actor::Operator(_) => None,
        };
        let minute = start_of_minute(now).as_millis();
        let is_left = self.walls[class as usize].has(minute, class.wall())
            && account.is_none_or(|account| has_share(&self.accounts, class, account, minute))
            && has_share(&self.sites, class, site, minute);
        if !is_left {
            return None;
        }
        self.walls[class as usize].take(minute);
        if let Some(account) = account {
            self.accounts.entry((class, account)).or_default().take(minute);
        }
        self.sites.entry((class, site)).or_default().take(minute);
        Some(Taken {
            class,
            account,
            site,
            at: now,
        })
    }

    /// Gives a row back that was never written.
    pub(super) fn give_back(&mut self, taken: Taken) {
        if self.hour != start_of_hour(taken.at).as_millis() {
            return;
        }
        let minute = start_of_minute(taken.at).as_millis();
        self.walls[taken.class as usize].give_back(minute);
        if let Some(account) = taken.account {
            give_share_back(&mut self.accounts, taken.class, account, minute);
        }
        give_share_back(&mut self.sites, taken.class, taken.site, minute);
    }
}

fn has_share<K: Eq + Hash>(
    shares: &HashMap<(Class, K), Budget>,
    class: Class,
    whose: K,
    minute: i64,
) -> bool {
    let share = shares.get(&(class, whose)).copied().unwrap_or_default();
    share.has(minute, class.share())
}

fn give_share_back<K: Eq + Hash>(
    shares: &mut HashMap<(Class, K), Budget>,
    class: Class,
    whose: K,
    minute: i64,
) {
    let key = (class, whose);
    if let Some(share) = shares.get_mut(&key) {
        share.give_back(minute);
        if share.in_hour == 0 {
            shares.remove(&key);
        }
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

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::domain::{AuditReason, AuditSubject, Client, TraceId};
    use crate::store::MAX_NAME_COUNTS;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    /// A wrong password at an account from a network.
    fn guess(account: u32, network: u128) -> AuditRecord {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&account.to_be_bytes());
        let address = Ipv6Addr::from(0x2001_u128 << 112 | network << 64);
        let client = Client::new(Some(address.into()), None, TraceId::from_bytes([0; 16]));
        let subject = AuditSubject {
            user_id: UserId::from_bytes(id),
            username: "alice".to_owned(),
        };
        let record = AuditRecord::by_client(AuditEvent::SignInByPassword, &client);
        record.about(subject).refused(AuditReason::WrongPassword)
    }

    fn given(budgets: &mut Budgets, records: impl Iterator<Item = AuditRecord>, now: Timestamp) -> usize {
        let rows = records.filter_map(|record| budgets.take(Class::AtAccount, &record, now));
        rows.count()
    }

    #[test]
    fn an_account_and_a_site_spend_their_own_share_and_all_together_no_more_than_the_wall() {
        let mut budgets = Budgets::default();
        let site = |number: u128| number << 16;
        assert_eq!(given(&mut budgets, (0..100).map(|n| guess(1, site(n))), NOW), 20);
        // Networks of one site are one.
        assert_eq!(
            given(&mut budgets, (0..100).map(|n| guess(n + 2, n.into())), NOW),
            19
        );
        assert_eq!(
            given(&mut budgets, (200..300).map(|n| guess(n, site(n.into()))), NOW),
            21
        );
        let minute = |number: u64| NOW + MINUTE * u32::try_from(number).expect("it is small");
        let rows =
            |budgets: &mut Budgets, minute: Timestamp| given(budgets, (0..100).map(|_| guess(1, 0)), minute);
        let hour: Vec<usize> = (1..60).map(|number| rows(&mut budgets, minute(number))).collect();
        assert_eq!(hour.iter().sum::<usize>(), 40);
        assert_eq!(rows(&mut budgets, minute(60)), 20);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut budgets = Budgets::default();
        for number in 0..1000 {
            let taken = budgets.take(Class::AtAccount, &guess(number, 0), NOW);
            budgets.give_back(taken.expect("everything is left"));
        }
        assert!(budgets.accounts.is_empty() && budgets.sites.is_empty());
        assert_eq!(given(&mut budgets, (0..100).map(|_| guess(1, 0)), NOW), 20);
        let old = budgets
            .take(Class::AtAccount, &guess(2, 1 << 16), NOW)
            .expect("it is left");
        assert_eq!(given(&mut budgets, (0..100).map(|_| guess(1, 0)), NOW + HOUR), 20);
        budgets.give_back(old);
        assert_eq!(given(&mut budgets, (0..100).map(|_| guess(1, 0)), NOW + HOUR), 0);
    }

    #[test]
    fn no_more_is_remembered_than_rows_were_given() {
        let mut budgets = Budgets::default();
        let in_an_hour: usize = (0..60)
            .map(|minute| {
                let crowd = (0..200_u32).map(|n| guess(minute * 200 + n, u128::from(minute * 200 + n) << 16));
                given(&mut budgets, crowd, NOW + MINUTE * minute)
            })
            .sum();
        assert_eq!(in_an_hour, 600);
        assert_eq!((budgets.accounts.len(), budgets.sites.len()), (600, 600));
        let all: u32 = Class::ALL.iter().map(|class| class.wall().in_hour).sum();
        assert_eq!(all, 2100, "as the documentation of the type says");
    }

    /// The sum in `docs/security.md`, "What strangers can make durable": what a crowd leaves behind that spends everything without end.
    #[test]
    fn the_sum_of_all_that_strangers_can_have_written_down_is_as_documented() {
        const HOURS: u64 = 90 * 24;
        // More pairs of an event and a reason than strangers can cause.
        const KINDS: u64 = 128;
        // What a test of `tests/it/faults/audit.rs` measures, with all their indexes.
        const ROW_BYTES: u64 = 500;
        const COUNT_BYTES: u64 = 300;
        let walls: u64 = Class::ALL
            .iter()
            .map(|class| u64::from(class.wall().in_hour))
            .sum();
        let rows = walls * HOURS;
        let shared = KINDS * HOURS;
        assert_eq!((rows, shared), (4_536_000, 276_480));
        let names = u64::from(MAX_NAME_COUNTS) * COUNT_BYTES;
        let megabytes = (rows * ROW_BYTES + shared * ROW_BYTES + names) / 1_000_000;
        assert_eq!(megabytes, 2_409);
        assert_eq!(KINDS * COUNT_BYTES, 38_400, "of each account");
    }
}
