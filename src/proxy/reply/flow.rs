//! Bodies of answers on their way: decoded, masked, counted, coded again.
//!
//! What is held of a body is one part as it came, one piece of it decoded, and what that piece became. A
//! part that decodes to very much is worked off piece by piece, as fast as the client takes what comes of it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::super::arriving::{Arriving, Broken};
use super::super::authorize::limited;
use super::super::body::BodyError;
use super::super::exchange::{Caller, Draft};
use super::super::snapshot::Snapshot;
use crate::audit::{DigestKey, ReceivedDigest};
use crate::catalog::Egress;
use crate::coding::{Coding, Decoder, Encoder};
use crate::grant::Permit;
use crate::mask::{Summary, Transform};

/// Counts the records of an answer against the day's rows before they leave.
pub(super) struct Meter {
    snapshot: Arc<Snapshot>,
    permit: Arc<Permit>,
    caller: Arc<Caller>,
    draft: Arc<Draft>,
    charged: u64,
}

impl Meter {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        permit: Arc<Permit>,
        caller: Arc<Caller>,
        draft: Arc<Draft>,
    ) -> Self {
        Self { snapshot, permit, caller, draft, charged: 0 }
    }

    fn charge(&mut self, records: u64) -> Result<(), BodyError> {
        let more = records.saturating_sub(self.charged);
        if more == 0 {
            return Ok(());
        }
        let now = self.draft.now();
        self.snapshot
            .limiter
            .charge_rows(now, &self.caller.system.id, &self.permit.grants, more)
            .map_err(|error| BodyError::Quota(Box::new(limited(error))))?;
        self.draft.charged.get_or_init(|| now);
        self.charged = records;
        Ok(())
    }

    /// Logs the first of what was found in fields that leave as they are, once a reply.
    fn tell(&self, summary: &Summary) {
        let Some(first) = summary.findings().next() else { return };
        let route = self.draft.route.get();
        tracing::warn!(
            request_id = %self.draft.request_id,
            trace_id = self.draft.trace_id(),
            resource = route.map(|route| route.resource.id.as_str()),
            field = %first.path,
            kind = first.kind.as_str(),
            findings = summary.findings().map(|finding| finding.count).sum::<u64>(),
            action = route.and_then(|route| route.resource.egress).map(Egress::as_str),
            "an unmasked identifier stands in a field that leaves as it is"
        );
    }
}

/// A clock that runs out when nothing comes.
struct Idle {
    /// None as long as nothing had to be waited for.
    sleep: Option<Pin<Box<Sleep>>>,
    within: Duration,
    /// Whether the platform is being waited for: time in which nobody asked does not count.
    is_waiting: bool,
}

impl Idle {
    fn new(within: Duration) -> Self {
        Self { sleep: None, within, is_waiting: false }
    }

    /// Something came.
    fn wind(&mut self) {
        self.is_waiting = false;
    }

    fn poll_run_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (within, is_waiting) = (self.within, std::mem::replace(&mut self.is_waiting, true));
        if let (Some(sleep), false) = (&mut self.sleep, is_waiting) {
            sleep.as_mut().reset(Instant::now() + within);
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        sleep.as_mut().poll(cx)
    }
}

/// The platform's body as it comes, digested on its way.
pub(super) struct Source {
    inner: Arriving,
    idle: Idle,
    /// The keyed digest of what has come; taken at the end, and by what breaks off.
    digest: Option<ReceivedDigest>,
    draft: Arc<Draft>,
}

impl Source {
    /// Nothing of `inner` was taken yet. Each part of it must come within `idle`.
    pub(super) fn new(inner: Arriving, idle: Duration, draft: Arc<Draft>, key: Option<&DigestKey>) -> Self {
        let mut source = Self { inner, idle: Idle::new(idle), digest: key.map(DigestKey::received), draft };
        if source.inner.is_end_stream() {
            // Nobody has to ask for a body that is empty.
            source.digest(None);
        }
        source
    }

    /// The next part; `None` at the end.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(part) => {
                self.idle.wind();
                self.digest(part.as_ref());
                Poll::Ready(part.map(|part| part.map_err(BodyError::Broken)))
            }
            Poll::Pending => {
                ready!(self.idle.poll_run_out(cx));
                self.digest = None;
                Poll::Ready(Some(Err(BodyError::Stalled)))
            }
        }
    }

    /// Goes on with the digest, and notes it once all has come: nobody has to ask again after the last part.
    fn digest(&mut self, part: Option<&Result<Frame<Bytes>, Broken>>) {
        let Some(mut digest) = self.digest.take() else { return };
        match part {
            Some(Err(_)) => return,
            Some(Ok(frame)) => frame.data_ref().into_iter().for_each(|data| digest.update(data)),
            None => {}
        }
        if part.is_none() || self.inner.is_end_stream() {
            Draft::note(&self.draft.received_mac, digest.finish());
        } else {
            self.digest = Some(digest);
        }
    }
}

/// The platform's body without its content coding.
pub(super) struct Plain {
    source: Source,
    decoder: Option<Decoder>,
    /// What is still to be decoded of the part in hand.
    part: Bytes,
}

impl Plain {
    pub(super) fn new(source: Source, decoder: Option<Decoder>) -> Self {
        Self { source, decoder, part: Bytes::new() }
    }

    /// How many bytes the platform will yet send, if it said so.
    pub(super) fn length(&self) -> Option<u64> {
        self.source.inner.size_hint().exact()
    }

    /// Gives the next piece to `take`; whether there was one. Trailers are dropped: they may tell what the
    /// masks hide (digests of RFC 9530, signatures).
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> Result<(), BodyError>,
    ) -> Poll<Result<bool, BodyError>> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let mut rest = self.part.as_ref();
                let piece = decoder.decode(&mut rest).map_err(BodyError::Coding)?;
                let taken = self.part.len() - rest.len();
                if !piece.is_empty() {
                    take(piece)?;
                    self.part.advance(taken);
                    return Poll::Ready(Ok(true));
                }
                self.part.advance(taken);
            }
            let Some(part) = ready!(self.source.poll_part(cx)) else {
                let end = self.decoder.as_ref().map_or(Ok(()), Decoder::finish);
                return Poll::Ready(end.map(|()| false).map_err(BodyError::Coding));
            };
            let Ok(data) = part?.into_data() else { continue };
            if self.decoder.is_none() {
                take(&data)?;
                return Poll::Ready(Ok(true));
            }
            self.part = data;
        }
    }
}

/// A body on its way through the masks.
pub(super) struct Masked {
    plain: Plain,
    transform: Transform,
    meter: Meter,
    /// What the masks let out.
    masked: Vec<u8>,
    /// Codes it again; gone once it has ended.
    encoder: Option<Encoder>,
    /// The same, coded.
    coded: Vec<u8>,
    over: bool,
}

impl Masked {
    pub(super) fn new(plain: Plain, transform: Transform, meter: Meter) -> Self {
        Self { plain, transform, meter, masked: Vec::new(), encoder: None, coded: Vec::new(), over: false }
    }

    /// Masks up to the end, or until more than `bound` bytes are in hand; whether it came to the end.
    pub(super) async fn gather(&mut self, bound: usize) -> Result<bool, BodyError> {
        while !self.over && self.masked.len() <= bound {
            poll_fn(|cx| self.poll_step(cx)).await?;
        }
        Ok(self.over)
    }

    /// What was gathered.
    pub(super) fn into_whole(mut self) -> Vec<u8> {
        std::mem::take(&mut self.masked)
    }

    /// Counts the records in hand against the day's rows.
    pub(super) fn charge(&mut self) -> Result<(), BodyError> {
        self.meter.charge(self.transform.records())
    }

    /// The rest leaves as it comes, in a content coding.
    pub(super) fn coded(mut self, coding: Option<Coding>) -> Self {
        self.encoder = coding.map(Encoder::new);
        self
    }

    /// Masks one piece more, or ends.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let Self { plain, transform, masked, .. } = self;
        let goes_on =
            ready!(plain.poll_piece(cx, |piece| transform.push(piece, masked).map_err(BodyError::Mask)))?;
        if !goes_on {
            transform.close(masked).map_err(BodyError::Mask)?;
            self.over = true;
        }
        Poll::Ready(Ok(()))
    }

    /// What can be sent by now of what was masked.
    fn ready(&mut self, is_waiting: bool) -> Result<Bytes, BodyError> {
        let Some(encoder) = &mut self.encoder else { return Ok(std::mem::take(&mut self.masked).into()) };
        encoder.push(&self.masked, &mut self.coded).map_err(BodyError::Coding)?;
        self.masked.clear();
        if self.over {
            encoder.finish(&mut self.coded).map_err(BodyError::Coding)?;
            self.encoder = None;
        } else if is_waiting && encoder.is_holding() {
            // Nobody knows when there will be more: what is here goes now.
            encoder.flush(&mut self.coded).map_err(BodyError::Coding)?;
        }
        Ok(std::mem::take(&mut self.coded).into())
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let mut is_waiting = false;
        loop {
            let bytes = self.ready(is_waiting)?;
            if !bytes.is_empty() {
                return Poll::Ready(Ok(Some(bytes)));
            }
            if self.over {
                return Poll::Ready(Ok(None));
            }
            if is_waiting {
                return Poll::Pending;
            }
            match self.poll_step(cx) {
                Poll::Ready(step) => step.and_then(|()| self.charge())?,
                Poll::Pending => is_waiting = true,
            }
        }
    }
}

impl Body for Masked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let ready = ready!(self.poll_ready(cx));
        if ready.is_err() {
            // What the failing piece would have let out is held back with it.
            self.masked.clear();
            self.coded.clear();
            self.encoder = None;
            self.over = true;
        }
        Poll::Ready(ready.map(|bytes| bytes.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.over && self.masked.is_empty() && self.coded.is_empty() && self.encoder.is_none()
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        let summary = self.transform.summary();
        self.meter.tell(&summary);
        // Records that were not charged have not left.
        self.meter.draft.note_masked(summary.with_records(self.meter.charged));
    }
}

/// A body that is granted whole, as it came.
pub(super) struct Passed(Source);

impl Passed {
    pub(super) fn new(source: Source) -> Self {
        Self(source)
    }
}

impl Body for Passed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.poll_part(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.inner.size_hint()
    }
}

/// A body that is granted whole, in a coding that the client does not accept.
pub(super) struct Unpacked {
    plain: Plain,
    over: bool,
}

impl Unpacked {
    pub(super) fn new(plain: Plain) -> Self {
        Self { plain, over: false }
    }
}

impl Body for Unpacked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let mut bytes = Bytes::new();
        let step = ready!(self.plain.poll_piece(cx, |piece| {
            bytes = Bytes::copy_from_slice(piece);
            Ok(())
        }));
        self.over = !matches!(step, Ok(true));
        Poll::Ready(step.map(|goes_on| goes_on.then(|| Frame::data(bytes))).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }
}
