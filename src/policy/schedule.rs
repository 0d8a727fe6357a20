//! Days of the week, kinds of day and hours of the local clock: the parts of a schedule.

use std::fmt;

use jiff::civil::{Time, Weekday};

use super::calendar::DayKind;
use crate::grant::Effect;

const WEEKDAYS: [(Weekday, &str); 7] = [
    (Weekday::Monday, "mon"),
    (Weekday::Tuesday, "tue"),
    (Weekday::Wednesday, "wed"),
    (Weekday::Thursday, "thu"),
    (Weekday::Friday, "fri"),
    (Weekday::Saturday, "sat"),
    (Weekday::Sunday, "sun"),
];

fn weekday(word: &str) -> Option<usize> {
    WEEKDAYS.iter().position(|&(_, name)| name == word)
}

/// A set of days: some of the week, some by their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Days {
    week: [bool; 7],
    workday: bool,
    holiday: bool,
}

impl Days {
    pub(crate) const EVERY: Self = Self { week: [true; 7], workday: false, holiday: false };

    /// The days of the week for which `is_meant`, counted from Monday as 0.
    pub(crate) fn of_week(is_meant: impl Fn(usize) -> bool) -> Self {
        Self { week: std::array::from_fn(is_meant), workday: false, holiday: false }
    }

    /// The words that name days.
    pub(crate) fn vocabulary() -> impl Iterator<Item = &'static str> {
        ["workday", "holiday"].into_iter().chain(WEEKDAYS.map(|(_, word)| word))
    }

    /// Adds `workday`, `holiday`, `mon` or `mon-fri`.
    pub(crate) fn add(&mut self, word: &str) -> Option<()> {
        match word {
            "workday" => self.workday = true,
            "holiday" => self.holiday = true,
            _ => {
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                let (first, last) = (weekday(first)?, weekday(last)?);
                let mut index = first;
                loop {
                    *self.week.get_mut(index)? = true;
                    if index == last {
                        break;
                    }
                    index = (index + 1) % 7;
                }
            }
        }
        Some(())
    }

    pub(crate) fn asks_kind(self) -> bool {
        self.workday || self.holiday
    }

    /// Whether a day is in the set. Of a day whose kind is not known, an allow window that asks
    /// for kinds says no and a deny window says yes.
    pub(crate) fn includes(self, weekday: Weekday, kind: Option<DayKind>, effect: Effect) -> bool {
        let by_week = WEEKDAYS.iter().zip(self.week).any(|(&(day, _), included)| included && day == weekday);
        by_week
            || match kind {
                Some(DayKind::Workday) => self.workday,
                Some(DayKind::Holiday) => self.holiday,
                None => self.asks_kind() && effect == Effect::Deny,
            }
    }

    /// Every member by its own word.
    pub(crate) fn words(self) -> Vec<&'static str> {
        let week =
            WEEKDAYS.iter().zip(self.week).filter(|&(_, included)| included).map(|(&(_, word), _)| word);
        let kinds = [(self.workday, "workday"), (self.holiday, "holiday")];
        kinds.into_iter().filter(|&(included, _)| included).map(|(_, word)| word).chain(week).collect()
    }
}

/// The set in its shortest words, such as `workday`, `mon-fri` or `mon|wed`.
impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.workday.then(|| "workday".to_owned()));
        words.extend(self.holiday.then(|| "holiday".to_owned()));
        let mut run: Vec<&str> = Vec::new();
        let closing = std::iter::once((&(Weekday::Sunday, ""), false));
        for (&(_, word), included) in WEEKDAYS.iter().zip(self.week).chain(closing) {
            if included {
                run.push(word);
                continue;
            }
            match run.as_slice() {
                [first, _, .., last] => words.push(format!("{first}-{last}")),
                few => words.extend(few.iter().map(|word| (*word).to_owned())),
            }
            run.clear();
        }
        f.write_str(&words.join("|"))
    }
}

/// Minutes in a day.
const DAY_MIN: u16 = 24 * 60;

/// A stretch of every day, `[start, end)` in minutes after midnight; `end` at or before `start`
/// lies on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Hours {
    start_min: u16,
    end_min: u16,
}

impl Hours {
    /// Reads `08:30-18:00`; `24:00` is the end of the day.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('-')?;
        let (start_min, end_min) = (minutes(start)?, minutes(end)?);
        (start_min < DAY_MIN).then_some(Self { start_min, end_min })
    }

    /// Whether it begins and ends at the same time of day.
    pub(crate) fn is_empty(self) -> bool {
        self.start_min == self.end_min
    }

    fn crosses_midnight(self) -> bool {
        self.end_min < self.start_min
    }

    /// Whether `time` lies in the part on the day it begins.
    pub(crate) fn on_their_day(self, time: Time) -> bool {
        let now = minute_of(time);
        self.start_min <= now && (self.crosses_midnight() || now < self.end_min)
    }

    /// Whether `time` lies in the part on the day after.
    pub(crate) fn past_midnight(self, time: Time) -> bool {
        self.crosses_midnight() && minute_of(time) < self.end_min
    }

    /// The local time it begins at.
    pub(crate) fn start(self) -> Time {
        time_of(self.start_min).unwrap_or(Time::MIN)
    }

    /// The local time it ends at, unless that is midnight.
    pub(crate) fn end(self) -> Option<Time> {
        time_of(self.end_min)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start_min, end_min } = *self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", start_min / 60, start_min % 60, end_min / 60, end_min % 60)
    }
}

fn time_of(minute: u16) -> Option<Time> {
    Time::new(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0).ok()
}

fn minute_of(time: Time) -> u16 {
    u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
}

/// Reads `HH:MM`, up to `24:00`.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())?
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY_MIN).then_some(total)
}
