//! Recorded accesses decided again, under another policy.
//!
//! A record says who asked for what, when and why; what it does not say is never guessed. Where the
//! answer hangs on a value that is not in the record (a constrained parameter that is not recordable,
//! a text that was cut) every kind of value is tried, and only an answer that all of them share
//! counts. Limits, tokens and the platform are not asked again.

mod recorded;
mod report;
mod unknown;

#[cfg(test)]
mod tests;

use super::change::{Change, FieldChanges, change};
use super::gate::{Gate, Refusal, Verdict};
use crate::audit::{AccessView, ParseError};
use crate::grant::Request;
use crate::kernel::id::{ParameterName, ResourceId, SystemId};
use crate::kernel::time::Timestamp;

pub use recorded::{Past, Recorded, Released};
pub use report::{Example, Group, Kind, MAX_GROUPS, Report, Tally};
pub use unknown::{MAX_TRIED, Unknown};

/// How recorded accesses are decided again.
#[derive(Debug, Clone)]
pub struct Replay<'p> {
    /// By what.
    pub candidate: Gate<'p>,
    /// What the answer is compared with; `None` for what was recorded.
    pub against: Option<Gate<'p>>,
    /// The codes of refusals that the policy decided. Others say nothing about it.
    pub policy_codes: &'p [&'static str],
    /// Not those before this instant.
    pub from: Option<Timestamp>,
    /// Those before this instant.
    pub until: Option<Timestamp>,
    /// Those of this system.
    pub system: Option<SystemId>,
    /// Those for this resource.
    pub resource: Option<ResourceId>,
    /// How many examples of each kind are kept.
    pub examples: usize,
}

/// What came of one access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nothing changes.
    Same,
    /// It was allowed and would be refused; for a reason that is not the same for every value that
    /// the record does not say, if there is none.
    Refused(Option<Refusal>),
    /// It was refused and would be allowed.
    Allowed,
    /// It would be allowed to another extent.
    Changed {
        /// Which fields leave otherwise.
        fields: FieldChanges,
        /// Whether the row duties differ; known only where two policies are compared.
        duties: bool,
    },
    /// The record cannot answer.
    Undetermined(Why),
}

/// What a record does not say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Values of parameters that grants constrain.
    Parameters(Vec<ParameterName>),
    /// The rest of what was too long: of a list, or of a text in it.
    Cut(&'static str),
    /// So many values that they cannot all be tried.
    TooMany,
}

/// Why a line of the log cannot be decided again.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is no record.
    #[error(transparent)]
    Record(#[from] ParseError),
    /// A member of it says something that no record says.
    #[error("its member `{0}` is not what this member is in a record")]
    Member(&'static str),
}

/// What one line of the log came to.
#[derive(Debug)]
pub enum Outcome {
    /// It was decided again.
    Decided {
        /// The access.
        access: Box<Recorded>,
        /// What came of it.
        finding: Finding,
    },
    /// It is an access that the policy did not decide: refused before, or one of the gate's own pages.
    NotByPolicy,
    /// It is no access, or one that was not asked for.
    Other,
}

impl Replay<'_> {
    /// Decides the access in `line` again.
    ///
    /// # Errors
    /// When the line is no record.
    pub fn line(&self, line: &[u8]) -> Result<Outcome, LineError> {
        let view = AccessView::read(line)?;
        if !self.wants(&view) {
            return Ok(Outcome::Other);
        }
        Ok(match Recorded::read(&view, self.policy_codes)? {
            None => Outcome::NotByPolicy,
            Some(access) if !self.is_in_time(access.at) => Outcome::Other,
            Some(access) => {
                let finding = self.finding(&access);
                Outcome::Decided { access: Box::new(access), finding }
            }
        })
    }

    fn wants(&self, view: &AccessView<'_>) -> bool {
        let same = |wanted: Option<&str>, found: Option<&str>| wanted.is_none_or(|it| found == Some(it));
        recorded::is_decision(view)
            && same(self.system.as_ref().map(SystemId::as_str), view.system.as_deref())
            && same(self.resource.as_ref().map(ResourceId::as_str), view.resource.as_deref())
    }

    fn is_in_time(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }

    /// What comes of an access.
    #[must_use]
    pub fn finding(&self, access: &Recorded) -> Finding {
        if let Some(what) = access.cut {
            return Finding::Undetermined(Why::Cut(what));
        }
        let gates: Vec<Gate<'_>> = std::iter::once(self.candidate).chain(self.against).collect();
        let Some(unknown) = Unknown::of(access, &gates) else {
            return self.compared(access, &access.request);
        };
        let Some(requests) = unknown.requests(&access.request) else {
            return Finding::Undetermined(Why::TooMany);
        };
        let findings = requests.iter().map(|request| self.compared(access, request));
        let shared = findings.map(Some).reduce(|a, b| shared(a?, b?)).flatten();
        shared.unwrap_or_else(|| Finding::Undetermined(Why::Parameters(unknown.names())))
    }

    /// What comes of an access if what was asked is `request`.
    fn compared(&self, access: &Recorded, request: &Request) -> Finding {
        let then = self.candidate.answer(request, access.at);
        match &self.against {
            Some(gate) => between(&gate.answer(request, access.at), &then),
            None => since(&access.past, &then),
        }
    }
}

/// What is true if both are possible.
fn shared(a: Finding, b: Finding) -> Option<Finding> {
    match (a, b) {
        (Finding::Refused(a), Finding::Refused(b)) => Some(Finding::Refused(a.filter(|_| a == b))),
        (a, b) => (a == b).then_some(a),
    }
}

/// How a candidate's answer differs from another policy's.
fn between(now: &Verdict, then: &Verdict) -> Finding {
    match change(now.permit(), then.permit()) {
        None => Finding::Same,
        Some(Change::Allowed) => Finding::Allowed,
        Some(Change::Refused) => Finding::Refused(then.refusal()),
        Some(Change::Extent { fields, duties }) => Finding::Changed { fields, duties },
    }
}

/// How a candidate's answer differs from what was recorded.
fn since(past: &Past, then: &Verdict) -> Finding {
    match (past, then) {
        (Past::Refused, Verdict::Refused(_)) => Finding::Same,
        (Past::Refused, Verdict::Permit(_)) => Finding::Allowed,
        (Past::Permitted(_), Verdict::Refused(why)) => Finding::Refused(Some(*why)),
        (Past::Permitted(released), Verdict::Permit(then)) => match released {
            Released::Whole(fields) => {
                let fields = FieldChanges::between(fields, &then.fields);
                if fields.is_empty() { Finding::Same } else { Finding::Changed { fields, duties: false } }
            }
            Released::Cut => Finding::Undetermined(Why::Cut("released")),
        },
    }
}
