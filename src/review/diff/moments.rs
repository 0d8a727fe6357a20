//! All of time, sorted into classes that no window of some lines tells apart.
//!
//! Which windows hold can change only at their absolute bounds and, for those with days and hours,
//! where the local clock passes midnight or the beginning or end of the hours, or jumps. Between
//! two bounds, on a day that the clock passes regularly, it depends on the weekday, the kinds of
//! this day and of the day before, and the time of day between two such hours. So it is enough to
//! look at one day for each weekday with these kinds that lies whole between the two bounds, and at
//! every day that does not: those a bound cuts, and those on which the clock jumps. In years that
//! no calendar knows all days are of no kind, and sixteen days in a row, among which every weekday
//! comes twice, show all there is: no zone sets its clock twice within so short a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Span;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::AmbiguousOffset;

use super::bits::Bits;
use crate::kernel::time::Timestamp;
use crate::policy::calendar::DayKind;
use crate::policy::reading::weekdays;
use crate::policy::window::{Frame, Window};

/// The most instants that are looked at for one set of windows.
pub(super) const MAX_SAMPLES: usize = 200_000;

/// How many days show all there is where no calendar knows the days.
const UNKNOWN_DAYS: i32 = 16;
/// The same where old and new read different clocks: how they stand to each other comes round
/// within a year.
const UNKNOWN_DAYS_TWO_ZONES: i32 = 800;

/// What windows can see of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    weekday: Weekday,
    /// What the old and the new calendar call it and the day before.
    kinds: [Option<DayKind>; 4],
}

/// A day of the local calendar.
#[derive(Debug, Clone, Copy)]
struct Day {
    date: Date,
    start: Timestamp,
    end: Timestamp,
    key: Key,
    /// Whether the clock passes it without a jump.
    is_regular: bool,
}

/// The days that a calendar knows, and how to read any other.
#[derive(Debug)]
pub(super) struct Almanac {
    frames: [Frame; 2],
    /// In order; the dates between two neighbours that do not follow each other are not known.
    known: Vec<Day>,
    one_zone: bool,
}

/// An instant that was looked at.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Timestamp,
    /// Between which bounds it lies.
    interval: usize,
    key: Key,
    /// In which stretch of the day.
    stretch: usize,
    /// Which windows hold, by number.
    class: u32,
}

/// The classes of time for some windows.
#[derive(Debug)]
pub(super) struct Moments {
    bounds: Vec<Timestamp>,
    turns: Vec<Time>,
    samples: Vec<Sample>,
    /// For each class, which windows hold.
    pub(super) classes: Vec<Bits>,
}

/// A stretch of time that something is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stretch {
    /// Its first instant, if it has a beginning.
    pub from: Option<Timestamp>,
    /// The first instant after it, if it ends.
    pub until: Option<Timestamp>,
    /// The days and hours in it that are meant, such as `workday 18:00-20:00`; all of it if empty.
    pub within: Vec<String>,
}

fn plus(date: Date, days: i32) -> Option<Date> {
    date.checked_add(Span::new().try_days(days).ok()?).ok()
}

impl Almanac {
    pub(super) fn new(old: &Frame, new: &Frame) -> Self {
        let frames = [old.clone(), new.clone()];
        let one_zone = old.zone == new.zone;
        let mut almanac = Self { frames, known: Vec::new(), one_zone };
        let mut dates = BTreeSet::new();
        for calendar in [&old.calendar, &new.calendar] {
            for year in calendar.years() {
                let mut next = Date::new(year, 1, 1).ok();
                while let Some(date) = next.filter(|date| date.year() == year) {
                    dates.insert(date);
                    next = date.tomorrow().ok();
                }
            }
            dates.extend(calendar.special_days());
        }
        // The day after a known one knows what yesterday was.
        let after: Vec<Date> = dates.iter().filter_map(|date| date.tomorrow().ok()).collect();
        dates.extend(after);
        almanac.known = dates.into_iter().filter_map(|date| almanac.day(date)).collect();
        almanac
    }

    fn day(&self, date: Date) -> Option<Day> {
        let [old, new] = &self.frames;
        let (start, end) = (old.midnight(date)?, old.midnight(date.tomorrow().ok()?)?);
        let yesterday = date.yesterday().ok()?;
        let kinds = [old, new].map(|frame| [date, yesterday].map(|date| frame.calendar.day_kind(date)));
        let [[a, b], [c, d]] = kinds;
        let jumps = || old.zone.following(start).next().is_some_and(|jump| jump.timestamp() < end);
        let is_regular = self.one_zone && !jumps();
        Some(Day { date, start, end, key: Key { weekday: date.weekday(), kinds: [a, b, c, d] }, is_regular })
    }

    fn date(&self, at: Timestamp) -> Date {
        let [old, _] = &self.frames;
        old.zone.to_datetime(at).date()
    }

    /// The days to look at between two bounds.
    fn days(&self, from: Option<Timestamp>, until: Option<Timestamp>, now: Timestamp) -> Vec<Day> {
        let meets =
            |day: &Day| from.is_none_or(|from| from < day.end) && until.is_none_or(|until| day.start < until);
        let is_whole = |day: &Day| {
            day.is_regular
                && from.is_none_or(|from| from <= day.start)
                && until.is_none_or(|until| day.end <= until)
        };
        let mut seen = BTreeSet::new();
        let mut days: Vec<Day> = Vec::new();
        let known = self.known.iter().filter(|day| meets(day));
        for day in known.clone() {
            let key = (
                day.key.weekday.to_monday_zero_offset(),
                day.key.kinds.map(|kind| kind.map(DayKind::as_str)),
            );
            if !is_whole(day) || seen.insert(key) {
                days.push(*day);
            }
        }
        let length = if self.one_zone { UNKNOWN_DAYS } else { UNKNOWN_DAYS_TWO_ZONES };
        let mut add = |first: Option<Date>, step: i32, stop: Option<Date>| {
            let dates = (0..length).map_while(|count| plus(first?, count.checked_mul(step)?));
            let dates = dates.take_while(|date| Some(*date) != stop);
            days.extend(dates.filter_map(|date| self.day(date)).filter(|day| meets(day)));
        };
        // Before all known days, after each run of them, and where there are none at all.
        let dates: Vec<Date> = known.map(|day| day.date).collect();
        let (Some(first), Some(last)) = (dates.first(), dates.last()) else {
            match (from, until) {
                (Some(from), _) => add(Some(self.date(from)), 1, None),
                (None, Some(until)) => add(Some(self.date(until)), -1, None),
                (None, None) => add(Some(self.date(now)), 1, None),
            }
            return days;
        };
        if let Some(from) = from {
            add(Some(self.date(from)), 1, Some(*first));
        } else {
            add(first.yesterday().ok(), -1, None);
        }
        for (before, after) in dates.iter().zip(dates.iter().skip(1)) {
            if before.tomorrow().ok() != Some(*after) {
                add(before.tomorrow().ok(), 1, Some(*after));
            }
        }
        add(last.tomorrow().ok(), 1, None);
        days
    }

    /// The instants in `day` and between the bounds at which anything may change.
    fn turns(&self, day: &Day, turns: &[Time], from: Timestamp, until: Timestamp) -> BTreeSet<Timestamp> {
        let (from, until) = (from.max(day.start), until.min(day.end));
        let mut instants = BTreeSet::from([from]);
        for frame in &self.frames {
            // The other zone may have another date here.
            let dates = [day.date.yesterday().ok(), Some(day.date), day.date.tomorrow().ok()];
            for local in dates
                .into_iter()
                .flatten()
                .flat_map(|date| turns.iter().map(move |&time| date.to_datetime(time)))
            {
                let offsets = match frame.zone.to_ambiguous_timestamp(local).offset() {
                    AmbiguousOffset::Unambiguous { offset } => [offset, offset],
                    AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
                        [before, after]
                    }
                };
                instants.extend(offsets.into_iter().filter_map(|offset| offset.to_timestamp(local).ok()));
            }
            if !day.is_regular {
                let jumps = frame.zone.following(day.start).map(|jump| jump.timestamp());
                instants.extend(jumps.take_while(|&at| at < day.end));
            }
        }
        instants.retain(|&at| from <= at && at < until);
        instants
    }
}

impl Moments {
    /// Sorts time by `windows`; `None` if that takes more than [`MAX_SAMPLES`] instants. Where any
    /// instant will do, one about `now` is taken.
    pub(super) fn of(windows: &[&Window], almanac: &Almanac, now: Timestamp) -> Option<Self> {
        let bounds: BTreeSet<Timestamp> =
            windows.iter().flat_map(|window| [window.begins(), window.ends()]).flatten().collect();
        let schedules: Vec<Vec<Time>> = windows.iter().filter_map(|window| window.turns()).collect();
        let turns: BTreeSet<Time> = schedules.iter().flatten().copied().collect();
        let mut moments = Self {
            bounds: bounds.into_iter().collect(),
            turns: turns.into_iter().collect(),
            samples: Vec::new(),
            classes: Vec::new(),
        };
        let mut numbers: HashMap<Bits, u32> = HashMap::new();
        for interval in 0..=moments.bounds.len() {
            let (from, until) = moments.interval(interval);
            let (start, end) = (from.unwrap_or(Timestamp::MIN), until.unwrap_or(Timestamp::MAX));
            if schedules.is_empty() {
                let last = end.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(start);
                let at = now.clamp(start, last);
                let key = Key { weekday: almanac.date(at).weekday(), kinds: [None; 4] };
                moments.look(windows, &mut numbers, almanac, (at, interval, key));
                continue;
            }
            let days = almanac.days(from, until, now);
            let looked_at = moments.samples.len() + days.len().saturating_mul(moments.turns.len());
            if looked_at > MAX_SAMPLES {
                return None;
            }
            for day in days {
                for at in almanac.turns(&day, &moments.turns, start, end) {
                    moments.look(windows, &mut numbers, almanac, (at, interval, day.key));
                }
            }
        }
        Some(moments)
    }

    fn look(
        &mut self,
        windows: &[&Window],
        numbers: &mut HashMap<Bits, u32>,
        almanac: &Almanac,
        (at, interval, key): (Timestamp, usize, Key),
    ) {
        let holding =
            Bits::of(windows.len(), |index| windows.get(index).is_some_and(|window| window.holds_at(at)));
        let next = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        let classes = &mut self.classes;
        let class = *numbers.entry(holding).or_insert_with_key(|holding| {
            classes.push(holding.clone());
            next
        });
        let [frame, _] = &almanac.frames;
        let time = frame.zone.to_datetime(at).time();
        let stretch = self.turns.partition_point(|&turn| turn <= time);
        self.samples.push(Sample { at, interval, key, stretch, class });
    }

    /// An interval between two bounds.
    fn interval(&self, number: usize) -> (Option<Timestamp>, Option<Timestamp>) {
        let before = number.checked_sub(1).and_then(|number| self.bounds.get(number));
        (before.copied(), self.bounds.get(number).copied())
    }

    /// An instant of one of `classes`, the one closest to `now`.
    pub(super) fn instant(&self, classes: &BTreeSet<u32>, now: Timestamp) -> Option<Timestamp> {
        let meant = self.samples.iter().filter(|sample| classes.contains(&sample.class));
        meant.map(|sample| sample.at).min_by_key(|&at| (at.duration_since(now).unsigned_abs(), at))
    }

    /// Every stretch of time of `classes`, in order; none if that is all of time.
    pub(super) fn stretches(&self, classes: &BTreeSet<u32>) -> Vec<Stretch> {
        let mut found: Vec<Stretch> = Vec::new();
        for interval in 0..=self.bounds.len() {
            let samples: Vec<&Sample> =
                self.samples.iter().filter(|sample| sample.interval == interval).collect();
            let is_meant = |sample: &&&Sample| classes.contains(&sample.class);
            let meant = samples.iter().filter(is_meant).count();
            if meant == 0 {
                continue;
            }
            let within = if meant == samples.len() { Vec::new() } else { self.within(&samples, classes) };
            let (from, until) = self.interval(interval);
            match found.last_mut() {
                Some(last) if last.until.is_some() && last.until == from && last.within == within => {
                    last.until = until
                }
                _ => found.push(Stretch { from, until, within }),
            }
        }
        if matches!(found.as_slice(), [Stretch { from: None, until: None, within }] if within.is_empty()) {
            found.clear();
        }
        found
    }

    /// The days and hours of `classes` among `samples`, in words.
    fn within(&self, samples: &[&Sample], classes: &BTreeSet<u32>) -> Vec<String> {
        let mut by_stretch: BTreeMap<usize, (Vec<Key>, Vec<Key>)> = BTreeMap::new();
        for sample in samples {
            let (meant, others) = by_stretch.entry(sample.stretch).or_default();
            if classes.contains(&sample.class) { meant } else { others }.push(sample.key);
        }
        let mut runs: Vec<(String, usize, usize)> = Vec::new();
        for (stretch, (meant, others)) in by_stretch {
            if meant.is_empty() {
                continue;
            }
            let Some(days) = days(&meant, &others) else { return self.example(samples, classes) };
            match runs.last_mut() {
                Some((same, _, last)) if *same == days && *last + 1 == stretch => *last = stretch,
                _ => runs.push((days, stretch, stretch)),
            }
        }
        let words = runs.into_iter().map(|(days, first, last)| {
            let time = |number: usize| {
                self.turns
                    .get(number)
                    .map_or_else(|| "24:00".to_owned(), |time| time.strftime("%H:%M").to_string())
            };
            let (from, until) = (time(first.saturating_sub(1)), time(last));
            if (from.as_str(), until.as_str()) == ("00:00", "24:00") {
                days
            } else {
                format!("{days} {from}-{until}")
            }
        });
        words.collect()
    }

    fn example(&self, samples: &[&Sample], classes: &BTreeSet<u32>) -> Vec<String> {
        let first = samples.iter().find(|sample| classes.contains(&sample.class));
        first.map(|sample| format!("some days and hours, first at {}", sample.at)).into_iter().collect()
    }
}

/// The words for the days of `meant` that are none of `others`.
fn days(meant: &[Key], others: &[Key]) -> Option<String> {
    if others.is_empty() {
        return Some("every day".to_owned());
    }
    // Days of which the calendars do not say the same are told apart by neither's words.
    let kind = |key: &Key| {
        let [old, _, new, _] = key.kinds;
        (old == new).then_some(old)
    };
    for wanted in [DayKind::Workday, DayKind::Holiday] {
        let is_wanted = |key: &Key| kind(key) == Some(Some(wanted));
        if meant.iter().all(is_wanted) && !others.iter().any(is_wanted) {
            return Some(wanted.as_str().to_owned());
        }
    }
    let number = |key: &Key| usize::try_from(key.weekday.to_monday_zero_offset()).unwrap_or_default();
    let week: BTreeSet<usize> = meant.iter().map(number).collect();
    if others.iter().any(|key| week.contains(&number(key))) {
        return None;
    }
    Some(weekdays(|day| week.contains(&day)))
}
