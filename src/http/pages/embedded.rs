//! Serves the pages and files that are compiled in, by their paths.

use std::borrow::Cow;
use std::future::ready;

use hyper::body::Bytes;
use poem::Response;
use poem::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName};
use rust_embed::RustEmbed;

use crate::http::ServerSettings;
use crate::http::pipeline::content::Content;
use crate::http::pipeline::contents::Contents;
use crate::http::pipeline::{Code, Exchange, Operation, Refusal};

/// Clients keep the file, but ask each time whether it has changed, so a page never runs a script of another version of the server.
pub(super) const REVALIDATE: &str = "no-cache";

/// A GET operation for the content at `path`, or for all content below it if it ends in a parameter.
pub(super) const fn page(path: &'static str, switch: Option<fn(&ServerSettings) -> bool>) -> Operation {
    Operation {
        path,
        limit: None,
        switch,
        ..Operation::open(|exchange| Box::pin(ready(content(&exchange))))
    }
}

fn content(exchange: &Exchange) -> Result<Response, Refusal> {
    let content = exchange.shared.contents.get(&exchange.path);
    let content = content.ok_or_else(|| Refusal::new(Code::NotFound))?;
    Ok(content.answer(&exchange.headers))
}

/// Adds the headers of a page.
pub(super) fn html(content: Content, policy: &str) -> Content {
    let opener_policy = HeaderName::from_static("cross-origin-opener-policy");
    content
        .with(CONTENT_TYPE, "text/html; charset=utf-8")
        .with(CONTENT_SECURITY_POLICY, policy)
        .with(opener_policy, "same-origin")
}

/// Adds the files of `E` that pages load; `folder` is their path up to the name.
pub(super) fn add_files<E: RustEmbed>(contents: &mut Contents, folder: &str, cache_control: &'static str) {
    for name in E::iter() {
        let content_type = content_type(&name);
        contents.add(format!("{folder}{name}"), move || {
            Content::file(file::<E>(&name), content_type, cache_control)
        });
    }
}

/// The media type of a file that pages load.
pub(super) fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => panic!("{name} has no content type"),
    }
}

/// The text of a file.
pub(super) fn text<E: RustEmbed>(name: &str) -> String {
    String::from_utf8(file::<E>(name).to_vec()).expect("the file is UTF-8")
}

fn file<E: RustEmbed>(name: &str) -> Bytes {
    match E::get(name).expect("the file is compiled in").data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
}
