//! Content that does not depend on the client. Content that clients may keep has a validator, so that a client that still has it gets a 304 (RFC 9110 §13.1.2).
//! If it is large, it is compressed once, for the first client that accepts gzip, or compiled in as gzip. No content holds a secret, so its compressed length
//! reveals none.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::Write as _;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};
use hyper::body::Bytes;
use poem::Response;
use poem::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, VARY,
};
use poem::http::{HeaderMap, HeaderValue, StatusCode};

use super::weights::weighted;

/// The minimum size for compression, in bytes. Smaller content fits into one packet with its headers, so compression gains nothing.
const MIN_COMPRESSED_BYTES: usize = 1_000;

/// The `Cache-Control` of content that an update of the server or a command may change: clients show the old content for five minutes at most.
pub(crate) const CACHE_FIVE_MINUTES: &str = "public, max-age=300";

/// A body and its headers.
pub(crate) struct Content {
    body: Body,
    headers: HeaderMap,
}

/// A body as it is stored, and its other form, which is made once: for the first client that needs it.
enum Body {
    Plain {
        stored: Bytes,
        /// `None` if compression gains nothing.
        gzip: OnceLock<Option<Bytes>>,
    },
    Gzip {
        stored: &'static [u8],
        plain: OnceLock<Bytes>,
    },
}

impl Content {
    /// Content that clients do not keep.
    pub(crate) fn new(plain: impl Into<Bytes>) -> Self {
        Self {
            body: Body::Plain {
                stored: plain.into(),
                gzip: OnceLock::new(),
            },
            headers: HeaderMap::new(),
        }
    }

    /// Content with its digest as validator.
    pub(crate) fn kept(plain: impl Into<Bytes>) -> Self {
        Self::new(plain).validated()
    }

    /// Kept content of a media type, with its `Cache-Control`.
    pub(crate) fn file(plain: impl Into<Bytes>, content_type: &str, cache_control: &str) -> Self {
        Self::kept(plain)
            .with(CONTENT_TYPE, content_type)
            .with(CACHE_CONTROL, cache_control)
    }

    /// As [`Content::file`], of a file that the build compressed.
    pub(crate) fn compressed_file(gzip: &'static [u8], content_type: &str, cache_control: &str) -> Self {
        let content = Self {
            body: Body::Gzip {
                stored: gzip,
                plain: OnceLock::new(),
            },
            headers: HeaderMap::new(),
        };
        content
            .validated()
            .with(CONTENT_TYPE, content_type)
            .with(CACHE_CONTROL, cache_control)
    }

    /// Adds a digest of the stored form. As validator of both forms it is weak.
    fn validated(self) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(match &self.body {
            Body::Plain { stored, .. } => stored,
            Body::Gzip { stored, .. } => stored,
        });
        let tag = format!("W/\"{:016x}\"", hasher.finish());
        self.with(ETAG, &tag).with(VARY, "Accept-Encoding")
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("every header of content is visible ASCII");
        self.headers.insert(name, value);
        self
    }

    /// The response to a request with the headers `asked`: 304 if the client has the content, compressed if the client accepts gzip.
    pub(crate) fn answer(&self, asked: &HeaderMap) -> Response {
        let mut response = Response::default();
        *response.headers_mut() = self.headers.clone();
        let tag = self.headers.get(ETAG);
        if tag.is_some_and(|tag| knows(asked, tag)) {
            response.set_status(StatusCode::NOT_MODIFIED);
            response.headers_mut().remove(CONTENT_TYPE);
        } else if let Some(gzip) = self.gzip_for(asked) {
            response.set_body(gzip);
            let encoding = HeaderValue::from_static("gzip");
            response.headers_mut().insert(CONTENT_ENCODING, encoding);
        } else {
            response.set_body(self.body.plain());
        }
        response
    }

    fn gzip_for(&self, asked: &HeaderMap) -> Option<Bytes> {
        let is_kept = self.headers.contains_key(ETAG);
        (is_kept && takes_gzip(asked)).then(|| self.body.gzip())?
    }
}

impl Body {
    fn plain(&self) -> Bytes {
        match self {
            Self::Plain { stored, .. } => stored.clone(),
            Self::Gzip { stored, plain } => plain.get_or_init(|| decompress(stored)).clone(),
        }
    }

    fn gzip(&self) -> Option<Bytes> {
        match self {
            Self::Plain { stored, gzip } => gzip.get_or_init(|| compress(stored)).clone(),
            Self::Gzip { stored, .. } => Some(Bytes::from_static(stored)),
        }
    }
}

/// `None` if compression gains nothing.
fn compress(plain: &[u8]) -> Option<Bytes> {
    if plain.len() < MIN_COMPRESSED_BYTES {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).ok()?;
    let compressed = encoder.finish().ok()?;
    (compressed.len() < plain.len()).then(|| compressed.into())
}

fn decompress(gzip: &[u8]) -> Bytes {
    let mut decoder = GzDecoder::new(Vec::new());
    let decompressed = decoder.write_all(gzip).and_then(|()| decoder.finish());
    decompressed.expect("the build compressed it").into()
}

/// Whether a client has the content that `tag` names. Compares weakly (RFC 9110 §8.8.3.2): a proxy may have made the validator weak or strong.
fn knows(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_owned();
    let lines = asked.get_all(IF_NONE_MATCH).into_iter();
    let listed = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut listed = listed.map(<[u8]>::trim_ascii);
    listed.any(|known| known == b"*" || opaque(known) == opaque(tag.as_bytes()))
}

/// Whether a client accepts gzip, and does not prefer uncompressed content (RFC 9110 §12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = weighted(headers, ACCEPT_ENCODING);
    let weight = |names: &[&str]| {
        let found = accepted.iter().find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, weight)| *weight)
    };
    let gzip = weight(&["gzip", "x-gzip"]).or_else(|| weight(&["*"]));
    gzip.is_some_and(|gzip| gzip > 0.0 && gzip >= weight(&["identity"]).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_clients_that_prefer_it() {
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

    /// The paths of files have no rate limit, so no request may cost the work of decompression.
    #[test]
    fn a_compressed_file_is_decompressed_once() {
        let gzip: &[u8] = compress(&[b'a'; 10_000])
            .expect("compression gains")
            .to_vec()
            .leak();
        let file = Content::compressed_file(gzip, "text/css", CACHE_FIVE_MINUTES);
        let first = file.body.plain();
        assert_eq!(*first, [b'a'; 10_000]);
        assert_eq!(file.body.plain().as_ptr(), first.as_ptr());
        assert_eq!(file.body.gzip().as_deref(), Some(gzip));
    }
}
