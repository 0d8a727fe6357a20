//! Whoever the registry does not name, as the listener and the stages see them.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::audit::{self, Reached};
use crate::kernel::id::NodeId;
use crate::kernel::time::Timestamp;

/// What strangers did since it was last written down. Only they and whoever writes it down touch it.
#[derive(Debug, Clone)]
pub(crate) struct Strangers(Arc<Mutex<audit::Strangers>>);

impl Strangers {
    /// Nobody has been seen yet.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(audit::Strangers::new(now))))
    }

    /// A stranger from `address` was turned away for `reason`, which must come from a closed list.
    pub(crate) fn note(&self, reached: Reached, reason: &'static str, address: IpAddr, at: Timestamp) {
        self.lock().note(reached, reason, address, at);
    }

    /// Everything seen so far as lines of `node`; the next interval begins.
    pub(crate) fn take(&self, node: &NodeId, now: Timestamp) -> Vec<u8> {
        self.lock().take(node, now)
    }

    /// A thread that panicked while it held the lock left a count undone, and nothing worse.
    fn lock(&self) -> std::sync::MutexGuard<'_, audit::Strangers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
