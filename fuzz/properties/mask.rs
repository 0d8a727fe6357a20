//! What the properties of all body formats share: how an input is laid out, how a plan is made, the
//! ways in which a body is run, and what holds whatever the format.
//!
//! Input: one byte chooses the plan, three bytes say where the body is cut, the rest is the body.
//! A `~` in the body stands for the secret, so that it is easy to plant.

use std::sync::Arc;

use pinegate::catalog::{BodyFormat, BodyShape, Delimiter, Field, FieldType, Level, NameMatching, XmlNames};
use pinegate::grant::{ReleasedField, Treatment};
use pinegate::kernel::id::{FieldPath, MaskerName};
use pinegate::mask::{Bounds, Lanes, MaskError, Maskers, Plan, PlanSpec, Transform};

/// What must not leave but through a text that is released clear.
pub(crate) const SECRET: &str = "CANARY";

/// Fields and their types, and how each leaves: `clear`, by a masker, or not at all. An object with
/// members below it is a text that holds a JSON document.
pub(crate) type Fields = &'static [(&'static str, FieldType, Option<&'static str>)];

/// One input, or a body that was made from one.
pub(crate) struct Input {
    pub(crate) choice: usize,
    cuts: [usize; 3],
    pub(crate) body: Vec<u8>,
}

impl Input {
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let [choice, first, second, third, body @ ..] = data else { return None };
        let mut planted = Vec::with_capacity(body.len());
        for byte in body {
            match byte {
                b'~' => planted.extend_from_slice(SECRET.as_bytes()),
                _ => planted.push(*byte),
            }
        }
        let mut cuts = [first, second, third].map(|cut| usize::from(*cut) * (planted.len() + 1) / 256);
        cuts.sort_unstable();
        Some(Self { choice: usize::from(*choice), cuts, body: planted })
    }

    /// A body that is not cut but at every byte.
    pub(crate) fn whole(body: Vec<u8>) -> Self {
        Self { choice: 0, cuts: [0; 3], body }
    }
}

/// What left, and what is counted.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) out: Vec<u8>,
    pub(crate) records: u64,
    masked: u64,
    dropped: u64,
    unclassified: u64,
}

impl Outcome {
    /// Whether nothing was masked or dropped, by what is counted.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.masked + self.dropped + self.unclassified == 0
    }
}

/// A body of this format that is a record, or records, and nothing else; names letter for letter.
pub(crate) fn shape(format: BodyFormat) -> BodyShape {
    BodyShape {
        format,
        delimiter: Delimiter::Comma,
        xml: XmlNames::default(),
        names: NameMatching::Exact,
        records: None,
        envelope: Vec::new(),
    }
}

/// The plan under which these fields leave from bodies of this shape.
pub(crate) fn plan(shape: &BodyShape, fields: Fields) -> Arc<Plan> {
    let catalogue: Vec<Field> = fields
        .iter()
        .map(|(name, kind, _)| Field {
            path: path(name),
            label: (*name).to_owned(),
            kind: *kind,
            level: Level::new(1).unwrap(),
            mask: None,
            source: None,
            nested: *kind == FieldType::Object && fields.iter().any(|(other, ..)| is_below(other, name)),
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
    let spec = PlanSpec {
        shape,
        fields: &released,
        catalogue: &catalogue,
        maskers: &maskers,
        key: None,
        egress: None,
    };
    Arc::new(Plan::compile(&spec).unwrap())
}

pub(crate) fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap()
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether no text at all leaves as it is.
pub(crate) fn is_sealed(fields: Fields) -> bool {
    let is_text = |kind: FieldType| matches!(kind, FieldType::String | FieldType::Date);
    fields.iter().all(|(_, kind, how)| !is_text(*kind) || *how != Some("clear"))
}

/// Whether what leaves is as it was: nothing is masked, though something may be dropped.
pub(crate) fn is_clear(fields: Fields) -> bool {
    fields.iter().all(|(.., how)| matches!(how, None | Some("clear" | "drop")))
}

/// What becomes of a body under a plan: the same on whatever vectors it is walked with, however it is cut.
pub(crate) fn outcome(plan: &Arc<Plan>, bounds: Bounds, input: &Input) -> Result<Outcome, MaskError> {
    let body = &*input.body;
    let whole = run(plan, bounds, Lanes::WORDS, [body]);
    let (head, rest) = body.split_at(input.cuts[0]);
    let (second, rest) = rest.split_at(input.cuts[1] - input.cuts[0]);
    let (third, tail) = rest.split_at(input.cuts[2] - input.cuts[1]);
    for lanes in Lanes::available() {
        let name = lanes.name();
        assert_eq!(run(plan, bounds, lanes, [body]), whole, "{name}, whole");
        let pieces = [head, second, third, tail];
        assert_eq!(run(plan, bounds, lanes, pieces), whole, "{name}, cut at {:?}", input.cuts);
        assert_eq!(run(plan, bounds, lanes, body.chunks(1)), whole, "{name}, byte by byte");
    }
    if let Ok(whole) = &whole {
        assert!(bounds.records.is_none_or(|max| whole.records <= max), "too many records left");
    }
    whole
}

/// What left of a body whose fields all leave clear, or not at all, leaves as it is.
pub(crate) fn check_again(plan: &Arc<Plan>, bounds: Bounds, once: &Outcome) {
    let twice = run(plan, bounds, Lanes::best(), [&*once.out]);
    let same =
        Outcome { out: once.out.clone(), records: once.records, masked: 0, dropped: 0, unclassified: 0 };
    assert_eq!(twice, Ok(same), "what left does not leave again as it is");
}

pub(crate) fn contains_secret(out: &[u8]) -> bool {
    out.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}

/// A name as it is compared where case does not count: letters in lower case, full-width forms as the
/// characters they stand for.
pub(crate) fn fold(name: &str) -> String {
    let wide = '\u{ff01}'..='\u{ff5e}';
    let narrow = name
        .chars()
        .map(|c| if wide.contains(&c) { char::from_u32(u32::from(c) - 0xff01 + 0x21).unwrap() } else { c });
    narrow.flat_map(char::to_lowercase).collect()
}

fn run<'b>(
    plan: &Arc<Plan>,
    bounds: Bounds,
    lanes: Lanes,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> Result<Outcome, MaskError> {
    let mut transform = Transform::new(Arc::clone(plan), bounds).on(lanes);
    let mut out = Vec::new();
    for piece in pieces {
        let before = out.len();
        if let Err(error) = transform.push(piece, &mut out) {
            assert_eq!(transform.finish(&mut out).map(|_| ()), Err(error), "an error is final");
            assert_eq!(out.len(), before, "a piece that is refused leaves nothing");
            return Err(error);
        }
    }
    let summary = transform.finish(&mut out)?;
    assert_eq!(summary.bytes_out, u64::try_from(out.len()).unwrap());
    Ok(Outcome {
        out,
        records: summary.records(),
        masked: summary.masked(),
        dropped: summary.dropped(),
        unclassified: summary.unclassified(),
    })
}
