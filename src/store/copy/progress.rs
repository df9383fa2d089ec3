//! How far a copy is.

/// What a copy does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// What an earlier copy has left is compared with the source.
    Comparing,
    Copying,
    Checking,
}

/// How far a step is.
#[derive(Clone, Copy, Debug)]
pub struct CopyProgress {
    pub step: CopyStep,
    pub rows: u64,
    pub of: u64,
}

impl CopyProgress {
    /// `None` if there is nothing to do.
    pub fn percent(self) -> Option<u64> {
        let percent = self.rows.saturating_mul(100).checked_div(self.of);
        percent.map(|percent| percent.min(100))
    }
}

/// Counts the rows of a step, and reports them.
pub(super) struct Counted<'a> {
    progress: CopyProgress,
    report: &'a dyn Fn(CopyProgress),
}

impl<'a> Counted<'a> {
    pub(super) fn of(step: CopyStep, of: u64, report: &'a dyn Fn(CopyProgress)) -> Self {
        let progress = CopyProgress { step, rows: 0, of };
        report(progress);
        Self { progress, report }
    }

    pub(super) fn add(&mut self, rows: u64) {
        self.progress.rows += rows;
        (self.report)(self.progress);
    }
}
