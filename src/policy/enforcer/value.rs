//! What requests hold and expressions yield, and why an expression may yield nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// One value of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text: what every argument of a command line is.
    Text(String),
    /// A number; Go Casbin makes every number a double as well.
    Number(f64),
    /// A truth value.
    Truth(bool),
    /// JSON's `null`.
    Nothing,
    /// Several values.
    List(Vec<Value>),
    /// Attributes by name.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// The value as expressions see it.
    pub(super) fn seen(&self) -> Seen<'_> {
        match self {
            Self::Text(text) => Seen::Text(Cow::Borrowed(text)),
            Self::Number(number) => Seen::Number(*number),
            Self::Truth(truth) => Seen::Truth(*truth),
            Self::Nothing => Seen::Nothing,
            Self::List(list) => Seen::List(list),
            Self::Object(object) => Seen::Object(object),
        }
    }
}

/// A value while an expression is worked out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen<'v> {
    Text(Cow<'v, str>),
    Number(f64),
    Truth(bool),
    Nothing,
    List(&'v [Value]),
    Object(&'v BTreeMap<String, Value>),
}

impl<'v> Seen<'v> {
    pub(super) fn text(&'v self, of: &'static str) -> Result<&'v str, Fault> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Number(_) | Self::Truth(_) | Self::Nothing | Self::List(_) | Self::Object(_) => {
                Err(Fault::NotAText { of, found: self.kind() })
            }
        }
    }

    pub(super) fn truth(&self, of: &'static str) -> Result<bool, Fault> {
        match self {
            Self::Truth(truth) => Ok(*truth),
            Self::Text(_) | Self::Number(_) | Self::Nothing | Self::List(_) | Self::Object(_) => {
                Err(Fault::NotATruth { of, found: self.kind() })
            }
        }
    }

    pub(super) fn number(&self, of: &'static str) -> Result<f64, Fault> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(_) | Self::Truth(_) | Self::Nothing | Self::List(_) | Self::Object(_) => {
                Err(Fault::NotANumber { of, found: self.kind() })
            }
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Truth(_) => "true or false",
            Self::Nothing => "null",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Why a request could not be decided. It is a refusal: Go Casbin answers false with an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The request has too many or too few values.
    #[error("the request has {given} values, the model wants {wanted}: {names}")]
    Arity {
        /// How many it has.
        given: usize,
        /// How many the request definition has.
        wanted: usize,
        /// Their names.
        names: String,
    },
    /// Something needs a text.
    #[error("`{of}` needs a text, not {found}")]
    NotAText {
        /// What needs it.
        of: &'static str,
        /// What it got.
        found: &'static str,
    },
    /// Something needs true or false.
    #[error("`{of}` needs true or false, not {found}")]
    NotATruth {
        /// What needs it.
        of: &'static str,
        /// What it got.
        found: &'static str,
    },
    /// Something needs a number.
    #[error("`{of}` needs a number, not {found}")]
    NotANumber {
        /// What needs it.
        of: &'static str,
        /// What it got.
        found: &'static str,
    },
    /// Two values that have no order.
    #[error("`{of}` compares two numbers or two texts, not {left} and {right}")]
    NoOrder {
        /// The comparison.
        of: &'static str,
        /// Its left side.
        left: &'static str,
        /// Its right side.
        right: &'static str,
    },
    /// An attribute that is not there.
    #[error("the request has no attribute `{name}`")]
    NoAttribute {
        /// Its name, with those before it.
        name: String,
    },
    /// The right side of `in` is one value.
    #[error("`in` needs a list, not {found}")]
    NotAList {
        /// What it got.
        found: &'static str,
    },
    /// A text that should be an address.
    #[error("`{text}` is not an IP address")]
    NotAnAddress {
        /// The text.
        text: String,
    },
    /// A text that is used as a pattern and is none.
    #[error("`{text}` is not a pattern of `{function}`")]
    NotAPattern {
        /// The text.
        text: String,
        /// The function.
        function: &'static str,
    },
    /// A text against which a pattern with many stars or alternatives takes too long.
    #[error("`globMatch` was given up: it takes too many steps to hold `{text}` against a pattern")]
    GivenUp {
        /// The text.
        text: String,
    },
    /// The matcher yields neither true nor false nor a number.
    #[error("the matcher yields {found}, neither true nor false")]
    NoVerdict {
        /// What it yields.
        found: &'static str,
    },
    /// `eval` without any line to take a rule from.
    #[error("`eval` needs a policy line, and there is none")]
    NoRule,
    /// casbin-rs failed.
    #[error("casbin-rs cannot decide this request: {0}")]
    Casbin(String),
}
