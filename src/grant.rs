//! The vocabulary of what is allowed: the question put to the policy and its answer.
//!
//! Plain data between the engines and the edge. What a grant's scope and window mean is decided in
//! `policy`; what a decision leads to is decided in `proxy`.

use std::fmt;
use std::sync::Arc;

use crate::kernel::id::{
    Action, DepartmentId, FieldPath, GrantId, MaskerName, ParameterName, PurposeCode, ResourceId, SystemId,
};
use crate::kernel::time::Timestamp;

/// What a matching line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// It grants.
    Allow,
    /// It refuses, whatever else grants.
    Deny,
}

impl Effect {
    /// The word that stands in `grants.csv`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// May this system do this, with this resource, for this purpose, to this extent, now?
#[derive(Debug, Clone)]
pub struct Query<'q> {
    /// Who asks.
    pub system: &'q SystemId,
    /// The department that answers for the system.
    pub department: &'q DepartmentId,
    /// What for data.
    pub resource: &'q ResourceId,
    /// To do what with it.
    pub action: &'q Action,
    /// Why.
    pub purpose: &'q PurposeCode,
    /// The fields asked for; empty asks for all that is granted. `a.*` and `@group` are not
    /// expanded yet: each entry is one item of a scope as the caller wrote it.
    pub fields: &'q [String],
    /// The request parameters that grants may constrain, each with every value it came with: none
    /// at all means absent, more than one means doubled.
    pub parameters: &'q [(ParameterName, Vec<String>)],
    /// The grants that the token narrows this request to, if it does.
    pub narrowed_to: Option<&'q [GrantId]>,
}

/// A [`Query`] that owns its words: read from a file, a command line or a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub system: SystemId,
    /// What for data.
    pub resource: ResourceId,
    /// To do what with it.
    pub action: Action,
    /// Why.
    pub purpose: PurposeCode,
    /// The fields asked for, as in [`Query::fields`].
    pub fields: Vec<String>,
    /// The request parameters with every value they came with, each name once.
    pub parameters: Vec<(ParameterName, Vec<String>)>,
    /// The grants that a token narrows it to, if one does.
    pub narrowed_to: Option<Vec<GrantId>>,
}

impl Request {
    /// The question it puts, for a system of `department`.
    #[must_use]
    pub fn query<'q>(&'q self, department: &'q DepartmentId) -> Query<'q> {
        Query {
            system: &self.system,
            department,
            resource: &self.resource,
            action: &self.action,
            purpose: &self.purpose,
            fields: &self.fields,
            parameters: &self.parameters,
            narrowed_to: self.narrowed_to.as_deref(),
        }
    }
}

/// What leaves of one field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Treatment {
    /// The value as it is.
    Clear,
    /// The value as this masker leaves it.
    Masked(MaskerName),
}

/// One field that a permit lets out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReleasedField {
    /// Which one.
    pub path: FieldPath,
    /// How.
    pub treatment: Treatment,
}

/// Yes, under these duties.
#[derive(Debug, Clone)]
pub struct Permit {
    /// The grants it rests on, in file order; at least one.
    pub grants: Vec<GrantId>,
    /// What may leave, in catalogue order. Everything else is dropped. Shared: equal permits hold
    /// the same list, so that whatever is compiled from it can be kept by its address.
    pub fields: Arc<[ReleasedField]>,
    /// The most records one reply may hold (行数), if capped.
    pub rows_per_reply: Option<u64>,
    /// The most records one day may bring, if capped.
    pub rows_per_day: Option<u64>,
    /// The instant up to which the same query gets the same answer; `None` if it never changes by itself.
    pub valid_until: Option<Timestamp>,
}

/// Which clause a refusal failed on: exactly one, the one that a caller should mend first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DenyReason {
    /// The resource may not be known to exist: sharing type `none`, or not in the catalogue.
    ResourceUnknown,
    /// No grant gives this system (or its groups) this resource and action.
    NoGrant,
    /// A grant does, but not for this purpose.
    PurposeNotGranted,
    /// A grant does, but all that would match have ended.
    GrantExpired,
    /// A grant does, but none has begun.
    GrantNotYetValid,
    /// A grant is valid today, but its days or hours exclude now.
    OutsideSchedule,
    /// A request parameter is not one the grants allow, or it is absent or doubled.
    ParameterNotGranted,
    /// Fields were asked for that no matching grant gives.
    ScopeExceeded,
    /// A deny line matched.
    Denied,
    /// The rule could not be evaluated; nothing is allowed then.
    EvaluationFailed,
}

/// One of the caller's own grants that came near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// Which grant.
    pub grant: GrantId,
    /// What it was held against, clause by clause.
    pub clauses: Vec<Clause>,
}

/// One clause of a grant held against a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Which clause: `system`, `resource`, `action`, `purpose`, `window`, `parameter`, `fields`, or
    /// `token` where the token names grants.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What the grant says.
    pub granted: String,
    /// What the request has.
    pub requested: Had,
}

/// What a request has where a clause is held against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Had {
    /// This.
    Value(String),
    /// No value of the parameter.
    Absent(String),
    /// One value of the parameter, which may not be shown.
    Hidden(String),
    /// The parameter this many times.
    Repeated(String, usize),
}

impl fmt::Display for Had {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.write_str(value),
            Self::Absent(name) => write!(f, "{name} is absent"),
            Self::Hidden(name) => write!(f, "{name} has another value"),
            Self::Repeated(name, count) => write!(f, "{name} is given {count} times"),
        }
    }
}

/// No, and why.
#[derive(Debug, Clone)]
pub struct Denial {
    /// The clause to mend first.
    pub reason: DenyReason,
    /// What of the request failed it, in the caller's own words: fields, a parameter's name. Never
    /// another system's grant.
    pub detail: Vec<String>,
    /// The deny lines that matched, for the record.
    pub denied_by: Vec<GrantId>,
    /// The caller's own grant that came nearest. For the caller; never another system's.
    pub nearest: Option<NearMiss>,
}

/// The answer to a [`Query`].
#[derive(Debug, Clone)]
pub enum Decision {
    /// Yes, under these duties.
    Permit(Permit),
    /// No, and why.
    Denial(Denial),
}
