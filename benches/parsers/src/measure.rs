//! CPU time: what another process takes meanwhile is not counted.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long a batch should take at least.
const BATCH: Duration = Duration::from_millis(20);
const BATCHES: usize = 15;

/// CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).expect("less than a second");
    Duration::new(time.tv_sec.unsigned_abs(), nanoseconds)
}

/// Seconds that one `call` takes: the median of some batches.
pub(crate) fn median(mut call: impl FnMut()) -> f64 {
    let mut batch = |calls: u32| {
        let start = cpu();
        (0..calls).for_each(|_| call());
        (cpu() - start).as_secs_f64() / f64::from(calls)
    };
    // Caches and branches are warm after the first ones, and it is known how many fit.
    batch(3);
    let calls = (BATCH.as_secs_f64() / batch(3)).clamp(1.0, 1e6) as u32;
    let mut times: Vec<f64> = (0..BATCHES).map(|_| batch(calls)).collect();
    times.sort_by(f64::total_cmp);
    times[BATCHES / 2]
}
