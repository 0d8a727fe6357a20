//! The engine as a whole: bodies in, bodies out.

mod charsets;
mod differential;
mod egress;
mod hostile;
mod memory;
mod plans;
mod reference;
mod refusing;
mod suite;
mod xml;

use std::sync::Arc;

use crate::catalog::{
    BodyFormat, BodyShape, Delimiter, Egress, Field, FieldType, Level, NameMatching, XmlNames,
};
use crate::grant::{ReleasedField, Treatment};
use crate::kernel::id::{DepartmentId, FieldPath, KeyLabel, MaskerName, ResourceId};
use crate::kernel::secret::Secret;

use super::{
    Bounds, Lanes, MaskError, Masker, Maskers, Plan, PlanError, PlanSpec, PseudonymKey, Summary, Transform,
};

pub(super) fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap()
}

/// Where the records lie, and space-separated envelope members.
pub(super) fn shape(records: Option<&str>, envelope: &str) -> BodyShape {
    BodyShape {
        format: BodyFormat::Json,
        delimiter: Delimiter::Comma,
        names: NameMatching::Exact,
        records: records.map(path),
        envelope: envelope.split_whitespace().map(path).collect(),
        xml: XmlNames::default(),
    }
}

/// Fields, each written as `path:type` or `path:type:masker`.
pub(super) fn catalogue(text: &str) -> Vec<Field> {
    let field = |text: &str| {
        let mut parts = text.split(':');
        let path = path(parts.next().unwrap());
        let kind = match parts.next().unwrap() {
            "string" => FieldType::String,
            "number" => FieldType::Number,
            "boolean" => FieldType::Boolean,
            "date" => FieldType::Date,
            "object" => FieldType::Object,
            other => panic!("no type {other}"),
        };
        Field {
            label: path.to_string(),
            path,
            kind,
            level: Level::new(1).unwrap(),
            mask: parts.next().map(|name| MaskerName::parse(name).unwrap()),
            source: None,
            nested: false,
        }
    };
    text.split_whitespace().map(field).collect()
}

/// Released fields, each written as `path` (clear) or `path:masker`.
pub(super) fn released(text: &str) -> Vec<ReleasedField> {
    let field = |text: &str| {
        let (name, treatment) = match text.split_once(':') {
            Some((name, masker)) => (name, Treatment::Masked(MaskerName::parse(masker).unwrap())),
            None => (text, Treatment::Clear),
        };
        ReleasedField { path: path(name), treatment }
    };
    text.split_whitespace().map(field).collect()
}

/// Built-in maskers, one with bands and one with ends.
pub(super) fn maskers() -> Maskers {
    let mut maskers = Maskers::builtin();
    for (name, method, parameters) in
        [("band", "bucket", [("edges", "10,100")]), ("first", "keep-first", [("count", "2")])]
    {
        maskers
            .insert(MaskerName::parse(name).unwrap(), Masker::parse(method, &parameters).unwrap())
            .unwrap();
    }
    maskers
}

pub(super) fn compile(
    shape: &BodyShape,
    fields: &[ReleasedField],
    catalogue: &[Field],
) -> Result<Arc<Plan>, PlanError> {
    let secret = Secret::new(*b"a secret of enough bytes for it!");
    let department = DepartmentId::parse("dept:minzheng").unwrap();
    let resource = ResourceId::parse("population.resident").unwrap();
    let label = KeyLabel::default();
    let key = PseudonymKey { secret: &secret, label: &label, department: &department, resource: &resource };
    let maskers = maskers();
    Plan::compile(&PlanSpec { shape, fields, catalogue, maskers: &maskers, key: Some(key), egress: None })
        .map(Arc::new)
}

/// A plan that searches what leaves as it is.
pub(super) fn compile_searching(
    shape: &BodyShape,
    fields: &str,
    catalogue: &[Field],
    egress: Egress,
) -> Arc<Plan> {
    let (fields, maskers) = (released(fields), maskers());
    let spec =
        PlanSpec { shape, fields: &fields, catalogue, maskers: &maskers, key: None, egress: Some(egress) };
    Arc::new(Plan::compile(&spec).unwrap())
}

/// A plan for bodies that may hold what is released and nothing else.
pub(super) fn compile_refusing(shape: &BodyShape, fields: &str, catalogue: &[Field]) -> Arc<Plan> {
    let (fields, maskers) = (released(fields), maskers());
    let spec = PlanSpec { shape, fields: &fields, catalogue, maskers: &maskers, key: None, egress: None };
    Arc::new(Plan::refusing(&spec).unwrap())
}

/// What a body in these pieces becomes, the same on all vectors of this processor.
pub(super) fn run_pieces<'b>(
    plan: &Arc<Plan>,
    bounds: Bounds,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> Result<(Vec<u8>, Summary), MaskError> {
    let pieces: Vec<&[u8]> = pieces.into_iter().collect();
    let run = |lanes| run_on(lanes, plan, bounds, &pieces);
    let told = |result: &Result<(Vec<u8>, Summary), MaskError>| match result {
        Ok((out, summary)) => Ok((String::from_utf8_lossy(out).into_owned(), counts(summary))),
        Err(error) => Err(*error),
    };
    let words = run(Lanes::WORDS);
    for lanes in Lanes::available() {
        assert_eq!(told(&run(lanes)), told(&words), "on {}", lanes.name());
    }
    words
}

/// All that a summary counts, in words.
fn counts(summary: &Summary) -> String {
    let fields: Vec<_> = summary.fields().collect();
    let Summary { bytes_in, bytes_out, .. } = summary;
    format!("{bytes_in} {bytes_out} {} {} {fields:?}", summary.records(), summary.unclassified())
}

fn run_on(
    lanes: Lanes,
    plan: &Arc<Plan>,
    bounds: Bounds,
    pieces: &[&[u8]],
) -> Result<(Vec<u8>, Summary), MaskError> {
    let mut transform = Transform::new(Arc::clone(plan), bounds).on(lanes);
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(error) = transform.push(piece, &mut out) {
            let before = out.len();
            assert_eq!(transform.push(b" ", &mut out), Err(error), "an error is final");
            assert_eq!(transform.finish(&mut out).map(|_| ()), Err(error), "an error is final");
            assert_eq!(out.len(), before);
            return Err(error);
        }
    }
    let summary = transform.finish(&mut out)?;
    assert_eq!(summary.bytes_out, u64::try_from(out.len()).unwrap());
    Ok((out, summary))
}

/// What a body becomes, the same however it is cut: whole, at every byte, and byte by byte.
pub(super) fn run_all(plan: &Arc<Plan>, bounds: Bounds, body: &[u8]) -> Result<(String, Summary), MaskError> {
    let whole = run_pieces(plan, bounds, [body]);
    let told = |result: &Result<(Vec<u8>, Summary), MaskError>| match result {
        Ok((out, summary)) => Ok((String::from_utf8_lossy(out).into_owned(), counts(summary))),
        Err(error) => Err(*error),
    };
    let shown = String::from_utf8_lossy(body);
    for at in 0..=body.len() {
        let (front, back) = body.split_at(at);
        let cut = run_pieces(plan, bounds, [front, back]);
        assert_eq!(told(&cut), told(&whole), "cut at {at}: {shown}");
    }
    for size in [1, 2, 3, 7] {
        assert_eq!(told(&run_pieces(plan, bounds, body.chunks(size))), told(&whole), "by {size}: {shown}");
    }
    whole.map(|(out, summary)| (String::from_utf8(out).unwrap(), summary))
}

/// [`run_all`] within the default bounds, the output only.
pub(super) fn run(plan: &Arc<Plan>, body: &str) -> Result<String, MaskError> {
    run_all(plan, Bounds::default(), body.as_bytes()).map(|(out, _)| out)
}
