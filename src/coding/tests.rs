use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;

const TEXT: &str = r#"{"data":[{"name":"王云"}]}"#;

/// [`TEXT`] as gzip 1.12, zstd 1.5 and the Brotli of Node write it; gzip with a file name.
const MADE_ELSEWHERE: [(Coding, &str); 4] = [
    (
        Coding::Gzip,
        "1f8b0808368e076b02036e2e6a736f6e00ab564a492c4954b28aae56ca4bcc4d55b2527aded7fd64d744a5dad85a003ee78ca71c000000",
    ),
    (
        Coding::Gzip,
        "1f8b0800000000000003ab564a492c4954b28aae56ca4bcc4d55b2527aded7fd64d744a5dad85a003ee78ca71c000000",
    ),
    (Coding::Zstd, "28b52ffd241ce100007b2264617461223a5b7b226e616d65223a22e78e8be4ba91227d5d7d5584190b"),
    (Coding::Brotli, "8b0d807b2264617461223a5b7b226e616d65223a22e78e8be4ba91227d5d7d03"),
];

const BOUNDS: Bounds = Bounds { ratio: 200, size: 1 << 40 };

/// What a body in these pieces decodes to, and the largest piece that came out.
fn decode<'b>(
    coding: Coding,
    bounds: Bounds,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> Result<(Vec<u8>, usize), CodingError> {
    let mut decoder = Decoder::new(coding, bounds);
    let (mut out, mut largest) = (Vec::new(), 0);
    for mut piece in pieces {
        loop {
            let part = decoder.decode(&mut piece)?;
            if part.is_empty() {
                break;
            }
            largest = largest.max(part.len());
            out.extend_from_slice(part);
        }
        assert!(piece.is_empty());
    }
    decoder.finish()?;
    Ok((out, largest))
}

fn decode_whole(coding: Coding, body: &[u8]) -> Result<Vec<u8>, &'static str> {
    decode(coding, BOUNDS, [body]).map(|(out, _)| out).map_err(|error| error.reason())
}

fn encode<'b>(coding: Coding, pieces: impl IntoIterator<Item = &'b [u8]>) -> Vec<u8> {
    let mut encoder = Encoder::new(coding);
    let mut out = Vec::new();
    for piece in pieces {
        encoder.push(piece, &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    out
}

fn made_elsewhere() -> impl Iterator<Item = (Coding, Vec<u8>)> {
    MADE_ELSEWHERE.into_iter().map(|(coding, hex)| (coding, HEXLOWER.decode(hex.as_bytes()).unwrap()))
}

#[test]
fn what_others_encoded() {
    for (coding, body) in made_elsewhere() {
        assert_eq!(decode_whole(coding, &body).unwrap(), TEXT.as_bytes(), "{coding:?}");
        for at in 0..=body.len() {
            let (front, back) = body.split_at(at);
            assert_eq!(
                decode(coding, BOUNDS, [front, back]).unwrap().0,
                TEXT.as_bytes(),
                "{coding:?} at {at}"
            );
        }
        for size in [1, 2, 3] {
            assert_eq!(decode(coding, BOUNDS, body.chunks(size)).unwrap().0, TEXT.as_bytes());
        }
    }
}

#[test]
fn what_is_not_whole() {
    for (coding, body) in made_elsewhere() {
        for length in 0..body.len() {
            assert_eq!(
                decode_whole(coding, &body[..length]),
                Err("coding-truncated"),
                "{coding:?} of {length}"
            );
        }
        // One thing more, of its own kind or any other, at once or later.
        for more in [&b"\0"[..], b"\n", &body] {
            let doubled = [&body, more].concat();
            assert_eq!(decode_whole(coding, &doubled), Err("coding-trailing"), "{coding:?}");
            let late = decode(coding, BOUNDS, [&*body, more]).unwrap_err();
            assert_eq!(late.reason(), "coding-trailing", "{coding:?}");
        }
    }
}

#[test]
fn what_was_changed_on_the_way() {
    for (coding, body) in made_elsewhere() {
        for at in 0..body.len() {
            for bit in 0..8 {
                let mut changed = body.clone();
                changed[at] ^= 1 << bit;
                // What the checksum covers is as it was, or nothing. Brotli has none.
                if let Ok(out) = decode_whole(coding, &changed) {
                    assert!(coding == Coding::Brotli || out == TEXT.as_bytes(), "{coding:?} {at} {bit}");
                }
            }
        }
    }
}

#[test]
fn what_says_another_coding() {
    for (coding, body) in made_elsewhere() {
        for other in Coding::ALL.into_iter().filter(|other| *other != coding) {
            assert!(decode_whole(other, &body).is_err(), "{coding:?} as {other:?}");
        }
        assert!(decode_whole(coding, TEXT.as_bytes()).is_err(), "plain as {coding:?}");
    }
}

#[test]
fn windows_are_bounded() {
    let large_brotli = "111e3600027b2264617461223a5b7b226e616d65223a22e78e8be4ba91227d5d7d03";
    let body = HEXLOWER.decode(large_brotli.as_bytes()).unwrap();
    assert_eq!(decode_whole(Coding::Brotli, &body), Err("coding-window"));
    // The front of 20 MB of zeros with a window of 16 MiB.
    let large_zstd =
        "28b52ffd04704c000008000100fcff3910020200100002001000020010000200100002001000020010000200";
    let body = HEXLOWER.decode(large_zstd.as_bytes()).unwrap();
    let error = decode(Coding::Zstd, BOUNDS, [&*body]).unwrap_err();
    assert_eq!(error.reason(), "coding-broken");
    let told = std::error::Error::source(&error).unwrap().to_string();
    assert!(told.contains("memory"), "{told}");
}

#[test]
fn a_few_bytes_do_not_become_very_many() {
    let zeros = vec![0; 1 << 20];
    for coding in Coding::ALL {
        let mut encoder = Encoder::new(coding);
        let mut bomb = Vec::new();
        for _ in 0..32 {
            encoder.push(&zeros, &mut bomb).unwrap();
        }
        encoder.finish(&mut bomb).unwrap();
        assert!(bomb.len() < 400 << 10, "{coding:?}: {}", bomb.len());
        let strict = Bounds { ratio: 20, ..BOUNDS };
        assert_eq!(decode(coding, strict, [&*bomb]).unwrap_err().reason(), "coding-ratio", "{coding:?}");
        let small = Bounds { ratio: u64::MAX, size: (32 << 20) - 1 };
        assert_eq!(decode(coding, small, [&*bomb]).unwrap_err().reason(), "coding-size", "{coding:?}");
        // Where it is allowed, it comes out bit by bit.
        let wide = Bounds { ratio: u64::MAX, size: 32 << 20 };
        let (out, largest) = decode(coding, wide, [&*bomb]).unwrap();
        assert_eq!((out.len(), largest), (32 << 20, 64 << 10), "{coding:?}");
    }
    // What is small may be as even as it likes.
    let even = encode(Coding::Zstd, [&zeros[..]]);
    assert!(even.len() < 200, "{}", even.len());
    assert!(decode_whole(Coding::Zstd, &even).is_ok());
}

#[test]
fn what_was_pushed_comes_out_when_flushed() {
    for coding in Coding::ALL {
        let (mut encoder, mut decoder) = (Encoder::new(coding), Decoder::new(coding, BOUNDS));
        let mut seen = Vec::new();
        for number in 0..50 {
            let event = format!("data: {{\"number\":{number}}}\n\n");
            let mut out = Vec::new();
            encoder.push(event.as_bytes(), &mut out).unwrap();
            assert!(encoder.is_holding());
            encoder.flush(&mut out).unwrap();
            assert!(!encoder.is_holding());
            let mut out = out.as_slice();
            seen.clear();
            loop {
                let part = decoder.decode(&mut out).unwrap();
                if part.is_empty() {
                    break;
                }
                seen.extend_from_slice(part);
            }
            assert_eq!(String::from_utf8_lossy(&seen), event, "{coding:?}");
        }
        let mut out = Vec::new();
        encoder.finish(&mut out).unwrap();
        let mut out = out.as_slice();
        assert!(decoder.decode(&mut out).unwrap().is_empty());
        decoder.finish().unwrap();
    }
}

#[test]
fn nothing_is_something_too() {
    for coding in Coding::ALL {
        let empty = encode(coding, []);
        assert!(!empty.is_empty(), "{coding:?}");
        assert_eq!(decode_whole(coding, &empty).as_deref(), Ok(&[][..]));
        assert_eq!(decode_whole(coding, &[]), Err("coding-truncated"));
    }
}

#[test]
fn content_encoding_names_one_coding() {
    for (values, coding) in [
        (&[][..], Ok(None)),
        (&[""], Ok(None)),
        (&["identity"], Ok(None)),
        (&["gzip"], Ok(Some(Coding::Gzip))),
        (&["X-GZip"], Ok(Some(Coding::Gzip))),
        (&["BR"], Ok(Some(Coding::Brotli))),
        (&[" zstd ,"], Ok(Some(Coding::Zstd))),
        (&["identity, gzip"], Ok(Some(Coding::Gzip))),
        (&["gzip, gzip"], Err(UnknownCoding)),
        (&["gzip", "br"], Err(UnknownCoding)),
        (&["deflate"], Err(UnknownCoding)),
        (&["compress"], Err(UnknownCoding)),
        (&["aws-chunked"], Err(UnknownCoding)),
        (&["gzip;q=1"], Err(UnknownCoding)),
        (&["dcb"], Err(UnknownCoding)),
    ] {
        assert_eq!(Coding::of(values.iter().copied()), coding, "{values:?}");
    }
}

#[test]
fn accept_encoding_is_read_strictly() {
    use Coding::{Brotli, Gzip, Zstd};
    for (values, best) in [
        (&[][..], None),
        (&[""], None),
        (&["gzip"], Some(Gzip)),
        (&["GZIP"], Some(Gzip)),
        (&["x-gzip"], Some(Gzip)),
        (&["gzip, deflate, br, zstd"], Some(Zstd)),
        (&["gzip, deflate", "br"], Some(Brotli)),
        (&["gzip;q=1, br;q=0.999"], Some(Gzip)),
        (&["gzip ; q=0.5 , br ;Q=0.5"], Some(Brotli)),
        (&["*"], Some(Zstd)),
        (&["*;q=0.1, br;q=0.2"], Some(Brotli)),
        (&["*, zstd;q=0"], Some(Brotli)),
        (&["gzip;q=0"], None),
        (&["gzip;q=0.000"], None),
        (&["*;q=0"], None),
        (&["identity"], None),
        (&["identity, gzip;q=0.5"], None),
        (&["identity;q=0.5, gzip;q=0.5"], Some(Gzip)),
        (&["identity;q=0"], None),
        (&["identity;q=0, *"], Some(Zstd)),
        (&["deflate, compress"], None),
        (&["gzip, gzip;q=0"], None),
        (&["gzip;q=0, gzip"], None),
        (&[", gzip ,, "], Some(Gzip)),
        // Malformed: nothing is coded.
        (&["gzip;q=2"], None),
        (&["gzip;q=1.001"], None),
        (&["gzip;q=0.1234"], None),
        (&["gzip;q=.5"], None),
        (&["gzip;q=-1"], None),
        (&["gzip;q"], None),
        (&["gzip;"], None),
        (&["gzip;q=1;q=0"], None),
        (&["gzip;level=9"], None),
        (&["gzip; q = 1"], None),
        (&["gzip br"], None),
        (&["gzip, b\"r"], None),
        (&["gzip, ;q=1"], None),
    ] {
        let accepted = Accepted::of(values.iter().copied());
        assert_eq!(accepted.best(), best, "{values:?}");
        assert!(best.is_none_or(|best| accepted.accepts(best)), "{values:?}");
    }
    let some = Accepted::of(["identity, gzip;q=0.5"]);
    assert!(some.accepts(Gzip) && !some.accepts(Zstd) && !Accepted::default().accepts(Gzip));
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let even = (any::<u8>(), 0..200_000_usize).prop_map(|(byte, length)| vec![byte; length]);
    let text = proptest::collection::vec("[a-c]{0,9}|王云|[0-9]{18}", 0..2_000)
        .prop_map(|words| words.concat().into());
    let noise = proptest::collection::vec(any::<u8>(), 0..3_000);
    prop_oneof![even, text, noise]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is encoded in any pieces decodes from any other pieces.
    #[test]
    fn there_and_back(body in body(), one in 1..70_000_usize, other in 1..5_000_usize) {
        for coding in Coding::ALL {
            let coded = encode(coding, body.chunks(one));
            let (decoded, largest) = decode(coding, Bounds { ratio: u64::MAX, ..BOUNDS }, coded.chunks(other)).unwrap();
            prop_assert!(decoded == body, "{:?}", coding);
            prop_assert!(largest <= 64 << 10);
        }
    }

    /// Nothing that is sent makes a decoder panic, hang, or give more than it may.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), body in body(), at in any::<proptest::sample::Index>(), size in 1..400_usize) {
        let bounds = Bounds { ratio: 50, size: 1 << 21 };
        for coding in Coding::ALL {
            let mut coded = encode(coding, [&*body]);
            let place = at.index(coded.len());
            let length = bytes.len().min(coded.len() - place);
            coded[place..place + length].copy_from_slice(&bytes[..length]);
            for hostile in [&coded, &bytes] {
                if let Ok((out, _)) = decode(coding, bounds, hostile.chunks(size)) {
                    prop_assert!(out.len() <= 1 << 21);
                }
            }
        }
    }
}
