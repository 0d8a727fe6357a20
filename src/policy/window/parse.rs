//! Reads the text of a window.

use jiff::civil::Date;

use super::{Frame, Schedule, Window};
use crate::grant::Effect;
use crate::kernel::diagnostic::did_you_mean;
use crate::kernel::time::Timestamp;
use crate::policy::problem::{Part, Problem};
use crate::policy::schedule::{Days, Hours};

const FORM: &str = "write `always`, or `2026-01-01/2026-12-31` and then, if need be, days such as `workday` or `mon-fri` and hours such as `08:30-18:00`";

/// Which end of a window a bound is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

impl Window {
    /// Reads `always`, or `from/to`, days and hours, each of which may be left out. What a day of
    /// an unknown year means depends on `effect`: no to an allow window, yes to a deny window.
    ///
    /// # Errors
    /// Everything that is wrong with `text`.
    pub fn parse(text: &str, frame: &Frame, effect: Effect) -> Result<Self, Vec<Problem>> {
        if text.trim() == "always" {
            return Ok(Self { from: None, until: None, schedule: None, text: "always".to_owned() });
        }
        let mut reader = Reader { frame, problems: Vec::new(), words: Vec::new() };
        let mut tokens = Part::whole(text).split(' ').filter(|part| !part.text.is_empty()).peekable();
        let (mut from, mut until) = (None, None);
        let whole = 0..text.len();
        if tokens.peek().is_none() {
            return Err(vec![Problem::new("bad-window", whole, "the window is empty", FORM)]);
        }
        if let Some(range) = tokens.next_if(|token| token.text.contains('/')) {
            (from, until) = reader.range(range);
        }
        let days = tokens
            .next_if(|token| token.text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()))
            .and_then(|token| reader.days(token));
        let hours = tokens.next_if(|token| token.text.contains(':')).and_then(|token| reader.hours(token));
        if let Some(rest) = tokens.next() {
            let message = format!("`{}` does not belong here", rest.text);
            reader.problems.push(Problem::new("bad-window", rest.at(), message, FORM));
        }
        if !reader.problems.is_empty() {
            return Err(reader.problems);
        }
        let schedule = (days.is_some() || hours.is_some())
            .then(|| Schedule::new(days.unwrap_or(Days::EVERY), hours, effect, frame));
        Ok(Self { from, until, schedule, text: reader.words.join(" ") })
    }
}

struct Reader<'f> {
    frame: &'f Frame,
    problems: Vec<Problem>,
    words: Vec<String>,
}

impl Reader<'_> {
    fn range(&mut self, part: Part<'_>) -> (Option<Timestamp>, Option<Timestamp>) {
        let Some((first, last)) = part.split_once("/") else { return (None, None) };
        if first.text == ".." && last.text == ".." {
            self.problems.push(Problem::new("bad-window", part.at(), "open at both ends", "write `always`"));
        }
        let from = self.bound(first, End::First);
        let until = self.bound(last, End::Last);
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            self.problems.push(Problem::new(
                "window-ends-before-it-begins",
                part.at(),
                format!("the window ends before it begins: it would hold from {from} to {until}"),
                "write the earlier end first; an end date is included, an end instant is not",
            ));
        }
        self.words.push(part.text.to_owned());
        (from, until)
    }

    /// The instant of one end; `None` where it is open or wrong.
    fn bound(&mut self, part: Part<'_>, end: End) -> Option<Timestamp> {
        if part.text == ".." {
            return None;
        }
        let is_date = part.text.len() == "2026-01-01".len()
            && part.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let instant = if is_date {
            part.text.parse::<Date>().ok().and_then(|date| {
                let date = if end == End::Last { date.tomorrow().ok()? } else { date };
                self.frame.midnight(date)
            })
        } else {
            is_rfc3339(part.text).then(|| part.text.parse::<Timestamp>().ok()).flatten()
        };
        if instant.is_none() {
            self.problems.push(Problem::new(
                "bad-window",
                part.at(),
                format!("`{}` is neither a date nor an instant", part.text),
                "write a date such as `2026-12-31`, an RFC 3339 instant such as `2026-12-31T18:00:00+08:00`, or `..` for no bound",
            ));
        }
        instant
    }

    fn days(&mut self, part: Part<'_>) -> Option<Days> {
        let mut days = Days::default();
        let before = self.problems.len();
        for word in part.split('|') {
            if days.add(word.text).is_none() {
                let help = match did_you_mean(word.text, Days::vocabulary()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        "write `workday`, `holiday`, `mon` to `sun`, or a span such as `mon-fri`".to_owned()
                    }
                };
                let message = format!("`{}` names no days", word.text);
                self.problems.push(Problem::new("bad-window", word.at(), message, help));
            }
        }
        self.words.push(days.to_string());
        (self.problems.len() == before).then_some(days)
    }

    fn hours(&mut self, part: Part<'_>) -> Option<Hours> {
        let problem = match Hours::parse(part.text) {
            Some(hours) if !hours.is_empty() => {
                self.words.push(hours.to_string());
                return Some(hours);
            }
            Some(_) => Problem::new(
                "bad-window",
                part.at(),
                "the hours end when they begin",
                "leave the hours out for the whole day",
            ),
            None => Problem::new(
                "bad-window",
                part.at(),
                format!("`{}` is not a span of hours", part.text),
                "write `HH:MM-HH:MM` in 24 hours, such as `08:30-18:00` or `22:00-06:00`",
            ),
        };
        self.problems.push(problem);
        None
    }
}

/// Whether `text` has the form of RFC 3339, section 5.6: date, `T`, time to the second, offset.
fn is_rfc3339(text: &str) -> bool {
    let Some((date_time, rest)) = text.split_at_checked("2026-12-31T18:00:00".len()) else { return false };
    let shape = |text: &str, pattern: &str| {
        text.len() == pattern.len()
            && text
                .bytes()
                .zip(pattern.bytes())
                .all(|(byte, wanted)| if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted })
    };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if offset.len() == fraction.len() {
                return false;
            }
            offset
        }
        None => rest,
    };
    shape(date_time, "0000-00-00T00:00:00") && (rest == "Z" || shape(rest, "+00:00") || shape(rest, "-00:00"))
}
