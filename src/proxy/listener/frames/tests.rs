use super::*;

/// The size of a frame's head.
const HEAD_BYTES: usize = 9;

/// A frame, its payload all zeros.
fn frame(kind: u8, flags: u8, stream: u32, length: u16) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    let mut bytes = vec![0, high, low, kind, flags, s0, s1, s2, s3];
    bytes.resize(HEAD_BYTES + usize::from(length), 0);
    bytes
}

fn frames() -> (Frames<tokio::io::Empty>, Arc<Streams>) {
    let bounds = Bounds { http2_streams: 10, http2_resets: 5, http2_control_frames: 20, ..Bounds::default() };
    let (mut frames, streams) = Frames::new(tokio::io::empty(), bounds);
    frames.take(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    (frames, streams)
}

/// After how many of `bytes` the client may not go on, and why.
fn passes(frames: &mut Frames<tokio::io::Empty>, mut bytes: impl FnMut(u32) -> Vec<u8>) -> (u32, Cut) {
    let passed = (0..100_000).find(|round| frames.take(&bytes(*round)).is_err()).expect("there is a bound");
    (passed, frames.counts.streams.fault().unwrap())
}

#[test]
fn frames_are_found_however_they_are_cut() {
    let all = [
        frame(0x4, 0, 0, 18),
        frame(HEADERS, 0x4, 1, 300),
        frame(DATA, END_STREAM, 1, 0),
        frame(0x8, 0, 0x8000_0003, 4),
    ]
    .concat();
    let heads = |size: usize| {
        let (mut direction, mut heads) = (FrameHeads::new(PREFACE_BYTES), Vec::new());
        let bytes = [vec![b'x'; 24], all.clone()].concat();
        for mut part in bytes.chunks(size) {
            while let Some((head, rest)) = direction.next(part) {
                heads.push((head.kind, head.flags, head.stream, head.length));
                part = rest;
            }
        }
        heads
    };
    let whole = heads(10_000);
    assert_eq!(whole, [(0x4, 0, 0, 18), (HEADERS, 0x4, 1, 300), (DATA, END_STREAM, 1, 0), (0x8, 0, 3, 4)]);
    for size in [1, 2, 7, 8, 9, 10, 33, 100] {
        assert_eq!(heads(size), whole, "by {size}");
    }
}

#[test]
fn a_stream_ends_with_the_last_of_its_reply_or_a_reset() {
    let (mut frames, streams) = frames();
    for stream in [1, 3, 5, 7] {
        frames.take(&frame(HEADERS, 0x5, stream, 20)).unwrap();
    }
    assert_eq!((streams.open(), streams.ended()), (4, 0));
    frames.give(&frame(HEADERS, 0x4, 1, 20));
    frames.give(&frame(DATA, 0, 1, 9));
    assert_eq!(streams.open(), 4, "more is to come");
    frames.give(&frame(DATA, END_STREAM, 1, 0));
    frames.give(&frame(HEADERS, 0x5, 3, 20));
    frames.give(&frame(RST_STREAM, 0, 5, 4));
    assert_eq!((streams.open(), streams.ended()), (1, 3));
    // Trailers open nothing, and what has ended ends once.
    frames.take(&frame(HEADERS, 0x5, 7, 20)).unwrap();
    frames.give(&frame(RST_STREAM, 0, 5, 4));
    frames.take(&frame(RST_STREAM, 0, 7, 4)).unwrap();
    assert_eq!((streams.open(), streams.ended()), (0, 4));
}

#[test]
fn requests_that_are_given_up_have_a_bound() {
    let (mut frames, _) = frames();
    let given_up = |round: u32| {
        let stream = 2 * round + 1;
        [frame(HEADERS, 0x5, stream, 20), frame(RST_STREAM, 0, stream, 4)].concat()
    };
    assert_eq!(passes(&mut frames, given_up), (5, Cut::Resets));

    // Whoever lets as many end may give up as many.
    let (mut frames, _) = self::frames();
    for round in 0..1_000 {
        let stream = 4 * round + 1;
        frames.take(&frame(HEADERS, 0x5, stream, 20)).unwrap();
        frames.give(&frame(HEADERS, 0x5, stream, 20));
        frames.take(&frame(HEADERS, 0x5, stream + 2, 20)).unwrap();
        frames.take(&frame(RST_STREAM, 0, stream + 2, 4)).unwrap();
    }
}

#[test]
fn frames_of_no_use_have_a_bound() {
    let floods = [
        frame(0x2, 0, 1, 5),
        frame(0x4, 0, 0, 0),
        frame(0x4, 1, 0, 0),
        frame(0x6, 0, 0, 8),
        frame(0x8, 0, 0, 4),
        frame(0x10, 0, 0, 4),
        frame(0xab, 0, 0, 1),
        frame(DATA, 0, 1, 0),
        frame(RST_STREAM, 0, 1, 4),
    ];
    for flood in floods {
        let (mut frames, _) = frames();
        let (passed, cut) = passes(&mut frames, |_| flood.clone());
        assert!((20..100).contains(&passed) && cut == Cut::ControlFrames, "{passed} of {flood:?}");
    }
}

#[test]
fn traffic_explains_some_of_them() {
    let (mut frames, _) = frames();
    frames.give(&frame(DATA, 0, 1, 50 << 10));
    let (passed, _) = passes(&mut frames, |_| frame(0x8, 0, 0, 4));
    assert!((20 + 50..20 + 50 + 100).contains(&passed), "{passed}");
    let (mut frames, _) = self::frames();
    for stream in [1, 3, 5] {
        frames.take(&frame(HEADERS, 0x5, stream, 20)).unwrap();
    }
    let (passed, _) = passes(&mut frames, |_| frame(0x6, 0, 0, 8));
    assert!((20 + 30..20 + 30 + 100).contains(&passed), "{passed}");
    // Data and heads are no control.
    let (mut frames, _) = self::frames();
    for _ in 0..1_000 {
        frames.take(&frame(DATA, 0, 1, 1)).unwrap();
        frames.take(&frame(CONTINUATION, 0, 1, 10)).unwrap();
    }
}

#[test]
fn streams_beyond_all_reason_have_a_bound() {
    let (mut frames, _) = frames();
    assert_eq!(passes(&mut frames, |round| frame(HEADERS, 0x5, 2 * round + 1, 9)), (20, Cut::ControlFrames));
}
