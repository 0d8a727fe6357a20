//! Attacks on HTTP/2, frame by frame, each against the memory of the real gate.

use rustix::process::Signal;

use super::raw::*;
use super::*;
use crate::city::{Plan, soon};

/// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113, section 6.5.2).
const INITIAL_WINDOW: u16 = 0x4;

/// What a client does wrong on a stream.
type Fault<'f> = &'f dyn Fn(u32) -> Vec<u8>;

/// The number of the nth request.
fn nth(round: u32) -> u32 {
    2 * round + 1
}

async fn city() -> City {
    let bounds = "\n[bounds]\nhttp2_resets = 20\nhttp2_control_frames = 200\nstall_timeout = \"1s\"\n";
    Plan::new().unlimited().more_config(bounds).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_given_up_at_once() {
    let city = city().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    let (before, reached) = (memory_before(&city), city.received().total());
    let raw = Raw::open(&city, &[]).await;
    let request = raw.head("/_test/1k");
    raw.flood("a rapid reset", 20_000, |round| {
        let stream = nth(round);
        [frame(HEADERS, END_STREAM | END_HEADERS, stream, &request), reset(stream)].concat()
    })
    .await;
    assert!(city.received().total() - reached <= 50, "{} calls", city.received().total() - reached);
    assert_alive(&city, "rapid reset", before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_given_up_once_the_platform_has_them() {
    let city = city().await;
    let mut raw = Raw::open(&city, &[]).await;
    let series = cut("http2-resets");
    let (before, reached) = (city.gate.metric(&series).await, city.received().all().len());
    let mut given_up = 0;
    for round in 0..100 {
        let request = raw.request(nth(round), "/_test/slow?ms=900");
        if raw.send(&request).await.is_err() {
            break;
        }
        // One at a time, so that nothing is pending when it is given up.
        let seen = async {
            city.received().until(|all| all.len() > reached + usize::try_from(round).unwrap()).await;
        };
        tokio::select! {
            () = seen => {}
            () = counted(&city, &series, before) => break,
        }
        if raw.send(&reset(nth(round))).await.is_err() {
            break;
        }
        given_up = round;
    }
    assert!((19..=25).contains(&given_up), "{given_up} were given up");
    counted(&city, &series, before).await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_the_gate_is_made_to_reset() {
    let city = city().await;
    let before = memory_before(&city);
    // Each is a fault of a stream alone: h2 resets it, and the request is there already.
    let zero = |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]);
    let overflow = |stream| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
    let of_itself =
        |stream: u32| frame(PRIORITY, 0, stream, &[stream.to_be_bytes().as_slice(), &[16]].concat());
    let late_data = |stream| frame(DATA, 0, stream, b"late");
    let late_head = |stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, &[0x82]);
    let faults: [(&str, Fault<'_>); 5] = [
        ("no increment", &zero),
        ("an overflow", &overflow),
        ("its own parent", &of_itself),
        ("data after the end", &late_data),
        ("a head after the end", &late_head),
    ];
    for (what, fault) in faults {
        let raw = Raw::open(&city, &[]).await;
        let (request, reached) = (raw.head("/_test/slow?ms=200"), city.received().total());
        raw.flood(what, 20_000, |round| {
            let stream = nth(round);
            [frame(HEADERS, END_STREAM | END_HEADERS, stream, &request), fault(stream)].concat()
        })
        .await;
        let calls = city.received().total() - reached;
        assert!(calls <= 400, "{what}: {calls} calls");
        assert_alive(&city, what, before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_without_an_end() {
    let city = city().await;
    let before = memory_before(&city);
    for (what, part) in [
        ("empty continuations", Vec::new()),
        ("short continuations", field("x", "y")),
        ("full continuations", field("x-filler", &"f".repeat(16_000))),
    ] {
        let raw = Raw::open(&city, &[]).await;
        let head = raw.head("/_test/1k");
        let ended = raw
            .flood(what, 50_000, |round| {
                if round == 0 {
                    frame(HEADERS, END_STREAM, 1, &head)
                } else {
                    frame(CONTINUATION, 0, 1, &part)
                }
            })
            .await;
        assert!(
            ended.goaway().is_none_or(|error| error == ENHANCE_YOUR_CALM || error == COMPRESSION_ERROR),
            "{ended:?}"
        );
        assert_alive(&city, what, before).await;
    }
    // And one that is begun and never goes on.
    let (before, silent) = (memory_before(&city), city.gate.metric(&cut("silent")).await);
    let city = {
        drop(city);
        Plan::new().more_config("\n[bounds]\nheader_timeout = \"300ms\"\n").start().await
    };
    let mut raw = Raw::open(&city, &[]).await;
    let head = raw.head("/_test/1k");
    raw.send(&frame(HEADERS, END_STREAM, 1, &head)).await.unwrap();
    raw.ended("the end of a head").await;
    assert!(before > 0 && silent < 0.5);
    counted(&city, &cut("silent"), 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_no_use() {
    let city = city().await;
    let before = memory_before(&city);
    let control = city.gate.metric(&cut("http2-control-frames")).await;
    let floods = [
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("acknowledgements of settings", frame(SETTINGS, ACK, 0, &[])),
        ("pings", frame(PING, 0, 0, &[7; 8])),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16])),
        ("window updates", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        ("unknown frames", frame(0xab, 0, 0, &[0; 64])),
    ];
    let kinds = floods.len();
    for (what, flood) in floods {
        let raw = Raw::open(&city, &[]).await;
        raw.flood(what, 200_000, |_| flood.clone()).await;
        assert_alive(&city, what, before).await;
    }
    let counted = city.gate.metric(&cut("http2-control-frames")).await - control;
    assert!(counted > 1.5 && counted < f64::from(u32::try_from(kinds).unwrap()) + 0.5, "{counted}");

    // Data that is none, of an upload that the gate would read.
    let raw = Raw::open(&city, &[]).await;
    let post = [vec![0x83, 0x87], field(":path", "/_test/upload"), raw.head("/")[2..].to_vec()].concat();
    let (path, rest) = (field(":path", "/"), post);
    let at = rest.windows(path.len()).position(|window| window == path).unwrap();
    let post = [&rest[..at], &rest[at + path.len()..]].concat();
    raw.flood("empty data", 200_000, |round| {
        if round == 0 { frame(HEADERS, END_HEADERS, 1, &post) } else { frame(DATA, 0, 1, &[]) }
    })
    .await;
    assert_alive(&city, "empty data", before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_unpack_to_more_than_they_are() {
    let city = city().await;
    let before = memory_before(&city);
    // A table larger than was offered is a fault of the connection.
    let mut raw = Raw::open(&city, &[]).await;
    let head = [table_size(1 << 20), raw.head("/_test/1k")].concat();
    raw.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head)).await.unwrap();
    assert!(raw.ended("a table too large").await.goaway().is_some_and(|error| error != 0));

    // One field of 4,000 bytes, named ten thousand times by a byte each.
    let reached = city.received().total();
    let mut raw = Raw::open(&city, &[]).await;
    let bomb = the_last_remembered().repeat(10_000);
    let head = [raw.head("/_test/1k"), remembered("x-bomb", &"b".repeat(3_900)), bomb].concat();
    raw.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head)).await.unwrap();
    assert_eq!(raw.ended("an HPACK bomb").await.goaway(), Some(ENHANCE_YOUR_CALM));
    // A little more than a head may have is refused, and the connection goes on.
    let mut raw = Raw::open(&city, &[]).await;
    let large = field("x-large", &"l".repeat(3_000)).repeat(12);
    let (front, back) = large.split_at(12_000);
    let head = [raw.head("/_test/1k"), front.to_vec()].concat();
    let head = [frame(HEADERS, END_STREAM, 1, &head)];
    let rest = back.chunks(12_000).map(|part| frame(CONTINUATION, 0, 1, part));
    let all = head.into_iter().chain(rest).chain([frame(CONTINUATION, END_HEADERS, 1, &[])]);
    raw.send(&all.collect::<Vec<_>>().concat()).await.unwrap();
    let refused = raw.until("an answer", |frame| matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY)).await;
    assert!(refused.stream == 1 && refused.kind == HEADERS, "{refused:?}");
    let good = raw.request(3, "/_test/1k");
    raw.send(&good).await.unwrap();
    raw.until("a reply", |frame| frame.stream == 3 && frame.kind == DATA).await;
    let reached = reached + 1;
    // Fields as small as they can be, more than are allowed but less than the head may have.
    let mut raw = Raw::open(&city, &[]).await;
    let many: Vec<u8> = (0..300_u32).flat_map(|one| field(&format!("x{one}"), "")).collect();
    let head = [raw.head("/_test/1k"), many].concat();
    raw.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head)).await.unwrap();
    raw.until("a refusal", |frame| {
        frame.kind == DATA && frame.payload.windows(14).any(|w| w == b"request-header")
    })
    .await;
    // Thirty thousand fields, no two alike, all to be remembered.
    let raw = Raw::open(&city, &[]).await;
    let head = raw.head("/_test/1k");
    let fields: Vec<u8> = (0..30_000_u32).flat_map(|one| remembered(&format!("x{one}"), "")).collect();
    let parts: Vec<&[u8]> = fields.chunks(16_000).collect();
    let frames = u32::try_from(parts.len() + 1).unwrap();
    raw.flood("thirty thousand fields", 100 * frames, |round| match round.checked_sub(1) {
        None => frame(HEADERS, END_STREAM, 1, &head),
        Some(part) => frame(CONTINUATION, 0, 1, parts[usize::try_from(part).unwrap() % parts.len()]),
    })
    .await;
    assert_eq!(city.received().total(), reached, "none of them reached the platform");
    assert_alive(&city, "HPACK bombs", before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_are_never_taken() {
    const REPLIES: u32 = 150;
    let city = city().await;
    city.call(Call::survey("/_test/bytes?n=2000000")).await.assert_data();
    let before = memory_before(&city);
    // A window of nothing, and one that takes a byte of a last piece.
    for (window, path, reason) in [
        (0, "/_test/bytes?n=50000000", "stalled"),
        (0, "/_test/1k", "stalled"),
        (1, "/_test/1k", "withheld"),
        (1, "/_test/bytes?n=50000000", "stalled"),
    ] {
        let counted_before = city.gate.metric(&cut(reason)).await;
        let mut raw = Raw::open(&city, &[(INITIAL_WINDOW, window)]).await;
        let requests: Vec<u8> = (0..REPLIES).flat_map(|round| raw.request(nth(round), path)).collect();
        raw.send(&requests).await.unwrap();
        raw.ended("the end of a connection that takes nothing").await;
        counted(&city, &cut(reason), counted_before).await;
        let what = format!("{REPLIES} of {path}, {window} bytes of each taken");
        // Each may hold what is under way between the platform and its window.
        assert_alive_within(64 * MIB, &city, &what, before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_one_connection_may_have() {
    let city = Plan::new().unlimited().more_config("\n[bounds]\nhttp2_streams = 5\n").start().await;
    let mut raw = Raw::open(&city, &[]).await;
    let settings = raw.until("the settings", |frame| frame.kind == SETTINGS && frame.flags & ACK == 0).await;
    let most = [0x3_u16.to_be_bytes().as_slice(), &5_u32.to_be_bytes()].concat();
    assert!(settings.payload.chunks(6).any(|setting| setting == most), "{settings:?}");
    let requests: Vec<u8> = (0..8).flat_map(|round| raw.request(nth(round), "/_test/slow?ms=300")).collect();
    raw.send(&requests).await.unwrap();
    for _ in 0..3 {
        let refused = raw.until("a refusal", |frame| frame.kind == RST_STREAM).await;
        assert_eq!(refused.error(), REFUSED_STREAM);
        assert!(refused.stream >= nth(5), "{refused:?}");
    }
    for _ in 0..5 {
        raw.until("a reply", |frame| frame.kind == DATA && frame.flags & END_STREAM != 0).await;
    }
    assert_eq!(city.received().total(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_what_it_causes() {
    let city = city().await;
    let before = memory_before(&city);
    // Each ping wants an answer, and nobody reads one.
    let mut raw = Raw::open(&city, &[]).await;
    let pings = frame(PING, 0, 0, &[1; 8]).repeat(1_000);
    let sent = soon("the end of a connection", async {
        let mut sent = 0;
        while raw.send(&pings).await.is_ok() {
            sent += 1;
        }
        sent
    })
    .await;
    assert!(sent < 1_000, "{sent}");
    assert_alive(&city, "unread pings", before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_waits_for_the_first_reply() {
    let mut city = city().await;
    let mut raw = Raw::open(&city, &[]).await;
    raw.until("its settings", |frame| frame.kind == SETTINGS).await;
    city.gate.signal(Signal::TERM);
    until("the drain", async || city.gate.logged("draining")).await;
    let request = raw.request(1, "/_test/slow?ms=300");
    raw.send(&request).await.unwrap();
    let is_first = |frame: &Frame| matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY);
    let first = raw.until("a reply", is_first).await;
    assert_eq!((first.kind, first.stream), (HEADERS, 1), "{first:?}");
    raw.until("its end", |frame| frame.kind == DATA && frame.flags & END_STREAM != 0).await;
    let goodbye = raw.until("a goodbye", |frame| frame.kind == GOAWAY).await;
    assert_eq!(goodbye.error(), 0);
    drop(raw);
    assert_eq!(city.gate.ended().await.code(), Some(0), "{}", city.gate.log_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_does_not_wait_for_the_second() {
    let mut city = city().await;
    let mut raw = Raw::open(&city, &[]).await;
    let [first, second] = [raw.request(1, "/_test/1k"), raw.request(3, "/_test/slow?ms=1500")];
    raw.send(&first).await.unwrap();
    raw.until("a reply", |frame| frame.stream == 1 && frame.kind == DATA).await;
    raw.send(&second).await.unwrap();
    city.received().until(|all| all.len() == 2).await;
    city.gate.signal(Signal::TERM);
    let next = raw.until("a goodbye", |frame| matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY)).await;
    assert_eq!((next.kind, next.error()), (GOAWAY, 0));
    // It is answered all the same.
    raw.until("its reply", |frame| frame.stream == 3 && frame.kind == HEADERS).await;
    drop(raw);
    assert_eq!(city.gate.ended().await.code(), Some(0), "{}", city.gate.log_text());
}
