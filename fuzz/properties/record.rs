//! Audit records: lines read back, and records made of any text.
//!
//! Input: a byte that says what the rest is. `e`: an access, `l`: an event of the gate, each made of
//! texts with a byte 0xff between them, the first byte saying how often each is repeated and the
//! second which optional parts there are; anything else: lines as they stand in a log.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use pinegate::audit::{
    Access, Admitted, Chain, DigestKey, Entry, Event, Kind, Lifecycle, MAX_LINE_BYTES, Outcome, ParsedRecord,
    SCHEMA_VERSION, Shadow, SubjectDigest, Subjects, Submitted, Tail, judge_tail,
};
use pinegate::catalog::{Identifier, Subject};
use pinegate::grant::{ReleasedField, Treatment};
use pinegate::kernel::id::{
    Action, DepartmentId, Digest, FieldPath, GrantId, MaskerName, NodeId, ParameterName, PurposeCode,
    ResourceId, SubjectKind, SystemId, TokenId,
};
use pinegate::kernel::secret::Secret;
use pinegate::kernel::time::Timestamp;

const NODE: &str = "gate-1";

pub(crate) fn check(data: &[u8]) {
    match data {
        [b'e', rest @ ..] => check_access(&Parts::read(rest)),
        [b'l', rest @ ..] => check_lifecycle(&Parts::read(rest)),
        _ => check_lines(data),
    }
}

fn chain() -> Chain {
    Chain::new(NodeId::parse(NODE).unwrap(), 0)
}

fn now() -> Timestamp {
    Timestamp::from_second(1_780_000_000).unwrap()
}

fn check_lines(log: &[u8]) {
    let mut chain = chain();
    let mut rest = log;
    for line in log.split(|byte| *byte == b'\n') {
        if let Ok(record) = ParsedRecord::parse(line) {
            assert_eq!(record.v, SCHEMA_VERSION);
            // What recovery writes about any record can be read again.
            let (line, again) = sealed(&record.unknown_outcome(now()));
            assert!(line.len() <= MAX_LINE_BYTES);
            assert_eq!((again.kind.as_str(), again.decision.as_deref()), ("outcome", Some("unknown")));
        }
        let (next, head) = (chain.next(), chain.head());
        if chain.check(line).is_err() {
            assert_eq!((chain.next(), chain.head()), (next, head), "a refused line moves nothing");
            break;
        }
        assert_eq!((chain.next(), chain.head()), (next + 1, Digest::of(line)));
        rest = rest.get(line.len() + 1..).unwrap_or_default();
    }
    match judge_tail(&chain, rest) {
        Tail::Clean => assert!(rest.iter().all(|byte| *byte == 0)),
        Tail::Torn { bytes, .. } => {
            assert!((1..=rest.len()).contains(&bytes) && rest[bytes..].iter().all(|byte| *byte == 0));
        }
        Tail::Whole => panic!("every whole record was taken before"),
        Tail::Damaged { .. } => {}
    }
}

/// The first line of a log, and what is read of it.
fn sealed(entry: &Entry) -> (Vec<u8>, ParsedRecord) {
    let mut line = Vec::new();
    let most = chain().sealed_bytes(entry);
    chain().seal(entry, &mut line);
    assert!(line.len() <= most);
    assert_eq!(line.pop(), Some(b'\n'));
    let text = std::str::from_utf8(&line).expect("a line is UTF-8");
    assert!(!text.chars().any(char::is_control), "a line has no control characters");
    chain().check(&line).expect("a line stands in its place");
    let record = ParsedRecord::parse(&line).expect("a line is a record");
    assert_eq!(record.instant(), Some(now()));
    (line, record)
}

/// No change of one byte goes unnoticed.
fn check_damage(line: &[u8], at: usize) {
    let mut damaged = line.to_vec();
    let at = at % damaged.len();
    damaged[at] ^= 1;
    assert!(chain().check(&damaged).is_err(), "byte {at} was changed");
    assert!(chain().check(&line[..at]).is_err(), "the end was cut off at {at}");
}

struct Parts {
    flags: u8,
    texts: Vec<String>,
}

impl Parts {
    fn read(data: &[u8]) -> Self {
        let (times, flags, rest) = match data {
            [times, flags, rest @ ..] => (usize::from(times % 64) + 1, *flags, rest),
            _ => (1, 0, data),
        };
        let texts = rest.split(|byte| *byte == 0xff);
        let texts = texts.take(64).map(|text| String::from_utf8_lossy(text).repeat(times)).collect();
        Self { flags, texts }
    }

    fn text(&self, index: usize) -> &str {
        self.texts.get(index).map_or("", String::as_str)
    }

    fn has(&self, bit: u8) -> bool {
        self.flags & (1 << bit) != 0
    }

    fn all<T, E>(&self, parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        self.texts.iter().filter_map(|text| parse(text).ok()).collect()
    }
}

/// A text that was recorded: whole, or its beginning and `…`.
fn assert_told(recorded: Option<&str>, text: Option<&str>) {
    match (recorded, text) {
        (None, None) => {}
        (Some(recorded), Some(text)) => {
            let cut = recorded.strip_suffix('…').is_some_and(|front| text.starts_with(front));
            assert!(recorded == text || cut, "{recorded:?} is not {text:?}");
        }
        _ => panic!("{recorded:?} was recorded for {text:?}"),
    }
}

/// The beginning of a list, and how many items are missing.
fn assert_listed<T: AsRef<str>>(recorded: &[String], more: Option<u64>, texts: &[T]) {
    let more = usize::try_from(more.unwrap_or(0)).unwrap();
    assert_eq!(recorded.len() + more, texts.len());
    for (recorded, text) in recorded.iter().zip(texts) {
        assert_told(Some(recorded), Some(text.as_ref()));
    }
}

/// What of the texts can stand in an access: those that are ids.
struct Ids {
    system: Option<SystemId>,
    department: Option<DepartmentId>,
    resource: Option<ResourceId>,
    action: Option<Action>,
    purpose: Option<PurposeCode>,
    token: Option<TokenId>,
    grants: Vec<GrantId>,
    parameters: Vec<(ParameterName, String)>,
    released: Vec<ReleasedField>,
}

impl Ids {
    fn read(parts: &Parts) -> Self {
        let names = parts.all(ParameterName::parse).into_iter();
        let maskers = parts.all(MaskerName::parse).into_iter().map(Treatment::Masked);
        let treatments = maskers.chain(std::iter::repeat(Treatment::Clear));
        let paths = parts.all(FieldPath::parse).into_iter();
        Self {
            system: SystemId::parse(parts.text(3)).ok(),
            department: DepartmentId::parse(parts.text(4)).ok(),
            resource: ResourceId::parse(parts.text(5)).ok(),
            action: Action::parse(parts.text(6)).ok(),
            purpose: PurposeCode::parse(parts.text(7)).ok(),
            token: TokenId::parse(parts.text(8)).ok(),
            grants: parts.all(GrantId::parse),
            parameters: names.zip(parts.texts.iter().rev().cycle().cloned()).collect(),
            released: paths
                .zip(treatments)
                .map(|(path, treatment)| ReleasedField { path, treatment })
                .collect(),
        }
    }

    /// Each path once, as an access promises, with numbers of all lengths.
    fn counts(&self) -> Vec<(&FieldPath, u64)> {
        let unique: BTreeSet<&FieldPath> = self.released.iter().map(|field| &field.path).collect();
        unique.into_iter().zip((0..64).map(|shift| u64::MAX >> shift)).collect()
    }

    /// Each name once, as an access promises.
    fn withheld(&self) -> Vec<(ParameterName, u64)> {
        let unique: BTreeSet<&ParameterName> = self.parameters.iter().map(|(name, _)| name).collect();
        unique.into_iter().map(|name| (name.clone(), u64::MAX)).collect()
    }
}

/// Whoever the texts name, each once.
fn subjects(parts: &Parts, key: &DigestKey) -> Vec<SubjectDigest> {
    let kinds: Vec<SubjectKind> =
        ["resident-id", "account"].map(|kind| SubjectKind::parse(kind).unwrap()).into();
    let all = kinds.iter().cycle().zip(&parts.texts);
    let mut digests: Vec<SubjectDigest> = Vec::new();
    for digest in all.filter_map(|(kind, text)| Some(key.subject(&Subject::new(kind, text)?))) {
        if !digests.contains(&digest) {
            digests.push(digest);
        }
    }
    digests
}

fn check_access(parts: &Parts) {
    let ids = Ids::read(parts);
    let counts = ids.counts();
    let kinds = Identifier::ALL.into_iter().cycle();
    let found: Vec<_> = counts.iter().zip(kinds).map(|((path, count), kind)| (*path, kind, *count)).collect();
    let submitted =
        Submitted { records: u64::MAX, masked: &counts, dropped: &counts, unclassified: u64::MAX };
    let outcome = Outcome {
        status: 200,
        bytes_in: u64::MAX,
        bytes_out: 0,
        records: parts.has(3).then_some(1),
        masked: &counts,
        dropped: &counts,
        egress: &found,
        unclassified: u64::MAX,
        submitted: parts.has(4).then_some(submitted),
        received_mac: parts.has(5).then_some(Digest([254; 32])),
        sent_sha256: parts.has(3).then_some(Digest([255; 32])),
        total_us: 1,
        decide_us: 2,
        upstream_us: 3,
        attempts: 1,
        aborted: parts.has(4).then_some("caller-gone"),
        ended_by: parts.has(6).then_some("client"),
    };
    let withheld = ids.withheld();
    let key = DigestKey::new(&Secret::new([1; 32]));
    let subjects = subjects(parts, &key);
    let access = Access {
        kind: if parts.has(5) { Kind::Access } else { Kind::Intent },
        at: now(),
        request_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        trace_id: parts.has(0).then(|| parts.text(0)),
        system: ids.system.as_ref(),
        department: ids.department.as_ref(),
        certificate: &Digest([7; 32]),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        method: parts.text(1),
        route: parts.has(1).then(|| parts.text(2)),
        resource: ids.resource.as_ref(),
        provider: ids.department.as_ref(),
        action: ids.action.as_ref(),
        purpose: ids.purpose.as_ref(),
        purpose_source: Some("token"),
        token_id: ids.token.as_ref(),
        requested: &parts.texts,
        parameters: &ids.parameters,
        withheld: &withheld,
        subjects: parts.has(7).then_some(Subjects { key: key.id(), digests: &subjects }),
        narrowed_to: parts.has(6).then_some(ids.grants.as_slice()).filter(|named| !named.is_empty()),
        decision: "permit",
        reason: None,
        admitted: parts.has(4).then_some(Admitted::Grants),
        grants: &ids.grants,
        denied_by: &ids.grants,
        released: &ids.released,
        policy: parts.text(9),
        config: parts.text(10),
        shadow: parts.has(2).then_some(Shadow { change: "extent", policy: parts.text(9) }),
        outcome: parts.has(2).then_some(outcome),
    };
    let (line, record) = sealed(&access.encode());
    assert!(line.len() <= MAX_LINE_BYTES, "{} bytes", line.len());
    check_texts(&record, &access);
    check_lists(&record, &access);
    check_damage(&line, parts.texts.iter().map(String::len).sum());
    let (_, again) = sealed(&record.unknown_outcome(now()));
    assert_eq!(again.request, record.request);
    assert_listed(&again.grants, again.grants_more, &record.grants);
    assert_eq!((again.subjects, again.subjects_key), (record.subjects, record.subjects_key));
}

fn check_texts(record: &ParsedRecord, access: &Access<'_>) {
    assert_told(record.trace.as_deref(), access.trace_id);
    assert_told(record.route.as_deref(), access.route);
    assert_told(record.method.as_deref(), Some(access.method));
    assert_told(record.policy.as_deref(), Some(access.policy));
    assert_told(record.config.as_deref(), Some(access.config));
    assert_eq!(record.system.as_deref(), access.system.map(SystemId::as_str));
    assert_eq!(record.department.as_deref(), access.department.map(DepartmentId::as_str));
    assert_eq!(record.resource.as_deref(), access.resource.map(ResourceId::as_str));
    assert_eq!(record.action.as_deref(), access.action.map(Action::as_str));
    assert_eq!(record.purpose.as_deref(), access.purpose.map(PurposeCode::as_str));
    assert_eq!(record.token.as_deref(), access.token_id.map(TokenId::as_str));
    assert_eq!(record.admitted.as_deref().and_then(Admitted::parse), access.admitted);
}

fn check_lists(record: &ParsedRecord, access: &Access<'_>) {
    assert_listed(&record.requested, record.requested_more, access.requested);
    assert_listed(&record.grants, record.grants_more, access.grants);
    assert_listed(&record.denied_by, record.denied_by_more, access.denied_by);
    let more = usize::try_from(record.released_more.unwrap_or(0)).unwrap();
    assert_eq!(record.released.len() + more, access.released.len());
    for (recorded, field) in record.released.iter().zip(access.released) {
        let path = match &field.treatment {
            Treatment::Clear => Some(&**recorded),
            Treatment::Masked(masker) => {
                recorded.strip_suffix(masker.as_str()).and_then(|it| it.strip_suffix(':'))
            }
        };
        assert_told(path, Some(field.path.as_str()));
    }
    let narrowed_to = access.narrowed_to.unwrap_or_default();
    assert_listed(&record.narrowed_to, record.narrowed_to_more, narrowed_to);
    let all = |recorded: usize, more: Option<u64>| recorded + usize::try_from(more.unwrap_or(0)).unwrap();
    let parameters = all(record.parameters.len(), record.parameters_more);
    assert_eq!(parameters, access.parameters.len(), "no parameter hides another");
    assert_eq!(all(record.withheld.len(), record.withheld_more), access.withheld.len());
    let Some(outcome) = &access.outcome else { return };
    assert_eq!(all(record.masked.len(), record.masked_more), outcome.masked.len());
    assert_eq!(all(record.dropped.len(), record.dropped_more), outcome.dropped.len());
    for (path, count) in outcome.masked {
        assert!(record.masked.get(path.as_str()).is_none_or(|recorded| recorded == count));
    }
}

fn check_lifecycle(parts: &Parts) {
    let names = ["reason", "file", "from", "to"];
    let detail: Vec<(&'static str, &str)> =
        names.into_iter().zip(parts.texts.iter().map(String::as_str).skip(1)).collect();
    let event = Lifecycle {
        at: now(),
        event: Event::Reload,
        actor: parts.text(0),
        detail: &detail,
        policy: parts.has(0).then(|| parts.text(1)),
        config: parts.has(1).then(|| parts.text(2)),
    };
    let (line, record) = sealed(&event.encode());
    assert!(line.len() <= MAX_LINE_BYTES, "{} bytes", line.len());
    assert_told(record.actor.as_deref(), Some(event.actor));
    assert_told(record.policy.as_deref(), event.policy);
    assert_eq!(record.detail.len() + usize::try_from(record.detail_more.unwrap_or(0)).unwrap(), detail.len());
    for (name, text) in detail {
        if let Some(recorded) = record.detail.get(name) {
            assert_told(Some(recorded), Some(text));
        }
    }
    check_damage(&line, parts.texts.iter().map(String::len).sum());
}
