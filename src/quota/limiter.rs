//! All limits of one snapshot, and the two stages that ask them.

use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};

use super::concurrency::{ConcurrencyBound, Place};
use super::daily::{DailyBound, Day, Days};
use super::limit::{Dimension, Limit};
use super::population::{Index, Population};
use super::rate::RateBound;
use super::rows::{RowDuty, RowLedger};
use super::table::{Coordinates, Table};
use super::usage::Usage;
use super::{Exceeded, QuotaError};
use crate::kernel::id::{GrantId, LimitName, ResourceId, SystemId};
use crate::kernel::time::{TimeZone, Timestamp};

/// The most counters that all limits of one snapshot may have together. A counter takes 16 bytes,
/// and some 40 more once it is used.
pub const MAX_COUNTERS: usize = 1 << 20;

/// A call that all limits of a stage let through.
#[derive(Debug, Default)]
pub struct Admission {
    /// How much is left of the tightest limit that applied; `None` if none did.
    pub usage: Option<Usage>,
    /// Keep it until the reply has ended.
    pub in_flight: InFlight,
}

impl Admission {
    /// Both stages as one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.usage = match (self.usage, other.usage) {
            (Some(one), Some(other)) => Some(one.tighter(other)),
            (one, other) => one.or(other),
        };
        self.in_flight.places.extend(other.in_flight.places);
        self
    }
}

/// The places a call holds in limits on calls at once; dropping it gives them back.
#[derive(Debug, Default)]
#[must_use = "the call counts as ended when this is dropped"]
pub struct InFlight {
    places: Vec<Place>,
}

/// What was counted before a restart, as the journal has it.
#[derive(Debug, Clone, Copy)]
pub struct Past<'p> {
    /// When it was counted.
    pub at: Timestamp,
    /// Who called.
    pub system: &'p SystemId,
    /// The grants that counted it.
    pub grants: &'p [GrantId],
}

/// One limit with its counters.
#[derive(Debug)]
struct Gauge<C: Clock> {
    name: LimitName,
    by: Vec<Dimension>,
    needs_grants: bool,
    table: Table,
    rate: Option<RateBound<C>>,
    concurrency: Option<ConcurrencyBound>,
    daily: Option<DailyBound>,
}

/// One bound of one limit at one counter.
#[derive(Debug)]
enum Counter<'l, C: Clock> {
    Rate(&'l RateBound<C>, usize),
    Concurrency(&'l ConcurrencyBound, usize),
    Daily(&'l DailyBound, usize),
}

impl<C: Clock> Counter<'_, C> {
    fn look(&self, now: Timestamp, day: &Day) -> Result<(), Exceeded> {
        match *self {
            Self::Rate(bound, slot) => bound.look(slot),
            Self::Concurrency(bound, slot) => bound.look(slot),
            Self::Daily(bound, slot) => bound.look(slot, now, day),
        }
    }

    fn take(&self, now: Timestamp, day: &Day) -> Result<(Usage, Option<Place>), Exceeded> {
        match *self {
            Self::Rate(bound, slot) => bound.take(slot).map(|usage| (usage, None)),
            Self::Concurrency(bound, slot) => bound.take(slot).map(|(usage, place)| (usage, Some(place))),
            Self::Daily(bound, slot) => bound.take(slot, now, day).map(|usage| (usage, None)),
        }
    }

    fn give_back(&self, day: &Day) {
        match *self {
            Self::Rate(bound, slot) => bound.give_back(slot),
            // Its place gives itself back.
            Self::Concurrency(..) => {}
            Self::Daily(bound, slot) => bound.give_back(slot, day),
        }
    }
}

impl<C: Clock + Clone> Gauge<C> {
    fn new(limit: &Limit, table: Table, clock: &C) -> Self {
        Self {
            name: limit.name.clone(),
            by: limit.by.clone(),
            needs_grants: limit.needs_grants(),
            rate: RateBound::new(limit, &table, clock.clone()),
            concurrency: ConcurrencyBound::new(limit, &table),
            daily: DailyBound::new(limit, &table),
            table,
        }
    }

    fn inherit(&mut self, index: &Index, old: &Self, old_index: &Index) {
        let (to, from) = ((&self.table, index), (&old.table, old_index));
        if let (Some(rate), Some(old)) = (&mut self.rate, &old.rate) {
            rate.inherit(to, old, from);
        }
        if let (Some(concurrency), Some(old)) = (&mut self.concurrency, &old.concurrency) {
            concurrency.inherit(to, old, from);
        }
        if let (Some(daily), Some(old)) = (&mut self.daily, &old.daily) {
            daily.inherit(to, old, from);
        }
    }

    fn counters(&self, slot: usize) -> impl Iterator<Item = Counter<'_, C>> {
        let rate = self.rate.as_ref().map(|bound| Counter::Rate(bound, slot));
        let concurrency = self.concurrency.as_ref().map(|bound| Counter::Concurrency(bound, slot));
        let daily = self.daily.as_ref().map(|bound| Counter::Daily(bound, slot));
        [concurrency, daily, rate].into_iter().flatten()
    }
}

/// All limits of one snapshot.
///
/// `C` is governor's clock: monotonic in the running gate, so that a step of the wall clock gives
/// nobody calls and locks nobody out; any in tests.
#[derive(Debug)]
pub struct Limiter<C: Clock = DefaultClock> {
    index: Index,
    gauges: Vec<Gauge<C>>,
    days: Days,
    rows: Arc<RowLedger>,
    clock: C,
}

impl<C: Clock + Clone> Limiter<C> {
    /// Lays out the counters of `limits` for everyone and everything in `population`. Days are
    /// those of `zone`.
    ///
    /// # Errors
    /// [`QuotaError::TooManyCounters`] when they would be more than [`MAX_COUNTERS`].
    pub fn new(
        limits: &[Limit],
        population: &Population,
        zone: TimeZone,
        clock: C,
    ) -> Result<Self, QuotaError> {
        let index = Index::new(population);
        let mut gauges = Vec::with_capacity(limits.len());
        let mut counters: usize = 0;
        for limit in limits {
            let table = Table::new(limit, &index);
            let bounds = usize::from(limit.rate.is_some())
                + usize::from(limit.concurrency.is_some())
                + usize::from(limit.per_day.is_some());
            counters = counters.saturating_add(table.counters().saturating_mul(bounds));
            if counters > MAX_COUNTERS {
                let counters = u64::try_from(counters).unwrap_or(u64::MAX);
                return Err(QuotaError::TooManyCounters { name: limit.name.clone(), counters });
            }
            gauges.push(Gauge::new(limit, table, &clock));
        }
        // What is a caller's own is asked before what it shares, so that a caller beyond its own
        // limit does not, even for a moment, take what others share.
        gauges.sort_by_key(|gauge| !gauge.by.contains(&Dimension::System));
        Ok(Self { index, gauges, days: Days::new(zone), rows: Arc::default(), clock })
    }

    /// The limiter of the next snapshot. A limit that keeps its name and `by` goes on with its counters,
    /// id by id: calls under way and calls of the day always, the rate if it is the same rate. Rows of
    /// the day go on too. Calls that the old limiter lets through meanwhile are counted in the same
    /// counters, except for ids whose very first call falls into the moment of the reload.
    ///
    /// # Errors
    /// As for [`Limiter::new`].
    pub fn reload(
        &self,
        limits: &[Limit],
        population: &Population,
        zone: TimeZone,
    ) -> Result<Self, QuotaError> {
        let mut next = Self::new(limits, population, zone, self.clock.clone())?;
        next.rows = Arc::clone(&self.rows);
        for gauge in &mut next.gauges {
            let same = |old: &&Gauge<C>| old.name == gauge.name && old.by == gauge.by;
            if let Some(old) = self.gauges.iter().find(same) {
                gauge.inherit(&next.index, old, &self.index);
            }
        }
        Ok(next)
    }

    /// Stage one: the limits that know nothing of grants. All that apply let the call through, or
    /// none of them counts it.
    ///
    /// # Errors
    /// [`QuotaError::Exceeded`] for the limit that takes longest to allow it;
    /// [`QuotaError::Unregistered`] for an id that the limiter was not built with.
    pub fn throttle(
        &self,
        now: Timestamp,
        system: &SystemId,
        resource: &ResourceId,
    ) -> Result<Admission, QuotaError> {
        let at = self.coordinates(system, resource)?;
        self.admit(now, || {
            let gauges = self.gauges.iter().filter(|gauge| !gauge.needs_grants);
            gauges.flat_map(move |gauge| {
                gauge.table.slot(&at).into_iter().flat_map(|slot| gauge.counters(slot))
            })
        })
    }

    /// Stage two: the limits of every grant the call rests on. All that apply let the call through,
    /// or none of them counts it. What stage one counted stays counted either way.
    ///
    /// # Errors
    /// As for [`Limiter::throttle`].
    pub fn admit_grants(
        &self,
        now: Timestamp,
        system: &SystemId,
        resource: &ResourceId,
        grants: &[GrantId],
    ) -> Result<Admission, QuotaError> {
        if !self.gauges.iter().any(|gauge| gauge.needs_grants) {
            return Ok(Admission::default());
        }
        let at = self.coordinates(system, resource)?;
        let numbers = self.grant_numbers(grants)?;
        self.admit(now, || self.grant_counters(at, &numbers))
    }

    /// How many more records these grants let this system have today; `None` if they do not say.
    /// Two replies at once see the same number: [`Limiter::charge_rows`] decides.
    #[must_use]
    pub fn rows_left(&self, now: Timestamp, system: &SystemId, grants: &[GrantId]) -> Option<u64> {
        let duties = self.row_duties(grants);
        if duties.is_empty() { None } else { self.rows.left(&self.days.of(now), system, &duties) }
    }

    /// Draws `rows` records on every one of these grants that has a `rows/day` duty, or on none of them
    /// if one does not allow it. Draw before the records leave.
    ///
    /// # Errors
    /// [`QuotaError::Exceeded`] for the first grant that does not allow it.
    pub fn charge_rows(
        &self,
        now: Timestamp,
        system: &SystemId,
        grants: &[GrantId],
        rows: u64,
    ) -> Result<(), QuotaError> {
        let duties = self.row_duties(grants);
        if duties.is_empty() {
            return Ok(());
        }
        self.rows.charge(now, &self.days.of(now), system, &duties, rows)
    }

    /// Gives back what [`Limiter::charge_rows`] drew at the instant `at`, if nothing of it left after all.
    /// What was drawn on a day that has ended stays drawn.
    pub fn refund_rows(&self, at: Timestamp, system: &SystemId, grants: &[GrantId], rows: u64) {
        self.rows.refund(&self.days.of(at), system, &self.row_duties(grants), rows);
    }

    /// Counts a call for `resource` again, if it was counted on the local day that `now` falls on and its
    /// ids are still there. Give every call that [`Limiter::throttle`] let through, also those that were
    /// refused later; its grants only if [`Limiter::admit_grants`] let it through.
    pub fn restore_call(&self, now: Timestamp, past: Past<'_>, resource: &ResourceId) {
        let Some(today) = self.today(now, past) else { return };
        let Ok(at) = self.coordinates(past.system, resource) else { return };
        let grants = past.grants.iter();
        let numbers: Vec<u32> = grants.filter_map(|grant| self.index.grants.number(grant.as_str())).collect();
        let before = self.gauges.iter().filter(|gauge| !gauge.needs_grants);
        let before =
            before.flat_map(|gauge| gauge.table.slot(&at).into_iter().flat_map(|slot| gauge.counters(slot)));
        for counter in before.chain(self.grant_counters(at, &numbers)) {
            if let Counter::Daily(bound, slot) = counter {
                bound.restore(slot, &today);
            }
        }
    }

    /// Counts records again, as [`Limiter::restore_call`] does calls.
    pub fn restore_rows(&self, now: Timestamp, past: Past<'_>, rows: u64) {
        if let Some(today) = self.today(now, past) {
            self.rows.restore(&today, past.system, &self.row_duties(past.grants), rows);
        }
    }

    /// The day of `now`, if that is also the day of `past`.
    fn today(&self, now: Timestamp, past: Past<'_>) -> Option<Day> {
        let today = self.days.of(now);
        (self.days.of(past.at).number == today.number).then_some(today)
    }

    fn coordinates(&self, system: &SystemId, resource: &ResourceId) -> Result<Coordinates, QuotaError> {
        let unregistered = |kind, id: &str| QuotaError::Unregistered { kind, id: id.to_owned() };
        let system_number = self.index.systems.number(system.as_str());
        let department = system_number.and_then(|number| self.index.department_of(number));
        let resource_number = self.index.resources.number(resource.as_str());
        if department.is_none() {
            return Err(unregistered("system", system.as_str()));
        }
        if resource_number.is_none() {
            return Err(unregistered("resource", resource.as_str()));
        }
        Ok([system_number, department, resource_number, None])
    }

    fn grant_numbers(&self, grants: &[GrantId]) -> Result<Vec<u32>, QuotaError> {
        let number = |grant: &GrantId| {
            self.index
                .grants
                .number(grant.as_str())
                .ok_or_else(|| QuotaError::Unregistered { kind: "grant", id: grant.to_string() })
        };
        let mut numbers = grants.iter().map(number).collect::<Result<Vec<_>, _>>()?;
        // A grant named twice is still one grant.
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// The counters that the grants of a call add. A limit that only selects grants, without a
    /// counter for each, counts a call once however many of them it rests on.
    fn grant_counters<'l>(
        &'l self,
        at: Coordinates,
        grants: &'l [u32],
    ) -> impl Iterator<Item = Counter<'l, C>> {
        self.gauges.iter().filter(|gauge| gauge.needs_grants).flat_map(move |gauge| {
            let most = if gauge.table.is_keyed_by_grant() { usize::MAX } else { 1 };
            let [system, department, resource, _] = at;
            grants
                .iter()
                .filter_map(move |&grant| gauge.table.slot(&[system, department, resource, Some(grant)]))
                .take(most)
                .flat_map(|slot| gauge.counters(slot))
        })
    }

    fn row_duties(&self, grants: &[GrantId]) -> Vec<RowDuty> {
        let duty = |grant: &GrantId| {
            let per_day = self.index.rows_per_day(grant.as_str())?;
            Some(RowDuty { grant: grant.clone(), per_day })
        };
        grants.iter().filter_map(duty).collect()
    }

    /// Takes one call from every counter or from none. Looking at all of them first means that a
    /// refusal in the ordinary way touches nothing and names the longest wait. Only where another
    /// call takes the last one in between is something given back; meanwhile others may be
    /// refused, never let through.
    fn admit<'l, I>(&'l self, now: Timestamp, counters: impl Fn() -> I) -> Result<Admission, QuotaError>
    where
        I: Iterator<Item = Counter<'l, C>>,
        C: 'l,
    {
        let day = self.days.of(now);
        let refusals = counters().filter_map(|counter| counter.look(now, &day).err());
        if let Some(exceeded) = refusals.max_by_key(|exceeded| exceeded.retry_after) {
            return Err(QuotaError::Exceeded(exceeded));
        }
        let mut admission = Admission::default();
        for (taken, counter) in counters().enumerate() {
            match counter.take(now, &day) {
                Ok((usage, place)) => {
                    admission.in_flight.places.extend(place);
                    admission.usage = Some(match admission.usage {
                        Some(tightest) => tightest.tighter(usage),
                        None => usage,
                    });
                }
                Err(exceeded) => {
                    counters().take(taken).for_each(|counter| counter.give_back(&day));
                    return Err(QuotaError::Exceeded(exceeded));
                }
            }
        }
        Ok(admission)
    }
}
