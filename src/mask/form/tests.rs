//! Forms in, forms out.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::super::tests::{
    catalogue, compile, compile_refusing, compile_searching, maskers, released, run_all, run_pieces, shape,
};
use super::super::{Bounds, MaskError, Plan, Summary, Value};
use crate::catalog::{BodyFormat, BodyShape, Egress, NameMatching};
use crate::grant::{ReleasedField, Treatment};

const SECRET: &str = "13800138000";
const CATALOGUE: &str = "name:string phone:string:mobile note:string size:number ok:boolean mail:string \
    addr.city:string addr.line:string box:object 姓名:string born:date";
const RELEASED: &str = "name phone:mobile size ok addr.city box 姓名:name mail:email born";

fn form_shape() -> BodyShape {
    BodyShape { format: BodyFormat::Form, ..shape(None, "") }
}

fn plan_of(shape: &BodyShape, fields: &str) -> Arc<Plan> {
    compile(shape, &released(fields), &catalogue(CATALOGUE)).unwrap()
}

fn plan() -> Arc<Plan> {
    plan_of(&form_shape(), RELEASED)
}

fn run_by(plan: &Arc<Plan>, body: &str) -> Result<(String, Summary), MaskError> {
    run_all(plan, Bounds::default(), body.as_bytes())
}

#[track_caller]
fn check(body: &str, expected: &str) {
    assert_eq!(run_by(&plan(), body).map(|(out, _)| out).as_deref(), Ok(expected), "{body}");
}

#[test]
fn pairs_leave_or_go_with_their_separators() {
    check("", "");
    check("name=a&phone=13800138000", "name=a&phone=138****8000");
    check("note=x&name=a&x=1&phone=13800138000&y", "name=a&phone=138****8000");
    check("x=1&y=2", "");
    check("phone=13800138000&name=a=b=c", "phone=138****8000&name=a=b=c");
    check(
        "phone=13800138000&phone=13900139000&ph%6Fne=13800138000",
        "phone=138****8000&phone=139****9000&ph%6Fne=138****8000",
    );
    check("name=a+b%20c%26&addr.city=%E9%BB%84", "name=a+b%20c%26&addr.city=%E9%BB%84");
    check("addr%2Ecity=x&addr.line=y&addr=z&addr%2Eline=y", "addr%2Ecity=x&addr=");
    check(
        "%E5%A7%93%E5%90%8D=%E5%BC%A0%E4%B8%89&姓名=张三",
        "%E5%A7%93%E5%90%8D=%E5%BC%A0**&姓名=%E5%BC%A0**",
    );
}

#[test]
fn what_looks_like_a_name_but_is_none_is_dropped() {
    for name in [
        "Phone",
        "phone+",
        "+phone",
        "%20phone",
        "phone%00",
        "phone%0A",
        "phone[]",
        "phone[0]",
        "phone%5B%5D",
        "[phone]",
        "a;phone",
        "phone.",
        ".phone",
        "",
        "%EF%BB%BFphone",
        "phon%C3%A9",
        "phone%FF",
        "%D0%D5%C3%FB",
        "ph%C1%AFne",
        "a.phone",
        "%2570hone",
        "%EF%BD%90hone",
    ] {
        let (out, summary) = run_by(&plan(), &format!("{name}={SECRET}&name=a&{name}={SECRET}")).unwrap();
        assert_eq!((out.as_str(), summary.unclassified(), summary.dropped()), ("name=a", 2, 0), "{name}");
    }
}

#[test]
fn empty_pairs_go_and_pairs_without_a_value_stay() {
    check("&&name=a&&phone=&", "name=a&phone=");
    check("name&phone&size&ok&x&name=", "name&phone&size&ok&name=");
    let (_, summary) = run_by(&plan(), "&&name=a&").unwrap();
    assert_eq!((summary.records(), summary.unclassified()), (1, 0));
    let (_, summary) = run_by(&plan(), "=a&x&note=1").unwrap();
    assert_eq!((summary.unclassified(), summary.dropped()), (2, 1));
    assert_eq!(run_by(&plan(), "").unwrap().1.records(), 0);
}

#[test]
fn masked_values_are_decoded_and_encoded() {
    check("phone=1380013%38000", "phone=138****8000");
    check("phone=%2B86+138+0013+8000", "phone=%2B86+138+****+8000");
    check("mail=li%40example.cn&mail=ab+c%40example.cn", "mail=l***%40example.cn&mail=***");
    check("phone=tel%3A13800138000&phone=%31%33;phone=13800138000", "phone=***&phone=***");
    // What is no UTF-8 once it is decoded is masked fully.
    check("phone=%FF&phone=13800138000%C0&姓名=%D5%C5", "phone=***&phone=***&姓名=***");
    let plan = plan_of(&form_shape(), "name:null note:first phone:full size:drop");
    let body = "name=13800138000&note=%26%3D%25b&note=+abc&phone=%00&size=1&phone=";
    let expected = "name=&note=%26%3D***&note=+a***&phone=***&phone=";
    assert_eq!(run_by(&plan, body).unwrap().0, expected);
}

#[test]
fn what_is_not_of_its_type_does_not_leave() {
    let (out, summary) =
        run_by(&plan(), "size=12.5e%2B3&size=a&size=%31&size=+1&size=%FF&ok=true&ok=13800138000&box=x&box=")
            .unwrap();
    assert_eq!(out, "size=12.5e%2B3&size=&size=%31&size=&size=&ok=true&ok=&box=&box=");
    assert_eq!(summary.masked(), 5);
}

#[test]
fn names_fold_where_the_catalogue_says_so() {
    let plan = plan_of(&BodyShape { names: NameMatching::Fold, ..form_shape() }, RELEASED);
    let (out, _) = run_by(&plan, "Phone=13800138000&%EF%BC%B0HONE=13800138000&phones=1").unwrap();
    assert_eq!(out, "Phone=138****8000&%EF%BC%B0HONE=138****8000");
}

#[test]
fn nested_json_is_masked_inside() {
    let mut fields = catalogue("name:string extra:object extra.phone:string extra.note:string");
    fields[1].nested = true;
    let plan = compile(&form_shape(), &released("name extra.phone:mobile"), &fields).unwrap();
    let body = "extra=%7B%22phone%22%3A%2213800138000%22,%22note%22:1%7D&extra=13800138000";
    assert_eq!(run_by(&plan, body).unwrap().0, "extra=%7B%22phone%22%3A%22138****8000%22%7D&extra=null");
}

#[test]
fn what_leaves_clear_is_searched_where_the_resource_asks_for_it() {
    let fields = catalogue("name:string:name remark:string count:number");
    let plan = |egress| compile_searching(&form_shape(), "name:name remark count", &fields, egress);
    let body = "name=%E5%BC%A0%E4%B8%89&remark=tel+138%30013%38000&count=13800138001&remark=%FF&remark=a+b";
    let expected = "name=%E5%BC%A0**&remark=tel+138%30013%38000&count=13800138001&remark=&remark=a+b";
    let (out, summary) = run_by(&plan(Egress::Report), body).unwrap();
    assert_eq!(out, expected);
    let found: Vec<_> = summary.findings().map(|found| (found.path.as_str(), found.count)).collect();
    assert_eq!(found, [("count", 1), ("remark", 1)]);
    // What is no text cannot be searched.
    assert_eq!(summary.masked(), 2);
    assert_eq!(run_by(&plan(Egress::Block), body).map(|_| ()).map_err(|error| error.reason()), Err("egress"));
    assert_eq!(run_by(&plan(Egress::Block), "remark=a&count=1").unwrap().0, "remark=a&count=1");
}

#[test]
fn a_body_that_may_hold_no_more_is_refused_for_more() {
    let plan = compile_refusing(&form_shape(), "name phone:mobile size", &catalogue(CATALOGUE));
    for body in ["name=a+b&ph%6Fne=13800138000&size=1.5&name", "size=", ""] {
        assert_eq!(run_by(&plan, body).unwrap().0, body);
    }
    for (body, reason) in
        [("name=a&note=b", "outside"), ("x", "outside"), ("name=a&size=b&note=c", "wrong-type")]
    {
        let error = run_by(&plan, body).map(|(out, _)| out).unwrap_err();
        assert_eq!((error.reason(), error.place().unwrap().record()), (reason, Some(1)), "{body}");
    }
}

/// [`run_by`] walks it in pieces of every length: where a piece ends makes no difference.
#[test]
fn what_parts_pairs_for_some_is_refused_in_requests() {
    let plan_of_requests = || Arc::new(Arc::into_inner(plan()).unwrap().of_requests());
    for (body, at) in [("name=a;phone=1", 6), ("name=a&x;y=1", 8), (";", 0), ("name=%41;", 8)] {
        let refused = run_by(&plan_of_requests(), body).map(|(out, _)| out);
        assert_eq!(refused, Err(MaskError::Semicolon { at }), "{body}");
        assert!(run_by(&plan(), body).is_ok(), "{body}");
    }
    assert!(run_by(&plan_of_requests(), "name=a%3Bphone=1").is_ok());
}

#[test]
fn hostile_bodies_are_refused() {
    for (body, reason, at) in [
        ("phone=%", "truncated", 7),
        ("phone=%4", "truncated", 8),
        ("phone%4", "truncated", 7),
        ("phone=%zz", "escape", 7),
        ("phone=%4&name=a", "escape", 8),
        ("x=%u0031", "escape", 3),
        ("ph%6=1", "escape", 4),
        ("x=%%31", "escape", 3),
        ("name=a\nphone=13800138000", "control-character", 6),
        ("name=a\r\n", "control-character", 6),
        ("na\0me=a", "control-character", 2),
        ("name=\t", "control-character", 5),
    ] {
        for plan in [plan(), plan_of(&form_shape(), ""), Arc::new(Plan::identity_of(BodyFormat::Form))] {
            let error = run_by(&plan, body).map(|(out, _)| out).unwrap_err();
            let place = if let MaskError::Escape { at }
            | MaskError::Control { at }
            | MaskError::Truncated { at } = error
            {
                Some(at)
            } else {
                None
            };
            assert_eq!((error.reason(), place), (reason, Some(at)), "{body:?}: {error}");
        }
    }
    assert_eq!(run_by(&plan(), "\u{feff}name=a").map(|_| ()), Err(MaskError::ByteOrderMark));
    assert_eq!(run_all(&plan(), Bounds::default(), b"name=\xFF").unwrap_err().reason(), "utf8");
}

#[test]
fn bounds() {
    let tight = Bounds { key: 5, value: 13, ..Bounds::default() };
    let run = |body: &str| run_all(&plan(), tight, body.as_bytes()).map(|(out, _)| out);
    assert_eq!(run("phone=13800138000&x=1").as_deref(), Ok("phone=138****8000"));
    assert_eq!(run("a=1&phones=1"), Err(MaskError::KeyTooLong { at: 9, max: 5 }));
    assert_eq!(run("a=1&phones"), Err(MaskError::KeyTooLong { at: 9, max: 5 }));
    assert_eq!(run("a=1&phone%zz"), Err(MaskError::KeyTooLong { at: 9, max: 5 }));
    assert_eq!(run("a=1&phon%zz"), Err(MaskError::Escape { at: 9 }));
    assert_eq!(run("a=1&phone\n"), Err(MaskError::Control { at: 9 }));
    assert_eq!(run("a=1&phones\n"), Err(MaskError::KeyTooLong { at: 9, max: 5 }));
    assert_eq!(run("phone=13800138000xxx&size=12345678901234").as_deref(), Ok("phone=***&size="));
    assert_eq!(
        run("name=a value of any length, of which none is held").as_deref(),
        Ok("name=a value of any length, of which none is held")
    );
    let none = Bounds { records: Some(0), ..Bounds::default() };
    assert_eq!(run_all(&plan(), none, b"a=1").map(|_| ()), Err(MaskError::TooManyRecords { max: 0 }));
}

#[test]
fn memory_does_not_grow_with_the_body() {
    use super::super::Transform;
    let mut transform = Transform::new(plan(), Bounds::default());
    let mut out = Vec::new();
    for name in ["name=", "&phone=", "&note=", "&size=", "&x="] {
        transform.push(name.as_bytes(), &mut out).unwrap();
        for _ in 0..64 {
            transform.push(&[b'7'; 64 << 10], &mut out).unwrap();
            out.clear();
            assert!(transform.footprint() < 256 << 10);
        }
    }
    transform.finish(&mut out).unwrap();
}

// === against an oracle ===

const NAMES: [&str; 17] = [
    "name",
    "phone",
    "note",
    "size",
    "ok",
    "mail",
    "addr.city",
    "addr%2eline",
    "box",
    "%E5%A7%93%E5%90%8D",
    "姓名",
    "born",
    "x",
    "",
    "p%68one",
    "phone[]",
    "name+",
];

const VALUES: [&str; 22] = [
    "",
    "a",
    "13800138000",
    "1380013%38000",
    "%2B86+138+0013+8000",
    "CANARY",
    "CANARY%20+%26",
    "%E5%BC%A0%E4%B8%89",
    "张三",
    "12.50",
    "-1e5",
    "012",
    "true",
    "0",
    "2",
    "1990-03-07",
    "a%40b.cn",
    "%FF",
    "a=b",
    ";phone=1",
    "%00",
    "😀",
];

fn body() -> impl Strategy<Value = String> {
    let pair = (select(NAMES.to_vec()), proptest::option::weighted(0.9, select(VALUES.to_vec())));
    proptest::collection::vec(pair, 0..9).prop_map(|pairs| {
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}")))
            .collect();
        pairs.join("&")
    })
}

fn release() -> impl Strategy<Value = Vec<ReleasedField>> {
    let how = prop_oneof![
        3 => Just(None),
        3 => Just(Some("clear")),
        4 => select(vec!["mobile", "name", "full", "null", "drop", "band", "first", "date-year", "email"]).prop_map(Some),
    ];
    proptest::collection::vec(how, 11).prop_map(|all| {
        let fields = catalogue(CATALOGUE);
        let text: Vec<String> = fields
            .iter()
            .zip(all)
            .filter_map(|(field, how)| match how? {
                "clear" => Some(field.path.to_string()),
                masker => Some(format!("{}:{masker}", field.path)),
            })
            .collect();
        released(&text.join(" "))
    })
}

/// Pairs as section 5.1 reads them, the values as bytes.
fn pairs_of(body: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decode =
        |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).collect::<Vec<u8>>();
    let pairs = body.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(n, v)| (decode(n), decode(v)))
        .collect()
}

fn expected(body: &str, fields: &[ReleasedField]) -> Vec<(Vec<u8>, Vec<u8>)> {
    use crate::catalog::FieldType;
    let (catalogue, maskers) = (catalogue(CATALOGUE), maskers());
    let is_above = |name: &[u8]| {
        let name = String::from_utf8_lossy(name);
        let drops = |how: &Treatment| matches!(how, Treatment::Masked(masker) if masker.as_str() == "drop");
        fields.iter().any(|released| {
            released.path.as_str().starts_with(&format!("{name}.")) && !drops(&released.treatment)
        })
    };
    let becomes = |(name, value): (Vec<u8>, Vec<u8>)| {
        if is_above(&name) {
            return Some((name, Vec::new()));
        }
        let field = catalogue.iter().find(|field| field.path.as_str().as_bytes() == name)?;
        let treatment = &fields.iter().find(|released| released.path == field.path)?.treatment;
        let text = std::str::from_utf8(&value);
        let left = match (treatment, field.kind) {
            (Treatment::Masked(masker), _) if masker.as_str() == "drop" => return None,
            _ if value.is_empty() => value,
            (_, FieldType::Object) => Vec::new(),
            (Treatment::Masked(masker), _) => {
                let mut out = Vec::new();
                let masker = maskers.get(masker).unwrap();
                match text {
                    Ok(text) => masker.apply(Value::Text(text), None, &mut out),
                    // Nobody recognises it.
                    Err(_) => masker.apply(Value::Text("\u{0}"), None, &mut out),
                }
                serde_json::from_slice::<Option<String>>(&out).unwrap().unwrap_or_default().into_bytes()
            }
            (Treatment::Clear, FieldType::Number) if !is_number(text.unwrap_or("")) => Vec::new(),
            (Treatment::Clear, FieldType::Boolean)
                if !["true", "false", "0", "1"].contains(&text.unwrap_or("")) =>
            {
                Vec::new()
            }
            (Treatment::Clear, _) => value,
        };
        Some((name, left))
    };
    pairs_of(body).into_iter().filter_map(becomes).collect()
}

/// Whether serde_json reads a number in `text`, and nothing beside it.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && text.trim() == text
        && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

fn at_least(cases: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(cases), ..config }
}

proptest! {
    #![proptest_config(at_least(700))]

    #[test]
    fn bodies_become_what_the_docs_say(body in body(), fields in release()) {
        let plan = compile(&form_shape(), &fields, &catalogue(CATALOGUE)).unwrap();
        let (out, _) = run_pieces(&plan, Bounds::default(), [body.as_bytes()]).unwrap();
        let out = String::from_utf8(out).unwrap();
        prop_assert_eq!(pairs_of(&out), expected(&body, &fields), "{} became {}", body, out);
        // What leaves clear is written as it was.
        for pair in out.split('&').filter(|pair| pair.starts_with("name=")) {
            let is_clear = fields.iter().any(|field| field.path.as_str() == "name" && field.treatment == Treatment::Clear);
            prop_assert!(!is_clear || body.split('&').any(|other| other == pair));
        }
    }

    #[test]
    fn bodies_do_not_depend_on_any_cut(body in body(), fields in release()) {
        let plan = compile(&form_shape(), &fields, &catalogue(CATALOGUE)).unwrap();
        let tight = Bounds { key: 7, value: 8, ..Bounds::default() };
        for bounds in [Bounds::default(), tight] {
            // A refusal is as good as any other result: all cuts must come to the same.
            if let Ok((_, summary)) = run_all(&plan, bounds, body.as_bytes()) {
                prop_assert_eq!(summary.bytes_in, u64::try_from(body.len()).unwrap());
            }
        }
    }

    #[test]
    fn mutated_bodies_do_not_depend_on_any_cut(
        body in body(), fields in release(), mutations in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        const LIKELY: &[u8] = b"&=%+4\n;\x00\xe5\x80";
        let mut body = body.into_bytes();
        for (at, byte) in mutations {
            body.insert(at % (body.len() + 1), LIKELY[usize::from(byte) % LIKELY.len()]);
        }
        let plan = compile(&form_shape(), &fields, &catalogue(CATALOGUE)).unwrap();
        let identity = Arc::new(Plan::identity_of(BodyFormat::Form));
        let whole = run_all(&plan, Bounds::default(), &body).map(|(out, _)| out);
        let bare = run_all(&identity, Bounds::default(), &body).map(|(out, _)| out);
        prop_assert_eq!(whole.as_ref().err(), bare.as_ref().err());
        if let Ok(bare) = bare {
            prop_assert_eq!(bare.as_bytes(), &*body);
            prop_assert_eq!(pairs_of(&whole.unwrap()), expected(&bare, &fields));
        }
    }

    #[test]
    fn nothing_planted_leaves_but_clear(body in body(), fields in release()) {
        let fields: Vec<_> = fields
            .into_iter()
            .filter(|field| matches!(&field.treatment, Treatment::Masked(masker) if masker.as_str() != "first"))
            .collect();
        let plan = compile(&form_shape(), &fields, &catalogue(CATALOGUE)).unwrap();
        let (out, _) = run_pieces(&plan, Bounds::default(), [body.as_bytes()]).unwrap();
        let out = String::from_utf8(out).unwrap();
        prop_assert!(!out.contains("CANARY") && !out.contains(SECRET), "{} became {}", body, out);
    }
}
