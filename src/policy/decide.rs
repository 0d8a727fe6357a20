//! The decision.
//!
//! G is every allow line that matches, in file order, if no deny line matches. A line matches if
//! its subject is the system or one of its roles, its resource the resource or one of its roles,
//! its action and purpose cover those asked for, its constraints hold for the parameters, its
//! fields give something that is wanted, and its window holds. What leaves is the union over G,
//! narrowed to what was asked for; to ask for more is refused.

use std::sync::Arc;

use super::Policy;
use super::schema::{FieldSet, Selection};
use super::scope::Constraint;
use super::table::Line;
use super::vocabulary::{Place, Subject};
use super::window::Phase;
use crate::grant::{Decision, DenyReason, Effect, Permit, Query, ReleasedField};
use crate::kernel::id::{GrantId, ParameterName};
use crate::kernel::time::Timestamp;

/// A query whose words are known to the catalogue.
#[derive(Debug)]
pub(super) struct Asked<'p> {
    pub(super) subject: &'p Subject,
    pub(super) number: u32,
    pub(super) place: &'p Place,
    pub(super) action: u16,
    /// The purpose by number; one that is unknown has a number that no line covers.
    pub(super) purpose: u32,
    /// The fields asked for by name, those that exist; `None` if none were named.
    pub(super) wanted: Option<FieldSet>,
    /// Whether a field was asked for that does not exist.
    pub(super) wants_unknown: bool,
}

/// An allow line that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    /// Its place in the file.
    pub(super) order: u32,
    /// The number of what it selects.
    pub(super) selection: u32,
    pub(super) has_duties: bool,
}

/// The lines that matched.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// The first allow line found, and the others.
    pub(super) first: Option<Hit>,
    pub(super) others: Vec<Hit>,
    pub(super) denied: bool,
    pub(super) valid_until: Option<Timestamp>,
}

impl Policy {
    /// Answers `query` as of `now`.
    ///
    /// A refusal names one clause, the one to mend first: the resource must be known, no deny line
    /// may match, some grant must cover system, resource and action; among those one must cover
    /// the purpose; among those one must hold now; among those one must allow the parameters;
    /// among those all fields must be granted.
    #[must_use]
    pub fn decide(&self, query: &Query<'_>, now: Timestamp) -> Decision {
        match self.permit(query, now) {
            Ok(permit) => Decision::Permit(permit),
            Err(reason) => Decision::Denial(self.denial(query, reason, now)),
        }
    }

    /// The answer of [`Self::decide`] without its explanation: the permit, or the clause that a
    /// refusal names.
    ///
    /// # Errors
    /// The clause to mend first, if there is no permit.
    pub fn permit(&self, query: &Query<'_>, now: Timestamp) -> Result<Permit, DenyReason> {
        let asked = self.ask(query)?;
        let matches = match &self.changed {
            None => self.matches(query, &asked, now)?,
            Some(gate) => self.matches_by(gate, query, &asked, now)?,
        };
        if matches.denied {
            return Err(DenyReason::Denied);
        }
        match matches.first {
            Some(first) => self.permitted(&asked, first, matches.others, matches.valid_until),
            // Which clause of another matcher failed is not known.
            None if self.changed.is_some() => Err(DenyReason::NoGrant),
            None => Err(self.first_failing(query, &asked, now)),
        }
    }

    /// Finds the words of `query`.
    pub(super) fn ask(&self, query: &Query<'_>) -> Result<Asked<'_>, DenyReason> {
        let vocabulary = &self.vocabulary;
        let number = vocabulary.place_ids.get(query.resource).copied();
        let (number, place) = number
            .and_then(|number| Some((number, vocabulary.place(number)?)))
            .filter(|(_, place)| place.is_shared)
            .ok_or(DenyReason::ResourceUnknown)?;
        let subject = vocabulary.systems.get(query.system).ok_or(DenyReason::NoGrant)?;
        if subject.department != *query.department {
            return Err(DenyReason::EvaluationFailed);
        }
        let action = vocabulary.action(query.action).filter(|action| place.actions.contains(action));
        let action = action.ok_or(DenyReason::NoGrant)?;
        let purpose = vocabulary.purpose(query.purpose).unwrap_or(u32::MAX);
        let (mut wanted, mut wants_unknown) = (None, false);
        if !query.fields.is_empty() {
            let mut fields = place.schema.none();
            for item in query.fields {
                match place.schema.named(item) {
                    Some(set) => fields.extend(set),
                    None => wants_unknown = true,
                }
            }
            // On a resource without fields `*` asks for whatever there is.
            wanted = (wants_unknown || !fields.is_empty()).then_some(fields);
        }
        Ok(Asked { subject, number, place, action, purpose, wanted, wants_unknown })
    }

    /// The permit that rests on the lines `first` and `others`, unless more was asked for than they
    /// give.
    fn permitted(
        &self,
        asked: &Asked<'_>,
        first: Hit,
        mut others: Vec<Hit>,
        valid_until: Option<Timestamp>,
    ) -> Result<Permit, DenyReason> {
        let mut permit = Permit {
            grants: Vec::with_capacity(1 + others.len()),
            fields: if others.is_empty() {
                // The usual case, without a list.
                self.fields(asked, &[first.selection], &[self.selection(first)?])?
            } else {
                others.push(first);
                others.sort_unstable();
                let numbers: Vec<u32> = others.iter().map(|hit| hit.selection).collect();
                let selections =
                    others.iter().map(|&hit| self.selection(hit)).collect::<Result<Vec<_>, DenyReason>>()?;
                self.fields(asked, &numbers, &selections)?
            },
            rows_per_reply: None,
            rows_per_day: None,
            valid_until,
        };
        let all = if others.is_empty() { std::slice::from_ref(&first) } else { others.as_slice() };
        for hit in all {
            permit.grants.push(self.id_at(hit.order).ok_or(DenyReason::EvaluationFailed)?.clone());
            if hit.has_duties {
                let grant = self.grant_at(hit.order).ok_or(DenyReason::EvaluationFailed)?;
                permit.rows_per_reply = earlier(permit.rows_per_reply, grant.scope.rows_per_reply);
                permit.rows_per_day = earlier(permit.rows_per_day, grant.scope.rows_per_day);
            }
        }
        Ok(permit)
    }

    fn selection(&self, hit: Hit) -> Result<&Selection, DenyReason> {
        self.table.selection(hit.selection).ok_or(DenyReason::EvaluationFailed)
    }

    /// What leaves, unless more was asked for than `selections` give.
    fn fields(
        &self,
        asked: &Asked<'_>,
        numbers: &[u32],
        selections: &[&Selection],
    ) -> Result<Arc<[ReleasedField]>, DenyReason> {
        if let Some(wanted) = &asked.wanted {
            let is_within = match selections {
                [only] => wanted.is_within(&only.fields),
                several => {
                    let mut granted = asked.place.schema.none();
                    several.iter().for_each(|selection| granted.extend(&selection.fields));
                    wanted.is_within(&granted)
                }
            };
            if asked.wants_unknown || !is_within {
                return Err(DenyReason::ScopeExceeded);
            }
        } else if !selections.iter().any(|selection| selection.gives(None)) {
            // Only of a matcher that does not look at scopes. A resource without fields leaves as a
            // whole, which such a line does not give.
            return Err(DenyReason::ScopeExceeded);
        }
        Ok(self.released.fields((asked.number, asked.place), numbers, selections, asked.wanted.as_ref()))
    }

    fn matches(&self, query: &Query<'_>, asked: &Asked<'_>, now: Timestamp) -> Result<Matches, DenyReason> {
        let mut matches = Matches::default();
        for line in self.table.near(&asked.subject.roles, &asked.place.roles) {
            if !line.covers_action(asked.action)
                || !line.covers_purpose(asked.purpose)
                || !self.parameters_hold(line, query)
            {
                continue;
            }
            let selection = self.table.selection_number(line, asked.number);
            let selection = selection.ok_or(DenyReason::EvaluationFailed)?;
            if line.effect == Effect::Allow && !self.gives(asked, selection)? {
                continue;
            }
            let window = self.table.window(line).ok_or(DenyReason::EvaluationFailed)?;
            let standing = window.standing(now);
            matches.valid_until = earlier(matches.valid_until, standing.until);
            match (standing.phase, line.effect) {
                (Phase::Inside, Effect::Deny) => matches.denied = true,
                (Phase::Inside, Effect::Allow) if self.token_allows(line, query) => {
                    let hit = Hit { order: line.order, selection, has_duties: line.has_duties };
                    match matches.first {
                        None => matches.first = Some(hit),
                        Some(_) => matches.others.push(hit),
                    }
                }
                (Phase::Inside | Phase::Before | Phase::OffSchedule | Phase::After, _) => {}
            }
        }
        Ok(matches)
    }

    /// The clause to mend first, where no allow line matches: the one at which the lines that came
    /// furthest failed. Clauses are tried in the order of [`Self::decide`].
    fn first_failing(&self, query: &Query<'_>, asked: &Asked<'_>, now: Timestamp) -> DenyReason {
        let mut furthest = DenyReason::NoGrant;
        let near = self.table.near(&asked.subject.roles, &asked.place.roles);
        for line in near.filter(|line| line.effect == Effect::Allow) {
            if !line.covers_action(asked.action) || !self.token_allows(line, query) {
                continue;
            }
            let reason = if line.covers_purpose(asked.purpose) {
                match self.table.window(line).map(|window| window.standing(now).phase) {
                    Some(Phase::Inside) if self.parameters_hold(line, query) => DenyReason::ScopeExceeded,
                    Some(Phase::Inside) => DenyReason::ParameterNotGranted,
                    Some(Phase::OffSchedule) => DenyReason::OutsideSchedule,
                    Some(Phase::Before) => DenyReason::GrantNotYetValid,
                    Some(Phase::After) => DenyReason::GrantExpired,
                    None => DenyReason::EvaluationFailed,
                }
            } else {
                DenyReason::PurposeNotGranted
            };
            if progress(reason) > progress(furthest) {
                furthest = reason;
            }
        }
        furthest
    }

    fn gives(&self, asked: &Asked<'_>, selection: u32) -> Result<bool, DenyReason> {
        let selection = self.table.selection(selection).ok_or(DenyReason::EvaluationFailed)?;
        Ok(selection.gives(asked.wanted.as_ref()))
    }

    fn parameters_hold(&self, line: &Line, query: &Query<'_>) -> bool {
        let constraints = self.table.constraints(line);
        let mut hold = constraints.iter().map(|constraint| holds(constraint, query.parameters, line.effect));
        hold.all(|holds| holds)
    }

    /// Whether the token names the line's grant, or names none. Denials are never narrowed.
    pub(super) fn token_allows(&self, line: &Line, query: &Query<'_>) -> bool {
        query.narrowed_to.is_none_or(|named| self.id_at(line.order).is_some_and(|id| named.contains(id)))
    }

    fn id_at(&self, order: u32) -> Option<&GrantId> {
        self.ids.get(usize::try_from(order).ok()?)
    }

    pub(super) fn grant_at(&self, order: u32) -> Option<&super::terms::Grant> {
        self.grants.get(usize::try_from(order).ok()?)
    }
}

/// How far a line came that failed so. Of windows, one that opens again is nearer than one that will
/// open, and that nearer than one that has ended.
fn progress(reason: DenyReason) -> u8 {
    match reason {
        DenyReason::ResourceUnknown | DenyReason::NoGrant => 0,
        DenyReason::PurposeNotGranted => 1,
        DenyReason::GrantExpired => 2,
        DenyReason::GrantNotYetValid => 3,
        DenyReason::OutsideSchedule => 4,
        DenyReason::ParameterNotGranted => 5,
        DenyReason::ScopeExceeded => 6,
        DenyReason::Denied => 7,
        DenyReason::EvaluationFailed => 8,
    }
}

/// The smaller of two bounds, where none is no bound.
fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (bound, None) | (None, bound) => bound,
    }
}

/// Whether `constraint` holds for the request's parameters. A parameter that is absent or doubled
/// fails an allow line and matches a deny line; one that may be read as several likewise, where one of them does.
pub(super) fn holds(
    constraint: &Constraint,
    parameters: &[(ParameterName, Vec<String>)],
    effect: Effect,
) -> bool {
    let mut values =
        parameters.iter().filter(|(name, _)| *name == constraint.parameter).flat_map(|(_, values)| values);
    match (values.next(), values.next()) {
        (Some(value), None) => constraint.patterns.iter().any(|pattern| match effect {
            Effect::Allow => pattern.allows(value),
            Effect::Deny => pattern.denies(value),
        }),
        (None, _) | (Some(_), Some(_)) => effect == Effect::Deny,
    }
}
