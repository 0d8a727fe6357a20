//! What came of many accesses, in bounded memory.

use std::collections::{BTreeMap, HashMap};

use super::super::gate::Refusal;
use super::{Finding, Outcome, Recorded, Why};
use crate::kernel::id::{FieldPath, ResourceId, SystemId};
use crate::kernel::time::Timestamp;

/// The most systems times resources that are told apart. A log of a registry's systems stays far
/// below; what goes beyond is counted as a whole.
pub const MAX_GROUPS: usize = 100_000;

/// The most distinct fields and reasons that one group tells apart.
const MAX_DETAILS: usize = 4_096;

/// How many accesses came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// The same answer.
    pub same: u64,
    /// Allowed before, refused by the candidate.
    pub refused: u64,
    /// Refused before, allowed by the candidate.
    pub allowed: u64,
    /// Allowed by both, to another extent.
    pub changed: u64,
    /// The record cannot answer.
    pub undetermined: u64,
}

impl Tally {
    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.same + self.refused + self.allowed + self.changed + self.undetermined
    }

    fn add(&mut self, other: &Self) {
        self.same += other.same;
        self.refused += other.refused;
        self.allowed += other.allowed;
        self.changed += other.changed;
        self.undetermined += other.undetermined;
    }
}

/// The ways in which a field leaves otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Only under the candidate.
    Gained,
    /// No longer.
    Lost,
    /// Clear, and masked before.
    Unmasked,
    /// Masked, and clear before.
    Masked,
    /// Under another masker.
    Remasked,
}

impl Kind {
    /// In one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
            Self::Unmasked => "unmasked",
            Self::Masked => "masked",
            Self::Remasked => "remasked",
        }
    }
}

/// What came of the accesses of one system to one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// How many came to what.
    pub tally: Tally,
    /// The newly refused by their reason; `None` if it hangs on what the records do not say.
    pub refusals: BTreeMap<Option<Refusal>, u64>,
    /// In how many accesses a field leaves otherwise.
    pub fields: BTreeMap<(Kind, FieldPath), u64>,
    /// How many have other row duties.
    pub duties: u64,
    /// The undetermined by what their records do not say.
    pub unknown: BTreeMap<Why, u64>,
}

/// One access of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Its place in the order of the log.
    pub place: u64,
    /// The id of the request.
    pub id: String,
    /// When it came.
    pub at: Timestamp,
    /// Who asked.
    pub system: SystemId,
    /// For what.
    pub resource: ResourceId,
    /// What came of it.
    pub finding: Finding,
}

/// What came of all accesses.
#[derive(Debug, Clone, Default)]
pub struct Report {
    groups: HashMap<SystemId, HashMap<ResourceId, Group>>,
    group_count: usize,
    /// What came of accesses beyond [`MAX_GROUPS`].
    pub beyond: Tally,
    /// The first of each kind, in the order of the log: refused, allowed, changed, undetermined.
    pub examples: [Vec<Example>; 4],
    /// Accesses that the policy did not decide.
    pub not_by_policy: u64,
    /// The instants of the first and of the last access that was decided again.
    pub span: Option<(Timestamp, Timestamp)>,
}

impl Report {
    /// The groups, by system and resource.
    #[must_use]
    pub fn groups(&self) -> Vec<(&SystemId, &ResourceId, &Group)> {
        let groups = self.groups.iter().flat_map(|(system, resources)| {
            resources.iter().map(move |(resource, group)| (system, resource, group))
        });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_unstable_by_key(|(system, resource, _)| (*system, *resource));
        groups
    }

    /// How many of all accesses came to what.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = self.beyond;
        for (_, _, group) in self.groups() {
            tally.add(&group.tally);
        }
        tally
    }

    /// Counts what came of the line at `place`, and keeps it if it is among the first `most` of its kind.
    pub fn take(&mut self, place: u64, outcome: Outcome, most: usize) {
        match outcome {
            Outcome::Other => {}
            Outcome::NotByPolicy => self.not_by_policy += 1,
            Outcome::Decided { access, finding } => self.decided(place, *access, finding, most),
        }
    }

    fn decided(&mut self, place: u64, access: Recorded, finding: Finding, most: usize) {
        let (first, last) = self.span.unwrap_or((access.at, access.at));
        self.span = Some((first.min(access.at), last.max(access.at)));
        let Recorded { id, at, request, .. } = access;
        match self.group(&request.system, &request.resource) {
            Some(group) => group.take(&finding),
            None => count(&mut self.beyond, &finding),
        }
        let kind = match finding {
            Finding::Same => return,
            Finding::Refused(_) => 0,
            Finding::Allowed => 1,
            Finding::Changed { .. } => 2,
            Finding::Undetermined(_) => 3,
        };
        if let Some(examples) = self.examples.get_mut(kind) {
            let (system, resource) = (request.system, request.resource);
            keep(examples, Example { place, id, at, system, resource, finding }, most);
        }
    }

    fn group(&mut self, system: &SystemId, resource: &ResourceId) -> Option<&mut Group> {
        let known = self.groups.get(system).is_some_and(|resources| resources.contains_key(resource));
        if !known {
            if self.group_count >= MAX_GROUPS {
                return None;
            }
            self.group_count += 1;
            self.groups.entry(system.clone()).or_default().entry(resource.clone()).or_default();
        }
        self.groups.get_mut(system)?.get_mut(resource)
    }

    /// Adds what another part of the log came to.
    pub fn merge(&mut self, other: Self, most: usize) {
        for (system, resources) in other.groups {
            for (resource, group) in resources {
                match self.group(&system, &resource) {
                    Some(own) => own.merge(group),
                    None => self.beyond.add(&group.tally),
                }
            }
        }
        self.beyond.add(&other.beyond);
        self.not_by_policy += other.not_by_policy;
        self.span = match (self.span, other.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (span, None) | (None, span) => span,
        };
        for (own, examples) in self.examples.iter_mut().zip(other.examples) {
            for example in examples {
                keep(own, example, most);
            }
        }
    }
}

impl Group {
    fn take(&mut self, finding: &Finding) {
        count(&mut self.tally, finding);
        match finding {
            Finding::Same | Finding::Allowed => {}
            Finding::Refused(why) => *self.refusals.entry(*why).or_default() += 1,
            Finding::Undetermined(why) => bump(&mut self.unknown, why.clone(), 1),
            Finding::Changed { fields, duties } => {
                self.duties += u64::from(*duties);
                for (kind, paths) in [
                    (Kind::Gained, &fields.gained),
                    (Kind::Lost, &fields.lost),
                    (Kind::Unmasked, &fields.unmasked),
                    (Kind::Masked, &fields.masked),
                    (Kind::Remasked, &fields.remasked),
                ] {
                    for path in paths {
                        bump(&mut self.fields, (kind, path.clone()), 1);
                    }
                }
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.tally.add(&other.tally);
        self.duties += other.duties;
        for (why, count) in other.refusals {
            *self.refusals.entry(why).or_default() += count;
        }
        for (field, count) in other.fields {
            bump(&mut self.fields, field, count);
        }
        for (why, count) in other.unknown {
            bump(&mut self.unknown, why, count);
        }
    }
}

fn count(tally: &mut Tally, finding: &Finding) {
    let counter = match finding {
        Finding::Same => &mut tally.same,
        Finding::Refused(_) => &mut tally.refused,
        Finding::Allowed => &mut tally.allowed,
        Finding::Changed { .. } => &mut tally.changed,
        Finding::Undetermined(_) => &mut tally.undetermined,
    };
    *counter += 1;
}

/// Counts, unless there are so many keys already that nobody reads them.
fn bump<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, by: u64) {
    if counts.len() < MAX_DETAILS || counts.contains_key(&key) {
        *counts.entry(key).or_default() += by;
    }
}

/// Keeps the first `most` by place.
fn keep(examples: &mut Vec<Example>, example: Example, most: usize) {
    let at = examples.partition_point(|known| known.place < example.place);
    if at < most {
        examples.insert(at, example);
        examples.truncate(most);
    }
}
