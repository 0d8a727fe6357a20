//! What one limit says, as read from `limits.toml`.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use crate::kernel::id::{DepartmentId, GrantId, LimitName, ResourceId, SystemId};

/// The most calls a rate may give in one period.
pub const MAX_CALLS: u32 = 1_000_000;
/// The largest burst. With the slowest rate it still fits 64 bits of nanoseconds.
pub const MAX_BURST: u32 = 1_000_000;
/// The most calls one day may have.
pub const MAX_PER_DAY: u64 = 1_000_000_000;
/// The most calls at once.
pub const MAX_CONCURRENCY: u32 = 1_000_000;

/// What a limit can keep separate counters by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// Each system.
    System,
    /// Each department, all its systems together.
    Department,
    /// Each resource.
    Resource,
    /// Each grant a call rests on.
    Grant,
}

impl Dimension {
    /// All of them, in the order of their indices.
    pub const ALL: [Self; 4] = [Self::System, Self::Department, Self::Resource, Self::Grant];

    /// The word in `by`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Department => "department",
            Self::Resource => "resource",
            Self::Grant => "grant",
        }
    }

    /// The dimension called `word`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.as_str() == word)
    }
}

/// The unit of time of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// `/s`
    Second,
    /// `/m`
    Minute,
    /// `/h`
    Hour,
}

impl Period {
    fn nanos(self) -> u64 {
        const SECOND: u64 = 1_000_000_000;
        match self {
            Self::Second => SECOND,
            Self::Minute => 60 * SECOND,
            Self::Hour => 3_600 * SECOND,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Second => 's',
            Self::Minute => 'm',
            Self::Hour => 'h',
        }
    }
}

/// So many calls in so much time: `100/s`, `6000/m`, `1/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pace {
    calls: NonZeroU32,
    per: Period,
}

/// Why a text is not a pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write calls and a unit of time, such as `100/s`, `6000/m` or `50/h`; at least 1, at most {MAX_CALLS}"
)]
pub struct PaceError;

impl Pace {
    /// Reads `100/s`, `6000/m` or `50/h`.
    ///
    /// # Errors
    /// When `text` is anything else, zero, or above [`MAX_CALLS`].
    pub fn parse(text: &str) -> Result<Self, PaceError> {
        let (calls, unit) = text.split_once('/').ok_or(PaceError)?;
        let per = match unit {
            "s" => Period::Second,
            "m" => Period::Minute,
            "h" => Period::Hour,
            _ => return Err(PaceError),
        };
        if calls.is_empty() || !calls.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PaceError);
        }
        let calls: NonZeroU32 = calls.parse().map_err(|_| PaceError)?;
        if calls.get() > MAX_CALLS { Err(PaceError) } else { Ok(Self { calls, per }) }
    }

    /// The time in which one call is given back, rounded up so that the pace is never exceeded.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_nanos(self.per.nanos().div_ceil(u64::from(self.calls.get())))
    }

    /// As many calls as one second gives, at least one: the burst of a rate that names none.
    #[must_use]
    pub fn calls_per_second(self) -> NonZeroU32 {
        let calls = u64::from(self.calls.get()) * 1_000_000_000 / self.per.nanos();
        u32::try_from(calls).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.calls, self.per.letter())
    }
}

/// A pace, and how many calls may come at once after a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// The pace in the long run.
    pub pace: Pace,
    /// How many calls may come at once; at most [`MAX_BURST`].
    pub burst: NonZeroU32,
}

/// The ids a limit is about. An empty list means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these systems.
    pub systems: Vec<SystemId>,
    /// Only the systems of these departments.
    pub departments: Vec<DepartmentId>,
    /// Only these resources.
    pub resources: Vec<ResourceId>,
    /// Only calls that rest on one of these grants.
    pub grants: Vec<GrantId>,
}

/// One limit. INVARIANT: `by` is not empty and has no doubles; at least one bound is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name, which clients see in the rate-limit header fields.
    pub name: LimitName,
    /// What it keeps separate counters by.
    pub by: Vec<Dimension>,
    /// Which calls it is about.
    pub only: Selection,
    /// Calls over time.
    pub rate: Option<Rate>,
    /// Calls at once.
    pub concurrency: Option<NonZeroU32>,
    /// Calls on one local day.
    pub per_day: Option<NonZeroU64>,
}

impl Limit {
    /// Whether it can only be applied once the grants of a call are known.
    #[must_use]
    pub fn needs_grants(&self) -> bool {
        self.by.contains(&Dimension::Grant) || !self.only.grants.is_empty()
    }
}
