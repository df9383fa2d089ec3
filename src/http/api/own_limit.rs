//! Limits that count by the account of the caller, whatever session or address a request comes from.

use crate::domain::{AuditReason, LimitClass};
use crate::http::pipeline::{Refusal, Shared};
use crate::limits::Subject;
use crate::service::Caller;

/// Counts a request of `class` for the caller's account. A refusal is audited as `reason`.
///
/// Only a handler knows when such a request counts, so these classes belong to no [`Operation`](crate::http::pipeline::Operation).
pub(super) fn admit(
    shared: &Shared,
    caller: &Caller,
    class: LimitClass,
    reason: AuditReason,
) -> Result<(), Refusal> {
    if let Some(throttle) = &shared.throttle {
        let (_, outcome) = throttle.count(class, Subject::Account(caller.user.id));
        outcome.inspect_err(|_| shared.service.note_caller_throttled(caller, reason))?;
    }
    Ok(())
}
