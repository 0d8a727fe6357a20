//! Every kind of value that a parameter may have had.
//!
//! Lines tell values apart only by the patterns they constrain a parameter to. Two values that the
//! same patterns match are one to them, so it is enough to try one of each such kind.

use std::collections::BTreeSet;

use super::super::gate::Gate;
use super::Recorded;
use crate::grant::Request;
use crate::kernel::id::ParameterName;
use crate::policy::scope::{Constraint, Pattern};

/// The most requests that are tried for one record.
pub const MAX_TRIED: usize = 256;

/// A sign that no pattern has: policy files have no control characters.
const FOREIGN: char = '\0';

/// The parameters that the answer may hang on and that are not known, with what each may have been.
#[derive(Debug)]
pub struct Unknown {
    parameters: Vec<(ParameterName, Vec<Vec<String>>)>,
}

impl Unknown {
    /// What of `access` is not known and matters to any of `gates`; `None` if nothing.
    #[must_use]
    pub fn of(access: &Recorded, gates: &[Gate<'_>]) -> Option<Self> {
        if access.withheld.is_empty() && !access.open {
            return None;
        }
        let constraints: Vec<&Constraint> = gates
            .iter()
            .filter_map(|gate| {
                let system = gate.catalog.registry.systems.get(&access.request.system)?;
                Some(gate.policy.constraints_near(&access.request.query(&system.department)))
            })
            .flatten()
            .collect();
        let names: BTreeSet<&ParameterName> =
            constraints.iter().map(|constraint| &constraint.parameter).collect();
        let mut parameters = Vec::new();
        for name in names {
            let patterns = || {
                let constraints = constraints.iter().filter(|constraint| constraint.parameter == *name);
                constraints.flat_map(|constraint| &constraint.patterns)
            };
            let found = access.request.parameters.iter().find(|(known, _)| known == name);
            let withheld = access.withheld.iter().find(|(known, _)| known == name);
            let mut may_be: Vec<Vec<String>> = match (found, withheld) {
                (_, Some((_, beginning))) => {
                    kinds(patterns(), beginning).into_iter().map(|value| vec![value]).collect()
                }
                (Some((_, values)), None) => vec![values.clone()],
                (None, None) if access.open => {
                    let kinds = kinds(patterns(), "").into_iter().map(|value| vec![value]);
                    std::iter::once(Vec::new()).chain(kinds).collect()
                }
                (None, None) => continue,
            };
            if access.open && found.is_none_or(|(_, values)| values.len() < 2) {
                may_be.push(vec![String::new(), String::new()]);
            }
            if may_be.len() > 1 || withheld.is_some() {
                parameters.push((name.clone(), may_be));
            }
        }
        (!parameters.is_empty()).then_some(Self { parameters })
    }

    /// Which parameters.
    #[must_use]
    pub fn names(&self) -> Vec<ParameterName> {
        self.parameters.iter().map(|(name, _)| name.clone()).collect()
    }

    /// `request` with every combination of what the parameters may have been; `None` if there are
    /// more than [`MAX_TRIED`].
    #[must_use]
    pub fn requests(&self, request: &Request) -> Option<Vec<Request>> {
        let mut requests = vec![request.clone()];
        for (name, may_be) in &self.parameters {
            if requests.len().checked_mul(may_be.len())? > MAX_TRIED {
                return None;
            }
            requests = requests
                .iter()
                .flat_map(|request| may_be.iter().map(|values| with(request, name, values)))
                .collect();
        }
        Some(requests)
    }
}

fn with(request: &Request, name: &ParameterName, values: &[String]) -> Request {
    let mut request = request.clone();
    request.parameters.retain(|(known, _)| known != name);
    request.parameters.push((name.clone(), values.to_vec()));
    request
}

/// One value of every kind that `patterns` tell apart, among those that begin with `beginning`.
///
/// A value is either one of the exact ones, or it is told by the longest prefix that it has: the
/// shorter ones it has are those that this one has too.
fn kinds<'c>(patterns: impl Iterator<Item = &'c Pattern>, beginning: &str) -> BTreeSet<String> {
    let mut kinds = BTreeSet::from([format!("{beginning}{FOREIGN}")]);
    for pattern in patterns {
        let (text, value) = match pattern {
            Pattern::Exact(text) => (text, text.clone()),
            Pattern::Prefix(text) => (text, format!("{text}{FOREIGN}")),
        };
        if text.starts_with(beginning) {
            kinds.insert(value);
        }
    }
    kinds
}
