//! What of a request is told to a collector of traces, and of which requests (W3C Trace Context,
//! OpenTelemetry). Only data: who makes spans and who sends them meet here.

use std::fmt::Debug;
use std::time::Duration;

use prometheus::IntCounterVec;

use super::Registrar;
use crate::kernel::time::Timestamp;

labels! {
    /// What became of a span.
    SpanFate {
        /// The collector has it.
        Sent = "sent",
        /// There was no room for it, or no time at the end.
        Dropped = "dropped",
        /// The collector did not take it.
        Failed = "failed",
    }
}

/// Whom a span is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that came.
    Server,
    /// What the gate does with it.
    Internal,
    /// The same request, sent on.
    Client,
}

/// A value that may stand in a span: from the catalogue, the registry or a closed list, never of a client's
/// choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A name of the configuration.
    Name(String),
    /// A word of a closed list.
    Word(&'static str),
    /// A number.
    Number(u16),
}

/// A length of time in the life of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace it belongs to.
    pub trace: u128,
    /// Its own id, never zero.
    pub id: u64,
    /// The span that it is part of.
    pub parent: Option<u64>,
    /// What it is.
    pub name: String,
    /// Whom it is about.
    pub kind: SpanKind,
    /// When it began.
    pub start: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Whether the gate or the platform failed.
    pub is_error: bool,
    /// What else is known.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// Takes the spans of a request that has ended. Never waits: what there is no room for is counted and gone.
pub trait SpanSink: Send + Sync + Debug {
    /// Takes them, or not.
    fn offer(&self, spans: Vec<Span>);
}

/// Of which requests there are spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Of 2³² trace ids, how many are sampled.
    of_ids: u64,
    /// Whether the caller's word counts, where it has one.
    follows_parent: bool,
}

impl Sampling {
    /// All ids there are, as far as they are looked at.
    const IDS: u64 = 1 << 32;

    /// `millionths` of the requests, and, if `follows_parent`, those that their callers sample, and not those that
    /// they do not.
    #[must_use]
    pub fn new(millionths: u32, follows_parent: bool) -> Self {
        Self { of_ids: u64::from(millionths.min(1_000_000)) * Self::IDS / 1_000_000, follows_parent }
    }

    /// Whether a request is sampled. `parent` is what its caller has decided, if it has. `lot` is the gate's own: by an
    /// id that a caller makes up, it would decide where it has no say.
    #[must_use]
    pub fn takes(self, lot: u128, parent: Option<bool>) -> bool {
        match parent {
            Some(is_sampled) if self.follows_parent => is_sampled,
            // The last digits: the first of ids that are made by time are alike for a while.
            _ => u64::try_from(lot % u128::from(Self::IDS)).is_ok_and(|id| id < self.of_ids),
        }
    }
}

/// The family of what became of spans.
#[derive(Debug, Clone)]
pub struct SpanMetrics(IntCounterVec);

impl SpanMetrics {
    pub(super) fn new(f: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let spans = f.counters(
            "pinegate_trace_spans_total",
            "Spans of sampled requests, by what became of them.",
            &["result"],
        )?;
        for fate in SpanFate::ALL {
            spans.with_label_values(&[fate.as_str()]);
        }
        Ok(Self(spans))
    }

    /// Counts so many spans.
    pub fn count(&self, fate: SpanFate, spans: usize) {
        self.0.with_label_values(&[fate.as_str()]).inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_callers_word_counts_where_it_is_followed() {
        let (none, all) = (Sampling::new(0, true), Sampling::new(1_000_000, true));
        assert!(none.takes(1, Some(true)) && !all.takes(1, Some(false)));
        let (none, all) = (Sampling::new(0, false), Sampling::new(1_000_000, false));
        assert!(!none.takes(1, Some(true)) && all.takes(1, Some(false)));
    }

    #[test]
    fn a_share_is_a_share() {
        let sampling = Sampling::new(250_000, true);
        let spread = |n: u32| (7_u128 << 64) | u128::from(n.wrapping_mul(0x9e37_79b1));
        let taken = (0..10_000).filter(|n| sampling.takes(spread(*n), None)).count();
        assert!((2_400..2_600).contains(&taken), "{taken}");
    }

    proptest! {
        #[test]
        fn all_and_none_are_exact(trace: u128) {
            prop_assert!(Sampling::new(1_000_000, true).takes(trace, None));
            prop_assert!(!Sampling::new(0, true).takes(trace, None));
        }
    }
}
