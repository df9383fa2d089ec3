//! How many deliveries may be under way at once.
//!
//! A mail server that is slow with some mails must not hold up the others, and least of all a code. So a slow delivery gives up its place, and only a few
//! mails to one domain are under way at once. All connections together stay below the 50 that Postfix allows to one client by default.

use crate::domain::DomainDigest;

/// How many deliveries may be under way, not counting the slow ones that [`SlowLimits`] allows.
const PLACES: usize = 16;
/// How many of them may go to one domain.
const SLOTS_PER_DOMAIN: usize = 2;

/// How many deliveries may be slow before further slow ones take places too.
#[derive(Clone, Copy)]
pub(super) struct SlowLimits {
    in_all: usize,
    of_a_domain: usize,
}

impl SlowLimits {
    const USUAL: Self = Self {
        in_all: 28,
        of_a_domain: 14,
    };
    /// A few more than usual mails get, so that slow domains of strangers do not delay urgent mails.
    const URGENT: Self = Self {
        in_all: 32,
        of_a_domain: 16,
    };

    pub(super) const fn of(is_urgent: bool) -> Self {
        if is_urgent { Self::URGENT } else { Self::USUAL }
    }
}

/// A delivery under way.
pub(super) struct UnderWay {
    /// The domain of the recipient. If it is `None`, only the limit over all domains applies.
    pub(super) domain: Option<DomainDigest>,
    pub(super) is_slow: bool,
}

/// The deliveries under way.
#[derive(Default)]
pub(super) struct InFlight(pub(super) Vec<UnderWay>);

impl InFlight {
    pub(super) fn is_full(&self, limits: SlowLimits) -> bool {
        taken(self.0.iter(), limits.in_all) >= PLACES
    }

    /// Whether a mail to `domain` may begin.
    pub(super) fn has_room_for(&self, domain: Option<DomainDigest>, limits: SlowLimits) -> bool {
        let same = self
            .0
            .iter()
            .filter(|other| domain.is_some() && other.domain == domain);
        !self.is_full(limits) && taken(same, limits.of_a_domain) < SLOTS_PER_DOMAIN
    }
}

/// How many places the deliveries take. Up to `free_slow` slow ones take none.
fn taken<'a>(deliveries: impl Iterator<Item = &'a UnderWay> + Clone, free_slow: usize) -> usize {
    let slow = deliveries.clone().filter(|delivery| delivery.is_slow).count();
    let quick = deliveries.filter(|delivery| !delivery.is_slow).count();
    quick + slow.saturating_sub(free_slow)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many deliveries, to the domains that `domain` returns, begin before there is no room.
    fn fill(
        in_flight: &mut InFlight,
        is_slow: bool,
        limits: SlowLimits,
        domain: impl Fn(i64) -> Option<i64>,
    ) -> i64 {
        let mut begun = 0;
        loop {
            let domain = domain(begun).map(DomainDigest);
            if !in_flight.has_room_for(domain, limits) {
                return begun;
            }
            in_flight.0.push(UnderWay { domain, is_slow });
            begun += 1;
        }
    }

    #[test]
    fn two_go_to_one_domain_and_sixteen_in_all() {
        for limits in [SlowLimits::URGENT, SlowLimits::USUAL] {
            let mut in_flight = InFlight::default();
            assert_eq!(fill(&mut in_flight, false, limits, |_| Some(-1)), 2);
            assert_eq!(fill(&mut in_flight, false, limits, Some), 14);
            assert!(in_flight.is_full(limits));
            assert_eq!(fill(&mut InFlight::default(), false, limits, |_| None), 16);
        }
    }

    #[test]
    fn slow_ones_hold_up_nobody_until_they_are_many_and_codes_even_later() {
        let (usual, urgent) = (SlowLimits::USUAL, SlowLimits::URGENT);
        let mut in_flight = InFlight::default();
        assert_eq!(
            fill(&mut in_flight, true, usual, |_| Some(-1)),
            14 + 2,
            "of one domain"
        );
        assert!(in_flight.has_room_for(Some(DomainDigest(0)), usual));
        assert_eq!(fill(&mut in_flight, false, urgent, |_| Some(-1)), 2);
        let mut in_flight = InFlight::default();
        assert_eq!(fill(&mut in_flight, true, usual, Some), 28 + 16);
        assert!(!in_flight.has_room_for(None, usual));
        assert_eq!(
            fill(&mut in_flight, true, urgent, |number| Some(-1 - number)),
            4,
            "together they stay below what Postfix allows to one client"
        );
    }
}
