//! Formats that hold nothing but text: what a rule, made for values with types, means there.
//!
//! Where a field is declared as a number or as a boolean, a text leaves clear only if it reads as
//! one: a value of another type than the catalogue says never passes.

use super::automaton::{Kind, Rule, class};
use super::json::text::prefix;
use super::masker::Value;
use super::plan::Plan;

/// What becomes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It leaves as it is.
    Clear,
    /// It leaves as it is, after it has been searched.
    Searched,
    /// It leaves if it reads as a number, or is empty.
    Number,
    /// The same, after it has been searched.
    SearchedNumber,
    /// It leaves if it reads as a boolean, or is empty.
    Boolean,
    /// What its mould leaves of it does.
    Masked,
    /// Nothing of it leaves, but its place does: what belongs there is no text.
    Emptied,
    /// It goes with its name.
    Dropped,
}

impl Fate {
    /// What `rule` makes of a text.
    pub(super) fn of(plan: &Plan, rule: Rule) -> Self {
        let is_searched = rule.mask != 0 && plan.search == Some(rule.index);
        let searched = if is_searched { rule.mask } else { 0 };
        let has = |classes: u8, class: u8| classes & class != 0;
        match rule.kind {
            Kind::Drop => Self::Dropped,
            Kind::Node | Kind::Record => Self::Emptied,
            Kind::Plain if has(searched, class::TEXT) => Self::Searched,
            Kind::Plain if has(rule.mask, class::TEXT) => Self::Masked,
            Kind::Plain if has(rule.copy, class::TEXT) => Self::Clear,
            Kind::Plain if has(searched, class::NUMBER) => Self::SearchedNumber,
            Kind::Plain if has(rule.copy, class::NUMBER) => Self::Number,
            Kind::Plain if has(rule.copy, class::BOOLEAN) => Self::Boolean,
            Kind::Plain => Self::Emptied,
        }
    }

    /// Whether `text` may leave as it is. An empty one is the absence of a value.
    #[inline(always)]
    pub(super) fn passes(self, text: &[u8]) -> bool {
        match self {
            Self::Clear | Self::Searched => true,
            Self::Number | Self::SearchedNumber => text.is_empty() || is_number(text),
            Self::Boolean => text.is_empty() || is_boolean(text),
            Self::Masked | Self::Emptied => text.is_empty(),
            Self::Dropped => false,
        }
    }

    /// Whether what becomes of a text depends on all of it.
    pub(super) const fn takes_whole(self) -> bool {
        !matches!(self, Self::Clear | Self::Dropped)
    }

    /// What a text that passes is searched as, if it is.
    pub(super) const fn searches(self, text: &str) -> Option<Value<'_>> {
        match self {
            Self::Searched => Some(Value::Text(text)),
            Self::SearchedNumber => Some(Value::Number(text)),
            Self::Clear | Self::Number | Self::Boolean | Self::Masked | Self::Emptied | Self::Dropped => None,
        }
    }
}

/// The rule of the field that a record calls `name`: a path below other fields is written with dots.
pub(super) fn find(plan: &Plan, name: &str) -> Option<Rule> {
    if plan.root == Rule::WHOLE {
        return Some(Rule::WHOLE);
    }
    name.split('.').try_fold(plan.root, |above, part| {
        if !matches!(above.kind, Kind::Node | Kind::Record) {
            return None;
        }
        let entry = plan.automaton.find(above.index, part.as_bytes(), prefix(part.as_bytes()))?;
        plan.automaton.rule(entry)
    })
}

/// Whether `text` is a number as RFC 8259 section 6 writes them.
#[inline(always)]
fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let rest = match text {
        [b'0', rest @ ..] => rest,
        [b'1'..=b'9', rest @ ..] => after_digits(rest),
        _ => return false,
    };
    let rest = match rest {
        [] => return true,
        [b'.', b'0'..=b'9', rest @ ..] => after_digits(rest),
        _ => rest,
    };
    match rest {
        [b'e' | b'E', b'+' | b'-', b'0'..=b'9', rest @ ..] | [b'e' | b'E', b'0'..=b'9', rest @ ..] => {
            after_digits(rest).is_empty()
        }
        _ => rest.is_empty(),
    }
}

#[inline(always)]
fn after_digits(mut text: &[u8]) -> &[u8] {
    while let [b'0'..=b'9', rest @ ..] = text {
        text = rest;
    }
    text
}

/// Whether `text` is a truth value as databases and people write them, in upper or lower case.
#[inline(always)]
fn is_boolean(text: &[u8]) -> bool {
    match text {
        b"true" | b"false" => true,
        [letter] => matches!(letter, b'0' | b'1' | b't' | b'f' | b'y' | b'n' | b'T' | b'F' | b'Y' | b'N'),
        _ => is_boolean_word(text),
    }
}

fn is_boolean_word(text: &[u8]) -> bool {
    const WORDS: [&str; 6] = ["no", "yes", "true", "false", "是", "否"];
    WORDS.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_booleans() {
        for number in ["0", "-0", "7", "12.50", "-1.5e10", "1E+2", "1e-07", "12345678901234567890123"] {
            assert!(is_number(number.as_bytes()), "{number}");
        }
        for other in [
            "",
            "-",
            "+1",
            "01",
            ".5",
            "1.",
            "1.e1",
            "1e",
            "1e+",
            "1,5",
            " 1",
            "1 ",
            "0x1",
            "NaN",
            "１",
            "1a",
            "1-1",
            "--1",
            "13800138000a",
        ] {
            assert!(!is_number(other.as_bytes()), "{other}");
        }
        for boolean in ["true", "FALSE", "False", "0", "1", "T", "n", "Yes", "no", "是", "否"] {
            assert!(is_boolean(boolean.as_bytes()), "{boolean}");
        }
        for other in ["", "2", "10", "tru", "true ", "on", "null", "13800138000"] {
            assert!(!is_boolean(other.as_bytes()), "{other}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_json(text in "[-+0-9.eE]{0,8}") {
            let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(is_number(text.as_bytes()), is_json);
        }
    }
}
