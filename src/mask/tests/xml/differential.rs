//! The reader against quick-xml, over generated documents, mutated ones and all kinds of pieces.
//!
//! quick-xml says what a document means; a reference that walks its tree says what becomes of it.

use proptest::prelude::*;
use proptest::sample::select;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::{NsReader, XmlVersion};

use super::*;
use crate::mask::Value;

/// An element: its name with its namespace, its attributes but for declarations, what is in it.
#[derive(Debug, Clone, PartialEq, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    content: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    fn push_text(&mut self, text: &str) {
        if let Some(Node::Text(before)) = self.content.last_mut() {
            before.push_str(text);
        } else if !text.is_empty() {
            self.content.push(Node::Text(text.to_owned()));
        }
    }

    fn elements(&self) -> impl Iterator<Item = &Self> {
        self.content.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    fn text(&self) -> String {
        let texts = self.content.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        texts.collect()
    }

    fn has_text(&self) -> bool {
        !self.text().trim_matches([' ', '\t', '\r', '\n']).is_empty()
    }
}

/// quick-xml takes the names of namespaces as they are written.
fn expanded(namespace: &ResolveResult<'_>, local: &str) -> Option<String> {
    match namespace {
        ResolveResult::Unbound => Some(local.to_owned()),
        ResolveResult::Bound(Namespace(uri)) => {
            Some(format!("{{{}}}{local}", quick_xml::escape::unescape(uri).ok()?))
        }
        ResolveResult::Unknown(_) => None,
    }
}

/// What quick-xml reads in a document; nothing if it refuses.
fn read(body: &str) -> Option<Element> {
    let mut reader = NsReader::from_str(body);
    reader.config_mut().check_comments = true;
    let mut open = vec![Element::default()];
    loop {
        let event = reader.read_event().ok()?;
        match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                let (namespace, local) = reader.resolver().resolve_element(tag.name());
                let mut element =
                    Element { name: expanded(&namespace, local.into_inner())?, ..Element::default() };
                for attribute in tag.attributes() {
                    let attribute = attribute.ok()?;
                    if attribute.key.as_namespace_binding().is_some() {
                        continue;
                    }
                    let (namespace, local) = reader.resolver().resolve_attribute(attribute.key);
                    let value = attribute.normalized_value(XmlVersion::Explicit1_0).ok()?;
                    element.attributes.push((expanded(&namespace, local.into_inner())?, value.into_owned()));
                }
                if matches!(event, Event::Empty(_)) {
                    open.last_mut()?.content.push(Node::Element(element));
                } else {
                    open.push(element);
                }
            }
            Event::End(_) => {
                let element = open.pop()?;
                open.last_mut()?.content.push(Node::Element(element));
            }
            Event::Text(text) => open.last_mut()?.push_text(&text.xml10_content()),
            Event::CData(text) => open.last_mut()?.push_text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let text = match reference.resolve_char_ref().ok()? {
                    Some(c) => c.to_string(),
                    None => quick_xml::escape::resolve_xml_entity(&reference.xml10_content())?.to_owned(),
                };
                open.last_mut()?.push_text(&text);
            }
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            Event::DocType(_) => return None,
            Event::Eof => {
                let around = open.pop()?;
                let mut roots = around.elements();
                let root = roots.next()?.clone();
                return (roots.next().is_none() && !around.has_text() && open.is_empty()).then_some(root);
            }
        }
    }
}

/// What becomes of an element or an attribute.
#[derive(Clone)]
enum Fate {
    Members(Vec<(&'static str, Fate)>),
    Text,
    Number,
    Masked(Masker),
    Nothing,
}

fn masker(method: &str) -> Fate {
    Fate::Masked(Masker::parse(method, &[]).unwrap())
}

/// [`plan_of_all`] once more, by other words.
fn fates() -> Vec<(&'static str, Fate)> {
    let row = Fate::Members(vec![
        ("name", Fate::Text),
        ("{urn:a}name", masker("full")),
        ("phone", masker("mobile")),
        ("size", Fate::Number),
        (
            "addr",
            Fate::Members(vec![("city", Fate::Text), ("@id", Fate::Number), ("@{urn:a}id", masker("full"))]),
        ),
        ("mail", Fate::Members(vec![(".", masker("email")), ("@kind", Fate::Text)])),
        ("any", Fate::Nothing),
        ("@id", masker("full")),
    ]);
    vec![("list", Fate::Members(vec![("code", Fate::Text), ("row", row)]))]
}

fn plan_of_all() -> Arc<Plan> {
    let fields = catalogue(
        "name:string urn:string phone:string size:number addr.city:string addr.id:number addr.ref:string \
         mail.text:string mail.kind:string any:object id:string note:string",
    );
    let mut shape = xml("list.row", "list.code");
    let namespace = || Some("urn:a".into());
    for (field, name) in [
        ("urn", XmlName::Element { namespace: namespace(), local: "name".into() }),
        ("addr.id", attribute("id")),
        ("addr.ref", XmlName::Attribute { namespace: namespace(), local: "id".into() }),
        ("mail.text", XmlName::Text),
        ("mail.kind", attribute("kind")),
        ("id", attribute("id")),
    ] {
        shape.xml.fields.insert(path(field), name);
    }
    let free = "name urn:full phone:mobile size addr.city addr.id addr.ref:full mail.text:email mail.kind any:full id:full";
    compile(&shape, &released(free), &fields).unwrap()
}

fn fate<'f>(of: &'f [(&'static str, Fate)], name: &str) -> Option<&'f Fate> {
    of.iter().find(|(other, _)| *other == name).map(|(_, fate)| fate)
}

/// What of a text leaves under a fate.
fn left(fate: &Fate, text: &str) -> String {
    match fate {
        Fate::Text => text.to_owned(),
        Fate::Masked(_) | Fate::Number if text.is_empty() => String::new(),
        Fate::Masked(masker) => {
            let mut out = Vec::new();
            masker.apply(Value::Text(text), None, &mut out);
            serde_json::from_slice(&out).unwrap()
        }
        Fate::Number => {
            let number = text.trim_matches([' ', '\t', '\r', '\n']);
            let is_number = number.chars().any(|c| c.is_ascii_digit())
                && number.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c))
                && number.parse::<f64>().is_ok();
            if is_number { text.to_owned() } else { String::new() }
        }
        Fate::Members(_) | Fate::Nothing => String::new(),
    }
}

/// What of an element leaves, without white space between members.
fn leaves(element: &Element, fate_of: &Fate) -> Element {
    let mut out = Element { name: element.name.clone(), ..Element::default() };
    match fate_of {
        Fate::Members(members) => {
            for (name, value) in &element.attributes {
                if let Some(fate) = fate(members, &format!("@{name}")) {
                    out.attributes.push((name.clone(), left(fate, value)));
                }
            }
            if let Some(text) = fate(members, ".") {
                if element.elements().next().is_none() {
                    out.push_text(&left(text, &element.text()));
                }
                return out;
            }
            for child in element.elements() {
                if let Some(fate) = fate(members, &child.name) {
                    out.content.push(Node::Element(leaves(child, fate)));
                }
            }
        }
        Fate::Text => out.push_text(&element.text()),
        Fate::Number | Fate::Masked(_) | Fate::Nothing => {
            if element.elements().next().is_none() {
                out.push_text(&left(fate_of, &element.text()));
            }
        }
    }
    out
}

/// What is left of a document has nothing but white space between members.
fn without_space(element: &Element, fate_of: &Fate) -> Element {
    let mut out = element.clone();
    if let Fate::Members(members) = fate_of
        && fate(members, ".").is_none()
    {
        assert!(!element.has_text(), "text beside members in {element:?}");
        out.content = element
            .elements()
            .map(|child| Node::Element(without_space(child, fate(members, &child.name).unwrap())))
            .collect();
    }
    out
}

const NAMES: [&str; 20] = [
    "row", "row", "name", "phone", "size", "addr", "mail", "any", "note", "city", "code", "list", "a:name",
    "b:name", "Name", "c:x", "字段", "text", "id", "kind",
];

const TEXTS: [&str; 32] = [
    "",
    "a",
    "13800138000",
    "1&#x33;800138000",
    "<![CDATA[13800138000]]>",
    "138<!-- - -->00138000",
    "张三",
    "1",
    "1.5e3",
    " 7\n",
    "CANARY",
    "&lt;CANARY&gt;",
    "<![CDATA[<CANARY>]]>",
    "<?CANARY?>",
    "<!--CANARY-->",
    "a@b.cn",
    "x]]&gt;",
    "<![CDATA[]]]]>",
    "]",
    "]]",
    "&amp;amp;",
    "&#13;\r\n",
    "\r",
    "<![CDATA[a\r\nb]]>",
    "\u{10ffff}",
    "&#10;",
    "  ",
    "a long text without anything to stop at, so that vectors see it: 0123456789012345678901234567890123456789",
    "\"'",
    "－",
    "abc<!---->@<?x ??>b.cn",
    "<![CDATA[]]>",
];

const ATTRIBUTES: [&str; 18] = [
    "",
    "",
    "",
    " id='1'",
    " id=\"CANARY\"",
    " a:id='13800138000'",
    " kind='k&quot;'",
    "\n x = 'CANARY'",
    " xmlns=''",
    " xmlns='urn:a'",
    " xmlns:a='urn:b'",
    " xmlns:b='urn:&#97;'",
    " xmlns:c='urn:CANARY'",
    " id='a>b' kind=\"'\"",
    " xml:lang='zh'",
    " id='&#49;\t2\r\n3'",
    " id='' a:id=''",
    " xmlns='urn:CANARY'",
];

fn spaces() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => select(vec![" ", "\n  ", "\t", "\r\n"])]
}

fn element() -> impl Strategy<Value = String> {
    let tag = || (select(NAMES.to_vec()), select(ATTRIBUTES.to_vec()), spaces());
    let texts = proptest::collection::vec(select(TEXTS.to_vec()), 0..4).prop_map(|all| all.concat());
    let leaf = prop_oneof![
        4 => (tag(), texts).prop_map(|((name, attributes, space), text)| {
            format!("<{name}{attributes}{space}>{text}</{name}{space}>")
        }),
        1 => tag().prop_map(|(name, attributes, space)| format!("<{name}{attributes}{space}/>")),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let part = prop_oneof![5 => inner, 1 => select(TEXTS.to_vec()).prop_map(str::to_owned)];
        let content = proptest::collection::vec((spaces(), part), 0..6);
        (tag(), content, spaces()).prop_map(|((name, attributes, space), content, end)| {
            let content: String = content.into_iter().map(|(space, part)| format!("{space}{part}")).collect();
            format!("<{name}{attributes}{space}>{content}{end}</{name}>")
        })
    })
}

fn document() -> impl Strategy<Value = String> {
    let rows = proptest::collection::vec((spaces(), element()), 0..4);
    let row = (select(ATTRIBUTES.to_vec()), rows, spaces()).prop_map(|(attributes, content, end)| {
        let content: String = content.into_iter().map(|(space, part)| format!("{space}{part}")).collect();
        format!("<row{attributes}>{content}{end}</row>")
    });
    let front = select(vec![
        "",
        "<?xml version='1.0'?>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<!-- a -->\n",
    ]);
    let back = select(vec!["", "\n", "<!-- CANARY -->", "<?CANARY?> "]);
    let around = select(vec!["", " xmlns:d='urn:d'", " xmlns:a='urn:c'", " CANARY='CANARY'"]);
    (front, around, proptest::collection::vec((spaces(), row), 0..3), back).prop_map(|(front, around, rows, back)| {
        let rows: String = rows.into_iter().map(|(space, row)| format!("{space}{row}")).collect();
        format!("{front}<list xmlns:a='urn:a' xmlns:b='urn:b' xmlns:c='urn:c'{around}><code>0</code>{rows}\n</list>{back}")
            .replacen(" xmlns:a='urn:a' xmlns:b='urn:b' xmlns:c='urn:c' xmlns:a", " xmlns:b='urn:b' xmlns:c='urn:c' xmlns:a", 1)
    })
}

/// A document with some of its bytes gone, doubled or replaced by what markup is made of.
fn mutated() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "<",
        ">",
        "/",
        "&",
        ";",
        "'",
        "\"",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "--",
        "<?",
        "?>",
        "=",
        " ",
        "xmlns",
        ":",
        "&#",
        "x",
        "\u{1}",
        "\u{fffe}",
        "</row>",
        "<row>",
        "!",
        "]",
        "<!D",
        "字",
        "CANARY",
        "",
    ]);
    let change = (any::<prop::sample::Index>(), 0..12_usize, piece);
    (document(), proptest::collection::vec(change, 1..4)).prop_map(|(document, changes)| {
        let mut text: Vec<char> = document.chars().collect();
        for (at, count, piece) in changes {
            let at = at.index(text.len() + 1);
            let end = (at + count.saturating_sub(6)).min(text.len());
            text.splice(at..end, piece.chars());
        }
        text.into_iter().collect()
    })
}

/// Where to cut a body.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(prop_oneof![3 => 1..9_usize, 1 => 9..200_usize], 1..20)
}

fn pieces<'b>(body: &'b [u8], sizes: &[usize]) -> Vec<&'b [u8]> {
    let mut rest = body;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The same whole, byte by byte and cut anywhere.
fn run_cut(plan: &Arc<Plan>, body: &str, sizes: &[usize]) -> Result<String, MaskError> {
    let told = |result: Result<(Vec<u8>, Summary), MaskError>| {
        result.map(|(out, summary)| {
            let fields: Vec<String> = summary.fields().map(|count| format!("{count:?}")).collect();
            (String::from_utf8(out).unwrap(), fields, summary.records(), summary.unclassified())
        })
    };
    let bytes = body.as_bytes();
    let whole = told(run_pieces(plan, Bounds::default(), [bytes]));
    assert_eq!(told(run_pieces(plan, Bounds::default(), bytes.chunks(1))), whole, "byte by byte: {body}");
    assert_eq!(told(run_pieces(plan, Bounds::default(), pieces(bytes, sizes))), whole, "{sizes:?}: {body}");
    whole.map(|(out, ..)| out)
}

fn check(body: &str, sizes: &[usize]) -> Result<(), TestCaseError> {
    let identity = run_cut(&identity(), body, sizes);
    let masked = run_cut(&plan_of_all(), body, sizes);
    let Ok(same) = identity else {
        prop_assert_eq!(masked.map_err(|_| ()), Err(()), "{}", body);
        return Ok(());
    };
    // What is accepted means the same to another reader, and nothing but comments and instructions goes.
    let tree = read(body);
    prop_assert!(tree.is_some(), "accepted, but quick-xml refuses: {}", body);
    let tree = tree.unwrap();
    prop_assert_eq!(read(&same), Some(tree.clone()), "{}", body);
    if !body.contains("<!--") && !body.contains("<?") {
        prop_assert_eq!(&same, body);
    }
    let fates = fates();
    let Some(root) = fate(&fates, &tree.name) else {
        prop_assert!(matches!(masked, Err(MaskError::DocumentElement { .. })), "{}", body);
        return Ok(());
    };
    let Ok(masked) = masked else { return Err(TestCaseError::fail(format!("{masked:?}: {body}"))) };
    let out =
        read(&masked).ok_or_else(|| TestCaseError::fail(format!("not XML any more: {masked} was {body}")))?;
    prop_assert_eq!(without_space(&out, root), leaves(&tree, root), "{} was {}", masked, body);
    prop_assert_eq!(run_cut(&super::identity(), &masked, sizes), Ok(masked));
    Ok(())
}

#[test]
fn what_is_generated_is_accepted_and_holds_what_is_looked_for() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut accepted, mut masked) = (0, 0);
    for _ in 0..200 {
        let body = document().new_tree(&mut runner).unwrap().current();
        if let Ok((_, summary)) = run_pieces(&plan_of_all(), Bounds::default(), [body.as_bytes()]) {
            accepted += 1;
            masked += summary.masked();
        }
    }
    assert!(accepted > 100 && masked > 100, "{accepted} accepted, {masked} masked");
}

proptest! {
    #[test]
    fn documents_leave_as_the_reference_says(body in document(), sizes in cuts()) {
        check(&body, &sizes)?;
    }

    #[test]
    fn what_is_no_document_any_more_is_refused_or_read_as_it_is(body in mutated(), sizes in cuts()) {
        check(&body, &sizes)?;
    }

    #[test]
    fn whatever_is_read_memory_stays_small(body in mutated(), size in 1..300_usize) {
        let mut transform = Transform::new(plan_of_all(), Bounds::default());
        let mut out = Vec::new();
        for piece in body.as_bytes().chunks(size) {
            if transform.push(piece, &mut out).is_err() {
                break;
            }
            prop_assert!(transform.footprint() < 16 << 10);
        }
    }
}
