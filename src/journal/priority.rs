//! Which threads the writer runs before.

use std::fmt;

use thread_priority::{RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};

/// The niceness that is asked for where the system allows no more (setpriority(2)).
const NICENESS: i32 = -10;

/// Which threads the writer runs before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// All ordinary ones: `SCHED_FIFO`, at its lowest priority.
    Realtime,
    /// Ordinary ones, in most cases: a lower niceness.
    Favoured,
    /// None.
    Normal,
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Realtime => "realtime",
            Self::Favoured => "favoured",
            Self::Normal => "normal",
        })
    }
}

/// Raises the calling thread as far as the system allows, and says how far that is.
pub(super) fn raise() -> Priority {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let thread = thread_priority::thread_native_id();
    if thread_priority::set_thread_priority_and_policy(thread, ThreadPriority::Min, policy).is_ok() {
        return Priority::Realtime;
    }
    // On Linux, `None` is the calling thread alone.
    match rustix::process::setpriority_process(None, NICENESS) {
        Ok(()) => Priority::Favoured,
        Err(_) => Priority::Normal,
    }
}
