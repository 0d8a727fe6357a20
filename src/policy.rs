//! The policy engine: may this system do this with this resource, for this purpose, now, and what
//! may leave?
//!
//! Pure: it is given texts and instants and knows no file and no clock. [`Policy::load`] turns
//! `model.conf`, `grants.csv` and the catalogue into a [`Policy`]; [`Policy::decide`] answers one
//! query; [`Policy::explain`] says why. Casbin is the semantics: the shipped model is decided
//! natively over an index, and casbin-rs is held against it at every load (`oracle`).
//!
//! INVARIANT: what cannot be evaluated is refused.

use std::collections::HashMap;

use crate::kernel::id::GrantId;

pub mod calendar;
pub mod csv;
pub mod enforcer;
pub mod format;
pub mod model;
pub mod oracle;
pub mod problem;
pub mod reading;
pub mod scope;
pub mod terms;
pub mod window;

mod changed;
mod decide;
mod explain;
mod hidden;
mod listing;
mod load;
mod near;
mod preview;
mod release;
pub(crate) mod roles;
mod schedule;
pub(crate) mod schema;
mod table;
pub(crate) mod vocabulary;

pub use explain::advice;
pub use explain::{Explanation, Held, MAX_SHOWN};
pub use listing::{Entitlement, GrantSummary, Holdings};
pub use load::PolicyInput;
pub use preview::Preview;

use enforcer::gate::Gate;
use release::Released;
use table::Table;
use terms::Grant;
use vocabulary::Vocabulary;
use window::Frame;

/// Compiled grants and the catalogue they speak of; immutable.
#[derive(Debug)]
pub struct Policy {
    frame: Frame,
    vocabulary: Vocabulary,
    grants: Vec<Grant>,
    /// The ids of the grants once more, close together: all that a permit needs of most.
    ids: Box<[GrantId]>,
    by_id: HashMap<GrantId, usize>,
    table: Table,
    released: Released,
    /// The matcher, where it is not the shipped one.
    changed: Option<Box<Gate>>,
}

impl Policy {
    fn new(frame: Frame, vocabulary: Vocabulary, grants: Vec<Grant>, table: Table) -> Self {
        let by_id = grants.iter().enumerate().map(|(index, grant)| (grant.id.clone(), index)).collect();
        let ids = grants.iter().map(|grant| grant.id.clone()).collect();
        Self { frame, vocabulary, grants, ids, by_id, table, released: Released::new(), changed: None }
    }

    /// Every grant and refusal, in file order.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The grant called `id`.
    #[must_use]
    pub fn grant(&self, id: &GrantId) -> Option<&Grant> {
        self.grants.get(*self.by_id.get(id)?)
    }

    /// The catalogue it speaks of, by number: for tools that look at a whole policy.
    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The local clock and calendar it reads windows by.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[cfg(test)]
pub(crate) mod tests;
