//! What is logged, while the gate runs.
//!
//! The configuration says it at the start; an operator may say something else, for good or for a while.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::reload::Handle;

use crate::config::LogFilter;
use crate::kernel::time::Timestamp;

/// What the subscriber of this process asks before it writes a line.
pub(crate) type Switch = Handle<Targets, Registry>;

/// What is logged, and by whose word.
#[derive(Debug, Clone, PartialEq)]
struct Now {
    filter: LogFilter,
    /// Where it is for a while.
    ends: Option<Ends>,
}

/// How a filter ends that is for a while.
#[derive(Debug, Clone, PartialEq)]
struct Ends {
    /// By the clock that only goes on.
    at: Duration,
    /// What people are told.
    told: Timestamp,
    /// What is logged then.
    then: LogFilter,
}

/// What is logged.
pub(crate) struct Levels {
    /// `None` where this process logs by somebody else's subscriber.
    switch: Option<Switch>,
    configured: LogFilter,
    /// INVARIANT: what the switch was told last. Changed by operators alone; no request meets this lock.
    now: Mutex<Now>,
    /// Wakes who waits for the end of a while.
    changed: Notify,
}

/// What is logged, for people.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) filter: LogFilter,
    pub(super) configured: LogFilter,
    /// Until when, and what is logged then.
    pub(super) until: Option<(Timestamp, LogFilter)>,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Changed {
    pub(super) from: LogFilter,
    pub(super) to: LogFilter,
}

/// A while: how long it is, and both clocks at its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct While {
    pub(super) length: Duration,
    pub(super) monotonic: Duration,
    pub(super) now: Timestamp,
}

/// Why what is logged is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this process does not log by itself, so that what it logs cannot be changed")]
pub(super) struct NotOurs;

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Levels").field("now", &self.lock()).finish_non_exhaustive()
    }
}

impl Levels {
    /// Of a process that logs through `switch`, which lets through what the configuration says.
    pub(crate) fn new(switch: Option<Switch>, configured: LogFilter) -> Self {
        let now = Mutex::new(Now { filter: configured.clone(), ends: None });
        Self { switch, configured, now, changed: Notify::new() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is logged.
    pub(super) fn shown(&self) -> Shown {
        let Now { filter, ends } = self.lock().clone();
        let until = ends.map(|ends| (ends.told, ends.then));
        Shown { filter, configured: self.configured.clone(), until }
    }

    /// What a change to `filter` would change, or to what the configuration says if that is `None`. Changes nothing.
    pub(super) fn would_change(&self, filter: Option<&LogFilter>) -> Result<Changed, NotOurs> {
        self.switch.as_ref().ok_or(NotOurs)?;
        Ok(Changed { from: self.lock().filter.clone(), to: filter.unwrap_or(&self.configured).clone() })
    }

    /// What ends at `monotonic` or before it. Changes nothing.
    pub(super) fn would_end(&self, monotonic: Duration) -> Option<Changed> {
        let now = self.lock();
        let ends = now.ends.as_ref().filter(|ends| ends.at <= monotonic)?;
        Some(Changed { from: now.filter.clone(), to: ends.then.clone() })
    }

    /// Logs by `filter` from now on, or by what the configuration says if that is `None`; if it is for a while, by
    /// what was last said for good after it.
    pub(super) fn change(&self, filter: Option<LogFilter>, span: Option<While>) -> Result<Changed, NotOurs> {
        let to = filter.unwrap_or_else(|| self.configured.clone());
        let mut now = self.lock();
        let lasting = now.ends.as_ref().map_or(&now.filter, |ends| &ends.then).clone();
        let ends = span.map(|span| {
            let length = jiff::SignedDuration::try_from(span.length).unwrap_or(jiff::SignedDuration::MAX);
            Ends {
                at: span.monotonic.saturating_add(span.length),
                told: span.now.checked_add(length).unwrap_or(Timestamp::MAX),
                then: lasting,
            }
        });
        self.apply(&mut now, to, ends)
    }

    /// Ends what was for a while and is over at `monotonic`.
    pub(super) fn end_if_over(&self, monotonic: Duration) -> Option<Changed> {
        let mut now = self.lock();
        let then = now.ends.take_if(|ends| ends.at <= monotonic)?.then;
        // What could be changed before can be changed back.
        self.apply(&mut now, then, None).ok()
    }

    fn apply(&self, now: &mut Now, to: LogFilter, ends: Option<Ends>) -> Result<Changed, NotOurs> {
        let switch = self.switch.as_ref().ok_or(NotOurs)?;
        switch.reload(to.targets().clone()).map_err(|_| NotOurs)?;
        let from = std::mem::replace(now, Now { filter: to.clone(), ends }).filter;
        self.changed.notify_one();
        Ok(Changed { from, to })
    }

    /// Waits until what is for a while may be over; the length of time is asked of the clock that only goes on.
    pub(super) async fn wait(&self, monotonic: impl Fn() -> Duration) {
        let left = self.lock().ends.as_ref().map(|ends| ends.at.saturating_sub(monotonic()));
        match left {
            Some(left) => {
                tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep(left) => {}
                }
            }
            None => self.changed.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::reload;

    use super::*;

    fn filter(text: &str) -> LogFilter {
        LogFilter::parse(text).unwrap()
    }

    fn span(length_s: u64, monotonic_s: u64) -> While {
        While {
            length: Duration::from_secs(length_s),
            monotonic: Duration::from_secs(monotonic_s),
            now: "2026-06-01T09:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn what_is_for_a_while_ends_with_what_was_said_for_good() {
        // The layer must live for the switch to reach it.
        let (_layer, switch) = reload::Layer::new(filter("info").targets().clone());
        let levels = Levels::new(Some(switch.clone()), filter("info"));
        let told = || switch.with_current(Clone::clone).unwrap();
        let said = |shown: &Shown| (shown.filter.to_string(), shown.until.clone());

        levels.change(Some(filter("warn")), None).unwrap();
        let changed = levels.change(Some(filter("debug")), Some(span(600, 100))).unwrap();
        assert_eq!((changed.from.as_str(), changed.to.as_str()), ("warn", "debug"));
        assert_eq!(&told(), filter("debug").targets());
        let until = ("2026-06-01T09:10:00Z".parse().unwrap(), filter("warn"));
        assert_eq!(said(&levels.shown()), ("debug".to_owned(), Some(until)));

        // Another while begins anew, and remembers the same.
        levels.change(Some(filter("trace")), Some(span(60, 200))).unwrap();
        assert_eq!(levels.end_if_over(Duration::from_secs(259)), None);
        assert_eq!(&told(), filter("trace").targets());
        let changed = levels.end_if_over(Duration::from_secs(260)).unwrap();
        assert_eq!((changed.from.as_str(), changed.to.as_str()), ("trace", "warn"));
        assert_eq!(&told(), filter("warn").targets());
        assert_eq!(levels.end_if_over(Duration::MAX), None, "once");

        // What is said for good ends the while.
        levels.change(Some(filter("debug")), Some(span(60, 300))).unwrap();
        levels.change(None, None).unwrap();
        assert_eq!(levels.end_if_over(Duration::MAX), None);
        assert_eq!(said(&levels.shown()), ("info".to_owned(), None));
        assert_eq!(&told(), filter("info").targets());
    }

    #[test]
    fn somebody_elses_subscriber_is_left_alone() {
        let levels = Levels::new(None, filter("info"));
        assert_eq!(levels.change(Some(filter("debug")), None), Err(NotOurs));
        assert_eq!(levels.shown().filter, filter("info"));
    }
}
