//! Long lists in parts.

use super::output::Output;

/// The most rows on a terminal, unless another number is asked for: more than a person reads at once.
const ROWS_ON_A_TERMINAL: u32 = 100;

/// How much of a list is shown.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Limit {
    /// The most rows.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        help = format!("The most rows [default: {ROWS_ON_A_TERMINAL} on a terminal, all in a pipe and with --json]")
    )]
    limit: Option<u32>,
}

impl Limit {
    /// The most rows of what `output` prints.
    pub(super) fn rows(self, output: Output) -> u32 {
        let usual = if output.is_for_a_terminal() {
            ROWS_ON_A_TERMINAL
        } else {
            u32::MAX
        };
        self.limit.unwrap_or(usual)
    }

    /// The most rows of what goes on and on, of those that are there already.
    pub(super) fn first_rows(self) -> u32 {
        self.limit.unwrap_or(ROWS_ON_A_TERMINAL)
    }
}
