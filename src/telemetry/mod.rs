//! Log lines on standard error, and [`Metrics`].
//!
//! `RUST_LOG` is ignored: a variable that is set for another program must not make this one log more than its configuration says.

mod metrics;
mod process;

use std::io::{self, IsTerminal};
use std::panic;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

pub use metrics::Metrics;

use crate::domain::{LogFormat, printable, printable_json};

/// Writes whole lines and escapes unprintable characters, because logged values may come from attackers.
struct PrintableLines<W> {
    format: LogFormat,
    kept: &'static [char],
    inner: W,
}

impl<W: io::Write> io::Write for PrintableLines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let shown = match self.format {
            LogFormat::Text => printable(&text, self.kept),
            LogFormat::Json => printable_json(&text, &['\n']),
        };
        self.inner.write_all(shown.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Starts logging for the whole process. Panics are logged without their message, which could hold a password or a token.
pub fn start(format: LogFormat, level: Level) {
    // Other crates log their internals, which are useful only at the finest level.
    let of_others = if level == Level::TRACE {
        level
    } else {
        level.min(Level::WARN)
    };
    let targets = Targets::new()
        .with_default(LevelFilter::from_level(of_others))
        .with_target(env!("CARGO_PKG_NAME"), LevelFilter::from_level(level));
    // On a terminal, the control sequences of this program's colours are kept. The layer has already escaped control sequences in values.
    let is_coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let kept: &[char] = if is_coloured { &['\n', '\x1b'] } else { &['\n'] };
    // If standard error is closed, an attempt to report that on standard error would panic.
    let layer = fmt::layer()
        .log_internal_errors(false)
        .with_writer(move || PrintableLines {
            format,
            kept,
            inner: io::stderr(),
        });
    let layer = match format {
        LogFormat::Text => layer.with_target(false).with_ansi(is_coloured).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
    };
    // Only tests start logging twice in one process; the first start stays in force.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(targets))
        .try_init();
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(
            place,
            thread = thread.name(),
            "a fault in the program: it panicked"
        );
    }));
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn logged(format: LogFormat, kept: &'static [char], line: &str) -> String {
        let mut inner = Vec::new();
        let mut lines = PrintableLines {
            format,
            kept,
            inner: &mut inner,
        };
        lines
            .write_all(line.as_bytes())
            .expect("a vector takes everything");
        String::from_utf8(inner).expect("it is text")
    }

    #[test]
    fn a_log_line_has_printable_characters_only() {
        let wild = "a\u{202e}b\u{9b}c\u{1b}[2J\r\n";
        assert_eq!(
            logged(LogFormat::Text, &['\n'], wild),
            "a\\u{202e}b\\u{9b}c\\u{1b}[2J\\u{d}\n"
        );
        assert_eq!(
            logged(LogFormat::Json, &['\n'], "{\"a\":\"\u{202e}\u{7f}\"}\n"),
            "{\"a\":\"\\u202e\\u007f\"}\n"
        );
    }
}
