//! `grants.csv`, `model.conf`, and the scopes and windows of grants.
//!
//! Input: a byte that says what the rest is. `c`: rows, `m`: a model, `s`: a scope, `a` and `d`: the
//! window of a grant and of a refusal.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use pinegate::grant::Effect;
use pinegate::kernel::diagnostic::{Diagnostic, Source};
use pinegate::kernel::time::{TimeZone, Timestamp};
use pinegate::policy::calendar::Calendar;
use pinegate::policy::csv::{self, MAX_CELL_BYTES, Row};
use pinegate::policy::model::{self, Model, Path};
use pinegate::policy::problem::Problem;
use pinegate::policy::scope::Scope;
use pinegate::policy::window::{Frame, Phase, Window};

static FRAME: LazyLock<Frame> = LazyLock::new(|| Frame {
    // A zone with daylight saving time, where windows are hardest.
    zone: TimeZone::get("Europe/Berlin").unwrap(),
    calendar: Arc::new(Calendar::new([2026], [], []).unwrap()),
});

pub(crate) fn check(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match kind {
        b'c' => check_rows(text),
        b'm' => check_model(text),
        b's' => check_scope(text),
        b'a' => check_window(text, Effect::Allow),
        b'd' => check_window(text, Effect::Deny),
        _ => {}
    }
}

fn check_places(text: &str, findings: &[Diagnostic]) {
    for finding in findings {
        assert!(text.get(finding.span.clone()).is_some(), "{finding:?} is not in the text");
    }
}

fn check_problems(text: &str, problems: &[Problem]) {
    assert!(!problems.is_empty(), "refused without a reason");
    for problem in problems {
        assert!(text.get(problem.at.clone()).is_some(), "{problem:?} is not in the text");
    }
}

fn check_rows(text: &str) {
    let (rows, findings) = csv::read(&Source::new("grants.csv", text));
    check_places(text, &findings);
    for row in &rows {
        assert_eq!(row.cells.len(), row.section.columns().len());
        let span = text.get(row.span.clone()).expect("a row lies in the text");
        assert!(!span.contains('\n'));
        for cell in &row.cells {
            assert!((1..=MAX_CELL_BYTES).contains(&cell.text.len()));
            for part in places(&cell.text) {
                let place = cell.place(part);
                assert!(text.get(place.clone()).is_some(), "{place:?} of {cell:?} is not in the text");
                assert!(row.span.start <= place.start && place.end <= row.span.end);
            }
        }
    }
    if !findings.is_empty() {
        return;
    }
    let canonical = canonical_rows(&rows);
    let (again, findings) = csv::read(&Source::new("grants.csv", &*canonical));
    assert_eq!(findings, [], "{canonical}");
    assert_eq!(canonical_rows(&again), canonical);
    assert_eq!(again.len(), rows.len());
    for (one, other) in rows.iter().zip(&again) {
        assert!(one.cells.iter().map(|cell| &cell.text).eq(other.cells.iter().map(|cell| &cell.text)));
    }
}

/// The whole text, its first and its last character.
fn places(text: &str) -> impl Iterator<Item = Range<usize>> {
    let characters = || text.char_indices().map(|(at, c)| at..at + c.len_utf8());
    std::iter::once(0..text.len()).chain(characters().next()).chain(characters().next_back())
}

fn canonical_rows(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        text.push_str(row.section.as_str());
        for cell in &row.cells {
            write!(text, ",\"{}\"", cell.text.replace('"', "\"\"")).unwrap();
        }
        text.push('\n');
    }
    text
}

fn check_model(text: &str) {
    let model = match Model::read(&Source::new("model.conf", text)) {
        Ok(model) => model,
        Err(findings) => {
            assert!(!findings.is_empty());
            return check_places(text, &findings);
        }
    };
    for definition in &model.definitions {
        assert!(text.get(definition.span.clone()).is_some());
    }
    if let Path::Foreign { differs, .. } = model.path() {
        assert!(text.get(differs).is_some());
    } else {
        let count = Model::read(&Source::new("model.conf", model::SHIPPED)).unwrap().definitions.len();
        assert_eq!(model.definitions.len(), count, "a model that is served has nothing more or less");
    }
    // A value that ends in `\` would take in the next line.
    if model.definitions.iter().any(|definition| definition.value.ends_with('\\')) {
        return;
    }
    let canonical = canonical_model(&model);
    let again = Model::read(&Source::new("model.conf", &*canonical)).expect("a canonical model is read");
    assert_eq!(canonical_model(&again), canonical);
    assert_eq!(
        matches!(again.path(), Path::Native),
        matches!(model.path(), Path::Native),
        "it is decided the same"
    );
}

fn canonical_model(model: &Model) -> String {
    let mut text = String::new();
    for definition in &model.definitions {
        writeln!(text, "[{}]\n{} = {}", definition.section.as_str(), definition.key, definition.value)
            .unwrap();
    }
    text
}

fn check_scope(text: &str) {
    let scope = match Scope::parse(text) {
        Ok(scope) => scope,
        Err(problems) => return check_problems(text, &problems),
    };
    assert!(!scope.items.is_empty());
    let places = scope.items.iter().map(|item| &item.at).chain(scope.constraints.iter().map(|it| &it.at));
    for place in places {
        assert!(text.get(place.clone()).is_some());
    }
    let canonical = scope.to_string();
    let again = Scope::parse(&canonical).unwrap_or_else(|problems| panic!("{canonical:?}: {problems:?}"));
    assert_eq!(again.to_string(), canonical);
    assert_eq!((again.rows_per_reply, again.rows_per_day), (scope.rows_per_reply, scope.rows_per_day));
    assert_eq!(again.items.len(), scope.items.len());
    for (one, other) in scope.items.iter().zip(&again.items) {
        assert_eq!((&one.selector, &one.treatment), (&other.selector, &other.treatment));
    }
    assert_eq!(again.constraints.len(), scope.constraints.len());
    for (one, other) in scope.constraints.iter().zip(&again.constraints) {
        assert_eq!((&one.parameter, &one.patterns), (&other.parameter, &other.patterns));
    }
}

fn check_window(text: &str, effect: Effect) {
    let window = match Window::parse(text, &FRAME, effect) {
        Ok(window) => window,
        Err(problems) => return check_problems(text, &problems),
    };
    let again = Window::parse(window.text(), &FRAME, effect)
        .unwrap_or_else(|problems| panic!("{:?}: {problems:?}", window.text()));
    assert_eq!(again.text(), window.text());
    assert_eq!(again.canonical(), window.canonical());
    if let (Some(begins), Some(ends)) = (window.begins(), window.ends()) {
        assert!(begins < ends);
    }
    // 2026-03-29 and 2026-10-25: the clock jumps; 2027: the calendar does not know it.
    for second in [1_774_745_999, 1_774_746_000, 1_780_000_000, 1_792_893_600, 1_800_000_000] {
        let now = Timestamp::from_second(second).unwrap();
        let standing = window.standing(now);
        assert_eq!(standing, window.standing(now), "asked twice, it says the same");
        assert_eq!(standing.phase, again.standing(now).phase);
        assert!(standing.until.is_none_or(|until| until > now), "a change must lie ahead");
        match standing.phase {
            Phase::Before => assert!(window.begins().is_some_and(|begins| now < begins)),
            Phase::After => assert!(window.ends().is_some_and(|ends| ends <= now)),
            Phase::Inside | Phase::OffSchedule => {
                assert!(window.begins().is_none_or(|begins| begins <= now));
                assert!(window.ends().is_none_or(|ends| now < ends));
            }
        }
    }
}
