//! When a grant holds (期限): a span of instants and, within it, days and hours of the local clock.
//!
//! Instants are compared as instants and spans are half open, `[from, until)`. A date stands for
//! the local midnight it begins at; an end date counts to the end of that day. Days and hours are
//! read off the local clock of the configured zone, so they follow its daylight saving time.
//! Whether a window holds now is asked on every request: a schedule keeps the stretch of time it
//! last looked at, within which the answer cannot change.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::AmbiguousOffset;

use super::calendar::{Calendar, DayKind};
use super::schedule::{Days, Hours};
use crate::grant::Effect;
use crate::kernel::time::{TimeZone, Timestamp};

pub(crate) mod compare;
mod parse;

/// How far ahead the next change of a schedule is looked for, in days. Beyond it the answer is
/// this horizon: still true, only earlier than need be.
pub const HORIZON_DAYS: i32 = 40;

/// The local clock and calendar that windows are read by.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The configured zone.
    pub zone: TimeZone,
    /// Its working days.
    pub calendar: Arc<Calendar>,
}

impl Frame {
    /// What the local clock and calendar show at `now`.
    #[must_use]
    pub fn moment(&self, now: Timestamp) -> Moment {
        let local = self.zone.to_datetime(now);
        let today = self.calendar.day_kind(local.date());
        let yesterday = local.date().yesterday().ok();
        Moment { now, local, today, yesterday_kind: yesterday.and_then(|date| self.calendar.day_kind(date)) }
    }

    /// The instant at which `date` begins.
    pub(crate) fn midnight(&self, date: Date) -> Option<Timestamp> {
        self.zone.to_timestamp(date.to_datetime(Time::midnight())).ok()
    }
}

/// One instant as the local clock and calendar show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The instant.
    pub now: Timestamp,
    /// The local date and time.
    pub local: DateTime,
    /// What kind of day it is, if the calendar knows the year.
    pub today: Option<DayKind>,
    /// What kind of day yesterday was.
    pub yesterday_kind: Option<DayKind>,
}

impl Moment {
    /// The self-contained text that `in_window` reads: instant, local time, kinds of today and yesterday.
    #[must_use]
    pub fn canonical(&self) -> String {
        let word = |kind: Option<DayKind>| kind.map_or("unknown", DayKind::as_str);
        format!("{} {} {} {}", self.now, self.local, word(self.today), word(self.yesterday_kind))
    }
}

/// When a grant holds.
#[derive(Debug)]
pub struct Window {
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) text: String,
}

/// Whether a window holds, and up to when that stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How it stands.
    pub phase: Phase,
    /// No later than the first instant at which that changes; `None` if it never does.
    pub until: Option<Timestamp>,
}

/// Where in its life a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not begun.
    Before,
    /// It holds.
    Inside,
    /// Begun and not ended, but not on this day or at this hour.
    OffSchedule,
    /// Ended.
    After,
}

impl Window {
    /// The first instant it holds, if it has a beginning.
    #[must_use]
    pub fn begins(&self) -> Option<Timestamp> {
        self.from
    }

    /// The first instant it no longer holds, if it ends.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether it asks what kind of day it is.
    #[must_use]
    pub fn asks_day_kinds(&self) -> bool {
        self.schedule.as_ref().is_some_and(|schedule| schedule.days.asks_kind())
    }

    /// The window as people write it, normalised.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it stands at `now`, and up to when.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        if let Some(until) = self.until
            && now >= until
        {
            return Standing { phase: Phase::After, until: None };
        }
        if let Some(from) = self.from
            && now < from
        {
            return Standing { phase: Phase::Before, until: Some(from) };
        }
        let Some(schedule) = &self.schedule else {
            return Standing { phase: Phase::Inside, until: self.until };
        };
        let (inside, change) = schedule.state(now);
        let until = self.until.map_or(change, |until| until.min(change));
        Standing { phase: if inside { Phase::Inside } else { Phase::OffSchedule }, until: Some(until) }
    }

    /// Whether it holds at `now`.
    #[must_use]
    pub fn contains(&self, now: Timestamp) -> bool {
        self.standing(now).phase == Phase::Inside
    }

    /// No later than the first instant after `now` at which [`Self::contains`] changes; `None` if
    /// it never does.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.standing(now).until
    }

    /// The self-contained text that `in_window` reads: instants in UTC, then days, then hours.
    /// `unknown` among the days stands for days of years the calendar lacks.
    #[must_use]
    pub fn canonical(&self) -> String {
        let bound = |bound: Option<Timestamp>| bound.map_or_else(|| "..".to_owned(), |at| at.to_string());
        let mut text = format!("{}/{}", bound(self.from), bound(self.until));
        if let Some(schedule) = &self.schedule {
            let mut words = schedule.days.words();
            if schedule.days.asks_kind() && schedule.effect == Effect::Deny {
                words.push("unknown");
            }
            text.push(' ');
            text.push_str(&words.join("|"));
            if let Some(hours) = schedule.hours {
                text.push(' ');
                text.push_str(&hours.to_string());
            }
        }
        text
    }
}

/// The days and hours of a window, read off the local clock.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) days: Days,
    pub(crate) hours: Option<Hours>,
    pub(crate) effect: Effect,
    pub(crate) frame: Frame,
    pub(crate) last: ArcSwapOption<Stretch>,
}

/// A stretch of time within which a schedule's answer is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    from: Timestamp,
    until: Timestamp,
    inside: bool,
}

impl Schedule {
    pub(crate) fn new(days: Days, hours: Option<Hours>, effect: Effect, frame: &Frame) -> Self {
        Self { days, hours, effect, frame: frame.clone(), last: ArcSwapOption::empty() }
    }

    /// Whether it holds at `now`, and no later than when that changes.
    fn state(&self, now: Timestamp) -> (bool, Timestamp) {
        if let Some(stretch) = &*self.last.load()
            && stretch.from <= now
            && now < stretch.until
        {
            return (stretch.inside, stretch.until);
        }
        let inside = self.contains(now);
        let until = self.next_change(now, inside);
        self.last.store(Some(Arc::new(Stretch { from: now, until, inside })));
        (inside, until)
    }

    pub(super) fn contains(&self, now: Timestamp) -> bool {
        let Moment { local, today, yesterday_kind, .. } = self.frame.moment(now);
        self.holds(local.weekday(), [yesterday_kind, today], local.time())
    }

    /// Whether it holds on a `weekday` at `time`, `kinds` being those of the day before and of that day.
    fn holds(&self, weekday: Weekday, kinds: [Option<DayKind>; 2], time: Time) -> bool {
        let [yesterday_kind, today] = kinds;
        let today = self.days.includes(weekday, today, self.effect);
        let Some(hours) = self.hours else { return today };
        let yesterday = || self.days.includes(weekday.previous(), yesterday_kind, self.effect);
        (today && hours.on_their_day(time)) || (hours.past_midnight(time) && yesterday())
    }

    /// The first instant after `now` at which the answer is not `inside`, or the horizon.
    ///
    /// The answer can change only where the local clock passes midnight or the first or last
    /// minute of the hours, or where it jumps: those instants are tried in order.
    fn next_change(&self, now: Timestamp, inside: bool) -> Timestamp {
        let first = self.frame.zone.to_datetime(now).date();
        for days in [2, HORIZON_DAYS] {
            let Some(limit) = plus_days(first, days).and_then(|date| self.frame.midnight(date)) else {
                return Timestamp::MAX;
            };
            let mut candidates = self.boundaries(first, days);
            candidates.extend(
                self.frame.zone.following(now).map(|jump| jump.timestamp()).take_while(|&at| at <= limit),
            );
            candidates.retain(|&at| now < at && at <= limit);
            candidates.sort_unstable();
            if let Some(change) = candidates.into_iter().find(|&at| self.contains(at) != inside) {
                return change;
            }
            if days == HORIZON_DAYS {
                return limit;
            }
        }
        Timestamp::MAX
    }

    /// Every instant at which the local clock shows one of the boundary times, from the day before
    /// `first` to `days` after it.
    fn boundaries(&self, first: Date, days: i32) -> Vec<Timestamp> {
        let mut instants = Vec::new();
        for date in (-1..=days).filter_map(|offset| plus_days(first, offset)) {
            let times =
                [Some(Time::midnight()), self.hours.map(Hours::start), self.hours.and_then(Hours::end)];
            for local in times.into_iter().flatten().map(|time| date.to_datetime(time)) {
                let offsets = match self.frame.zone.to_ambiguous_timestamp(local).offset() {
                    AmbiguousOffset::Unambiguous { offset } => [offset, offset],
                    AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
                        [before, after]
                    }
                };
                instants.extend(offsets.into_iter().filter_map(|offset| offset.to_timestamp(local).ok()));
            }
        }
        instants
    }
}

fn plus_days(date: Date, days: i32) -> Option<Date> {
    date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

#[cfg(test)]
mod tests;
