//! A CSV body through a masking plan, in pieces. `mask.rs` says how an input is laid out.
//!
//! The crate csv says what the rows and fields of a body are. Where they stand is told by their quotes,
//! and from that each byte that must leave, but for those of masked values.

use std::sync::{Arc, LazyLock};

use pinegate::catalog::{BodyFormat, BodyShape, Delimiter, FieldType, NameMatching};
use pinegate::mask::{Bounds, MaskError, Plan};

use super::mask::{self, Fields, Input, check_again, contains_secret, is_clear, is_sealed, outcome};
use super::siblings::{Reading, Siblings};
use super::untyped::{Fate, KEYED, OPEN, SEALED, check_masked};

const BOUNDS: Bounds = Bounds { depth: 100, key: 64, value: 48, space: 32, records: Some(8) };

/// A single column may leave.
const ONE: Fields = &[("name", FieldType::String, Some("clear")), ("id", FieldType::String, None)];

struct Case {
    plan: Arc<Plan>,
    fields: Fields,
    folds: bool,
    delimiter: char,
}

static CASES: LazyLock<[Case; 8]> = LazyLock::new(|| {
    [
        case(OPEN, false, Delimiter::Comma),
        case(SEALED, false, Delimiter::Comma),
        case(SEALED, true, Delimiter::Comma),
        case(ONE, false, Delimiter::Comma),
        case(OPEN, false, Delimiter::Semicolon),
        case(SEALED, false, Delimiter::Tab),
        case(SEALED, false, Delimiter::Bar),
        case(KEYED, false, Delimiter::Comma),
    ]
});

static SIBLINGS: LazyLock<[Siblings; 4]> = LazyLock::new(|| {
    let shape = |delimiter| BodyShape { delimiter, ..mask::shape(BodyFormat::Csv) };
    // Only names that are declared leave, and they hold no numbers.
    let reading = || Some(Reading { meaning: str::to_owned, is_value: |_, _, _| true });
    [
        Siblings::searching(&shape(Delimiter::Comma), OPEN, |_| true, reading()),
        Siblings::searching(&shape(Delimiter::Tab), ONE, |_| true, reading()),
        Siblings::refusing(&shape(Delimiter::Comma), OPEN),
        Siblings::refusing(&shape(Delimiter::Semicolon), ONE),
    ]
});

fn case(fields: Fields, folds: bool, delimiter: Delimiter) -> Case {
    let names = if folds { NameMatching::Fold } else { NameMatching::Exact };
    let shape = BodyShape { names, delimiter, ..mask::shape(BodyFormat::Csv) };
    Case { plan: mask::plan(&shape, fields), fields, folds, delimiter: char::from(delimiter.as_byte()) }
}

pub(crate) fn check(data: &[u8]) {
    let Some(input) = Input::read(data) else { return };
    let choice = input.choice % (CASES.len() + SIBLINGS.len());
    let Some(case) = CASES.get(choice) else { return SIBLINGS[choice - CASES.len()].check(BOUNDS, &input) };
    match outcome(&case.plan, BOUNDS, &input) {
        Ok(left) => {
            let is_same = left.out == input.body;
            assert!(is_same || !left.is_unchanged() || left.records == 0, "a change was not counted");
            check_left(&input.body, &left.out, left.records, case);
            if is_clear(case.fields) && !left.out.is_empty() {
                check_again(&case.plan, BOUNDS, &left);
            }
        }
        Err(error) => check_refusal(&input.body, error, case.delimiter),
    }
}

fn check_left(body: &[u8], out: &[u8], records: u64, case: &Case) {
    if is_sealed(case.fields) {
        assert!(!contains_secret(out), "the secret left");
    }
    let (body, out) = (std::str::from_utf8(body).unwrap(), std::str::from_utf8(out).unwrap());
    let lines = lines(body, case.delimiter);
    let rows = rows(body, case.delimiter).expect("what is accepted is CSV");
    let texts: Vec<Vec<String>> =
        lines.iter().map(|line| line.fields.iter().map(|raw| text_of(raw)).collect()).collect();
    assert_eq!(texts, rows, "the crate csv reads other fields");
    assert_eq!(usize::try_from(records).unwrap() + 1, rows.len(), "records are rows");

    let fates: Vec<Fate> = rows[0].iter().map(|name| Fate::of(name, case.fields, case.folds)).collect();
    let leaving = fates.iter().filter(|fate| **fate != Fate::Dropped).count();
    let mut rest = out;
    for (number, (line, row)) in lines.iter().zip(&rows).enumerate().filter(|_| leaving > 0) {
        let mut is_first = true;
        for (((raw, text), fate), name) in line.fields.iter().zip(row).zip(&fates).zip(&rows[0]) {
            if *fate == Fate::Dropped {
                continue;
            }
            if !std::mem::replace(&mut is_first, false) {
                rest = left(rest, case.delimiter.encode_utf8(&mut [0; 4]));
            }
            let passes = if number == 0 { Some(true) } else { fate.passes(text, raw, BOUNDS.value) };
            rest = match passes {
                Some(true) => left(rest, or_quotes(raw, leaving)),
                Some(false) => left(rest, or_quotes("", leaving)),
                None => {
                    let raw_left = field(rest, case.delimiter);
                    // As long as it is by no count too long.
                    if raw.len() <= BOUNDS.value {
                        check_masked(name, case.fields, text, &text_of(raw_left));
                    }
                    &rest[raw_left.len()..]
                }
            };
        }
        rest = left(rest, line.end);
    }
    assert_eq!(rest, "", "more left than there was");
    if leaving > 0 {
        let left = self::rows(out, case.delimiter).expect("what leaves is CSV");
        assert_eq!(left.len(), rows.len(), "as many rows leave as came");
        assert!(left.iter().all(|row| row.len() == leaving));
    }
}

/// What is refused is either no CSV, or beyond a bound. Of CSV without quotes that can be told.
fn check_refusal(body: &[u8], error: MaskError, delimiter: char) {
    let is_bound = matches!(error, MaskError::KeyTooLong { .. } | MaskError::TooManyRecords { .. });
    let Ok(text) = std::str::from_utf8(body) else { return };
    let is_plain = !text.contains(|c: char| c == '"' || c == '\u{feff}' || c < ' ' && c != '\n' && c != '\t');
    let is_whole = text.trim_end_matches('\n').len() + 1 >= text.len();
    if is_bound || !is_plain || !is_whole || text.contains("\n\n") || text.starts_with('\n') {
        return;
    }
    let Some(rows) = rows(text, delimiter) else { return };
    let is_named = rows.first().is_some_and(|names| names.iter().all(|name| !name.is_empty()));
    assert!(!is_named, "valid CSV was refused: {error}");
}

/// A record of one empty field would be a blank line.
fn or_quotes(raw: &str, leaving: usize) -> &str {
    if leaving == 1 && raw.is_empty() { "\"\"" } else { raw }
}

/// This is the next that left.
fn left<'o>(rest: &'o str, piece: &str) -> &'o str {
    rest.strip_prefix(piece).unwrap_or_else(|| panic!("`{rest}` left where `{piece}` should"))
}

/// A line: its fields as they are written, and what ends it.
struct Line<'b> {
    fields: Vec<&'b str>,
    end: &'b str,
}

fn lines(mut rest: &str, delimiter: char) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let mut fields = Vec::new();
        loop {
            let raw = field(rest, delimiter);
            fields.push(raw);
            rest = &rest[raw.len()..];
            match rest.strip_prefix(delimiter) {
                Some(more) => rest = more,
                None => break,
            }
        }
        let ends = ["\r\n", "\n", ""];
        let end = ends.into_iter().find(|end| rest.starts_with(end)).unwrap();
        assert!(!end.is_empty() || rest.is_empty(), "no line ends at `{rest}`");
        rest = &rest[end.len()..];
        lines.push(Line { fields, end });
    }
    lines
}

/// The field at the front of `rest`, as it is written.
fn field(rest: &str, delimiter: char) -> &str {
    let mut is_quoted = false;
    let end = rest.find(|c: char| {
        is_quoted ^= c == '"';
        !is_quoted && (c == delimiter || c == '\n' || c == '\r')
    });
    &rest[..end.unwrap_or(rest.len())]
}

fn text_of(raw: &str) -> String {
    let inside = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.map_or_else(|| raw.to_owned(), |inside| inside.replace("\"\"", "\""))
}

/// The rows that the crate csv reads, if all have as many fields as the first.
fn rows(body: &str, delimiter: char) -> Option<Vec<Vec<String>>> {
    let mut builder = csv::ReaderBuilder::new();
    let builder = builder.has_headers(false).delimiter(u8::try_from(delimiter).unwrap());
    let rows = builder.from_reader(body.as_bytes()).into_records();
    rows.map(|row| Some(row.ok()?.iter().map(str::to_owned).collect())).collect()
}
