//! A bound on what is in work at once, with a short queue before it: one upstream that hangs holds no
//! more of the gate than its share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bounds of a bulkhead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkheadRules {
    /// Requests in work at once.
    pub requests: usize,
    /// Requests that wait for one of them to end.
    pub waiting: usize,
    /// How long one waits.
    pub wait: Duration,
}

/// There is no place, and none was free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A place among the requests in work, until it is dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "it is held, not looked at")] OwnedSemaphorePermit);

/// The places.
#[derive(Debug)]
pub struct Bulkhead {
    rules: BulkheadRules,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// One that waits, until it is dropped.
struct Waiting<'b>(&'b AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bulkhead {
    /// With every place free.
    #[must_use]
    pub fn new(rules: BulkheadRules) -> Self {
        let places = Arc::new(Semaphore::new(rules.requests.min(Semaphore::MAX_PERMITS)));
        Self { rules, places, waiting: AtomicUsize::new(0) }
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many are in work.
    #[must_use]
    pub fn in_work(&self) -> usize {
        self.rules.requests.saturating_sub(self.places.available_permits())
    }

    /// A place, at once or in time.
    ///
    /// # Errors
    /// When too many wait already, or the wait was too long.
    pub async fn enter(&self) -> Result<Place, Full> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place(place));
        }
        let _waiting = self.queue()?;
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(self.rules.wait, place).await {
            Ok(Ok(place)) => Ok(Place(place)),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }

    fn queue(&self) -> Result<Waiting<'_>, Full> {
        let one_more = |waiting: usize| (waiting < self.rules.waiting).then_some(waiting + 1);
        match self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Waiting(&self.waiting)),
            Err(_) => Err(Full),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulkhead(wait: Duration) -> Bulkhead {
        Bulkhead::new(BulkheadRules { requests: 2, waiting: 1, wait })
    }

    #[tokio::test]
    async fn one_waits_and_gets_the_place_that_is_given_up() {
        let bulkhead = bulkhead(Duration::from_secs(60));
        let (one, _two) = (bulkhead.enter().await.unwrap(), bulkhead.enter().await.unwrap());
        assert_eq!((bulkhead.in_work(), bulkhead.waiting()), (2, 0));
        let mut third = Box::pin(bulkhead.enter());
        tokio::select! {
            biased;
            _ = &mut third => panic!("there were two places"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(bulkhead.waiting(), 1);
        assert!(bulkhead.enter().await.is_err(), "one may wait");
        drop(one);
        assert!(third.await.is_ok());
        assert_eq!((bulkhead.in_work(), bulkhead.waiting()), (1, 0), "and was given up again");
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_or_is_counted_after() {
        let bulkhead = bulkhead(Duration::from_millis(1));
        let (_one, _two) = (bulkhead.enter().await.unwrap(), bulkhead.enter().await.unwrap());
        assert!(bulkhead.enter().await.is_err());
        assert_eq!(bulkhead.waiting(), 0);
    }
}
