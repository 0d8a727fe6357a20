//! The JSON Schema in the documentation and the encoder say the same.

use std::collections::BTreeSet;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::*;
use crate::audit::view::{MEMBERS, Shape};

const SCHEMA: &str = include_str!("../../../docs/audit-record.schema.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// The schema, made ready.
fn compiled() -> (Schemas, SchemaIndex) {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("record.json", schema()).unwrap();
    let index = compiler.compile("record.json", &mut schemas).unwrap();
    (schemas, index)
}

fn check((schemas, index): &(Schemas, SchemaIndex), line: &[u8]) -> Result<(), String> {
    let record: Value = serde_json::from_slice(line).unwrap();
    schemas.validate(&record, *index).map_err(|error| format!("{error:#}"))
}

fn sealed_entry(entry: &Entry) -> Vec<u8> {
    let mut line = Vec::new();
    chain().seal(entry, &mut line);
    line.pop();
    line
}

/// The type of a member, wherever the schema says it.
fn json_type(schema: &Value, name: &str) -> String {
    let member = &schema["properties"][name];
    let said = match member["$ref"].as_str() {
        Some(place) => schema.pointer(place.strip_prefix('#').unwrap()).unwrap(),
        None => member,
    };
    let example = |value: &Value| if value.is_string() { "string" } else { "integer" };
    match said["type"].as_str() {
        Some(text) => text.to_owned(),
        None => example(said.get("const").unwrap_or(&said["enum"][0])).to_owned(),
    }
}

#[test]
fn it_has_every_member_and_no_other() {
    let schema = schema();
    let known: BTreeSet<&str> = MEMBERS.iter().map(|member| member.name).collect();
    let said: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(said, known);
    let needed: Vec<_> = MEMBERS.iter().filter(|member| member.needed).map(|member| member.name).collect();
    assert_eq!(schema["required"], json!(needed));
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["v"]["const"], SCHEMA_VERSION);
    for member in &MEMBERS {
        assert_eq!(json_type(&schema, member.name), type_of(member.shape), "{}", member.name);
        assert!(schema["properties"][member.name]["description"].is_string(), "{} is described", member.name);
    }
    // In the order of a line, though an object has none.
    let place = |name: &str| SCHEMA.find(&format!("\n    \"{name}\": {{")).unwrap();
    assert!(MEMBERS.windows(2).all(|pair| place(pair[0].name) < place(pair[1].name)));
}

#[test]
fn every_member_is_on_the_page() {
    let page = include_str!("../../../docs/audit-record.md");
    let cells: String = page.lines().filter(|line| line.starts_with("| `")).collect();
    // `x_more` is told of once, for all lists.
    for member in MEMBERS.iter().filter(|member| !member.name.ends_with("_more")) {
        assert!(cells.contains(&format!("`{}`", member.name)), "{} is not on the page", member.name);
    }
}

fn type_of(shape: Shape) -> &'static str {
    match shape {
        Shape::Text => "string",
        Shape::Number | Shape::Status => "integer",
        Shape::List => "array",
        Shape::Texts | Shape::Numbers => "object",
    }
}

#[test]
fn every_event_is_on_the_page_and_no_other() {
    let page = include_str!("../../../docs/audit-record.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("| event | what happened")).skip(2);
    let cells: String =
        rows.take_while(|line| line.starts_with('|')).map(|row| row.split('|').nth(1).unwrap()).collect();
    let words: Vec<_> = cells.split('`').skip(1).step_by(2).collect();
    assert_eq!(words, Event::ALL.map(Event::as_str));
}

#[test]
fn the_strict_reader_has_every_member_too() {
    let schema = schema();
    let value = |name: &str| match json_type(&schema, name).as_str() {
        "integer" => "1".to_owned(),
        "array" => "[\"a\"]".to_owned(),
        "object" if matches!(name, "parameters" | "detail") => "{\"a\":\"b\"}".to_owned(),
        "object" => "{\"a\":1}".to_owned(),
        _ => "\"a\"".to_owned(),
    };
    let members: Vec<_> =
        MEMBERS.iter().map(|member| format!("\"{}\":{}", member.name, value(member.name))).collect();
    let line = format!("{{{}}}", members.join(","));
    let parsed = ParsedRecord::parse(line.as_bytes()).unwrap();
    assert_eq!(AccessView::borrowed(line.as_bytes()), Some(parsed.into()));
    assert!(ParsedRecord::parse(line.replacen('{', "{\"a\":1,", 1).as_bytes()).is_err());
}

#[test]
fn what_is_written_is_valid() {
    let schema = compiled();
    let mut lines = vec![sealed(&plain())];
    with_access(&plain(), |access| {
        let outcome = || Access { kind: Kind::Outcome, ..access.clone() };
        let intent = Access { kind: Kind::Intent, outcome: None, subjects: None, ..access.clone() };
        lines.extend([outcome().encode(), intent.encode()].map(|entry| sealed_entry(&entry)));
        let refused = Access {
            trace_id: None,
            system: None,
            department: None,
            route: None,
            resource: None,
            purpose: None,
            decision: "deny",
            reason: Some("grant-none"),
            released: &[],
            shadow: None,
            ..access.clone()
        };
        lines.push(sealed_entry(&refused.encode()));
    });
    let unknown = ParsedRecord::parse(&lines[2]).unwrap().unknown_outcome(Timestamp::UNIX_EPOCH);
    lines.push(sealed_entry(&unknown));
    let digest = Digest::of(b"").to_hex();
    let start = Lifecycle {
        at: Timestamp::UNIX_EPOCH,
        event: Event::ReloadRefused,
        actor: "uid 0 pid 1",
        detail: &[("version", "1")],
        policy: Some(&digest),
        config: None,
    };
    lines.push(sealed_entry(&start.encode()));
    for line in &lines {
        assert_eq!(check(&schema, line), Ok(()), "{}", String::from_utf8_lossy(line));
    }
    // Whatever does not fit is cut, and the cut is valid.
    let mut long = plain();
    long.requested = vec!["长".repeat(4000); 1000];
    long.fields = (0..2000).map(|n| FieldPath::parse(&format!("field-{n}")).unwrap()).collect();
    assert_eq!(check(&schema, &sealed(&long)), Ok(()));
}

#[test]
fn what_is_not_written_is_not_valid() {
    let schema = compiled();
    let line = String::from_utf8(sealed(&plain())).unwrap();
    for (from, to) in [
        ("\"v\":1", "\"v\":2"),
        ("\"kind\":\"access\"", "\"kind\":\"acess\""),
        ("\"kind\":\"access\"", "\"kind\":\"intent\""),
        ("\"kind\":\"access\"", "\"kind\":\"lifecycle\""),
        ("\"at\":\"2026", "\"at\":\" 2026"),
        ("\"decision\":\"permit\"", "\"decision\":\"maybe\""),
        ("\"status\":200,", ""),
        ("\"bytes_in\":0", "\"bytes_in\":-1"),
        ("\"subjects\":[", "\"subjects\":[\"11010519491231002X\","),
        ("\"subjects_key\":", "\"subjects_keys\":"),
        ("\"policy\":\"", "\"policy\":\"x"),
        ("\"records\":10", "\"records\":10,\"event\":\"start\""),
        ("\"unclassified\":3", "\"unclassified\":\"3\""),
    ] {
        assert!(line.contains(from), "{from}");
        assert!(check(&schema, line.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_texts_are_valid_all_the_same(texts in texts()) {
        static SCHEMA: std::sync::LazyLock<(Schemas, SchemaIndex)> = std::sync::LazyLock::new(compiled);
        prop_assert_eq!(check(&SCHEMA, &sealed(&texts)), Ok(()));
    }
}
