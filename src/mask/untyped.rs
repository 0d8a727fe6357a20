//! Formats that hold nothing but text: what a rule, made for values with types, means there.
//!
//! Where a field is declared as a number or as a boolean, a text leaves clear only if it reads as
//! one: a value of another type than the catalogue says never passes.

use super::automaton::{Kind, Rule, class};
use super::json::text::prefix;
use super::plan::Plan;

/// What becomes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It leaves as it is.
    Clear,
    /// It leaves if it reads as a number, or is empty.
    Number,
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
    pub(super) fn of(rule: Rule) -> Self {
        match rule.kind {
            Kind::Drop => Self::Dropped,
            Kind::Node | Kind::Record => Self::Emptied,
            Kind::Plain if rule.mask & class::TEXT != 0 => Self::Masked,
            Kind::Plain if rule.copy & class::TEXT != 0 => Self::Clear,
            Kind::Plain if rule.copy & class::NUMBER != 0 => Self::Number,
            Kind::Plain if rule.copy & class::BOOLEAN != 0 => Self::Boolean,
            Kind::Plain => Self::Emptied,
        }
    }

    /// Whether `text` may leave as it is. An empty one is the absence of a value.
    pub(super) fn passes(self, text: &str) -> bool {
        match self {
            Self::Clear => true,
            Self::Number => text.is_empty() || is_number(text),
            Self::Boolean => text.is_empty() || is_boolean(text),
            Self::Masked | Self::Emptied => text.is_empty(),
            Self::Dropped => false,
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
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let rest = match text {
        [b'0', rest @ ..] => rest,
        [b'1'..=b'9', rest @ ..] => after_digits(rest),
        _ => return false,
    };
    let rest = match rest {
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

fn after_digits(text: &[u8]) -> &[u8] {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.get(digits..).unwrap_or_default()
}

/// Whether `text` is a truth value as databases and people write them, in upper or lower case.
fn is_boolean(text: &str) -> bool {
    const WORDS: [&str; 12] = ["0", "1", "t", "f", "y", "n", "no", "yes", "true", "false", "是", "否"];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Appends to `value` until it is one byte longer than `bound`, which tells that it is too long.
pub(super) fn keep_up_to(value: &mut Vec<u8>, part: &[u8], bound: usize) {
    let room = bound.saturating_add(1).saturating_sub(value.len());
    value.extend_from_slice(part.get(..room).unwrap_or(part));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_booleans() {
        for number in ["0", "-0", "7", "12.50", "-1.5e10", "1E+2", "1e-07", "12345678901234567890123"] {
            assert!(is_number(number), "{number}");
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
            assert!(!is_number(other), "{other}");
        }
        for boolean in ["true", "FALSE", "False", "0", "1", "T", "n", "Yes", "no", "是", "否"] {
            assert!(is_boolean(boolean), "{boolean}");
        }
        for other in ["", "2", "10", "tru", "true ", "on", "null", "13800138000"] {
            assert!(!is_boolean(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_json(text in "[-+0-9.eE]{0,8}") {
            let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(is_number(&text), is_json);
        }
    }
}
