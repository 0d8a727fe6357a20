//! Says once that a revocation list has become stale while the gate runs: from then on those whom it covers hear of
//! an unknown authority, and nothing that they did is wrong.

use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::time::Timestamp;

/// A revocation list: whose it is, and when the next one is due.
type Due = (Arc<str>, Timestamp);

/// The lists that are due and not told of yet.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    /// Written by reloads and read every some seconds: on no request's path.
    left: Mutex<Vec<Due>>,
}

impl Overdue {
    /// These lists are in force now.
    pub(super) fn watch(&self, lists: &[(Arc<str>, Option<Timestamp>)]) {
        let due = lists.iter().filter_map(|(issuer, at)| Some((Arc::clone(issuer), (*at)?)));
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = due.collect();
    }

    /// Those that have become stale since the last time.
    pub(super) fn since(&self, now: Timestamp) -> Vec<Due> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.extract_if(.., |(_, due)| *due < now).collect()
    }

    /// Logs them.
    pub(super) fn tell(&self, now: Timestamp) {
        for (issuer, since) in self.since(now) {
            tracing::error!(
                %issuer, %since,
                "a revocation list is stale: fetch the authority's newest list into its place and reload; until then \
                 those whom it covers are treated as `[tls] stale_crl` says"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_is_told_of_once() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let overdue = Overdue::default();
        let lists = [
            (Arc::from("A"), Some(at("2026-06-01T00:00:00Z"))),
            (Arc::from("B"), Some(at("2026-06-02T00:00:00Z"))),
            (Arc::from("C"), None),
        ];
        overdue.watch(&lists);
        assert!(overdue.since(at("2026-06-01T00:00:00Z")).is_empty(), "due is not overdue");
        assert_eq!(overdue.since(at("2026-06-01T00:00:01Z")), [(Arc::from("A"), at("2026-06-01T00:00:00Z"))]);
        assert!(overdue.since(at("2026-06-01T00:00:01Z")).is_empty());
        overdue.watch(&lists[1..]);
        assert_eq!(overdue.since(at("2026-07-01T00:00:00Z")).len(), 1, "a reload begins anew");
    }
}
