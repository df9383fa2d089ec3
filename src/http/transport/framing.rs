//! Where requests begin and end on a connection, held stricter than hyper holds it.
//!
//! Two servers in a row that disagree on this can be made to smuggle: the first takes for a body what the second takes
//! for the next request. So what may be read in two ways is refused, also where a recipient may guess (RFC 9112 §11.2).
//! hyper guesses in three places, and of these its request no longer tells: a line that ends in a bare LF (§2.2),
//! `Transfer-Encoding` beside `Content-Length` (§6.1), and a `Content-Length` that is repeated (§6.3). [`Framing`] sees
//! them as they come in. [`is_clear`] judges what can be seen in the finished head.

use hyper::header::{HOST, TRANSFER_ENCODING};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Version};

/// How much of a line is looked at: more than the longest one that decides something needs. A longer one is refused, if
/// it might decide all the same.
const LOOKED_AT: usize = 64;

/// Follows the bytes of a connection, and spoils the end of a line that may be read in two ways.
///
/// hyper then refuses that line itself: with 400, after the answers to the requests before it, and as the last thing on
/// the connection. Nothing else is ever changed, and hyper alone decides what is served.
#[derive(Debug, Default)]
pub(super) struct Framing {
    place: Place,
    /// The beginning of the line that is being read.
    line: Vec<u8>,
    /// The last byte of it, which may not be in its beginning.
    last: u8,
    length: Option<Length>,
}

/// Where in a request the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    RequestLine,
    Headers,
    Content(u64),
    ChunkSize,
    /// In the bytes of a chunk, or in the line end behind them.
    Chunk(u64),
    Trailers,
}

/// What the head says of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(u64),
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is clear, or hyper refuses it anyway.
    Passes,
    /// It may be read in two ways.
    IsSpoilt,
}

impl Framing {
    /// Goes on with the bytes that were read next.
    pub(super) fn follow(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let length = match self.place {
                Place::Content(left) | Place::Chunk(left) => self.skip(left, bytes.len()),
                Place::RequestLine | Place::Headers | Place::ChunkSize | Place::Trailers => {
                    self.take_line(bytes)
                }
            };
            bytes = &mut { bytes }[length..];
        }
    }

    fn skip(&mut self, left: u64, there: usize) -> usize {
        let length = usize::try_from(left).map_or(there, |left| left.min(there));
        let left = left - length as u64;
        self.place = match self.place {
            Place::Content(_) if left == 0 => Place::RequestLine,
            Place::Content(_) => Place::Content(left),
            _ if left == 0 => Place::ChunkSize,
            _ => Place::Chunk(left),
        };
        length
    }

    /// Takes what there is of the line, and judges it if it is whole.
    fn take_line(&mut self, bytes: &mut [u8]) -> usize {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = LOOKED_AT - self.line.len();
        self.line.extend_from_slice(&part[..room.min(part.len())]);
        self.last = part.last().copied().unwrap_or(self.last);
        let Some(end) = end else { return bytes.len() };
        let verdict = match self.last {
            b'\r' => self.judge(),
            // Here hyper refuses a bare LF itself, and would take any other byte for a chunk extension.
            _ if self.place == Place::ChunkSize => Verdict::Passes,
            _ => Verdict::IsSpoilt,
        };
        if verdict == Verdict::IsSpoilt {
            // No line of a head may have this byte, and no line at all between its CR and its LF.
            bytes[end] = 0;
        }
        self.line.clear();
        self.last = 0;
        end + 1
    }

    /// Judges a line that ends as it should, and goes on to what comes behind it.
    fn judge(&mut self) -> Verdict {
        let is_empty = self.line == b"\r";
        match self.place {
            // hyper skips empty lines here (RFC 9112 §2.2).
            Place::RequestLine if !is_empty => self.place = Place::Headers,
            Place::Headers if is_empty => {
                self.place = match self.length.take() {
                    None | Some(Length::Bytes(0)) => Place::RequestLine,
                    Some(Length::Bytes(length)) => Place::Content(length),
                    Some(Length::Chunked) => Place::ChunkSize,
                };
            }
            Place::Headers => return self.judge_header(),
            Place::ChunkSize => return self.judge_chunk_size(),
            Place::Trailers if is_empty => self.place = Place::RequestLine,
            _ => {}
        }
        Verdict::Passes
    }

    fn judge_header(&mut self) -> Verdict {
        let Some(colon) = self.line.iter().position(|byte| *byte == b':') else {
            return Verdict::Passes;
        };
        let (name, value) = self.line.split_at(colon);
        let length = if name.eq_ignore_ascii_case(b"transfer-encoding") {
            Length::Chunked
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if self.line.len() == LOOKED_AT {
                return Verdict::IsSpoilt;
            }
            // What is no number, hyper refuses.
            Length::Bytes(read_number(value[1..].trim_ascii(), 10).unwrap_or(0))
        } else {
            return Verdict::Passes;
        };
        match self.length.replace(length) {
            None => Verdict::Passes,
            Some(_) => Verdict::IsSpoilt,
        }
    }

    fn judge_chunk_size(&mut self) -> Verdict {
        let is_digit = |byte: &u8| byte.is_ascii_hexdigit();
        let digits = self.line.iter().take_while(|byte| is_digit(byte)).count();
        if digits == LOOKED_AT {
            return Verdict::IsSpoilt;
        }
        // What is no number, or too large a one, hyper refuses.
        let size = read_number(&self.line[..digits], 16).unwrap_or(0);
        self.place = match size {
            0 => Place::Trailers,
            size => Place::Chunk(size.saturating_add(2)),
        };
        Verdict::Passes
    }
}

fn read_number(digits: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

/// Whether a head says in one way only whom it asks and how its body is framed; otherwise it is 400.
///
/// - One `Host` (RFC 9112 §3.2), which HTTP/1.0 may leave out.
/// - A target in origin form, or in absolute form with the same host as in `Host`; `*` for OPTIONS.
/// - No transfer coding but one `chunked`: any other would have to be undone before the body can be read (§6.1).
pub(super) fn is_clear<B>(request: &Request<B>) -> bool {
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

    /// What hyper gets to see, if the bytes come in pieces of `size`.
    fn followed(text: &str, size: usize) -> String {
        let mut framing = Framing::default();
        let mut bytes = text.as_bytes().to_vec();
        for piece in bytes.chunks_mut(size) {
            framing.follow(piece);
        }
        String::from_utf8(bytes).expect("it was text and is text")
    }

    /// The lines whose end is spoilt, however the bytes come in.
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
    fn what_may_be_read_in_two_ways_is_spoilt() {
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
        // hyper refuses that one.
        assert_eq!(chunks("1\na\r\n0"), [""; 0]);
        assert_eq!(chunks("0\r\na: b\nc: d"), ["a: b"]);
    }

    #[test]
    fn padding_hides_nothing() {
        let (spaces, zeros) = (" ".repeat(LOOKED_AT), "0".repeat(LOOKED_AT));
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
            // Nothing is touched but ends of lines.
            prop_assert!(bytes.iter().zip(&whole).all(|(was, is)| was == is || (*was == b'\n' && *is == 0)));
        }
    }
}
