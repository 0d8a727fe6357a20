//! Sends the spans of sampled requests to a collector, by OTLP/HTTP in JSON.
//!
//! A bounded queue and one task behind it. Requests never wait: what there is no room for is counted and gone, and so is
//! what the collector does not take after a few tries. Traces are for looking on; the audit log is what has happened.

mod otlp;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::http::{AGENT, bearer};
use super::setup::{SetupError, client};
use crate::config::TraceSettings;
use crate::kernel::diagnostic::chain;
use crate::kernel::id::NodeId;
use crate::kernel::time::Clock;
use crate::telemetry::{Sampling, Span, SpanFate, SpanMetrics, SpanSink};
use crate::upstream::{Client, ClientError};

/// How many requests' spans wait at most.
const QUEUE: usize = 2_048;
/// How many spans are sent at once.
const BATCH: usize = 512;
/// How long the first of them waits for more.
const GATHER: Duration = Duration::from_secs(1);
/// How long to wait before each further try to send a batch.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// How much of an answer is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Where collectors take traces (OTLP/HTTP, section "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the spans cannot be written as JSON")]
    Encode(#[from] serde_json::Error),
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the collector answers {0}")]
    Refused(StatusCode),
}

impl ExportError {
    /// Whether it may be tried again (OTLP/HTTP, section "Failures").
    fn is_passing(&self) -> bool {
        match self {
            Self::Encode(_) | Self::Request(_) => false,
            Self::Client(_) => true,
            Self::Refused(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }
}

/// What a collector answers where it has not taken all.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    partial_success: Partial,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Partial {
    rejected_spans: Count,
}

/// An integer of 64 bits, which JSON of protocol buffers has as a text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Count {
    Text(String),
    Number(usize),
}

impl Default for Count {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Answer {
    fn rejected(bytes: &[u8]) -> usize {
        match serde_json::from_slice::<Self>(bytes).unwrap_or_default().partial_success.rejected_spans {
            Count::Text(text) => text.parse().unwrap_or(0),
            Count::Number(number) => number,
        }
    }
}

/// A collector, ready to be spoken to.
#[derive(Debug)]
struct Collector {
    client: Client<Full<Bytes>>,
    target: Uri,
    authorization: Option<HeaderValue>,
    node: NodeId,
}

impl Collector {
    fn new(settings: &TraceSettings, node: &NodeId, clock: &Arc<dyn Clock>) -> Result<Self, SetupError> {
        let url = &settings.endpoint;
        let client = client(url, settings.ca.as_ref(), settings.client.as_ref(), settings.timeout, clock)?;
        let authorization = settings.token.as_ref().map(bearer).transpose()?;
        let target = format!("{}{PATH}", url.path().trim_end_matches('/'));
        let target = target.parse().map_err(|_| SetupError::Host(target))?;
        Ok(Self { client, target, authorization, node: node.clone() })
    }

    /// Sends spans, and says how many of them were not taken.
    async fn send(&self, body: &Bytes) -> Result<usize, ExportError> {
        let mut request = Request::post(self.target.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, AGENT);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = self.client.send(request.body(Full::new(body.clone()))?).await?;
        let status = answer.status();
        let rest = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect();
        let rest = tokio::time::timeout(self.client.response_timeout(), rest).await;
        if !status.is_success() {
            return Err(ExportError::Refused(status));
        }
        // It says what it rejected, or nothing: what cannot be read says nothing.
        Ok(rest.ok().and_then(Result::ok).map_or(0, |rest| Answer::rejected(&rest.to_bytes())))
    }
}

/// What is wrong with the settings of traces. Connects to nothing.
pub(super) fn check(settings: &TraceSettings, node: &NodeId, clock: &Arc<dyn Clock>) -> Option<SetupError> {
    Collector::new(settings, node, clock).err()
}

/// Where requests leave their spans.
#[derive(Debug)]
struct Queue {
    send: mpsc::Sender<Vec<Span>>,
    waiting: Arc<AtomicUsize>,
    metrics: SpanMetrics,
}

impl SpanSink for Queue {
    fn offer(&self, spans: Vec<Span>) {
        let count = spans.len();
        self.waiting.fetch_add(count, Ordering::Relaxed);
        if self.send.try_send(spans).is_err() {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            self.metrics.count(SpanFate::Dropped, count);
        }
    }
}

/// Spans on their way to a collector.
#[derive(Debug)]
pub struct Traces {
    queue: Arc<Queue>,
    sampling: Sampling,
    tasks: TaskTracker,
    /// Asks to send what is left and end.
    stop: CancellationToken,
    /// Ends at once.
    abort: CancellationToken,
}

impl Traces {
    /// Begins to send.
    ///
    /// # Errors
    /// When the collector cannot be spoken to as configured.
    pub fn start(
        settings: &TraceSettings,
        node: &NodeId,
        metrics: &SpanMetrics,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, super::BadPeer> {
        let collector = Collector::new(settings, node, clock).map_err(super::BadPeer::Collector)?;
        let (send, spans) = mpsc::channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let traces = Self {
            queue: Arc::new(Queue { send, waiting: Arc::clone(&waiting), metrics: metrics.clone() }),
            sampling: Sampling::new(settings.millionths, settings.follows_parent),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        let (stop, abort) = (traces.stop.clone(), traces.abort.clone());
        let metrics = metrics.clone();
        let exporter = Exporter { collector, spans, waiting, metrics, stop, fails: false };
        traces.tasks.spawn(async move {
            tokio::select! {
                () = abort.cancelled() => {}
                () = exporter.run() => {}
            }
        });
        traces.tasks.close();
        Ok(traces)
    }

    /// Of which requests there are spans.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// Where they are left.
    #[must_use]
    pub fn sink(&self) -> Arc<dyn SpanSink> {
        Arc::<Queue>::clone(&self.queue)
    }

    /// Sends what is left, for at most so long.
    pub async fn drain(&self, most: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(most, self.tasks.wait()).await.is_err() {
            self.abort.cancel();
            self.tasks.wait().await;
        }
        let spans = self.queue.waiting.swap(0, Ordering::Relaxed);
        if spans > 0 {
            self.queue.metrics.count(SpanFate::Dropped, spans);
            tracing::warn!(spans, "the last spans could not be sent in time");
        }
    }
}

struct Exporter {
    collector: Collector,
    spans: mpsc::Receiver<Vec<Span>>,
    waiting: Arc<AtomicUsize>,
    metrics: SpanMetrics,
    stop: CancellationToken,
    /// Whether the last batch was not taken: said once, not for each.
    fails: bool,
}

impl Exporter {
    async fn run(mut self) {
        loop {
            let mut batch = Vec::new();
            let is_last = self.gather(&mut batch).await;
            if !batch.is_empty() {
                self.export(&batch).await;
                self.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
            } else if is_last {
                return;
            }
        }
    }

    /// Fills a batch, and says whether nothing more is waited for.
    async fn gather(&mut self, batch: &mut Vec<Span>) -> bool {
        let stop = self.stop.clone();
        tokio::select! {
            biased;
            spans = self.spans.recv() => batch.extend(spans.into_iter().flatten()),
            () = stop.cancelled() => return true,
        }
        let enough = tokio::time::sleep(GATHER);
        tokio::pin!(enough);
        while batch.len() < BATCH {
            tokio::select! {
                biased;
                spans = self.spans.recv() => match spans {
                    Some(spans) => batch.extend(spans),
                    None => return true,
                },
                () = stop.cancelled() => return true,
                () = &mut enough => return false,
            }
        }
        stop.is_cancelled()
    }

    async fn export(&mut self, batch: &[Span]) {
        let mut pauses = PAUSES.iter();
        let sent = match otlp::body(&self.collector.node, batch).map(Bytes::from) {
            Err(error) => Err(ExportError::from(error)),
            Ok(body) => loop {
                match (self.collector.send(&body).await, pauses.next()) {
                    (Err(error), Some(pause)) if error.is_passing() && !self.stop.is_cancelled() => {
                        tokio::select! {
                            () = self.stop.cancelled() => {}
                            () = tokio::time::sleep(*pause) => {}
                        }
                    }
                    (sent, _) => break sent,
                }
            },
        };
        match sent {
            Ok(rejected) => {
                let rejected = rejected.min(batch.len());
                self.metrics.count(SpanFate::Sent, batch.len() - rejected);
                self.metrics.count(SpanFate::Failed, rejected);
                if std::mem::take(&mut self.fails) {
                    tracing::info!("spans are taken again");
                }
            }
            Err(error) => {
                self.metrics.count(SpanFate::Failed, batch.len());
                if !std::mem::replace(&mut self.fails, true) {
                    tracing::warn!(error = %chain(&error), "spans cannot be sent");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_may_take_a_part() {
        for (answer, rejected) in [
            ("{}", 0),
            ("", 0),
            (r#"{"partialSuccess":{}}"#, 0),
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"old"}}"#, 3),
            (r#"{"partialSuccess":{"rejectedSpans":4}}"#, 4),
            (r#"{"partialSuccess":{"rejectedSpans":"-1"}}"#, 0),
        ] {
            assert_eq!(Answer::rejected(answer.as_bytes()), rejected, "{answer}");
        }
    }

    #[test]
    fn what_passes_is_tried_again() {
        for (status, is_passing) in [(400, false), (401, false), (429, true), (500, false), (503, true)] {
            let error = ExportError::Refused(StatusCode::from_u16(status).unwrap());
            assert_eq!(error.is_passing(), is_passing, "{status}");
        }
    }
}
