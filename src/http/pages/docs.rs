//! The reference for people and programs: Swagger UI, from the executable itself, and the document it shows.

use poem::{FromRequest, Request, RequestBody};
use poem_openapi::payload::{Html, Json};
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, OpenApi};
use rust_embed::RustEmbed;
use serde_json::Value;

use crate::http::openapi::Tag;
use crate::http::pipeline::exchange::Exchange;
use crate::http::pipeline::kept::{FileResponse, Files, Kept};

/// The policy of the page: its own scripts and styles, the pictures that the styles hold, requests to this server.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; \
                           frame-ancestors 'none'";
/// Five minutes: after an update of the server nobody looks at the old reference for long.
const CACHE_FIVE_MINUTES: &str = "public, max-age=300";

/// Swagger UI as its project publishes it, and a page of our own.
#[derive(RustEmbed)]
#[folder = "openapi/ui"]
struct SwaggerUi;

/// The operations of this noun.
pub(crate) struct DocsApi {
    document: Kept,
    page: Kept,
    files: Files,
}

impl DocsApi {
    /// Serves `document`.
    pub(crate) fn new(document: String) -> Self {
        let files = Files::of::<SwaggerUi>();
        Self {
            document: Kept::new(document),
            page: Kept::new(files.page("index.html").into_owned()),
            files,
        }
    }
}

#[derive(ApiResponse)]
enum DocumentResponse {
    /// The document.
    #[oai(status = 200, actual_type = "Json<Any<Value>>")]
    Ok(
        Kept,
        /// Five minutes.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[derive(ApiResponse)]
enum PageResponse {
    /// The page.
    #[oai(status = 200, actual_type = "Html<String>")]
    Ok(
        Kept,
        /// Five minutes.
        #[oai(header = "Cache-Control")]
        String,
        /// Scripts, styles and requests of this server only.
        #[oai(header = "Content-Security-Policy")]
        String,
        /// `same-origin`.
        #[oai(header = "Cross-Origin-Opener-Policy")]
        String,
    ),
}

/// The name of a file in the path.
pub(super) struct FileName(pub(super) String);

impl<'a> FromRequest<'a> for FileName {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(
            Exchange::of(request)?.path_parameter.clone().unwrap_or_default(),
        ))
    }
}

#[OpenApi(tag = "Tag::Server")]
impl DocsApi {
    /// Show this document
    ///
    /// Pages of every origin may read it.
    #[oai(path = "/openapi.json", method = "get", operation_id = "openapi_document")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn openapi_document(&self) -> DocumentResponse {
        DocumentResponse::Ok(self.document.clone(), CACHE_FIVE_MINUTES.to_owned())
    }

    /// Show this document to people
    ///
    /// Swagger UI, which comes from this server entirely.
    #[oai(path = "/docs", method = "get", operation_id = "docs")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn docs(&self) -> PageResponse {
        PageResponse::Ok(
            self.page.clone(),
            CACHE_FIVE_MINUTES.to_owned(),
            PAGE_POLICY.to_owned(),
            "same-origin".to_owned(),
        )
    }

    #[oai(path = "/docs/:file", method = "get", hidden = true)]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn docs_file(&self, name: FileName) -> poem::Result<FileResponse> {
        Ok(self.files.answer(&name.0, CACHE_FIVE_MINUTES)?)
    }
}
