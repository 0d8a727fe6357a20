//! Decisions by a model whose matcher or effect is not the shipped one.
//!
//! The lines near a query are found by the same index; each is written out as canonical text and the
//! model's own matcher worked out on it. Some hundred times slower a line than the shipped model.

use std::collections::HashSet;
use std::sync::Arc;

use super::Policy;
use super::decide::{Asked, Hit, Matches};
use super::enforcer::Value;
use super::enforcer::gate::{Gate, Joined};
use super::explain::{Explanation, Held, MAX_SHOWN};
use super::table::Line;
use crate::grant::{Decision, DenyReason, Effect, Query};
use crate::kernel::id::GrantId;
use crate::kernel::time::Timestamp;

impl Policy {
    /// How queries are decided: `native` by the shipped model, `matcher` by another.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        if self.is_shipped() { "native" } else { "matcher" }
    }

    /// Whether the shipped model decides: what its lines mean is known without asking for each query.
    #[must_use]
    pub fn is_shipped(&self) -> bool {
        self.changed.is_none()
    }

    /// The lines that match by `gate`.
    pub(super) fn matches_by(
        &self,
        gate: &Gate,
        query: &Query<'_>,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Result<Matches, DenyReason> {
        let mut matches = Matches::default();
        for line in self.matching_by(gate, query, asked, now)? {
            match (line.effect, gate.joined()) {
                (Effect::Deny, Joined::Allows) => {}
                (Effect::Deny, Joined::UnlessDenied) => matches.denied = true,
                (Effect::Deny, Joined::UntilDenied) => {
                    matches.denied = matches.first.is_none();
                    break;
                }
                (Effect::Allow, _) if self.token_allows(&line, query) => {
                    let selection = self.table.selection_number(&line, asked.number);
                    let selection = selection.ok_or(DenyReason::EvaluationFailed)?;
                    let hit = Hit { order: line.order, selection, has_duties: line.has_duties };
                    match matches.first {
                        None => matches.first = Some(hit),
                        Some(_) => matches.others.push(hit),
                    }
                }
                (Effect::Allow, _) => {}
            }
        }
        // Who knows what the matcher makes of time: no answer outlives its instant.
        matches.valid_until = Some(now);
        Ok(matches)
    }

    /// The lines that match by `gate`, in file order.
    fn matching_by(
        &self,
        gate: &Gate,
        query: &Query<'_>,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Result<Vec<Line>, DenyReason> {
        let mut near: Vec<Line> =
            self.table.near(&asked.subject.roles, &asked.place.roles).copied().collect();
        near.sort_by_key(|line| line.order);
        let request: Vec<Value> =
            self.canonical_request(query, asked.place, now).into_iter().map(Value::Text).collect();
        let mut matching = Vec::new();
        for line in near {
            let grant = self.grant_at(line.order).ok_or(DenyReason::EvaluationFailed)?;
            let cells: Vec<Arc<str>> =
                self.canonical_line(grant, asked.place).into_iter().map(Arc::from).collect();
            let order = usize::try_from(line.order).map_err(|_| DenyReason::EvaluationFailed)?;
            // An error ends it: any evaluation error is a refusal.
            if gate.matches(order, &cells, &request).map_err(|_| DenyReason::EvaluationFailed)? {
                matching.push(line);
            }
        }
        Ok(matching)
    }

    /// The deny lines that match by `gate`.
    pub(super) fn denied_by(
        &self,
        gate: &Gate,
        query: &Query<'_>,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Vec<GrantId> {
        let matching = self.matching_by(gate, query, asked, now).unwrap_or_default();
        // Under a priority the first decides.
        let most = if gate.joined() == Joined::UntilDenied { 1 } else { usize::MAX };
        let denying = matching.iter().filter(|line| line.effect == Effect::Deny).take(most);
        denying.filter_map(|line| self.grant_at(line.order)).map(|grant| grant.id.clone()).collect()
    }

    /// How each line near a query stands by `gate`. Which clause of its matcher failed is not known.
    pub(super) fn explanation_by(
        &self,
        gate: &Gate,
        query: &Query<'_>,
        decision: Decision,
        now: Timestamp,
    ) -> Explanation {
        let moment = self.frame.moment(now).canonical();
        let Ok(asked) = self.ask(query) else {
            return Explanation { decision, moment, held: Vec::new(), more: 0 };
        };
        let matching: HashSet<u32> = self
            .matching_by(gate, query, &asked, now)
            .unwrap_or_default()
            .iter()
            .map(|line| line.order)
            .collect();
        let mut near: Vec<&Line> = self.table.near(&asked.subject.roles, &asked.place.roles).collect();
        near.sort_by_key(|line| (!matching.contains(&line.order), line.order));
        let held = near.iter().take(MAX_SHOWN).filter_map(|line| {
            let grant = self.grant_at(line.order)?;
            let matches = matching.contains(&line.order);
            let (id, effect) = (grant.id.clone(), grant.effect);
            Some(Held { grant: id, line: grant.line, effect, matches, clauses: Vec::new() })
        });
        let held = held.collect();
        Explanation { decision, moment, held, more: near.len().saturating_sub(MAX_SHOWN) }
    }
}
