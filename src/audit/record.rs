//! What a record says, and its bytes.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::keyed::{KeyId, SubjectDigest};
use super::line::{Line, push_escaped, push_hex, push_u64};
use crate::catalog::Identifier;
use crate::grant::{ReleasedField, Treatment};
use crate::kernel::id::{
    Action, DepartmentId, Digest, FieldPath, GrantId, ParameterName, PurposeCode, RequestId, ResourceId,
    SystemId, TokenId,
};
use crate::kernel::time::Timestamp;

/// How many bytes a word of ours may take: kinds, decisions, codes.
const WORD_BYTES: usize = 64;
/// How many bytes an id or digest may take; ids are bounded by their own type.
const ID_BYTES: usize = crate::kernel::id::MAX_ID_BYTES;
/// How many bytes a route template may take.
const ROUTE_BYTES: usize = 512;
/// How many bytes one text of a list may take: a field path and its masker.
const ITEM_BYTES: usize = 648;
/// How many bytes one parameter's value may take.
const VALUE_BYTES: usize = 256;
/// How many bytes an actor or one detail of a lifecycle record may take.
const DETAIL_BYTES: usize = 1024;
/// How many bytes any other list may take. Together with the bounds above and the head they stay below
/// [`super::MAX_LINE_BYTES`].
const LIST_BYTES: usize = 1536;
/// How many bytes the grants that a token names may take.
const NARROWED_BYTES: usize = 768;
/// How many bytes the names of withheld parameters may take.
const WITHHELD_BYTES: usize = 384;
/// How many bytes the digests of subjects may take: those of as many resident identity numbers as a request
/// may have parameters. None should be left out: whoever is left out is not found.
const SUBJECTS_BYTES: usize = 3072;
/// How much of that is set aside. What more is needed is taken from the released fields.
const SUBJECTS_SET_ASIDE: usize = 640;
/// How many bytes the counts of the fields of a reply may take, each.
const COUNTS_BYTES: usize = 1024;
/// How many bytes the counts of the fields of the caller's body may take, each.
const SUBMITTED_BYTES: usize = 384;
/// How many bytes the grants of a permit may take.
const GRANTS_BYTES: usize = 1024;
/// How many bytes the deny lines of a refusal may take.
const DENIED_BYTES: usize = 512;
/// How many bytes may be taken by what was found in fields that leave as they are.
const EGRESS_BYTES: usize = 512;
/// How many bytes the released fields may take.
const RELEASED_BYTES: usize = 2816;
/// How many bytes the details of a lifecycle record may take.
const DETAILS_BYTES: usize = 8192;

/// How many bytes are set aside for a record: most fit.
const USUAL_BYTES: usize = 3 << 10;

const ARRAY: [u8; 2] = *b"[]";
const OBJECT: [u8; 2] = *b"{}";

/// The length of `"sum":"<8 hex>",`.
pub(super) const SUM_BYTES: usize = 17;

/// What kind of record of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole access in one record: small replies and refusals.
    Access,
    /// What is about to happen: before data of a streamed reply, or before an unsafe request is
    /// forwarded. An [`Kind::Outcome`] with the same request id follows.
    Intent,
    /// How it ended.
    Outcome,
}

impl Kind {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Intent => "intent",
            Self::Outcome => "outcome",
        }
    }
}

/// Which limits let a request through, and counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// Those that know nothing of grants.
    Call,
    /// Those, and the limits of its grants.
    Grants,
}

impl Admitted {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Grants => "grants",
        }
    }

    /// What a word of a record means; `None` for no word of ours.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Call, Self::Grants].into_iter().find(|admitted| admitted.as_str() == word)
    }
}

/// One access: who asked for what, why, what was decided, and how it ended.
#[derive(Debug, Clone)]
pub struct Access<'a> {
    /// What kind of record this is.
    pub kind: Kind,
    /// When the request came.
    pub at: Timestamp,
    /// The request's id, the same in its intent and its outcome.
    pub request_id: RequestId,
    /// The trace id of `traceparent` (W3C Trace Context).
    pub trace_id: Option<&'a str>,
    /// Who asked, if identified.
    pub system: Option<&'a SystemId>,
    /// The department that answers for the system.
    pub department: Option<&'a DepartmentId>,
    /// SHA-256 of the client certificate.
    pub certificate: &'a Digest,
    /// Where the connection came from.
    pub address: IpAddr,
    /// The HTTP method.
    pub method: &'a str,
    /// The route's template, never the raw path or query.
    pub route: Option<&'a str>,
    /// The resource asked for.
    pub resource: Option<&'a ResourceId>,
    /// The department that provides the resource.
    pub provider: Option<&'a DepartmentId>,
    /// What was to be done with it.
    pub action: Option<&'a Action>,
    /// Why.
    pub purpose: Option<&'a PurposeCode>,
    /// Where the purpose was read: `token` or `declared`.
    pub purpose_source: Option<&'static str>,
    /// The token's `jti`.
    pub token_id: Option<&'a TokenId>,
    /// The fields asked for, as the caller wrote them.
    pub requested: &'a [String],
    /// The request parameters that the catalogue calls recordable; no others.
    pub parameters: &'a [(ParameterName, String)],
    /// The request parameters that came and may not stand in a record: their names, and how many
    /// values each had. No name twice.
    pub withheld: &'a [(ParameterName, u64)],
    /// The people and companies that the request names, if it names any.
    pub subjects: Option<Subjects<'a>>,
    /// The grants that the token narrows the request to, if it does; at least one then.
    pub narrowed_to: Option<&'a [GrantId]>,
    /// `permit`, `deny`, `error` or `unknown`.
    pub decision: &'static str,
    /// The problem's code, if refused.
    pub reason: Option<&'static str>,
    /// Which limits let it through; `None` if none did.
    pub admitted: Option<Admitted>,
    /// The grants the permit rests on.
    pub grants: &'a [GrantId],
    /// The deny lines that matched.
    pub denied_by: &'a [GrantId],
    /// The effective scope.
    pub released: &'a [ReleasedField],
    /// The digest of the policy directory, in hexadecimal.
    pub policy: &'a str,
    /// The digest of the gateway configuration, in hexadecimal.
    pub config: &'a str,
    /// How a candidate policy would have decided, if otherwise.
    pub shadow: Option<Shadow<'a>>,
    /// How it ended; absent from an intent.
    pub outcome: Option<Outcome<'a>>,
}

/// The people and companies that a request names.
#[derive(Debug, Clone, Copy)]
pub struct Subjects<'a> {
    /// Which key made the digests.
    pub key: KeyId,
    /// Their digests; at least one, none twice.
    pub digests: &'a [SubjectDigest],
}

/// How a candidate policy would have decided otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Shadow<'a> {
    /// `allowed`, `refused` or `extent`.
    pub change: &'static str,
    /// The digest of its directory, in hexadecimal.
    pub policy: &'a str,
}

/// How an access ended.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    /// The HTTP status sent.
    pub status: u16,
    /// Body bytes received from the caller.
    pub bytes_in: u64,
    /// Body bytes sent to the caller.
    pub bytes_out: u64,
    /// Data records sent, if counted.
    pub records: Option<u64>,
    /// Fields masked, and how often each. No path twice.
    pub masked: &'a [(&'a FieldPath, u64)],
    /// Fields dropped, and how often each. No path twice.
    pub dropped: &'a [(&'a FieldPath, u64)],
    /// Unmasked identifiers in fields that leave as they are: the field, what was found, how often. No
    /// pair twice.
    pub egress: &'a [(&'a FieldPath, Identifier, u64)],
    /// Members dropped that the catalogue does not know: counted, never named.
    pub unclassified: u64,
    /// What was found in the caller's body, if it was held against the grants.
    pub submitted: Option<Submitted<'a>>,
    /// The keyed digest of the body that the platform sent, as it came, if it came whole.
    pub received_mac: Option<Digest>,
    /// SHA-256 of the body sent.
    pub sent_sha256: Option<Digest>,
    /// The whole request, in microseconds.
    pub total_us: u64,
    /// Until the decision, in microseconds.
    pub decide_us: u64,
    /// Waiting for the platform, in microseconds.
    pub upstream_us: u64,
    /// How often the platform was sent the request; more than once is on record.
    pub attempts: u64,
    /// Why the reply ended early, if it did.
    pub aborted: Option<&'static str>,
    /// Who ended a session: `client` or `platform`; of nothing else.
    pub ended_by: Option<&'static str>,
}

/// What was done to the body of a request before the platform saw it. Of one that was refused, what it
/// was refused for.
#[derive(Debug, Clone)]
pub struct Submitted<'a> {
    /// Data records that went on.
    pub records: u64,
    /// Fields masked, and how often each. No path twice.
    pub masked: &'a [(&'a FieldPath, u64)],
    /// Fields that did not go on, and how often each. No path twice.
    pub dropped: &'a [(&'a FieldPath, u64)],
    /// Members that did not go on and that the catalogue does not know: counted, never named.
    pub unclassified: u64,
}

/// What can happen to the gate itself. `docs/audit-record.md` says what each word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are described in one place")]
pub enum Event {
    Start,
    Reload,
    ReloadRefused,
    LogLevel,
    Drain,
    Stop,
    Follows,
    Recovered,
    Repair,
    Pruned,
    Unsigned,
}

impl Event {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Start,
        Self::Reload,
        Self::ReloadRefused,
        Self::LogLevel,
        Self::Drain,
        Self::Stop,
        Self::Follows,
        Self::Recovered,
        Self::Repair,
        Self::Pruned,
        Self::Unsigned,
    ];

    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reload => "reload",
            Self::ReloadRefused => "reload-refused",
            Self::LogLevel => "log-level",
            Self::Drain => "drain",
            Self::Stop => "stop",
            Self::Follows => "follows",
            Self::Recovered => "recovered",
            Self::Repair => "repair",
            Self::Pruned => "pruned",
            Self::Unsigned => "unsigned",
        }
    }
}

/// What happened to the gate itself.
#[derive(Debug, Clone)]
pub struct Lifecycle<'a> {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// Who did it; `system` for the gate itself.
    pub actor: &'a str,
    /// What else is to know. No name twice.
    pub detail: &'a [(&'static str, &'a str)],
    /// The digest of the policy directory, in hexadecimal.
    pub policy: Option<&'a str>,
    /// The digest of the gateway configuration, in hexadecimal.
    pub config: Option<&'a str>,
}

/// A record without its head: everything but its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    bytes: Vec<u8>,
    half: Option<(Kind, RequestId)>,
}

impl Entry {
    /// The bytes, from `"sum"` to the closing brace.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether this is the intent or the outcome of a request, and of which. An intent stays open
    /// until an outcome of the same request follows.
    #[must_use]
    pub const fn half(&self) -> Option<(Kind, RequestId)> {
        self.half
    }

    pub(super) fn begin(capacity: usize) -> Line {
        let mut out = Vec::with_capacity(capacity);
        out.extend_from_slice(b"\"sum\":\"00000000\",");
        Line::after(out)
    }

    /// Puts the checksum in its place.
    pub(super) fn seal(line: Line, half: Option<(Kind, RequestId)>) -> Self {
        let mut out = line.finish();
        if let Some((head, rest)) = out.split_at_mut_checked(SUM_BYTES) {
            let sum = checksum(rest);
            if let Some(place) = head.get_mut(7..15) {
                place.copy_from_slice(&sum);
            }
        }
        Self { bytes: out, half }
    }
}

/// The CRC-32 of `rest` (that of gzip, RFC 1952, section 8), in hexadecimal. It finds accidents, in a tenth of the
/// time of a digest; what keeps records from being changed on purpose is the digest in the next record's `prev`, and
/// signed heads.
pub(super) fn checksum(rest: &[u8]) -> [u8; 8] {
    let mut text = [0; 8];
    data_encoding::HEXLOWER.encode_mut(&crc32fast::hash(rest).to_be_bytes(), &mut text);
    text
}

/// RFC 3339 in UTC with microseconds, so that texts sort as instants do.
fn push_instant(out: &mut Vec<u8>, at: Timestamp) {
    let mut text = Buffer { out };
    // Writing into memory cannot fail.
    if write!(text, "{at:.6}").is_err() {
        text.out.extend_from_slice(b"invalid");
    }
}

/// Lets `fmt` write into bytes.
struct Buffer<'o> {
    out: &'o mut Vec<u8>,
}

impl std::fmt::Write for Buffer<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn push_quoted(out: &mut Vec<u8>, text: &str, bound: usize) {
    out.push(b'"');
    push_escaped(out, text, bound);
    out.push(b'"');
}

fn ids(line: &mut Line, key: (&str, &str), ids: &[GrantId], budget: usize) {
    line.bounded(key, ARRAY, ids, budget, |out, _, id| push_quoted(out, id.as_str(), ID_BYTES));
}

fn counts(line: &mut Line, key: (&str, &str), counts: &[(&FieldPath, u64)], budget: usize) {
    line.bounded(key, OBJECT, counts, budget, |out, _, (path, count)| {
        push_quoted(out, path.as_str(), ITEM_BYTES);
        out.push(b':');
        push_u64(out, *count);
    });
}

fn egress(line: &mut Line, found: &[(&FieldPath, Identifier, u64)]) {
    line.bounded(("egress", "egress_more"), OBJECT, found, EGRESS_BYTES, |out, _, (path, kind, count)| {
        out.push(b'"');
        push_escaped(out, path.as_str(), ITEM_BYTES - ID_BYTES - 1);
        out.push(b':');
        out.extend_from_slice(kind.as_str().as_bytes());
        out.extend_from_slice(b"\":");
        push_u64(out, *count);
    });
}

/// A name that came before gets `#2`, `#3` after it: an object has no name twice, and `#` stands
/// in no parameter's name.
fn parameters(line: &mut Line, parameters: &[(ParameterName, String)]) {
    line.bounded(("parameters", "parameters_more"), OBJECT, parameters, LIST_BYTES, |out, index, item| {
        let (name, value) = item;
        let before = parameters.iter().take(index).filter(|(other, _)| other == name).count();
        out.push(b'"');
        push_escaped(out, name.as_str(), ID_BYTES);
        if before > 0 {
            out.push(b'#');
            push_u64(out, u64::try_from(before).unwrap_or(u64::MAX).saturating_add(1));
        }
        out.extend_from_slice(b"\":");
        push_quoted(out, value, VALUE_BYTES);
    });
}

fn withheld(line: &mut Line, withheld: &[(ParameterName, u64)]) {
    line.bounded(("withheld", "withheld_more"), OBJECT, withheld, WITHHELD_BYTES, |out, _, (name, count)| {
        push_quoted(out, name.as_str(), ID_BYTES);
        out.push(b':');
        push_u64(out, *count);
    });
}

impl Subjects<'_> {
    /// How many bytes more than were set aside the digests took.
    fn encode(&self, line: &mut Line) -> usize {
        let before = line.len();
        line.bounded(("subjects", "subjects_more"), ARRAY, self.digests, SUBJECTS_BYTES, |out, _, digest| {
            out.push(b'"');
            out.extend_from_slice(digest.kind.as_str().as_bytes());
            out.push(b':');
            push_hex(out, &digest.code);
            out.push(b'"');
        });
        let taken = line.len() - before;
        line.hex("subjects_key", &self.key.0);
        taken.saturating_sub(SUBJECTS_SET_ASIDE)
    }
}

fn released(line: &mut Line, fields: &[ReleasedField], budget: usize) {
    line.bounded(("released", "released_more"), ARRAY, fields, budget, |out, _, field| {
        out.push(b'"');
        push_escaped(out, field.path.as_str(), ITEM_BYTES - ID_BYTES - 1);
        if let Treatment::Masked(masker) = &field.treatment {
            out.push(b':');
            push_escaped(out, masker.as_str(), ID_BYTES);
        }
        out.push(b'"');
    });
}

impl Access<'_> {
    /// The record's bytes without head.
    #[must_use]
    pub fn encode(&self) -> Entry {
        let mut line = Entry::begin(USUAL_BYTES);
        line.text("kind", self.kind.as_str(), WORD_BYTES);
        line.plain("at", |out| push_instant(out, self.at));
        self.encode_caller(&mut line);
        let overdrawn = self.encode_request(&mut line);
        line.text("decision", self.decision, WORD_BYTES);
        line.optional("reason", self.reason, WORD_BYTES);
        line.optional("admitted", self.admitted.map(Admitted::as_str), WORD_BYTES);
        ids(&mut line, ("grants", "grants_more"), self.grants, GRANTS_BYTES);
        ids(&mut line, ("denied_by", "denied_by_more"), self.denied_by, DENIED_BYTES);
        released(&mut line, self.released, RELEASED_BYTES.saturating_sub(overdrawn));
        line.text("policy", self.policy, ID_BYTES);
        line.text("config", self.config, ID_BYTES);
        if let Some(Shadow { change, policy }) = self.shadow {
            line.text("shadow", change, WORD_BYTES);
            line.text("shadow_policy", policy, ID_BYTES);
        }
        if let Some(outcome) = &self.outcome {
            outcome.encode(&mut line);
        }
        let half = match self.kind {
            Kind::Access => None,
            Kind::Intent | Kind::Outcome => Some((self.kind, self.request_id)),
        };
        Entry::seal(line, half)
    }

    fn encode_caller(&self, line: &mut Line) {
        line.plain("request", |out| {
            let mut text = [0; 36];
            out.extend_from_slice(self.request_id.encode(&mut text).as_bytes());
        });
        line.optional("trace", self.trace_id, WORD_BYTES);
        line.optional("system", self.system.map(SystemId::as_str), ID_BYTES);
        line.optional("department", self.department.map(DepartmentId::as_str), ID_BYTES);
        line.plain("certificate", |out| push_hex(out, &self.certificate.0));
        line.plain("address", |out| {
            let mut text = Buffer { out };
            if write!(text, "{}", self.address).is_err() {
                text.out.extend_from_slice(b"invalid");
            }
        });
    }

    /// How many bytes more than its share it took.
    fn encode_request(&self, line: &mut Line) -> usize {
        line.text("method", self.method, WORD_BYTES);
        line.optional("route", self.route, ROUTE_BYTES);
        line.optional("resource", self.resource.map(ResourceId::as_str), ID_BYTES);
        line.optional("provider", self.provider.map(DepartmentId::as_str), ID_BYTES);
        line.optional("action", self.action.map(Action::as_str), ID_BYTES);
        line.optional("purpose", self.purpose.map(PurposeCode::as_str), ID_BYTES);
        line.optional("purpose_source", self.purpose_source, WORD_BYTES);
        line.optional("token", self.token_id.map(TokenId::as_str), ID_BYTES);
        line.bounded(("requested", "requested_more"), ARRAY, self.requested, LIST_BYTES, |out, _, text| {
            push_quoted(out, text, ITEM_BYTES);
        });
        parameters(line, self.parameters);
        withheld(line, self.withheld);
        let overdrawn = self.subjects.map_or(0, |subjects| subjects.encode(line));
        let narrowed_to = self.narrowed_to.unwrap_or_default();
        ids(line, ("narrowed_to", "narrowed_to_more"), narrowed_to, NARROWED_BYTES);
        overdrawn
    }
}

impl Outcome<'_> {
    fn encode(&self, line: &mut Line) {
        line.number("status", u64::from(self.status));
        line.number("bytes_in", self.bytes_in);
        line.number("bytes_out", self.bytes_out);
        if let Some(records) = self.records {
            line.number("records", records);
        }
        counts(line, ("masked", "masked_more"), self.masked, COUNTS_BYTES);
        counts(line, ("dropped", "dropped_more"), self.dropped, COUNTS_BYTES);
        egress(line, self.egress);
        line.number("unclassified", self.unclassified);
        if let Some(submitted) = &self.submitted {
            submitted.encode(line);
        }
        if let Some(digest) = &self.received_mac {
            line.hex("received_mac", &digest.0);
        }
        if let Some(digest) = &self.sent_sha256 {
            line.hex("sent_sha256", &digest.0);
        }
        line.number("total_us", self.total_us);
        line.number("decide_us", self.decide_us);
        line.number("upstream_us", self.upstream_us);
        if self.attempts > 1 {
            line.number("attempts", self.attempts);
        }
        line.optional("aborted", self.aborted, WORD_BYTES);
        line.optional("ended_by", self.ended_by, WORD_BYTES);
    }
}

impl Submitted<'_> {
    fn encode(&self, line: &mut Line) {
        line.number("submitted", self.records);
        counts(line, ("submitted_masked", "submitted_masked_more"), self.masked, SUBMITTED_BYTES);
        counts(line, ("submitted_dropped", "submitted_dropped_more"), self.dropped, SUBMITTED_BYTES);
        line.number("submitted_unclassified", self.unclassified);
    }
}

impl Lifecycle<'_> {
    /// The record's bytes without head.
    #[must_use]
    pub fn encode(&self) -> Entry {
        let mut line = Entry::begin(512);
        line.text("kind", "lifecycle", WORD_BYTES);
        line.plain("at", |out| push_instant(out, self.at));
        line.text("event", self.event.as_str(), WORD_BYTES);
        line.text("actor", self.actor, DETAIL_BYTES);
        line.bounded(
            ("detail", "detail_more"),
            OBJECT,
            self.detail,
            DETAILS_BYTES,
            |out, _, (name, text)| {
                push_quoted(out, name, WORD_BYTES);
                out.push(b':');
                push_quoted(out, text, DETAIL_BYTES);
            },
        );
        line.optional("policy", self.policy, ID_BYTES);
        line.optional("config", self.config, ID_BYTES);
        Entry::seal(line, None)
    }
}
