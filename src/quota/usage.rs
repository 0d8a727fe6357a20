//! What a client is told of its limits: the `RateLimit` and `RateLimit-Policy` header fields of
//! draft-ietf-httpapi-ratelimit-headers-10, in structured fields (RFC 9651), ASCII only.

use std::sync::Arc;
use std::time::Duration;

use crate::kernel::id::LimitName;

/// `length` in whole seconds, rounded up: a client that waits as long as it is told does not come
/// too early.
#[must_use]
pub(super) fn whole_seconds(length: Duration) -> u64 {
    length.as_secs() + u64::from(length.subsec_nanos() > 0)
}

/// One bound of one limit, as clients see it.
#[derive(Debug)]
pub(super) struct Published {
    /// The name of the limit.
    pub(super) limit: Arc<str>,
    /// The bound.
    pub(super) quota: u64,
    /// The name of the bound in the header fields. A limit's rate bears the limit's name, its
    /// other bounds a suffix, so that a client can tell them apart.
    item: String,
    /// The value of `RateLimit-Policy`.
    policy: String,
}

impl Published {
    /// A rate with its burst: `window` is the time in which the whole burst is given back.
    pub(super) fn rate(name: &LimitName, burst: u64, window: Duration) -> Self {
        Self::new(name, "", burst, &format!(";w={}", whole_seconds(window).max(1)))
    }

    /// A number of calls a day. A local day may have 23 or 25 hours; the window is the usual one.
    pub(super) fn per_day(name: &LimitName, calls: u64) -> Self {
        Self::new(name, ".day", calls, ";w=86400")
    }

    /// A number of calls at once, which has no window.
    pub(super) fn concurrency(name: &LimitName, calls: u64) -> Self {
        Self::new(name, ".concurrency", calls, ";qu=\"concurrent-requests\"")
    }

    fn new(name: &LimitName, suffix: &str, quota: u64, rest: &str) -> Self {
        // A limit's name is lower-case ASCII letters, digits, `-` and `_`: nothing to escape.
        let item = format!("{name}{suffix}");
        let policy = format!("\"{item}\";q={quota}{rest}");
        Self { limit: Arc::from(name.as_str()), quota, item, policy }
    }
}

/// How much of one bound is left.
#[derive(Debug, Clone)]
pub struct Usage {
    pub(super) published: Arc<Published>,
    pub(super) remaining: u64,
    pub(super) restored_in: Option<Duration>,
}

impl Usage {
    /// The name of the limit.
    #[must_use]
    pub fn limit(&self) -> &str {
        &self.published.limit
    }

    /// The bound, in calls.
    #[must_use]
    pub fn quota(&self) -> u64 {
        self.published.quota
    }

    /// How many more calls it lets through now.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The value of `RateLimit`: `"name";r=remaining;t=seconds`, where `t` is the time in which all of
    /// the quota is there again if nothing is called (rounded up; not there for calls at once).
    #[must_use]
    pub fn rate_limit(&self) -> String {
        let item = &self.published.item;
        match self.restored_in {
            Some(length) => format!("\"{item}\";r={};t={}", self.remaining, whole_seconds(length)),
            None => format!("\"{item}\";r={}", self.remaining),
        }
    }

    /// The value of `RateLimit-Policy`: `"name";q=quota;w=seconds`.
    #[must_use]
    pub fn rate_limit_policy(&self) -> &str {
        &self.published.policy
    }

    /// Of two usages the one that tells a client more: one with a window before one of calls at once,
    /// whose places come back by themselves; then less left; then longer to wait.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        let rank = |usage: &Self| {
            (usage.restored_in.is_none(), usage.remaining, std::cmp::Reverse(usage.restored_in))
        };
        if rank(&other) < rank(&self) { other } else { self }
    }
}
