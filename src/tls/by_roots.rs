//! A verifier by the roots that are in force.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::RootCertStore;

use super::TlsError;
use super::anchors::{Anchors, InForce};
use crate::kernel::time::Timestamp;

/// A verifier by all roots, and the one by those that are left once some have ended.
///
/// To build one copies all revocation lists and reads them, which no stranger may have done by a handshake. So the one by fewer
/// roots is kept, until another of them ends.
#[derive(Debug)]
pub(super) struct ByRoots<V: ?Sized> {
    anchors: Anchors,
    by_all: Arc<V>,
    by_fewer: ArcSwapOption<Fewer<V>>,
}

/// What was built for these roots.
#[derive(Debug)]
struct Fewer<V: ?Sized> {
    roots: InForce,
    /// `None` where none can be: the last root has ended.
    verifier: Option<Arc<V>>,
}

impl<V: ?Sized> ByRoots<V> {
    pub(super) fn new(anchors: Anchors, by_all: Arc<V>) -> Self {
        Self { anchors, by_all, by_fewer: ArcSwapOption::empty() }
    }

    /// The one by all roots, whether they are in force or not.
    pub(super) fn by_all(&self) -> &V {
        &self.by_all
    }

    /// The one by the roots in force at `now`. `None` if it cannot be built: they vouch for nobody.
    pub(super) fn at(
        &self,
        now: Timestamp,
        build: impl FnOnce(Arc<RootCertStore>) -> Result<Arc<V>, TlsError>,
    ) -> Option<Arc<V>> {
        let roots = self.anchors.in_force(now);
        if roots == self.anchors.every() {
            return Some(Arc::clone(&self.by_all));
        }
        // The roots and not the time say whether it is the right one: a clock may be set back.
        if let Some(fewer) = &*self.by_fewer.load()
            && fewer.roots == roots
        {
            return fewer.verifier.clone();
        }
        let verifier = self.anchors.store(roots).and_then(build).ok();
        self.by_fewer.store(Some(Arc::new(Fewer { roots, verifier: verifier.clone() })));
        verifier
    }
}
