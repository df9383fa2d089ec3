//! The record of every (operation, status, code) that any test observed, and what the document lists.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// An operation, a status, and the code of a refusal (`-` for a success).
pub type Observation = (String, u16, String);

static OBSERVED: Mutex<BTreeSet<Observation>> = Mutex::new(BTreeSet::new());
/// How many tests have a server at this moment.
static LIVE: AtomicUsize = AtomicUsize::new(0);

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&arkloop::http::document()).expect("the document is JSON"));

/// Counted while a test has a server.
pub struct Live;

impl Live {
    pub fn new() -> Self {
        LIVE.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

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

/// Everything that the document lists.
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
    // Preflight requests and what the HTTP parser rejects are of no operation.
    let observation = (operation, status, code.to_owned());
    assert!(
        DOCUMENTED.contains(&observation),
        "the document does not list {observation:?}"
    );
    OBSERVED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(observation);
}

/// Everything that was observed so far.
pub fn observed() -> BTreeSet<Observation> {
    OBSERVED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Returns when no other test has had a server for a while. Tests start in the order of their names, so whoever calls this from the last one sees
/// the whole run.
pub fn wait_for_other_tests() {
    let mut quiet = 0;
    while quiet < 20 {
        std::thread::sleep(Duration::from_millis(100));
        quiet = if LIVE.load(Ordering::SeqCst) == 0 {
            quiet + 1
        } else {
            0
        };
    }
}
