//! Content codings: coded bodies, in pieces.
//!
//! Input: one byte chooses the coding and how the body is made of the rest, three bytes say where it is cut.
//! The rest is the coded body; or a plain one, which is encoded; or that, and one byte of what is encoded is
//! another: it stands where the first cut is, and is changed by the second.

use std::io::Read as _;

use pinegate::coding::{Bounds, Coding, CodingError, Decoder, Encoder};

use super::mask::Input;

const BOUNDS: Bounds = Bounds { ratio: 20, size: 3 << 20 };

/// The most that comes out at once, in bytes.
const PIECE: usize = 64 << 10;

pub(crate) fn check(data: &[u8]) {
    let [choice, cuts @ ..] = data else { return };
    let Some((cuts, body)) = cuts.split_first_chunk::<3>() else { return };
    let coding = Coding::ALL[usize::from(choice % 3)];
    let input = |body: Vec<u8>| Input::cut(*cuts, 0, body);
    match choice / 3 % 3 {
        0 => drop(check_coded(coding, &input(body.to_vec()))),
        1 => {
            let coded = input(encode(coding, &input(body.to_vec())));
            assert_eq!(check_coded(coding, &coded).as_deref(), Some(body), "what was encoded comes out");
        }
        _ => {
            let mut coded = encode(coding, &input(body.to_vec()));
            let at = usize::from(cuts[0]) * coded.len() / 256;
            coded[at] ^= cuts[1];
            drop(check_coded(coding, &input(coded)));
        }
    }
}

fn encode(coding: Coding, input: &Input) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(coding), Vec::new());
    for piece in input.pieces() {
        encoder.push(piece, &mut out).expect("anything can be encoded");
    }
    encoder.finish(&mut out).expect("anything can be encoded");
    out
}

/// What comes out of a coded body, if it is one.
fn check_coded(coding: Coding, input: &Input) -> Option<Vec<u8>> {
    let (out, whole) = decode(coding, [&*input.body]);
    for (left, cut) in [decode(coding, input.pieces()), decode(coding, input.body.chunks(1))] {
        let (longer, shorter) = if left.len() > out.len() { (&left, &out) } else { (&out, &left) };
        assert!(longer.starts_with(shorter), "other bytes came out");
        let reasons = [&whole, &cut].map(|verdict| verdict.as_ref().err().map(CodingError::reason));
        // How much has come of how little depends on how much was given. A bound may be met before a fault.
        let is_bound = |reason| matches!(reason, Some("coding-ratio" | "coding-size"));
        let is_ratio = reasons.contains(&Some("coding-ratio"));
        let are_refused = reasons.iter().all(Option::is_some);
        let may_differ = is_ratio || are_refused && reasons.into_iter().any(is_bound);
        assert!(may_differ || reasons[0] == reasons[1], "{reasons:?}");
    }
    whole.ok()?;
    assert_eq!(plainly(coding, &input.body).expect("another decoder takes it too"), out);
    Some(out)
}

/// What comes out of a coded body in these pieces.
fn decode<'b>(
    coding: Coding,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> (Vec<u8>, Result<(), CodingError>) {
    let (mut decoder, mut out) = (Decoder::new(coding, BOUNDS), Vec::new());
    for mut piece in pieces {
        loop {
            match decoder.decode(&mut piece) {
                Ok([]) => break,
                Ok(part) => {
                    assert!(part.len() <= PIECE);
                    out.extend_from_slice(part);
                }
                Err(error) => return (out, Err(error)),
            }
            assert!(u64::try_from(out.len()).unwrap() <= BOUNDS.size, "more came out than may");
        }
        assert!(piece.is_empty(), "a part was not read");
    }
    (out, decoder.finish())
}

/// The same by the decoders of the libraries alone.
fn plainly(coding: Coding, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    match coding {
        Coding::Gzip => flate2::read::GzDecoder::new(body).read_to_end(&mut out)?,
        Coding::Brotli => brotli::Decompressor::new(body, PIECE).read_to_end(&mut out)?,
        Coding::Zstd => zstd::Decoder::new(body)?.single_frame().read_to_end(&mut out)?,
    };
    Ok(out)
}
