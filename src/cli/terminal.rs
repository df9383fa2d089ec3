//! The abilities of the terminal behind a stream.

use std::env;
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// The width that is assumed if the terminal does not report one.
const USUAL_COLUMNS: usize = 80;

/// The width of the terminal; `None` for a pipe or a file.
pub(super) fn columns(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    // A serial line does not know its size and reports 0.
    let size = rustix::termios::tcgetwinsize(stream).ok();
    let columns = size
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0);
    let told = || env::var("COLUMNS").ok()?.parse().ok();
    columns.or_else(told).or(Some(USUAL_COLUMNS))
}

/// Whether the terminal has colours and the user wants them (<https://no-color.org>).
pub(super) fn has_colours(stream: &impl IsTerminal) -> bool {
    let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_unwanted && can_rewrite(stream)
}

/// Whether it is a terminal where a line can be overwritten.
pub(super) fn can_rewrite(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}
