//! One thing that was looked at, and how it stands.

use serde::Serialize;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Standing {
    /// As it should be.
    #[serde(rename = "ok")]
    Good,
    /// It works, and should be looked at.
    #[serde(rename = "warning")]
    Doubtful,
    /// It does not work, or is not safe.
    #[serde(rename = "failure")]
    Bad,
    /// It cannot be told from here.
    #[serde(rename = "unknown")]
    Unknown,
}

/// What was looked at and what was found. Whatever is not good says what mends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Observation {
    /// The check, by the name that does not change.
    pub(super) check: &'static str,
    /// What of.
    pub(super) subject: String,
    pub(super) standing: Standing,
    pub(super) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
}

impl Observation {
    /// As it should be, until it is said otherwise.
    pub(super) fn new(check: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check, subject: subject.into(), standing: Standing::Good, found: found.into(), mend: None }
    }

    fn mended(mut self, standing: Standing, mend: impl Into<String>) -> Self {
        self.standing = standing;
        self.mend = Some(mend.into());
        self
    }

    pub(super) fn doubtful(self, mend: impl Into<String>) -> Self {
        self.mended(Standing::Doubtful, mend)
    }

    pub(super) fn bad(self, mend: impl Into<String>) -> Self {
        self.mended(Standing::Bad, mend)
    }

    pub(super) fn unknown(self, mend: impl Into<String>) -> Self {
        self.mended(Standing::Unknown, mend)
    }
}
