//! Where requests begin and end on a connection. The rules are stricter than hyper's.
//!
//! If a proxy and this server disagree on this, requests can be smuggled: the proxy forwards as a body what the server reads as the next request. So
//! everything ambiguous is refused, even where a recipient may guess (RFC 9112 §11.2). hyper guesses in three cases, and the request that it returns no
//! longer shows them: a line that ends in a bare LF (§2.2), `Transfer-Encoding` beside `Content-Length` (§6.1), and a repeated `Content-Length` (§6.3).
//! [`Framing`] finds these in the bytes as they arrive. [`is_unambiguous`] checks the head that hyper has parsed.

use hyper::header::{HOST, TRANSFER_ENCODING};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Version};

/// How many bytes of a line are examined. A header that frames a body needs fewer; a longer one is refused.
const EXAMINED_BYTES: usize = 64;

/// Follows the bytes of a connection, and spoils the end of an ambiguous line: it replaces the LF by a NUL.
///
/// hyper then refuses that line itself: with 400, after the answers to the requests before it, and as the last answer on the connection. No other byte is
/// changed, and hyper alone decides what is served.
#[derive(Debug, Default)]
pub(super) struct Framing {
    position: Position,
    /// The beginning of the current line, up to [`EXAMINED_BYTES`].
    line: Vec<u8>,
    /// The last byte of the current line, even if `line` is full.
    last: u8,
    length: Option<Length>,
}

/// The part of a request that the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    #[default]
    RequestLine,
    Headers,
    /// In a body of known length; the number of its bytes that are left.
    Content(u64),
    ChunkSize,
    /// In a chunk; the number of its bytes that are left, with the CRLF at its end.
    Chunk(u64),
    Trailers,
}

/// What the head says about the length of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(u64),
    Chunked,
}

impl Framing {
    /// Follows the next bytes of the connection.
    pub(super) fn follow(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let length = match self.position {
                Position::Content(left) | Position::Chunk(left) => self.skip(left, bytes.len()),
                Position::RequestLine | Position::Headers | Position::ChunkSize | Position::Trailers => {
                    self.take_line(bytes)
                }
            };
            bytes = &mut { bytes }[length..];
        }
    }

    /// Skips as many of the `available` bytes as belong to the body or chunk, of which `left` remain. Returns how many bytes it skipped.
    fn skip(&mut self, left: u64, available: usize) -> usize {
        let length = usize::try_from(left).map_or(available, |left| left.min(available));
        let left = left - length as u64;
        self.position = match self.position {
            Position::Content(_) if left == 0 => Position::RequestLine,
            Position::Content(_) => Position::Content(left),
            _ if left == 0 => Position::ChunkSize,
            _ => Position::Chunk(left),
        };
        length
    }

    /// Takes the bytes of the current line, and spoils the line if it is complete and ambiguous. Returns how many bytes it took.
    fn take_line(&mut self, bytes: &mut [u8]) -> usize {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = EXAMINED_BYTES - self.line.len();
        self.line.extend_from_slice(&part[..room.min(part.len())]);
        self.last = part.last().copied().unwrap_or(self.last);
        let Some(end) = end else { return bytes.len() };
        let is_ambiguous = match self.last {
            b'\r' => self.end_line(),
            // After a chunk size, hyper itself refuses a bare LF. It would read a NUL as part of a chunk extension.
            _ => self.position != Position::ChunkSize,
        };
        if is_ambiguous {
            // hyper refuses a NUL in a head, and a NUL after the CR of any line.
            bytes[end] = 0;
        }
        self.line.clear();
        self.last = 0;
        end + 1
    }

    /// Moves on to the part of the request after the current line. Returns whether the line is ambiguous.
    fn end_line(&mut self) -> bool {
        let is_empty = self.line == b"\r";
        match self.position {
            // hyper skips empty lines here (RFC 9112 §2.2).
            Position::RequestLine if !is_empty => self.position = Position::Headers,
            Position::Headers if is_empty => {
                self.position = match self.length.take() {
                    None | Some(Length::Bytes(0)) => Position::RequestLine,
                    Some(Length::Bytes(length)) => Position::Content(length),
                    Some(Length::Chunked) => Position::ChunkSize,
                };
            }
            Position::Headers => return self.end_header(),
            Position::ChunkSize => return self.end_chunk_size(),
            Position::Trailers if is_empty => self.position = Position::RequestLine,
            _ => {}
        }
        false
    }

    fn end_header(&mut self) -> bool {
        let Some(colon) = self.line.iter().position(|byte| *byte == b':') else {
            return false;
        };
        let (name, value) = self.line.split_at(colon);
        let length = if name.eq_ignore_ascii_case(b"transfer-encoding") {
            Length::Chunked
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if self.line.len() == EXAMINED_BYTES {
                return true;
            }
            // hyper refuses what is not a number.
            Length::Bytes(read_number(value[1..].trim_ascii(), 10).unwrap_or(0))
        } else {
            return false;
        };
        self.length.replace(length).is_some()
    }

    fn end_chunk_size(&mut self) -> bool {
        let is_digit = |byte: &u8| byte.is_ascii_hexdigit();
        let digits = self.line.iter().take_while(|byte| is_digit(byte)).count();
        if digits == EXAMINED_BYTES {
            return true;
        }
        // hyper refuses what is not a number, and a number that is too large.
        let size = read_number(&self.line[..digits], 16).unwrap_or(0);
        self.position = match size {
            0 => Position::Trailers,
            size => Position::Chunk(size.saturating_add(2)),
        };
        false
    }
}

fn read_number(digits: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

/// Whether a head names one host and frames its body in one way. If not, the response is 400. A head passes with:
///
/// - One `Host` (RFC 9112 §3.2), which HTTP/1.0 may leave out.
/// - A target in origin form, or in absolute form with the same host as in `Host`; `*` for OPTIONS.
/// - No transfer coding except a single `chunked`: any other would have to be decoded before the body can be read (§6.1).
pub(super) fn is_unambiguous<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => match Authority::try_from(host.as_bytes()) {
            Ok(host) if !host.as_str().contains('@') => Some(host),
            _ => return false,
        },
        (None, _) if request.version() == Version::HTTP_10 => None,
        _ => return false,
    };
    let target = request.uri();
    let is_for_us = match (target.scheme(), target.authority()) {
        (None, None) => target.path().starts_with('/') || request.method() == Method::OPTIONS,
        (Some(_), Some(named)) => host.is_none_or(|host| host == *named),
        _ => false,
    };
    let codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    is_for_us
        && codings
            .into_iter()
            .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes that hyper reads if they arrive in pieces of `size`.
    fn followed(text: &str, size: usize) -> String {
        let mut framing = Framing::default();
        let mut bytes = text.as_bytes().to_vec();
        for piece in bytes.chunks_mut(size) {
            framing.follow(piece);
        }
        String::from_utf8(bytes).expect("it was text and is text")
    }

    /// The lines whose end is spoilt. Panics if they depend on the size of the pieces in which the bytes arrive.
    fn spoilt(text: &str) -> Vec<String> {
        let whole = followed(text, text.len());
        for size in 1..text.len() {
            assert_eq!(followed(text, size), whole, "in pieces of {size}");
        }
        let ends = whole.match_indices('\0').map(|(end, _)| end);
        let line = |end: usize| {
            whole[..end]
                .rsplit(['\n', '\0'])
                .next()
                .unwrap_or_default()
                .trim_end()
        };
        ends.map(|end| line(end).to_owned()).collect()
    }

    #[test]
    fn clear_requests_pass_unchanged() {
        let requests = concat!(
            "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "\r\nPOST / HTTP/1.1\r\nContent-Length: 23\r\nhost: x\r\n\r\nTransfer-Encoding: a\nb\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            "A;content-length: 5\r\na\nContent-\r\n1\r\n\n\r\n000\r\ncontent-length: 7\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length:3 \r\n\r\n\n\n\nGET / HTTP/1.1\r\n\r\n",
        );
        assert_eq!(spoilt(requests), [""; 0]);
    }

    #[test]
    fn ambiguous_lines_are_spoilt() {
        let headers = |lines: &str| spoilt(&format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n"));
        let length = "content-length: 5";
        let chunked = "Transfer-Encoding: chunked";
        assert_eq!(headers(&format!("{length}\r\n{chunked}")), [chunked]);
        assert_eq!(headers(&format!("{chunked}\r\na: b\r\n{length}")), [length]);
        assert_eq!(headers(&format!("{length}\r\n{length}")), [length]);
        assert_eq!(headers(&format!("{chunked}\r\n{chunked}")), [chunked]);
        assert_eq!(headers("a: b\nc: d"), ["a: b"]);
        assert_eq!(spoilt("GET / HTTP/1.1\nhost: x\r\n\r\n"), ["GET / HTTP/1.1"]);
        assert_eq!(spoilt("\nGET / HTTP/1.1\r\n\r\n"), [""]);
        let chunks = |lines: &str| headers(&format!("{chunked}\r\n\r\n{lines}"));
        // hyper itself refuses a bare LF after a chunk size.
        assert_eq!(chunks("1\na\r\n0"), [""; 0]);
        assert_eq!(chunks("0\r\na: b\nc: d"), ["a: b"]);
    }

    #[test]
    fn padding_hides_nothing() {
        let (spaces, zeros) = (" ".repeat(EXAMINED_BYTES), "0".repeat(EXAMINED_BYTES));
        let head = format!("POST / HTTP/1.1\r\ncontent-length:{spaces}5\r\n\r\n");
        assert_eq!(spoilt(&head).len(), 1);
        let head = format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{zeros}5\r\n");
        assert_eq!(spoilt(&head).len(), 1);
        // A line that decides nothing may be long.
        let head = format!("GET /{zeros} HTTP/1.1\r\na:{spaces}b\r\n\r\n");
        assert_eq!(spoilt(&head), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_followed_alike_in_any_pieces(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'\r'), Just(b'\n'), Just(b':'), Just(b'0'), Just(b'f'), any::<u8>()
            ], 0..300),
            size in 1..40_usize,
        ) {
            let mut whole = bytes.clone();
            Framing::default().follow(&mut whole);
            let mut framing = Framing::default();
            let mut pieces = bytes.clone();
            pieces.chunks_mut(size).for_each(|piece| framing.follow(piece));
            prop_assert_eq!(&pieces, &whole);
            // Only ends of lines are changed.
            prop_assert!(bytes.iter().zip(&whole).all(|(was, is)| was == is || (*was == b'\n' && *is == 0)));
        }
    }
}
