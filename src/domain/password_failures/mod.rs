//! Wrong passwords in a row, and how long the next one has to wait for them.

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use super::{Rate, Timestamp, UserId, network_of, site_of};

/// The first delay after too many failures from one network: too short to annoy whoever mistyped, and doubled by each further failure.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// A run that nothing was added to for so long says nothing about the next guess.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);
/// The most rows of runs for accounts, and as many again for names without one, so that strangers cannot fill the disk: some 15 MB each. A failure
/// takes three at most, and costs whoever causes it a password hash; on a small machine 50 000 of those take longer than any delay lasts.
pub const MAX_FAILURE_ROWS: u32 = 150_000;
/// How long a network is known to an account after a session of the account was last used from there.
pub const ACQUAINTED_FOR: Duration = Duration::from_hours(24 * 30);

/// Whose password somebody guesses at.
#[derive(Clone, Copy, Debug)]
pub enum Guessed<'a> {
    /// That of this account, under whichever of its names.
    Account(UserId),
    /// That of this name, in the form in which names are unique; no account has it.
    Nobody(&'a str),
}

/// The keyed digest of whose password was guessed, or from where. (16 bytes: two of them are never equal by chance, and nothing is proved by one.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureDigest(pub [u8; 16]);

/// Whether an account stands behind what wrong passwords are counted under. Strangers make up names without end; what they guess must not push the
/// counts of accounts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// There is one.
    OfAccount,
    /// There is none.
    OfNobody,
}

impl FailureKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OfAccount, Self::OfNobody];
}

/// What wrong passwords are counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureKey {
    /// Whether there is an account.
    pub kind: FailureKind,
    /// Whose password was guessed at.
    pub guessed: FailureDigest,
    /// From which network ([`network_of`]).
    pub network: FailureDigest,
    /// From which site ([`site_of`]); the same where the network is all of it.
    pub site: FailureDigest,
    /// Whose sessions tell whether the address is known; those of a made-up id, of which there are none, for a name without an account.
    pub holder: UserId,
    /// From which address; `None` for a process on this machine.
    pub address: Option<IpAddr>,
}

impl FailureKey {
    /// Whether its site has other networks too.
    pub fn has_wide_site(&self) -> bool {
        self.site != self.network
    }
}

/// How well an account knows where a guess comes from: whether its sessions were used from there lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// It does not.
    None,
    /// From the same site.
    Site,
    /// From the same network.
    Network,
}

impl Acquaintance {
    /// Before which moment a session was last used that says nothing any more at `now`.
    pub fn forgotten_before(now: Timestamp) -> Timestamp {
        now - ACQUAINTED_FOR
    }

    /// How well `address` is known from the `addresses` of sessions; `None` is a process on this machine.
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
    /// How many.
    pub length: u32,
    /// When the last one was tried.
    pub last_failed_at: Timestamp,
    /// Of the run from everywhere: when its present stretch began, which ends with the next pause. Of a site's: in which stretch it was last added to.
    pub stretch: Timestamp,
    /// Of a site's run: how many of it were added to the run from everywhere in that stretch.
    pub added: u32,
}

impl FailureRun {
    /// Before which moment the last failure of a run lies that is forgotten at `now`.
    pub fn forgotten_before(now: Timestamp) -> Timestamp {
        now - FORGOTTEN_AFTER
    }

    fn is_forgotten(self, now: Timestamp) -> bool {
        now.since(self.last_failed_at) >= FORGOTTEN_AFTER
    }

    /// What is left of a delay that began with the last failure. A clock that was set back may have left that failure in the future; it delays nobody
    /// then, for it would until the clock has caught up.
    fn rest_of(self, delay: Duration, now: Timestamp) -> Option<Duration> {
        let until = self.last_failed_at + delay;
        (now < until && self.last_failed_at <= now + delay).then(|| until.since(now).min(delay))
    }
}

/// The runs of wrong passwords that one guess meets and, if it is wrong, adds to; `None` where there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureRuns {
    /// For the account from this network.
    pub from_here: Option<FailureRun>,
    /// For the account from this site; the same run where the network is all of it.
    pub from_site: Option<FailureRun>,
    /// For the account from everywhere: of each site no more than its share.
    pub from_everywhere: Option<FailureRun>,
}

impl FailureRuns {
    /// How long the next guess has to wait because of its own network; `None` if it may be made.
    pub fn delay(self, limits: FailureLimits, now: Timestamp) -> Option<Duration> {
        let run = live(self.from_here, now)?;
        run.rest_of(limits.delay_from_one_network(run.length), now)
    }

    /// How long the account takes no password from those whom it does not know; `None` if it does.
    pub fn pause(self, limits: FailureLimits, now: Timestamp) -> Option<Duration> {
        paused(self.from_everywhere, limits, now)
    }

    /// The same for the networks of one wide site, which the run from everywhere does not count beyond its share.
    pub fn pause_of_site(self, key: FailureKey, limits: FailureLimits, now: Timestamp) -> Option<Duration> {
        let run = self.from_site.filter(|_| key.has_wide_site());
        paused(run, limits, now)
    }

    /// The runs after one more wrong password. What is paused is not counted: those who are exempt from a pause must not end it.
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

    /// Adds one to the run from everywhere, unless the site has added its share to the present stretch.
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

/// After how many wrong passwords in a row the next guess at an account waits, and for how long (OWASP Authentication Cheat Sheet, "Account Lockout";
/// NIST SP 800-63B-4 §3.2.2 asks for no more than 100 in a row).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// So many from one network are free. After that each makes the next one wait: 1 s, then twice as long each time, up to the duration.
    pub from_one_network: Rate,
    /// After so many from everywhere, and again after as many more, the account takes no password for the duration: it ends guessing by many addresses
    /// together, each of which stays below its own limit. Of each site only a tenth is counted (see [`FailureLimits::share`]), so that no one of them
    /// causes a pause, and networks from which sessions of the account were used lately are exempt, so that none keeps the owner out.
    ///
    /// A wide site is paused alone after as many of its own: its networks together would otherwise guess without end.
    pub of_account: Rate,
}

impl Default for FailureLimits {
    /// 5 from one network, then up to a minute; 100 from everywhere, then a quarter of an hour. Ten sites or a thousand get through 9 600 guesses a day
    /// together, which a password that is not in the list of common ones withstands. Nine or fewer cause no pause: nine IPv4 addresses get through 13 000 a
    /// day, nine IPv6 sites through 86 400.
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

    /// How many wrong passwords of one site are counted from one pause of the account to the next: a tenth of what causes one, and at least 1.
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
