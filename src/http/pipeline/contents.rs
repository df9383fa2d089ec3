//! The contents of a listener: pages and files that do not depend on the client.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::content::Content;

/// Contents by their keys. Each is made for its first request: most servers are asked for few of them, and some for none.
#[derive(Default)]
pub(crate) struct Contents(HashMap<String, Made>);

type Made = LazyLock<Content, Box<dyn FnOnce() -> Content + Send>>;

impl Contents {
    /// Adds the content that `make` makes. `make` must not fail: no later request would get the content either.
    pub(crate) fn add(&mut self, key: impl Into<String>, make: impl FnOnce() -> Content + Send + 'static) {
        self.0.insert(key.into(), LazyLock::new(Box::new(make)));
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Content> {
        self.0.get(key).map(|content| &**content)
    }
}
