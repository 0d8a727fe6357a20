//! A body through a masking plan, in pieces.
//!
//! Input: one byte chooses the plan, three bytes say where the body is cut, the rest is the body.
//! A `~` in the body stands for the secret, so that it is easy to plant.

use std::sync::{Arc, LazyLock};

use pinegate::catalog::{BodyFormat, BodyShape, Field, FieldType, Level, NameMatching, XmlNames};
use pinegate::grant::{ReleasedField, Treatment};
use pinegate::kernel::id::{FieldPath, MaskerName};
use pinegate::mask::{Bounds, MaskError, Maskers, Plan, PlanSpec, Transform};
use serde_json::Value;

const SECRET: &str = "CANARY";

/// No deeper than what serde_json reads, so that the two can be compared.
const BOUNDS: Bounds = Bounds { depth: 100, key: 64, value: 48, space: 32, records: Some(8) };

/// Fields and their types, and how each leaves: clear, by a masker, or not at all.
const CLEAR: &[(&str, FieldType, Option<&str>)] = &[
    ("name", FieldType::String, Some("name")),
    ("phone", FieldType::String, Some("mobile")),
    ("size", FieldType::Number, Some("clear")),
    ("note", FieldType::String, Some("clear")),
    ("born", FieldType::Date, Some("date-year")),
    ("ok", FieldType::Boolean, Some("clear")),
    ("at.city", FieldType::String, Some("clear")),
    ("at.line", FieldType::String, Some("full")),
    ("at.door", FieldType::String, None),
    ("id", FieldType::String, None),
    ("字段", FieldType::String, Some("clear")),
];

/// The same without a text that leaves as it is.
const SEALED: &[(&str, FieldType, Option<&str>)] = &[
    ("name", FieldType::String, Some("name")),
    ("phone", FieldType::String, Some("mobile")),
    ("size", FieldType::Number, Some("clear")),
    ("note", FieldType::String, Some("drop")),
    ("born", FieldType::Date, Some("date-year")),
    ("ok", FieldType::Boolean, Some("clear")),
    ("at.city", FieldType::String, Some("resident-id")),
    ("at.line", FieldType::String, Some("full")),
    ("at.door", FieldType::String, None),
    ("id", FieldType::String, Some("null")),
    ("字段", FieldType::String, None),
];

type Fields = &'static [(&'static str, FieldType, Option<&'static str>)];

struct Case {
    plan: Arc<Plan>,
    fields: Fields,
    records: bool,
    lines: bool,
}

static CASES: LazyLock<[Case; 5]> = LazyLock::new(|| {
    [
        Case { plan: Arc::new(Plan::identity()), fields: &[], records: false, lines: false },
        case(CLEAR, true, false),
        case(CLEAR, false, false),
        case(SEALED, true, false),
        case(SEALED, false, true),
    ]
});

fn case(fields: Fields, records: bool, lines: bool) -> Case {
    let path = |text: &str| FieldPath::parse(text).unwrap();
    let shape = BodyShape {
        format: if lines { BodyFormat::NdJson } else { BodyFormat::Json },
        names: NameMatching::Exact,
        records: records.then(|| path("data.rows")),
        envelope: if records { vec![path("code")] } else { Vec::new() },
        xml: XmlNames::default(),
    };
    // The envelope leaves whole: a sealed plan has none.
    let is_sealed = fields.iter().all(|(_, kind, how)| *kind != FieldType::String || *how != Some("clear"));
    let shape = if is_sealed { BodyShape { envelope: Vec::new(), ..shape } } else { shape };
    let catalogue: Vec<Field> = fields
        .iter()
        .map(|(name, kind, _)| Field {
            path: path(name),
            label: (*name).to_owned(),
            kind: *kind,
            level: Level::new(1).unwrap(),
            mask: None,
            source: None,
            nested: false,
        })
        .collect();
    let released: Vec<ReleasedField> = fields
        .iter()
        .filter_map(|(name, _, how)| {
            let treatment = match (*how)? {
                "clear" => Treatment::Clear,
                masker => Treatment::Masked(MaskerName::parse(masker).unwrap()),
            };
            Some(ReleasedField { path: path(name), treatment })
        })
        .collect();
    let maskers = Maskers::builtin();
    let spec =
        PlanSpec { shape: &shape, fields: &released, catalogue: &catalogue, maskers: &maskers, key: None };
    Case { plan: Arc::new(Plan::compile(&spec).unwrap()), fields, records, lines }
}

pub(crate) fn check(data: &[u8]) {
    let [choice, first, second, third, body @ ..] = data else { return };
    let case = &CASES[usize::from(*choice) % CASES.len()];
    let body = planted(body);
    let whole = run(&case.plan, [&*body]);
    let mut cuts = [first, second, third].map(|cut| usize::from(*cut) * (body.len() + 1) / 256);
    cuts.sort_unstable();
    let (head, rest) = body.split_at(cuts[0]);
    let (middle, rest) = rest.split_at(cuts[1] - cuts[0]);
    let (third, tail) = rest.split_at(cuts[2] - cuts[1]);
    assert_eq!(run(&case.plan, [head, middle, third, tail]), whole, "cut at {cuts:?}");
    assert_eq!(run(&case.plan, body.chunks(1)), whole, "byte by byte");
    match &whole {
        Ok((out, records)) => {
            assert!(*records <= BOUNDS.records.unwrap());
            if case.lines {
                check_lines(&body, out, case);
            } else {
                check_document(&body, out, case);
            }
            if !case.fields.is_empty() && is_sealed(case.fields) {
                assert!(!contains_secret(out), "the secret left");
            }
        }
        Err(error) => check_refusal(&body, *error, case.lines),
    }
}

fn planted(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for byte in body {
        match byte {
            b'~' => out.extend_from_slice(SECRET.as_bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

fn is_sealed(fields: Fields) -> bool {
    fields.iter().all(|(_, kind, how)| *kind != FieldType::String || *how != Some("clear"))
}

fn contains_secret(out: &[u8]) -> bool {
    out.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}

/// The bytes that leave and how many records, or why none may.
fn run<'b>(
    plan: &Arc<Plan>,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> Result<(Vec<u8>, u64), MaskError> {
    let mut transform = Transform::new(Arc::clone(plan), BOUNDS);
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(error) = transform.push(piece, &mut out) {
            assert_eq!(transform.finish(&mut out).map(|_| ()), Err(error), "an error is final");
            return Err(error);
        }
    }
    let summary = transform.finish(&mut out)?;
    assert_eq!(summary.bytes_out, u64::try_from(out.len()).unwrap());
    Ok((out, summary.records()))
}

/// What serde_json makes of it; `None` for a number that its floats cannot hold.
fn parsed(body: &[u8]) -> Option<Result<Value, ()>> {
    match serde_json::from_slice(body) {
        Ok(value) => Some(Ok(value)),
        Err(error) if error.to_string().contains("out of range") => None,
        Err(_) => Some(Err(())),
    }
}

fn check_document(body: &[u8], out: &[u8], case: &Case) {
    if case.fields.is_empty() {
        assert_eq!(out, body, "the identity changes nothing");
    }
    let Some(input) = parsed(body) else { return };
    let input = input.expect("what is accepted is JSON");
    let output: Value = serde_json::from_slice(out).expect("what leaves is JSON");
    if case.fields.is_empty() {
        return;
    }
    if case.records {
        around(&input, &output, "", case);
    } else {
        inside(&input, &output, "", case);
    }
}

fn check_lines(body: &[u8], out: &[u8], case: &Case) {
    let lines = |bytes: &[u8]| {
        let values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
        values.collect::<Result<Vec<_>, _>>()
    };
    let input = match lines(body) {
        Ok(input) => input,
        Err(error) if error.to_string().contains("out of range") => return,
        Err(error) => panic!("what is accepted is JSON: {error}"),
    };
    let output = lines(out).expect("what leaves is JSON");
    assert_eq!(input.len(), output.len(), "each document leaves");
    for (input, output) in input.iter().zip(&output) {
        inside(input, output, "", case);
    }
}

/// What is refused is either no JSON, or beyond a bound.
fn check_refusal(body: &[u8], error: MaskError, lines: bool) {
    let is_bound = matches!(
        error,
        MaskError::Depth { .. }
            | MaskError::KeyTooLong { .. }
            | MaskError::SpaceTooLong { .. }
            | MaskError::TooManyRecords { .. }
    );
    if !is_bound && !lines {
        assert!(!matches!(parsed(body), Some(Ok(_))), "valid JSON was refused: {error}");
    }
}

/// Around the records only the way to them and `code` leave.
fn around(input: &Value, output: &Value, path: &str, case: &Case) {
    match (input, output) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in after {
                match (path, name.as_str()) {
                    ("", "code") if !is_sealed(case.fields) => assert_eq!(before.get(name), Some(value)),
                    ("", "data") => around(&before[name], value, "data", case),
                    ("data", "rows") => inside(&before[name], value, "", case),
                    _ => panic!("`{name}` left from around the records"),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            assert_eq!(before.len(), after.len());
            before.iter().zip(after).for_each(|(before, after)| around(before, after, path, case));
        }
        (_, after) => assert!(after.is_null(), "something left from around the records"),
    }
}

/// In a record each member has a field that leaves, or leads to one.
fn inside(input: &Value, output: &Value, path: &str, case: &Case) {
    if let (Value::Array(before), Value::Array(after)) = (input, output) {
        assert_eq!(before.len(), after.len());
        return before.iter().zip(after).for_each(|(before, after)| inside(before, after, path, case));
    }
    if let Some((_, kind, how)) = case.fields.iter().find(|(name, ..)| *name == path) {
        let how = how.filter(|how| *how != "drop").expect("a dropped field left");
        let right = match kind {
            FieldType::String | FieldType::Date => input.is_string(),
            FieldType::Number => input.is_number(),
            FieldType::Boolean => input.is_boolean(),
            FieldType::Object => false,
        };
        match how {
            "clear" if right => assert_eq!(input, output, "a clear value changed"),
            "clear" => assert!(output.is_null(), "a value of the wrong type left"),
            _ if input.is_string() => assert!(output.is_string() || output.is_null()),
            _ if input.is_null() || input.is_object() => assert!(output.is_null()),
            _ => assert!(!output.is_object() && !output.is_array()),
        }
        return;
    }
    let (Value::Object(before), Value::Object(after)) = (input, output) else {
        return assert!(output.is_null(), "something left that is not an object");
    };
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let leaves = |path: &str| {
        case.fields.iter().any(|(name, _, how)| {
            let below = name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            below && how.is_some_and(|how| how != "drop")
        })
    };
    for (name, value) in after {
        assert!(leaves(&join(name)), "`{name}` left");
        inside(&before[name], value, &join(name), case);
    }
    for name in before.keys().filter(|name| !name.contains('.') && leaves(&join(name))) {
        assert!(after.contains_key(name), "`{name}` did not leave");
    }
}
