//! The API reference: the `OpenAPI` document for programs, and Swagger UI, which is compiled in and shows the document to people.

use poem::http::header::CACHE_CONTROL;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};

use super::embedded::{content_type, html, page};
use crate::http::ServerSettings;
use crate::http::pipeline::content::{CACHE_FIVE_MINUTES, Content};
use crate::http::pipeline::contents::Contents;
use crate::http::pipeline::{Operation, Success, Tag};

/// The policy of the page: scripts, styles and requests of this server only, and also pictures and fonts in `data:` URLs.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; \
                           frame-ancestors 'none'";
const SWITCH: fn(&ServerSettings) -> bool = |settings| settings.docs;

/// Our own page of Swagger UI, and the small files that it loads.
const PAGE: &str = include_str!("../../../openapi/ui/index.html");
const SMALL_FILES: [(&str, &[u8]); 4] = [
    (
        "favicon-16x16.png",
        include_bytes!("../../../openapi/ui/favicon-16x16.png"),
    ),
    (
        "favicon-32x32.png",
        include_bytes!("../../../openapi/ui/favicon-32x32.png"),
    ),
    ("init.js", include_bytes!("../../../openapi/ui/init.js")),
    ("page.css", include_bytes!("../../../openapi/ui/page.css")),
];
/// Swagger UI as its project publishes it, compressed by `build.rs`.
const COMPRESSED_FILES: [(&str, &[u8]); 2] = [
    (
        "swagger-ui-bundle.js",
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz")),
    ),
    (
        "swagger-ui.css",
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")),
    ),
];

pub(super) const OPENAPI_DOCUMENT: Operation = Operation {
    id: "openapi_document",
    is_public: true,
    tag: Some(Tag::Server),
    summary: "Show this document",
    description: "Pages of every origin may read it.",
    success: Success {
        headers: &[("Cache-Control", "Five minutes.")],
        has_etag: true,
        ..Success::with_schema("application/json", |_| inline("object"), "The document.")
    },
    ..page("/openapi.json", Some(SWITCH))
};

pub(super) const DOCS: Operation = Operation {
    id: "docs",
    tag: Some(Tag::Server),
    summary: "Show this document as a web page",
    description: "Swagger UI, which loads nothing from other hosts.",
    success: Success {
        headers: &[
            ("Cache-Control", "Five minutes."),
            (
                "Content-Security-Policy",
                "Scripts, styles and requests of this server only.",
            ),
            ("Cross-Origin-Opener-Policy", "`same-origin`."),
        ],
        has_etag: true,
        ..Success::with_schema("text/html", |_| inline("string"), "The page.")
    },
    ..page("/docs", Some(SWITCH))
};

pub(super) const FILES: Operation = page("/docs/{file}", Some(SWITCH));

fn inline(kind: &'static str) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(MetaSchema::new(kind)))
}

/// Adds the document that `document` makes, the page that shows it, and the files of the page.
pub(super) fn add(contents: &mut Contents, document: fn() -> String) {
    contents.add(OPENAPI_DOCUMENT.path, move || {
        Content::file(document(), "application/json; charset=utf-8", CACHE_FIVE_MINUTES)
    });
    contents.add(DOCS.path, || {
        html(Content::kept(PAGE), PAGE_POLICY).with(CACHE_CONTROL, CACHE_FIVE_MINUTES)
    });
    for (name, stored) in SMALL_FILES {
        let content_type = content_type(name);
        contents.add(format!("/docs/{name}"), move || {
            Content::file(stored, content_type, CACHE_FIVE_MINUTES)
        });
    }
    for (name, gzip) in COMPRESSED_FILES {
        let content_type = content_type(name);
        contents.add(format!("/docs/{name}"), move || {
            Content::compressed_file(gzip, content_type, CACHE_FIVE_MINUTES)
        });
    }
}
