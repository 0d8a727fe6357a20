//! What the properties of all body formats share: how an input is laid out, how a plan is made, the
//! ways in which a body is run, and what holds whatever the format.
//!
//! Input: one byte chooses the plan, three bytes say where the body is cut, the rest is the body.
//! A `~` in the body stands for the secret, a `^` for a mobile number and a backtick for a resident ID, so
//! that they are easy to plant.

use std::fmt;
use std::sync::{Arc, LazyLock};

use pinegate::catalog::{
    BodyFormat, BodyShape, Charset, Delimiter, Egress, Field, FieldType, Level, NameMatching, XmlNames,
};
use pinegate::grant::{ReleasedField, Treatment};
use pinegate::kernel::id::{DepartmentId, FieldPath, KeyLabel, MaskerName, ResourceId};
use pinegate::kernel::secret::Secret;
use pinegate::mask::{
    Bounds, Lanes, MaskError, Masker, Maskers, Plan, PlanError, PlanSpec, PseudonymKey, Transform, Value,
};

/// What must not leave but through a text that is released clear.
pub(crate) const SECRET: &str = "CANARY";

/// What is found in values that are searched.
pub(crate) const MOBILE: &str = "13800138000";
pub(crate) const RESIDENT_ID: &str = "11010519491231002X";

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
                b'^' => planted.extend_from_slice(MOBILE.as_bytes()),
                b'`' => planted.extend_from_slice(RESIDENT_ID.as_bytes()),
                _ => planted.push(*byte),
            }
        }
        Some(Self::cut([*first, *second, *third], usize::from(*choice), planted))
    }

    /// A body that is cut at so many 256ths of its length.
    pub(crate) fn cut(cuts: [u8; 3], choice: usize, body: Vec<u8>) -> Self {
        let mut cuts = cuts.map(|cut| usize::from(cut) * (body.len() + 1) / 256);
        cuts.sort_unstable();
        Self { choice, cuts, body }
    }

    /// The pieces between the cuts.
    pub(crate) fn pieces(&self) -> [&[u8]; 4] {
        let (head, rest) = self.body.split_at(self.cuts[0]);
        let (second, rest) = rest.split_at(self.cuts[1] - self.cuts[0]);
        let (third, tail) = rest.split_at(self.cuts[2] - self.cuts[1]);
        [head, second, third, tail]
    }

    /// A body that is not cut but at every byte.
    pub(crate) fn whole(body: Vec<u8>) -> Self {
        Self { choice: 0, cuts: [0; 3], body }
    }
}

/// What left, and what is counted.
#[derive(PartialEq)]
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

/// As text, so that a failure can be read.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { out, records, masked, dropped, unclassified } = self;
        let out = String::from_utf8_lossy(out);
        write!(f, "{records} records, {masked} masked, {dropped} and {unclassified} dropped: `{out}`")
    }
}

/// What became of a body, refused or not.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) verdict: Result<Outcome, MaskError>,
    /// What had left before it was refused. How much that is depends on how it is cut: the most of it.
    pub(crate) left: Vec<u8>,
    /// What was found, in which field, and how often.
    pub(crate) findings: Vec<(String, &'static str, u64)>,
}

impl Run {
    /// All that left.
    pub(crate) fn left(&self) -> &[u8] {
        self.verdict.as_ref().map_or(&self.left, |outcome| &outcome.out)
    }

    /// The same body, cut otherwise, must become the same.
    #[track_caller]
    fn take(&mut self, other: Self, how: &dyn Fn() -> String) {
        assert_eq!(self.verdict, other.verdict, "{}", how());
        assert_eq!(self.findings, other.findings, "{}", how());
        let is_longer = self.left.len() < other.left.len();
        let (longer, shorter) = if is_longer { (&other.left, &self.left) } else { (&self.left, &other.left) };
        assert!(longer.starts_with(shorter), "{}: other bytes left before the refusal", how());
        if is_longer {
            self.left = other.left;
        }
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
    compile(shape, fields, None, Plan::compile)
}

/// The same, made in one of the ways that there are.
pub(crate) fn compile(
    shape: &BodyShape,
    fields: Fields,
    egress: Option<Egress>,
    compile: fn(&PlanSpec<'_>) -> Result<Plan, PlanError>,
) -> Arc<Plan> {
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
    let spec = PlanSpec {
        shape,
        fields: &released,
        catalogue: &catalogue,
        maskers: &MASKERS,
        key: Some(KEY.key()),
        egress,
    };
    Arc::new(compile(&spec).unwrap())
}

/// The maskers without parameters, and those that encrypt.
static MASKERS: LazyLock<Maskers> = LazyLock::new(|| {
    let mut maskers = Maskers::builtin();
    for form in ["mobile", "resident-id", "digits"] {
        let masker = Masker::parse("fpe", &[("of", form)]).unwrap();
        maskers.insert(MaskerName::parse(&format!("fpe-{form}")).unwrap(), masker).unwrap();
    }
    maskers
});

/// What keyed maskers work with.
struct Key {
    secret: Secret,
    label: KeyLabel,
    department: DepartmentId,
    resource: ResourceId,
}

static KEY: LazyLock<Key> = LazyLock::new(|| Key {
    secret: Secret::new(*b"thirty-two bytes or more, as told"),
    label: KeyLabel::parse("h1").unwrap(),
    department: DepartmentId::parse("dept:a").unwrap(),
    resource: ResourceId::parse("a.b").unwrap(),
});

impl Key {
    fn key(&self) -> PseudonymKey<'_> {
        let Self { secret, label, department, resource } = self;
        PseudonymKey { secret, label, department, resource }
    }
}

/// What a masker leaves of a text by itself; nothing if that is nothing. What left of it in a body must mean
/// that.
pub(crate) fn masked(masker: &str, field: &str, text: &str) -> Option<String> {
    let masker = MASKERS.get(&MaskerName::parse(masker).unwrap()).unwrap();
    let key = masker.fit(&KEY.key(), &path(field));
    let mut out = Vec::new();
    masker.apply(Value::Text(text), key.as_ref(), &mut out);
    serde_json::from_slice(&out).expect("a masker leaves a text or nothing")
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
    in_all_ways(plan, bounds, Charset::Utf8, input).verdict
}

/// The same, and what left of a body that was refused.
pub(crate) fn in_all_ways(plan: &Arc<Plan>, bounds: Bounds, charset: Charset, input: &Input) -> Run {
    let body = &*input.body;
    let way = |lanes| Way { plan, bounds, charset, lanes };
    let mut whole = way(Lanes::WORDS).run([body]);
    for lanes in Lanes::available() {
        let name = lanes.name();
        whole.take(way(lanes).run([body]), &|| format!("{name}, whole"));
        whole.take(way(lanes).run(input.pieces()), &|| format!("{name}, cut at {:?}", input.cuts));
        whole.take(way(lanes).run(body.chunks(1)), &|| format!("{name}, byte by byte"));
    }
    if let Ok(outcome) = &whole.verdict {
        assert!(bounds.records.is_none_or(|max| outcome.records <= max), "too many records left");
    }
    whole
}

/// What left of a body whose fields all leave clear, or not at all, leaves as it is.
pub(crate) fn check_again(plan: &Arc<Plan>, bounds: Bounds, once: &Outcome) {
    let way = Way { plan, bounds, charset: Charset::Utf8, lanes: Lanes::best() };
    let twice = way.run([&*once.out]).verdict;
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

/// One of the ways in which a body is run.
struct Way<'p> {
    plan: &'p Arc<Plan>,
    bounds: Bounds,
    charset: Charset,
    lanes: Lanes,
}

impl Way<'_> {
    fn run<'b>(&self, pieces: impl IntoIterator<Item = &'b [u8]>) -> Run {
        let transform = Transform::with_charset(Arc::clone(self.plan), self.bounds, self.charset);
        let mut transform = transform.on(self.lanes);
        let mut left = Vec::new();
        let pushed = pieces.into_iter().try_for_each(|piece| {
            let before = left.len();
            let pushed = transform.push(piece, &mut left);
            assert!(pushed.is_ok() || left.len() == before, "a piece that is refused leaves nothing");
            pushed
        });
        let before = left.len();
        let finished = transform.finish(&mut left);
        let summary = transform.summary();
        assert_eq!(summary.bytes_out, u64::try_from(left.len()).unwrap());
        let findings = summary.findings();
        let findings = findings.map(|it| (it.path.to_string(), it.kind.as_str(), it.count)).collect();
        if let Err(error) = finished.as_ref().map(|_| ()).map_err(|error| *error) {
            assert_eq!(left.len(), before, "an end that is refused leaves nothing");
            assert!(pushed.is_ok() || pushed == Err(error), "an error is final");
            return Run { verdict: Err(error), left, findings };
        }
        assert_eq!(pushed, Ok(()), "an error is final");
        let outcome = Outcome {
            out: std::mem::take(&mut left),
            records: summary.records(),
            masked: summary.masked(),
            dropped: summary.dropped(),
            unclassified: summary.unclassified(),
        };
        Run { verdict: Ok(outcome), left, findings }
    }
}
