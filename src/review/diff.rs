//! What another policy means: who gains what, who loses what, which fields become clear, which
//! windows move.
//!
//! Not the texts are compared but the answers, and all of them: for every system, resource and
//! action, at every purpose, every combination of parameter values and every instant, for every
//! choice of fields. They are finitely many, because no line tells the values of one class apart
//! (`parameters`), nor the instants of one class (`moments`), and because an answer is settled by
//! its fields one by one (`outcome`). Pairs of system and resource that no changed line, role or
//! resource bears on are not looked at (`scope`): their answers are made of the same parts.
//!
//! What is not compared: requests whose token names grants by id. Those follow the ids, which are
//! listed among the lines.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::Catalog;
use crate::grant::{ReleasedField, Request, Treatment};
use crate::kernel::id::{Action, GrantId, MaskerName, PurposeCode, ResourceId, SystemId};
use crate::kernel::time::Timestamp;
use crate::policy::Policy;
use crate::policy::reading::Reading;
use crate::quota::limit::Limit;

mod bits;
mod boxes;
mod lines;
mod meaning;
mod moments;
mod outcome;
mod parameters;
mod points;
mod scope;
mod words;

pub use lines::{CellChange, Done, LineChange};
pub use moments::Stretch;
pub use outcome::{Capped, Duty, Outcome};
pub use parameters::{ParameterRange, Values};
pub use points::MAX_POINTS;
pub use words::WordChange;

/// One of the two policies, and what is beside its grants.
#[derive(Debug)]
pub struct Side<'s> {
    /// The policy.
    pub policy: &'s Policy,
    /// Who and what there is.
    pub catalog: &'s Catalog,
    /// What the maskers do.
    pub maskers: BTreeMap<MaskerName, MaskerText>,
    /// The limits.
    pub limits: &'s [Limit],
}

/// A masker as `masks.toml` defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskerText {
    /// Its method.
    pub method: String,
    /// The method's parameters, by name.
    pub parameters: Vec<(String, String)>,
}

/// What a change means to a reviewer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weight {
    /// Somebody may get more.
    pub gain: bool,
    /// Somebody may get less.
    pub loss: bool,
    /// A field that was masked, or that the catalogue masks, leaves clear where it did not.
    pub clear: bool,
}

/// One thing that is decided otherwise, for whom, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consequence {
    /// For whom.
    pub systems: Vec<SystemId>,
    /// The department or group that these systems are, if there is one.
    pub whom: Option<String>,
    /// About what.
    pub resources: Vec<ResourceId>,
    /// To do what.
    pub actions: Vec<Action>,
    /// What.
    pub outcome: Outcome,
    /// What that means.
    pub weight: Weight,
    /// The lines that match under one policy and not, or otherwise, under the other. None if the
    /// same lines match: then something else was edited.
    pub causes: Vec<GrantId>,
    /// For which purposes.
    pub purposes: Vec<PurposeCode>,
    /// Whether those are all there are.
    pub every_purpose: bool,
    /// With which parameters; those that do not matter are left out.
    pub parameters: Vec<ParameterRange>,
    /// When; none if always.
    pub when: Vec<Stretch>,
    /// One request that is decided otherwise.
    pub example: Request,
    /// And when.
    pub at: Timestamp,
}

/// A system, resource and action with too many points to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undetermined {
    /// The systems.
    pub systems: Vec<SystemId>,
    /// The resource.
    pub resource: ResourceId,
    /// The action.
    pub action: Action,
}

/// All that is different between two policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What is decided otherwise.
    pub consequences: Vec<Consequence>,
    /// What could not be compared.
    pub undetermined: Vec<Undetermined>,
    /// What was done to lines of `grants.csv`.
    pub lines: Vec<LineChange>,
    /// What was edited beside them.
    pub words: Vec<WordChange>,
}

/// Compares two policies. Where any instant will do for an example, one about `now` is taken.
#[must_use]
pub fn compare(old: &Side<'_>, new: &Side<'_>, now: Timestamp) -> Difference {
    let readings = [Reading::new(old.policy), Reading::new(new.policy)];
    let [old_reading, new_reading] = &readings;
    let codes: BTreeSet<&PurposeCode> =
        old.catalog.purposes.keys().chain(new.catalog.purposes.keys()).collect();
    let codes: Vec<PurposeCode> = codes.into_iter().cloned().collect();
    let meanings = meaning::Meanings::new([old_reading, new_reading], &codes);
    let scope = scope::Scope {
        sides: [old, new],
        readings: [old_reading, new_reading],
        meanings: &meanings,
        purposes: &codes,
        now,
    };
    let (consequences, undetermined) = scope.compare();
    let causes: BTreeSet<&GrantId> = consequences.iter().flat_map(|it| &it.causes).collect();
    let lines = lines::changes([old.policy, new.policy], &meanings.lines, &causes);
    let words = words::changes(old, new, [old_reading, new_reading]);
    Difference { consequences, undetermined, lines, words }
}

impl Outcome {
    /// What it means on a resource whose fields leave as `defaults` say under the new catalogue.
    fn weight(&self, defaults: &[ReleasedField], new: &Side<'_>) -> Weight {
        let is_masked_by_default = |field: &ReleasedField| {
            defaults.iter().any(|it| it.path == field.path && it.treatment != Treatment::Clear)
        };
        let clears = |fields: &[ReleasedField]| {
            fields.iter().any(|field| field.treatment == Treatment::Clear && is_masked_by_default(field))
        };
        let gain = Weight { gain: true, loss: false, clear: false };
        let loss = Weight { gain: false, loss: true, clear: false };
        let method = |masker: &MaskerName| new.maskers.get(masker).map(|it| it.method.as_str());
        match self {
            Self::Allowed(fields) | Self::Gained(fields) => Weight { clear: clears(fields), ..gain },
            Self::Unmasked(_) => Weight { clear: true, ..gain },
            Self::Loosened(_) => gain,
            Self::Refused(_) | Self::Lost(_) | Self::Masked(_) | Self::Tightened(_) => loss,
            // How much another masker shows cannot be told, unless it shows nothing.
            Self::Remasked(fields) => {
                let shows = fields.iter().any(|(field, _)| match &field.treatment {
                    Treatment::Masked(masker) => method(masker) != Some(words::FULL),
                    Treatment::Clear => true,
                });
                Weight { gain: shows, loss: true, clear: false }
            }
        }
    }
}

impl Difference {
    /// What all of it means together.
    #[must_use]
    pub fn weight(&self) -> Weight {
        let weights =
            self.consequences.iter().map(|it| it.weight).chain(self.words.iter().map(|it| it.weight));
        weights.fold(Weight::default(), |all, one| Weight {
            gain: all.gain || one.gain,
            loss: all.loss || one.loss,
            clear: all.clear || one.clear,
        })
    }

    /// Whether anything at all means something else, or may.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !self.consequences.is_empty() || !self.undetermined.is_empty() || !self.words.is_empty()
    }
}

#[cfg(test)]
mod tests;
