//! A candidate policy beside the live one: it decides the same requests, and nothing follows from it
//! but a count and a mark in the record.
//!
//! It is asked after the live decision and reads what that read: the same request, the same instant.
//! Its words are its own — a system, resource or purpose that the candidate does not know is a refusal
//! by it. Whatever happens to it, the reply is that of the live policy.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use super::exchange::Draft;
use crate::catalog::Catalog;
use crate::grant::{Permit, Query};
use crate::kernel::id::{Digest, ResourceId};
use crate::kernel::time::Timestamp;
use crate::policy::Policy;
use crate::review::change::{Change, change};
use crate::telemetry::{ShadowChange, ShadowMetrics};

/// A candidate policy that is evaluated and not enforced.
#[derive(Debug)]
pub(crate) struct Shadow {
    /// Its vocabulary.
    pub(crate) catalog: Catalog,
    /// Its grants and model.
    pub(crate) policy: Policy,
    /// The digest of its directory.
    pub(crate) digest: Digest,
    /// The same as text, for records.
    pub(crate) digest_hex: String,
    /// What is counted of it, by resource of the live catalogue.
    pub(crate) metrics: HashMap<ResourceId, ShadowMetrics>,
}

impl Shadow {
    /// How the candidate differs from the `live` decision on `query`, counted; `None` if it does not.
    pub(crate) fn compare(
        &self,
        query: &Query<'_>,
        live: Option<&Permit>,
        draft: &Draft,
    ) -> Option<ShadowChange> {
        let now = draft.received;
        // To decide is total. If it were not, the request of a caller would still be none of it.
        let decided = std::panic::catch_unwind(AssertUnwindSafe(|| self.permit(query, now)));
        let candidate = decided.unwrap_or_else(|_panic| {
            tracing::error!(
                request_id = %draft.request_id, trace_id = draft.trace_id(), resource = %query.resource,
                "the candidate policy made the gate panic; it counts as a refusal"
            );
            None
        });
        let found = match change(live, candidate.as_ref()) {
            None => ShadowChange::None,
            Some(Change::Allowed) => ShadowChange::Allowed,
            Some(Change::Refused) => ShadowChange::Refused,
            Some(Change::Extent { .. }) => ShadowChange::Extent,
        };
        if let Some(metrics) = self.metrics.get(query.resource) {
            metrics.count(found);
        }
        (found != ShadowChange::None).then_some(found)
    }

    /// As the gate would under the candidate: for a system that is registered there and enabled, by the
    /// department that it has there, and a purpose that is registered there.
    fn permit(&self, query: &Query<'_>, now: Timestamp) -> Option<Permit> {
        let system = self.catalog.registry.systems.get(query.system).filter(|system| system.enabled);
        let system = system.filter(|_| self.catalog.purposes.contains_key(query.purpose))?;
        self.policy.permit(&Query { department: &system.department, ..query.clone() }, now).ok()
    }
}
