//! The parameters of a masker, each taken once and checked.

use crate::kernel::id::MaskerName;

use super::Masker;
use super::cipher::{FORMS, Form};
use super::write::Ends;

/// Why a masker cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskerError {
    /// There is no such method.
    #[error("`{method}` is not a masking method{}", meant(.nearest.as_deref()))]
    UnknownMethod {
        /// What was asked for.
        method: String,
        /// A method with a similar name.
        nearest: Option<String>,
    },
    /// The method has no such parameter, or it stands twice.
    #[error("`{parameter}` is not a parameter of `{method}`, or it stands twice")]
    UnknownParameter {
        /// The method.
        method: String,
        /// The parameter.
        parameter: String,
    },
    /// The method cannot do without this parameter.
    #[error("`{method}` needs the parameter `{parameter}`: {expected}")]
    MissingParameter {
        /// The method.
        method: String,
        /// The parameter.
        parameter: &'static str,
        /// What would be right.
        expected: String,
    },
    /// A parameter has a wrong value.
    #[error("`{parameter}` of `{method}` is `{value}`; expected {expected}")]
    BadParameter {
        /// The method.
        method: String,
        /// The parameter.
        parameter: &'static str,
        /// What it is.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// A masker of this name exists.
    #[error("a masker named `{name}` exists already; a built-in masker cannot be redefined")]
    Taken {
        /// The name.
        name: MaskerName,
    },
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; `{nearest}` is")).unwrap_or_default()
}

impl MaskerError {
    pub(super) fn unknown_method(method: &str) -> Self {
        let similar = |known: &&str| strsim::damerau_levenshtein(known, method);
        let nearest = Masker::METHODS.into_iter().min_by_key(similar).filter(|known| similar(known) <= 3);
        Self::UnknownMethod { method: method.to_owned(), nearest: nearest.map(str::to_owned) }
    }
}

/// What is left of the parameters of one masker.
#[derive(Debug)]
pub(super) struct Parameters<'a> {
    method: &'a str,
    left: Vec<(&'a str, &'a str)>,
}

impl<'a> Parameters<'a> {
    /// The most edges of a `bucket`.
    const MAX_EDGES: usize = 64;

    pub(super) fn new(method: &'a str, given: &[(&'a str, &'a str)]) -> Self {
        Self { method, left: given.to_vec() }
    }

    fn take(&mut self, parameter: &str) -> Option<&'a str> {
        let at = self.left.iter().position(|(name, _)| *name == parameter)?;
        Some(self.left.swap_remove(at).1)
    }

    fn bad(&self, parameter: &'static str, value: &str, expected: String) -> MaskerError {
        MaskerError::BadParameter {
            method: self.method.to_owned(),
            parameter,
            value: value.to_owned(),
            expected,
        }
    }

    fn missing(&self, parameter: &'static str, expected: String) -> MaskerError {
        MaskerError::MissingParameter { method: self.method.to_owned(), parameter, expected }
    }

    /// A count from `min` to `max`; required if there is no default.
    pub(super) fn count(
        &mut self,
        parameter: &'static str,
        default: Option<usize>,
        min: usize,
        max: usize,
    ) -> Result<usize, MaskerError> {
        let expected = || format!("a whole number from {min} to {max}");
        let Some(text) = self.take(parameter) else {
            return default.ok_or_else(|| self.missing(parameter, expected()));
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(count) if digits && (min..=max).contains(&count) => Ok(count),
            _ => Err(self.bad(parameter, text, expected())),
        }
    }

    /// `first` and `last`, each given by its default and its maximum.
    pub(super) fn ends(&mut self, first: (usize, usize), last: (usize, usize)) -> Result<Ends, MaskerError> {
        Ok(Ends {
            first: self.count("first", Some(first.0), 0, first.1)?,
            last: self.count("last", Some(last.0), 0, last.1)?,
        })
    }

    /// One of a few words.
    pub(super) fn word(
        &mut self,
        parameter: &'static str,
        default: &'static str,
        words: &[&'static str],
    ) -> Result<&'static str, MaskerError> {
        let Some(text) = self.take(parameter) else { return Ok(default) };
        words
            .iter()
            .find(|word| **word == text)
            .copied()
            .ok_or_else(|| self.bad(parameter, text, format!("one of `{}`", words.join("`, `"))))
    }

    /// The form that is encrypted, and what of it stays.
    pub(super) fn form(&mut self) -> Result<Form, MaskerError> {
        let expected = format!("one of `{}`", FORMS.join("`, `"));
        let Some(text) = self.take("of") else { return Err(self.missing("of", expected)) };
        Ok(match text {
            "resident-id" => Form::ResidentId {
                is_region_kept: self.word("keep", "region", &["region", "province"])? == "region",
            },
            "mobile" => Form::Mobile,
            "bank-card" => Form::BankCard,
            "credit-code" => Form::CreditCode,
            "digits" => Form::Digits,
            _ => return Err(self.bad("of", text, expected)),
        })
    }

    /// The name that fields are joined by.
    pub(super) fn join(&mut self) -> Result<Option<String>, MaskerError> {
        let Some(text) = self.take("join") else { return Ok(None) };
        match MaskerName::parse(text) {
            Ok(_) => Ok(Some(text.to_owned())),
            Err(_) => Err(self.bad("join", text, "one lower-case word, such as `person`".to_owned())),
        }
    }

    /// Ascending edges, and what the bands between them are called.
    pub(super) fn edges(&mut self) -> Result<(Vec<f64>, Vec<String>), MaskerError> {
        let expected = || {
            format!(
                "1 to {} numbers in ascending order, separated by commas, such as `100,200`",
                Self::MAX_EDGES
            )
        };
        let Some(text) = self.take("edges") else { return Err(self.missing("edges", expected())) };
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        let edges: Option<Vec<f64>> = words.iter().map(|word| number(word)).collect();
        let ascending = |edges: &Vec<f64>| edges.is_sorted_by(|low, high| low < high);
        let Some(edges) = edges.filter(|edges| edges.len() <= Self::MAX_EDGES && ascending(edges)) else {
            return Err(self.bad("edges", text, expected()));
        };
        let below = words.first().map(|lowest| format!("<{lowest}"));
        let between = words.iter().zip(words.iter().skip(1)).map(|(low, high)| format!("{low}-{high}"));
        let above = words.last().map(|highest| format!(">={highest}"));
        let labels = below.into_iter().chain(between).chain(above).collect();
        Ok((edges, labels))
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), MaskerError> {
        match self.left.first() {
            None => Ok(()),
            Some((parameter, _)) => Err(MaskerError::UnknownParameter {
                method: self.method.to_owned(),
                parameter: (*parameter).to_owned(),
            }),
        }
    }
}

/// A number as JSON writes it (RFC 8259 section 6), if it is finite.
///
/// Rust's own parser also takes `inf`, `nan`, `+1` and `.5`.
pub(super) fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let mut bytes = digits.bytes();
    let begins_right = match (bytes.next()?, bytes.next()) {
        (b'0', Some(second)) => !second.is_ascii_digit(),
        (first, _) => first.is_ascii_digit(),
    };
    let plain =
        digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    let ends_right =
        digits.ends_with(|c: char| c.is_ascii_digit()) && !digits.contains(".e") && !digits.contains(".E");
    let number: f64 = if begins_right && plain && ends_right { text.parse().ok()? } else { return None };
    number.is_finite().then_some(number)
}
