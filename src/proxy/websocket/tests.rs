//! Handshakes: that of RFC 6455, and what is none.

use proptest::prelude::*;

use super::super::problem::Language;
use super::*;

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_str(value).unwrap_or_else(|_| panic!("{value:?}")),
        );
    }
    headers
}

/// The example of RFC 6455, section 1.2.
const EXAMPLE: [(&str, &str); 5] = [
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-protocol", "chat, superchat"),
    ("sec-websocket-version", "13"),
];

/// The example with one field in place of another.
fn example_with(name: &str, values: &[&str]) -> HeaderMap {
    let kept = EXAMPLE.into_iter().filter(|(known, _)| *known != name);
    let fields: Vec<_> = kept.chain(values.iter().map(|value| (name, *value))).collect();
    headers(&fields)
}

fn offered(headers: &HeaderMap) -> Offer {
    match read(&Method::GET, headers) {
        Asked::Session(offer) => offer,
        other @ (Asked::Unsound(_) | Asked::Other) => panic!("{other:?}: {headers:?}"),
    }
}

#[test]
fn the_example_of_the_standard_is_one() {
    let offer = offered(&headers(&EXAMPLE));
    assert_eq!(offer.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "section 1.3");
    assert_eq!(names(&offer.protocols, Listed::Protocols).unwrap(), ["chat", "superchat"]);
}

#[test]
fn what_browsers_send_is_one() {
    let mut fields = example_with("connection", &["keep-alive, Upgrade"]);
    fields.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
    let deflate = "permessage-deflate; client_max_window_bits";
    fields.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(deflate));
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    assert_eq!(offered(&fields).extensions, [deflate]);
}

#[test]
fn other_protocols_are_not_asked_for() {
    for values in [&["h2c"][..], &["websocket, h2c"], &["websocket", "websocket"], &["websocket/13"], &[""]] {
        assert_eq!(read(&Method::GET, &example_with("upgrade", values)), Asked::Other, "{values:?}");
    }
}

#[test]
fn what_is_doubtful_is_none() {
    let many = (0..17).map(|at| format!("p{at}")).collect::<Vec<_>>().join(",");
    for (name, values) in [
        ("connection", &[][..]),
        ("connection", &["keep-alive"]),
        ("connection", &["Upgrade, close"]),
        ("connection", &["Upgrade", "close"]),
        ("connection", &["Upgrade, Sec-WebSocket-Key"]),
        ("connection", &["Upgrade, Authorization"]),
        ("connection", &["Upgrade,"]),
        ("sec-websocket-version", &[]),
        ("sec-websocket-version", &["12"]),
        ("sec-websocket-version", &["13, 8"]),
        ("sec-websocket-version", &["13", "13"]),
        ("sec-websocket-version", &["013"]),
        ("sec-websocket-key", &[]),
        ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ"]),
        ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="]),
        ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZR=="]),
        ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25j"]),
        ("sec-websocket-key", &["dGhlIXsNHbBhZSBubQ==j5Z0"]),
        ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ==, x"]),
        ("sec-websocket-protocol", &["chat, chat"]),
        ("sec-websocket-protocol", &["chat", "chat"]),
        ("sec-websocket-protocol", &["chat,,superchat"]),
        ("sec-websocket-protocol", &["chat room"]),
        ("sec-websocket-protocol", &[""]),
        ("sec-websocket-protocol", &[many.as_str()]),
        ("sec-websocket-extensions", &["a; b=\"c,d\""]),
        ("sec-websocket-extensions", &["a, ; b"]),
        ("sec-websocket-extensions", &["a; b c"]),
        ("sec-websocket-extensions", &["a; =1"]),
        ("sec-websocket-extensions", &["a;"]),
        ("sec-websocket-extensions", &["a, b ; ", "c"]),
        ("content-length", &["5"]),
        ("content-length", &["00"]),
        ("content-length", &["0", "5"]),
        ("transfer-encoding", &["chunked"]),
    ] {
        let asked = read(&Method::GET, &example_with(name, values));
        assert!(matches!(asked, Asked::Unsound(_)), "{name}: {values:?}: {asked:?}");
    }
    for method in [Method::POST, Method::HEAD, Method::PUT] {
        assert!(matches!(read(&method, &headers(&EXAMPLE)), Asked::Unsound(_)), "{method}");
    }
}

/// The platform's answer to the gate's own key, changed by `change`.
fn answer(ours: &Ours, change: impl FnOnce(&mut response::Parts)) -> response::Parts {
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = StatusCode::SWITCHING_PROTOCOLS;
    head.headers = headers(&[("upgrade", "websocket"), ("connection", "upgrade")]);
    head.headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept(ours.key.as_bytes()));
    change(&mut head);
    head
}

#[test]
fn the_platform_must_take_what_the_gate_offers() {
    let (ours, offer) = (Ours::new().unwrap(), offered(&headers(&EXAMPLE)));
    let fields = ours.fields(&offer);
    assert_ne!(fields[header::SEC_WEBSOCKET_KEY], EXAMPLE[2].1, "no client knows the key");
    assert!(matches!(read(&Method::GET, &fields), Asked::Session(_)), "the gate's own is sound");

    let yes = ours.judge(&answer(&ours, |_| {}), &offer).unwrap();
    assert_eq!((yes.protocol.as_ref(), yes.has_extensions()), (None, false));
    let fields = yes.fields(&offer);
    assert_eq!(fields[header::SEC_WEBSOCKET_ACCEPT], offer.accept, "the client's own");

    let chosen = answer(&ours, |head| {
        head.headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("superchat"));
    });
    let fields = ours.judge(&chosen, &offer).unwrap().fields(&offer);
    assert_eq!(fields[header::SEC_WEBSOCKET_PROTOCOL], "superchat");
}

#[test]
fn an_extension_is_taken_with_numbers_and_no_text() {
    let ours = Ours::new().unwrap();
    let offer =
        offered(&example_with("sec-websocket-extensions", &["permessage-deflate; client_max_window_bits"]));
    for (chosen, is_right) in [
        ("permessage-deflate", true),
        ("permessage-deflate; server_no_context_takeover; client_max_window_bits = 12", true),
        ("permessage-deflate; client_max_window_bits=1234", false),
        ("permessage-deflate; client_max_window_bits=ab", false),
        ("permessage-deflate; wang", false),
        ("permessage-deflate; x=13800138000", false),
        ("permessage-deflate; client_max_window_bits=\"12\"", false),
        ("permessage-deflate;", false),
    ] {
        let head = answer(&ours, |head| {
            head.headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(chosen));
        });
        assert_eq!(ours.judge(&head, &offer).is_ok(), is_right, "{chosen}");
    }
}

#[test]
fn any_other_answer_is_none() {
    let (ours, offer) = (Ours::new().unwrap(), offered(&headers(&EXAMPLE)));
    let set = |name: HeaderName, value: &'static str| {
        move |head: &mut response::Parts| {
            head.headers.insert(name, HeaderValue::from_static(value));
        }
    };
    type Change = Box<dyn FnOnce(&mut response::Parts)>;
    let changes: Vec<Change> = vec![
        Box::new(|head| head.status = StatusCode::OK),
        Box::new(|head| drop(head.headers.remove(header::UPGRADE))),
        Box::new(|head| drop(head.headers.remove(header::CONNECTION))),
        Box::new(|head| drop(head.headers.remove(header::SEC_WEBSOCKET_ACCEPT))),
        Box::new(set(header::UPGRADE, "h2c")),
        Box::new(set(header::CONNECTION, "close")),
        Box::new(set(header::CONTENT_LENGTH, "0")),
        Box::new(set(header::TRANSFER_ENCODING, "chunked")),
        // What the client's key, or the example's, would have as its answer.
        Box::new(set(header::SEC_WEBSOCKET_ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
        Box::new(set(header::SEC_WEBSOCKET_PROTOCOL, "Chat")),
        Box::new(set(header::SEC_WEBSOCKET_PROTOCOL, "chat, superchat")),
        Box::new(set(header::SEC_WEBSOCKET_EXTENSIONS, "permessage-deflate")),
        Box::new(|head| {
            let again = head.headers[header::SEC_WEBSOCKET_ACCEPT].clone();
            head.headers.append(header::SEC_WEBSOCKET_ACCEPT, again);
        }),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let judged = ours.judge(&answer(&ours, change), &offer);
        let why = judged.expect_err(&at.to_string());
        assert!(!why.to(Language::En).is_empty() && !why.to(Language::Zh).is_empty());
    }
}

proptest! {
    #[test]
    fn an_offer_goes_on_as_it_came(
        key in any::<[u8; 16]>(),
        protocols in prop::collection::btree_set("[a-z0-9._-]{1,12}", 0..6),
        extensions in prop::collection::vec("[a-z]{1,8}(; [a-z]{1,8}(=[0-9]{1,3})?)?", 0..4),
    ) {
        let mut fields = example_with("sec-websocket-protocol", &[]);
        fields.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_str(&BASE64.encode(&key)).unwrap());
        if !protocols.is_empty() {
            let list = protocols.into_iter().collect::<Vec<_>>().join(", ");
            fields.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(&list).unwrap());
        }
        for extension in &extensions {
            fields.append(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(extension).unwrap());
        }
        let offer = offered(&fields);
        let sent = Ours::new().unwrap().fields(&offer);
        for name in [header::SEC_WEBSOCKET_PROTOCOL, header::SEC_WEBSOCKET_EXTENSIONS] {
            let both = [&fields, &sent].map(|of| of.get_all(&name).iter().cloned().collect::<Vec<_>>());
            prop_assert_eq!(&both[0], &both[1]);
        }
    }
}
