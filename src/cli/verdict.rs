//! What a caller would be told of a decision.

use crate::catalog::{Catalog, System};
use crate::grant::{Decision, DenyReason};
use crate::kernel::id::PurposeCode;
use crate::proxy::denial_code;
use crate::proxy::problem::Code;

/// The code the gate would answer with; `None` if it lets the request through. It looks at route,
/// system and purpose before it decides.
pub(super) fn code(
    catalog: &Catalog,
    system: &System,
    purpose: &PurposeCode,
    decision: &Decision,
) -> Option<Code> {
    let Decision::Denial(denial) = decision else { return None };
    Some(if denial.reason == DenyReason::ResourceUnknown {
        Code::ResourceUnknown
    } else if !system.enabled {
        Code::IdentityDisabled
    } else if !catalog.purposes.contains_key(purpose) {
        Code::PurposeUnknown
    } else {
        denial_code(denial.reason)
    })
}
