//! An XML body through a masking plan, in pieces. `mask.rs` says how an input is laid out.
//!
//! quick-xml says what a document holds, with the namespaces of its names. What left is read by it too and
//! held against that, element by element.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use pinegate::catalog::{BodyFormat, BodyShape, FieldType, XmlName, XmlNames};
use pinegate::mask::{Bounds, Plan};
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

use super::mask::{self, Fields, Input, check_again, contains_secret, is_clear, is_sealed, outcome, path};
use super::siblings::{Reading, Siblings};

const BOUNDS: Bounds = Bounds { depth: 16, key: 64, value: 48, space: 32, records: Some(8) };

const OPEN: Fields = &[
    ("name", FieldType::String, Some("clear")),
    ("size", FieldType::Number, Some("clear")),
    ("ok", FieldType::Boolean, Some("clear")),
    ("born", FieldType::Date, None),
    ("key", FieldType::String, Some("clear")),
    ("at.city", FieldType::String, Some("clear")),
    ("at.door", FieldType::String, Some("drop")),
    ("note.by", FieldType::String, Some("clear")),
    ("note.text", FieldType::String, Some("clear")),
];

const SEALED: Fields = &[
    ("name", FieldType::String, Some("name")),
    ("size", FieldType::Number, Some("clear")),
    ("ok", FieldType::Boolean, Some("clear")),
    ("born", FieldType::Date, Some("date-year")),
    ("key", FieldType::String, Some("mobile")),
    ("at.city", FieldType::String, Some("full")),
    ("at.door", FieldType::String, None),
    ("note.by", FieldType::String, None),
    ("note.text", FieldType::String, Some("null")),
];

/// Under maskers that work with a key.
const KEYED: Fields = &[
    ("name", FieldType::String, Some("pseudonym")),
    ("key", FieldType::String, Some("fpe-mobile")),
    ("at.id", FieldType::String, Some("fpe-resident-id")),
    ("note.by", FieldType::String, Some("fpe-digits")),
    ("note.text", FieldType::String, Some("pseudonym")),
];

/// A namespace for names without a prefix, and another.
const DEFAULT: &str = "urn:d";
const OTHER: &str = "urn:o";

struct Case {
    plan: Arc<Plan>,
    fields: Fields,
    names: XmlNames,
    records: bool,
}

static CASES: LazyLock<[Case; 6]> = LazyLock::new(|| {
    [
        case(OPEN, true, false),
        case(OPEN, false, true),
        case(SEALED, true, true),
        case(SEALED, true, false),
        case(SEALED, false, false),
        case(KEYED, true, false),
    ]
});

static SIBLINGS: LazyLock<[Siblings; 3]> = LazyLock::new(|| {
    // Only names that are declared leave, and they hold no numbers.
    let reading = Reading { meaning, is_value };
    [
        Siblings::searching(&shape(OPEN, false, false).0, OPEN, is_counted_alike, Some(reading)),
        Siblings::searching(&shape(OPEN, true, true).0, OPEN, is_counted_alike, None),
        Siblings::refusing(&shape(OPEN, true, false).0, OPEN),
    ]
});

/// An element in a member of the envelope is counted under its name where that is searched, else without one.
fn is_counted_alike(body: &str) -> bool {
    fn has_none(node: &Node) -> bool {
        (node.name.1 != "code" || node.children.is_empty()) && node.children.iter().all(has_none)
    }
    has_none(&Node::of_document(body))
}

/// What is written means, but for a reference at the end that is not whole. One that stands for anything but
/// a letter or digit is a character that is none.
fn meaning(text: &str) -> String {
    let (mut meant, mut rest) = (String::new(), text);
    while let Some((plain, reference)) = rest.split_once('&') {
        meant.push_str(plain);
        let Some((name, after)) = reference.split_once(';') else { return meant };
        let code = match name.strip_prefix("#x") {
            Some(code) => u32::from_str_radix(code, 16).ok(),
            None => name.strip_prefix('#').and_then(|code| code.parse().ok()),
        };
        let character = code.and_then(char::from_u32).filter(|c| c.is_alphanumeric());
        meant.push(character.unwrap_or('\u{fffc}'));
        rest = after;
    }
    meant + rest
}

/// Not among declarations of namespaces, nor beside sections in which a reference is none.
fn is_value(before: &str, _: &str, after: &str) -> bool {
    !["xmlns", "CDATA"].iter().any(|mark| before.contains(mark) || after.contains(mark))
}

fn case(fields: Fields, records: bool, spaces: bool) -> Case {
    let (shape, names) = shape(fields, records, spaces);
    Case { plan: mask::plan(&shape, fields), fields, names, records }
}

fn shape(fields: Fields, records: bool, spaces: bool) -> (BodyShape, XmlNames) {
    let other = || spaces.then(|| OTHER.into());
    let named = BTreeMap::from([
        (path("key"), XmlName::Attribute { namespace: None, local: "id".into() }),
        (path("size"), XmlName::Element { namespace: other(), local: "size".into() }),
        (path("note.by"), XmlName::Attribute { namespace: other(), local: "by".into() }),
        (path("note.text"), XmlName::Text),
    ]);
    let names = XmlNames { default: spaces.then(|| DEFAULT.into()), records: Vec::new(), fields: named };
    let shape = BodyShape {
        records: Some(path(if records { "list.row" } else { "row" })),
        envelope: if records && !is_sealed(fields) { vec![path("list.code")] } else { Vec::new() },
        xml: names.clone(),
        ..mask::shape(BodyFormat::Xml)
    };
    (shape, names)
}

pub(crate) fn check(data: &[u8]) {
    let Some(input) = Input::read(data) else { return };
    let choice = input.choice % (CASES.len() + SIBLINGS.len());
    let Some(case) = CASES.get(choice) else { return SIBLINGS[choice - CASES.len()].check(BOUNDS, &input) };
    let Ok(left) = outcome(&case.plan, BOUNDS, &input) else { return };
    let (body, out) = (text(&input.body), text(&left.out));
    // Comments, instructions and declarations that mean nothing to the plan go uncounted.
    let is_plain = !["<!--", "<?", "xmlns"].iter().any(|mark| body.contains(mark));
    assert!(!is_plain || !left.is_unchanged() || out == body, "a change was not counted");
    let (before, after) = (Node::of_document(body), Node::of_document(out));
    if is_sealed(case.fields) {
        assert!(!contains_secret(&left.out), "the secret left");
        assert!(!after.holds_secret(), "the secret left, escaped");
    }
    let place = if case.records { Place::Around("list".to_owned()) } else { Place::Inside(String::new()) };
    assert_eq!(before.name, after.name, "the document element is another");
    element(&before, &after, &place, case);
    if is_clear(case.fields) {
        check_again(&case.plan, BOUNDS, &left);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("what is accepted is UTF-8")
}

/// A namespace, and a name in it.
type Name = (Option<String>, String);

/// An element: what stands directly inside, and what its attributes say but for declarations.
#[derive(Debug, Default)]
struct Node {
    name: Name,
    attributes: Vec<(Name, String)>,
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn of_document(document: &str) -> Self {
        let mut reader = NsReader::from_str(document);
        reader.config_mut().check_end_names = true;
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().expect("XML by quick-xml too") {
                Event::Start(start) => open.push(Self::of_start(&reader, &start)),
                Event::Empty(start) => {
                    let node = Self::of_start(&reader, &start);
                    open.last_mut().unwrap().children.push(node);
                }
                Event::End(_) => {
                    let node = open.pop().unwrap();
                    open.last_mut().expect("as many end tags as start tags").children.push(node);
                }
                Event::Text(text) => open.last_mut().unwrap().text.push_str(&text.xml10_content()),
                Event::CData(text) => open.last_mut().unwrap().text.push_str(&text.xml10_content()),
                Event::GeneralRef(name) => {
                    let text = match name.resolve_char_ref().expect("a character") {
                        Some(character) => character.to_string(),
                        None => quick_xml::escape::resolve_xml_entity(&name).expect("an entity").to_owned(),
                    };
                    open.last_mut().unwrap().text.push_str(&text);
                }
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::DocType(_) => panic!("a document type was accepted"),
                Event::Eof => break,
            }
        }
        let [outside] = <[Self; 1]>::try_from(open).expect("every element ends");
        assert!(outside.text.trim().is_empty(), "text around the document element");
        let [document] = <[Self; 1]>::try_from(outside.children).expect("one document element");
        document
    }

    fn of_start(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(|attribute| attribute.expect("an attribute"));
        let attributes = attributes.filter(|attribute| attribute.key.as_namespace_binding().is_none());
        let attributes = attributes.map(|attribute| {
            let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0).expect("references");
            (name(reader.resolver().resolve_attribute(attribute.key)), value.into_owned())
        });
        Self {
            name: name(reader.resolver().resolve_element(start.name())),
            attributes: attributes.collect(),
            ..Self::default()
        }
    }

    fn holds_secret(&self) -> bool {
        let mut values = self.attributes.iter().map(|(_, value)| value);
        contains_secret(self.text.as_bytes())
            || values.any(|value| contains_secret(value.as_bytes()))
            || self.children.iter().any(Self::holds_secret)
    }
}

fn name((space, local): (ResolveResult<'_>, quick_xml::name::LocalName<'_>)) -> Name {
    let space = match space {
        ResolveResult::Bound(Namespace(uri)) => (!uri.is_empty()).then(|| uri.to_owned()),
        ResolveResult::Unbound => None,
        ResolveResult::Unknown(prefix) => panic!("the prefix `{prefix}` is not declared"),
    };
    (space, local.as_ref().to_owned())
}

/// Where in a document an element stands.
enum Place {
    /// Everything leaves.
    Whole,
    /// Around the records, at this path.
    Around(String),
    /// In a record, at this path; empty for the record itself.
    Inside(String),
}

/// What a name in a path stands for.
enum Kind {
    Element(Name),
    Attribute(Name),
    Text,
}

impl Case {
    fn kind(&self, path_text: &str, name: &str) -> Kind {
        let owned = |namespace: &Option<Arc<str>>, local: &str| {
            (namespace.as_ref().map(|namespace| namespace.to_string()), local.to_owned())
        };
        match self.names.fields.get(&path(path_text)) {
            None => Kind::Element(owned(&self.names.default, name)),
            Some(XmlName::Element { namespace, local }) => Kind::Element(owned(namespace, local)),
            Some(XmlName::Attribute { namespace, local }) => Kind::Attribute(owned(namespace, local)),
            Some(XmlName::Text) => Kind::Text,
        }
    }

    /// The members of a place in a record that leave: paths, and what they stand for.
    fn members(&self, above: &str) -> Vec<(String, Kind)> {
        let leaving = self.fields.iter().filter(|(_, _, how)| how.is_some_and(|how| how != "drop"));
        let mut members: Vec<(String, Kind)> = Vec::new();
        for (field, ..) in leaving {
            let rest = if above.is_empty() {
                Some(*field)
            } else {
                field.strip_prefix(above).and_then(|rest| rest.strip_prefix('.'))
            };
            let Some(rest) = rest else { continue };
            let name = rest.split('.').next().unwrap();
            let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
            if members.iter().all(|(other, _)| *other != path) {
                let kind = self.kind(&path, name);
                members.push((path, kind));
            }
        }
        members
    }

    fn element(&self, place: &Place, name: &Name) -> Option<Place> {
        let own = |local: &str| *name == (self.names.default.as_deref().map(str::to_owned), local.to_owned());
        match place {
            Place::Whole => Some(Place::Whole),
            Place::Around(above) => match above.as_str() {
                "list" if own("row") => Some(Place::Inside(String::new())),
                "list" if own("code") && !is_sealed(self.fields) => Some(Place::Whole),
                _ => None,
            },
            Place::Inside(above) => {
                let members = self.members(above).into_iter();
                let mut own =
                    members.filter(|(_, kind)| matches!(kind, Kind::Element(other) if other == name));
                own.next().map(|(path, _)| Place::Inside(path))
            }
        }
    }
}

/// An element that left, and what it was.
fn element(before: &Node, after: &Node, place: &Place, case: &Case) {
    let path = match place {
        Place::Whole => {
            assert_eq!(format!("{before:?}"), format!("{after:?}"), "what leaves whole has changed");
            return;
        }
        Place::Inside(path) => path.as_str(),
        Place::Around(_) => "",
    };
    if let Some(field) = case.fields.iter().find(|(field, ..)| *field == path) {
        assert!(after.attributes.is_empty(), "an attribute left that is no field");
        return value(&before.text, before.children.is_empty(), &after.text, after, *field);
    }
    let members = if matches!(place, Place::Inside(_)) { case.members(path) } else { Vec::new() };
    let field = |path: &str| *case.fields.iter().find(|(field, ..)| *field == path).unwrap();

    let attributes: Vec<_> = before
        .attributes
        .iter()
        .filter_map(|(name, value)| {
            let is = |kind: &Kind| matches!(kind, Kind::Attribute(other) if other == name);
            members.iter().find(|(_, kind)| is(kind)).map(|(path, _)| (name, value, path))
        })
        .collect();
    assert_eq!(attributes.len(), after.attributes.len(), "other attributes left");
    for ((name, was, path), (left_name, left)) in attributes.into_iter().zip(&after.attributes) {
        assert_eq!(name, left_name);
        value(was, true, left, &Node::default(), field(path));
    }

    if let Some((path, _)) = members.iter().find(|(_, kind)| matches!(kind, Kind::Text)) {
        return value(&before.text, before.children.is_empty(), &after.text, after, field(path));
    }
    let children: Vec<_> =
        before.children.iter().filter_map(|child| Some((child, case.element(place, &child.name)?))).collect();
    assert_eq!(children.len(), after.children.len(), "other elements left");
    assert!(after.text.trim().is_empty(), "text left beside elements");
    for ((child, place), left) in children.into_iter().zip(&after.children) {
        assert_eq!(child.name, left.name);
        element(child, left, &place, case);
    }
}

type Field = (&'static str, FieldType, Option<&'static str>);

/// A value that left, and what it was; `is_alone` if there were no elements beside it.
fn value(was: &str, is_alone: bool, left: &str, node: &Node, (field, kind, how): Field) {
    assert!(node.children.is_empty(), "an element left from inside a value");
    let is_text = matches!(kind, FieldType::String | FieldType::Date);
    match how {
        Some("clear") if is_text => assert_eq!(was, left, "a clear value changed"),
        Some("clear") if left.is_empty() => {}
        Some("clear") => {
            assert_eq!((was, true), (left, is_alone), "a clear value changed");
            let is_right = match kind {
                FieldType::Number => left.trim().bytes().all(|byte| b"+-.0123456789eE".contains(&byte)),
                FieldType::String | FieldType::Boolean | FieldType::Date | FieldType::Object => {
                    matches!(left.trim(), "true" | "false" | "0" | "1" | "")
                }
            };
            assert!(is_right, "a value of the wrong type left");
        }
        Some(masker) if !was.is_empty() && is_alone => {
            // One that is too long as it is written is hidden.
            let is_masked = left == mask::masked(masker, field, was).unwrap_or_default();
            assert!(is_masked || matches!(left, "***" | ""), "`{left}` left of `{was}`");
        }
        _ => assert!(!was.is_empty() || !is_alone || left.is_empty(), "a mask left something of nothing"),
    }
}
