//! What the properties of formats that hold nothing but text share: what becomes of a text, by the name
//! that it has.

use pinegate::catalog::FieldType;

use super::mask::{self, Fields, fold};

/// Texts, numbers and booleans that leave as they are.
pub(crate) const OPEN: Fields = &[
    ("name", FieldType::String, Some("clear")),
    ("size", FieldType::Number, Some("clear")),
    ("ok", FieldType::Boolean, Some("clear")),
    ("born", FieldType::Date, None),
    ("at.city", FieldType::String, Some("clear")),
    ("at.door", FieldType::String, Some("drop")),
    ("字段", FieldType::String, Some("clear")),
];

/// Fields of which no text leaves as it is.
pub(crate) const SEALED: Fields = &[
    ("name", FieldType::String, Some("name")),
    ("phone", FieldType::String, Some("mobile")),
    ("size", FieldType::Number, Some("clear")),
    ("ok", FieldType::Boolean, Some("clear")),
    ("born", FieldType::Date, Some("date-year")),
    ("id", FieldType::String, None),
    ("note", FieldType::String, Some("full")),
    ("at.city", FieldType::String, Some("null")),
    ("at.door", FieldType::String, None),
];

/// Fields under maskers that work with a key.
pub(crate) const KEYED: Fields = &[
    ("name", FieldType::String, Some("pseudonym")),
    ("phone", FieldType::String, Some("fpe-mobile")),
    ("size", FieldType::Number, Some("clear")),
    ("id", FieldType::String, Some("fpe-resident-id")),
    ("note", FieldType::String, Some("fpe-digits")),
];

/// What becomes of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Clear,
    Number,
    Boolean,
    Masked,
    /// It stands where an object should: its place leaves.
    Empty,
    Dropped,
}

impl Fate {
    pub(crate) fn of(name: &str, fields: Fields, folds: bool) -> Self {
        let is = |one: &str, other: &str| one == other || folds && fold(one) == fold(other);
        let parts: Vec<&str> = name.split('.').collect();
        let mut fate = Self::Dropped;
        for (path, kind, how) in fields {
            let path: Vec<&str> = path.split('.').collect();
            let is_above =
                parts.len() <= path.len() && parts.iter().zip(&path).all(|(one, other)| is(one, other));
            if !is_above || matches!(how, None | Some("drop")) {
                continue;
            }
            fate = match (how, kind) {
                _ if parts.len() < path.len() => Self::Empty,
                (Some("clear"), FieldType::Number) => Self::Number,
                (Some("clear"), FieldType::Boolean) => Self::Boolean,
                (Some("clear"), _) => Self::Clear,
                _ => Self::Masked,
            };
        }
        fate
    }

    /// Whether a text leaves as it is, if that is known without its masker.
    pub(crate) fn passes(self, text: &str, raw: &str, longest: usize) -> Option<bool> {
        let is_long = raw.len() > longest;
        match self {
            Self::Clear => Some(true),
            Self::Number => Some(!is_long && (text.is_empty() || is_number(text))),
            Self::Boolean => Some(!is_long && (text.is_empty() || is_boolean(text))),
            Self::Masked => text.is_empty().then_some(true),
            Self::Empty => Some(text.is_empty()),
            Self::Dropped => Some(false),
        }
    }
}

/// A text left under the masker of its field: it is what the masker leaves of a text by itself.
pub(crate) fn check_masked(name: &str, fields: Fields, text: &str, left: &str) {
    let Some((field, _, Some(masker))) = fields.iter().find(|(field, ..)| *field == name) else { return };
    assert_eq!(left, mask::masked(masker, field, text).unwrap_or_default(), "{name}");
}

fn is_number(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| b"+-.0123456789eE".contains(&byte));
    is_plain && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

fn is_boolean(text: &str) -> bool {
    let words = ["0", "1", "t", "f", "y", "n", "no", "yes", "true", "false", "是", "否"];
    words.contains(&text.to_ascii_lowercase().as_str())
}
