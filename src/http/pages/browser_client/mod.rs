//! `arkloop.js`: the client for web pages that this server offers to apps and uses in its own pages, and its types.

use poem_openapi::OpenApi;

use crate::http::pipeline::kept::{FileResponse, Kept};

const SCRIPT: &str = include_str!("arkloop.js");
const TYPES: &str = include_str!("arkloop.d.ts");
/// A copy may be kept, and is asked about each time: a page never meets the client of another version of the server.
const ASK_EACH_TIME: &str = "no-cache";

/// The files of the client. The document does not list them: they are for the authors of pages.
pub(crate) struct BrowserClientApi {
    script: Kept,
    types: Kept,
}

impl BrowserClientApi {
    pub(crate) fn new() -> Self {
        Self {
            script: Kept::new(SCRIPT),
            types: Kept::new(TYPES),
        }
    }
}

fn file(content: &Kept, content_type: &str) -> FileResponse {
    FileResponse::Ok(content.clone(), content_type.to_owned(), ASK_EACH_TIME.to_owned())
}

#[OpenApi]
impl BrowserClientApi {
    #[oai(path = "/arkloop.js", method = "get", hidden = true)]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn script(&self) -> FileResponse {
        file(&self.script, "text/javascript; charset=utf-8")
    }

    #[oai(path = "/arkloop.d.ts", method = "get", hidden = true)]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn types(&self) -> FileResponse {
        file(&self.types, "application/typescript; charset=utf-8")
    }
}
