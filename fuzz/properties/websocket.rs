//! WebSocket (RFC 6455): the frames of a session, and the two heads that open one.
//!
//! Input: a letter, and what it announces. `c` and `p` are followed by what a client or a platform sends in a session, `C`
//! and `P` where extensions are in use. After any other come a line with a method and lines of header fields, the offer of a
//! client; an empty line; and a line with a status and lines of fields, the answer of a platform. `*` as a value stands there
//! for the proof that the gate's own request was read.

use std::io::Cursor;
use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use pinegate::proxy::websocket::frames::{Frames, Side};
use pinegate::proxy::websocket::{Asked, Ours, read};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

/// The most names that a list may have.
const MOST: usize = 16;

pub(crate) fn check(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind {
        b'c' => check_frames(Side::Client, false, rest),
        b'C' => check_frames(Side::Client, true, rest),
        b'p' => check_frames(Side::Platform, false, rest),
        b'P' => check_frames(Side::Platform, true, rest),
        _ => check_handshake(rest),
    }
}

/// What a reading of the whole finds.
#[derive(Debug, Default)]
struct Whole {
    /// Where frames end.
    ends: Vec<usize>,
    /// The byte by which it is no frame, or none that may stand there.
    fault: Option<usize>,
    /// Where the close frame ends, behind which there is nothing.
    closed: Option<usize>,
}

impl Whole {
    /// The last end among the bytes in `range`, counted from its beginning.
    fn last_end(&self, range: &Range<usize>) -> usize {
        let ends = self.ends.iter().rev().copied();
        ends.into_iter()
            .find(|end| *end > range.start && *end <= range.end)
            .map_or(0, |end| end - range.start)
    }
}

/// Reads all of it by RFC 6455, sections 5.2, 5.4 and 5.5. What is in a frame is not looked at.
fn specified(from: Side, has_extensions: bool, data: &[u8]) -> Whole {
    let mut whole = Whole::default();
    let (mut at, mut is_in_message) = (0, false);
    while let Some(&first) = data.get(at) {
        let opcode = first % 16;
        let is_final = first >= 128;
        let is_reserved = (first / 16) % 8 > 0;
        let may_be = match opcode {
            0x0 => is_in_message,
            0x1 | 0x2 => !is_in_message,
            0x8..=0xa => is_final,
            _ => false,
        };
        if whole.closed.is_some() || !may_be || (is_reserved && !has_extensions) {
            whole.fault = Some(at);
            break;
        }
        let Some(&second) = data.get(at + 1) else { break };
        let (is_masked, short) = (second >= 128, second % 128);
        let is_too_long = opcode >= 8 && short > 125;
        let is_half_a_code = opcode == 8 && short == 1;
        if is_masked != (from == Side::Client) || is_too_long || is_half_a_code {
            whole.fault = Some(at + 1);
            break;
        }
        let (behind, length, least) = match (short, &data[at + 2..]) {
            (126, [a, b, ..]) => (at + 4, u64::from(u16::from_be_bytes([*a, *b])), 126),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                (at + 10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 65_536)
            }
            (126 | 127, _) => break,
            _ => (at + 2, u64::from(short), 0),
        };
        if length < least || length >= 1 << 63 {
            whole.fault = Some(behind - 1);
            break;
        }
        let content = behind + if is_masked { 4 } else { 0 };
        let left = data.len().checked_sub(content).and_then(|left| u64::try_from(left).ok());
        if left.is_none_or(|left| left < length) {
            break;
        }
        at = content + usize::try_from(length).expect("it is there");
        whole.ends.push(at);
        match opcode {
            0x0..=0x2 => is_in_message = !is_final,
            0x8 => whole.closed = Some(at),
            _ => {}
        }
    }
    whole
}

fn check_frames(from: Side, has_extensions: bool, data: &[u8]) {
    let whole = specified(from, has_extensions, data);
    let cut = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut frames, mut at) = (Frames::new(from, has_extensions), 0);
        for piece in pieces {
            let range = at..at + piece.len();
            let read = frames.read(piece);
            if whole.fault.is_some_and(|fault| range.contains(&fault)) {
                assert!(read.is_err(), "{range:?}: {whole:?}");
                return;
            }
            assert_eq!(read, Ok(whole.last_end(&range)), "{range:?}: {whole:?}");
            at = range.end;
            assert_eq!(frames.is_between(), at == 0 || whole.ends.contains(&at), "at {at}: {whole:?}");
            assert_eq!(frames.has_closed(), whole.closed == Some(at), "at {at}: {whole:?}");
        }
        assert_eq!((at, whole.fault), (data.len(), None), "no fault is passed over");
    };
    cut(&mut [data].into_iter());
    for size in [1, 2, 3, 5, 7, 14, 64] {
        cut(&mut data.chunks(size));
    }
    // Cut in two wherever there is a place for it.
    for at in 0..data.len().min(200) {
        let (front, back) = data.split_at(at);
        cut(&mut [front, back].into_iter());
    }
    walk(from, &data[..whole.ends.last().copied().unwrap_or(0)], &whole.ends);
}

/// Reads whole frames by the heads that another implementation finds.
fn walk(from: Side, data: &[u8], ends: &[usize]) {
    let (mut cursor, mut found) = (Cursor::new(data), Vec::new());
    while usize::try_from(cursor.position()).expect("it is short") < data.len() {
        let head = FrameHeader::parse(&mut cursor).expect("tungstenite takes it");
        let (head, length) = head.expect("a head is whole");
        assert_eq!(head.mask.is_some(), from == Side::Client);
        let end = cursor.position() + length;
        cursor.set_position(end);
        found.push(usize::try_from(end).expect("it is short"));
    }
    assert_eq!(found, ends, "tungstenite finds other frames");
}

/// A line, and fields behind it. Lines that are none are passed over.
fn head(text: &[u8]) -> (&[u8], HeaderMap, &[u8]) {
    let mut fields = HeaderMap::new();
    let (first, mut rest) = line(text);
    while !rest.is_empty() {
        let (field, behind) = line(rest);
        rest = behind;
        if field.is_empty() {
            break;
        }
        let Some(colon) = field.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&field[..colon], field[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            fields.append(name, value);
        }
    }
    (first, fields, rest)
}

fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

fn all<'h>(fields: &'h HeaderMap, name: &str) -> Vec<&'h [u8]> {
    fields.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

fn check_handshake(data: &[u8]) {
    let (method, offered, rest) = head(data);
    let Ok(method) = Method::from_bytes(method) else { return };
    let offer = match read(&method, &offered) {
        Asked::Other => return assert!(!asks(&offered), "{offered:?}"),
        Asked::Unsound(why) => {
            return assert!(asks(&offered) && !is_sound(&method, &offered), "{why:?}: {offered:?}");
        }
        Asked::Session(offer) => offer,
    };
    assert!(asks(&offered) && is_sound(&method, &offered), "{offered:?}");

    // What the gate asks of the platform is an offer itself, of the same, with a key that no client knows.
    let ours = Ours::new().expect("there is randomness");
    let ours_fields = ours.fields(&offer);
    assert!(matches!(read(&Method::GET, &ours_fields), Asked::Session(_)), "{ours_fields:?}");
    for name in ["sec-websocket-protocol", "sec-websocket-extensions"] {
        assert_eq!(all(&ours_fields, name), all(&offered, name));
    }
    let (key, theirs) = (&ours_fields["sec-websocket-key"], &offered["sec-websocket-key"]);
    assert_ne!(key, theirs);
    let mut request = Request::new(());
    *request.headers_mut() = ours_fields.clone();
    let taken = create_response(&request).expect("tungstenite takes it");
    let proof = taken.headers()["sec-websocket-accept"].clone();

    let (status, mut fields, _) = head(rest);
    let Ok(status) = StatusCode::from_bytes(status) else { return };
    for value in fields.values_mut().filter(|value| *value == "*") {
        *value = proof.clone();
    }
    let (mut answer, ()) = Response::new(()).into_parts();
    (answer.status, answer.headers) = (status, fields);
    let yes = ours.judge(&answer, &offer);
    let fields = &answer.headers;
    assert_eq!(yes.is_ok(), is_yes(status, fields, &proof, &offered), "{yes:?}: {offered:?}, {fields:?}");
    let Ok(yes) = yes else { return };

    // What the client hears is a yes to what it asked, and what the platform chose.
    let to_client = yes.fields(&offer);
    let accept = derive_accept_key(theirs.as_bytes());
    let accept = HeaderValue::try_from(accept).expect("it is base64");
    assert!(is_yes(StatusCode::SWITCHING_PROTOCOLS, &to_client, &accept, &offered), "{to_client:?}");
    for name in ["sec-websocket-protocol", "sec-websocket-extensions"] {
        assert_eq!(all(&to_client, name), all(fields, name));
    }
    assert_eq!(yes.has_extensions(), fields.contains_key("sec-websocket-extensions"));
    let known = [
        "connection",
        "upgrade",
        "sec-websocket-accept",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
    ];
    assert!(to_client.keys().all(|name| known.contains(&name.as_str())), "{to_client:?}");
}

/// Whether a session is asked for, and nothing beside it.
fn asks(fields: &HeaderMap) -> bool {
    let [upgrade] = all(fields, "upgrade")[..] else { return false };
    upgrade.eq_ignore_ascii_case(b"websocket")
}

/// Whether it is asked for as RFC 6455, section 4.1, has it, in one reading.
fn is_sound(method: &Method, fields: &HeaderMap) -> bool {
    let lengths = all(fields, "content-length");
    let key = |key: &[u8]| {
        // 16 bytes are 22 digits of six bits, of which the last has four to spare, which are zero.
        let Some((digits, b"==")) = key.split_at_checked(22) else { return false };
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
        digits.iter().all(is_digit) && digits.last().is_some_and(|last| b"AQgw".contains(last))
    };
    *method == Method::GET
        && lengths.iter().all(|length| *length == b"0")
        && all(fields, "transfer-encoding").is_empty()
        && switches(fields)
        && all(fields, "sec-websocket-version") == [b"13"]
        && matches!(all(fields, "sec-websocket-key")[..], [value] if key(value))
        && protocols(fields).is_some()
        && extensions(fields).is_some()
}

/// Whether a platform's answer is a yes to what was offered, and no more.
fn is_yes(status: StatusCode, fields: &HeaderMap, proof: &HeaderValue, offered: &HeaderMap) -> bool {
    let (Some(protocol), Some(chosen)) = (protocols(fields), extensions(fields)) else { return false };
    let (Some(protocols), Some(extensions)) = (protocols(offered), extensions(offered)) else { return false };
    let is_bits = |(name, value): &(String, Option<String>)| {
        let known = matches!(
            name.as_str(),
            "server_no_context_takeover"
                | "client_no_context_takeover"
                | "server_max_window_bits"
                | "client_max_window_bits"
        );
        known
            && value
                .as_ref()
                .is_none_or(|value| value.len() < 3 && value.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_offered = |name: &String| extensions.iter().any(|(offered, _)| offered == name);
    status.as_u16() == 101
        && asks(fields)
        && switches(fields)
        && !fields.contains_key("content-length")
        && !fields.contains_key("transfer-encoding")
        && all(fields, "sec-websocket-accept") == [proof.as_bytes()]
        && protocol.len() <= 1
        && protocol.iter().all(|protocol| protocols.contains(protocol))
        && chosen.iter().all(|(name, parameters)| is_offered(name) && parameters.iter().all(is_bits))
}

/// Whether `Connection` asks for the upgrade, and for nothing else but that the connection stays.
fn switches(fields: &HeaderMap) -> bool {
    let options = listed(fields, "connection", b',').into_iter();
    let options: Vec<Vec<u8>> = options.map(|option| option.to_ascii_lowercase()).collect();
    options.iter().any(|option| option == b"upgrade")
        && options.iter().all(|option| option == b"upgrade" || option == b"keep-alive")
}

/// The items of a list in a field, in all of its lines.
fn listed(fields: &HeaderMap, name: &str, separator: u8) -> Vec<Vec<u8>> {
    let values = all(fields, name).into_iter();
    let items = values.flat_map(|value| value.split(move |byte| *byte == separator));
    items.map(|item| item.trim_ascii().to_vec()).collect()
}

fn token(text: &[u8]) -> Option<String> {
    let is_of_token = |byte: &u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte);
    let is_token = !text.is_empty() && text.iter().all(is_of_token);
    is_token.then(|| String::from_utf8_lossy(text).into_owned())
}

/// The protocols that are listed, each once.
fn protocols(fields: &HeaderMap) -> Option<Vec<String>> {
    let listed = listed(fields, "sec-websocket-protocol", b',');
    let names: Vec<String> = listed.iter().map(|item| token(item)).collect::<Option<_>>()?;
    let is_once = (1..names.len()).all(|at| !names[..at].contains(&names[at]));
    (is_once && names.len() <= MOST).then_some(names)
}

type Parameters = Vec<(String, Option<String>)>;

/// The extensions that are listed, and their parameters (section 9.1), none of which is in quotes.
fn extensions(fields: &HeaderMap) -> Option<Vec<(String, Parameters)>> {
    let extension = |item: &Vec<u8>| {
        let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = token(parts.next()?)?;
        let parameter = |part: &[u8]| {
            let Some(equals) = part.iter().position(|byte| *byte == b'=') else {
                return Some((token(part)?, None));
            };
            let (name, value) = (part[..equals].trim_ascii(), part[equals + 1..].trim_ascii());
            Some((token(name)?, Some(token(value)?)))
        };
        Some((name, parts.map(parameter).collect::<Option<Parameters>>()?))
    };
    let listed: Vec<_> =
        listed(fields, "sec-websocket-extensions", b',').iter().map(extension).collect::<Option<_>>()?;
    (listed.len() <= MOST).then_some(listed)
}
