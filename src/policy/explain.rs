//! Why: every line near a query held against it, clause by clause.
//!
//! Slower than the decision and apart from it; tests hold the two against each other.

pub mod advice;

use super::Policy;
use super::decide::{Asked, holds};
use super::table::Line;
use super::terms::Grant;
use super::vocabulary::Vocabulary;
use super::window::Phase;
use crate::grant::{Clause, Decision, Denial, DenyReason, Effect, Had, NearMiss, Query};
use crate::kernel::id::GrantId;
use crate::kernel::time::Timestamp;

/// The most lines an explanation shows.
pub const MAX_SHOWN: usize = 64;

/// A decision and everything it rests on.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The answer.
    pub decision: Decision,
    /// The instant, local time and kind of day it was decided by.
    pub moment: String,
    /// The lines that are given to the system, its department or its groups, about this resource;
    /// nearest first, at most [`MAX_SHOWN`].
    pub held: Vec<Held>,
    /// How many more such lines there are.
    pub more: usize,
}

/// One line held against a query.
#[derive(Debug, Clone)]
pub struct Held {
    /// Which line.
    pub grant: GrantId,
    /// Its line number in `grants.csv`.
    pub line: usize,
    /// What it does if it matches.
    pub effect: Effect,
    /// Whether it matches.
    pub matches: bool,
    /// Every clause.
    pub clauses: Vec<Clause>,
}

/// How one line stands to a query.
#[derive(Debug)]
struct Verdict<'p> {
    grant: &'p Grant,
    order: u32,
    action: bool,
    purpose: bool,
    phase: Phase,
    /// The constraints that do not hold.
    failed: Vec<String>,
    fields: bool,
    token: bool,
}

impl Verdict<'_> {
    fn failures(&self) -> usize {
        let clauses = [
            self.action,
            self.purpose,
            self.phase == Phase::Inside,
            self.failed.is_empty(),
            self.fields,
            self.token,
        ];
        clauses.into_iter().filter(|holds| !holds).count()
    }

    fn matches(&self) -> bool {
        self.failures() == 0
    }

    fn allows(&self) -> bool {
        self.grant.effect == Effect::Allow
    }
}

impl Policy {
    /// The decision on `query` as of `now`, and how each line near it stands.
    #[must_use]
    pub fn explain(&self, query: &Query<'_>, now: Timestamp) -> Explanation {
        let decision = self.decide(query, now);
        if let Some(gate) = &self.changed {
            return self.explanation_by(gate, query, decision, now);
        }
        let mut verdicts = match self.ask(query) {
            Ok(asked) => self.verdicts(query, &asked, now),
            Err(_) => Vec::new(),
        };
        verdicts.sort_by_key(|verdict| (verdict.failures(), verdict.order));
        let more = verdicts.len().saturating_sub(MAX_SHOWN);
        let held = verdicts.iter().take(MAX_SHOWN).map(|verdict| Held {
            grant: verdict.grant.id.clone(),
            line: verdict.grant.line,
            effect: verdict.grant.effect,
            matches: verdict.matches(),
            clauses: self.clauses(query, verdict, now),
        });
        Explanation { decision, moment: self.frame.moment(now).canonical(), held: held.collect(), more }
    }

    fn verdicts<'p>(&'p self, query: &Query<'_>, asked: &Asked<'p>, now: Timestamp) -> Vec<Verdict<'p>> {
        let near = self.table.near(&asked.subject.roles, &asked.place.roles);
        near.filter_map(|line| self.verdict(line, query, asked, now)).collect()
    }

    fn verdict(
        &self,
        line: &Line,
        query: &Query<'_>,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Option<Verdict<'_>> {
        let grant = self.grant_at(line.order)?;
        let selection = self.table.selection(self.table.selection_number(line, asked.number)?)?;
        let constraints = self.table.constraints(line).iter();
        let failed = constraints.filter(|constraint| !holds(constraint, query.parameters, line.effect));
        Some(Verdict {
            grant,
            order: line.order,
            action: line.covers_action(asked.action),
            purpose: line.covers_purpose(asked.purpose),
            phase: self.table.window(line)?.standing(now).phase,
            failed: failed.map(|constraint| constraint.parameter.to_string()).collect(),
            fields: line.effect == Effect::Deny || selection.gives(asked.wanted.as_ref()),
            token: line.effect == Effect::Deny || self.token_allows(line, query),
        })
    }

    /// A refusal with what a caller is told about it: what [`Self::permit`] named as the `reason` of
    /// refusing `query` as of `now`, what of the request failed it, and the grant that came nearest.
    #[must_use]
    pub fn denial(&self, query: &Query<'_>, reason: DenyReason, now: Timestamp) -> Denial {
        let mut denial = Denial { reason, detail: Vec::new(), denied_by: Vec::new(), nearest: None };
        let asked = match self.ask(query) {
            Ok(asked) => asked,
            Err(_) => {
                if reason == DenyReason::NoGrant {
                    denial.detail.push(query.action.to_string());
                }
                return denial;
            }
        };
        let asked = &asked;
        if let Some(gate) = &self.changed {
            // The clauses are those of the shipped matcher.
            if reason == DenyReason::Denied {
                denial.denied_by = self.denied_by(gate, query, asked, now);
            }
            return denial;
        }
        let mut verdicts = self.verdicts(query, asked, now);
        verdicts.sort_by_key(|verdict| verdict.order);
        if reason == DenyReason::Denied {
            let denying = verdicts.iter().filter(|verdict| !verdict.allows() && verdict.matches());
            denial.denied_by = denying.map(|verdict| verdict.grant.id.clone()).collect();
            return denial;
        }
        verdicts.retain(Verdict::allows);
        if reason != DenyReason::EvaluationFailed {
            retain_furthest(&mut verdicts);
        }
        let nearest = verdicts.iter().min_by_key(|verdict| (verdict.failures(), verdict.order));
        denial.detail = self.detail(query, asked, denial.reason, nearest, &verdicts);
        denial.nearest = nearest.map(|verdict| NearMiss {
            grant: verdict.grant.id.clone(),
            clauses: self.clauses(query, verdict, now),
        });
        denial
    }

    /// What of the request failed, in the caller's own words.
    fn detail(
        &self,
        query: &Query<'_>,
        asked: &Asked<'_>,
        reason: DenyReason,
        nearest: Option<&Verdict<'_>>,
        matching: &[Verdict<'_>],
    ) -> Vec<String> {
        match reason {
            DenyReason::NoGrant => vec![query.action.to_string()],
            DenyReason::PurposeNotGranted => vec![query.purpose.to_string()],
            DenyReason::ParameterNotGranted => {
                nearest.map(|nearest| nearest.failed.clone()).unwrap_or_default()
            }
            DenyReason::ScopeExceeded => {
                let mut granted = asked.place.schema.none();
                for verdict in matching.iter().filter(|verdict| verdict.matches()) {
                    granted.extend(&asked.place.schema.select(&verdict.grant.scope.items).fields);
                }
                let is_granted = |item: &str| {
                    asked.place.schema.named(item).is_some_and(|fields| fields.is_within(&granted))
                };
                query.fields.iter().filter(|item| !is_granted(item)).cloned().collect()
            }
            DenyReason::ResourceUnknown
            | DenyReason::GrantExpired
            | DenyReason::GrantNotYetValid
            | DenyReason::OutsideSchedule
            | DenyReason::Denied
            | DenyReason::EvaluationFailed => Vec::new(),
        }
    }

    fn clauses(&self, query: &Query<'_>, verdict: &Verdict<'_>, now: Timestamp) -> Vec<Clause> {
        let grant = verdict.grant;
        let clause = |name, holds, granted: String, requested: String| Clause {
            name,
            holds,
            granted,
            requested: Had::Value(requested),
        };
        let moment = self.frame.moment(now);
        let moment = match moment.today {
            Some(kind) if grant.window.asks_day_kinds() => {
                format!("{} {}", moment.local.strftime("%FT%T"), kind.as_str())
            }
            _ => moment.local.strftime("%FT%T").to_string(),
        };
        let wanted = match query.fields {
            [] => "all that is granted".to_owned(),
            fields => fields.join("|"),
        };
        let action = grant.action.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string);
        let mut clauses = vec![
            clause("system", true, grant.subject.to_string(), query.system.to_string()),
            clause("resource", true, grant.resource.to_string(), query.resource.to_string()),
            clause("action", verdict.action, action, query.action.to_string()),
            clause("purpose", verdict.purpose, grant.purposes.to_string(), query.purpose.to_string()),
            clause("window", verdict.phase == Phase::Inside, grant.window.text().to_owned(), moment),
        ];
        for constraint in &grant.scope.constraints {
            let name = constraint.parameter.as_str();
            let holds = !verdict.failed.iter().any(|failed| failed == name);
            clauses.push(Clause {
                name: "parameter",
                holds,
                granted: constraint.to_string(),
                requested: shown(&self.vocabulary, query, name),
            });
        }
        clauses.push(clause("fields", verdict.fields, grant.scope.fields_text(), wanted));
        if let Some(named) = query.narrowed_to {
            let named = named.iter().map(GrantId::as_str).collect::<Vec<_>>().join("|");
            clauses.push(clause("token", verdict.token, grant.id.to_string(), named));
        }
        clauses
    }
}

/// A parameter of the request as it may be shown: its values only if they may stand in a record.
fn shown(vocabulary: &Vocabulary, query: &Query<'_>, name: &str) -> Had {
    let values: Vec<&str> = query
        .parameters
        .iter()
        .filter(|(parameter, _)| parameter.as_str() == name)
        .flat_map(|(_, values)| values)
        .map(String::as_str)
        .collect();
    let number = vocabulary.place_ids.get(query.resource);
    let place = number.and_then(|&number| vocabulary.place(number));
    let recordable =
        place.and_then(|place| place.resource.parameter(name)).is_some_and(|parameter| parameter.recordable);
    match values.as_slice() {
        [] => Had::Absent(name.to_owned()),
        [value] if recordable => Had::Value(format!("{name}={value}")),
        [_] => Had::Hidden(name.to_owned()),
        several => Had::Repeated(name.to_owned(), several.len()),
    }
}

/// Leaves those that passed most clauses, in the order in which [`Policy::decide`] names them.
fn retain_furthest(verdicts: &mut Vec<Verdict<'_>>) {
    let clauses: [fn(&Verdict<'_>) -> bool; 4] = [
        |verdict| verdict.token && verdict.action,
        |verdict| verdict.purpose,
        |verdict| verdict.phase == Phase::Inside,
        |verdict| verdict.failed.is_empty(),
    ];
    for passes in clauses {
        if !verdicts.iter().any(passes) {
            return;
        }
        verdicts.retain(passes);
    }
}
