//! Heads and trailers, line by line.

use http::Uri;
use memchr::memchr;

use super::fault::Fault;
use super::field::{Lines, field, is_target, is_token, strict};
use super::{Framing, Limits};

/// The longest method, in bytes; an audit record has room for as much.
const MAX_METHOD_BYTES: usize = 64;

/// The longest target, in bytes: as long as a path and a query may be together, and an authority.
const MAX_TARGET_BYTES: usize = 17 << 10;

/// The most digits of a `Content-Length`, so that it fits into any integer of 64 bits.
const MAX_LENGTH_DIGITS: usize = 18;

/// The most bytes of a trailer section, and the most fields in it. They go nowhere.
const MAX_TRAILER_BYTES: usize = 4 << 10;
const MAX_TRAILERS: usize = 8;

/// Fields that frame, route, authenticate or describe a message (RFC 9110, section 6.5.1): a reader who merges
/// trailers into the head would read another request.
const NO_TRAILERS: [&str; 17] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "data-purpose",
    "data-scope",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The head of a request, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Head {
    lines: Lines,
    /// Whether the empty line that may stand before it was passed over.
    is_led: bool,
    version: Option<Version>,
    fields: usize,
    length: Option<u64>,
    is_chunked: bool,
    asks_to_switch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

impl Head {
    /// Reads on; `bytes` begin where the head does. When it is whole: how many bytes it has, and how its
    /// body is framed.
    pub(super) fn read(&mut self, bytes: &[u8], limits: Limits) -> Result<Option<(usize, Framing)>, Fault> {
        let limit = limits.head_bytes;
        while let Some(line) = self.lines.next(bytes, limit, Fault::TooLarge { limit })? {
            let Some(version) = self.version else {
                if line.is_empty() && !self.is_led {
                    self.is_led = true;
                } else {
                    self.version = Some(request_line(line)?);
                }
                continue;
            };
            if line.is_empty() {
                return Ok(Some((self.lines.bytes(), self.framing()?)));
            }
            if self.fields == limits.fields {
                return Err(Fault::TooManyFields { limit: limits.fields });
            }
            self.fields += 1;
            self.field(line, version)?;
        }
        Ok(None)
    }

    fn field(&mut self, line: &[u8], version: Version) -> Result<(), Fault> {
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() {
                return Err(Fault::LengthTwice);
            }
            self.length = Some(length(strict(value)).ok_or(Fault::Length)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_plain = strict(value).eq_ignore_ascii_case(b"chunked");
            if self.is_chunked || !is_plain || version == Version::Http10 {
                return Err(Fault::Coding);
            }
            self.is_chunked = true;
        } else if version == Version::Http11 && name.eq_ignore_ascii_case(b"upgrade") {
            // By HTTP/1.0 nobody may heed it (RFC 9110, section 7.8).
            self.asks_to_switch = true;
        }
        Ok(())
    }

    /// Whether it asks for another protocol in place of what would follow.
    pub(super) fn asks_to_switch(&self) -> bool {
        self.asks_to_switch
    }

    fn framing(&self) -> Result<Framing, Fault> {
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(Fault::LengthAndCoding),
            (None, true) => Ok(Framing::Chunked),
            (None | Some(0), false) => Ok(Framing::Nothing),
            (Some(length), false) => Ok(Framing::Length(length)),
        }
    }
}

/// What a `Content-Length` says: digits, the first of which is not a needless zero, since `010` is eight to some.
/// `None` where it could be read in two ways, whatever version of HTTP it came by.
#[must_use]
pub fn length(digits: &[u8]) -> Option<u64> {
    let is_plain = match digits {
        [] => false,
        [b'0'] => true,
        [first, ..] => *first != b'0' && digits.len() <= MAX_LENGTH_DIGITS,
    };
    if !is_plain || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

fn request_line(line: &[u8]) -> Result<Version, Fault> {
    if matches!(line.first(), None | Some(b' ' | b'\t')) {
        return Err(Fault::Leading);
    }
    // Two words are a request of HTTP/0.9.
    let (method, rest) = word(line).ok_or(Fault::RequestLine)?;
    let (target, version) = word(rest).ok_or(Fault::RequestLine)?;
    if !is_token(method) || target.is_empty() {
        return Err(Fault::RequestLine);
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => return Err(Fault::Version),
        _ => return Err(Fault::RequestLine),
    };
    if method == b"CONNECT" || method.len() > MAX_METHOD_BYTES {
        return Err(Fault::Method);
    }
    if target.len() > MAX_TARGET_BYTES {
        return Err(Fault::TargetTooLong);
    }
    if !is_target(target) || !(target.starts_with(b"/") || is_absolute(target)) {
        return Err(Fault::Target);
    }
    Ok(version)
}

/// What stands before the first blank, and what after it.
fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = line.split_at_checked(memchr(b' ', line)?)?;
    Some((word, rest.get(1..)?))
}

/// Absolute-form, which proxies are sent: rare enough to be read by who reads it again.
fn is_absolute(target: &[u8]) -> bool {
    Uri::try_from(target).is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")))
}

/// The trailers of a body in chunks, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Trailers {
    lines: Lines,
    fields: usize,
}

impl Trailers {
    /// Reads on; `bytes` begin behind the line of the last chunk. When they are whole: how many bytes there are.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        while let Some(line) = self.lines.next(bytes, MAX_TRAILER_BYTES, Fault::TooManyTrailers)? {
            if line.is_empty() {
                return Ok(Some(self.lines.bytes()));
            }
            if self.fields == MAX_TRAILERS {
                return Err(Fault::TooManyTrailers);
            }
            self.fields += 1;
            let (name, _) = field(line)?;
            if NO_TRAILERS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
                return Err(Fault::Trailer);
            }
        }
        Ok(None)
    }
}
