//! What hashes cost, and the cost of a guess that has no hash to compare with.

use argon2::Params;

use crate::domain::Argon2Cost;

/// The length of a hash in bytes: the default of the argon2 crate and of the reference implementation.
pub(super) const HASH_BYTES: usize = 32;
/// The largest cost that a stored hash may demand, so that a forged row can neither take all memory nor keep a thread busy for hours.
const MAX_STORED_COST: Argon2Cost = Argon2Cost {
    memory_kib: 1024 * 1024,
    iterations: 32,
    parallelism: 16,
};

impl Argon2Cost {
    /// The cost as `argon2` takes it, if it allows that cost.
    pub(super) fn params(self) -> argon2::Result<Params> {
        Params::new(
            self.memory_kib,
            self.iterations,
            self.parallelism,
            Some(HASH_BYTES),
        )
    }

    /// Whether a stored hash may demand this cost.
    pub(super) const fn is_acceptable(self) -> bool {
        self.memory_kib <= MAX_STORED_COST.memory_kib
            && self.iterations <= MAX_STORED_COST.iterations
            && self.parallelism <= MAX_STORED_COST.parallelism
    }

    /// Reads the cost in a PHC string, such as `m=19456,t=2,p=1`; `None` for a cost that no stored hash may have.
    fn from_phc(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let mut part = |name| parts.next()?.strip_prefix(name)?.parse().ok();
        let cost = Self {
            memory_kib: part("m=")?,
            iterations: part("t=")?,
            parallelism: part("p=")?,
        };
        (parts.next().is_none() && cost.is_acceptable() && cost.params().is_ok()).then_some(cost)
    }
}

/// The cost of guesses at names without a password. Each name keeps its cost, and the costs of names are distributed as those of accounts are.
///
/// So the time of an answer does not tell whether a name has a password, even while old accounts have the cost of an older configuration. The cost of a name
/// changes as that of an account does: once, when enough accounts have signed in and got a hash of the new cost.
#[derive(Debug)]
pub struct CostShares {
    costs: Vec<(Argon2Cost, u32)>,
    /// The cost of every name while there is no account.
    default: Argon2Cost,
}

impl CostShares {
    /// `stored` are the costs in PHC strings, each with its number of accounts.
    pub(super) fn new(stored: &[(String, u32)], default: Argon2Cost) -> Self {
        let usable = |(cost, accounts): &(String, u32)| Some((Argon2Cost::from_phc(cost)?, *accounts));
        Self {
            costs: stored.iter().filter_map(usable).collect(),
            default,
        }
    }

    /// The cost of a name. `digest` is its keyed digest: all values are equally likely, and no client can compute it.
    pub fn cost_of(&self, digest: [u8; 16]) -> Argon2Cost {
        let total: u64 = self.costs.iter().map(|(_, accounts)| u64::from(*accounts)).sum();
        // Scales the start of the digest to a point from 0 up to, but not including, `total`.
        let leading = u64::from_be_bytes(*digest.first_chunk().expect("a digest has 16 bytes"));
        let mut point = (u128::from(leading) * u128::from(total)) >> u64::BITS;
        for (cost, accounts) in &self.costs {
            match point.checked_sub(u128::from(*accounts)) {
                None => return *cost,
                Some(rest) => point = rest,
            }
        }
        self.default
    }
}

/// The least cost that argon2id has, for tests.
#[cfg(test)]
pub(super) const CHEAP: Argon2Cost = Argon2Cost {
    memory_kib: 8,
    iterations: 1,
    parallelism: 1,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_costs_in_the_proportions_of_the_stored_ones() {
        let stored = [
            ("m=16,t=1,p=1", 750),
            ("m=19456,t=2,p=1", 250),
            ("m=4194304,t=1,p=1", 9_000),
        ];
        let stored = stored.map(|(cost, accounts)| (cost.to_owned(), accounts));
        let shares = CostShares::new(&stored, CHEAP);
        let cost_at = |point: u64| {
            let mut digest = [7; 16];
            digest[..8].copy_from_slice(&point.to_be_bytes());
            shares.cost_of(digest).memory_kib
        };
        let three_quarters = u64::MAX / 4 * 3;
        let costs = [0, three_quarters - 9, three_quarters + 9, u64::MAX].map(cost_at);
        assert_eq!(costs, [16, 16, 19_456, 19_456]);
        assert_eq!(CostShares::new(&[], CHEAP).cost_of([7; 16]), CHEAP);
    }

    #[test]
    fn a_cost_that_no_stored_hash_may_have_is_not_read() {
        for text in [
            "",
            "m=8,t=1",
            "m=8,t=1,p=1,",
            "t=1,m=8,p=1",
            "m=1,t=1,p=1",
            "m=8,t=0,p=1",
            "m=4194304,t=1,p=1",
            "m=8,t=99,p=1",
        ] {
            assert_eq!(Argon2Cost::from_phc(text), None, "{text}");
        }
        assert_eq!(Argon2Cost::from_phc("m=8,t=1,p=1"), Some(CHEAP));
    }
}
