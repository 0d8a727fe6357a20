//! What `pinegate fmt` makes of bytes.
//!
//! Input: a byte that says what the rest is. `c`: `grants.csv`, `t`: a TOML file, `m`: the model.

use std::sync::{Arc, LazyLock};

use pinegate::grant::Effect;
use pinegate::kernel::diagnostic::Source;
use pinegate::kernel::time::TimeZone;
use pinegate::policy::calendar::Calendar;
use pinegate::policy::csv::{self, Row};
use pinegate::policy::format::{Kind, format};
use pinegate::policy::scope::Scope;
use pinegate::policy::window::{Frame, Window};

/// Any local clock: what is written is held against what was, by the same.
static FRAME: LazyLock<Frame> =
    LazyLock::new(|| Frame { zone: TimeZone::UTC, calendar: Arc::new(Calendar::default()) });

pub(crate) fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let kind = match kind {
        b'c' => Kind::Grants,
        b't' => Kind::Toml,
        b'm' => Kind::Model,
        _ => return,
    };
    let Ok(once) = format(kind, "file", bytes) else { return };
    assert!(once.text.is_empty() || once.text.ends_with('\n'));
    if once.text.as_bytes() == bytes {
        assert!(once.repairs.is_empty(), "{:?} where nothing changed", once.repairs);
    } else {
        assert!(!once.repairs.is_empty(), "{:?} became {:?} without a word", once.before, once.text);
    }
    let twice = format(kind, "file", once.text.as_bytes()).expect("what was written is read");
    assert_eq!(twice.text, once.text, "formatting twice is formatting once");
    // A tab is read as nothing by the tolerant reader, and as the space that it was meant to be here.
    if kind == Kind::Grants && !once.before.contains('\t') {
        check_rows(&once.before, &once.text);
    }
}

/// Every row that was read before, tolerantly, is there, in order, and says the same.
fn check_rows(before: &str, after: &str) {
    let (before, _) = csv::read(&Source::new("before", before));
    let (after, findings) = csv::read(&Source::new("after", after));
    // The reader stops where there is too much.
    if findings.iter().any(|finding| finding.code == "too-much") {
        return;
    }
    let mut after = after.iter();
    for row in &before {
        assert!(after.any(|other| says_the_same(row, other)), "{row:?} is lost");
    }
}

fn says_the_same(one: &Row, other: &Row) -> bool {
    if one.section != other.section {
        return false;
    }
    let mut columns = one.section.columns().iter().zip(one.cells.iter().zip(&other.cells));
    columns.all(|(column, (one, other))| {
        let (one, other) = (one.text.as_str(), other.text.as_str());
        one == other
            || match *column {
                "scope" => scope(one).is_some_and(|one| Some(one) == scope(other)),
                "window" => is_window_of(other, one),
                "effect" => [Effect::Allow, Effect::Deny]
                    .iter()
                    .any(|effect| one.eq_ignore_ascii_case(effect.as_str()) && other == effect.as_str()),
                _ => false,
            }
    })
}

fn scope(text: &str) -> Option<String> {
    Scope::parse(text).ok().map(|scope| scope.to_string())
}

/// Whether a window says what one said that was written in another way. What spreadsheets make of dates
/// is no window to be read: the same numbers must stand in it, in their order.
pub(crate) fn is_window_of(after: &str, before: &str) -> bool {
    let meaning = |text| Some(Window::parse(text, &FRAME, Effect::Allow).ok()?.canonical());
    match (meaning(before), meaning(after)) {
        (Some(before), Some(after)) => before == after,
        (None, Some(_)) => numbers(before) == numbers(after),
        (_, None) => false,
    }
}

/// The runs of digits of a text, without zeros in front.
fn numbers(text: &str) -> Vec<&str> {
    let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
    runs.map(|run| run.trim_start_matches('0')).collect()
}
