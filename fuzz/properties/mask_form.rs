//! A form through a masking plan, in pieces. `mask.rs` says how an input is laid out.
//!
//! Pairs are apart by `&`, names and values by the first `=`; percent-encoding says what they mean. From
//! that each byte that must leave is told, but for those of masked values.

use std::sync::{Arc, LazyLock};

use pinegate::catalog::{BodyFormat, BodyShape, NameMatching};
use pinegate::mask::{Bounds, MaskError, Plan};

use super::mask::{self, Fields, Input, check_again, contains_secret, is_clear, is_sealed, outcome};
use super::siblings::{Reading, Siblings};
use super::untyped::{Fate, KEYED, OPEN, SEALED, check_masked};

const BOUNDS: Bounds = Bounds { depth: 100, key: 64, value: 48, space: 32, records: Some(1) };

struct Case {
    plan: Arc<Plan>,
    fields: Fields,
    folds: bool,
}

static CASES: LazyLock<[Case; 4]> =
    LazyLock::new(|| [case(OPEN, false), case(SEALED, false), case(SEALED, true), case(KEYED, false)]);

static SIBLINGS: LazyLock<[Siblings; 2]> = LazyLock::new(|| {
    let shape = mask::shape(BodyFormat::Form);
    // Only names that are declared leave, and they hold no numbers.
    let reading = Reading { meaning, is_value: |_, _, _| true };
    [Siblings::searching(&shape, OPEN, is_searchable, Some(reading)), Siblings::refusing(&shape, OPEN)]
});

/// What is no text cannot be searched.
fn is_searchable(body: &str) -> bool {
    body.split(['&', '=']).all(|part| decode(part).is_some())
}

/// What is written means, but for an escape at the end that is not whole.
fn meaning(text: &str) -> String {
    let cut = text.rfind('%').filter(|at| text.len() - at < 3);
    let spaced = text[..cut.unwrap_or(text.len())].replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

fn case(fields: Fields, folds: bool) -> Case {
    let names = if folds { NameMatching::Fold } else { NameMatching::Exact };
    let shape = BodyShape { names, ..mask::shape(BodyFormat::Form) };
    Case { plan: mask::plan(&shape, fields), fields, folds }
}

pub(crate) fn check(data: &[u8]) {
    let Some(input) = Input::read(data) else { return };
    let choice = input.choice % (CASES.len() + SIBLINGS.len());
    let Some(case) = CASES.get(choice) else { return SIBLINGS[choice - CASES.len()].check(BOUNDS, &input) };
    match outcome(&case.plan, BOUNDS, &input) {
        Ok(left) => {
            let (body, out) = (text(&input.body), text(&left.out));
            // Pairs of nothing go uncounted.
            let is_plain = body.split('&').all(|pair| !pair.is_empty());
            assert!(!is_plain || !left.is_unchanged() || out == body, "a change was not counted");
            check_left(body, out, case);
            if is_clear(case.fields) && !out.is_empty() {
                check_again(&case.plan, BOUNDS, &left);
            }
        }
        Err(error) => check_refusal(&input.body, error),
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("what is accepted is UTF-8")
}

/// What is written means; nothing if that is no UTF-8.
fn decode(raw: &str) -> Option<String> {
    let spaced = raw.replace('+', " ");
    Some(percent_encoding::percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

fn check_left(body: &str, out: &str, case: &Case) {
    if is_sealed(case.fields) {
        let decoded: Vec<u8> = percent_encoding::percent_decode_str(out).collect();
        assert!(!contains_secret(out.as_bytes()) && !contains_secret(&decoded), "the secret left");
    }
    let mut rest = out;
    let mut is_first = true;
    for pair in body.split('&') {
        let (raw_name, raw) = pair.split_once('=').map_or((pair, None), |(name, raw)| (name, Some(raw)));
        let fate = decode(raw_name).map_or(Fate::Dropped, |name| Fate::of(&name, case.fields, case.folds));
        if fate == Fate::Dropped {
            continue;
        }
        if !std::mem::replace(&mut is_first, false) {
            rest = left(rest, "&");
        }
        rest = left(rest, raw_name);
        let Some(raw) = raw else { continue };
        rest = left(rest, "=");
        let passes = match decode(raw) {
            Some(text) => fate.passes(&text, raw, BOUNDS.value),
            // No text: it leaves where every text does, and is hidden where texts are masked.
            None if fate == Fate::Masked => None,
            None => Some(fate == Fate::Clear),
        };
        rest = match passes {
            Some(true) => left(rest, raw),
            Some(false) => rest,
            None => {
                let (raw_left, after) = rest.split_at(rest.find('&').unwrap_or(rest.len()));
                let names = decode(raw_name).zip(decode(raw)).filter(|_| raw.len() <= BOUNDS.value);
                if let Some((name, text)) = names {
                    let left = decode(raw_left).expect("a masker leaves a text");
                    check_masked(&name, case.fields, &text, &left);
                }
                after
            }
        };
    }
    assert_eq!(rest, "", "more left than there was");
}

/// This is the next that left.
fn left<'o>(rest: &'o str, piece: &str) -> &'o str {
    rest.strip_prefix(piece).unwrap_or_else(|| panic!("`{rest}` left where `{piece}` should"))
}

/// What is refused is either no form, or beyond a bound.
fn check_refusal(body: &[u8], error: MaskError) {
    if matches!(error, MaskError::KeyTooLong { .. }) {
        return;
    }
    let Ok(text) = std::str::from_utf8(body) else { return };
    let mut escapes = text.split('%').skip(1);
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    let is_form =
        !text.starts_with('\u{feff}') && !text.contains(|c: char| c < ' ') && escapes.all(is_escape);
    assert!(!is_form, "a form was refused: {error}");
}
