//! What `pinegate fmt` makes of bytes.
//!
//! Input: a byte that says what the rest is. `c`: `grants.csv`, `t`: a TOML file, `m`: the model.

use pinegate::grant::Effect;
use pinegate::kernel::diagnostic::Source;
use pinegate::policy::csv::{self, Row};
use pinegate::policy::format::{Kind, format};
use pinegate::policy::scope::Scope;

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
                // Its normal form is held against its meaning by the target `grants`.
                "window" => one.bytes().filter(u8::is_ascii_digit).count() <= other.len(),
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
