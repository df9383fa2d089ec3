//! Arguments that several commands share, and parsers of values.

use std::str::FromStr;

use super::error::describe;
use super::output::Output;
use crate::domain::{FieldError, More, trimmed};
use crate::service::UserRef;

/// The default limit on a terminal, more than a person reads at once.
const ROWS_ON_A_TERMINAL: u32 = 100;

#[derive(clap::Args, Debug)]
pub(super) struct Who {
    /// A username, an e-mail address or an id
    pub(super) user: UserRef,
}

#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Limit {
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        help = format!("The maximum number of rows [default: {ROWS_ON_A_TERMINAL} on a terminal, all in a pipe and with --json]; rows that are left out are counted up to {}", More::MOST_COUNTED)
    )]
    limit: Option<u32>,
}

impl Limit {
    /// The maximum number of rows that `output` prints.
    pub(super) fn rows(self, output: Output) -> u32 {
        self.limit.unwrap_or(if output.is_for_a_terminal() {
            ROWS_ON_A_TERMINAL
        } else {
            u32::MAX
        })
    }

    /// The maximum number of existing rows that `--follow` prints before it waits for new ones.
    pub(super) fn first_rows(self) -> u32 {
        self.limit.unwrap_or(ROWS_ON_A_TERMINAL)
    }
}

/// A value parser that reports the error of a field.
pub(super) fn field<T: 'static>(
    parse: fn(&str) -> Result<T, FieldError>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    move |text| parse(text).map_err(|error| format!("it {}", describe(error)))
}

/// A value parser whose error says what is `expected`.
pub(super) fn expecting<T: 'static>(
    expected: impl Into<String>,
    parse: fn(&str) -> Option<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    let expected = expected.into();
    move |text| parse(text).ok_or_else(|| format!("it must be {expected}"))
}

/// A value parser of the ids that `command` prints.
pub(super) fn id<T: FromStr + 'static>(
    command: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    expecting(format!("an id as `arkloop {command}` prints it"), |text| {
        trimmed(text).parse().ok()
    })
}
