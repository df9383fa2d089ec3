//! Why there is no connection to a database elsewhere.

/// Why there is no connection to a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotConnected {
    /// A clause for each host, which begins with its name.
    reason: String,
    pub flaw: ConnectionFlaw,
}

/// What the operator must look at. Of several hosts, the first flaw of this list counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnectionFlaw {
    /// A file that the URL names. With the command that fixes it, if there is one.
    File(Option<String>),
    /// User, password or database.
    Login,
    /// No authority that is trusted has issued the certificate.
    Issuer,
    /// The certificate is for another host.
    Host,
    /// Anything else about the certificate.
    Certificate,
    NoTls,
    /// It takes no writes.
    ReadOnly,
    Network,
    Other,
}

impl NotConnected {
    pub(super) fn new(reason: String, flaw: ConnectionFlaw) -> Self {
        Self { reason, flaw }
    }

    /// What several hosts said.
    pub(super) fn joined(refusals: Vec<Self>) -> Self {
        let reasons: Vec<&str> = refusals.iter().map(|refusal| &*refusal.reason).collect();
        let reason = reasons.join("; ");
        let flaw = refusals.into_iter().map(|refusal| refusal.flaw).min();
        Self::new(reason, flaw.unwrap_or(ConnectionFlaw::Other))
    }
}
