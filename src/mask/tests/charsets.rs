//! Bodies that are not UTF-8: what leaves is UTF-8, and what cannot be read does not.

use encoding_rs::{GB18030, GBK};
use proptest::prelude::*;

use super::*;
use crate::catalog::Charset;

fn plan() -> Arc<Plan> {
    let fields = catalogue("name:string phone:string:mobile note:string");
    compile(&shape(Some("data"), "code"), &released("name phone:mobile"), &fields).unwrap()
}

fn in_pieces<'b>(
    charset: Charset,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> Result<(String, u64), MaskError> {
    under(&plan(), charset, pieces)
}

fn under<'b>(
    plan: &Arc<Plan>,
    charset: Charset,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> Result<(String, u64), MaskError> {
    let mut transform = Transform::with_charset(Arc::clone(plan), Bounds::default(), charset);
    let mut out = Vec::new();
    for piece in pieces {
        transform.push(piece, &mut out)?;
    }
    let summary = transform.finish(&mut out)?;
    Ok((String::from_utf8(out).unwrap(), summary.bytes_in))
}

/// What a body becomes, however it is cut.
#[track_caller]
fn run_in(charset: Charset, body: &[u8]) -> Result<String, MaskError> {
    let whole = in_pieces(charset, [body]);
    for at in 0..=body.len() {
        let (front, back) = body.split_at(at);
        assert_eq!(in_pieces(charset, [front, back]), whole, "cut at {at}");
    }
    for size in [1, 2, 3, 5] {
        assert_eq!(in_pieces(charset, body.chunks(size)), whole, "by {size}");
    }
    whole.map(|(out, taken)| {
        assert_eq!(taken, u64::try_from(body.len()).unwrap());
        out
    })
}

/// A body around bytes that stand in a text.
fn around(name: &[u8]) -> Vec<u8> {
    [br#"{"data":[{"name":""#, name, br#"","phone":"13800138000","note":"13800138000"}]}"#].concat()
}

#[test]
fn what_leaves_is_utf8() {
    for (charset, encoding) in [(Charset::Gbk, GBK), (Charset::Gb18030, GB18030)] {
        let text = r#"{"code":0,"data":[{"name":"欧阳修","phone":"13800138000","备注":"13800138000"}]}"#;
        let (body, _, lossy) = encoding.encode(text);
        assert!(!lossy);
        let expected = r#"{"code":0,"data":[{"name":"欧阳修","phone":"138****8000"}]}"#;
        assert_eq!(run_in(charset, &body).as_deref(), Ok(expected));
    }
}

#[test]
fn second_bytes_that_look_like_structure() {
    // Two bytes each; the second is that of `\`, `[`, `]`, `{`, `|` and `}`.
    for (bytes, text) in [
        (&b"\x81\x5c"[..], "乗"),
        (b"\x95\x5b", "昜"),
        (b"\x81\x5d", "乚"),
        (b"\x81\x7b", "亄"),
        (b"\x81\x7c", "亅"),
        (b"\x81\x7d", "亇"),
        (b"\x81\x5c\x81\x7d\x81\x5d", "乗亇乚"),
    ] {
        let expected = format!(r#"{{"data":[{{"name":"{text}","phone":"138****8000"}}]}}"#);
        for charset in [Charset::Gbk, Charset::Gb18030] {
            assert_eq!(run_in(charset, &around(bytes)).as_deref(), Ok(expected.as_str()));
        }
    }
    // In a name they are as harmless.
    let body = b"{\"data\":{\"a\x81\x5c\":\"13800138000\",\"phone\":\"13800138000\"}}";
    assert_eq!(run_in(Charset::Gbk, body).as_deref(), Ok(r#"{"data":{"phone":"138****8000"}}"#));
}

#[test]
fn four_bytes_are_one_character() {
    for text in ["㐀", "𠀀", "🌲", "\u{fffd}", "\u{200b}"] {
        let (bytes, _, lossy) = GB18030.encode(text);
        assert!(!lossy && bytes.len() == 4, "{text:?}");
        let expected = format!(r#"{{"data":[{{"name":"{text}","phone":"138****8000"}}]}}"#);
        assert_eq!(run_in(Charset::Gb18030, &around(&bytes)).as_deref(), Ok(expected.as_str()));
    }
}

#[test]
fn what_is_no_character_ends_the_body() {
    let at = u64::try_from(br#"{"data":[{"name":""#.len()).unwrap();
    for bad in [
        &b"\xff"[..],
        b"\x81",
        b"\x81\x20",
        b"\x81\x7f",
        b"\x81\x30",
        b"\x81\x30\x81",
        b"\x81\x30\x20\x30",
        b"\x84\x31\xa5\x30",
        b"\xe3\x32\x9a\x36",
        b"\xfe\x39\xfe\x39",
    ] {
        for charset in [Charset::Gbk, Charset::Gb18030] {
            assert_eq!(run_in(charset, &around(bad)), Err(MaskError::Charset { at }), "{bad:x?}");
            // At the end of the body there is nothing that could complete it.
            let cut = &around(bad)[..usize::try_from(at).unwrap() + 1];
            let error = run_in(charset, cut).unwrap_err();
            assert_eq!(error, MaskError::Charset { at }, "{bad:x?}");
        }
    }
    // What stands before it is judged first.
    assert_eq!(run_in(Charset::Gbk, b"{]\xff").unwrap_err().reason(), "syntax");
    assert_eq!(run_in(Charset::Gbk, b"{\"data\":\"\xd6\xd0").unwrap_err().reason(), "truncated");
}

#[test]
fn no_mark_is_believed() {
    let json = r#"{"data":{}}"#;
    // Of UTF-8, of GB 18030, and of UTF-16 both ways.
    let utf16 = |swap: fn(u16) -> [u8; 2]| json.encode_utf16().flat_map(swap).collect::<Vec<u8>>();
    for (mark, body, reason) in [
        (&b"\xef\xbb\xbf"[..], json.into(), "syntax"),
        (b"\x84\x31\x95\x33", json.into(), "byte-order-mark"),
        (b"\xfe\xff", utf16(u16::to_be_bytes), "charset"),
        (b"\xff\xfe", utf16(u16::to_le_bytes), "charset"),
    ] {
        let body = [mark, body.as_slice()].concat();
        for charset in [Charset::Gbk, Charset::Gb18030] {
            assert_eq!(run_in(charset, &body).unwrap_err().reason(), reason, "{mark:x?} {charset:?}");
        }
    }
}

#[test]
fn nothing_comes_after_the_end() {
    for charset in [Charset::Utf8, Charset::Gbk, Charset::Gb18030] {
        let mut transform = Transform::with_charset(plan(), Bounds::default(), charset);
        let mut out = Vec::new();
        transform.push(b"{}", &mut out).unwrap();
        transform.finish(&mut out).unwrap();
        assert_eq!(transform.push(b" ", &mut out), Err(MaskError::Trailing { at: 2 }));
        assert_eq!(transform.finish(&mut out).map(|_| ()), Err(MaskError::Trailing { at: 2 }));
        assert_eq!(out, b"{}");
    }
}

#[test]
fn a_lie_about_the_charset_leaks_nothing() {
    // UTF-8 where GBK is declared: refused, or nonsense in what may leave, and masked all the same.
    let mut accepted = 0;
    for name in ["中", "中文", "王小明", "欧阳修远", "é", "ab", "🌲", "中a", "中{", "中[x", "中\\\\"]
    {
        let body = around(name.as_bytes());
        if let Ok(out) = run_in(Charset::Gbk, &body) {
            accepted += 1;
            assert!(!out.contains("13800138000"), "{name}: {out}");
            assert!(out.contains(r#""phone":"138****8000""#), "{name}: {out}");
        }
    }
    assert!(accepted > 2, "the test reads too little");
    // GBK where UTF-8 is declared is not UTF-8.
    let (body, _, _) = GBK.encode(r#"{"data":{"name":"中文","phone":"13800138000"}}"#);
    assert_eq!(run_in(Charset::Utf8, &body).unwrap_err().reason(), "utf8");
}

#[test]
fn xml_says_what_it_is_and_leaves_as_utf8() {
    let shape = BodyShape { format: BodyFormat::Xml, ..shape(Some("r.p"), "") };
    let plan = compile(&shape, &released("name"), &catalogue("name:string")).unwrap();
    for (charset, declaration, leaves_as) in [
        (Charset::Gbk, "<?xml version='1.0' encoding='GBK'?>", Ok("<?xml version='1.0' encoding='UTF-8'?>")),
        (
            Charset::Gbk,
            "<?xml version=\"1.0\" encoding=\"gb2312\" standalone=\"yes\" ?>",
            Ok("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\" ?>"),
        ),
        (
            Charset::Gb18030,
            "<?xml version='1.0' encoding='GB18030'?>",
            Ok("<?xml version='1.0' encoding='UTF-8'?>"),
        ),
        (Charset::Gbk, "<?xml version='1.0'?>", Ok("<?xml version='1.0'?>")),
        (Charset::Gbk, "", Ok("")),
        (Charset::Gbk, "<?xml version='1.0' encoding='UTF-8'?>", Err("declared-encoding")),
        (Charset::Gbk, "<?xml version='1.0' encoding='GB18030'?>", Err("declared-encoding")),
        (Charset::Gb18030, "<?xml version='1.0' encoding='GBK'?>", Err("declared-encoding")),
        (Charset::Utf8, "<?xml version='1.0' encoding='GBK'?>", Err("declared-encoding")),
        (
            Charset::Utf8,
            "<?xml version='1.0' encoding='utf-8'?>",
            Ok("<?xml version='1.0' encoding='utf-8'?>"),
        ),
    ] {
        let body = format!("{declaration}<r><p><name>乗亇中</name><phone>亅</phone></p></r>");
        let bytes = if charset == Charset::Utf8 { body.into() } else { GB18030.encode(&body).0.into_owned() };
        let whole = under(&plan, charset, [&*bytes]).map(|(out, _)| out);
        let expected = leaves_as.map(|front| format!("{front}<r><p><name>乗亇中</name></p></r>"));
        assert_eq!(whole.as_deref().map_err(|error| error.reason()), expected.as_deref().map_err(|why| *why));
        for at in 0..=bytes.len() {
            let (front, back) = bytes.split_at(at);
            let cut = under(&plan, charset, [front, back]).map(|(out, _)| out);
            assert_eq!(cut, whole, "{declaration} cut at {at}");
        }
        let by_byte = under(&plan, charset, bytes.chunks(1)).map(|(out, _)| out);
        assert_eq!(by_byte, whole, "{declaration}");
    }
}

#[test]
fn memory_does_not_grow_with_the_body() {
    let mut transform = Transform::with_charset(plan(), Bounds::default(), Charset::Gb18030);
    let mut out = Vec::new();
    transform.push(br#"{"data":[{"name":""#, &mut out).unwrap();
    let (text, _, _) = GB18030.encode("中𠀀");
    let long = text.repeat(20_000);
    transform.push(&long, &mut out).unwrap();
    let before = transform.footprint();
    for _ in 0..20 {
        out.clear();
        transform.push(&long, &mut out).unwrap();
        assert!(transform.footprint() <= before, "{} after {before}", transform.footprint());
    }
    assert!(before < 64 << 10, "{before}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A body in another charset leaves as the same body in UTF-8 does, however it is cut.
    #[test]
    fn a_charset_changes_nothing(name in "\\PC{0,12}", key in "[a-z中文亇]{1,3}", size in 1..9_usize) {
        let text = serde_json::json!({ "data": [{ "name": name, key: "13800138000", "phone": "13800138000" }] }).to_string();
        let (body, _, lossy) = GB18030.encode(&text);
        prop_assume!(!lossy);
        let expected = in_pieces(Charset::Utf8, [text.as_bytes()]).map(|(out, _)| out);
        prop_assert_eq!(in_pieces(Charset::Gb18030, body.chunks(size)).map(|(out, _)| out), expected);
    }

    /// Whatever the bytes are, every cut comes to the same.
    #[test]
    fn bytes_do_not_depend_on_any_cut(bytes in proptest::collection::vec(prop_oneof![
        any::<u8>(), 0x80_u8.., Just(b'"'), 0x30_u8..0x3a,
    ], 0..24)) {
        for charset in [Charset::Gbk, Charset::Gb18030] {
            // A refusal is as good as any other result.
            let _verdict = run_in(charset, &around(&bytes));
            let _verdict = run_in(charset, &bytes);
        }
    }
}
