//! One request on its way through the stages, and the notes its record is made from.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderValue;
use http::request::Parts;
use tokio::time::Instant;

use super::body::{RequestBody, UploadState};
use super::failure::Failure;
use super::problem::{Code, Language};
use super::record::Circumstances;
use super::routes::Route;
use super::snapshot::Snapshot;
use super::traced::{Part, SpanNotes};
use crate::audit::SubjectDigest;
use crate::catalog::{Department, System};
use crate::grant::Permit;
use crate::identity::Peer;
use crate::kernel::id::{Digest, GrantId, ParameterName, PurposeCode, RequestId, TokenId};
use crate::kernel::time::Timestamp;
use crate::mask::Summary;
use crate::telemetry::{CallerMetrics, ShadowChange};
use crate::wire::Fault;

/// A request as it arrived, with the connection it came on and the snapshot that judges it.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) parts: Parts,
    pub(crate) body: RequestBody,
    pub(crate) peer: Arc<Peer>,
    pub(crate) snapshot: Arc<Snapshot>,
    /// Whom the certificate names, found out before anything else so that refusals are recorded with
    /// a name; the stage `identify` insists on it.
    pub(crate) caller: Result<Arc<Caller>, Failure>,
    pub(crate) draft: Arc<Draft>,
    /// Why its head was not read, if this stands in for one.
    pub(crate) fault: Option<Fault>,
}

impl Exchange {
    /// What its record needs besides the notes.
    pub(crate) fn circumstances(&self) -> Circumstances {
        Circumstances {
            draft: Arc::clone(&self.draft),
            snapshot: Arc::clone(&self.snapshot),
            peer: Arc::clone(&self.peer),
            method: self.parts.method.clone(),
        }
    }
}

/// Which system calls, and who answers for it: known of each when a snapshot is made.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) system: Arc<System>,
    pub(crate) department: Arc<Department>,
    /// Their ids, as they stand in header fields.
    pub(crate) system_field: HeaderValue,
    pub(crate) department_field: HeaderValue,
    pub(crate) metrics: CallerMetrics,
}

impl Caller {
    /// `None` if an id cannot stand in a header field, which ids are made not to.
    pub(crate) fn new(
        system: Arc<System>,
        department: Arc<Department>,
        metrics: CallerMetrics,
    ) -> Option<Self> {
        let system_field = HeaderValue::from_str(system.id.as_str()).ok()?;
        let department_field = HeaderValue::from_str(department.id.as_str()).ok()?;
        Some(Self { system, department, system_field, department_field, metrics })
    }
}

/// How the purpose became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PurposeOrigin {
    Token,
    Declared,
}

/// Why data is wanted, and who says so.
#[derive(Debug, Clone)]
pub(crate) struct StatedPurpose {
    pub(crate) code: PurposeCode,
    pub(crate) origin: PurposeOrigin,
    pub(crate) token: Option<TokenId>,
}

/// Parameters as a record may show them.
#[derive(Debug, Clone, Default)]
pub(crate) struct NotedParameters {
    /// Those that may stand in it, with every value they came with.
    pub(crate) recordable: Vec<(ParameterName, String)>,
    /// The names of those that came and may not, and how many values each had: that they came is no
    /// secret, and a record that does not say so could not be told from one of a request without them.
    pub(crate) withheld: Vec<(ParameterName, u64)>,
}

impl NotedParameters {
    /// Notes that `name` came with `values`.
    pub(crate) fn note(&mut self, name: &ParameterName, recordable: bool, values: &[String]) {
        if recordable {
            self.recordable.extend(values.iter().map(|value| (name.clone(), value.clone())));
        } else if !values.is_empty() {
            self.withheld.push((name.clone(), u64::try_from(values.len()).unwrap_or(u64::MAX)));
        }
    }
}

/// What was asked for, in the caller's words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requested {
    /// Items of a scope; empty asks for all that is granted.
    pub(crate) fields: Vec<String>,
    /// The parameters of the head.
    pub(crate) parameters: NotedParameters,
    /// The grants that the token names, if it does.
    pub(crate) narrowed_to: Option<Vec<GrantId>>,
}

/// The notes of one request. Each is written once, by the stage that knows; whoever seals the record
/// reads them, even if the stages were dropped in the middle.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) request_id: RequestId,
    pub(crate) trace_id: OnceLock<String>,
    /// What its spans are made from, if it is sampled.
    pub(crate) spans: OnceLock<Box<SpanNotes>>,
    pub(crate) received: Timestamp,
    pub(crate) started: Instant,
    pub(crate) language: Language,
    pub(crate) caller: OnceLock<Arc<Caller>>,
    pub(crate) route: OnceLock<Arc<Route>>,
    pub(crate) purpose: OnceLock<StatedPurpose>,
    pub(crate) requested: OnceLock<Requested>,
    /// The parameters of the body: known later than those of the head.
    pub(crate) in_body: OnceLock<NotedParameters>,
    /// The people and companies that the parameters of the head name, and those of the body.
    pub(crate) subjects: OnceLock<Vec<SubjectDigest>>,
    pub(crate) subjects_in_body: OnceLock<Vec<SubjectDigest>>,
    pub(crate) permit: OnceLock<Arc<Permit>>,
    /// The deny lines that matched.
    pub(crate) denied_by: OnceLock<Vec<GrantId>>,
    /// How the candidate policy would have decided otherwise.
    pub(crate) shadow: OnceLock<ShadowChange>,
    /// Set once the limits that know nothing of grants have let the request through.
    pub(crate) throttled: OnceLock<()>,
    /// Set once the limits of its grants have, too.
    pub(crate) admitted: OnceLock<()>,
    pub(crate) refusal: OnceLock<Code>,
    pub(crate) upload: OnceLock<Arc<UploadState>>,
    /// What was done to the request's body on its way to the platform.
    pub(crate) submitted: OnceLock<Summary>,
    /// Set once an intent record is on its way to the disk: the record that follows is an outcome.
    pub(crate) intent: OnceLock<()>,
    /// Set once it is known that the intent is not on record, and will not be.
    pub(crate) intent_lost: OnceLock<()>,
    /// Set once the last record of a reply in hand is on its way to the disk.
    pub(crate) recorded: OnceLock<()>,
    /// Set once a reply is given free.
    pub(crate) released: OnceLock<()>,
    /// When the first records of the reply were charged to the day.
    pub(crate) charged: OnceLock<Timestamp>,
    /// Why the reply broke off, if it did.
    pub(crate) aborted: OnceLock<&'static str>,
    /// The keyed digest of what the platform sent, once it has come whole.
    pub(crate) received_mac: OnceLock<Digest>,
    /// What masking did.
    pub(crate) masked: OnceLock<Summary>,
    decided_us: AtomicU64,
    upstream_us: AtomicU64,
    attempts: AtomicU64,
    masked_us: AtomicU64,
}

impl Draft {
    pub(crate) fn new(received: Timestamp, language: Language) -> Self {
        Self {
            request_id: RequestId::generate(),
            trace_id: OnceLock::new(),
            spans: OnceLock::new(),
            received,
            started: Instant::now(),
            language,
            caller: OnceLock::new(),
            route: OnceLock::new(),
            purpose: OnceLock::new(),
            requested: OnceLock::new(),
            in_body: OnceLock::new(),
            subjects: OnceLock::new(),
            subjects_in_body: OnceLock::new(),
            permit: OnceLock::new(),
            denied_by: OnceLock::new(),
            shadow: OnceLock::new(),
            throttled: OnceLock::new(),
            admitted: OnceLock::new(),
            refusal: OnceLock::new(),
            upload: OnceLock::new(),
            submitted: OnceLock::new(),
            intent: OnceLock::new(),
            intent_lost: OnceLock::new(),
            recorded: OnceLock::new(),
            released: OnceLock::new(),
            charged: OnceLock::new(),
            aborted: OnceLock::new(),
            received_mac: OnceLock::new(),
            masked: OnceLock::new(),
            decided_us: AtomicU64::new(0),
            upstream_us: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            masked_us: AtomicU64::new(0),
        }
    }

    /// Notes a fact. A second note of the same kind changes nothing: the first stage to know is right.
    pub(crate) fn note<T>(slot: &OnceLock<T>, value: T) {
        if slot.set(value).is_err() {
            tracing::trace!("a note was made twice; the first stands");
        }
    }

    /// Notes what masking did; the first summary stands.
    pub(crate) fn note_masked(&self, summary: Summary) {
        Self::note(&self.masked, summary);
    }

    /// Its trace id, for what is logged about it.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        self.trace_id.get().map(String::as_str)
    }

    /// Whether something of the platform's reply has left, or is about to.
    pub(crate) fn has_left(&self) -> bool {
        self.released.get().is_some() && self.refusal.get().is_none()
    }

    pub(crate) fn note_decided(&self, took: Duration) {
        self.decided_us.store(micros(took), Ordering::Relaxed);
    }

    pub(crate) fn note_upstream(&self, took: Duration) {
        self.upstream_us.store(micros(took), Ordering::Relaxed);
        self.note_part(Part::Upstream, took);
    }

    /// Notes that a part has just ended, for the spans of a request that is sampled.
    pub(crate) fn note_part(&self, part: Part, took: Duration) {
        if let Some(spans) = self.spans.get() {
            spans.ended(part, self.started.elapsed(), took);
        }
    }

    /// Notes that the request is sent to the platform, or sent again.
    pub(crate) fn note_attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was.
    pub(crate) fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }

    pub(crate) fn note_masking(&self, took: Duration) {
        self.masked_us.store(micros(took), Ordering::Relaxed);
        self.note_part(Part::Mask, took);
    }

    pub(crate) fn masked_us(&self) -> u64 {
        self.masked_us.load(Ordering::Relaxed)
    }

    pub(crate) fn decided_us(&self) -> u64 {
        self.decided_us.load(Ordering::Relaxed)
    }

    pub(crate) fn upstream_us(&self) -> u64 {
        self.upstream_us.load(Ordering::Relaxed)
    }

    /// The instant it is now, for what depends on the day: arrival and the time since.
    pub(crate) fn now(&self) -> Timestamp {
        self.received.checked_add(self.started.elapsed()).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn total_us(&self) -> u64 {
        micros(self.started.elapsed())
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
