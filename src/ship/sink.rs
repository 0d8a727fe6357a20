//! The seam: what the shipper asks of whatever takes records.

use std::future::Future;
use std::io;
use std::time::Duration;

use super::batch::Batch;
use crate::telemetry::SinkFailure;

/// Somewhere that records are sent. Whoever implements it sends what it is given, in order, and says
/// whether it was taken; what to send, how often to try and where to go on is the shipper's.
pub(super) trait Sink: Send {
    /// Sends `batch`.
    ///
    /// # Errors
    /// When it was not taken, or nobody knows. It is sent again then, and so is all that was not settled.
    fn send(&mut self, batch: &Batch) -> impl Future<Output = Result<Taken, SinkError>> + Send;

    /// Waits until all that was sent is taken, where [`Sink::send`] could not tell.
    ///
    /// # Errors
    /// When it was not, or nobody knows. All since the last time is sent again then.
    fn settle(&mut self) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// Whether a batch is the sink's now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It has said so.
    Yes,
    /// Only [`Sink::settle`] finds out.
    OnceSettled,
}

/// What the client of HTTP says went wrong.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a sink has not taken what it was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkError {
    /// No connection could be set up.
    #[error("it cannot be reached")]
    Connect(#[source] io::Error),
    /// No connection to an HTTP sink could be set up.
    #[error("it cannot be reached")]
    HttpConnect(#[source] Cause),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// The connection to an HTTP sink broke, or what it answered was not HTTP.
    #[error("the connection broke, or the answer is not HTTP")]
    HttpBroken(#[source] Cause),
    /// The connection was ended by whoever is on the way, or by a sink that does not say so as it must.
    #[error(
        "it ended the connection, but not TLS (`close_notify`): whether it has read all that was sent is not \
         known"
    )]
    CutOff,
    /// A wait took too long.
    #[error("it did not {what} within {within:?}")]
    Timeout {
        /// What it was to do.
        what: &'static str,
        /// The bound.
        within: Duration,
    },
    /// It asks to be tried again.
    #[error("it answers {status}")]
    Busy {
        /// The HTTP status.
        status: u16,
        /// When to try again, if it says so.
        after: Option<Duration>,
    },
    /// It takes no batch of that size.
    #[error("it answers 413: {records} records of {bytes} bytes are too large for it")]
    TooLarge {
        /// How many records there were.
        records: u64,
        /// How many bytes they had.
        bytes: usize,
    },
    /// It does not want the records as they are sent.
    #[error("it answers {status}: see to its address, its token and what it accepts")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// No request could be made.
    #[error("no request can be made")]
    Request(#[source] http::Error),
}

impl SinkError {
    /// What it is counted as.
    #[must_use]
    pub(super) const fn reason(&self) -> SinkFailure {
        match self {
            Self::Connect(_) | Self::HttpConnect(_) => SinkFailure::Unreachable,
            Self::Broken(_) | Self::HttpBroken(_) | Self::CutOff => SinkFailure::Broken,
            Self::Timeout { .. } => SinkFailure::Timeout,
            Self::Busy { .. } => SinkFailure::Busy,
            Self::TooLarge { .. } | Self::Refused { .. } | Self::Request(_) => SinkFailure::Refused,
        }
    }
}
