//! What a caller can change.

use super::{Edit, Ground, Suggestion, best};
use crate::grant::{Decision, DenyReason, Query, Request};
use crate::kernel::id::{Action, PurposeCode, ResourceId};
use crate::kernel::time::Timestamp;
use crate::policy::Policy;
use crate::policy::decide::holds;
use crate::policy::explain::Verdict;
use crate::policy::scope::{Constraint, Pattern};
use crate::policy::terms::Purposes;
use crate::policy::window::{Phase, Window};

/// The most lines near a request that its caller may aim at, nearest first.
const MAX_AIMS: usize = 64;
/// The most purposes that one suggestion names.
const MAX_PURPOSES: usize = 8;
/// How many changes of a window are passed in search of one that opens it.
const MAX_CHANGES: usize = 16;

/// A request on its way to one that is let through.
#[derive(Clone)]
struct Aim {
    request: Request,
    at: Timestamp,
    edits: Vec<Edit>,
}

impl Ground<'_> {
    /// The fewest changes of the request that let it through.
    pub(super) fn caller(&self, request: &Request, at: Timestamp) -> Vec<Suggestion> {
        let starts = self.starts(request, at);
        let mut aims: Vec<Aim> = starts.iter().flat_map(|start| self.aims(start)).collect();
        aims.extend(starts.iter().filter_map(|start| self.after_denials(start)));
        let candidates =
            aims.into_iter().map(|Aim { edits, .. }| (edits.len(), Suggestion { edits, lines: Vec::new() }));
        // Each was decided when it was made.
        best(candidates.collect(), |suggestion| !suggestion.edits.is_empty())
    }

    /// The request itself; where the resource has no such action, one for each that it has.
    fn starts(&self, request: &Request, at: Timestamp) -> Vec<Aim> {
        let Some(resource) = self.catalog.resources.get(&request.resource) else { return Vec::new() };
        if resource.actions.contains(&request.action) {
            return vec![Aim { request: request.clone(), at, edits: Vec::new() }];
        }
        let with = |action: &Action| Aim {
            request: Request { action: action.clone(), ..request.clone() },
            at,
            edits: vec![Edit::AskAction(action.clone())],
        };
        resource.actions.iter().map(with).collect()
    }

    /// The request made fit for each of the lines near it, where that lets it through.
    fn aims(&self, start: &Aim) -> Vec<Aim> {
        let Some(system) = self.catalog.registry.systems.get(&start.request.system) else {
            return Vec::new();
        };
        let query = start.request.query(&system.department);
        let Ok(asked) = self.policy.ask(&query) else { return Vec::new() };
        let mut verdicts = self.policy.verdicts(&query, &asked, start.at);
        verdicts.retain(Verdict::allows);
        verdicts.sort_by_key(|verdict| (verdict.failures(), verdict.order));
        let aims = verdicts.iter().take(MAX_AIMS).filter_map(|verdict| {
            let mut aim = start.clone();
            self.fit(&mut aim, &query, verdict)?;
            self.settle(aim)
        });
        aims.collect()
    }

    /// Makes the request fit for one line, but for the fields that other lines may give.
    fn fit(&self, aim: &mut Aim, query: &Query<'_>, verdict: &Verdict<'_>) -> Option<()> {
        let grant = verdict.grant;
        if !verdict.token {
            aim.request.narrowed_to.get_or_insert_default().push(grant.id.clone());
            aim.edits.push(Edit::NameGrant(grant.id.clone()));
        }
        if !verdict.action {
            let action = grant.action.clone()?;
            let resource = self.catalog.resources.get(&aim.request.resource)?;
            if !resource.actions.contains(&action) {
                return None;
            }
            aim.request.action = action.clone();
            aim.edits.push(Edit::AskAction(action));
        }
        if !verdict.purpose {
            let codes = self.policy.codes(&grant.purposes);
            aim.request.purpose = codes.first()?.clone();
            aim.edits.push(Edit::AskPurpose(codes));
        }
        if verdict.phase != Phase::Inside {
            aim.at = opens(&grant.window, aim.at)?;
            aim.edits.push(Edit::AskAt(aim.at));
        }
        for constraint in &grant.scope.constraints {
            if !holds(constraint, query.parameters, grant.effect) {
                aim.send(constraint)?;
            }
        }
        if !verdict.fields {
            aim.leave_out(query.fields);
        }
        Some(())
    }

    /// Leaves out what no matching line gives, and keeps what is let through then.
    fn settle(&self, mut aim: Aim) -> Option<Aim> {
        if let Some(Decision::Denial(denial)) = self.decide(&aim.request, aim.at)
            && denial.reason == DenyReason::ScopeExceeded
            && !aim.request.fields.is_empty()
        {
            aim.leave_out(&denial.detail);
        }
        if !self.allows(&aim.request, aim.at) {
            return None;
        }
        let Aim { request, at, edits } = &mut aim;
        for edit in edits {
            if let Edit::AskPurpose(codes) = edit {
                codes.retain(|code| self.allows(&Request { purpose: code.clone(), ..request.clone() }, *at));
            }
        }
        Some(aim)
    }

    /// The request at the instant at which no deny line matches any more.
    fn after_denials(&self, start: &Aim) -> Option<Aim> {
        let system = self.catalog.registry.systems.get(&start.request.system)?;
        let mut aim = start.clone();
        for _ in 0..MAX_CHANGES {
            let query = aim.request.query(&system.department);
            let Decision::Denial(denial) = self.policy.decide(&query, aim.at) else { break };
            if denial.reason != DenyReason::Denied {
                return None;
            }
            let denying = denial.denied_by.iter().filter_map(|id| self.policy.grant(id));
            aim.at = denying.filter_map(|grant| grant.window.next_change(aim.at)).min()?;
        }
        if aim.at == start.at || !self.allows(&aim.request, aim.at) {
            return None;
        }
        aim.edits.push(Edit::AskAt(aim.at));
        Some(aim)
    }
}

impl Aim {
    fn send(&mut self, constraint: &Constraint) -> Option<()> {
        let value = match constraint.patterns.first()? {
            Pattern::Exact(value) => value.clone(),
            // Any value at all.
            Pattern::Prefix(prefix) if prefix.is_empty() => "0".to_owned(),
            Pattern::Prefix(prefix) => prefix.clone(),
        };
        let parameter = constraint.parameter.clone();
        self.request.parameters.retain(|(name, _)| *name != parameter);
        self.request.parameters.push((parameter.clone(), vec![value]));
        let values: Vec<String> = constraint.patterns.iter().map(ToString::to_string).collect();
        self.edits.push(Edit::Send { parameter, values: values.join("|") });
        Some(())
    }

    fn leave_out(&mut self, fields: &[String]) {
        let left: Vec<String> =
            self.request.fields.iter().filter(|field| !fields.contains(field)).cloned().collect();
        self.request.fields.clone_from(&left);
        self.edits.push(Edit::LeaveOut { fields: fields.to_vec(), left });
    }
}

impl Policy {
    /// The purposes that a line covers, the first [`MAX_PURPOSES`].
    fn codes(&self, purposes: &Purposes) -> Vec<PurposeCode> {
        let range = self.vocabulary.purpose_range(purposes);
        let index = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let codes = self.vocabulary.purposes.get(index(range.start)..index(range.end)).unwrap_or_default();
        codes.iter().take(MAX_PURPOSES).cloned().collect()
    }

    /// The items of `fields` that a resource does not have.
    pub(super) fn unknown_fields(&self, resource: &ResourceId, fields: &[String]) -> Vec<String> {
        let number = self.vocabulary.place_ids.get(resource);
        let place = number.and_then(|&number| self.vocabulary.place(number));
        let is_known = |item: &str| place.is_some_and(|place| place.schema.named(item).is_some());
        fields.iter().filter(|item| !is_known(item)).cloned().collect()
    }
}

/// The next instant from `at` on at which `window` holds.
fn opens(window: &Window, mut at: Timestamp) -> Option<Timestamp> {
    for _ in 0..MAX_CHANGES {
        let standing = window.standing(at);
        if standing.phase == Phase::Inside {
            return Some(at);
        }
        at = standing.until?;
    }
    None
}
