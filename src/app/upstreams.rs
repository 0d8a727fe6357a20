//! Runs what goes on beside the requests to the platform's services, for each snapshot that goes live.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::proxy::Snapshot;

/// Who runs it, until the gate ends.
#[derive(Debug)]
pub(super) struct Keeper {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Keeper {
    pub(super) const fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { tasks, stop }
    }

    /// Runs it for the upstreams of `snapshot` for which it does not run yet. It ends by itself once no snapshot, and no
    /// request, has the upstream any more.
    pub(super) fn keep(&self, snapshot: &Snapshot) {
        for upstream in snapshot.upstreams.values() {
            let Some(kept) = upstream.keep() else { continue };
            let stop = self.stop.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = kept => {}
                }
            });
        }
    }
}
