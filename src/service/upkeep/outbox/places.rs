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
const SLOW: usize = 28;
/// How many of them may be of one domain before they take its places again.
const SLOW_OF_A_DOMAIN: usize = 14;
/// How many more may be slow as far as a code is concerned, and how many of one domain: mails that strangers cause at domains of their own leave these free.
const SLOW_FOR_CODES: (usize, usize) = (4, 2);

/// How a delivery goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Quick,
    Slow,
}

/// Whether a mail can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It is a code.
    Code,
    Other,
}

impl Urgency {
    pub(super) const fn of(is_urgent: bool) -> Self {
        if is_urgent { Self::Code } else { Self::Other }
    }

    const fn allowance(self) -> (usize, usize) {
        match self {
            Self::Code => SLOW_FOR_CODES,
            Self::Other => (0, 0),
        }
    }
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

    pub(super) fn is_full_for(&self, urgency: Urgency) -> bool {
        let (more, _) = urgency.allowance();
        !self.all.is_below(PLACES, SLOW + more)
    }

    pub(super) fn has_room_for(&self, domain: Option<DomainDigest>, urgency: Urgency) -> bool {
        let (_, more) = urgency.allowance();
        let taken = domain.and_then(|domain| self.domains.get(&domain));
        !self.is_full_for(urgency)
            && taken.is_none_or(|taken| taken.is_below(PLACES_OF_A_DOMAIN, SLOW_OF_A_DOMAIN + more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many deliveries of `pace` begin, to the domains that `domain` gives, before there is no room.
    fn fill(places: &mut Places, pace: Pace, urgency: Urgency, domain: impl Fn(i64) -> Option<i64>) -> i64 {
        let mut begun = 0;
        loop {
            let domain = domain(begun).map(DomainDigest);
            if !places.has_room_for(domain, urgency) {
                return begun;
            }
            places.take(domain, pace);
            begun += 1;
        }
    }

    #[test]
    fn two_go_to_one_domain_and_sixteen_in_all() {
        for urgency in [Urgency::Code, Urgency::Other] {
            let mut places = Places::default();
            assert_eq!(fill(&mut places, Pace::Quick, urgency, |_| Some(-1)), 2);
            assert_eq!(fill(&mut places, Pace::Quick, urgency, Some), 14);
            assert!(places.is_full_for(urgency));
            assert_eq!(fill(&mut Places::default(), Pace::Quick, urgency, |_| None), 16);
        }
    }

    #[test]
    fn slow_ones_hold_up_nobody_until_they_are_many_and_codes_even_later() {
        let mut places = Places::default();
        assert_eq!(
            fill(&mut places, Pace::Slow, Urgency::Other, |_| Some(-1)),
            14 + 2,
            "of one domain"
        );
        assert!(places.has_room_for(Some(DomainDigest(0)), Urgency::Other));
        assert_eq!(fill(&mut places, Pace::Quick, Urgency::Code, |_| Some(-1)), 2);
        let mut places = Places::default();
        assert_eq!(fill(&mut places, Pace::Slow, Urgency::Other, Some), 28 + 16);
        assert!(!places.has_room_for(None, Urgency::Other));
        assert_eq!(
            fill(&mut places, Pace::Slow, Urgency::Code, |number| Some(-1 - number)),
            4,
            "together they stay below what Postfix allows to one client"
        );
    }
}
