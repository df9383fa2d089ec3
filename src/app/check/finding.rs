//! The result of one check.

/// How urgent a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(const_into_str)]
pub enum State {
    #[strum(serialize = "ok")]
    Good,
    /// The part works, but another setting would be better.
    #[strum(serialize = "warning")]
    Unwise,
    #[strum(serialize = "mend")]
    Bad,
}

/// What `check` found out about one part of the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The part, in one word.
    pub subject: &'static str,
    pub state: State,
    pub seen: String,
    /// How to fix the problem; `None` if there is none.
    pub mend: Option<String>,
}

impl Finding {
    pub(super) fn good(subject: &'static str, seen: impl Into<String>) -> Self {
        Self {
            subject,
            state: State::Good,
            seen: seen.into(),
            mend: None,
        }
    }

    pub(super) fn unwise(subject: &'static str, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Unwise,
            mend: Some(mend.into()),
            ..Self::good(subject, seen)
        }
    }

    pub(super) fn bad(subject: &'static str, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Bad,
            ..Self::unwise(subject, seen, mend)
        }
    }
}
