//! `healthcheck`: asks the running server whether it is ready, and returns the answer as an exit code.

use std::io::{self, ErrorKind};

use serde_json::json;

use super::context::Context;
use super::error::Refusal;
use super::report::Report;
use crate::app;
use crate::domain::Listen;

pub(super) fn run(context: &Context) -> Result<Report, Refusal> {
    let config = &context.config;
    let Some(listener) = app::listener(config)? else {
        let data_dir = config.data_dir.display();
        return Err(Refusal::new(
            format!("no server has recorded where it listens in {data_dir}"),
            "start one with `arkloop serve`, or name its data directory with --data-dir DIR",
        ));
    };
    let place = match &listener {
        Listen::Tcp(address) => format!("http://{address}"),
        unix @ Listen::Unix(_) => unix.to_string(),
    };
    let answer = app::ask(&listener, "/readyz", &[]).map_err(|error| no_answer(&place, &error))?;
    let status = answer.status;
    if status != 200 {
        return Err(Refusal::new(
            format!("the server at {place} cannot serve: /readyz answered {status}"),
            "its log says why; so does `arkloop check`",
        ));
    }
    let document = json!({ "status": "ok", "listener": place });
    Ok(Report::new(document, format!("the server at {place} is ready")))
}

fn no_answer(place: &str, error: &io::Error) -> Refusal {
    let reason = match error.kind() {
        ErrorKind::TimedOut => format!("no answer within {} seconds", app::ANSWER_TIMEOUT.as_secs()),
        _ => error.to_string(),
    };
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => "run this as the user who runs the server",
        _ => "see whether it runs, and what its log says",
    };
    Refusal::new(format!("the server at {place} does not answer: {reason}"), hint)
}
