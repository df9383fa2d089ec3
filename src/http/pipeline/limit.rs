//! Enforces the limits of operations, and tells clients about them in headers. [`crate::limits`] counts.

use std::time::Duration;

use poem::http::{HeaderName, HeaderValue};

use super::error::{Refusal, whole_seconds};
use crate::domain::{LimitClass, LimitClassTable, Rate, Rates};
use crate::limits::{Limits, Subject};
use crate::service::Error;
use crate::system::System;

/// The two fields of draft-ietf-httpapi-ratelimit-headers-11: the quota (§3), and how much of it is left (§4).
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The headers of a response that tell the client about its limit.
pub(crate) type RateLimitHeaders = [(HeaderName, HeaderValue); 2];

/// Counts requests against the configured rates.
pub(crate) struct Throttle {
    rates: Rates,
    pub(super) limits: Limits,
    /// The `RateLimit-Policy` of each class.
    policies: LimitClassTable<HeaderValue>,
}

impl Throttle {
    pub(crate) fn new(rates: Rates, system: System) -> Self {
        Self {
            limits: Limits::new(&rates, system),
            policies: rates.transform(|class, rate| header(policy(class, *rate))),
            rates,
        }
    }

    /// Counts a request. Also returns the headers for its response, which has them even if the request is refused.
    pub(crate) fn count(
        &self,
        class: LimitClass,
        subject: Subject,
    ) -> (RateLimitHeaders, Result<(), Refusal>) {
        let (left, wait, outcome) = match self.limits.check(class, subject) {
            Ok(left) => (left, self.rates[class].interval(), Ok(())),
            Err(retry_after) => {
                let limit = subject.limit();
                let refusal = Refusal::from(Error::RateLimited { limit, retry_after });
                (0, retry_after, Err(refusal))
            }
        };
        let policy = self.policies[class].clone();
        let state = header(state(class, left, wait));
        ([(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)], outcome)
    }
}

/// The value of `RateLimit-Policy`.
pub(crate) fn policy(class: LimitClass, rate: Rate) -> String {
    let (name, requests, seconds) = (class.into_str(), rate.requests(), rate.per().as_secs());
    format!("\"{name}\";q={requests};w={seconds}")
}

/// The value of `RateLimit`; `wait` is the longest time until one more request is allowed.
pub(crate) fn state(class: LimitClass, left: u32, wait: Duration) -> String {
    // Rounded up like `Retry-After`, which must not be shorter than this (§6).
    let (name, seconds) = (class.into_str(), whole_seconds(wait));
    format!("\"{name}\";r={left};t={seconds}")
}

fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("names of classes and numbers are ASCII")
}
