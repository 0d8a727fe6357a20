//! What is taken and what is not, and that the cut means nothing.

use super::*;

const LIMITS: Limits = Limits { head_bytes: 1 << 10, fields: 8 };

/// How far `bytes` are sound, in one piece.
fn whole(bytes: &[u8]) -> Result<usize, Stop> {
    Validator::new(LIMITS).read(bytes)
}

/// The same in pieces of `size`.
fn in_pieces(bytes: &[u8], size: usize) -> Result<usize, Stop> {
    let mut validator = Validator::new(LIMITS);
    let (mut sound, mut held) = (0, Vec::new());
    for piece in bytes.chunks(size) {
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

fn verdict(bytes: &[u8]) -> Result<usize, Stop> {
    let verdict = whole(bytes);
    for size in 1..=bytes.len().min(40) {
        assert_eq!(in_pieces(bytes, size), verdict, "{size}: {:?}", String::from_utf8_lossy(bytes));
    }
    verdict
}

/// Fails unless all of `text` is sound.
fn assert_sound(text: &str) {
    assert_eq!(verdict(text.as_bytes()), Ok(text.len()), "{text:?}");
    // And so is what follows.
    let twice = format!("{text}{text}");
    assert_eq!(verdict(twice.as_bytes()), Ok(twice.len()), "{twice:?}");
}

fn assert_refused(text: &[u8], fault: Fault) {
    let refused = Err(Stop { sound: 0, place: Place::Head, fault });
    assert_eq!(verdict(text), refused, "{:?}", String::from_utf8_lossy(text));
    let good = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let behind = verdict(&[good.as_slice(), text].concat()).unwrap_err();
    assert_eq!((behind.sound, behind.fault), (good.len(), fault), "{:?}", String::from_utf8_lossy(text));
}

#[test]
fn what_everybody_reads_alike_is_taken() {
    for text in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET /a?b=[c]|{d} HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Empty:\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a:1/b?c HTTP/1.1\r\nHost: a:1\r\n\r\n",
        "M-SEARCH /x HTTP/1.1\r\nHost:a\r\n\r\n",
        "GET / HTTP/1.0\r\nX-Tab:\ta\tb\t\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length:5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n\r\n\n\r\r",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTRANSFER-ENCODING: Chunked\r\n\r\n5\r\nhello\r\n0000000A\r\n\r\n\r\nGET \r\n\r\n000\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: abc\r\n\r\n",
    ] {
        assert_sound(text);
    }
}

#[test]
fn heads_with_two_readings_are_not() {
    for (line, fault) in [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Fault::BareLf),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", Fault::BareCr),
        ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", Fault::BareCr),
        ("GET / HTTP/1.1\r\nX: a\r\r\n\r\n", Fault::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\n\rX", Fault::BareCr),
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Fault::Leading),
        (" GET / HTTP/1.1\r\n\r\n", Fault::Leading),
        ("   \r\n\r\n", Fault::Leading),
        ("GET  / HTTP/1.1\r\n\r\n", Fault::RequestLine),
        ("GET /  HTTP/1.1\r\n\r\n", Fault::RequestLine),
        ("GET / HTTP/1.1 \r\n\r\n", Fault::RequestLine),
        ("GET\t/ HTTP/1.1\r\n\r\n", Fault::RequestLine),
        ("GET /a b HTTP/1.1\r\n\r\n", Fault::RequestLine),
        ("GET / http/1.1\r\n\r\n", Fault::RequestLine),
        ("GET / ICE/1.0\r\n\r\n", Fault::RequestLine),
        ("GET\r\n\r\n", Fault::RequestLine),
        ("G(T / HTTP/1.1\r\n\r\n", Fault::RequestLine),
        ("GET /\r\n", Fault::RequestLine),
        ("GET / HTTP/1.2\r\n\r\n", Fault::Version),
        ("GET / HTTP/01.1\r\n\r\n", Fault::RequestLine),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Fault::Version),
        ("CONNECT a:443 HTTP/1.1\r\n\r\n", Fault::Method),
        ("OPTIONS * HTTP/1.1\r\n\r\n", Fault::Target),
        ("GET * HTTP/1.1\r\n\r\n", Fault::Target),
        ("GET a:443 HTTP/1.1\r\n\r\n", Fault::Target),
        ("GET ftp://a/ HTTP/1.1\r\n\r\n", Fault::Target),
        ("GET http:///a HTTP/1.1\r\n\r\n", Fault::Target),
        ("GET /a#b HTTP/1.1\r\n\r\n", Fault::Target),
        ("GET /\"a\" HTTP/1.1\r\n\r\n", Fault::Target),
        ("GET /<a> HTTP/1.1\r\n\r\n", Fault::Target),
        ("GET /\u{e9} HTTP/1.1\r\n\r\n", Fault::Target),
        ("GET /\u{0} HTTP/1.1\r\n\r\n", Fault::Target),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Fault::Fold),
        ("GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", Fault::Fold),
        ("GET / HTTP/1.1\r\nX: a\r\n \r\n\r\n", Fault::Fold),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Fault::BlankBeforeColon),
        ("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", Fault::BlankBeforeColon),
        ("GET / HTTP/1.1\r\n: a\r\n\r\n", Fault::FieldName),
        ("GET / HTTP/1.1\r\nHost\r\n\r\n", Fault::FieldName),
        ("GET / HTTP/1.1\r\nA[b: c\r\n\r\n", Fault::FieldName),
        ("GET / HTTP/1.1\r\nA\u{b}: c\r\n\r\n", Fault::FieldName),
        ("GET / HTTP/1.1\r\nA\u{e9}: c\r\n\r\n", Fault::FieldName),
        ("GET / HTTP/1.1\r\nA: \u{0}\r\n\r\n", Fault::Control),
        ("GET / HTTP/1.1\r\nA: b\u{7f}\r\n\r\n", Fault::Control),
        ("GET / HTTP/1.1\r\nA: \u{1b}[31m\r\n\r\n", Fault::Control),
    ] {
        assert_refused(line.as_bytes(), fault);
    }
}

#[test]
fn a_length_is_one_plain_number() {
    for value in [
        "",
        " ",
        "  5",
        "5 ",
        "\t5",
        "+5",
        "-1",
        "-0",
        "0x5",
        "0o5",
        "05",
        "00",
        "1_0",
        "1 0",
        "5,5",
        "5, 5",
        "5;",
        "a",
        "1.0",
        "1234567890123456789",
        "99999999999999999999",
    ] {
        assert_refused(
            format!("POST / HTTP/1.1\r\nContent-Length: {value}\r\n\r\n").as_bytes(),
            Fault::Length,
        );
    }
    for lengths in ["5\r\nContent-Length: 5", "5\r\ncontent-length: 6", "0\r\nContent-Length: 0"] {
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {lengths}\r\n\r\nhello");
        assert_refused(head.as_bytes(), Fault::LengthTwice);
    }
    // The longest that is read; nothing follows it.
    let head = "POST / HTTP/1.1\r\nContent-Length: 999999999999999999\r\n\r\n";
    assert_eq!(verdict(format!("{head}\n\n").as_bytes()), Ok(head.len() + 2));
}

#[test]
fn a_coding_is_one_plain_chunked() {
    for value in [
        "",
        "identity",
        "gzip",
        "xchunked",
        "chunkedchunked",
        "chunked ",
        " chunked",
        "\tchunked",
        "chunked,",
        ",chunked",
        "chunked, chunked",
        "gzip, chunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunke\u{e9}",
    ] {
        let head = format!("POST / HTTP/1.1\r\nTransfer-Encoding: {value}\r\n\r\n0\r\n\r\n");
        assert_refused(head.as_bytes(), Fault::Coding);
    }
    let twice = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_refused(twice.as_bytes(), Fault::Coding);
    assert_refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::Coding);
    for (first, second) in [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 0"),
    ] {
        let head = format!("POST / HTTP/1.1\r\n{first}\r\n{second}\r\n\r\n");
        assert_refused(head.as_bytes(), Fault::LengthAndCoding);
    }
}

#[test]
fn chunks_end_where_they_say() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let many = "X-Sum: a\r\n".repeat(9);
    let large = format!("X-Sum: {}\r\n\r\n", "a".repeat(5_000));
    for (sound, rest, fault) in [
        ("", "\r\n", Fault::ChunkSize),
        ("", "x\r\n", Fault::ChunkSize),
        ("", " 5\r\n", Fault::ChunkSize),
        ("5", " \r\n", Fault::ChunkSize),
        ("5", "\n", Fault::ChunkSize),
        ("5\r", "\r", Fault::ChunkSize),
        ("0", "x5\r\n", Fault::ChunkSize),
        ("", "+5\r\n", Fault::ChunkSize),
        ("1", "_0\r\n", Fault::ChunkSize),
        ("00000000", "5\r\n", Fault::ChunkSize),
        ("FFFFFFFF", "F\r\n", Fault::ChunkSize),
        ("5", ";a=b\r\nhello\r\n", Fault::ChunkExtension),
        ("5", ";\n", Fault::ChunkExtension),
        ("5\r\nhello", "!!\r\n", Fault::ChunkEnd),
        ("5\r\nhello", "\n0\r\n", Fault::ChunkEnd),
        ("5\r\nhello\r", "0\r\n", Fault::ChunkEnd),
        ("5\r\nhello\r\n0\r\n", "\n", Fault::BareLf),
        ("0\r\n", "X: a\r\n b\r\n\r\n", Fault::Fold),
        ("0\r\n", "X : a\r\n\r\n", Fault::BlankBeforeColon),
        ("0\r\n", "GET / HTTP/1.1\r\n\r\n", Fault::FieldName),
        ("0\r\n", "Content-Length: 5\r\n\r\n", Fault::Trailer),
        ("0\r\n", "AUTHORIZATION: x\r\n\r\n", Fault::Trailer),
        ("0\r\n", many.as_str(), Fault::TooManyTrailers),
        ("0\r\n", large.as_str(), Fault::TooManyTrailers),
    ] {
        let bytes = [head, sound, rest].concat();
        let stop = Stop { sound: head.len() + sound.len(), place: Place::Body, fault };
        assert_eq!(verdict(bytes.as_bytes()), Err(stop), "{bytes:?}");
    }
}

#[test]
fn a_head_has_its_bounds() {
    let of = |bytes: usize| {
        let head = "GET / HTTP/1.1\r\nX: ";
        format!("{head}{}\r\n\r\n", "a".repeat(bytes - head.len() - 4))
    };
    assert_sound(&of(LIMITS.head_bytes));
    let too_large = Fault::TooLarge { limit: LIMITS.head_bytes };
    assert_refused(of(LIMITS.head_bytes + 1).as_bytes(), too_large);
    assert_refused(of(LIMITS.head_bytes + 2).as_bytes(), too_large);
    // Whatever it is that does not end.
    assert_refused("a".repeat(2_000).as_bytes(), too_large);
    let with = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields));
    assert_sound(&with(LIMITS.fields));
    assert_refused(with(LIMITS.fields + 1).as_bytes(), Fault::TooManyFields { limit: LIMITS.fields });
    assert_refused(format!("{} / HTTP/1.1\r\n\r\n", "A".repeat(65)).as_bytes(), Fault::Method);
    assert_refused(format!("GET / HTTP/1.1\r\n{}: b\r\n\r\n", "A".repeat(257)).as_bytes(), Fault::FieldName);
    let mut roomy = Validator::new(Limits { head_bytes: 64 << 10, fields: 8 });
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(17 << 10));
    assert_eq!(roomy.read(long.as_bytes()).unwrap_err().fault, Fault::TargetTooLong);
}

#[test]
fn what_waits_for_more_is_not_handed_on() {
    let head = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
    for cut in 0..head.len() {
        assert_eq!(verdict(&head.as_bytes()[..cut]), Ok(0), "{cut}");
    }
    let chunks = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n";
    for trailers in ["", "\r", "X", "X-Sum: a\r\n", "X-Sum: a\r\n\r"] {
        let bytes = format!("{chunks}{trailers}");
        assert_eq!(verdict(bytes.as_bytes()), Ok(chunks.len()), "{bytes:?}");
    }
}

#[test]
fn nothing_behind_a_request_for_another_protocol_is_a_request() {
    let behind = "GET /b HTTP/1.1\r\n\r\n";
    for asks in [
        "GET /a HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        "GET /a HTTP/1.1\r\nuPGRADE: h2c\r\nConnection: close\r\n\r\n",
        "POST /a HTTP/1.1\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\nabc",
        "POST /a HTTP/1.1\r\nUpgrade:\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ] {
        let all = format!("{behind}{asks}{behind}");
        assert_eq!(verdict(all.as_bytes()), Ok(behind.len() + asks.len()), "{asks:?}");
        // Not even what would be refused as one.
        assert_eq!(verdict(format!("{asks}\u{1}\n").as_bytes()), Ok(asks.len()), "{asks:?}");
        let mut validator = Validator::new(LIMITS);
        assert_eq!(validator.read(asks.as_bytes()), Ok(asks.len()));
        assert!(validator.awaits_switch());
    }
    // By HTTP/1.0 it asks for nothing.
    let old = "GET /a HTTP/1.0\r\nUpgrade: websocket\r\n\r\n";
    assert_sound(&format!("{old}{behind}"));
}
