//! Bytes of HTTP/1.1 connections, as the guard below the library reads them.
//!
//! Input: the bytes, as they would come.

use http::{HeaderName, HeaderValue, Method, Uri};
use pinegate::wire::{Limits, Place, Stop, Validator};

const LIMITS: Limits = Limits { head_bytes: 2 << 10, fields: 16 };

pub(crate) fn check(data: &[u8]) {
    let whole = Validator::new(LIMITS).read(data);
    for size in [1, 2, 3, 7, 64, 1_000] {
        assert_eq!(in_pieces(data, size), whole, "in pieces of {size}");
    }
    let sound = whole.unwrap_or_else(|stop| stop.sound);
    assert!(sound <= data.len());
    let sound = &data[..sound];
    assert_eq!(Validator::new(LIMITS).read(sound), Ok(sound.len()), "what is sound is so by itself");

    // Where another reader stands behind it, so does this one.
    let mut validator = Validator::new(LIMITS);
    validator.read(sound).expect("it was sound before");
    let request = b"GET / HTTP/1.1\r\n\r\n";
    let both = [sound, request].concat();
    if validator.awaits_switch() {
        assert!(walk(sound), "it asks when it has ended");
        assert_eq!(Validator::new(LIMITS).read(&both), Ok(sound.len()), "no request follows");
        return;
    }
    let next = validator.read(b"\n").err().map(|stop| stop.place);
    if walk(sound) {
        assert_eq!(next, Some(Place::Head), "a head must follow");
        assert_eq!(Validator::new(LIMITS).read(&both), Ok(both.len()), "a request may follow");
    } else {
        assert_ne!(next, Some(Place::Head), "the body goes on");
    }
    if let Err(Stop { place: Place::Head, .. }) = whole {
        assert!(walk(sound), "a head is refused where a head begins");
    }
}

fn in_pieces(data: &[u8], size: usize) -> Result<usize, Stop> {
    let mut validator = Validator::new(LIMITS);
    let (mut sound, mut held) = (0, Vec::new());
    for piece in data.chunks(size) {
        held.extend_from_slice(piece);
        match validator.read(&held) {
            Ok(taken) => {
                sound += taken;
                held.drain(..taken);
            }
            Err(stop) => return Err(Stop { sound: sound + stop.sound, ..stop }),
        }
    }
    Ok(sound)
}

/// Reads sound bytes with the parser that the library has; whether they end with a message. Fails where that parser
/// would refuse them, or find a head that does not end.
fn walk(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let mut fields = [httparse::EMPTY_HEADER; LIMITS.fields];
        let mut request = httparse::Request::new(&mut fields);
        let status = request.parse(bytes).expect("httparse takes it");
        let httparse::Status::Complete(length) = status else { panic!("half a head is sound") };
        check_head(&request);
        let length_of = |name: &str| {
            let mut values = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            let first = values.next().map(|field| std::str::from_utf8(field.value).expect("it frames"));
            assert!(values.next().is_none(), "`{name}` twice");
            first
        };
        let (length_field, coding) = (length_of("content-length"), length_of("transfer-encoding"));
        bytes = &bytes[length..];
        match (length_field, coding) {
            (None, None) => {}
            (Some(number), None) => {
                let number: usize = number.parse().expect("a number");
                let Some(rest) = bytes.get(number..) else { return false };
                bytes = rest;
            }
            (None, Some(coding)) => {
                assert!(coding.eq_ignore_ascii_case("chunked") && request.version == Some(1));
                let Some(rest) = behind_chunks(bytes) else { return false };
                bytes = rest;
            }
            (Some(_), Some(_)) => panic!("two framings"),
        }
    }
    true
}

/// What the library makes of a head that its parser took: nothing in it may make it answer by itself.
fn check_head(request: &httparse::Request<'_, '_>) {
    let method = request.method.expect("a method");
    assert!(Method::from_bytes(method.as_bytes()).is_ok() && method != "CONNECT", "{method:?}");
    let path = request.path.expect("a target");
    let uri = Uri::try_from(path).expect("a URI");
    let shown = uri.path_and_query().map_or("", |both| both.as_str());
    assert!(path.ends_with(shown) || uri.path() == "/", "{path:?} is cut to {shown:?}");
    assert_ne!(uri.path(), "*", "a stand-in from outside");
    for field in request.headers.iter() {
        assert!(HeaderName::from_bytes(field.name.as_bytes()).is_ok(), "{:?}", field.name);
        assert!(HeaderValue::from_bytes(field.value).is_ok(), "{:?}", field.value);
    }
}

/// What follows a body in chunks, if it is whole.
fn behind_chunks(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let httparse::Status::Complete((length, size)) =
            httparse::parse_chunk_size(bytes).expect("httparse takes a size")
        else {
            return None;
        };
        bytes = &bytes[length..];
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).expect("it is short");
        bytes = bytes.get(size..)?;
        if bytes.len() < 2 {
            return None;
        }
        bytes = bytes.strip_prefix(b"\r\n").expect("data ends where it says");
    }
    let mut fields = [httparse::EMPTY_HEADER; 8];
    match httparse::parse_headers(bytes, &mut fields).expect("httparse takes trailers") {
        httparse::Status::Complete((length, _)) => Some(&bytes[length..]),
        httparse::Status::Partial => {
            assert!(bytes.is_empty(), "half of the trailers is sound");
            None
        }
    }
}
