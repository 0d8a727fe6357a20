use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn reader(paths: &[&str]) -> BodyParameters {
    let paths: Vec<BodyPath> = paths.iter().map(|path| BodyPath::parse(path).unwrap()).collect();
    BodyParameters::new(&paths.iter().collect::<Vec<_>>(), ["id_card"])
}

/// The values of `query.area` and `year`.
fn read(body: &str) -> Result<[Vec<String>; 2], BodyFault> {
    reader(&["query.area", "year"]).read(body.as_bytes()).map(|values| values.try_into().unwrap())
}

#[test]
fn values_are_read_as_every_reader_finds_them() {
    for (body, area, year) in [
        (r#"{"query":{"area":"3410"},"year":2024}"#, &["3410"][..], &["2024"][..]),
        (r#" { "year" : true , "query" : { "x" : [{}] , "area" : "黄山" } } "#, &["黄山"], &["true"]),
        (r#"{"query":{"\u0061rea":"34\u0031\u0030"}}"#, &["3410"], &[]),
        (r#"{"query":{"area":["3410","3101"]},"year":[false]}"#, &["3410", "3101"], &["false"]),
        // Not plain, so absent.
        (r#"{"query":{"area":null},"year":{}}"#, &[], &[]),
        (r#"{"query":{"area":["3410",null]},"year":["2024",["2025"]]}"#, &[], &[]),
        (r#"{"query":{"area":[{"area":"3410"}]},"year":[]}"#, &[], &[]),
        (r#"{"query":[{"area":"3410"}],"year":[2024.0]}"#, &[], &[]),
        (r#"{"query":"area","area":"3410"}"#, &[], &[]),
        (r#"[{"query":{"area":"3410"},"year":2024}]"#, &[], &[]),
        (r#""year""#, &[], &[]),
        ("null", &[], &[]),
        ("{}", &[], &[]),
        // Members of other objects are their own affair.
        (
            r#"{"page":{"area":1,"Area":2,"area":3,"year":4},"query":{"year":1,"area":"3410"}}"#,
            &["3410"],
            &[],
        ),
    ] {
        assert_eq!(
            read(body),
            Ok([area, year].map(|values| values.iter().map(ToString::to_string).collect())),
            "{body}"
        );
    }
}

#[test]
fn only_exact_whole_numbers_are_values() {
    for (number, expected) in [
        ("0", Some("0")),
        ("-7", Some("-7")),
        ("9007199254740991", Some("9007199254740991")),
        ("-9007199254740991", Some("-9007199254740991")),
        ("9007199254740992", None),
        ("-9007199254740992", None),
        ("18446744073709551616", None),
        ("-0", None),
        ("1.0", None),
        ("3.41e3", None),
        ("3410E0", None),
    ] {
        let values = read(&format!(r#"{{"year":{number}}}"#)).unwrap();
        assert_eq!(values[1], expected.into_iter().collect::<Vec<_>>(), "{number}");
    }
}

#[test]
fn bodies_with_two_readings_have_none() {
    let doubled = |path: &str| BodyFault::Doubled { path: path.to_owned() };
    let alike = |path: &str| BodyFault::Alike { path: path.to_owned() };
    let control = |path: &str| BodyFault::ControlInName { path: path.to_owned() };
    for (body, fault) in [
        (r#"{"year":1,"year":1}"#, doubled("year")),
        (r#"{"year":1,"\u0079ear":2}"#, doubled("year")),
        (r#"{"query":{"area":"3410"},"query":{}}"#, doubled("query")),
        (r#"{"query":{"area":"3410","area":null}}"#, doubled("query.area")),
        (r#"{"year":1,"Year":2}"#, alike("year")),
        (r#"{"YEAR":2}"#, alike("year")),
        (r#"{"_year ":2}"#, alike("year")),
        (r#"{"year\u0000":2}"#, control("query")),
        (r#"{"query":{"\u0000area":2}}"#, control("query.area")),
        (r#"{"year[]":2}"#, alike("year")),
        (r#"{"year[0][x]":2}"#, alike("year")),
        (r#"{"y\u200bear":2}"#, alike("year")),
        (r#"{"query":{"ar-ea":"3410"}}"#, alike("query.area")),
        (r#"{"query.area":"3410"}"#, alike("query.area")),
        (r#"{"queryArea":"3410"}"#, alike("query.area")),
        (r#"{"query[area]":"3410"}"#, alike("query")),
        (r#"{"Query":{"area":"3410"}}"#, alike("query")),
        (r#"{"id_card":"1"}"#, alike("id_card")),
        (r#"{"idCard":"1"}"#, alike("id_card")),
        // A program whose texts end at NUL finds `year`, and finds it first.
        (r#"{"year\u0000x":2025,"year":2024}"#, control("query")),
        (r#"{"year":"20\n24"}"#, BodyFault::Control { path: "year".to_owned() }),
        (r#"{"year":["2024","\u0000"]}"#, BodyFault::Control { path: "year".to_owned() }),
        ("", BodyFault::Syntax),
        ("{", BodyFault::Syntax),
        (r#"{"year":2024}x"#, BodyFault::Syntax),
        (r#"{"year":2024}{}"#, BodyFault::Syntax),
        (r#"{"year":2024,}"#, BodyFault::Syntax),
        (r#"{"year":02024}"#, BodyFault::Syntax),
        (r#"{"year":NaN}"#, BodyFault::Syntax),
        (r#"{'year':2024}"#, BodyFault::Syntax),
        (r#"{"year":"\ud800"}"#, BodyFault::Syntax),
        (r#"{"year":2024/* so */}"#, BodyFault::Syntax),
        ("\u{feff}{}", BodyFault::Syntax),
    ] {
        assert_eq!(read(body), Err(fault), "{body}");
    }
    // A letter that some programs take for another when they fold case.
    let reader = reader(&["district"]);
    for name in ["di\u{17f}trict", "DISTRICT", "d\u{131}strict", "d\u{130}strict", "di\u{307}strict"] {
        let read = reader.read(format!(r#"{{"{name}":1}}"#).as_bytes());
        assert_eq!(read, Err(alike("district")), "{name}");
    }
    let read = reader.read(b"{\"x\":\"\xff\"}");
    assert_eq!(read, Err(BodyFault::Syntax), "what is passed over must be text too");
}

#[test]
fn work_is_bounded() {
    let deep = |depth: usize| format!(r#"{{"x":{}{},"year":1}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read(&deep(30_000)).unwrap()[1], ["1"]);
    let list = |values: usize| format!(r#"{{"year":[{}]}}"#, vec!["1"; values].join(","));
    assert_eq!(read(&list(MAX_VALUES)).unwrap()[1].len(), MAX_VALUES);
    assert_eq!(read(&list(MAX_VALUES + 1)), Err(BodyFault::TooManyValues { path: "year".to_owned() }));
}

/// Wherever nobody could say later whose data was meant, nothing is read.
#[test]
fn what_names_a_subject_is_plain_or_not_there() {
    let path = |text| BodyPath::parse(text).unwrap();
    let paths = [path("person.number"), path("year")];
    let reader = BodyParameters::new(&[&paths[0], &paths[1]], []).insisting(&paths[0]);
    let obscure = Err(BodyFault::Obscure { path: "person.number".to_owned() });
    for (body, expected) in [
        (r#"{"person":{"number":"1"}}"#, Ok(&["1"][..])),
        (r#"{"person":{"number":["1","2"]},"year":{}}"#, Ok(&["1", "2"])),
        (r#"{"person":{"number":1}}"#, Ok(&["1"])),
        (r#"{"person":{"number":null}}"#, Ok(&[])),
        (r#"{"person":null,"year":2e3}"#, Ok(&[])),
        (r#"{"person":"1"}"#, Ok(&[])),
        (r#"{"year":[null]}"#, Ok(&[])),
        (r#"{"person":{"number":110105194912310021}}"#, Err(())),
        (r#"{"person":{"number":1.0}}"#, Err(())),
        (r#"{"person":{"number":{}}}"#, Err(())),
        (r#"{"person":{"number":[["1"]]}}"#, Err(())),
        (r#"{"person":{"number":["1",null]}}"#, Err(())),
        (r#"{"person":{"number":["1",{"number":"2"}]}}"#, Err(())),
        (r#"{"person":[{"number":"1"}]}"#, Err(())),
        (r#"[{"person":{"number":"1"}}]"#, Err(())),
    ] {
        let read = reader.read(body.as_bytes()).map(|mut values| values.remove(0));
        match expected {
            Ok(values) => assert_eq!(read, Ok(values.iter().map(ToString::to_string).collect()), "{body}"),
            Err(()) => assert_eq!(read, obscure, "{body}"),
        }
    }
}

#[test]
fn paths_are_read_strictly() {
    for text in ["area", "query.area", "a.b.c.d.e.f.g.h", "查询.区划", "area-code", "_a1"] {
        assert_eq!(BodyPath::parse(text).unwrap().to_string(), text);
    }
    for text in ["", ".", "a.", ".a", "a..b", "a b", "a[0]", "$.a", "_", "a.b.c.d.e.f.g.h.i", "a\n", "a:b"] {
        assert!(BodyPath::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn names_of_a_query_may_be_like_a_path() {
    let path = BodyPath::parse("query.area").unwrap();
    for name in ["area", "Area", "area[]", "query", "query.area", "query[area]", "queryArea"] {
        assert!(path.is_like(name), "{name}");
    }
    for name in ["areas", "page", "query.page", "queryAreaX", ""] {
        assert!(!path.is_like(name), "{name}");
    }
}

#[test]
fn two_parameters_may_share_a_path_or_lie_within_each_other() {
    let reader = reader(&["query", "query.area", "query.area"]);
    let read = |body: &str| reader.read(body.as_bytes()).unwrap();
    assert_eq!(
        read(r#"{"query":{"area":"3410"}}"#),
        [vec![], vec!["3410".to_owned()], vec!["3410".to_owned()]]
    );
    assert_eq!(read(r#"{"query":"x"}"#), [vec!["x".to_owned()], vec![], vec![]]);
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => number
            .as_i64()
            .filter(|number| number.unsigned_abs() <= MAX_EXACT_INTEGER)
            .map(|number| number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What the rules of the documentation say, over a tree.
fn by_the_book(body: &Value, path: &[&str]) -> Vec<String> {
    let found = path.iter().try_fold(body, |value, name| value.as_object()?.get(*name));
    match found {
        Some(Value::Array(list)) => list.iter().map(plain).collect::<Option<_>>().unwrap_or_default(),
        Some(value) => plain(value).into_iter().collect(),
        None => Vec::new(),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec!["query", "area", "year", "page", "name"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_000_i64..3_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9 -~黄山]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..5).prop_map(|members| Value::Object(
                members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
            )),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Map<String, Value>> {
    (any_json(), any_json(), any_json()).prop_map(|(query, year, page)| {
        let json = json!({ "query": query, "year": year, "page": page });
        json.as_object().cloned().unwrap()
    })
}

/// The same text with every letter of every name and text escaped.
fn escaped(json: &str) -> String {
    let (mut out, mut is_text, mut after_backslash) = (String::new(), false, false);
    for c in json.chars() {
        if is_text && !after_backslash && c != '"' && c != '\\' && u32::from(c) < 0x10000 {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
            continue;
        }
        if c == '"' && !after_backslash {
            is_text = !is_text;
        }
        after_backslash = is_text && c == '\\' && !after_backslash;
        out.push(c);
    }
    out
}

proptest! {
    #[test]
    fn values_are_those_of_the_rules(body in any_body()) {
        let value = Value::Object(body);
        let text = value.to_string();
        let expected = [by_the_book(&value, &["query", "area"]), by_the_book(&value, &["year"])];
        prop_assert_eq!(read(&text), Ok(expected.clone()));
        prop_assert_eq!(read(&escaped(&text)), Ok(expected));
    }

    #[test]
    fn a_second_member_is_never_passed_over(body in any_body(), again in any_json(), which in 0..4_usize) {
        let text = Value::Object(body).to_string();
        let name = ["query", "year", "Year", "query.area"][which];
        let inner = text.strip_suffix('}').unwrap();
        let more = format!("{inner},\"{name}\":{again}}}");
        prop_assert!(read(&more).is_err(), "{}", more);
        let before = format!("{{\"{name}\":{again},{}", text.strip_prefix('{').unwrap());
        prop_assert!(read(&before).is_err(), "{}", before);
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let read = reader(&["query.area", "year"]).read(&body);
        prop_assert!(read.is_ok() == serde_json::from_slice::<Value>(&body).is_ok() || read.is_err());
    }
}
