//! Bodies that are sent in chunks (RFC 9112 §7.1), as Node's HTTP server sends them.

use std::io;

/// The body at the start of `bytes`, and how many bytes it takes there; `None` while its end is missing. Trailers are an error.
pub(crate) fn decode(bytes: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the server sent a malformed chunk");
    let (mut body, mut rest) = (Vec::new(), bytes);
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| malformed())?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed())?;
        let after = &rest[end + 2..];
        let Some((chunk, after)) = after.split_at_checked(size) else {
            return Ok(None);
        };
        if after.len() < 2 {
            return Ok(None);
        }
        rest = after.strip_prefix(b"\r\n").ok_or_else(malformed)?;
        if size == 0 {
            return Ok(Some((body, bytes.len() - rest.len())));
        }
        body.extend_from_slice(chunk);
    }
    Ok(None)
}
