//! The record of a session: an intent that is durable before its client hears of it, an outcome when it has ended.

use std::sync::Arc;

use http::StatusCode;

use super::{Circumstances, Ending, Recorder};
use crate::proxy::exchange::Draft;
use crate::proxy::websocket::pump::Moved;
use crate::telemetry::{SessionEnd, SessionMetrics};

/// How a session ended, for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// For metrics.
    pub(crate) how: SessionEnd,
    /// Why, if nobody closed it as it is done.
    pub(crate) aborted: Option<&'static str>,
}

impl Ended {
    /// Who closed it.
    fn by(self) -> Option<&'static str> {
        self.aborted.is_none().then(|| self.how.as_str())
    }
}

/// Seals the outcome of a session when it is dropped, whatever became of it.
pub(crate) struct SessionRecord {
    recorder: Arc<Recorder>,
    about: Circumstances,
    moved: Arc<Moved>,
    metrics: SessionMetrics,
    ended: Option<Ended>,
}

impl SessionRecord {
    pub(super) fn new(
        recorder: Arc<Recorder>,
        about: Circumstances,
        moved: Arc<Moved>,
        metrics: SessionMetrics,
    ) -> Self {
        metrics.open.inc();
        Self { recorder, about, moved, metrics, ended: None }
    }

    /// Notes how it ended.
    pub(crate) fn end(mut self, ended: Ended) {
        self.ended = Some(ended);
    }
}

impl Drop for SessionRecord {
    fn drop(&mut self) {
        let Self { recorder, about, moved, metrics, ended } = self;
        let ended = ended.unwrap_or_else(|| {
            let how = if recorder.stopped.is_cancelled() { SessionEnd::Drain } else { SessionEnd::Broken };
            Ended { how, aborted: Some(recorder.given_up().1) }
        });
        if let Some(why) = ended.aborted {
            Draft::note(&about.draft.aborted, why);
        }
        let ending = Ending {
            status: StatusCode::SWITCHING_PROTOCOLS,
            bytes_in: Some(moved.to_platform()),
            bytes: moved.to_client(),
            digest: None,
            aborted: ended.aborted,
            ended_by: ended.by(),
        };
        recorder.seal(about, &ending);
        metrics.open.dec();
        metrics.end(ended.how);
    }
}
