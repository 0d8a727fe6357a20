//! What a caller would be told of a decision.

use crate::catalog::Catalog;
use crate::grant::{Decision, DenyReason, Request};
use crate::kernel::id::FieldPath;
use crate::proxy::denial_code;
use crate::proxy::problem::Code;
use crate::review::change::FieldChanges;
use crate::review::gate::{Refusal, admitted};

/// The code the gate would answer `request` with, whose decision is `decision`; `None` if it lets the
/// request through.
pub(super) fn code(catalog: &Catalog, request: &Request, decision: &Decision) -> Option<Code> {
    match (admitted(catalog, request), decision) {
        (Err(refusal), _) => Some(refused_with(refusal)),
        (Ok(_), Decision::Denial(denial)) => Some(denial_code(denial.reason)),
        (Ok(_), Decision::Permit(_)) => None,
    }
}

/// The code that a caller would get.
pub(super) fn refused_with(refusal: Refusal) -> Code {
    match refusal {
        Refusal::SystemUnknown => Code::IdentityUnknown,
        Refusal::SystemDisabled => Code::IdentityDisabled,
        Refusal::PurposeUnknown => Code::PurposeUnknown,
        Refusal::Policy(reason) => denial_code(reason),
    }
}

/// The reasons for which the policy refuses, by the codes that stand in records.
const REASONS: [DenyReason; 10] = [
    DenyReason::ResourceUnknown,
    DenyReason::NoGrant,
    DenyReason::PurposeNotGranted,
    DenyReason::GrantExpired,
    DenyReason::GrantNotYetValid,
    DenyReason::OutsideSchedule,
    DenyReason::ParameterNotGranted,
    DenyReason::ScopeExceeded,
    DenyReason::Denied,
    DenyReason::EvaluationFailed,
];

/// The codes of refusals that the policy decided.
pub(super) fn policy_codes() -> Vec<&'static str> {
    REASONS.map(|reason| denial_code(reason).as_str()).into()
}

/// How the fields that leave differ from those that left.
pub(super) fn changes(fields: &FieldChanges) -> String {
    let FieldChanges { gained, lost, unmasked, masked, remasked } = fields;
    let lists = [
        ("gained", gained),
        ("lost", lost),
        ("unmasked", unmasked),
        ("masked", masked),
        ("remasked", remasked),
    ];
    let named = lists.into_iter().filter(|(_, paths)| !paths.is_empty()).map(|(what, paths)| {
        let paths: Vec<&str> = paths.iter().map(FieldPath::as_str).collect();
        format!("{what} {}", paths.join(", "))
    });
    named.collect::<Vec<_>>().join("; ")
}
