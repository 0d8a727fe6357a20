//! How one decision differs from another about the same request.

use crate::grant::{Permit, ReleasedField, Treatment};
use crate::kernel::id::FieldPath;

/// How the decision of a candidate policy differs from the one in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Refused now, allowed then.
    Allowed,
    /// Allowed now, refused then.
    Refused,
    /// Allowed by both, to another extent.
    Extent {
        /// Which fields leave otherwise.
        fields: FieldChanges,
        /// Whether the row duties differ.
        duties: bool,
    },
}

/// How a candidate would decide otherwise, where a refusal is no permit; `None` if a caller would see
/// no difference. Refusals for different reasons are both refusals.
#[must_use]
pub fn change(current: Option<&Permit>, candidate: Option<&Permit>) -> Option<Change> {
    match (current, candidate) {
        (None, None) => None,
        (None, Some(_)) => Some(Change::Allowed),
        (Some(_), None) => Some(Change::Refused),
        (Some(current), Some(candidate)) => {
            let fields = FieldChanges::between(&current.fields, &candidate.fields);
            let duties = duties(current) != duties(candidate);
            (duties || !fields.is_empty()).then_some(Change::Extent { fields, duties })
        }
    }
}

fn duties(permit: &Permit) -> (Option<u64>, Option<u64>) {
    (permit.rows_per_reply, permit.rows_per_day)
}

/// Which fields leave otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldChanges {
    /// Those that leave only under the candidate.
    pub gained: Vec<FieldPath>,
    /// Those that leave no longer.
    pub lost: Vec<FieldPath>,
    /// Those that leave clear under the candidate and masked before.
    pub unmasked: Vec<FieldPath>,
    /// Those that leave masked under the candidate and clear before.
    pub masked: Vec<FieldPath>,
    /// Those that leave under another masker.
    pub remasked: Vec<FieldPath>,
}

impl FieldChanges {
    /// What changes from `current` to `candidate`, two lists of released fields.
    #[must_use]
    pub fn between(current: &[ReleasedField], candidate: &[ReleasedField]) -> Self {
        let mut changes = Self::default();
        // Both are usually the same list.
        if current == candidate {
            return changes;
        }
        for field in candidate {
            let path = || field.path.clone();
            match current.iter().find(|before| before.path == field.path).map(|before| &before.treatment) {
                None => changes.gained.push(path()),
                Some(before) if *before == field.treatment => {}
                Some(Treatment::Masked(_)) if field.treatment == Treatment::Clear => {
                    changes.unmasked.push(path());
                }
                Some(Treatment::Clear) => changes.masked.push(path()),
                Some(Treatment::Masked(_)) => changes.remasked.push(path()),
            }
        }
        for field in current {
            if !candidate.iter().any(|after| after.path == field.path) {
                changes.lost.push(field.path.clone());
            }
        }
        changes
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { gained, lost, unmasked, masked, remasked } = self;
        [gained, lost, unmasked, masked, remasked].into_iter().all(Vec::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::MaskerName;

    fn fields(text: &str) -> Vec<ReleasedField> {
        let field = |text: &str| match text.split_once(':') {
            Some((path, masker)) => (path.to_owned(), Treatment::Masked(MaskerName::parse(masker).unwrap())),
            None => (text.to_owned(), Treatment::Clear),
        };
        text.split_whitespace()
            .map(field)
            .map(|(path, treatment)| ReleasedField { path: FieldPath::parse(&path).unwrap(), treatment })
            .collect()
    }

    #[test]
    fn every_kind_of_field_change_is_told_apart() {
        let changes =
            FieldChanges::between(&fields("same a b:full c:full gone"), &fields("same a:full b c:name new"));
        let names = |paths: &[FieldPath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&changes.masked), ["a"]);
        assert_eq!(names(&changes.unmasked), ["b"]);
        assert_eq!(names(&changes.remasked), ["c"]);
        assert_eq!(names(&changes.gained), ["new"]);
        assert_eq!(names(&changes.lost), ["gone"]);
        assert!(FieldChanges::between(&fields("a b:full"), &fields("b:full a")).is_empty());
    }
}
