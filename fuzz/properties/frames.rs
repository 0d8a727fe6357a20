//! Bytes of HTTP/2 connections, as they are cut into frames by whoever counts them.
//!
//! Input: the bytes, from the preface on.

use pinegate::wire::frames::{FrameHead, FrameHeads};

/// The preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;

pub(crate) fn check(data: &[u8]) {
    let expected = read(data);
    assert_eq!(in_pieces(data.chunks(data.len().max(1))), expected);
    for size in [1, 2, 3, 8, 9, 10, 64] {
        assert_eq!(in_pieces(data.chunks(size)), expected, "in pieces of {size}");
    }
    // Cut in two wherever there is a place for it.
    for cut in 0..data.len().min(200) {
        let (front, back) = data.split_at(cut);
        assert_eq!(in_pieces([front, back].into_iter()), expected, "cut at {cut}");
    }
}

/// The heads in the whole, read from its beginning.
fn read(data: &[u8]) -> Vec<FrameHead> {
    let mut heads = Vec::new();
    let mut at = PREFACE;
    while let Some(&[a, b, c, kind, flags, s0, s1, s2, s3]) = data.get(at..at + 9) {
        let length = u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) % (1 << 31);
        heads.push(FrameHead { length, kind, flags, stream });
        at += 9 + usize::try_from(length).expect("it has three bytes");
    }
    heads
}

fn in_pieces<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> Vec<FrameHead> {
    let mut frames = FrameHeads::new(u64::try_from(PREFACE).expect("it is short"));
    let mut heads = Vec::new();
    for mut piece in pieces {
        while let Some((head, rest)) = frames.next(piece) {
            assert!(rest.len() < piece.len(), "a head has bytes");
            heads.push(head);
            piece = rest;
        }
    }
    heads
}
