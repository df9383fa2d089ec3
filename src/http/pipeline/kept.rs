//! Public content that clients keep: it has a validator, so that a client that has it gets a 304 (RFC 9110 §13.1.2). Large content is compressed once, when a
//! client first asks for that. None of it holds a secret, so that its compressed length tells nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use poem::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use poem::http::{HeaderMap, HeaderValue, StatusCode};
use poem::{Body, IntoResponse, Response};
use poem_openapi::payload::{Binary, Payload as _};
use poem_openapi::registry::MetaMediaType;
use poem_openapi::{ApiResponse, ResponseContent};
use rust_embed::RustEmbed;

use super::code::Code;
use super::error::Refusal;
use super::weights::weighted;

/// Less than this fits into one packet with its headers, and gains nothing by compression.
const LEAST_COMPRESSED: usize = 1_000;

/// Content that a handler answers with.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Content>);

struct Content {
    plain: Bytes,
    /// A digest of the content. Weak, because it stands for the compressed form as well.
    tag: HeaderValue,
    /// `None` if compression gains nothing.
    gzip: OnceLock<Option<Bytes>>,
}

impl Kept {
    pub(crate) fn new(plain: impl Into<Bytes>) -> Self {
        let plain = plain.into();
        let mut hasher = DefaultHasher::new();
        hasher.write(&plain);
        let tag = format!("W/\"{:016x}\"", hasher.finish());
        Self(Arc::new(Content {
            plain,
            tag: HeaderValue::from_str(&tag).expect("hexadecimal digits are a header value"),
            gzip: OnceLock::new(),
        }))
    }

    fn gzip(&self) -> Option<Bytes> {
        let plain = &self.0.plain;
        let compress = || {
            if plain.len() < LEAST_COMPRESSED {
                return None;
            }
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(plain).ok()?;
            let compressed = encoder.finish().ok()?;
            (compressed.len() < plain.len()).then(|| compressed.into())
        };
        self.0.gzip.get_or_init(compress).clone()
    }
}

impl IntoResponse for Kept {
    /// The whole content, and what [`Asked`] needs.
    fn into_response(self) -> Response {
        Response::builder()
            .header(ETAG, self.0.tag.clone())
            .header(VARY, HeaderValue::from_static("Accept-Encoding"))
            .extension(self.clone())
            .body(self.0.plain.clone())
    }
}

/// A handler that is documented names the type of its content, which takes the place of this one.
impl ResponseContent for Kept {
    fn media_types() -> Vec<MetaMediaType> {
        vec![MetaMediaType {
            content_type: "application/octet-stream",
            schema: Binary::<Body>::schema_ref(),
        }]
    }
}

/// What a client says of the content that it has, and of the form that it takes.
pub(super) struct Asked {
    known: Vec<HeaderValue>,
    takes_gzip: bool,
}

impl Asked {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            known: headers.get_all(IF_NONE_MATCH).into_iter().cloned().collect(),
            takes_gzip: takes_gzip(headers),
        }
    }

    /// Answers with as little as the client needs, if the content is one that clients keep.
    pub(crate) fn answer(&self, mut response: Response) -> Response {
        let Some(kept) = response.extensions_mut().remove::<Kept>() else {
            return response;
        };
        if self.knows(&kept.0.tag) {
            response.set_status(StatusCode::NOT_MODIFIED);
            response.set_body(Body::empty());
            response.headers_mut().remove(CONTENT_TYPE);
            response.headers_mut().remove(CONTENT_LENGTH);
        } else if let Some(gzip) = self.takes_gzip.then(|| kept.gzip()).flatten() {
            response.set_body(gzip);
            let encoding = HeaderValue::from_static("gzip");
            response.headers_mut().insert(CONTENT_ENCODING, encoding);
        }
        response
    }

    /// Compares weakly (RFC 9110 §8.8.3.2): a proxy may have made the validator weak or strong.
    fn knows(&self, tag: &HeaderValue) -> bool {
        let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_owned();
        let listed = self
            .known
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        let mut listed = listed.map(<[u8]>::trim_ascii);
        listed.any(|known| known == b"*" || opaque(known) == opaque(tag.as_bytes()))
    }
}

/// Whether a client takes gzip, and does not rather have content as it is (RFC 9110 §12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = weighted(headers, ACCEPT_ENCODING);
    let weight = |names: &[&str]| {
        let found = accepted.iter().find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, weight)| *weight)
    };
    let gzip = weight(&["gzip", "x-gzip"]).or_else(|| weight(&["*"]));
    gzip.is_some_and(|gzip| gzip > 0.0 && gzip >= weight(&["identity"]).unwrap_or_default())
}

/// Files of the executable by their names.
pub(crate) struct Files(HashMap<Cow<'static, str>, Kept>);

#[derive(ApiResponse)]
pub(crate) enum FileResponse {
    #[oai(status = 200)]
    Ok(
        Kept,
        #[oai(header = "Content-Type")] String,
        #[oai(header = "Cache-Control")] String,
    ),
}

impl Files {
    pub(crate) fn of<E: RustEmbed>() -> Self {
        let kept = |name: Cow<'static, str>| {
            let content = match E::get(&name)?.data {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => bytes.into(),
            };
            Some((name, Kept::new(content)))
        };
        Self(E::iter().filter_map(kept).collect())
    }

    /// Answers with a file that a page loads.
    pub(crate) fn answer(&self, name: &str, cache_control: &str) -> Result<FileResponse, Refusal> {
        let content_type = match name.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            _ => return Err(Refusal::new(Code::NotFound)),
        };
        let file = self.0.get(name).ok_or_else(|| Refusal::new(Code::NotFound))?;
        Ok(FileResponse::Ok(
            file.clone(),
            content_type.to_owned(),
            cache_control.to_owned(),
        ))
    }

    /// The text of a page, which must be there.
    pub(crate) fn page(&self, name: &str) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0[name].0.plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_prefer_it() {
        for (accepted, expected) in [
            ("gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0, GZIP;q=0.8, *;q=0.1", true),
            ("x-gzip", true),
            ("*", true),
            ("gzip;q=0.5, identity;q=0.5", true),
            ("", false),
            ("identity", false),
            ("br, deflate", false),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("gzip;q=0.1, identity", false),
            ("gzip;q=x", false),
        ] {
            let value = HeaderValue::from_static(accepted);
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value)]);
            assert_eq!(takes_gzip(&headers), expected, "{accepted}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
