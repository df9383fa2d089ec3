//! The record of what the tests of a whole run have seen, and the list of what the document has.
//!
//! Each test adds to the file that `ARKLOOP_RECORD` names, if the variable is set. `tests/it/whole_run.rs` reads the file when the run is over.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::database::Engine;
use super::shown::Shown;

/// An operation, a status, and the code of a refusal (`-` for a success).
pub type Observation = (String, u16, String);

/// One line of the record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Seen {
    /// An answer over HTTP.
    Answer(Observation),
    /// The end of a command.
    Command(Shown),
    /// A statement that a server sent to its database.
    Statement(Engine, String),
    /// A test, with the engine of the run and the one that the test used.
    Ran(Engine, Engine, String),
    /// A secret that was found where none may be.
    Secret(String),
}

/// The observations that this process has recorded, and the file for them.
static RECORD: Mutex<(BTreeSet<Seen>, Option<File>)> = Mutex::new((BTreeSet::new(), None));

/// Adds an observation to the record, unless this process has already recorded it.
pub fn record(seen: Seen) {
    let Some(path) = std::env::var_os("ARKLOOP_RECORD") else {
        return;
    };
    let mut record = RECORD.lock().unwrap_or_else(PoisonError::into_inner);
    let (known, file) = &mut *record;
    if known.contains(&seen) {
        return;
    }
    let file = file.get_or_insert_with(|| {
        let file = File::options().create(true).append(true).open(path);
        file.expect("the file of the record is writable")
    });
    let line = serde_json::to_string(&seen).expect("an observation is JSON") + "\n";
    file.write_all(line.as_bytes()).expect("the record is written");
    known.insert(seen);
}

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&arkloop::http::document()).expect("the document is JSON"));

/// The operation that the document has for a method and a path.
pub fn operation_of(method: &str, path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap_or_default();
    // HEAD is GET without a body.
    let method = if method == "HEAD" {
        "get".to_owned()
    } else {
        method.to_lowercase()
    };
    let fits = |template: &str| {
        let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        template.len() == path.len()
            && template
                .iter()
                .zip(&path)
                .all(|(part, found)| part.starts_with('{') && !found.is_empty() || part == found)
    };
    let paths = DOCUMENT["paths"].as_object().expect("the document has paths");
    let (_, item) = paths.iter().find(|(template, _)| fits(template))?;
    Some(
        item.get(&method)?["operationId"]
            .as_str()
            .expect("every operation has an id")
            .to_owned(),
    )
}

/// Every observation that the document lists.
pub fn documented() -> BTreeSet<Observation> {
    DOCUMENTED.clone()
}

static DOCUMENTED: LazyLock<BTreeSet<Observation>> = LazyLock::new(|| {
    let mut listed = BTreeSet::new();
    for item in DOCUMENT["paths"]
        .as_object()
        .expect("the document has paths")
        .values()
    {
        for operation in item.as_object().expect("a path has operations").values() {
            let Some(id) = operation["operationId"].as_str() else {
                continue;
            };
            for (status, response) in operation["responses"]
                .as_object()
                .expect("an operation has responses")
            {
                let status: u16 = status.parse().expect("a status is a number");
                for code in codes(response, status) {
                    listed.insert((id.to_owned(), status, code));
                }
            }
        }
    }
    listed
});

fn codes(response: &Value, status: u16) -> Vec<String> {
    if status < 400 {
        return vec!["-".to_owned()];
    }
    let reference = response["$ref"].as_str().unwrap_or_default();
    let response = DOCUMENT.pointer(reference.trim_start_matches('#'));
    let response = response.expect("a refusal refers to a shared response");
    let content = response["content"]
        .as_object()
        .and_then(|content| content.values().next());
    let examples = content
        .and_then(|content| content["examples"].as_object())
        .expect("a refusal has an example a code");
    examples.keys().cloned().collect()
}

/// Remembers an answer; fails at once if the document does not list it.
pub fn observe(method: &str, path: &str, status: u16, code: &str) {
    let Some(operation) = operation_of(method, path) else {
        return;
    };
    // Preflight requests, and requests that the HTTP parser rejects, belong to no operation.
    let observation = (operation, status, code.to_owned());
    assert!(
        DOCUMENTED.contains(&observation),
        "the document does not list {observation:?}"
    );
    record(Seen::Answer(observation));
}
