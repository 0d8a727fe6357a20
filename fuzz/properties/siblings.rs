//! Plans of the same fields that must agree with each other, whatever the format: [`Siblings`].
//!
//! None of this knows how a format is read. What a plan that refuses or searches does is told by the plan
//! beside it that does neither, whose output the properties of the formats judge.

use std::sync::Arc;

use pinegate::catalog::{BodyShape, Charset, Egress};
use pinegate::mask::{Bounds, MaskError, Plan};

use super::mask::{self, Fields, Input, MOBILE, RESIDENT_ID, Run, in_all_ways};

/// Plans of the same fields.
pub(crate) enum Siblings {
    /// One for replies, and one for requests.
    Refusing { plain: Arc<Plan>, refusing: Arc<Plan>, is_copied: bool },
    /// One that does not search, and those that do.
    Searching {
        plain: Arc<Plan>,
        reporting: Arc<Plan>,
        blocking: Arc<Plan>,
        is_searchable: fn(&str) -> bool,
        reading: Option<Reading>,
    },
}

/// How to look for planted numbers in what left. A format in which names may be numbers has none.
pub(crate) struct Reading {
    /// What left, with the characters of its values as they are meant, as far as that matters here.
    pub(crate) meaning: fn(&str) -> String,
    /// Whether a word between these two parts of that stands in a value, and is that by itself.
    pub(crate) is_value: fn(&str, &str, &str) -> bool,
}

impl Siblings {
    /// `fields` must leave clear, or not at all: a plan that refuses knows no maskers.
    pub(crate) fn refusing(shape: &BodyShape, fields: Fields) -> Self {
        let is_nested = |(name, ..): &(&str, _, _)| {
            fields
                .iter()
                .any(|(other, ..)| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
        };
        Self::Refusing {
            plain: mask::compile(shape, fields, None, |spec| Plan::compile(spec).map(Plan::of_requests)),
            refusing: mask::compile(shape, fields, None, Plan::refusing),
            is_copied: !fields.iter().any(is_nested),
        }
    }

    /// Beside JSON there are values that cannot be searched, and do not leave for that: `is_searchable` says
    /// whether a body has none.
    pub(crate) fn searching(
        shape: &BodyShape,
        fields: Fields,
        is_searchable: fn(&str) -> bool,
        reading: Option<Reading>,
    ) -> Self {
        let plan = |egress| mask::compile(shape, fields, egress, Plan::compile);
        Self::Searching {
            plain: plan(None),
            reporting: plan(Some(Egress::Report)),
            blocking: plan(Some(Egress::Block)),
            is_searchable,
            reading,
        }
    }

    pub(crate) fn check(&self, bounds: Bounds, input: &Input) {
        match self {
            Self::Refusing { plain, refusing, is_copied } => {
                let run = |plan| in_all_ways(plan, bounds, Charset::Utf8, input);
                check_refusing(&run(plain), &run(refusing), &input.body, *is_copied);
            }
            Self::Searching { plain, reporting, blocking, is_searchable, reading } => {
                // Nor are values beyond the bound searched.
                let bounds = Bounds { value: 1 << 20, ..bounds };
                let run = |plan| in_all_ways(plan, bounds, Charset::Utf8, input);
                let (plain, reported, blocked) = (run(plain), run(reporting), run(blocking));
                let is_same = plain.verdict == reported.verdict;
                let is_searched = || std::str::from_utf8(&input.body).is_ok_and(is_searchable);
                if !is_same && (plain.verdict.is_err() || reported.verdict.is_err() || is_searched()) {
                    panic!("a search changed {:?} to {:?}", plain.verdict, reported.verdict);
                }
                check_blocked(&reported, &blocked);
                if let Some(reading) = reading {
                    reading.check(&reported, &blocked);
                }
            }
        }
    }
}

/// A body that leaves as it is passes as it is; any other is refused.
fn check_refusing(plain: &Run, refused: &Run, body: &[u8], is_copied: bool) {
    let is_place = |error: &MaskError| error.place().is_some();
    match (&plain.verdict, &refused.verdict) {
        (Ok(plain), Ok(refused)) => {
            assert!(plain.is_unchanged(), "a body passed of which something would not leave");
            assert_eq!(plain, refused, "the same leaves");
            assert!(!is_copied || refused.out == body, "a body passes as it is");
        }
        (Ok(plain), Err(error)) => {
            assert!(is_place(error), "{error}");
            assert!(!plain.is_unchanged() || plain.out != body, "a body was refused that leaves as it is");
        }
        (Err(plain), Err(error)) => assert!(plain == error || is_place(error), "{plain} became {error}"),
        (Err(error), Ok(_)) => panic!("a body passed that is refused otherwise: {error}"),
    }
}

/// A body is refused for the first that is found in it, and for nothing else.
fn check_blocked(reported: &Run, blocked: &Run) {
    let (longer, shorter) = (reported.left(), blocked.left());
    assert!(longer.starts_with(shorter) || shorter.starts_with(longer), "other bytes left");
    if reported.findings.is_empty() {
        assert_eq!(reported.verdict, blocked.verdict, "a body was refused in which nothing is found");
        return;
    }
    let Err(MaskError::Egress { kind }) = &blocked.verdict else {
        panic!("{:?} were found, and then: {:?}", reported.findings, blocked.verdict);
    };
    assert!(reported.findings.iter().any(|(_, found, _)| *found == kind.as_str()));
    assert!(longer.starts_with(shorter), "more left of a body that is refused");
    assert!(!blocked.findings.is_empty(), "a body was refused for nothing");
}

impl Reading {
    /// Of a body that is refused for a number that number has not left, nor has any of one that is not.
    fn check(&self, reported: &Run, blocked: &Run) {
        let meant = |bytes: &[u8]| (self.meaning)(&String::from_utf8_lossy(bytes));
        let (all, left) = (meant(reported.left()), meant(blocked.left()));
        // It may be cut within a character.
        let left = left.trim_end_matches(char::REPLACEMENT_CHARACTER);
        assert!(all.starts_with(left), "`{left}` left of `{all}`");
        let planted = self.planted(&all, reported.verdict.is_ok());
        assert!(planted.iter().all(|end| left.len() < *end), "a planted number left: {left}");
        if reported.verdict.is_ok() {
            let found: u64 = reported.findings.iter().map(|(.., count)| count).sum();
            let planted = u64::try_from(planted.len()).unwrap();
            assert!(found >= planted, "{planted} were planted, {found} were found in {all}");
        }
    }

    /// Where planted numbers end that must be found. A word at the end of what is not `whole` may go on.
    fn planted(&self, text: &str, is_whole: bool) -> Vec<usize> {
        let (mut ends, mut at) = (Vec::new(), 0);
        // Letters and digits in either width are one word.
        for word in
            text.split(|c: char| !c.is_ascii_alphanumeric() && !('\u{ff10}'..='\u{ff5a}').contains(&c))
        {
            let (from, to) = (at, at + word.len());
            at = to + text[to..].chars().next().map_or(0, char::len_utf8);
            let (before, after) = (&text[..from], &text[to..]);
            let may_go_on = after.is_empty() && !is_whole;
            // Signs and points may make it a part of another number.
            let is_alone = !before.ends_with(['.', '+']) && !after.starts_with('.');
            // So may digits that one character which nobody sees parts from it.
            let is_alone = is_alone && !before.ends_with(is_hidden);
            let is_power = before.strip_suffix('-').is_some_and(|before| before.ends_with(['e', 'E']));
            let is_plain = word.is_ascii() && is_alone && !is_power && !may_go_on;
            let end = Some(word).filter(|_| is_plain).and_then(end_of_number);
            ends.extend(end.filter(|_| (self.is_value)(before, word, after)).map(|end| from + end));
        }
        ends
    }
}

/// Whether a search for numbers may pass over it.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{180e}' | '\u{3164}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Where in a word the first planted number ends, if one stands there by itself.
fn end_of_number(word: &str) -> Option<usize> {
    let is_digit = |c: char| c.is_ascii_digit();
    let end = |number: &str| {
        let mut places = word.match_indices(number).map(|(at, number)| (at, at + number.len()));
        let place = places.find(|(from, to)| {
            let (before, after) = (&word[..*from], &word[*to..]);
            let is_alone = !before.ends_with(is_digit) && !after.starts_with(is_digit);
            // An exponent, and what has one, is no such number where it stands for a number.
            is_alone && !before.ends_with(['e', 'E']) && !after.starts_with(['e', 'E'])
        });
        place.map(|(_, to)| to)
    };
    // Digests and credit codes are something else; they have no X, or another length.
    let may_be_other = matches!(word.len(), 18 | 32 | 40 | 48 | 56 | 64 | 96 | 128);
    let mobile = end(MOBILE).filter(|_| !may_be_other);
    mobile.into_iter().chain(end(RESIDENT_ID)).min()
}

/// In which parts of JSON numbers are searched for: values, not names.
pub(crate) const JSON: Reading = Reading { meaning: json, is_value: is_json_value };

/// JSON whose texts have no escapes: what stood for anything but a letter or digit is a character that is
/// none.
fn json(text: &str) -> String {
    const OTHER: char = '\u{fffc}';
    let (mut meant, mut rest) = (String::new(), text);
    while let Some((plain, escape)) = rest.split_once('\\') {
        meant.push_str(plain);
        let is_unit = escape.starts_with('u');
        let Some((escape, after)) = escape.split_at_checked(if is_unit { 5 } else { 1 }) else {
            return meant;
        };
        let unit = if is_unit { u32::from_str_radix(&escape[1..], 16).ok() } else { None };
        meant.push(unit.and_then(char::from_u32).filter(|c| c.is_alphanumeric()).unwrap_or(OTHER));
        rest = after;
    }
    meant + rest
}

fn is_json_value(before: &str, word: &str, after: &str) -> bool {
    if before.matches('"').count().is_multiple_of(2) {
        let before = before.strip_suffix('-').unwrap_or(before);
        return word == MOBILE && !before.ends_with(char::is_alphanumeric);
    }
    let behind = after.split_once('"').map(|(_, behind)| behind.trim_start());
    behind.is_some_and(|behind| behind.starts_with([',', ']', '}']))
}
