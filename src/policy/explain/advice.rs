//! The shortest change that would let a refused request through: by its caller, or by whoever grants.
//!
//! A suggestion is tried before it is made. A change of a request is decided; a change of `grants.csv`
//! is written, loaded again with the lines that bear on the request, and decided. What is not let
//! through then is not suggested. Changes of `grants.csv` are tried under the shipped model, so that
//! there are none for a policy of another.

mod caller;
mod line;
mod provider;
#[cfg(test)]
mod tests;
mod window;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{Catalog, Purpose};
use crate::grant::{Decision, DenyReason, Query, Request};
use crate::kernel::diagnostic::Source;
use crate::kernel::id::{Action, GrantId, MaskerName, ParameterName, PurposeCode, SystemId};
use crate::kernel::time::Timestamp;
use crate::policy::csv::{self, Section};
use crate::policy::model::SHIPPED;
use crate::policy::{Policy, PolicyInput};

pub use line::LineEdit;
use line::Terms;

/// The most suggestions for each side.
pub const MAX_SUGGESTIONS: usize = 3;

/// The most lines near a request that advice is given about: each try loads them again.
const MAX_NEAR: usize = 2_000;

/// What advice is made from.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'g> {
    /// The policy that refuses.
    pub policy: &'g Policy,
    /// The catalogue it was loaded with.
    pub catalog: &'g Catalog,
    /// Its `grants.csv`.
    pub grants: &'g Source,
    /// The maskers that scopes may name.
    pub maskers: &'g BTreeSet<MaskerName>,
}

/// What would help. Each list has the suggestion with the fewest edits first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// What its caller can change in the request.
    pub caller: Vec<Suggestion>,
    /// What can be granted, in `grants.csv` or the files beside it.
    pub provider: Vec<Suggestion>,
    /// What takes both; looked for only where neither side can help alone.
    pub together: Vec<Suggestion>,
}

/// Edits that, made together, let the request through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The edits.
    pub edits: Vec<Edit>,
    /// What they come to in `grants.csv`.
    pub lines: Vec<LineEdit>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The request gives one of these purposes.
    AskPurpose(Vec<PurposeCode>),
    /// The request asks for this action.
    AskAction(Action),
    /// The request does not ask for these fields; without any that are left it names none.
    LeaveOut {
        /// What it no longer asks for.
        fields: Vec<String>,
        /// What it still asks for.
        left: Vec<String>,
    },
    /// The request sends a parameter once, with one of these values.
    Send {
        /// Which one.
        parameter: ParameterName,
        /// The patterns, as a grant has them.
        values: String,
    },
    /// The request comes later.
    AskAt(Timestamp),
    /// The token also names this grant.
    NameGrant(GrantId),
    /// The registry enables the system.
    Enable(SystemId),
    /// The purpose is registered.
    Register(PurposeCode),
    /// A second line with the terms of this one is for another purpose.
    AddPurpose {
        /// Whose terms.
        grant: GrantId,
        /// Which purpose.
        purpose: PurposeCode,
    },
    /// A second line with the terms of this one is for another action.
    AddAction {
        /// Whose terms.
        grant: GrantId,
        /// Which action.
        action: Action,
    },
    /// The window is wider.
    Window {
        /// Of this grant.
        grant: GrantId,
        /// What it was.
        from: String,
        /// What it is then.
        to: String,
    },
    /// A constraint has the request's value too.
    AddValue {
        /// Of this grant.
        grant: GrantId,
        /// Of which parameter.
        parameter: ParameterName,
        /// The value, if it may be shown.
        value: Option<String>,
    },
    /// A constraint goes: the request does not say the parameter, or says it twice.
    DropConstraint {
        /// Of this grant.
        grant: GrantId,
        /// Of which parameter.
        parameter: ParameterName,
    },
    /// The scope has more fields.
    AddFields {
        /// Of this grant.
        grant: GrantId,
        /// Which ones.
        fields: Vec<String>,
    },
    /// A line of its own grants the request.
    NewLine,
    /// A deny line goes, or no longer covers the request.
    LiftDeny(GrantId),
}

impl Ground<'_> {
    /// What would let `request` through at `at`. Nothing, if it is let through, or if the resource may
    /// not be known at all.
    #[must_use]
    pub fn advise(&self, request: &Request, at: Timestamp) -> Advice {
        let Some(system) = self.catalog.registry.systems.get(&request.system) else {
            return Advice::default();
        };
        let registered = self.catalog.purposes.contains_key(&request.purpose);
        match self.decide(request, at) {
            Some(Decision::Denial(denial)) if denial.reason != DenyReason::ResourceUnknown => {}
            // A purpose is refused before the policy is asked.
            Some(Decision::Permit(_)) if !registered => {}
            Some(_) | None => return Advice::default(),
        }
        let caller = if system.enabled { self.caller(request, at) } else { Vec::new() };
        let world = self.world(request).filter(|_| self.policy.is_shipped());
        let Some(world) = world else { return Advice { caller, ..Advice::default() } };
        let ground = world.ground(self.maskers);
        let mut provider = ground.provider(request, at);
        let mut together = Vec::new();
        if caller.is_empty() && provider.is_empty() {
            together = ground.together(request, at);
        }
        for suggestion in provider.iter_mut().chain(&mut together) {
            suggestion.edits.splice(0..0, world.edits.iter().cloned());
        }
        Advice { caller, provider, together }
    }

    fn decide(&self, request: &Request, at: Timestamp) -> Option<Decision> {
        let system = self.catalog.registry.systems.get(&request.system)?;
        Some(self.policy.decide(&request.query(&system.department), at))
    }

    /// Whether it is let through.
    fn allows(&self, request: &Request, at: Timestamp) -> bool {
        self.catalog.purposes.contains_key(&request.purpose)
            && matches!(self.decide(request, at), Some(Decision::Permit(_)))
    }

    /// The city in which the system is enabled and the purpose registered, with the lines that are near.
    fn world(&self, request: &Request) -> Option<World> {
        let mut edits = Vec::new();
        let mut catalog = Cow::Borrowed(self.catalog);
        let system = self.catalog.registry.systems.get(&request.system)?;
        if !system.enabled {
            let mut enabled = (**system).clone();
            enabled.enabled = true;
            catalog.to_mut().registry.systems.insert(request.system.clone(), Arc::new(enabled));
            edits.push(Edit::Enable(request.system.clone()));
        }
        if !self.catalog.purposes.contains_key(&request.purpose) {
            let code = request.purpose.clone();
            let purpose = Purpose { code: code.clone(), label: String::new(), legal_basis: String::new() };
            catalog.to_mut().purposes.insert(code.clone(), Arc::new(purpose));
            edits.push(Edit::Register(code));
        }
        let all = self.policy.grants().iter().map(|grant| Terms::of(grant).to_string());
        let changed = if edits.is_empty() { None } else { Some(self.draft(&catalog, all)?) };
        let policy = changed.as_ref().unwrap_or(self.policy);
        let near = policy.lines_near(&request.query(&system.department))?;
        let policy = self.draft(&catalog, near)?;
        Some(World { catalog: catalog.into_owned(), policy, roles: self.roles(), edits })
    }

    /// The role lines alone.
    fn roles(&self) -> Source {
        let mut text = String::new();
        let (rows, _) = csv::read(self.grants);
        for row in rows.iter().filter(|row| row.section != Section::P) {
            let cells = row.cells.iter().map(|cell| cell.text.as_str());
            text.push_str(&line::row(row.section, cells));
            text.push('\n');
        }
        Source::new("grants.csv", text)
    }

    /// The policy that has these lines, and the role lines of this one; `None` if it does not load.
    fn draft(&self, catalog: &Catalog, lines: impl IntoIterator<Item = String>) -> Option<Policy> {
        let mut text = self.roles().text.to_string();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        let frame = self.policy.frame();
        Policy::draft(PolicyInput {
            model: &Source::new("model.conf", SHIPPED),
            grants: &Source::new("grants.csv", text),
            catalog,
            calendar: &frame.calendar,
            zone: frame.zone.clone(),
            maskers: self.maskers,
            // Only warnings look at it.
            now: Timestamp::UNIX_EPOCH,
        })
    }
}

/// A city in which only the grants stand in a request's way.
struct World {
    catalog: Catalog,
    policy: Policy,
    /// The role lines.
    roles: Source,
    edits: Vec<Edit>,
}

impl World {
    fn ground<'g>(&'g self, maskers: &'g BTreeSet<MaskerName>) -> Ground<'g> {
        Ground { policy: &self.policy, catalog: &self.catalog, grants: &self.roles, maskers }
    }
}

impl Policy {
    /// The lines near a query; `None` if there are too many to try changes of.
    fn lines_near(&self, query: &Query<'_>) -> Option<Vec<String>> {
        let Ok(asked) = self.ask(query) else { return Some(Vec::new()) };
        let lines = self.table.near(&asked.subject.roles, &asked.place.roles);
        let mut orders: Vec<u32> = lines.map(|line| line.order).take(MAX_NEAR + 1).collect();
        if orders.len() > MAX_NEAR {
            return None;
        }
        orders.sort_unstable();
        let grants = orders.into_iter().filter_map(|order| self.grant_at(order));
        Some(grants.map(|grant| Terms::of(grant).to_string()).collect())
    }
}

/// The first [`MAX_SUGGESTIONS`] that `holds`, those with the fewest edits first.
fn best(
    mut candidates: Vec<(usize, Suggestion)>,
    mut holds: impl FnMut(&Suggestion) -> bool,
) -> Vec<Suggestion> {
    candidates.sort_by_key(|(cost, _)| *cost);
    let mut found: Vec<Suggestion> = Vec::new();
    for (_, suggestion) in candidates {
        if found.len() == MAX_SUGGESTIONS {
            break;
        }
        if !found.contains(&suggestion) && holds(&suggestion) {
            found.push(suggestion);
        }
    }
    found
}
