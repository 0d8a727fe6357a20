//! Working days: which dates are holidays (节假日) and which weekends are worked (调休).
//!
//! Plain dates by year, checked here; the file they come from is read elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Weekday};

/// What kind of day a date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DayKind {
    /// Monday to Friday unless it is a holiday, and every make-up workday.
    Workday,
    /// Every other day: weekends and public holidays.
    Holiday,
}

impl DayKind {
    /// The word that windows use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workday => "workday",
            Self::Holiday => "holiday",
        }
    }
}

/// The working-day calendar of some years.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    years: BTreeSet<i16>,
    special: BTreeMap<Date, DayKind>,
}

/// Why dates make no calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// A date is listed both ways.
    #[error("`{0}` is listed both as a holiday and as a make-up workday")]
    Both(Date),
    /// A make-up workday that would be worked anyway.
    #[error("`{0}` is a make-up workday but not a Saturday or Sunday")]
    MakeupOnWeekday(Date),
}

impl Calendar {
    /// The calendar of `years`, whose Mondays to Fridays are worked except `holidays`, and whose
    /// weekends are not except `makeup`. A date outside `years` counts for itself alone, as a
    /// notice for one year may name the last days of the year before.
    ///
    /// # Errors
    /// When a date is in both lists, or a make-up workday is not on a weekend.
    pub fn new(
        years: impl IntoIterator<Item = i16>,
        holidays: impl IntoIterator<Item = Date>,
        makeup: impl IntoIterator<Item = Date>,
    ) -> Result<Self, CalendarError> {
        let mut special: BTreeMap<Date, DayKind> =
            holidays.into_iter().map(|date| (date, DayKind::Holiday)).collect();
        for date in makeup {
            if !is_weekend(date) {
                return Err(CalendarError::MakeupOnWeekday(date));
            }
            if special.insert(date, DayKind::Workday) == Some(DayKind::Holiday) {
                return Err(CalendarError::Both(date));
            }
        }
        Ok(Self { years: years.into_iter().collect(), special })
    }

    /// Whether the whole of `year` is known.
    #[must_use]
    pub fn covers(&self, year: i16) -> bool {
        self.years.contains(&year)
    }

    /// The years that are known, in order.
    pub fn years(&self) -> impl Iterator<Item = i16> {
        self.years.iter().copied()
    }

    /// The dates that are not as their weekday says, in order.
    pub fn special_days(&self) -> impl Iterator<Item = Date> {
        self.special.keys().copied()
    }

    /// What kind of day `date` is; `None` in a year that is not known.
    #[must_use]
    pub fn day_kind(&self, date: Date) -> Option<DayKind> {
        if let Some(&kind) = self.special.get(&date) {
            return Some(kind);
        }
        self.covers(date.year()).then(|| if is_weekend(date) { DayKind::Holiday } else { DayKind::Workday })
    }
}

fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn days() {
        // 2026-10-01 (Thursday) is National Day; 2026-10-10 (Saturday) is worked.
        let calendar =
            Calendar::new([2026], [date(2026, 10, 1), date(2025, 12, 31)], [date(2026, 10, 10)]).unwrap();
        for (day, kind) in [
            (date(2026, 10, 1), Some(DayKind::Holiday)),
            (date(2026, 10, 10), Some(DayKind::Workday)),
            (date(2026, 10, 11), Some(DayKind::Holiday)),
            (date(2026, 10, 12), Some(DayKind::Workday)),
            (date(2025, 12, 31), Some(DayKind::Holiday)),
            (date(2025, 12, 30), None),
            (date(2027, 1, 4), None),
        ] {
            assert_eq!(calendar.day_kind(day), kind, "{day}");
        }
    }

    #[test]
    fn contradictions() {
        let saturday = date(2026, 10, 10);
        assert_eq!(Calendar::new([2026], [saturday], [saturday]), Err(CalendarError::Both(saturday)));
        let monday = date(2026, 10, 12);
        assert_eq!(Calendar::new([2026], [], [monday]), Err(CalendarError::MakeupOnWeekday(monday)));
    }
}
