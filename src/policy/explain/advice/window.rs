//! The least wider window that holds an instant.

use jiff::civil::{DateTime, Weekday};

use crate::grant::Effect;
use crate::kernel::time::Timestamp;
use crate::policy::window::{Frame, Window};

/// Hours are widened to the next half hour.
const STEP_MIN: u16 = 30;

/// `window`, widened as little as it takes to hold `at`.
pub(super) fn widened(window: &Window, at: Timestamp, frame: &Frame) -> Option<String> {
    let local = frame.zone.to_datetime(at);
    let mut words = window.text().split(' ').peekable();
    let range = words.next_if(|word| word.contains('/'));
    let days = words.next_if(|word| !word.contains(':'));
    let hours = words.next();
    let range = range.map(|range| moved(range, window, at, local));
    let mut candidates = Vec::new();
    for (wider_days, days) in days_with(days, local) {
        for (wider_hours, hours) in hours_with(hours, local) {
            let parts = [range.as_deref(), days.as_deref(), hours.as_deref()];
            let text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
            let text = if text.is_empty() { "always".to_owned() } else { text };
            candidates.push((wider_days + wider_hours, text));
        }
    }
    candidates.sort_by_key(|(wider, _)| *wider);
    let texts = candidates.into_iter().map(|(_, text)| text);
    let mut windows = texts.filter_map(|text| Window::parse(&text, frame, Effect::Allow).ok());
    windows.find(|window| window.contains(at)).map(|window| window.text().to_owned())
}

/// The range with the end moved that lies on the wrong side of `at`.
fn moved(range: &str, window: &Window, at: Timestamp, local: DateTime) -> String {
    let (from, to) = range.split_once('/').unwrap_or((range, ".."));
    let date = local.date().to_string();
    if window.begins().is_some_and(|begins| at < begins) {
        format!("{date}/{to}")
    } else if window.ends().is_some_and(|ends| ends <= at) {
        format!("{from}/{date}")
    } else {
        range.to_owned()
    }
}

/// The days, and how much wider they are: as they are; with the day of the week that it is, or that it
/// was yesterday where hours go over midnight; or every day.
fn days_with(days: Option<&str>, local: DateTime) -> Vec<(u32, Option<String>)> {
    let Some(days) = days else { return vec![(0, None)] };
    let with = |day: Weekday| Some(format!("{days}|{}", word(day)));
    let (today, yesterday) = (local.weekday(), local.weekday().previous());
    vec![(0, Some(days.to_owned())), (1, with(today)), (1, with(yesterday)), (10, None)]
}

fn word(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "mon",
        Weekday::Tuesday => "tue",
        Weekday::Wednesday => "wed",
        Weekday::Thursday => "thu",
        Weekday::Friday => "fri",
        Weekday::Saturday => "sat",
        Weekday::Sunday => "sun",
    }
}

/// The hours, and how much wider they are: as they are, with a later end, with an earlier beginning,
/// or the whole day.
fn hours_with(hours: Option<&str>, local: DateTime) -> Vec<(u32, Option<String>)> {
    let Some(hours) = hours else { return vec![(0, None)] };
    let mut all = vec![(0, Some(hours.to_owned())), (10, None)];
    let minutes = |text: &str| -> Option<u16> {
        let (hour, minute) = text.split_once(':')?;
        Some(hour.parse::<u16>().ok()? * 60 + minute.parse::<u16>().ok()?)
    };
    let ends = hours.split_once('-').and_then(|(start, end)| Some((minutes(start)?, minutes(end)?)));
    let Some((start, end)) = ends else { return all };
    let hour = u16::from(local.hour().unsigned_abs());
    let now = hour * 60 + u16::from(local.minute().unsigned_abs());
    let over_midnight = end <= start;
    let text = |start: u16, end: u16| {
        Some(format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60))
    };
    let later = (now / STEP_MIN + 1) * STEP_MIN;
    if later > end && (!over_midnight || later < start) {
        all.push((2, text(start, later)));
    }
    let earlier = now / STEP_MIN * STEP_MIN;
    if earlier < start && (!over_midnight || earlier > end) {
        all.push((2, text(earlier, end)));
    }
    all
}
