//! Wrong passwords in a row, and how long the next guess must wait.

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use super::{Rate, Timestamp, UserId, network_of, site_of};

/// The first delay after too many failures from one network. It is short because it may follow a typing error; each further failure doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// A run is forgotten after this time without a failure.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);
/// The most rows of runs for accounts, and as many again for names without an account, so that clients cannot fill the disk: about 15 MB each. A failure takes at
/// most three rows and costs a password hash; on a small machine 50 000 hashes take longer than any delay lasts.
pub const MAX_FAILURE_ROWS: u32 = 150_000;
/// How long an account knows a network after one of its sessions was last used from there.
pub const ACQUAINTED_FOR: Duration = Duration::from_hours(24 * 30);

/// Whose password a client guesses.
#[derive(Clone, Copy, Debug)]
pub enum Guessed<'a> {
    /// An account, under any of its names.
    Account(UserId),
    /// A name without an account, in the form in which names are unique.
    UnknownName(&'a str),
}

/// The keyed digest of an account or name, or of an origin of guesses. 16 bytes are enough to be unique; a digest proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureDigest(pub [u8; 16]);

/// Whether the guessed name has an account. Clients can make up any number of names; guesses at these must not displace the counts of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    OfAccount,
    OfUnknownName,
}

/// The keys under which a wrong password is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureKey {
    pub kind: FailureKind,
    pub guessed: FailureDigest,
    /// The digest of the client's network ([`network_of`]).
    pub network: FailureDigest,
    /// The digest of the client's site ([`site_of`]); the same as `network` for an IPv4 address.
    pub site: FailureDigest,
    /// The account whose sessions decide whether the address is known. An unknown name gets an id without sessions.
    pub user_id: UserId,
    /// `None` for a process on this machine.
    pub address: Option<IpAddr>,
}

impl FailureKey {
    /// Whether the client's site has more than one network.
    pub fn has_wide_site(&self) -> bool {
        self.site != self.network
    }
}

/// How well an account knows the address of a guess: whether its sessions were lately used from the same network, from the same site, or from neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    None,
    Site,
    Network,
}

impl Acquaintance {
    /// Sessions that were last used before this time are ignored at `now`.
    pub fn forgotten_before(now: Timestamp) -> Timestamp {
        now - ACQUAINTED_FOR
    }

    /// Compares `address` with the `addresses` of sessions; `None` is a process on this machine.
    pub fn of(address: Option<IpAddr>, addresses: &[Option<IpAddr>]) -> Self {
        let is_known = |part: fn(IpAddr) -> IpAddr| {
            let here = address.map(part);
            addresses.iter().any(|known| known.map(part) == here)
        };
        if is_known(network_of) {
            Self::Network
        } else if is_known(site_of) {
            Self::Site
        } else {
            Self::None
        }
    }
}

/// Wrong passwords in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureRun {
    pub length: u32,
    pub last_failed_at: Timestamp,
    /// The run from everywhere is divided into stretches, and each ends with a pause. In that run, this is the time when the current stretch began. In a
    /// site's run, it is the beginning of the stretch in which the run from everywhere last counted a failure of the site.
    pub stretch: Timestamp,
    /// In a site's run: how many of its failures the run from everywhere counted in that stretch.
    pub added: u32,
}

impl FailureRun {
    /// A run whose last failure was before this time is forgotten at `now`.
    pub fn forgotten_before(now: Timestamp) -> Timestamp {
        now - FORGOTTEN_AFTER
    }

    fn is_forgotten(self, now: Timestamp) -> bool {
        now.since(self.last_failed_at) >= FORGOTTEN_AFTER
    }

    /// The rest of a delay that began with the last failure. If the failure is far in the future, the clock was set back. There is then no delay, because it
    /// would last until the clock has caught up.
    fn rest_of(self, delay: Duration, now: Timestamp) -> Option<Duration> {
        let until = self.last_failed_at + delay;
        (now < until && self.last_failed_at <= now + delay).then(|| until.since(now).min(delay))
    }
}

/// The runs to which a wrong guess adds; `None` where there were no failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureRuns {
    /// From this network.
    pub from_here: Option<FailureRun>,
    /// From this site; the same run for an IPv4 address.
    pub from_site: Option<FailureRun>,
    /// From everywhere; each site adds at most its [share](FailureLimits::share).
    pub from_everywhere: Option<FailureRun>,
}

impl FailureRuns {
    /// How long the next guess must wait because of its network.
    pub fn delay(self, limits: FailureLimits, now: Timestamp) -> Option<Duration> {
        let run = live(self.from_here, now)?;
        run.rest_of(limits.delay_from_one_network(run.length), now)
    }

    /// How long the account accepts no password from unknown networks.
    pub fn pause(self, limits: FailureLimits, now: Timestamp) -> Option<Duration> {
        paused(self.from_everywhere, limits, now)
    }

    /// How long the account accepts no password from one wide site. This pause is needed because the run from everywhere counts only the share of a site.
    pub fn pause_of_site(self, key: FailureKey, limits: FailureLimits, now: Timestamp) -> Option<Duration> {
        let run = self.from_site.filter(|_| key.has_wide_site());
        paused(run, limits, now)
    }

    /// The runs after one more wrong password. A run does not grow while it causes a pause: a network that is exempt from the pause must not
    /// end it.
    #[must_use]
    pub fn with_failure(self, key: FailureKey, limits: FailureLimits, now: Timestamp) -> Self {
        let from_site = match self.pause_of_site(key, limits, now) {
            Some(_) => self.from_site,
            None => Some(longer(self.from_site, now)),
        };
        let longer_runs = Self {
            from_here: Some(longer(self.from_here, now)),
            from_site,
            ..self
        };
        match self.pause(limits, now) {
            Some(_) => longer_runs,
            None => longer_runs.with_share(limits, now),
        }
    }

    /// Adds one to the run from everywhere, unless the site has already added its share to the current stretch.
    fn with_share(self, limits: FailureLimits, now: Timestamp) -> Self {
        let everywhere = live(self.from_everywhere, now);
        let stretch = everywhere
            .filter(|run| !limits.is_end_of_stretch(run.length))
            .map_or(now, |run| run.stretch);
        let added = self.from_site.filter(|run| run.stretch == stretch);
        let added = added.map_or(0, |run| run.added);
        if added >= limits.share() {
            return self;
        }
        Self {
            from_site: self.from_site.map(|run| FailureRun {
                stretch,
                added: added + 1,
                ..run
            }),
            from_everywhere: Some(FailureRun {
                stretch,
                ..longer(everywhere, now)
            }),
            ..self
        }
    }
}

fn live(run: Option<FailureRun>, now: Timestamp) -> Option<FailureRun> {
    run.filter(|run| !run.is_forgotten(now))
}

fn longer(run: Option<FailureRun>, now: Timestamp) -> FailureRun {
    let (stretch, added) = run.map_or((now, 0), |run| (run.stretch, run.added));
    FailureRun {
        length: live(run, now).map_or(0, |run| run.length).saturating_add(1),
        last_failed_at: now,
        stretch,
        added,
    }
}

fn paused(run: Option<FailureRun>, limits: FailureLimits, now: Timestamp) -> Option<Duration> {
    let run = live(run, now)?;
    run.rest_of(limits.pause_of_account(run.length), now)
}

/// How many wrong passwords in a row make the next guess at an account wait, and how long (OWASP Authentication Cheat Sheet, "Account Lockout"; NIST SP
/// 800-63B-4 §3.2.2 asks for no more than 100 in a row).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// After this many wrong passwords from one network, the next guess must wait 1 s. Each further one doubles the wait, up to the duration.
    pub from_one_network: Rate,
    /// Each time this many came from all networks, the account accepts no password for the duration. This stops guesses from many addresses that each stay
    /// below their own limit. Each site counts for at most a tenth (see [`FailureLimits::share`]), so that no site alone causes a pause. Networks from
    /// which sessions of the account were lately used are exempt, so that a pause does not lock the owner out.
    ///
    /// A wide site is paused by itself after the same number of failures. Otherwise its networks together could guess without end.
    pub of_account: Rate,
}

impl Default for FailureLimits {
    /// After 5 from one network, a wait of up to a minute; after 100 from everywhere, a pause of 15 minutes. Ten or more sites together
    /// make at most 9 600 guesses a day, which a password outside the list of common ones withstands. Nine or fewer cause no pause: nine IPv4 addresses make
    /// at most 13 000 guesses a day, nine IPv6 sites 86 400.
    fn default() -> Self {
        Self {
            from_one_network: Rate::per_minutes(5, 1),
            of_account: Rate::per_minutes(100, 15),
        }
    }
}

impl FailureLimits {
    fn delay_from_one_network(self, length: u32) -> Duration {
        let Some(doublings) = length.checked_sub(self.from_one_network.requests().get()) else {
            return Duration::ZERO;
        };
        let doubled = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings));
        doubled.min(self.from_one_network.per())
    }

    /// The maximum number of wrong passwords from one site that count between two pauses: a tenth of the number that causes a pause,
    /// and at least 1.
    pub fn share(self) -> u32 {
        (self.of_account.requests().get() / 10).max(1)
    }

    fn is_end_of_stretch(self, length: u32) -> bool {
        length > 0 && length.is_multiple_of(self.of_account.requests().get())
    }

    fn pause_of_account(self, length: u32) -> Duration {
        if self.is_end_of_stretch(length) {
            self.of_account.per()
        } else {
            Duration::ZERO
        }
    }
}
