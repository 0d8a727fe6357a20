//! `calendar.toml`: public holidays (节假日) and make-up workdays (调休上班), year by year.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::civil::{Date, Weekday};

use crate::document::{At, Document, Table};
use crate::kernel::diagnostic::{Report, Source};

/// The longest holiday, in days.
const MAX_HOLIDAY_DAYS: usize = 31;

/// What `calendar.toml` says. A year that is not in `years` is unknown, not free of holidays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CalendarDays {
    /// The years it covers, each with the notice that its days are from.
    pub years: BTreeMap<i16, String>,
    /// Days off, weekends within a holiday included.
    pub holidays: BTreeSet<Date>,
    /// Saturdays and Sundays that are worked.
    pub workdays: BTreeSet<Date>,
}

/// Reads `calendar.toml`.
pub(super) fn read(source: &Source) -> (CalendarDays, Report) {
    let document = Document::parse(source);
    let root = document.root();
    let mut days = CalendarDays::default();
    for table in root.tables("year") {
        read_year(&table, &mut days);
        table.finish();
    }
    root.finish();
    (days, document.into_report())
}

fn read_year(table: &Table<'_, '_>, days: &mut CalendarDays) {
    let document = table.document();
    if !table.has("year") {
        table.missing("year", "such as 2026");
    }
    let source =
        table.required_text("source", "the notice that the dates are from, such as `国办发明电〔2025〕7号`");
    let holidays = table.named_texts("holidays");
    let workdays = table.parsed_list("workdays", parse_date);
    let Some(year) = table.integer("year", 2000..=2100) else { return };
    let Ok(number) = i16::try_from(year.value) else { return };
    let source = source.map_or_else(String::new, |source| source.value);
    if days.years.insert(number, source).is_some() {
        document.error(
            "duplicate-id",
            year.span,
            format!("the year {number} stands here twice"),
            "put its days into one `[[year]]`",
        );
    }
    let mut whose: BTreeMap<Date, &str> = BTreeMap::new();
    for (name, text) in holidays {
        for date in read_range(document, number, &text) {
            if let Some(other) = whose.insert(date, name.value) {
                let message = format!("{date} is in `{}` and in `{other}`", name.value);
                document.error(
                    "overlapping-days",
                    text.span.clone(),
                    message,
                    "a day belongs to one holiday",
                );
            }
            days.holidays.insert(date);
        }
    }
    for At { value: date, span } in workdays {
        if !check_year(document, number, date, &span) {
            continue;
        }
        if let Some(holiday) = whose.get(&date) {
            let message = format!("{date} is a workday and in `{holiday}`");
            document.error("overlapping-days", span, message, "a day is worked or off, not both");
        } else if !days.workdays.insert(date) {
            let message = format!("{date} stands here twice");
            document.error("overlapping-days", span, message, "remove one");
        } else if !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
            let message = format!("{date} is worked anyway: it is neither Saturday nor Sunday");
            document.error("needless-workday", span, message, "check the date against the notice");
        }
    }
}

/// A notice is about one year, but may begin with the last days of the year before.
fn check_year(document: &Document<'_>, year: i16, date: Date, span: &Range<usize>) -> bool {
    let right = date.year() == year || (date.year() == year - 1 && date.month() == 12);
    if !right {
        let message = format!("{date} is not in {year}, nor in the December before");
        document.error("bad-value", span.clone(), message, "put it under its own `[[year]]`");
    }
    right
}

/// The days of `2026-10-01` or `2026-10-01/2026-10-07`, both ends included.
fn read_range(document: &Document<'_>, year: i16, text: &At<&str>) -> Vec<Date> {
    let (first, last) = text.value.split_once('/').unwrap_or((text.value, text.value));
    let (first, last) = match (parse_date(first), parse_date(last)) {
        (Ok(first), Ok(last)) => (first, last),
        (Err(expected), _) | (_, Err(expected)) => {
            let message = format!("`{}` is no day and no range of days", text.value);
            let help = format!("{expected}, or `2026-10-01/2026-10-07`");
            document.error("bad-value", text.span.clone(), message, help);
            return Vec::new();
        }
    };
    let days: Vec<Date> = std::iter::successors(Some(first), |date| date.tomorrow().ok())
        .take_while(|date| *date <= last)
        .take(MAX_HOLIDAY_DAYS + 1)
        .collect();
    if days.is_empty() || days.len() > MAX_HOLIDAY_DAYS {
        let message = format!("`{}` is not a range of 1 to {MAX_HOLIDAY_DAYS} days", text.value);
        document.error("bad-value", text.span.clone(), message, "write the first day, `/`, the last day");
        return Vec::new();
    }
    if [first, last].iter().all(|date| check_year(document, year, *date, &text.span)) {
        days
    } else {
        Vec::new()
    }
}

fn parse_date(text: &str) -> Result<Date, &'static str> {
    const EXPECTED: &str = "write a date such as `2026-10-01`";
    // jiff reads more forms of ISO 8601 than people should have to know.
    if text.len() == 10 { text.parse().map_err(|_| EXPECTED) } else { Err(EXPECTED) }
}
