//! How the disk below an audit directory does, tried out without leaving anything.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::kernel::time::Clock;

/// How much is written before each flush: some records.
const WRITE_BYTES: usize = 4 << 10;

/// What a disk did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskProbe {
    /// How many writes were made durable.
    pub flushes: usize,
    /// As long as one of them took or less, half the time.
    pub median: Duration,
    /// As long as the slowest took.
    pub worst: Duration,
}

/// Makes up to `flushes` small writes durable in `directory`, one after the other as the journal does, and stops
/// after the one that exceeds `within` in all.
///
/// They go to a file without a name: nobody sees it, and it is gone with the process, however that ends. Where the
/// file system has none, the file has a name for a moment.
///
/// # Errors
/// When no file can be made there, written or flushed.
pub fn probe_disk(
    directory: &Path,
    flushes: usize,
    within: Duration,
    clock: &dyn Clock,
) -> io::Result<DiskProbe> {
    let mut file = tempfile::tempfile_in(directory)?;
    let bytes = [0; WRITE_BYTES];
    let began = clock.monotonic();
    let mut took = Vec::with_capacity(flushes);
    while took.len() < flushes.max(1) && clock.monotonic().saturating_sub(began) <= within {
        let before = clock.monotonic();
        file.write_all(&bytes)?;
        file.sync_data()?;
        took.push(clock.monotonic().saturating_sub(before));
    }
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    Ok(DiskProbe { flushes: took.len(), median, worst: took.last().copied().unwrap_or_default() })
}

/// How many bytes are free below `directory` for whoever is not root.
///
/// # Errors
/// When the directory cannot be looked at.
pub fn free_space(directory: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(directory)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::time::SystemClock;

    #[test]
    fn it_measures_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let probe = probe_disk(directory.path(), 5, Duration::from_secs(60), &SystemClock).unwrap();
        assert_eq!(probe.flushes, 5);
        assert!(probe.median <= probe.worst && probe.worst > Duration::ZERO, "{probe:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(free_space(directory.path()).unwrap() > 0);
        let gone = directory.path().join("gone");
        assert_eq!(
            probe_disk(&gone, 1, Duration::ZERO, &SystemClock).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert!(free_space(&gone).is_err());
    }
}
