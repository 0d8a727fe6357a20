//! The engine against serde_json (what is JSON) and the reference (what becomes of it), over
//! generated bodies, mutated bodies and all kinds of pieces.

use proptest::prelude::*;
use proptest::sample::select;

use super::reference::Reference;
use super::*;

const CATALOGUE: &str = "name:string:name phone:string:mobile size:number born:date:date-year ok:boolean \
    addr.city:string addr.at.lon:number addr.at.lat:number addr.line:string:address any:object \
    box:object box.in:string:full box.deep:object box.deep.x:string a_rather_long_member_name_1:string \
    a_rather_long_member_name_2:string 字段:string \
    grp:object grp.sec:object:full grp.sec.city:string grp.sec.phone:string:mobile grp.any:object:null grp.size:number";

const NAMES: [&str; 38] = [
    "grp",
    "sec",
    "name",
    "phone",
    "size",
    "born",
    "ok",
    "addr",
    "city",
    "at",
    "lon",
    "lat",
    "line",
    "any",
    "box",
    "in",
    "deep",
    "x",
    "a_rather_long_member_name_1",
    "a_rather_long_member_name_2",
    "a_rather_long_member_name_3",
    "字段",
    "code",
    "data",
    "rows",
    "total",
    "Name",
    "unknown",
    r"\u006eame",
    r"ph\u006Fne",
    r"\u5b57段",
    "",
    r"data\u0000",
    r"\ud83d\ude00",
    "PHONE",
    "ｃｉｔｙ",
    "Box",
    "daTa",
];

const SCALARS: [&str; 46] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "1.10",
    "1E5",
    "12.5e-3",
    "99",
    "1e+2",
    "13800138000",
    "12345678901234567890123",
    "\"\"",
    "\"a\"",
    "\"13800138000\"",
    "\"+86 138 0013 8000\"",
    "\"张三\"",
    "\"欧阳修\"",
    r#""\u5f20\u4e09""#,
    r#""1\u0033800138000""#,
    "\"1990-03-07\"",
    "\"19900307\"",
    "19900307",
    "\"安徽省黄山市屯溪区前园北路1号\"",
    "\"CANARY\"",
    r#""CANARY\n\"\\\/""#,
    r#""\ud83d\ude00CANARY""#,
    "\"😀\"",
    "\"a longer text without anything to stop at in it\"",
    r#""ends in a backslash\\""#,
    "\"{}\"",
    "\"[\\\"\"",
    "\"\u{7f}\"",
    "\"\u{2028}\"",
    "\"\\u0000\"",
    "\"null\"",
    "7",
    "\"男\"",
    r#""{\"in\":\"CANARY\",\"deep\":{\"x\":\"\\\"\u4e2d\"}, \"DEEP\":\"{\\\"x\\\":\\\"y\\\"}\"}""#,
    r#""[{\"city\":\"x\",\"phone\":\"13800138000\"} , 1,\n\tnull]""#,
    r#""{\"deep\":{\"x\":\"CANARY\"}""#,
    r#""{\"sec\":\"{\\\"city\\\":\\\"CANARY\\\"}\",\"any\":{},\"size\":1.0}""#,
    r#""{\u0022size\u0022:[12,\"x\"]}""#,
    r#"" 1 ""#,
];

fn spaces() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 1 => select(vec![" ", "\n", "\t", "\r\n", "  ", "\n          "])]
}

fn value() -> impl Strategy<Value = String> {
    let scalar = select(SCALARS.to_vec()).prop_map(str::to_owned);
    scalar.prop_recursive(6, 60, 8, |inner| {
        let element = (spaces(), inner.clone(), spaces()).prop_map(|(a, v, b)| format!("{a}{v}{b}"));
        let member = (spaces(), select(NAMES.to_vec()), spaces(), spaces(), inner, spaces())
            .prop_map(|(a, k, b, c, v, d)| format!("{a}\"{k}\"{b}:{c}{v}{d}"));
        prop_oneof![
            1 => (spaces(), proptest::collection::vec(element, 0..4))
                .prop_map(|(space, all)| if all.is_empty() { format!("[{space}]") } else { format!("[{}]", all.join(",")) }),
            3 => (spaces(), proptest::collection::vec(member, 0..8))
                .prop_map(|(space, all)| if all.is_empty() { format!("{{{space}}}") } else { format!("{{{}}}", all.join(",")) }),
        ]
    })
}

/// A body with records where most shapes expect them.
fn body() -> impl Strategy<Value = String> {
    (spaces(), value(), spaces(), any::<bool>()).prop_map(|(a, v, b, wrapped)| {
        if wrapped {
            format!("{a}{{\"code\":0,\"data\":{v}, \"rows\" :{{\"data\":[{v},{v}],\"x\":1}}}}{b}")
        } else {
            format!("{a}{v}{b}")
        }
    })
}

fn a_shape() -> impl Strategy<Value = BodyShape> {
    select(vec![
        shape(Some("data"), "code"),
        shape(Some("data"), ""),
        shape(Some("rows.data"), "code rows.total"),
        shape(None, ""),
        shape(None, "code box.total"),
    ])
    .prop_flat_map(|shape| {
        prop_oneof![
            2 => Just(shape.clone()),
            1 => Just(BodyShape { names: NameMatching::Fold, ..shape }),
        ]
    })
}

/// The catalogue, with some of its objects as documents in texts.
fn a_catalogue() -> impl Strategy<Value = Vec<Field>> {
    proptest::sample::subsequence(vec!["box", "box.deep", "grp", "grp.sec"], 0..=4).prop_map(|nested| {
        let mut catalogue = catalogue(CATALOGUE);
        for field in &mut catalogue {
            field.nested = nested.contains(&field.path.as_str());
        }
        catalogue
    })
}

fn release() -> impl Strategy<Value = Vec<ReleasedField>> {
    let paths: Vec<FieldPath> = catalogue(CATALOGUE)
        .into_iter()
        .map(|field| field.path)
        .chain([path("addr"), path("addr.at")])
        .collect();
    let count = paths.len();
    let how = prop_oneof![
        3 => Just(None),
        3 => Just(Some(Treatment::Clear)),
        3 => select(vec!["mobile", "name", "full", "null", "drop", "band", "first", "date-year", "address"])
            .prop_map(|name| Some(Treatment::Masked(MaskerName::parse(name).unwrap()))),
    ];
    proptest::collection::vec(how, count).prop_map(move |all| {
        paths
            .iter()
            .zip(all)
            .filter_map(|(path, how)| Some(ReleasedField { path: path.clone(), treatment: how? }))
            .collect()
    })
}

fn pieces<'b>(body: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).chain([0, body.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| &body[ends[0]..ends[1]]).collect()
}

/// What serde_json takes for JSON. A number that its floats cannot hold is a number all the same.
fn is_json(body: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(_) => Some(true),
        Err(error) if error.to_string().contains("out of range") => None,
        Err(_) => Some(false),
    }
}

/// `PROPTEST_CASES` can ask for more.
fn at_least(cases: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(cases), ..config }
}

proptest! {
    #![proptest_config(at_least(1_500))]

    #[test]
    fn bodies_become_what_the_reference_says(
        body in body(), shape in a_shape(), catalogue in a_catalogue(), fields in release(),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let maskers = maskers();
        let plan = compile(&shape, &fields, &catalogue).unwrap();
        let reference = Reference { shape: &shape, catalogue: &catalogue, fields: &fields, maskers: &maskers };
        let expected = reference.transform(&body);
        let (out, _) = run_pieces(&plan, Bounds::default(), pieces(body.as_bytes(), &cuts)).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), &*expected);
        let (out, _) = run_pieces(&plan, Bounds::default(), [body.as_bytes()]).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), &*expected);
        prop_assert_eq!(is_json(expected.as_bytes()), Some(true));
    }

    #[test]
    fn mutated_bodies_are_json_for_both_or_for_neither(
        body in body(), fields in release(), shape in a_shape(), catalogue in a_catalogue(),
        mutations in proptest::collection::vec((any::<usize>(), any::<u8>(), 0..3_u8), 1..4),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        const LIKELY: &[u8] = b"\"\\{}[]:, \n0e-.tu\x00\xe5\xed\x80\xff";
        let mut body = body.into_bytes();
        for (at, byte, how) in mutations {
            let at = at % (body.len() + 1);
            let byte = if byte < 128 { LIKELY[usize::from(byte) % LIKELY.len()] } else { byte };
            match how {
                0 => body.insert(at, byte),
                1 if at < body.len() => body[at] = byte,
                _ if at < body.len() => { body.remove(at); }
                _ => {}
            }
        }
        let plan = compile(&shape, &fields, &catalogue).unwrap();
        let whole = run_pieces(&plan, Bounds::default(), [&*body]).map(|(out, _)| out);
        let verdict = is_json(&body);
        if let Some(is_json) = verdict {
            prop_assert_eq!(whole.is_ok(), is_json, "{}", String::from_utf8_lossy(&body));
        }
        if let Ok(out) = &whole && verdict.is_some() {
            let maskers = maskers();
            let reference = Reference { shape: &shape, catalogue: &catalogue, fields: &fields, maskers: &maskers };
            if let Ok(text) = std::str::from_utf8(&body) {
                prop_assert_eq!(String::from_utf8_lossy(out), reference.transform(text));
            }
        }
        let cut = run_pieces(&plan, Bounds::default(), pieces(&body, &cuts)).map(|(out, _)| out);
        prop_assert_eq!(&cut, &whole);
        let bytes = run_pieces(&plan, Bounds::default(), body.chunks(1)).map(|(out, _)| out);
        prop_assert_eq!(&bytes, &whole);
    }

    #[test]
    fn small_bodies_do_not_depend_on_any_cut(
        body in value(), fields in release(), shape in a_shape(), catalogue in a_catalogue(),
    ) {
        let plan = compile(&shape, &fields, &catalogue).unwrap();
        let tight = Bounds { depth: 4, key: 12, value: 8, space: 3, records: Some(3) };
        for bounds in [Bounds::default(), tight] {
            let body = &body.as_bytes()[..body.len().min(400)];
            // A refusal is as good as any other result: all cuts must come to the same.
            if let Ok((_, summary)) = run_all(&plan, bounds, body) {
                prop_assert_eq!(summary.bytes_in, u64::try_from(body.len()).unwrap());
            }
        }
    }

    #[test]
    fn the_identity_changes_nothing(body in body(), cuts in proptest::collection::vec(any::<usize>(), 0..6)) {
        let plan = Arc::new(Plan::identity());
        let (out, _) = run_pieces(&plan, Bounds::default(), pieces(body.as_bytes(), &cuts)).unwrap();
        prop_assert_eq!(out, body.into_bytes());
    }

    /// A text that is planted everywhere leaves through clear text fields and envelope members only.
    #[test]
    fn nothing_planted_leaves_but_where_it_may(body in body(), fields in release()) {
        let fields: Vec<_> = fields.into_iter().filter(|field| {
            !matches!(&field.treatment, Treatment::Masked(name) if name.as_str() == "first")
        }).collect();
        let clear = |path: &str| fields.iter().any(|field| path == field.path.as_str() && field.treatment == Treatment::Clear);
        let safe = fields.iter().all(|field| field.treatment != Treatment::Clear);
        let plan = compile(&shape(Some("data"), ""), &fields, &catalogue(CATALOGUE)).unwrap();
        let (out, _) = run_pieces(&plan, Bounds::default(), [body.as_bytes()]).unwrap();
        let out = String::from_utf8(out).unwrap();
        if safe || !["name", "phone", "born", "addr", "addr.city", "addr.line", "box", "box.in", "box.deep",
            "box.deep.x", "grp", "grp.sec", "grp.sec.city", "grp.sec.phone", "a_rather_long_member_name_1", "a_rather_long_member_name_2", "字段"].into_iter().any(clear) {
            prop_assert!(!out.contains("CANARY"), "{}", out);
        }
    }
}

/// Texts of many lengths, most of them plain.
fn long_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => (select(vec!["a", "字", " ", "€,:{}[]"]), 0..900_usize).prop_map(|(text, count)| text.repeat(count)),
        1 => select(vec![r"\n", r"\\", r#"\""#, r"\u00e9\u5b57", r"\ud83d\ude00", "CANARY"]).prop_map(str::to_owned),
    ];
    proptest::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

/// Records as platforms write them: the same members in the same order, but for some of them.
fn rows() -> impl Strategy<Value = String> {
    let member = (
        select(NAMES.to_vec()),
        prop_oneof![2 => select(SCALARS.to_vec()).prop_map(str::to_owned), 1 => long_text()],
    );
    let rows = proptest::collection::vec(proptest::collection::vec(member, 0..7), 1..4);
    let style =
        select(vec![("", "", ""), (" ", " ", ""), ("\n      ", " ", "\n    "), ("\r\n\t", "\t", "\r\n")]);
    (rows, style, 1..12_usize).prop_map(|(rows, (before, colon, after), times)| {
        let row = |members: Vec<(&str, String)>| {
            let members: Vec<String> = members
                .into_iter()
                .map(|(name, value)| format!("{before}\"{name}\":{colon}{value}"))
                .collect();
            format!("{{{}{after}}}", members.join(","))
        };
        let rows: Vec<String> = rows.into_iter().map(row).collect();
        format!("{{\"code\":0,\"data\":[{}]}}", vec![rows.join(&format!(",{after}")); times].join(","))
    })
}

proptest! {
    #![proptest_config(at_least(300))]

    /// Bodies that are larger than what the scanner looks at together.
    #[test]
    fn long_bodies_become_what_the_reference_says(
        body in rows(), shape in a_shape(), catalogue in a_catalogue(), fields in release(),
        cuts in proptest::collection::vec(any::<usize>(), 0..6), broken in any::<usize>(),
    ) {
        let maskers = maskers();
        let plan = compile(&shape, &fields, &catalogue).unwrap();
        let reference = Reference { shape: &shape, catalogue: &catalogue, fields: &fields, maskers: &maskers };
        let expected = reference.transform(&body);
        let (out, _) = run_pieces(&plan, Bounds::default(), [body.as_bytes()]).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), &*expected);
        let (out, _) = run_pieces(&plan, Bounds::default(), pieces(body.as_bytes(), &cuts)).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), &*expected);
        let mut broken_body = body.clone().into_bytes();
        let at = broken % broken_body.len();
        broken_body[at] = b"\"\\{}[],:\n\x01"[broken % 10];
        let whole = run_pieces(&plan, Bounds::default(), [&*broken_body]).map(|(out, _)| out);
        if let Some(is_json) = is_json(&broken_body) {
            prop_assert_eq!(whole.is_ok(), is_json);
        }
        let cut = run_pieces(&plan, Bounds::default(), pieces(&broken_body, &cuts)).map(|(out, _)| out);
        prop_assert_eq!(cut, whole);
        let (out, _) = run_pieces(&Arc::new(Plan::identity()), Bounds::default(), [body.as_bytes()]).unwrap();
        prop_assert_eq!(out, body.into_bytes());
    }
}
