//! The budget of rows of the audit log that strangers can cause, and the share of one account or network in it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::domain::{Actor, AuditEvent, AuditReason, AuditRecord, Timestamp, UserId, site_of};

pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// A class of rows that share a budget. Rows of the operator's actions have no budget, nor have rows of events that cost a password hash, a mail, a link,
/// a session or an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::VariantArray)]
pub(super) enum Class {
    /// About no account: anyone can cause these with any name.
    NoAccount,
    /// Refusals at an account: anyone who knows its name can cause these.
    AtAccount,
    /// Events that an owner causes and that cost nothing, such as a change of the profile.
    ByOwner,
    /// Rows that count the refusals kept in memory, one for each address, account and minute.
    Tally,
    /// Rows that count refreshes without a token of this server: a page without a session sends such a request each time it is opened.
    StrangeRefresh,
    /// Refreshes with an authentic token that were refused or repeated, such as those of a forgotten program whose session has ended.
    EndedSession,
}

/// The maximum number of rows in a minute and in an hour.
#[derive(Clone, Copy, Debug)]
struct Most {
    in_minute: u32,
    in_hour: u32,
}

const fn most(in_minute: u32, in_hour: u32) -> Most {
    Most { in_minute, in_hour }
}

impl Class {
    /// The class of a row; `None` if it needs no budget.
    pub(super) fn of(record: &AuditRecord) -> Option<Self> {
        match (&record.actor, &record.subject, record.refused) {
            (Actor::Operator(_), ..) => None,
            _ if is_of_ended_session(record.event) => Some(Self::EndedSession),
            (_, None, _) => Some(Self::NoAccount),
            // It costs what the same request costs that is carried out. A row that a budget left out would tell in an export that the address is taken.
            (_, Some(_), Some(AuditReason::EmailTaken))
                if record.event == AuditEvent::EmailChangeRequested =>
            {
                None
            }
            (_, Some(_), Some(_)) => Some(Self::AtAccount),
            (_, Some(_), None) if costs(record.event) => None,
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

    /// How many rows all accounts and networks have together.
    const fn total(self) -> Most {
        match self {
            Self::NoAccount | Self::AtAccount => most(60, 600),
            Self::ByOwner => most(30, 300),
            // Enough rows to see which addresses send the requests.
            Self::Tally => most(20, 300),
            Self::StrangeRefresh | Self::EndedSession => most(20, 150),
        }
    }

    /// The share of one account or one network: a third of all rows in a minute, a tenth in an hour. The people of one office mistype less than this.
    const fn share(self) -> Most {
        let total = self.total();
        most(total.in_minute / 3, total.in_hour / 10)
    }
}

const fn is_of_ended_session(event: AuditEvent) -> bool {
    matches!(event, AuditEvent::RefreshRefused | AuditEvent::RefreshRepeated)
}

/// Whether an event costs its actor a password hash, a mail, a link, a session or an account each time.
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
            | AuditEvent::EmailChangeRequested
            | AuditEvent::EmailChanged
            | AuditEvent::EmailChangeCancelled
            | AuditEvent::EmailChangeUndone
            | AuditEvent::AccountDisplaced
            | AuditEvent::AccountTakenBack
            | AuditEvent::AccountDeleted
            | AuditEvent::PasswordChanged
            | AuditEvent::ResetSent
            | AuditEvent::PasswordReset
    )
}

/// Who spends a row of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Everyone,
    Account(UserId),
    /// The network of one client, as `site_of` returns it: with a share for each /64, a home connection could have as many shares as it likes.
    Network(Option<IpAddr>),
}

impl Holder {
    const fn most(self, class: Class) -> Most {
        match self {
            Self::Everyone => class.total(),
            Self::Account(_) | Self::Network(_) => class.share(),
        }
    }
}

/// How many rows one holder got in the present hour.
#[derive(Clone, Copy, Debug)]
struct Spent {
    minute: Timestamp,
    in_minute: u32,
    in_hour: u32,
}

impl Spent {
    fn is_below(self, most: Most, minute: Timestamp) -> bool {
        (self.minute != minute || self.in_minute < most.in_minute) && self.in_hour < most.in_hour
    }
}

/// A row that was taken out of the budgets.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    class: Class,
    holders: Vec<Holder>,
    at: Timestamp,
}

/// How many rows were taken in the present hour: in all, for each account and for each network. A row is taken out of all three budgets.
///
/// Kept in memory, so after a restart a stranger has the whole budget of the hour again. A holder is remembered only if it got a row, so there are never
/// more accounts or networks than rows in an hour, 2 100, and no holder has to be forgotten to make room.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    hour: Option<Timestamp>,
    spent: HashMap<(Class, Holder), Spent>,
}

impl Budgets {
    /// Takes a row of `class` for `record` out of the budgets; `None` if one of them is used up.
    pub(super) fn take(&mut self, class: Class, record: &AuditRecord, now: Timestamp) -> Option<Granted> {
        let (hour, minute) = (Some(now.start_of(HOUR)), now.start_of(MINUTE));
        if self.hour != hour {
            self.hour = hour;
            self.spent.clear();
        }
        let account = record.subject.as_ref().map(|subject| subject.user_id);
        let network = record.actor.client().address.map(site_of);
        let mut holders = vec![Holder::Everyone, Holder::Network(network)];
        holders.extend(account.map(Holder::Account));
        let is_left = |holder: &Holder| {
            let spent = self.spent.get(&(class, *holder));
            spent.is_none_or(|spent| spent.is_below(holder.most(class), minute))
        };
        if !holders.iter().all(is_left) {
            return None;
        }
        for holder in &holders {
            let spent = self.spent.entry((class, *holder));
            let spent = spent.or_insert(Spent {
                minute,
                in_minute: 0,
                in_hour: 0,
            });
            if spent.minute != minute {
                (spent.minute, spent.in_minute) = (minute, 0);
            }
            spent.in_minute += 1;
            spent.in_hour += 1;
        }
        Some(Granted {
            class,
            holders,
            at: now,
        })
    }

    /// Gives back a row that was never written.
    pub(super) fn give_back(&mut self, granted: Granted) {
        if self.hour != Some(granted.at.start_of(HOUR)) {
            return;
        }
        for holder in granted.holders {
            let key = (granted.class, holder);
            let Some(spent) = self.spent.get_mut(&key) else {
                continue;
            };
            if spent.minute == granted.at.start_of(MINUTE) {
                spent.in_minute = spent.in_minute.saturating_sub(1);
            }
            spent.in_hour = spent.in_hour.saturating_sub(1);
            if spent.in_hour == 0 {
                self.spent.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use strum::VariantArray;

    use super::*;
    use crate::domain::{AuditReason, AuditSubject, Client, TraceId};
    use crate::store::MAX_NAME_COUNTS;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    /// A wrong password at an account from a network.
    fn guess(account: u32, network: u128) -> AuditRecord {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&account.to_be_bytes());
        let address = Ipv6Addr::from(0x2001_u128 << 112 | network << 64);
        let client = Client::new(Some(address.into()), None, TraceId([0; 16]));
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
        // Networks of one site share a budget.
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
        assert!(budgets.spent.is_empty());
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
        assert_eq!(budgets.spent.len(), 1 + 600 + 600);
        let all: u32 = Class::VARIANTS.iter().map(|class| class.total().in_hour).sum();
        assert_eq!(all, 2100, "as the documentation of the type says");
    }

    /// The sum in `docs/security.md`, "What strangers can make durable": how much data is stored if a crowd uses up every budget all the time.
    #[test]
    fn the_sum_of_all_that_strangers_can_have_written_down_is_as_documented() {
        const HOURS: u64 = 90 * 24;
        // More pairs of an event and a reason than strangers can cause.
        const KINDS: u64 = 128;
        // Sizes with all indexes, as a test in `tests/it/faults/audit.rs` measures them.
        const ROW_BYTES: u64 = 600;
        const COUNT_BYTES: u64 = 350;
        let totals = Class::VARIANTS
            .iter()
            .map(|class| u64::from(class.total().in_hour));
        let rows = totals.sum::<u64>() * HOURS;
        let shared = KINDS * HOURS;
        assert_eq!((rows, shared), (4_536_000, 276_480));
        let names = u64::from(MAX_NAME_COUNTS) * COUNT_BYTES;
        let megabytes = (rows * ROW_BYTES + shared * ROW_BYTES + names) / 1_000_000;
        assert_eq!(megabytes, 2_890);
        assert_eq!(KINDS * COUNT_BYTES, 44_800, "of each account");
    }
}
