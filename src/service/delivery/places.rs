//! How many mails may be on their way at once.
//!
//! A mail server that is slow with some mails must not hold up the others, and least of all a code: so a delivery that is slow gives its place up, and of
//! the mails to one domain only a few are on their way. All connections together stay below the 50 that Postfix allows to one client by default.

use std::collections::HashMap;

use crate::domain::DomainDigest;

/// How many mails are on their way at once, not counting those that the mail server is slow with.
pub(super) const PLACES: usize = 16;
/// How many of them go to one domain.
const PLACES_OF_A_DOMAIN: usize = 2;
/// How many deliveries may be slow at once before they take places again.
const SLOW: usize = 32;
/// How many of them may be of one domain before they take its places again.
const SLOW_OF_A_DOMAIN: usize = 16;

/// How a delivery goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Quick,
    Slow,
}

/// Which places are taken.
#[derive(Debug, Default)]
pub(super) struct Places {
    all: Taken,
    domains: HashMap<DomainDigest, Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    quick: usize,
    slow: usize,
}

impl Taken {
    fn add(&mut self, pace: Pace) {
        match pace {
            Pace::Quick => self.quick += 1,
            Pace::Slow => self.slow += 1,
        }
    }

    const fn is_below(&self, places: usize, slow: usize) -> bool {
        self.quick + self.slow.saturating_sub(slow) < places
    }
}

impl Places {
    /// Adds a delivery to a domain; `None` if the domain is not known, of which as many as there are places may be on their way.
    pub(super) fn take(&mut self, domain: Option<DomainDigest>, pace: Pace) {
        self.all.add(pace);
        if let Some(domain) = domain {
            self.domains.entry(domain).or_default().add(pace);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        !self.all.is_below(PLACES, SLOW)
    }

    pub(super) fn has_room_for(&self, domain: Option<DomainDigest>) -> bool {
        let taken = domain.and_then(|domain| self.domains.get(&domain));
        !self.is_full() && taken.is_none_or(|taken| taken.is_below(PLACES_OF_A_DOMAIN, SLOW_OF_A_DOMAIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many deliveries of `pace` to domains that `domain` gives begin before there is no room.
    fn fill(places: &mut Places, pace: Pace, domain: impl Fn(usize) -> Option<i64>) -> usize {
        let mut begun = 0;
        loop {
            let domain = domain(begun).map(DomainDigest);
            if !places.has_room_for(domain) {
                return begun;
            }
            places.take(domain, pace);
            begun += 1;
        }
    }

    #[test]
    fn two_go_to_one_domain_and_sixteen_in_all() {
        let mut places = Places::default();
        assert_eq!(fill(&mut places, Pace::Quick, |_| Some(1)), 2);
        assert_eq!(
            fill(&mut places, Pace::Quick, |number| i64::try_from(number)
                .ok()
                .map(|n| n + 2)),
            14
        );
        assert!(places.is_full());
        assert_eq!(fill(&mut Places::default(), Pace::Quick, |_| None), 16);
    }

    #[test]
    fn slow_ones_hold_up_nobody_until_they_are_many() {
        let mut places = Places::default();
        assert_eq!(
            fill(&mut places, Pace::Slow, |_| Some(1)),
            16 + 2,
            "of one domain"
        );
        assert!(places.has_room_for(Some(DomainDigest(2))));
        let mut places = Places::default();
        let each = |number: usize| i64::try_from(number).ok();
        assert_eq!(
            fill(&mut places, Pace::Slow, each),
            32 + 16,
            "below what Postfix allows to one client"
        );
        assert!(!places.has_room_for(Some(DomainDigest(-1))));
    }
}
