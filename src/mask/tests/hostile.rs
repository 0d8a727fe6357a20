//! Bodies made to slip something through.

mod matrix;

use super::*;

const SECRET: &str = "13800138000";
const RESIDENT: &str = "11010519491231002";

fn plan() -> Arc<Plan> {
    let fields = catalogue("name:string phone:string:mobile note:string size:number");
    compile(&shape(Some("data"), "code"), &released("name phone:mobile size"), &fields).unwrap()
}

/// The body becomes `Ok` or is refused for a reason; in neither case does the secret leave.
#[track_caller]
fn check(body: &[u8], expected: Result<&str, &str>) {
    check_under(&plan(), body, expected);
}

#[track_caller]
fn check_under(plan: &Arc<Plan>, body: &[u8], expected: Result<&str, &str>) {
    let result = run_all(plan, Bounds::default(), body).map(|(out, _)| out);
    let shown = String::from_utf8_lossy(body);
    if let Ok(out) = &result {
        // Without its escapes, where the other parser goes as deep and its numbers are as wide.
        let value = serde_json::from_str::<serde_json::Value>(out);
        let plain = value.map_or_else(|_| out.clone(), |value| value.to_string());
        for secret in [SECRET, RESIDENT] {
            assert!(!plain.contains(secret), "{shown} leaks: {out}");
        }
    }
    assert_eq!(result.as_deref().map_err(MaskError::reason), expected, "{shown}");
}

#[test]
fn keys() {
    let masked = r#""138****8000""#;
    check(
        br#"{"data":{"phone":"13800138000","phone":"13800138000"}}"#,
        Ok(&format!(r#"{{"data":{{"phone":{masked},"phone":{masked}}}}}"#)),
    );
    check(
        br#"{"data":{"\u0070hone":"13800138000"}}"#,
        Ok(&format!(r#"{{"data":{{"\u0070hone":{masked}}}}}"#)),
    );
    check(
        br#"{"data":{"\u0070\u0068\u006F\u006e\u0065":"13800138000"}}"#,
        Ok(&format!(r#"{{"data":{{"\u0070\u0068\u006F\u006e\u0065":{masked}}}}}"#)),
    );
    for name in [
        "Phone",
        "PHONE",
        "phone ",
        " phone",
        r"phone\u0000",
        "ｐhone",
        "phone.",
        r"pho\u006ee2",
        "",
        r"phon\u00e9",
        "13800138000",
    ] {
        check(format!(r#"{{"data":{{"{name}":"13800138000"}}}}"#).as_bytes(), Ok(r#"{"data":{}}"#));
    }
    check(br#"{"Data":{"phone":"13800138000"},"code":1}"#, Ok(r#"{"code":1}"#));
    check(
        br#"{"\u0064ata":{"phone":"13800138000"},"data":{"phone":"13800138000"}}"#,
        Ok(&format!(r#"{{"\u0064ata":{{"phone":{masked}}},"data":{{"phone":{masked}}}}}"#)),
    );
}

#[test]
fn values() {
    check(br#"{"data":{"phone":13800138000}}"#, Ok(r#"{"data":{"phone":"138****8000"}}"#));
    check(br#"{"data":{"phone":1.3800138e10}}"#, Ok(r#"{"data":{"phone":null}}"#));
    check(br#"{"data":{"phone":["13800138000"]}}"#, Ok(r#"{"data":{"phone":["138****8000"]}}"#));
    check(br#"{"data":{"phone":{"number":"13800138000"}}}"#, Ok(r#"{"data":{"phone":null}}"#));
    check(br#"{"data":{"phone":{"phone":"13800138000"}}}"#, Ok(r#"{"data":{"phone":null}}"#));
    check(br#"{"data":{"phone":"1\u0033800138000"}}"#, Ok(r#"{"data":{"phone":"138****8000"}}"#));
    check(br#"{"data":{"phone":"tel 13800138000"}}"#, Ok(r#"{"data":{"phone":"***"}}"#));
    check("{\"data\":{\"phone\":\"１３８00138000\"}}".as_bytes(), Ok(r#"{"data":{"phone":"***"}}"#));
    check(
        br#"{"data":{"name":13800138000,"size":"13800138000"}}"#,
        Ok(r#"{"data":{"name":null,"size":null}}"#),
    );
    // JSON in a string is text like any other; the field that holds it is not released.
    check(br#"{"data":{"note":"{\"phone\":\"13800138000\"}"}}"#, Ok(r#"{"data":{}}"#));
    check(br#"{"data":"13800138000","x":{"data":{"phone":"13800138000"}}}"#, Ok(r#"{"data":null}"#));
    check(
        br#"{"data":{"size":[1.10,1E5,12345678901234567890123,-0,0.1e-7]}}"#,
        Ok(r#"{"data":{"size":[1.10,1E5,12345678901234567890123,-0,0.1e-7]}}"#),
    );
}

#[test]
fn grammar() {
    for (body, reason) in [
        (r#"{"data":{/*"*/"phone":"13800138000"/*"*/}}"#, "syntax"),
        ("{\"data\":{//\n\"phone\":\"13800138000\"}}", "syntax"),
        (r#"{"data":{"phone":"13800138000"}} 13800138000"#, "trailing"),
        (r#"{"data":{}}{"data":{"phone":"13800138000"}}"#, "trailing"),
        (r#"{"data":{"name":"a" "phone":"13800138000"}}"#, "syntax"),
        (r#"{"data":{"name":"a",,"phone":"13800138000"}}"#, "syntax"),
        (r#"{"data":{"phone":"13800138000",}}"#, "syntax"),
        (r#"{"data":[{"phone":"13800138000"},]}"#, "syntax"),
        (r#"{"data":{"phone":"13800138000"]}"#, "syntax"),
        (r#"{"data":[{"phone":"13800138000"})"#, "syntax"),
        (r#"{"data":{"size":NaN}}"#, "syntax"),
        (r#"{"data":{"size":Infinity}}"#, "syntax"),
        (r#"{"data":{"size":012}}"#, "syntax"),
        (r#"{"data":{"size":1.}}"#, "syntax"),
        (r#"{"data":{"size":+1}}"#, "syntax"),
        (r#"{"data":{"size":0x10}}"#, "syntax"),
        (r#"{"data":{'phone':"13800138000"}}"#, "syntax"),
        (r#"{"data":{phone:"13800138000"}}"#, "syntax"),
        (r#"{"data":{"phone"="13800138000"}}"#, "syntax"),
        (r#"{"data":{"phone":"13800138000"#, "truncated"),
        (r#"{"data":{"phone":"13800138000"}"#, "truncated"),
        (r#"{"data":{"phone":tru}}"#, "syntax"),
        (r#"{"data":{"x":"\q"}}"#, "escape"),
        (r#"{"data":{"x":"\u12G4"}}"#, "escape"),
        (r#"{"data":{"name":"\ud800"}}"#, "surrogate"),
        (r#"{"data":{"x":"\udc00"}}"#, "surrogate"),
        (r#"{"data":{"\ud800x":1}}"#, "surrogate"),
        (r#"{"data":{"phone":"\ud800\u0061"}}"#, "surrogate"),
        ("{\"data\":{\"phone\":\"138\u{1}00138000\"}}", "control-character"),
        ("{\"data\":{\"x\":\"a\nb\"}}", "control-character"),
        ("{\"data\":{\"x\u{0}\":1}}", "control-character"),
        ("{\"data\":{\u{b}\"phone\":\"13800138000\"}}", "syntax"),
        ("{\"data\":{\u{a0}\"phone\":\"13800138000\"}}", "syntax"),
        ("\u{feff}{\"data\":{\"phone\":\"13800138000\"}}", "byte-order-mark"),
        ("{\"data\":{\u{feff}\"phone\":\"13800138000\"}}", "syntax"),
        ("", "truncated"),
        ("  \n", "truncated"),
        (",", "syntax"),
        ("]", "syntax"),
    ] {
        check(body.as_bytes(), Err(reason));
    }
}

#[test]
fn encodings() {
    let utf16 = |body: &str, big: bool| -> Vec<u8> {
        body.encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    };
    let body = r#"{"data":{"phone":"13800138000"}}"#;
    check(&utf16(body, true), Err("syntax"));
    check(&utf16(body, false), Err("syntax"));
    check(&[b"\xff\xfe", &*utf16(body, false)].concat(), Err("utf8"));
    // 张 in GBK.
    check(b"{\"data\":{\"name\":\"\xd5\xc5\"}}", Err("utf8"));
    // A trail byte of GBK that is a backslash.
    check(b"{\"data\":{\"name\":\"\x81\x5c\",\"phone\":\"13800138000\"}}", Err("utf8"));
    // Overlong forms, a surrogate, beyond Unicode, a lone trail byte, a cut character.
    for bad in [
        &b"\xc0\xaf"[..],
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"\xe5\xbc",
        b"\xfe",
    ] {
        check(&[b"{\"data\":{\"x\":\"", bad, b"\"}}"].concat(), Err("utf8"));
        check(&[b"{\"data\":{\"", bad, b"\":1}}"].concat(), Err("utf8"));
        check(bad, Err("utf8"));
    }
}

#[test]
fn bounds() {
    let small = Bounds { depth: 4, key: 8, value: 16, space: 8, records: Some(2) };
    let result = |body: &str| {
        run_all(&plan(), small, body.as_bytes()).map(|(out, _)| out).map_err(|error| error.to_string())
    };
    let ok = |body: &str, out: &str| assert_eq!(result(body).as_deref(), Ok(out));
    let err = |body: &str, message: &str| assert_eq!(result(body), Err(message.to_owned()));
    ok(r#"{"data":[[[]]]}"#, r#"{"data":[[[]]]}"#);
    err(r#"{"data":[[[[]]]]}"#, "nested deeper than 4 levels at byte 11");
    err(r#"{"x":[[[[]]]]}"#, "nested deeper than 4 levels at byte 8");
    ok(r#"{"12345678":1}"#, "{}");
    err(r#"{"123456789":1}"#, "member name longer than 8 bytes at byte 10");
    err("{\"123456789\u{1}\":1}", "member name longer than 8 bytes at byte 10");
    err("{\"12345678\u{1}\":1}", "unescaped control character at byte 10");
    err(r#"{"\u0031\u00":1}"#, "member name longer than 8 bytes at byte 10");
    ok(r#"{"x":{"123456789":1}}"#, "{}");
    ok(r#"{"data":{"phone":"12345678901234"}}"#, r#"{"data":{"phone":"***"}}"#);
    ok(r#"{"data":{"phone":"138 0013-8000"}}"#, r#"{"data":{"phone":"138 ****-8000"}}"#);
    ok(r#"{"data":{"phone":"138-0013-8000 00"}}"#, r#"{"data":{"phone":"***"}}"#);
    ok(r#"{"data":{"phone":13800138000138001}}"#, r#"{"data":{"phone":null}}"#);
    ok("{       \"x\":1       ,       \"code\":1}", "{       \"code\":1}");
    err("{         \"x\":1}", "more than 8 bytes of white space before byte 9");
    err("{\"code\":1,        \"x\":1}", "more than 8 bytes of white space before byte 17");
    err("{         ?", "more than 8 bytes of white space before byte 9");
    ok(
        "          {\"code\"          :          1          }",
        "          {\"code\"          :          1          }",
    );
    ok(r#"{"data":[{},{}]}"#, r#"{"data":[{},{}]}"#);
    err(r#"{"data":[{},{},{}]}"#, "more than 2 records");
    check(&[&b"[".repeat(600)[..], b"\"13800138000\"", &b"]".repeat(600)].concat(), Err("depth"));
}

#[test]
fn bytes_that_are_not_utf8_are_refused_at_once() {
    let mut out = Vec::new();
    let mut transform = Transform::new(plan(), Bounds::default());
    assert_eq!(transform.push(b"{\"code\":\"\xff and more", &mut out), Err(MaskError::Utf8 { at: 9 }));
    assert!(out.is_empty());
}

#[test]
fn a_value_that_is_too_long_is_masked_fully_by_every_masker() {
    let fields = catalogue("a:string");
    let bounds = Bounds { value: 16, ..Bounds::default() };
    for masker in ["pseudonym", "first", "name", "full"] {
        let plan = compile(&shape(None, ""), &released(&format!("a:{masker}")), &fields).unwrap();
        for text in ["欧阳建国欧阳建国", "abcdefghijklmno", r"\u5f20\u5f20\u5f20"] {
            let body = format!(r#"{{"a":"{text}"}}"#);
            let (out, _) = run_all(&plan, bounds, body.as_bytes()).unwrap();
            assert_eq!(out, r#"{"a":"***"}"#, "{masker}");
        }
        let (out, _) = run_all(&plan, bounds, br#"{"a":12345678901234567}"#).unwrap();
        assert_eq!(out, r#"{"a":null}"#, "{masker}");
    }
}

#[test]
fn what_is_held_is_refused_while_it_grows() {
    for (start, more, reason) in [
        ("{\"", "aaaaaaaa", "key-too-long"),
        ("{", "        ", "space-too-long"),
        ("[{\"x\":1", "        ", "space-too-long"),
    ] {
        let mut transform = Transform::new(plan_of_records(), Bounds::default());
        let mut out = Vec::new();
        transform.push(start.as_bytes(), &mut out).unwrap();
        let pushes = (0..10_000).take_while(|_| transform.push(more.as_bytes(), &mut out).is_ok()).count();
        assert!(pushes <= 2_048, "{reason} after {pushes}");
        assert_eq!(transform.finish(&mut out).unwrap_err().reason(), reason);
        assert!(transform.footprint() < 40 << 10);
    }
}

fn plan_of_records() -> Arc<Plan> {
    compile(&shape(None, ""), &[], &catalogue("a:string")).unwrap()
}

#[test]
fn memory_does_not_grow_with_the_body() {
    let mut transform = Transform::new(plan(), Bounds::default());
    let mut out = Vec::new();
    transform.push(br#"{"data":{"phone":"13800138000","name":""#, &mut out).unwrap();
    for _ in 0..1_000 {
        out.clear();
        transform.push(&[b'a'; 10_000], &mut out).unwrap();
        assert_eq!(out.len(), 10_000);
    }
    transform.push(br#"","phone":""#, &mut out).unwrap();
    for _ in 0..1_000 {
        out.clear();
        transform.push(&[b'1'; 10_000], &mut out).unwrap();
        assert!(out.is_empty());
    }
    transform.push(br#"","note":""#, &mut out).unwrap();
    out.clear();
    transform.push(&[b'1'; 10_000], &mut out).unwrap();
    transform.push(br#""}}"#, &mut out).unwrap();
    assert_eq!(out, b"}}");
    assert!(transform.footprint() < 300 << 10, "{}", transform.footprint());
}
