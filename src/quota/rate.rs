//! Calls over time: governor's GCRA over counters of our own, so that a call can be looked at
//! before it is taken, and given back when another limit refuses it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use super::limit::{Limit, Rate};
use super::population::Index;
use super::table::{Counters, Table};
use super::usage::{Published, Usage};
use super::{Bound, Exceeded};

/// The theoretical arrival time of the next call (GCRA's TAT), in nanoseconds since the rate
/// limiter began; zero before the first call.
#[derive(Debug, Default)]
pub(super) struct Arrival(AtomicU64);

/// Whether the answer is to be acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    Look,
    Take,
}

/// A question to the rate limiter about one counter.
#[derive(Debug, Clone)]
struct Probe {
    arrival: Arc<Arrival>,
    intent: Intent,
}

impl PartialEq for Probe {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.arrival, &other.arrival)
    }
}

impl Eq for Probe {}

impl Hash for Probe {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.arrival).hash(state);
    }
}

/// The state store: the counter comes with the question, so nothing is stored here.
#[derive(Debug)]
struct Arrivals;

impl StateStore for Arrivals {
    type Key = Probe;

    fn measure_and_replace<T, F, E>(&self, probe: &Probe, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let arrival = &probe.arrival.0;
        let mut seen = arrival.load(Ordering::Acquire);
        loop {
            let (outcome, next) = decide((seen != 0).then(|| Nanos::new(seen)))?;
            if probe.intent == Intent::Look {
                return Ok(outcome);
            }
            match arrival.compare_exchange_weak(seen, next.as_u64(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(outcome),
                Err(now) => seen = now,
            }
        }
    }
}

type Gcra<C> = RateLimiter<Probe, Arrivals, C, StateInformationMiddleware>;

/// The rate of one limit.
#[derive(Debug)]
pub(super) struct RateBound<C: Clock> {
    rate: Rate,
    gcra: Arc<Gcra<C>>,
    arrivals: Counters<Arrival>,
    published: Arc<Published>,
}

impl<C: Clock> RateBound<C> {
    /// The rate of `limit`, if it has one.
    pub(super) fn new(limit: &Limit, table: &Table, clock: C) -> Option<Self> {
        let rate = limit.rate?;
        let quota = Quota::with_period(rate.pace.interval())?.allow_burst(rate.burst);
        let window = rate.pace.interval().saturating_mul(rate.burst.get());
        Some(Self {
            rate,
            gcra: Arc::new(RateLimiter::new(quota, Arrivals, clock)),
            arrivals: Counters::new(table),
            published: Arc::new(Published::rate(&limit.name, u64::from(rate.burst.get()), window)),
        })
    }

    /// Goes on with the counters of `old` if it is the same rate. A changed rate begins anew: its
    /// predecessor's arrival times mean nothing to it and could lock callers out.
    pub(super) fn inherit(&mut self, to: (&Table, &Index), old: &Self, from: (&Table, &Index)) {
        if self.rate == old.rate {
            // Arrival times count from the moment the rate limiter began, so it is kept with them.
            self.gcra = Arc::clone(&old.gcra);
            self.arrivals.share(to, &old.arrivals, from);
        }
    }

    pub(super) fn look(&self, slot: usize) -> Result<(), Exceeded> {
        self.ask(slot, Intent::Look).map(|_| ())
    }

    pub(super) fn take(&self, slot: usize) -> Result<Usage, Exceeded> {
        self.ask(slot, Intent::Take)
    }

    fn ask(&self, slot: usize, intent: Intent) -> Result<Usage, Exceeded> {
        let Some(arrival) = self.arrivals.at(slot) else { return Err(self.refuse(Duration::ZERO)) };
        let probe = Probe { arrival: Arc::clone(arrival), intent };
        match self.gcra.check_key(&probe) {
            Ok(state) => Ok(self.usage(&state)),
            Err(not_until) => Err(self.refuse(not_until.wait_time_from(self.gcra.clock().now()))),
        }
    }

    /// Undoes a `take`. GCRA adds one interval for a call, so taking one interval away leaves what
    /// would be there without the call: earlier arrival times and the present are the same to it.
    pub(super) fn give_back(&self, slot: usize) {
        let interval = u64::try_from(self.rate.pace.interval().as_nanos()).unwrap_or(u64::MAX);
        if let Some(arrival) = self.arrivals.at(slot) {
            arrival.0.fetch_sub(interval, Ordering::AcqRel);
        }
    }

    fn usage(&self, state: &StateSnapshot) -> Usage {
        let remaining = state.remaining_burst_capacity();
        let used = self.rate.burst.get().saturating_sub(remaining);
        Usage {
            published: Arc::clone(&self.published),
            remaining: u64::from(remaining),
            restored_in: Some(self.rate.pace.interval().saturating_mul(used)),
        }
    }

    fn refuse(&self, retry_after: Duration) -> Exceeded {
        Exceeded {
            name: Arc::clone(&self.published.limit),
            bound: Bound::Rate,
            quota: self.published.quota,
            retry_after,
            usage: Some(Usage {
                published: Arc::clone(&self.published),
                remaining: 0,
                restored_in: Some(
                    self.rate.pace.interval().saturating_mul(self.rate.burst.get() - 1) + retry_after,
                ),
            }),
        }
    }
}
