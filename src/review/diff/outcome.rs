//! What a caller gets at one point, and in which ways two such answers differ.
//!
//! A *point* is who asks for what, why, with which parameters, when. At a point some lines match by
//! all but their fields; call them B. If a deny line is among them every request is refused. Else a
//! request for a set of fields is answered from the lines of B that give one of them. A field of
//! the request is given by a line only if that line is answered from, since it gives one of those
//! asked for; and how the field leaves is said only by lines that give it. So how it leaves is the
//! same in every request that asks for it, and in the one that asks for all there is. The row
//! duties of a request are the least over the lines it is answered from, that is the least over its
//! fields of the duties of the lines that give the field. Hence two policies answer every request
//! at a point alike if they let the same fields leave in the same way, each with the same duties.
//! Where a resource has no fields, `*` is all there is, with its duties.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::grant::{ReleasedField, Treatment};
use crate::kernel::id::{FieldPath, MaskerName};

/// The most rows, where they are capped.
pub(super) type Cap = Option<u64>;

/// What a caller gets at a point, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) fields: Arc<[ReleasedField]>,
    /// The caps of a reply and of a day, for each field; one entry where there are no fields.
    pub(super) caps: Vec<[Cap; 2]>,
}

/// A bound on rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Duty {
    /// Of one reply.
    PerReply,
    /// Of one day.
    PerDay,
}

impl Duty {
    /// As a scope writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerReply => "rows",
            Self::PerDay => "rows/day",
        }
    }
}

/// One way in which two answers differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Refused before, allowed now, with these fields.
    Allowed(Vec<ReleasedField>),
    /// Fields that leave now and did not.
    Gained(Vec<ReleasedField>),
    /// Fields that leave clear now and left by this masker.
    Unmasked(Vec<ReleasedField>),
    /// Fields that leave by another masker, with the one before.
    Remasked(Vec<(ReleasedField, MaskerName)>),
    /// A cap on rows is gone or higher for some fields.
    Loosened(Capped),
    /// Allowed before, with these fields, and refused now.
    Refused(Vec<ReleasedField>),
    /// Fields that no longer leave, as they left.
    Lost(Vec<ReleasedField>),
    /// Fields that leave masked now and left clear.
    Masked(Vec<ReleasedField>),
    /// A cap on rows is new or lower for some fields.
    Tightened(Capped),
}

/// A cap that changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Capped {
    /// Which.
    pub duty: Duty,
    /// What it was, if there was one.
    pub old: Option<u64>,
    /// What it is, if there is one.
    pub new: Option<u64>,
    /// For requests that ask for any of these fields; empty on a resource without fields.
    pub fields: Vec<FieldPath>,
}

impl Outcome {
    /// Its name for machines.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allowed(_) => "allowed",
            Self::Gained(_) => "fields-gained",
            Self::Unmasked(_) => "fields-clear",
            Self::Remasked(_) => "fields-remasked",
            Self::Loosened(_) => "duty-loosened",
            Self::Refused(_) => "refused",
            Self::Lost(_) => "fields-lost",
            Self::Masked(_) => "fields-masked",
            Self::Tightened(_) => "duty-tightened",
        }
    }
}

/// Every way in which `new` differs from `old`.
pub(super) fn outcomes(old: Option<&Answer>, new: Option<&Answer>) -> Vec<Outcome> {
    match (old, new) {
        (None, None) => Vec::new(),
        (None, Some(new)) => vec![Outcome::Allowed(new.fields.to_vec())],
        (Some(old), None) => vec![Outcome::Refused(old.fields.to_vec())],
        (Some(old), Some(new)) if old == new => Vec::new(),
        (Some(old), Some(new)) => {
            let mut found = fields(old, new);
            found.extend(duties(old, new));
            found
        }
    }
}

fn fields(old: &Answer, new: &Answer) -> Vec<Outcome> {
    let before: BTreeMap<&FieldPath, &Treatment> =
        old.fields.iter().map(|field| (&field.path, &field.treatment)).collect();
    let (mut gained, mut unmasked, mut remasked, mut masked) = (vec![], vec![], vec![], vec![]);
    for field in &*new.fields {
        match (before.get(&field.path), &field.treatment) {
            (None, _) => gained.push(field.clone()),
            (Some(Treatment::Clear), Treatment::Clear) => {}
            (Some(Treatment::Clear), Treatment::Masked(_)) => masked.push(field.clone()),
            (Some(was @ Treatment::Masked(_)), Treatment::Clear) => {
                unmasked.push(ReleasedField { path: field.path.clone(), treatment: (*was).clone() });
            }
            (Some(Treatment::Masked(was)), Treatment::Masked(is)) if was == is => {}
            (Some(Treatment::Masked(was)), Treatment::Masked(_)) => {
                remasked.push((field.clone(), was.clone()));
            }
        }
    }
    let stays = |field: &&ReleasedField| new.fields.iter().any(|other| other.path == field.path);
    let lost: Vec<ReleasedField> = old.fields.iter().filter(|field| !stays(field)).cloned().collect();
    let mut found = Vec::new();
    let mut add = |fields: Vec<ReleasedField>, outcome: fn(Vec<ReleasedField>) -> Outcome| {
        found.extend((!fields.is_empty()).then(|| outcome(fields)));
    };
    add(gained, Outcome::Gained);
    add(unmasked, Outcome::Unmasked);
    add(lost, Outcome::Lost);
    add(masked, Outcome::Masked);
    found.extend((!remasked.is_empty()).then_some(Outcome::Remasked(remasked)));
    found
}

fn duties(old: &Answer, new: &Answer) -> Vec<Outcome> {
    let mut changed: BTreeMap<(Duty, Cap, Cap), Vec<FieldPath>> = BTreeMap::new();
    let mut compare = |old: &[Cap; 2], new: &[Cap; 2], field: Option<&FieldPath>| {
        for ((&old, &new), duty) in old.iter().zip(new).zip([Duty::PerReply, Duty::PerDay]) {
            if old != new {
                changed.entry((duty, old, new)).or_default().extend(field.cloned());
            }
        }
    };
    if let ([], [], [old], [new]) = (&*old.fields, &*new.fields, old.caps.as_slice(), new.caps.as_slice()) {
        compare(old, new, None);
    }
    let before: BTreeMap<&FieldPath, &[Cap; 2]> =
        old.fields.iter().map(|field| &field.path).zip(&old.caps).collect();
    for (field, caps) in new.fields.iter().zip(&new.caps) {
        if let Some(old) = before.get(&field.path) {
            compare(old, caps, Some(&field.path));
        }
    }
    let outcome = |((duty, old, new), fields): ((Duty, Cap, Cap), Vec<FieldPath>)| {
        let capped = Capped { duty, old, new, fields };
        let is_looser = new.is_none_or(|new| old.is_some_and(|old| old < new));
        if is_looser { Outcome::Loosened(capped) } else { Outcome::Tightened(capped) }
    };
    changed.into_iter().map(outcome).collect()
}
