//! How much, how fast, how many at once: rate, burst, concurrency and daily quotas.
//!
//! A [`limit::Limit`] from `limits.toml` keeps one counter for every key it names: system,
//! department, resource, grant, or a combination. Every limit that matches a call applies. Limits
//! that know nothing of grants are asked before the decision ([`limiter::Limiter::throttle`]), the
//! others after it ([`limiter::Limiter::admit_grants`]). Counters count on this node alone.
//!
//! Keys are ids from the registry, the catalogue and the grants, never a word of the client's, and
//! all of them are known when the limiter is built. So every counter has a fixed place in a table,
//! memory is bounded by [`limiter::MAX_COUNTERS`], and a call costs index arithmetic, no hashing
//! of composed keys. The rate itself is governor's GCRA.
//!
//! Knows nothing of HTTP but the texts of the rate-limit header fields, and nothing of files.

pub mod limit;
pub mod limiter;
pub mod population;
pub mod usage;

mod concurrency;
mod daily;
mod rate;
mod rows;
mod table;

use std::sync::Arc;
use std::time::Duration;

use crate::kernel::id::LimitName;
use usage::Usage;

/// Which bound of a limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bound {
    /// Calls over time, with a burst.
    Rate,
    /// Calls under way at the same time.
    Concurrency,
    /// Calls on one local day.
    PerDay,
    /// Records on one local day, a duty of a grant (`rows/day<=n`).
    RowsPerDay,
}

impl Bound {
    /// The bound in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::PerDay => "calls per day",
            Self::RowsPerDay => "rows per day",
        }
    }
}

/// No more for now.
#[derive(Debug, Clone)]
pub struct Exceeded {
    /// The limit's name, or the grant's id where the bound is [`Bound::RowsPerDay`].
    pub name: Arc<str>,
    /// Which of its bounds.
    pub bound: Bound,
    /// The bound itself, in calls or rows.
    pub quota: u64,
    /// The earliest that the same call can be let through, if nobody else is served meanwhile. One
    /// second for concurrency, where nobody knows.
    pub retry_after: Duration,
    /// What the rate-limit header fields say; none for rows, which are no calls.
    pub usage: Option<Usage>,
}

impl Exceeded {
    /// The value of `Retry-After` (RFC 9110, 10.2.3): whole seconds, rounded up, at least one.
    #[must_use]
    pub fn retry_after_secs(&self) -> u64 {
        usage::whole_seconds(self.retry_after).max(1)
    }
}

/// Why a call is not let through, or limits cannot be built.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QuotaError {
    /// A limit that applies is used up.
    #[error("`{}` allows no more: {} is {}", .0.name, .0.bound.as_str(), .0.quota)]
    Exceeded(Exceeded),
    /// A limit would need a counter for an id that the limiter was not built with. Nothing is let through.
    #[error("`{id}` is no {kind} that the limits were built for")]
    Unregistered {
        /// System, resource or grant.
        kind: &'static str,
        /// The id.
        id: String,
    },
    /// The limits together would need too many counters.
    #[error(
        "limit `{name}` brings the counters to {counters}, the most is {}; key it by less or select fewer ids",
        limiter::MAX_COUNTERS
    )]
    TooManyCounters {
        /// The limit that went beyond.
        name: LimitName,
        /// How many counters it and those before it need.
        counters: u64,
    },
    /// Too many grants are drawing rows today.
    #[error("more than {} pairs of grant and system draw rows today", rows::MAX_TALLIES)]
    TooManyTallies,
}

#[cfg(test)]
mod tests;
