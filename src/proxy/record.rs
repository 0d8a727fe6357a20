//! Stage 3, `record`: no byte of a reply is released before the record of that access is durable.
//!
//! A reply in hand gets one complete record. A streamed one gets an intent before its head and an
//! outcome after its end; so does a request that may change something, whose intent is durable before
//! it is forwarded. A client that goes away erases nothing: what was noted until then is sealed when
//! the request is dropped. Requests of nobody in particular are counted, not recorded, so that a
//! stranger cannot fill the disk.

mod session;

use std::borrow::Cow;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use tokio_util::sync::CancellationToken;

use super::body::{BodyError, ReplyBody, Stream, UploadFault};
use super::exchange::{Draft, NotedParameters, PurposeOrigin};
use super::failure::Failure;
use super::problem::Code;
use super::snapshot::Snapshot;
use super::subjects;
use super::traced::Part;
use crate::audit::{Access, Admitted, Entry, Kind, Outcome, Shadow, SubjectDigest, Subjects, Submitted};
use crate::catalog::Identifier;
use crate::identity::Peer;
use crate::journal::Journal;
use crate::kernel::id::{Digest, FieldPath};
use crate::mask::{FindingCount, Summary};
use crate::telemetry::{Stage, StageMetrics};

/// Writes the records of requests.
#[derive(Debug)]
pub(crate) struct Recorder {
    journal: Journal,
    stages: StageMetrics,
    /// Set when the gate ends connections where they stand.
    stopped: CancellationToken,
}

/// What is known of a request when its record is sealed, from the connection and the snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Circumstances {
    pub(crate) draft: Arc<Draft>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) method: http::Method,
}

pub(crate) use session::{Ended, SessionRecord};

/// How a reply ended.
struct Ending {
    status: StatusCode,
    /// What came of a session; of any other request, its upload tells.
    bytes_in: Option<u64>,
    bytes: u64,
    digest: Option<Digest>,
    aborted: Option<&'static str>,
    /// Who ended a session.
    ended_by: Option<&'static str>,
}

impl Ending {
    /// Of a reply of which nothing left.
    fn of(status: StatusCode, aborted: Option<&'static str>) -> Self {
        Self { status, bytes_in: None, bytes: 0, digest: None, aborted, ended_by: None }
    }
}

impl Recorder {
    pub(crate) fn new(journal: Journal, stages: StageMetrics, stopped: CancellationToken) -> Self {
        Self { journal, stages, stopped }
    }

    /// Why a reply was dropped: by the gate, which stops, or by a client that went away. With the status of
    /// a reply that had not begun, which never travels; 499 is what proxies log for such clients.
    fn given_up(&self) -> (StatusCode, &'static str) {
        if self.stopped.is_cancelled() {
            return (StatusCode::SERVICE_UNAVAILABLE, "gate-stopped");
        }
        (StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT), "client-gone")
    }

    /// Whether records can be made durable at present.
    pub(crate) fn is_durable(&self) -> bool {
        self.journal.is_durable()
    }

    /// Makes the intent of a request durable.
    pub(crate) async fn intend(&self, about: &Circumstances) -> Result<(), Failure> {
        let queued = self.journal.append(about.encode(Kind::Intent, None));
        // Noted once it is queued: what comes after it is an outcome, even if nobody waits any more.
        Draft::note(&about.draft.intent, ());
        let durable = self.durably(&about.draft, Part::Intent, queued).await;
        if durable.is_err() {
            Draft::note(&about.draft.intent_lost, ());
        }
        durable
    }

    async fn durably(
        &self,
        draft: &Draft,
        part: Part,
        queued: impl Future<Output = Result<u64, crate::journal::AppendError>>,
    ) -> Result<(), Failure> {
        let started = tokio::time::Instant::now();
        let appended = queued.await;
        let took = started.elapsed();
        self.stages.observe(Stage::Record, took);
        draft.note_part(part, took);
        match appended {
            Ok(_seq) => Ok(()),
            Err(error) => {
                tracing::error!(
                    request_id = %draft.request_id,
                    trace_id = draft.trace_id(),
                    %error,
                    "a record could not be made durable"
                );
                Err(Failure::Audit { asked: draft.attempts() > 0 })
            }
        }
    }

    /// Makes the record of a reply durable and gives the reply free, or says why it may not leave.
    pub(crate) async fn release(
        self: &Arc<Self>,
        about: &Circumstances,
        mut response: Response<ReplyBody>,
    ) -> Result<Response<ReplyBody>, Failure> {
        if about.draft.caller.get().is_none() {
            return Ok(response);
        }
        let status = response.status();
        if response.body().is_stream() || response.body().is_session() {
            if about.draft.intent.get().is_none() {
                self.intend(about).await?;
            }
            Draft::note(&about.draft.released, ());
            if let Some(opening) = response.body_mut().opening() {
                let (moved, metrics) = (Arc::clone(&opening.moved), opening.metrics.clone());
                let record = SessionRecord::new(Arc::clone(self), about.clone(), moved, metrics);
                opening.record = Some(record);
                return Ok(response);
            }
            let sealing = Sealing { recorder: Arc::clone(self), about: about.clone(), status };
            return Ok(response.map(|body| body.map_stream(|inner| Box::pin(Recorded::new(inner, sealing)))));
        }
        Draft::note(&about.draft.released, ());
        let bytes = response.body().as_whole();
        let ending = Ending {
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            digest: (!bytes.is_empty()).then(|| Digest::of(bytes)),
            ..Ending::of(status, None)
        };
        let queued = self.journal.append(about.encode(about.last_kind(), Some(&ending)));
        Draft::note(&about.draft.recorded, ());
        self.durably(&about.draft, Part::Record, queued).await?;
        Ok(response)
    }

    /// Seals a record without waiting for it: the client is gone, or has all it will get.
    fn seal(&self, about: &Circumstances, ending: &Ending) {
        if about.draft.caller.get().is_none() {
            return;
        }
        if let Err(error) = self.journal.submit(about.encode(about.last_kind(), Some(ending))) {
            // The intent stays without an outcome; recovery closes it as unknown.
            let draft = &about.draft;
            tracing::error!(request_id = %draft.request_id, trace_id = draft.trace_id(), %error, "an outcome could not be recorded");
        }
    }
}

impl Circumstances {
    fn last_kind(&self) -> Kind {
        let follows = self.draft.intent.get().is_some() && self.draft.intent_lost.get().is_none();
        if follows { Kind::Outcome } else { Kind::Access }
    }

    fn encode(&self, kind: Kind, ending: Option<&Ending>) -> Entry {
        let Self { draft, snapshot, peer, method } = self;
        let caller = draft.caller.get();
        let route = draft.route.get();
        let purpose = draft.purpose.get();
        let requested = draft.requested.get();
        let permit = draft.permit.get();
        let refusal = draft.refusal.get().copied();
        let counts = self.counts();
        let parameters = self.parameters();
        let subjects = self.subjects();
        Access {
            kind,
            at: draft.received,
            request_id: draft.request_id,
            trace_id: draft.trace_id(),
            system: caller.map(|caller| &caller.system.id),
            department: caller.map(|caller| &caller.department.id),
            certificate: &peer.certificate.fingerprint,
            address: canonical(peer.remote.ip()),
            method: method.as_str(),
            route: route.map(|route| route.template.as_str()),
            resource: route.map(|route| &route.resource.id),
            provider: route.map(|route| &route.provider.id),
            action: route.map(|route| &route.action),
            purpose: purpose.map(|purpose| &purpose.code),
            purpose_source: purpose.map(|purpose| match purpose.origin {
                PurposeOrigin::Token => "token",
                PurposeOrigin::Declared => "declared",
            }),
            token_id: purpose.and_then(|purpose| purpose.token.as_ref()),
            requested: requested.map_or(&[], |requested| &requested.fields),
            parameters: &parameters.recordable,
            withheld: &parameters.withheld,
            subjects: snapshot
                .digests
                .as_ref()
                .filter(|_| !subjects.is_empty())
                .map(|key| Subjects { key: key.id(), digests: &subjects }),
            narrowed_to: requested.and_then(|requested| requested.narrowed_to.as_deref()),
            decision: decision(
                permit.is_some(),
                refusal,
                ending.is_some_and(|ending| ending.aborted.is_none()),
            ),
            reason: refusal.map(Code::as_str),
            admitted: admitted(draft),
            grants: permit.map_or(&[], |permit| &permit.grants),
            denied_by: draft.denied_by.get().map_or(&[], Vec::as_slice),
            released: permit.map_or(&[], |permit| &permit.fields),
            policy: &snapshot.policy_digest_hex,
            config: &snapshot.config_digest_hex,
            shadow: draft
                .shadow
                .get()
                .zip(snapshot.shadow.as_ref())
                .map(|(change, shadow)| Shadow { change: change.as_str(), policy: &shadow.digest_hex }),
            outcome: ending.map(|ending| counts.outcome(draft, ending)),
        }
        .encode()
    }

    /// The parameters as the record shows them, those of the body last.
    fn parameters(&self) -> Cow<'_, NotedParameters> {
        let in_head = self.draft.requested.get().map(|requested| &requested.parameters);
        match (in_head, self.draft.in_body.get()) {
            (Some(only), None) | (None, Some(only)) => Cow::Borrowed(only),
            (Some(in_head), Some(in_body)) => Cow::Owned(NotedParameters {
                recordable: [in_head.recordable.as_slice(), &in_body.recordable].concat(),
                withheld: [in_head.withheld.as_slice(), &in_body.withheld].concat(),
            }),
            (None, None) => Cow::Owned(NotedParameters::default()),
        }
    }

    /// Whom the request is about, each once.
    fn subjects(&self) -> Cow<'_, [SubjectDigest]> {
        let slots = [&self.draft.subjects, &self.draft.subjects_in_body];
        match slots.map(|slot| slot.get().map_or(&[][..], Vec::as_slice)) {
            [only, []] | [[], only] => Cow::Borrowed(only),
            [in_head, in_body] => {
                let mut all = in_head.to_vec();
                in_body.iter().for_each(|digest| subjects::add(&mut all, digest.clone()));
                Cow::Owned(all)
            }
        }
    }

    fn counts(&self) -> Counts<'_> {
        Counts {
            replied: self.draft.masked.get().map(|summary| {
                let count = Count::of(summary);
                if self.draft.has_left() { count } else { count.withheld() }
            }),
            submitted: self.draft.submitted.get().map(Count::of),
        }
    }
}

/// What was counted of the bodies of both directions.
struct Counts<'d> {
    replied: Option<Count<'d>>,
    submitted: Option<Count<'d>>,
}

/// What was counted of one body.
struct Count<'d> {
    records: u64,
    masked: Vec<(&'d FieldPath, u64)>,
    dropped: Vec<(&'d FieldPath, u64)>,
    egress: Vec<(&'d FieldPath, Identifier, u64)>,
    unclassified: u64,
}

impl<'d> Count<'d> {
    fn of(summary: &'d Summary) -> Self {
        let (mut masked, mut dropped) = (Vec::new(), Vec::new());
        for field in summary.fields() {
            if field.masked > 0 {
                masked.push((field.path, field.masked));
            }
            if field.dropped > 0 {
                dropped.push((field.path, field.dropped));
            }
        }
        let mut egress: Vec<(&FieldPath, Identifier, u64)> = Vec::new();
        for FindingCount { path, kind, count } in summary.findings() {
            // A member of the envelope may be called as a field is.
            match egress.iter_mut().find(|(known, other, _)| *known == path && *other == kind) {
                Some((_, _, sum)) => *sum += count,
                None => egress.push((path, kind, count)),
            }
        }
        Self { records: summary.records(), masked, dropped, egress, unclassified: summary.unclassified() }
    }

    /// The same of a body of which nothing left: what was found in it was found all the same.
    fn withheld(self) -> Self {
        Self { records: 0, masked: Vec::new(), dropped: Vec::new(), egress: self.egress, unclassified: 0 }
    }
}

impl Counts<'_> {
    fn outcome(&self, draft: &Draft, ending: &Ending) -> Outcome<'_> {
        let replied = self.replied.as_ref();
        Outcome {
            status: ending.status.as_u16(),
            // Whatever came after this would be on no record.
            bytes_in: ending
                .bytes_in
                .unwrap_or_else(|| draft.upload.get().map_or(0, |upload| upload.close())),
            bytes_out: ending.bytes,
            records: replied.map(|count| count.records),
            masked: replied.map_or(&[], |count| &count.masked),
            dropped: replied.map_or(&[], |count| &count.dropped),
            egress: replied.map_or(&[], |count| &count.egress),
            unclassified: replied.map_or(0, |count| count.unclassified),
            submitted: self.submitted.as_ref().map(|count| Submitted {
                records: count.records,
                masked: &count.masked,
                dropped: &count.dropped,
                unclassified: count.unclassified,
            }),
            received_mac: draft.received_mac.get().copied(),
            sent_sha256: ending.digest,
            total_us: draft.total_us(),
            decide_us: draft.decided_us(),
            upstream_us: draft.upstream_us(),
            attempts: draft.attempts(),
            aborted: ending.aborted,
            ended_by: ending.ended_by,
        }
    }
}

/// Which limits counted the request.
fn admitted(draft: &Draft) -> Option<Admitted> {
    match (draft.throttled.get(), draft.admitted.get()) {
        (_, Some(())) => Some(Admitted::Grants),
        (Some(()), None) => Some(Admitted::Call),
        (None, None) => None,
    }
}

/// What was decided, apart from what came of it: a permit whose reply failed is still a permit. The
/// gate's own pages are permitted to every registered system.
pub(super) fn decision(permitted: bool, refusal: Option<Code>, is_whole: bool) -> &'static str {
    use crate::telemetry::Outcome as Sum;
    match (permitted, refusal.map(Code::outcome)) {
        (true, _) => "permit",
        (false, None) if is_whole => "permit",
        (false, Some(Sum::Denied | Sum::Limited | Sum::Unidentified | Sum::Invalid)) => "deny",
        (false, _) => "error",
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Who seals the record of a streamed reply, and about what.
struct Sealing {
    recorder: Arc<Recorder>,
    about: Circumstances,
    status: StatusCode,
}

/// A streamed reply whose outcome is recorded when it ends, one way or another.
struct Recorded {
    inner: Option<Stream>,
    sealing: Sealing,
    bytes: u64,
    digest: digest::Context,
    end: End,
}

/// How far a streamed reply has come.
enum End {
    Open,
    Whole,
    Broken(&'static str),
    Sealed,
}

impl Recorded {
    fn new(inner: Stream, sealing: Sealing) -> Self {
        let digest = digest::Context::new(&digest::SHA256);
        // Nobody has to ask for a body that is empty.
        let end = if inner.is_end_stream() { End::Whole } else { End::Open };
        Self { inner: Some(inner), sealing, bytes: 0, digest, end }
    }

    fn seal(&mut self) {
        let (aborted, is_whole) = match self.end {
            End::Sealed => return,
            // Who cut it off has noted why.
            End::Open => {
                let noted = self.sealing.about.draft.aborted.get().copied();
                (noted.or(Some(self.sealing.recorder.given_up().1)), false)
            }
            End::Whole => (None, true),
            End::Broken(why) => (Some(why), false),
        };
        self.end = End::Sealed;
        if let Some(why) = aborted {
            Draft::note(&self.sealing.about.draft.aborted, why);
        }
        // The masks note what they did when they are dropped, which must be before the record.
        self.inner = None;
        let digest = is_whole.then(|| {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(self.digest.clone().finish().as_ref());
            Digest(bytes)
        });
        let Sealing { recorder, about, status } = &self.sealing;
        recorder.seal(about, &Ending { bytes: self.bytes, digest, ..Ending::of(*status, aborted) });
    }
}

impl Body for Recorded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(inner.as_mut().poll_frame(cx));
        match &frame {
            None => {
                self.end = End::Whole;
                self.seal();
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.bytes = self.bytes.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
                    self.digest.update(data);
                }
                let is_last = self.inner.as_ref().is_some_and(|inner| inner.is_end_stream());
                if is_last {
                    // Nobody has to poll again after the last frame.
                    self.end = End::Whole;
                }
            }
            Some(Err(error)) => {
                let about = &self.sealing.about;
                tracing::warn!(
                    request_id = %about.draft.request_id,
                    trace_id = about.draft.trace_id(),
                    error = %crate::kernel::diagnostic::chain(error),
                    "a reply was cut off"
                );
                // What was wrong with the upload has broken the connection that the reply comes on.
                let fault = about.draft.upload.get().and_then(|upload| upload.fault());
                self.end = End::Broken(fault.map_or(error.reason(), UploadFault::reason));
                self.seal();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(|inner| inner.is_end_stream())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.as_ref().map_or_else(|| http_body::SizeHint::with_exact(0), |inner| inner.size_hint())
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.seal();
    }
}

/// Seals the record of a request that was given up before there was a reply.
pub(crate) struct SealOnDrop {
    recorder: Arc<Recorder>,
    about: Circumstances,
    is_armed: bool,
}

impl SealOnDrop {
    pub(crate) fn new(recorder: Arc<Recorder>, about: Circumstances) -> Self {
        Self { recorder, about, is_armed: true }
    }

    /// Who writes the record, and what it is about.
    pub(crate) fn parts(&self) -> (&Arc<Recorder>, &Circumstances) {
        (&self.recorder, &self.about)
    }

    /// The reply is free; it has a record of its own, or will have one when it ends.
    pub(crate) fn disarm(&mut self) {
        self.is_armed = false;
    }
}

impl Drop for SealOnDrop {
    fn drop(&mut self) {
        if self.is_armed && self.about.draft.recorded.get().is_none() {
            let (status, why) = self.recorder.given_up();
            self.recorder.seal(&self.about, &Ending::of(status, Some(why)));
        }
    }
}

#[cfg(test)]
mod tests;
