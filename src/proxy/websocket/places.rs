//! Places for sessions: in all, and of each system. A session holds a request in work, a connection and one to the
//! platform for as long as it likes, so there are fewer of them than of those.

use std::sync::Arc;

use super::super::failure::Failure;
use super::super::listener::{Share, Shares};
use crate::config::Bounds;
use crate::kernel::id::SystemId;
use crate::telemetry::SessionMetrics;

/// All places of a gate, and what is counted of who has them.
#[derive(Debug)]
pub(crate) struct SessionPlaces {
    all: Shares<()>,
    systems: Shares<SystemId>,
    most: usize,
    most_of_one: usize,
    pub(crate) metrics: SessionMetrics,
}

/// The place of one session, until it is dropped.
pub(crate) type SessionPlace = (Share<()>, Share<SystemId>);

impl SessionPlaces {
    pub(crate) fn new(bounds: &Bounds, metrics: SessionMetrics) -> Arc<Self> {
        Arc::new(Self {
            all: Shares::default(),
            systems: Shares::default(),
            most: bounds.sessions,
            most_of_one: bounds.sessions_per_system,
            metrics,
        })
    }

    /// A place for a session of `system`, at once or not at all.
    pub(crate) fn take(&self, system: &SystemId) -> Result<SessionPlace, Failure> {
        let most = self.most_of_one;
        let of_system = self.systems.take(system.clone(), most).ok_or(Failure::Sessions { most })?;
        let of_all = self.all.take((), self.most).ok_or(Failure::Overloaded)?;
        Ok((of_all, of_system))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::problem::Code;
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn nobody_has_more_than_its_share_of_all() {
        let metrics = Metrics::new().unwrap().sessions;
        let bounds = Bounds { sessions: 3, sessions_per_system: 2, ..Bounds::default() };
        let places = SessionPlaces::new(&bounds, metrics);
        let [one, other] = ["sys:one", "sys:other"].map(|id| SystemId::parse(id).unwrap());
        let code = |taken: Result<SessionPlace, Failure>| taken.map(drop).map_err(|failure| failure.code());
        let first = places.take(&one).unwrap();
        let _second = places.take(&one).unwrap();
        assert_eq!(code(places.take(&one)), Err(Code::RateConcurrency));
        let _third = places.take(&other).unwrap();
        assert_eq!(code(places.take(&other)), Err(Code::Overloaded));
        drop(first);
        // What was refused has taken nothing.
        let _fourth = places.take(&other).unwrap();
    }
}
