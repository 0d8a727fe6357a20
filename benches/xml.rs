//! How fast XML is masked: records of ten fields, of which eight leave, two of them masked.
//!
//! The fields are those of the bench `mask`. Throughput counts bytes in.
#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

#[path = "support/bodies.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod bodies;

use std::hint::black_box;
use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{Bencher, Divan};
use pinegate::catalog::{BodyFormat, BodyShape, Delimiter, NameMatching, XmlName, XmlNames};
use pinegate::kernel::id::FieldPath;
use pinegate::mask::{Bounds, Plan, Transform};
use quick_xml::events::Event;

use bodies::FIELDS;

fn main() {
    Divan::from_args().main();
}

const KIB: usize = 1 << 10;
const SIZES: [usize; 3] = [KIB, 16 * KIB, KIB * KIB];
/// The pieces that a body arrives in.
const PIECE: usize = 64 * KIB;
const NAMESPACE: &str = "urn:example:person";

#[derive(Clone, Copy)]
enum Text {
    Ascii,
    Chinese,
    Pretty,
    /// With a prefix on every name.
    Namespaced,
    /// All fields but two are attributes.
    Attributes,
}

impl Text {
    fn prefix(self) -> &'static str {
        if let Self::Namespaced = self { "p:" } else { "" }
    }
}

fn body(size: usize, text: Text) -> Vec<u8> {
    let p = text.prefix();
    let space = if let Text::Pretty = text { "\n  " } else { "" };
    let declaration = if p.is_empty() { String::new() } else { format!(" xmlns:p=\"{NAMESPACE}\"") };
    let mut body = format!("<{p}reply{declaration}>{space}<{p}code>0</{p}code>{space}<{p}data>");
    let mut index = 0_u64;
    while body.len() + 480 < size || index == 0 {
        body.push_str(&record(index, text));
        index += 1;
    }
    body.push_str(&format!("{space}</{p}data>{space}<{p}total>{index}</{p}total></{p}reply>"));
    body.into_bytes()
}

fn record(index: u64, text: Text) -> String {
    let words = if let Text::Chinese = text { bodies::Text::Chinese } else { bodies::Text::Ascii };
    let fields = bodies::values(index, words);
    let fields = FIELDS.iter().map(|(name, ..)| *name).zip(&fields);
    if let Text::Attributes = text {
        let attribute = |(name, value): (&str, &String)| format!(" {name}=\"{value}\"");
        return format!("<person{}/>", fields.map(attribute).collect::<String>());
    }
    let (p, space) = (text.prefix(), if let Text::Pretty = text { "\n      " } else { "" });
    let element = |(name, value): (&str, &String)| format!("{space}<{p}{name}>{value}</{p}{name}>");
    let elements: String = fields.map(element).collect();
    let (before, after) = if let Text::Pretty = text { ("\n    ", "\n    ") } else { ("", "") };
    format!("{before}<{p}person>{elements}{after}</{p}person>")
}

fn plan(text: Text) -> Arc<Plan> {
    let path = |text: &str| FieldPath::parse(text).unwrap();
    let mut xml = XmlNames::default();
    if let Text::Namespaced = text {
        xml.default = Some(NAMESPACE.into());
    }
    if let Text::Attributes = text {
        let attribute = |name: &str| XmlName::Attribute { namespace: None, local: name.into() };
        xml.fields = FIELDS.iter().map(|(name, ..)| (path(name), attribute(name))).collect();
    }
    bodies::plan_of(&BodyShape {
        format: BodyFormat::Xml,
        delimiter: Delimiter::Comma,
        names: NameMatching::Exact,
        records: Some(path("reply.data.person")),
        envelope: ["reply.code", "reply.total"].map(path).into(),
        xml,
    })
}

/// One body through `plan`, in pieces, into a buffer that is emptied after each.
fn transform(plan: &Arc<Plan>, body: &[u8], out: &mut Vec<u8>) {
    let mut transform = Transform::new(Arc::clone(plan), Bounds::default());
    for piece in body.chunks(PIECE) {
        transform.push(piece, out).unwrap();
        black_box(&*out);
        out.clear();
    }
    transform.finish(out).unwrap();
    out.clear();
}

fn measure(bencher: Bencher<'_, '_>, size: usize, text: Text) {
    let (plan, body) = (plan(text), body(size, text));
    let mut out = Vec::with_capacity(2 * PIECE);
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| transform(&plan, black_box(&body), &mut out));
}

#[divan::bench(args = SIZES)]
fn ascii(bencher: Bencher<'_, '_>, size: usize) {
    measure(bencher, size, Text::Ascii);
}

#[divan::bench(args = SIZES)]
fn chinese(bencher: Bencher<'_, '_>, size: usize) {
    measure(bencher, size, Text::Chinese);
}

#[divan::bench(args = SIZES)]
fn pretty(bencher: Bencher<'_, '_>, size: usize) {
    measure(bencher, size, Text::Pretty);
}

#[divan::bench(args = SIZES)]
fn namespaced(bencher: Bencher<'_, '_>, size: usize) {
    measure(bencher, size, Text::Namespaced);
}

#[divan::bench(args = SIZES)]
fn attributes(bencher: Bencher<'_, '_>, size: usize) {
    measure(bencher, size, Text::Attributes);
}

/// For scale: quick-xml's reader into its writer, nothing masked, dropped or checked.
#[divan::bench(args = SIZES)]
fn quick_xml_copy(bencher: Bencher<'_, '_>, size: usize) {
    let body = String::from_utf8(body(size, Text::Ascii)).unwrap();
    let mut out = Vec::with_capacity(body.len());
    bencher.counter(BytesCount::of_str(&body)).bench_local(|| {
        out.clear();
        let mut reader = quick_xml::Reader::from_str(black_box(&body));
        let mut writer = quick_xml::Writer::new(&mut out);
        loop {
            let event = reader.read_event().unwrap();
            if event == Event::Eof {
                break;
            }
            writer.write_event(event).unwrap();
        }
        black_box(&out);
    });
}

/// For scale: what memory allows.
#[divan::bench(args = SIZES)]
fn copy(bencher: Bencher<'_, '_>, size: usize) {
    let body = body(size, Text::Ascii);
    let mut out = Vec::with_capacity(body.len());
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| {
        out.clear();
        out.extend_from_slice(black_box(&body));
        black_box(&out);
    });
}
