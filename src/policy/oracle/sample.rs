//! The self-test at load: requests made from the policy's own lines, decided by the engine and by
//! casbin.

use super::{Oracle, OracleError};
use crate::catalog::Sharing;
use crate::grant::{Decision, DenyReason, Effect, Query};
use crate::kernel::id::{DepartmentId, ParameterName, SystemId};
use crate::kernel::time::Timestamp;
use crate::policy::Policy;
use crate::policy::enforcer::gate::Joined;
use crate::policy::model::Model;
use crate::policy::scope::Pattern;
use crate::policy::terms::Grant;
use crate::policy::vocabulary::Place;

/// The most requests one self-test makes.
pub(crate) const MAX_SAMPLES: usize = 64;
/// The most lines near one request that casbin is asked about.
const MAX_NEAR: usize = 128;
/// The lines elsewhere that it is asked about, to see that the index leaves nothing out.
const ELSEWHERE: usize = 16;

/// Holds the engine against casbin on a sample of requests as of `now` and of the edges of windows.
pub(crate) fn self_test(policy: &Policy, model: &Model, now: Timestamp) -> Result<(), OracleError> {
    let mut oracle = Oracle::new(policy, model)?;
    let samples = policy.grants.len().min(MAX_SAMPLES);
    // Fixed seed: the same files always get the same test.
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..samples {
        let Some(grant) = dice.one_of(&policy.grants) else { break };
        let Some(sample) = Sample::near(policy, grant, &mut dice, now) else { continue };
        sample.judge(policy, &mut oracle, &mut dice)?;
    }
    Ok(())
}

/// A request near one grant.
struct Sample<'p> {
    system: &'p SystemId,
    department: &'p DepartmentId,
    place: &'p Place,
    action: &'p crate::kernel::id::Action,
    purpose: &'p crate::kernel::id::PurposeCode,
    fields: Vec<String>,
    parameters: Vec<(ParameterName, Vec<String>)>,
    at: Timestamp,
}

impl<'p> Sample<'p> {
    fn near(policy: &'p Policy, grant: &'p Grant, dice: &mut Dice, now: Timestamp) -> Option<Self> {
        let vocabulary = &policy.vocabulary;
        let given =
            vocabulary.systems.iter().filter(|(_, subject)| subject.roles.contains(&grant.subject_node));
        let mut systems: Vec<_> = given.collect();
        systems.sort_unstable_by_key(|(id, _)| *id);
        let &(system, subject) = dice.one_of(&systems)?;
        let place = vocabulary.place(*dice.one_of(vocabulary.members(grant.resource_node))?)?;
        if place.resource.sharing == Sharing::None {
            // The engine refuses these whatever the lines say.
            return None;
        }
        let covered = vocabulary.purpose_range(&grant.purposes);
        let any = dice.chance(4);
        let purposes: Vec<_> =
            (0..).zip(&vocabulary.purposes).filter(|(number, _)| any || covered.contains(number)).collect();
        let (_, purpose) = *dice.one_of(&purposes)?;
        let mut parameters = Vec::new();
        for constraint in &grant.scope.constraints {
            let value = match dice.one_of(&constraint.patterns)? {
                Pattern::Exact(value) => value.clone(),
                Pattern::Prefix(value) => format!("{value}7"),
            };
            let values = match dice.below(8) {
                0 => vec![],
                1 => vec![value.clone(), value],
                2 => vec![format!("x{value}")],
                3 => vec![format!("{value},x")],
                4 => vec![format!("x {value}")],
                _ => vec![value],
            };
            parameters.push((constraint.parameter.clone(), values));
        }
        let fields = match dice.below(3) {
            0 => place.schema.names().min().map(str::to_owned).into_iter().collect(),
            1 => grant.scope.items.iter().map(|item| item.selector.to_string()).collect(),
            _ => Vec::new(),
        };
        let edges = [Some(now), grant.window.begins(), grant.window.ends(), grant.window.next_change(now)];
        let edges: Vec<Timestamp> = edges.into_iter().flatten().collect();
        let at = *dice.one_of(&edges)?;
        let at = if dice.chance(3) {
            at.saturating_sub(jiff::SignedDuration::from_millis(1)).unwrap_or(at)
        } else {
            at
        };
        let action = dice.one_of(&place.resource.actions)?;
        let department = &subject.department;
        Some(Self { system, department, place, action, purpose, fields, parameters, at })
    }

    fn judge(&self, policy: &Policy, oracle: &mut Oracle, dice: &mut Dice) -> Result<(), OracleError> {
        let query = Query {
            system: self.system,
            department: self.department,
            resource: &self.place.resource.id,
            action: self.action,
            purpose: self.purpose,
            fields: &self.fields,
            parameters: &self.parameters,
            narrowed_to: None,
        };
        let request = policy.canonical_request(&query, self.place, self.at);
        let held = policy.explain(&query, self.at);
        let near: Vec<_> = held.held.iter().take(MAX_NEAR).collect();
        let mut lines = Vec::new();
        for held in &near {
            let Some(grant) = policy.grant(&held.grant) else { continue };
            lines.push(self.line(policy, oracle, grant, held.matches, &request)?);
        }
        for _ in 0..ELSEWHERE {
            let Some(grant) = dice.one_of(&policy.grants) else { break };
            if held.more == 0 && !near.iter().any(|held| held.grant == grant.id) {
                lines.push(self.line(policy, oracle, grant, false, &request)?);
            }
        }
        if held.more > 0 {
            // Too many lines to ask casbin about: each was judged by itself.
            return Ok(());
        }
        if policy.changed.as_ref().is_some_and(|gate| gate.joined() != Joined::UnlessDenied) {
            // What is made of the matching lines is another effect's; each was judged by itself.
            return Ok(());
        }
        // A permit, or a refusal only because more was asked for than the matching lines give.
        let ours = match &held.decision {
            Decision::Permit(permit) => {
                let mut matching: Vec<_> =
                    near.iter().filter(|held| held.matches).map(|held| (held.line, &held.grant)).collect();
                matching.sort_unstable();
                if !permit.grants.iter().eq(matching.into_iter().map(|(_, grant)| grant)) {
                    return Err(mismatch(&request, true));
                }
                true
            }
            Decision::Denial(denial) => {
                denial.reason == DenyReason::ScopeExceeded
                    && near.iter().any(|held| held.matches && held.effect == Effect::Allow)
            }
        };
        let theirs = oracle.decides(lines, &request)?;
        if ours == theirs { Ok(()) } else { Err(mismatch(&request, ours)) }
    }

    fn line(
        &self,
        policy: &Policy,
        oracle: &mut Oracle,
        grant: &Grant,
        ours: bool,
        request: &[String],
    ) -> Result<Vec<String>, OracleError> {
        let line = policy.canonical_line(grant, self.place);
        let theirs = oracle.matches(line.clone(), request)?;
        if ours == theirs {
            return Ok(line);
        }
        let mut what = line;
        what.extend_from_slice(request);
        Err(mismatch(&what, ours))
    }
}

fn mismatch(what: &[String], ours: bool) -> OracleError {
    OracleError::Mismatch { what: format!("`{}`", what.join(", ")), ours, theirs: !ours }
}

/// A small generator of numbers (SplitMix64).
pub(in crate::policy) struct Dice(pub(in crate::policy) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(in crate::policy) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// True once in `n` times.
    pub(in crate::policy) fn chance(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(in crate::policy) fn one_of<'t, T>(&mut self, items: &'t [T]) -> Option<&'t T> {
        let bound = u64::try_from(items.len()).ok().filter(|&length| length > 0)?;
        items.get(usize::try_from(self.below(bound)).ok()?)
    }
}
