//! An event stream through a masking plan, in pieces. `mask.rs` says how an input is laid out.
//!
//! Its lines are read here as the standard says (WHATWG HTML, section 9.2.6). The data of each event must
//! leave as the same document does by itself, of which `mask_json` tells what is right.

use std::sync::{Arc, LazyLock};

use pinegate::catalog::{BodyFormat, BodyShape, FieldType};
use pinegate::mask::{Bounds, MaskError, Plan};

use super::mask::{self, Fields, Input, check_again, contains_secret, is_clear, is_sealed, outcome, path};
use super::siblings::{self, Siblings};

const BOUNDS: Bounds = Bounds { depth: 16, key: 64, value: 48, space: 32, records: Some(8) };

const OPEN: Fields = &[
    ("name", FieldType::String, Some("clear")),
    ("size", FieldType::Number, Some("clear")),
    ("ok", FieldType::Boolean, Some("clear")),
    ("event", FieldType::String, None),
    ("born", FieldType::Date, None),
    ("at.city", FieldType::String, Some("clear")),
];

const SEALED: Fields = &[
    ("name", FieldType::String, Some("name")),
    ("phone", FieldType::String, Some("mobile")),
    ("size", FieldType::Number, Some("clear")),
    ("ok", FieldType::Boolean, Some("clear")),
    ("id", FieldType::String, None),
    ("note", FieldType::String, Some("full")),
    ("at.city", FieldType::String, Some("null")),
];

struct Case {
    plan: Arc<Plan>,
    /// The same for a document by itself.
    document: Arc<Plan>,
    fields: Fields,
    /// Whether `event` and `id` may leave.
    names: bool,
}

static SIBLINGS: LazyLock<[Siblings; 2]> = LazyLock::new(|| {
    let shape = mask::shape(BodyFormat::EventStream);
    [Siblings::searching(&shape, OPEN, |_| true, Some(siblings::JSON)), Siblings::refusing(&shape, OPEN)]
});

static CASES: LazyLock<[Case; 3]> =
    LazyLock::new(|| [case(OPEN, true), case(SEALED, false), case(OPEN, false)]);

fn case(fields: Fields, names: bool) -> Case {
    let envelope = if names { vec![path("event"), path("id")] } else { Vec::new() };
    let shape = BodyShape { envelope, ..mask::shape(BodyFormat::EventStream) };
    let plan = mask::plan(&shape, fields);
    let document = mask::plan(&mask::shape(BodyFormat::Json), fields);
    Case { plan, document, fields, names }
}

pub(crate) fn check(data: &[u8]) {
    let Some(input) = Input::read(data) else { return };
    let choice = input.choice % (CASES.len() + SIBLINGS.len());
    let Some(case) = CASES.get(choice) else { return SIBLINGS[choice - CASES.len()].check(BOUNDS, &input) };
    let left = outcome(&case.plan, BOUNDS, &input);
    let expected = expected(&input.body, case);
    match (left, expected) {
        (Ok(left), Some(expected)) => {
            if is_sealed(case.fields) {
                assert!(!contains_secret(&left.out), "the secret left");
            }
            let out = events(std::str::from_utf8(&left.out).unwrap()).expect("what leaves are events");
            assert_eq!(data_of(&out), expected, "other data left");
            check_beside(&input.body, &out, case);
            if is_clear(case.fields) {
                check_again(&case.plan, BOUNDS, &left);
            }
        }
        (Ok(_), None) => panic!("something else than events of documents was accepted"),
        (Err(MaskError::TooManyRecords { .. }), _) | (Err(_), None) => {}
        (Err(error), Some(_)) => panic!("events of documents were refused: {error}"),
    }
}

/// One event, or what stands between two blank lines and is none.
#[derive(Debug, Default)]
struct Event {
    data: Option<String>,
    /// Names and values of other lines, comments included.
    others: Vec<(String, String)>,
}

/// The events of a stream that ends with one that is whole.
fn events(body: &str) -> Option<Vec<Event>> {
    let unified = body.replace("\r\n", "\n").replace('\r', "\n");
    let (whole, rest) = unified.rsplit_once('\n').unwrap_or(("", &unified));
    if !rest.is_empty() {
        return None;
    }
    let mut events = vec![Event::default()];
    for line in whole.split('\n').take(if unified.is_empty() { 0 } else { usize::MAX }) {
        if line.is_empty() {
            events.push(Event::default());
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let event = events.last_mut().unwrap();
        match (name, &mut event.data) {
            ("data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            ("data", data) => *data = Some(value.to_owned()),
            _ => event.others.push((name.to_owned(), value.to_owned())),
        }
    }
    let last = events.pop().unwrap();
    let is_open =
        |event: &Event| event.data.is_some() || event.others.iter().any(|(name, _)| name == "event");
    let is_nothing = |event: &Event| event.data.is_none() && is_open(event);
    (!is_open(&last) && !events.iter().any(is_nothing)).then_some(events)
}

fn data_of(events: &[Event]) -> Vec<String> {
    events.iter().filter_map(|event| event.data.clone()).collect()
}

/// What the data of each event should be; nothing if one of them is no document.
fn expected(body: &[u8], case: &Case) -> Option<Vec<String>> {
    let body = std::str::from_utf8(body).ok().filter(|body| !body.starts_with('\u{feff}'))?;
    let mut all = Vec::new();
    for data in data_of(&events(body)?) {
        let bounds = Bounds { records: None, ..BOUNDS };
        let input = Input::whole(data.into_bytes());
        let left = outcome(&case.document, bounds, &input).ok()?;
        all.push(String::from_utf8(left.out).unwrap());
    }
    Some(all)
}

/// Beside data leaves what the plan names, in as many words as came, and waiting times.
fn check_beside(body: &[u8], out: &[Event], case: &Case) {
    let before = events(std::str::from_utf8(body).unwrap()).unwrap();
    let came: Vec<_> = before.iter().flat_map(|event| &event.others).collect();
    for (name, value) in out.iter().flat_map(|event| &event.others) {
        match name.as_str() {
            "" => assert_eq!(value, "", "a comment left"),
            "event" | "id" if case.names => {
                assert!(value.len() <= 64 && value.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            "retry" => assert!(value.len() <= 6 && value.bytes().all(|byte| byte.is_ascii_digit())),
            other => panic!("`{other}` left"),
        }
        assert!(name.is_empty() || came.iter().any(|(other, was)| (other, was) == (name, value)));
    }
}
