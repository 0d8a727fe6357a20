//! CPU time: what another process takes meanwhile is not counted.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long a batch should take at least, where more than one call fits.
const BATCH: Duration = Duration::from_millis(20);
/// A call longer than this has fewer batches.
const SLOW: Duration = Duration::from_millis(5);

/// CPU time of this thread.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).expect("less than a second");
    Duration::new(time.tv_sec.unsigned_abs(), nanoseconds)
}

/// What `work` gives, and what it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = cpu();
    let result = work();
    (result, cpu() - start)
}

/// Nanoseconds that one `call` takes, asked of each of `requests` in turn: the median of 15 batches, or of
/// 5 where a call is slow.
pub(crate) fn median<R>(requests: &[R], mut call: impl FnMut(&R) -> bool) -> f64 {
    let mut turns = requests.iter().cycle();
    let mut batch = |size: usize| {
        let turn = turns.by_ref().take(size);
        let (_, took) = timed(|| turn.filter(|&request| black_box(call(black_box(request)))).count());
        took.as_secs_f64() * 1e9 / size as f64
    };
    let first = batch(3);
    let size = (BATCH.as_secs_f64() * 1e9 / first).clamp(3.0, requests.len() as f64) as usize;
    let batches = if first > SLOW.as_secs_f64() * 1e9 { 5 } else { 15 };
    let mut times: Vec<f64> = (0..batches).map(|_| batch(size)).collect();
    times.sort_by(f64::total_cmp);
    times[batches / 2]
}
