//! Windows held against each other as sets of instants.
//!
//! A span is compared as it is. A schedule is a function of the weekday, the kinds of that day and
//! of the one before, and the minute; it is compared on every combination of these, whether a
//! calendar ever shows it or not. So a yes to [`Overlap::covers`], a no to [`Overlap::meets`] and a no of
//! [`Window::occurs`] are certain, whatever the calendar will say; the other answers may err.

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};

use super::{Schedule, Window};
use crate::grant::Effect;
use crate::policy::calendar::DayKind;
use crate::policy::schedule::{Days, Hours};

/// The longest span whose days are looked at one by one, in days: in a longer one every weekday and
/// every kind of day comes.
const MAX_DAYS_LOOKED_AT: i64 = 400;

/// All that the answers of a schedule depend on, but for instants.
pub(crate) type Shape = (Days, Option<Hours>, Effect);

/// How two schedules, or the lack of one, lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overlap {
    /// The first holds wherever the second does.
    pub(crate) covers: bool,
    /// There is a moment at which both hold.
    pub(crate) meets: bool,
}

impl Window {
    /// Its days and hours; `None` where it holds at every moment of its span.
    pub(crate) fn shape(&self) -> Option<Shape> {
        self.schedule.as_ref().map(|schedule| (schedule.days, schedule.hours, schedule.effect))
    }

    /// Whether its span has every instant that `other`'s has.
    pub(crate) fn span_covers(&self, other: &Self) -> bool {
        let begins = self.from.is_none_or(|from| other.from.is_some_and(|other| from <= other));
        begins && self.until.is_none_or(|until| other.until.is_some_and(|other| other <= until))
    }

    /// Whether the two spans have an instant in common.
    pub(crate) fn span_meets(&self, other: &Self) -> bool {
        let before = |until: Option<Timestamp>, from: Option<Timestamp>| match (until, from) {
            (Some(until), Some(from)) => until <= from,
            (None, _) | (_, None) => false,
        };
        !before(self.until, other.from) && !before(other.until, self.from)
    }

    /// Whether there is any instant at which it holds, as far as the calendar can tell: in a year that
    /// it lacks, there may be.
    pub(crate) fn occurs(&self) -> bool {
        let Some(schedule) = &self.schedule else { return true };
        let (Some(from), Some(until)) = (self.from, self.until) else { return true };
        if until.duration_since(from).as_hours() / 24 > MAX_DAYS_LOOKED_AT {
            return true;
        }
        let zone = &schedule.frame.zone;
        let mut years = zone.to_datetime(from).year()..=zone.to_datetime(until).year();
        if schedule.days.asks_kind() && years.any(|year| !schedule.frame.calendar.covers(year)) {
            return true;
        }
        let mut at = from;
        while at < until {
            let inside = schedule.contains(at);
            if inside {
                return true;
            }
            let next = schedule.next_change(at, inside);
            if next <= at {
                return true;
            }
            at = next;
        }
        false
    }
}

/// How the schedules of two windows lie to each other.
pub(crate) fn overlap(first: &Window, second: &Window) -> Overlap {
    let mut found = Overlap { covers: true, meets: false };
    let schedules = [first.schedule.as_ref(), second.schedule.as_ref()];
    let mut times = vec![Time::midnight()];
    for hours in schedules.into_iter().flatten().filter_map(|schedule| schedule.hours) {
        times.push(hours.start());
        times.extend(hours.end());
    }
    const KINDS: [Option<DayKind>; 3] = [Some(DayKind::Workday), Some(DayKind::Holiday), None];
    for weekday in Weekday::Monday.cycle_forward().take(7) {
        for kinds in KINDS.into_iter().flat_map(|before| KINDS.map(|today| [before, today])) {
            for &time in &times {
                let holds = |schedule: Option<&Schedule>| {
                    schedule.is_none_or(|schedule| schedule.holds(weekday, kinds, time))
                };
                let [first, second] = schedules.map(holds);
                found.covers &= first || !second;
                found.meets |= first && second;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::civil::date;

    use super::*;
    use crate::kernel::time::TimeZone;
    use crate::policy::calendar::Calendar;
    use crate::policy::window::Frame;

    fn window(text: &str, effect: Effect) -> Window {
        let calendar = Calendar::new([2026], (1..=7).map(|day| date(2026, 10, day)), []).unwrap();
        let frame = Frame { zone: TimeZone::get("Asia/Shanghai").unwrap(), calendar: Arc::new(calendar) };
        Window::parse(text, &frame, effect).unwrap()
    }

    #[test]
    fn windows_are_sets_of_instants() {
        for (first, second, covers, meets) in [
            ("always", "always", true, true),
            ("always", "workday 08:30-18:00", true, true),
            ("workday 08:30-18:00", "always", false, true),
            ("2026-01-01/..", "2026-01-01/2026-12-31", true, true),
            ("2026-01-02/..", "2026-01-01/2026-12-31", false, true),
            ("../2026-01-31", "2026-02-01/..", false, false),
            ("../2026-02-01", "2026-02-01/..", false, true),
            ("mon-fri 08:00-20:00", "tue|thu 08:30-18:00", true, true),
            ("mon-fri 08:00-18:00", "tue|thu 08:30-18:01", false, true),
            ("mon-fri", "sat-sun", false, false),
            ("mon 22:00-06:00", "tue 05:00-07:00", false, true),
            ("mon 22:00-06:00", "tue 06:00-07:00", false, false),
            ("mon-tue", "mon 22:00-24:00", true, true),
            ("mon", "mon 22:00-06:00", false, true),
            ("workday", "holiday", false, false),
            ("workday", "mon-fri", false, true),
            ("workday|holiday", "always", false, true),
            ("mon-sun", "always", true, true),
        ] {
            let (a, b) = (window(first, Effect::Allow), window(second, Effect::Allow));
            let found = overlap(&a, &b);
            assert_eq!(a.span_covers(&b) && found.covers, covers, "{first} covers {second}");
            assert_eq!(a.span_meets(&b) && found.meets, meets, "{first} meets {second}");
        }
        // Of a day that no calendar knows, a deny window says yes and an allow window no.
        let (deny, allow) = (window("workday", Effect::Deny), window("holiday", Effect::Allow));
        assert_eq!(overlap(&deny, &allow), Overlap { covers: false, meets: false });
        let every = window("workday|holiday", Effect::Deny);
        assert_eq!(overlap(&every, &window("always", Effect::Allow)), Overlap { covers: true, meets: true });
    }

    #[test]
    fn windows_that_never_occur() {
        for (text, occurs) in [
            ("always", true),
            ("2026-10-01/2026-10-07 workday", false),
            ("2026-10-01/2026-10-08 workday", true),
            ("2026-10-01/2026-10-07 holiday 08:00-09:00", true),
            ("2027-10-01/2027-10-07 workday", true),
            ("2026-06-01/2026-06-05 sat-sun", false),
            ("2026-06-01/2026-06-05 sat-sun|fri", true),
            ("2026-06-01T10:00:00+08:00/2026-06-01T12:00:00+08:00 14:00-15:00", false),
            ("2026-06-02T03:00:00+08:00/2026-06-02T04:00:00+08:00 mon 22:00-06:00", true),
            ("2020-01-01/2030-01-01 sat", true),
        ] {
            assert_eq!(window(text, Effect::Allow).occurs(), occurs, "{text}");
        }
    }
}
