//! A record read back.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::line::Line;
use super::record::Entry;
use super::{Access, Kind, SCHEMA_VERSION};
use crate::kernel::time::Timestamp;

/// Why a line cannot be read as a record.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// No JSON, a field missing, unknown or of another type.
    #[error("the line is not a record")]
    Shape(#[source] serde_json::Error),
    /// Written by another version.
    #[error("the record has schema version {found}; this program reads version {SCHEMA_VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
}

/// A record's fields as text. `docs/audit-record.md` says what each means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of the record, described in one place")]
pub struct ParsedRecord {
    pub v: u64,
    pub seq: u64,
    pub batch: u64,
    pub prev: String,
    pub node: String,
    pub generation: u64,
    pub sum: String,
    pub kind: String,
    pub at: String,
    pub request: Option<String>,
    pub trace: Option<String>,
    pub system: Option<String>,
    pub department: Option<String>,
    pub certificate: Option<String>,
    pub address: Option<String>,
    pub method: Option<String>,
    pub route: Option<String>,
    pub resource: Option<String>,
    pub provider: Option<String>,
    pub action: Option<String>,
    pub purpose: Option<String>,
    pub purpose_source: Option<String>,
    pub token: Option<String>,
    #[serde(default)]
    pub requested: Vec<String>,
    pub requested_more: Option<u64>,
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    pub parameters_more: Option<u64>,
    #[serde(default)]
    pub withheld: BTreeMap<String, u64>,
    pub withheld_more: Option<u64>,
    #[serde(default)]
    pub subjects: Vec<String>,
    pub subjects_more: Option<u64>,
    pub subjects_key: Option<String>,
    #[serde(default)]
    pub narrowed_to: Vec<String>,
    pub narrowed_to_more: Option<u64>,
    pub decision: Option<String>,
    pub reason: Option<String>,
    pub admitted: Option<String>,
    #[serde(default)]
    pub grants: Vec<String>,
    pub grants_more: Option<u64>,
    #[serde(default)]
    pub denied_by: Vec<String>,
    pub denied_by_more: Option<u64>,
    #[serde(default)]
    pub released: Vec<String>,
    pub released_more: Option<u64>,
    pub event: Option<String>,
    pub actor: Option<String>,
    #[serde(default)]
    pub detail: BTreeMap<String, String>,
    pub detail_more: Option<u64>,
    pub policy: Option<String>,
    pub config: Option<String>,
    pub shadow: Option<String>,
    pub shadow_policy: Option<String>,
    pub status: Option<u16>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub records: Option<u64>,
    #[serde(default)]
    pub masked: BTreeMap<String, u64>,
    pub masked_more: Option<u64>,
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
    pub dropped_more: Option<u64>,
    #[serde(default)]
    pub egress: BTreeMap<String, u64>,
    pub egress_more: Option<u64>,
    pub unclassified: Option<u64>,
    pub submitted: Option<u64>,
    #[serde(default)]
    pub submitted_masked: BTreeMap<String, u64>,
    pub submitted_masked_more: Option<u64>,
    #[serde(default)]
    pub submitted_dropped: BTreeMap<String, u64>,
    pub submitted_dropped_more: Option<u64>,
    pub submitted_unclassified: Option<u64>,
    pub received_mac: Option<String>,
    pub sent_sha256: Option<String>,
    pub total_us: Option<u64>,
    pub decide_us: Option<u64>,
    pub upstream_us: Option<u64>,
    pub attempts: Option<u64>,
    pub aborted: Option<String>,
    pub ended_by: Option<String>,
}

impl ParsedRecord {
    /// Reads one line, without its newline. Whether it stands in its place is not looked at.
    ///
    /// # Errors
    /// When it is not a record of this version.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        let record: Self = serde_json::from_slice(line).map_err(ParseError::Shape)?;
        if record.v == SCHEMA_VERSION { Ok(record) } else { Err(ParseError::Version { found: record.v }) }
    }

    /// When it happened; `None` if the text is no instant.
    #[must_use]
    pub fn instant(&self) -> Option<Timestamp> {
        self.at.parse().ok()
    }

    /// When what it tells had ended; when it happened, if it does not say how long it took.
    #[must_use]
    pub fn ended(&self) -> Option<Timestamp> {
        self.instant()?.checked_add(Duration::from_micros(self.total_us.unwrap_or(0))).ok()
    }

    /// The outcome that recovery writes for an intent whose own was never recorded: who asked for
    /// what is repeated, how it ended is `unknown`.
    #[must_use]
    pub fn unknown_outcome(&self, at: Timestamp) -> Entry {
        Access::unknown_outcome(self, at)
    }
}

impl Access<'_> {
    fn unknown_outcome(intent: &ParsedRecord, at: Timestamp) -> Entry {
        // Texts from an earlier record are already cut: the bound only guards against damage.
        const BOUND: usize = 512;
        let mut line = Entry::begin(512);
        line.text("kind", "outcome", BOUND);
        line.text("at", &format!("{at:.6}"), BOUND);
        for (key, text) in [
            ("request", &intent.request),
            ("trace", &intent.trace),
            ("system", &intent.system),
            ("department", &intent.department),
            ("certificate", &intent.certificate),
            ("address", &intent.address),
            ("method", &intent.method),
            ("route", &intent.route),
            ("resource", &intent.resource),
            ("provider", &intent.provider),
            ("action", &intent.action),
            ("purpose", &intent.purpose),
            ("purpose_source", &intent.purpose_source),
            ("token", &intent.token),
        ] {
            line.optional(key, text.as_deref(), BOUND);
        }
        subjects(&mut line, intent);
        line.text("decision", "unknown", BOUND);
        line.text("reason", "interrupted", BOUND);
        grants(&mut line, &intent.grants);
        line.optional("policy", intent.policy.as_deref(), BOUND);
        line.optional("config", intent.config.as_deref(), BOUND);
        let request = intent.request.as_deref().and_then(|id| id.parse().ok());
        Entry::seal(line, request.map(|id| (Kind::Outcome, id)))
    }
}

/// Whom it was about, all of them: who looks for a person must find how it ended.
fn subjects(line: &mut Line, intent: &ParsedRecord) {
    texts(line, ("subjects", "subjects_more"), &intent.subjects, 4096);
    if let Some(more) = intent.subjects_more {
        line.number("subjects_more", more);
    }
    line.optional("subjects_key", intent.subjects_key.as_deref(), 64);
}

fn grants(line: &mut Line, grants: &[String]) {
    texts(line, ("grants", "grants_more"), grants, 1536);
}

fn texts(line: &mut Line, key: (&str, &str), texts: &[String], budget: usize) {
    line.bounded(key, *b"[]", texts, budget, |out, _, text| {
        out.push(b'"');
        super::line::push_escaped(out, text, 128);
        out.push(b'"');
    });
}

/// Which kind of access record a line is, without reading it whole; `None` for other records.
///
/// Right for every line that a chain has checked: neither head nor checksum can hold a quote.
#[must_use]
pub fn peek_kind(line: &[u8]) -> Option<Kind> {
    let at = memchr::memmem::find(line, b"\"kind\":\"")?;
    let rest = line.get(at..)?.strip_prefix(b"\"kind\":\"")?;
    [Kind::Access, Kind::Intent, Kind::Outcome].into_iter().find(|kind| {
        rest.strip_prefix(kind.as_str().as_bytes()).is_some_and(|rest| rest.first() == Some(&b'"'))
    })
}

/// The instant of a line as text, without reading it whole.
///
/// Right for every line that a chain has checked: `kind` and `at` come before any text of a caller.
#[must_use]
pub fn peek_instant(line: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(line, b"\",\"at\":\"")?;
    let rest = line.get(at..)?.strip_prefix(b"\",\"at\":\"")?;
    rest.split(|byte| *byte == b'"').next()
}

/// Whom a line is about, as it says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectsOf<'l> {
    /// The list between its brackets: quoted digests apart by commas.
    list: &'l [u8],
    /// Which key made the digests, as in [`super::KeyId`].
    pub key: &'l [u8],
    /// Whether some were left out.
    pub is_cut: bool,
}

impl SubjectsOf<'_> {
    /// Whether `digest` is among them, as the text of a [`super::SubjectDigest`].
    #[must_use]
    pub fn name(&self, digest: &str) -> bool {
        let unquoted =
            |item: &[u8]| item.strip_prefix(b"\"")?.strip_suffix(b"\"").map(|item| item == digest.as_bytes());
        self.list.split(|byte| *byte == b',').any(|item| unquoted(item) == Some(true))
    }
}

/// Whom a line is about, without reading it whole; `None` if it names nobody.
///
/// Right for every line that a chain has checked: no text of a caller has a quote that is not escaped.
#[must_use]
pub fn peek_subjects(line: &[u8]) -> Option<SubjectsOf<'_>> {
    const LIST: &[u8] = b",\"subjects\":[";
    const KEY: &[u8] = b",\"subjects_key\":\"";
    let rest = line.get(memchr::memmem::find(line, LIST)? + LIST.len()..)?;
    let (list, rest) = rest.split_at_checked(memchr::memchr(b']', rest)?)?;
    let key = rest.get(memchr::memmem::find(rest, KEY)? + KEY.len()..)?;
    let is_cut = rest.starts_with(b"],\"subjects_more\":");
    Some(SubjectsOf { list, key: key.split(|byte| *byte == b'"').next()?, is_cut })
}

/// When what a line tells had ended, without reading it whole; `None` for an intent, which has not.
///
/// Right for every line that a chain has checked: after `total_us` come words of ours only.
#[must_use]
pub fn peek_ended(line: &[u8]) -> Option<Timestamp> {
    const TOTAL: &[u8] = b",\"total_us\":";
    if peek_kind(line) == Some(Kind::Intent) {
        return None;
    }
    let at: Timestamp = std::str::from_utf8(peek_instant(line)?).ok()?.parse().ok()?;
    let Some(place) = memchr::memmem::rfind(line, TOTAL) else { return Some(at) };
    let digits = line.get(place + TOTAL.len()..)?.split(|byte| !byte.is_ascii_digit()).next()?;
    let micros = std::str::from_utf8(digits).ok()?.parse().ok()?;
    at.checked_add(Duration::from_micros(micros)).ok()
}
