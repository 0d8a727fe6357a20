//! What the gate would answer: the policy's decision, and the checks that come before it.

use std::sync::Arc;

use crate::catalog::{Catalog, System};
use crate::grant::{DenyReason, Permit, Request};
use crate::kernel::time::Timestamp;
use crate::policy::Policy;

/// A policy and the catalogue it was loaded with.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'p> {
    /// The grants.
    pub policy: &'p Policy,
    /// Departments, systems, purposes and resources.
    pub catalog: &'p Catalog,
}

/// What a request comes to.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is let through, within limits that are not looked at here.
    Permit(Permit),
    /// It is refused.
    Refused(Refusal),
}

impl Verdict {
    /// The permit, if there is one.
    #[must_use]
    pub fn permit(&self) -> Option<&Permit> {
        match self {
            Self::Permit(permit) => Some(permit),
            Self::Refused(_) => None,
        }
    }

    /// Why it is refused, if it is.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Permit(_) => None,
            Self::Refused(refusal) => Some(*refusal),
        }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// The registry does not have the system.
    SystemUnknown,
    /// The registry has it disabled.
    SystemDisabled,
    /// The purpose is not registered.
    PurposeUnknown,
    /// The policy says no.
    Policy(DenyReason),
}

impl Gate<'_> {
    /// What `request` comes to at `at`. The first check that fails speaks, in the gate's order.
    #[must_use]
    pub fn answer(&self, request: &Request, at: Timestamp) -> Verdict {
        let decided = admitted(self.catalog, request).and_then(|system| {
            self.policy.permit(&request.query(&system.department), at).map_err(Refusal::Policy)
        });
        match decided {
            Ok(permit) => Verdict::Permit(permit),
            Err(refusal) => Verdict::Refused(refusal),
        }
    }
}

/// The system of `request`, if the gate lets it come to a decision.
///
/// # Errors
/// The first check before the decision that fails, in the gate's order.
pub fn admitted<'c>(catalog: &'c Catalog, request: &Request) -> Result<&'c System, Refusal> {
    let system = catalog.registry.systems.get(&request.system).map(Arc::as_ref);
    let system = system.ok_or(Refusal::SystemUnknown)?;
    if !catalog.resources.contains_key(&request.resource) {
        return Err(Refusal::Policy(DenyReason::ResourceUnknown));
    }
    if !system.enabled {
        return Err(Refusal::SystemDisabled);
    }
    if !catalog.purposes.contains_key(&request.purpose) {
        return Err(Refusal::PurposeUnknown);
    }
    Ok(system)
}
