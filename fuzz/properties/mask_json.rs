//! A JSON body through a masking plan, in pieces. `mask.rs` says how an input is laid out.
//!
//! serde_json says what is JSON, and where in a body its members and elements stand. From that
//! [`Walk`] tells each byte that must leave, but for those of masked values.

use std::sync::{Arc, LazyLock};

use pinegate::catalog::{BodyFormat, BodyShape, FieldType, NameMatching};
use pinegate::mask::{Bounds, MaskError, Plan};
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::mask::{
    self, Fields, Input, check_again, contains_secret, fold, is_clear, is_sealed, outcome, path,
};
use super::siblings::{self, Siblings};

/// No deeper than what serde_json reads, so that the two can be compared.
const BOUNDS: Bounds = Bounds { depth: 100, key: 64, value: 48, space: 32, records: Some(8) };

const CLEAR: Fields = &[
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
const SEALED: Fields = &[
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

/// Names whose case does not count.
const FOLDED: Fields = &[
    ("userName", FieldType::String, Some("name")),
    ("PHONE", FieldType::String, Some("mobile")),
    ("size", FieldType::Number, Some("clear")),
    ("At.City", FieldType::String, Some("full")),
    ("At.door", FieldType::String, None),
    ("straße", FieldType::String, Some("full")),
    ("ß", FieldType::Boolean, Some("clear")),
];

/// A document in a text, and one in that.
const NESTED: Fields = &[
    ("detail", FieldType::Object, None),
    ("detail.name", FieldType::String, Some("name")),
    ("detail.size", FieldType::Number, Some("clear")),
    ("detail.id", FieldType::String, None),
    ("detail.more", FieldType::Object, None),
    ("detail.more.ok", FieldType::Boolean, Some("clear")),
    ("detail.more.note", FieldType::String, Some("full")),
    ("ok", FieldType::Boolean, Some("clear")),
];

/// Under maskers that work with a key.
const KEYED: Fields = &[
    ("name", FieldType::String, Some("pseudonym")),
    ("phone", FieldType::String, Some("fpe-mobile")),
    ("size", FieldType::Number, Some("pseudonym")),
    ("note", FieldType::String, Some("fpe-digits")),
    ("at.id", FieldType::String, Some("fpe-resident-id")),
    ("ok", FieldType::Boolean, Some("clear")),
];

/// What leaves is as it was.
const OPEN: Fields = &[
    ("name", FieldType::String, Some("clear")),
    ("size", FieldType::Number, Some("clear")),
    ("ok", FieldType::Boolean, Some("clear")),
    ("born", FieldType::Date, None),
    ("at.city", FieldType::String, Some("clear")),
    ("at.door", FieldType::String, Some("drop")),
    ("box", FieldType::Object, Some("clear")),
];

struct Case {
    plan: Arc<Plan>,
    bounds: Bounds,
    fields: Fields,
    records: bool,
    lines: bool,
    folds: bool,
}

static CASES: LazyLock<[Case; 11]> = LazyLock::new(|| {
    let identity = Case {
        plan: Arc::new(Plan::identity()),
        bounds: BOUNDS,
        fields: &[],
        records: false,
        lines: false,
        folds: false,
    };
    let long = Bounds { value: 512, ..BOUNDS };
    [
        identity,
        case(CLEAR, true, false),
        case(CLEAR, false, false),
        case(SEALED, true, false),
        case(SEALED, false, true),
        case(FOLDED, true, false),
        Case { bounds: long, ..case(NESTED, false, false) },
        Case { bounds: long, ..case(NESTED, false, true) },
        case(OPEN, true, false),
        case(KEYED, false, false),
        case(KEYED, true, true),
    ]
});

/// Documents in texts that leave as they are.
const CLEAR_NESTED: Fields = &[
    ("detail", FieldType::Object, None),
    ("detail.name", FieldType::String, Some("clear")),
    ("detail.size", FieldType::Number, Some("clear")),
    ("detail.id", FieldType::String, None),
    ("ok", FieldType::Boolean, Some("clear")),
];

static SIBLINGS: LazyLock<[Siblings; 7]> = LazyLock::new(|| {
    let shape = |records: bool, format| BodyShape {
        records: records.then(|| path("data.rows")),
        envelope: if records { vec![path("code")] } else { Vec::new() },
        ..mask::shape(format)
    };
    [
        Siblings::searching(&shape(false, BodyFormat::Json), OPEN, |_| true, Some(siblings::JSON)),
        Siblings::searching(&shape(true, BodyFormat::Json), OPEN, |_| true, Some(siblings::JSON)),
        Siblings::searching(&shape(false, BodyFormat::NdJson), OPEN, |_| true, Some(siblings::JSON)),
        // A document in a text has escapes of its own.
        Siblings::searching(&shape(false, BodyFormat::Json), CLEAR_NESTED, |_| true, None),
        Siblings::refusing(&shape(false, BodyFormat::Json), OPEN),
        Siblings::refusing(&shape(true, BodyFormat::NdJson), OPEN),
        Siblings::refusing(&shape(false, BodyFormat::Json), CLEAR_NESTED),
    ]
});

fn case(fields: Fields, records: bool, lines: bool) -> Case {
    let folds = fields == FOLDED;
    let shape = BodyShape {
        names: if folds { NameMatching::Fold } else { NameMatching::Exact },
        records: records.then(|| path("data.rows")),
        // The envelope leaves whole: a sealed plan has none.
        envelope: if records && !is_sealed(fields) { vec![path("code")] } else { Vec::new() },
        ..mask::shape(if lines { BodyFormat::NdJson } else { BodyFormat::Json })
    };
    Case { plan: mask::plan(&shape, fields), bounds: BOUNDS, fields, records, lines, folds }
}

pub(crate) fn check(data: &[u8]) {
    let Some(input) = Input::read(data) else { return };
    let choice = input.choice % (CASES.len() + SIBLINGS.len());
    let Some(case) = CASES.get(choice) else { return SIBLINGS[choice - CASES.len()].check(BOUNDS, &input) };
    match outcome(&case.plan, case.bounds, &input) {
        Ok(left) => {
            assert!(!left.is_unchanged() || left.out == input.body, "a change was not counted");
            check_left(&input.body, &left.out, case);
            if is_clear(case.fields) {
                check_again(&case.plan, case.bounds, &left);
            }
        }
        Err(error) => check_refusal(&input.body, error, case.lines),
    }
}

/// What serde_json makes of it; `None` for a number that its floats cannot hold.
fn parsed(body: &[u8]) -> Option<Result<Value, ()>> {
    match serde_json::from_slice(body) {
        Ok(value) => Some(Ok(value)),
        Err(error) if error.to_string().contains("out of range") => None,
        Err(_) => Some(Err(())),
    }
}

/// The documents of a body: one, or one a line.
fn documents(body: &[u8], lines: bool) -> Vec<&[u8]> {
    let is_blank = |line: &[u8]| line.iter().all(|byte| b" \t\r".contains(byte));
    if lines {
        body.split(|byte| *byte == b'\n').filter(|line| !is_blank(line)).collect()
    } else {
        vec![body]
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
    if !is_bound {
        let verdicts: Option<Vec<_>> = documents(body, lines).into_iter().map(parsed).collect();
        let is_json = verdicts.is_some_and(|all| all.iter().all(Result::is_ok));
        assert!(!is_json, "valid JSON was refused: {error}");
    }
}

fn check_left(body: &[u8], out: &[u8], case: &Case) {
    for document in documents(body, case.lines) {
        assert!(!matches!(parsed(document), Some(Err(()))), "what is accepted is JSON");
    }
    for document in documents(out, case.lines) {
        let left = parsed(document);
        assert!(!matches!(left, Some(Err(()))), "what leaves is JSON");
        if is_sealed(case.fields) && !case.fields.is_empty() {
            let plain = left.and_then(Result::ok).map(|value| value.to_string());
            assert!(!contains_secret(document), "the secret left");
            assert!(
                !plain.is_some_and(|plain| contains_secret(plain.as_bytes())),
                "the secret left, escaped"
            );
        }
    }
    let (body, out) = (std::str::from_utf8(body).unwrap(), std::str::from_utf8(out).unwrap());
    let mut walk = Walk { case, left: out };
    let mut at = 0;
    for document in serde_json::Deserializer::from_str(body).into_iter::<&RawValue>() {
        let document = document.expect("what is accepted is JSON").get();
        let from = offset(body, document);
        walk.left(&body[at..from]);
        walk.value(document, &if case.records { Place::around("") } else { Place::inside("") });
        at = from + document.len();
    }
    walk.left(&body[at..]);
    assert_eq!(walk.left, "", "more left than there was");
}

/// Where in `text` its `part` begins.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

/// Where in a body a value stands.
enum Place {
    /// Everything is copied.
    Whole,
    /// Around the records, at this path.
    Around(String),
    /// In a record, at this path; empty for the record itself.
    Inside(String),
    /// The document in the text at this path.
    Document(String),
}

impl Place {
    fn around(path: &str) -> Self {
        Self::Around(path.to_owned())
    }

    fn inside(path: &str) -> Self {
        Self::Inside(path.to_owned())
    }
}

/// A walk over a body, along what left of it.
struct Walk<'b> {
    case: &'b Case,
    /// What has not been compared yet.
    left: &'b str,
}

impl Walk<'_> {
    /// This left as it is.
    fn left(&mut self, piece: &str) {
        let rest = self.left.strip_prefix(piece);
        self.left = rest.unwrap_or_else(|| panic!("`{}` left where `{piece}` should", self.left));
    }

    fn value(&mut self, raw: &str, place: &Place) {
        match place {
            _ if raw == "null" || self.case.fields.is_empty() => self.left(raw),
            Place::Whole => self.left(raw),
            _ if raw.starts_with('[') => self.elements(raw, place),
            Place::Inside(path) if self.is_field(path) => self.field(raw, path),
            _ if raw.starts_with('{') => self.members(raw, place),
            Place::Around(_) | Place::Inside(_) | Place::Document(_) => self.left("null"),
        }
    }

    fn elements(&mut self, raw: &str, place: &Place) {
        let mut at = 0;
        for element in serde_json::from_str::<Vec<&RawValue>>(raw).unwrap() {
            let from = offset(raw, element.get());
            self.left(&raw[at..from]);
            self.value(element.get(), place);
            at = from + element.get().len();
        }
        self.left(&raw[at..]);
    }

    /// A member that does not leave goes with the separator before it; the first that leaves has none.
    fn members(&mut self, raw: &str, place: &Place) {
        let Members(members) = Members::of(raw);
        self.left("{");
        let (mut at, mut is_first, mut held) = (1, true, &raw[1..raw.len() - 1]);
        for (key, value) in members {
            let (from, to) = (offset(raw, key), offset(raw, value) + value.len());
            let space = &raw[at..from];
            let end = to + raw[to..].find([',', '}']).unwrap();
            at = end + 1;
            held = &raw[to..end];
            let name: String = serde_json::from_str(key).unwrap();
            let Some(place) = self.member(place, &name) else { continue };
            if !std::mem::replace(&mut is_first, false) {
                self.left(",");
            }
            self.left(space);
            self.left(&raw[from..to - value.len()]);
            self.value(value, &place);
            self.left(std::mem::take(&mut held));
        }
        self.left(held);
        self.left("}");
    }

    /// Where a member stands, if it leaves.
    fn member(&self, place: &Place, name: &str) -> Option<Place> {
        let is = |declared: &str| declared == name || self.case.folds && fold(declared) == fold(name);
        match place {
            Place::Whole => Some(Place::Whole),
            Place::Around(above) => match above.as_str() {
                "" if is("code") && !is_sealed(self.case.fields) => Some(Place::Whole),
                "" if is("data") => Some(Place::around("data")),
                "data" if is("rows") => Some(Place::inside("")),
                _ => None,
            },
            Place::Inside(above) | Place::Document(above) => {
                let fields = self.case.fields.iter();
                let below = fields.filter_map(|(field, _, how)| Some((below(field, above)?, *how)));
                let own = below.filter(|((own, _), _)| is(own));
                let mut leaving = own.filter(|(_, how)| how.is_some_and(|how| how != "drop"));
                let ((own, _), _) = leaving.next()?;
                Some(Place::Inside(if above.is_empty() { own.to_owned() } else { format!("{above}.{own}") }))
            }
        }
    }

    fn is_field(&self, path: &str) -> bool {
        self.case.fields.iter().any(|(field, ..)| *field == path)
    }

    fn field(&mut self, raw: &str, path: &str) {
        let (_, kind, how) = self.case.fields.iter().find(|(field, ..)| *field == path).unwrap();
        let right = match kind {
            FieldType::String | FieldType::Date => raw.starts_with('"'),
            FieldType::Number => raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()),
            FieldType::Boolean => raw == "true" || raw == "false",
            FieldType::Object if self.case.fields.iter().any(|(other, ..)| mask_below(other, path)) => {
                return self.document(raw, path);
            }
            FieldType::Object if raw.starts_with('{') => {
                return self.members(raw, &Place::inside(path));
            }
            FieldType::Object => false,
        };
        match how {
            Some("clear") if right => self.left(raw),
            Some("clear") => self.left("null"),
            _ if raw.starts_with('{') => self.left("null"),
            _ => {
                let left = self.scalar();
                // As long as it is by no count too long.
                if raw.starts_with('"') && raw.len() <= self.case.bounds.value {
                    let text: String = serde_json::from_str(raw).unwrap();
                    let left: Option<String> = serde_json::from_str(&left).expect("a text or nothing");
                    assert_eq!(left, mask::masked(how.unwrap(), path, &text), "{raw}");
                }
                assert!(!raw.starts_with('"') || left.starts_with('"') || left == "null", "{left}");
            }
        }
    }

    /// A value that a masker left.
    fn scalar(&mut self) -> String {
        let value = serde_json::Deserializer::from_str(self.left).into_iter::<&RawValue>().next();
        let value = value.expect("a value left").expect("what leaves is JSON").get();
        assert!(!value.starts_with(['{', '[']), "a masker left a container");
        self.left(value);
        value.to_owned()
    }

    /// A text that holds a document, or should.
    fn document(&mut self, raw: &str, path: &str) {
        if !raw.starts_with('"') {
            return self.left("null");
        }
        let left = self.scalar();
        let text: String = serde_json::from_str(raw).unwrap();
        if left == "null" {
            // A document this short is within every bound.
            let is_short = raw.len() <= self.case.bounds.space;
            let is_document = matches!(parsed(text.as_bytes()), Some(Ok(_)));
            return assert!(!is_short || !is_document, "a document did not leave");
        }
        let inner: String = serde_json::from_str(&left).unwrap();
        let document: &RawValue = serde_json::from_str(&text).expect("what is accepted is JSON");
        let from = offset(&text, document.get());
        let mut walk = Walk { case: self.case, left: &inner };
        walk.left(&text[..from]);
        walk.value(document.get(), &Place::Document(path.to_owned()));
        walk.left(&text[from + document.get().len()..]);
        assert_eq!(walk.left, "", "more left than there was");
    }
}

/// The name that leads from `above` to `path`, and what is below it.
fn below<'p>(path: &'p str, above: &str) -> Option<(&'p str, &'p str)> {
    let rest = if above.is_empty() { path } else { path.strip_prefix(above)?.strip_prefix('.')? };
    Some(rest.split_once('.').unwrap_or((rest, "")))
}

fn mask_below(path: &str, above: &str) -> bool {
    below(path, above).is_some()
}

/// The members of an object as they are written: doubled ones, and in their order.
struct Members<'b>(Vec<(&'b str, &'b str)>);

impl<'b> Members<'b> {
    fn of(raw: &'b str) -> Self {
        serde_json::Deserializer::from_str(raw).deserialize_map(MembersVisitor).unwrap()
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            members.push((key.get(), value.get()));
        }
        Ok(Members(members))
    }
}
