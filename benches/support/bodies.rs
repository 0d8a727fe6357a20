//! The bodies and the plan of every figure about masking: records of ten fields, of which eight leave, two
//! of them masked.
#![expect(clippy::expect_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::fmt::Write as _;
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pinegate::catalog::{BodyFormat, BodyShape, Delimiter, Field, FieldType, Level, NameMatching, XmlNames};
use pinegate::grant::{ReleasedField, Treatment};
use pinegate::kernel::id::{FieldPath, MaskerName};
use pinegate::mask::{Maskers, Plan, PlanSpec};

/// How the texts of a body are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Ascii,
    Chinese,
    /// Chinese by `\u` escapes alone.
    Escaped,
}

/// The fields of a record, in the order in which they are written.
pub(crate) const FIELDS: [(&str, FieldType, How); 10] = [
    ("id", FieldType::Number, How::Clear),
    ("name", FieldType::String, How::Clear),
    ("id_card", FieldType::String, How::Masked("resident-id")),
    ("phone", FieldType::String, How::Masked("mobile")),
    ("email", FieldType::String, How::Dropped),
    ("address", FieldType::String, How::Clear),
    ("birth", FieldType::Date, How::Clear),
    ("balance", FieldType::Number, How::Clear),
    ("active", FieldType::Boolean, How::Clear),
    ("remark", FieldType::String, How::Dropped),
];

/// What the permit says of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Clear,
    Masked(&'static str),
    Dropped,
}

/// A body of about `size` bytes in the usual envelope.
pub(crate) fn json(size: usize, text: Text) -> Vec<u8> {
    let mut body = String::from("{\"code\":0,\"message\":\"ok\",\"data\":[");
    let mut index = 0;
    while body.len() + 320 < size || index == 0 {
        body.push_str(if index > 0 { "," } else { "" });
        write_object(&mut body, index, text);
        index += 1;
    }
    write!(body, "],\"total\":{index}}}").expect("a text takes everything");
    body.into_bytes()
}

/// The record as a JSON object.
fn write_object(body: &mut String, index: u64, text: Text) {
    for (place, ((name, kind, _), value)) in FIELDS.iter().zip(values(index, text)).enumerate() {
        let before = if place > 0 { ',' } else { '{' };
        let quote = if matches!(kind, FieldType::Number | FieldType::Boolean) { "" } else { "\"" };
        write!(body, "{before}\"{name}\":{quote}{value}{quote}").expect("a text takes everything");
    }
    body.push('}');
}

/// The same records as an event stream, one an event.
pub(crate) fn events(size: usize, text: Text) -> Vec<u8> {
    let mut body = String::new();
    let mut index = 0;
    while body.len() + 320 < size || index == 0 {
        body.push_str("data: ");
        write_object(&mut body, index, text);
        body.push_str("\n\n");
        index += 1;
    }
    body.into_bytes()
}

/// The pairs of many such records as one form, which has one record but may be long.
pub(crate) fn form(size: usize, text: Text) -> Vec<u8> {
    let mut body = String::new();
    let mut index = 0;
    while body.len() + 320 < size || index == 0 {
        for ((name, ..), value) in FIELDS.iter().zip(values(index, text)) {
            let joint = if body.is_empty() { "" } else { "&" };
            write!(body, "{joint}{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC))
                .expect("a text takes everything");
        }
        index += 1;
    }
    body.into_bytes()
}

/// The same records in CSV.
pub(crate) fn csv(size: usize, text: Text) -> Vec<u8> {
    let mut body = FIELDS.map(|(name, ..)| name).join(",");
    let mut index = 0;
    while body.len() + 220 < size || index == 0 {
        let values = values(index, text).map(|value| match value.contains(',') {
            true => format!("\"{value}\""),
            false => value,
        });
        write!(body, "\n{}", values.join(",")).expect("a text takes everything");
        index += 1;
    }
    body.push('\n');
    body.into_bytes()
}

/// The same records in XML, as elements without white space between them.
pub(crate) fn xml(size: usize, text: Text) -> Vec<u8> {
    let mut body = String::from("<list>");
    let mut index = 0;
    while body.len() + 420 < size || index == 0 {
        body.push_str("<row>");
        for ((name, ..), value) in FIELDS.iter().zip(values(index, text)) {
            write!(body, "<{name}>{value}</{name}>").expect("a text takes everything");
        }
        body.push_str("</row>");
        index += 1;
    }
    body.push_str("</list>\n");
    body.into_bytes()
}

/// The values of one record.
pub(crate) fn values(index: u64, text: Text) -> [String; 10] {
    let (name, address, remark) = match text {
        Text::Chinese => ("欧阳建国", "安徽省黄山市屯溪区前园北路12号3单元502室", "已核验，材料齐全"),
        Text::Escaped => (
            r"\u6b27\u9633\u5efa\u56fd",
            r"\u5b89\u5fbd\u7701\u9ec4\u5c71\u5e02\u5c6f\u6eaa\u533a",
            r"\u5df2\u6838\u9a8c\uff0c\u6750\u6599\u9f50\u5168",
        ),
        Text::Ascii => {
            ("Ouyang Jianguo", "No. 12 Qianyuan North Road, Tunxi, Huangshan", "verified, complete")
        }
    };
    [
        index.to_string(),
        name.to_owned(),
        "11010519491231002X".to_owned(),
        format!("138{:08}", index % 100_000_000),
        format!("user{index}@example.cn"),
        address.to_owned(),
        "1949-12-31".to_owned(),
        format!("{}.50", index % 1_000),
        index.is_multiple_of(2).to_string(),
        remark.to_owned(),
    ]
}

/// What leaves of such a body in a format.
pub(crate) fn plan(format: BodyFormat) -> Arc<Plan> {
    let path = |text: &str| FieldPath::parse(text).expect("a path");
    let in_envelope = format == BodyFormat::Json;
    let place = if format == BodyFormat::Xml { Some("list.row") } else { in_envelope.then_some("data") };
    plan_of(&BodyShape {
        format,
        delimiter: Delimiter::Comma,
        xml: XmlNames::default(),
        names: NameMatching::Exact,
        records: place.map(path),
        envelope: if in_envelope { ["code", "message", "total"].map(path).into() } else { Vec::new() },
    })
}

/// What leaves of such a body in another shape.
pub(crate) fn plan_of(shape: &BodyShape) -> Arc<Plan> {
    let path = |text: &str| FieldPath::parse(text).expect("a path");
    let field = |(name, kind, _): (&str, FieldType, How)| Field {
        path: path(name),
        label: name.to_owned(),
        kind,
        level: Level::new(1).expect("a level"),
        mask: None,
        source: None,
        nested: false,
    };
    let catalogue: Vec<Field> = FIELDS.map(field).into();
    let released: Vec<ReleasedField> = FIELDS
        .into_iter()
        .filter_map(|(name, _, how)| {
            let treatment = match how {
                How::Clear => Treatment::Clear,
                How::Masked(masker) => Treatment::Masked(MaskerName::parse(masker).expect("a masker")),
                How::Dropped => return None,
            };
            Some(ReleasedField { path: path(name), treatment })
        })
        .collect();
    let maskers = Maskers::builtin();
    let spec = PlanSpec {
        shape,
        fields: &released,
        catalogue: &catalogue,
        maskers: &maskers,
        key: None,
        egress: None,
    };
    Arc::new(Plan::compile(&spec).expect("a plan"))
}
