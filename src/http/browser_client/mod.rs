//! `arkloop.js`: the client for web pages that this server offers to apps and uses in its own pages, and its types.

use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, OpenApi};

const SCRIPT: &str = include_str!("arkloop.js");
const TYPES: &str = include_str!("arkloop.d.ts");
/// A copy may be kept, and is asked about each time: a page never meets the client of another version of the server.
const ASK_EACH_TIME: &str = "no-cache";

/// The files of the client. The document does not list them: they are for the authors of pages.
pub(super) struct BrowserClientApi;

#[derive(ApiResponse)]
enum FileResponse {
    #[oai(status = 200)]
    Ok(
        PlainText<&'static str>,
        #[oai(header = "Content-Type")] String,
        #[oai(header = "Cache-Control")] String,
    ),
}

impl FileResponse {
    fn new(text: &'static str, content_type: &str) -> Self {
        Self::Ok(PlainText(text), content_type.to_owned(), ASK_EACH_TIME.to_owned())
    }
}

#[OpenApi]
impl BrowserClientApi {
    #[oai(path = "/arkloop.js", method = "get", hidden = true)]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn script(&self) -> FileResponse {
        FileResponse::new(SCRIPT, "text/javascript; charset=utf-8")
    }

    #[oai(path = "/arkloop.d.ts", method = "get", hidden = true)]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn types(&self) -> FileResponse {
        FileResponse::new(TYPES, "application/typescript; charset=utf-8")
    }
}
