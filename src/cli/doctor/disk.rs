//! Whether records can be made durable, and how soon.

use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::observation::Observation;
use crate::config::Audit;
use crate::journal::{DiskProbe, free_space, probe_disk};
use crate::kernel::bound::ByteLimit;
use crate::kernel::time::Clock;

/// How many flushes are tried.
const FLUSHES: usize = 40;
/// And for how long.
const WITHIN: Duration = Duration::from_secs(2);
/// For how long all of them are waited for: a single one may take longer than that.
const GIVE_UP: Duration = Duration::from_secs(5);
/// Every request waits for one flush: from here on it is felt,
const SLOW: Duration = Duration::from_millis(20);
/// and from here on it is no disk for a gate.
const TOO_SLOW: Duration = Duration::from_millis(250);
/// One that takes as long keeps everybody waiting.
const STALL: Duration = Duration::from_secs(1);

pub(super) fn examine(audit: &Audit, clock: &Arc<dyn Clock>) -> Vec<Observation> {
    // The gate makes the directory itself, where it may.
    let directory = match audit.directory.parent() {
        Some(parent) if !audit.directory.exists() => parent,
        Some(_) | None => &audit.directory,
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let name = directory.display().to_string();
    let (path, clock) = (directory.to_owned(), Arc::clone(clock));
    match bounded(GIVE_UP, move || probe_disk(&path, FLUSHES, WITHIN, &*clock)) {
        Ok(Some(Ok(probe))) => vec![latency(&name, probe), space(directory, audit.low_space)],
        // It is asked nothing more: that may never end, too.
        Ok(None) => vec![
            Observation::new("audit-disk", &name, format!("a flush did not end in {} s", GIVE_UP.as_secs()))
                .bad("see what the system's log says of this disk: no data leaves before its record is durable"),
            Observation::new("audit-space", name, "not asked: the disk does not answer")
                .unknown("see `df` once it does"),
        ],
        Ok(Some(Err(error))) | Err(error) => vec![unwritable(&name, &error), space(directory, audit.low_space)],
    }
}

/// Nothing can be written there, for want of room or of the right to.
fn unwritable(name: &str, error: &io::Error) -> Observation {
    const MENDS: [(io::ErrorKind, &str); 3] = [
        (io::ErrorKind::StorageFull, "make room, or move the log to a larger disk"),
        (io::ErrorKind::QuotaExceeded, "raise the quota of the gate's account, or make room"),
        (
            io::ErrorKind::ReadOnlyFilesystem,
            "mount it for writing: a disk that failed may have been made read-only, which the system's log says",
        ),
    ];
    let known = MENDS.iter().find(|(kind, _)| *kind == error.kind());
    let mend = known.map_or("let the gate's account write there", |(_, mend)| mend);
    Observation::new("audit-disk", name, format!("nothing can be written there: {error}"))
        .bad(format!("{mend}: no data leaves before its record is durable"))
}

/// What `work` comes to on a thread of its own; `None` if it has not come to its end `within` that time.
fn bounded<T: Send + 'static>(
    within: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let (done, result) = mpsc::sync_channel(1);
    // Nobody waits for it: what hangs in the kernel goes on hanging there.
    let _thread = std::thread::Builder::new().name("probe".to_owned()).spawn(move || done.send(work()))?;
    Ok(result.recv_timeout(within).ok())
}

fn latency(name: &str, probe: DiskProbe) -> Observation {
    const MEND: &str =
        "put it on a local disk of its own that answers sooner: every request waits for one flush";
    let DiskProbe { flushes, median, worst } = probe;
    let found = format!("{flushes} flushes: median {}, worst {}", shown(median), shown(worst));
    let seen = Observation::new("audit-disk", name, found);
    if median >= TOO_SLOW {
        seen.bad(MEND)
    } else if median >= SLOW || worst >= STALL {
        seen.doubtful(MEND)
    } else {
        seen
    }
}

fn space(directory: &Path, low: ByteLimit) -> Observation {
    let seen = |found: String| Observation::new("audit-space", directory.display().to_string(), found);
    match free_space(directory) {
        Ok(free) => {
            let found = format!("{} MiB free, alarm below {low}", free >> 20);
            match free {
                free if free < low.get() => seen(found)
                    .bad("make room, or move the log to a larger disk: once there is none, no data leaves"),
                free if free < low.get().saturating_mul(2) => {
                    seen(found).doubtful("make room before the alarm is raised")
                }
                _ => seen(found),
            }
        }
        Err(error) => seen(format!("free space cannot be told: {error}")).unknown("see `df`"),
    }
}

fn shown(time: Duration) -> String {
    format!("{}.{:02} ms", time.as_millis(), time.subsec_micros() / 10 % 100)
}

#[cfg(test)]
mod tests {
    use super::super::observation::Standing;
    use super::*;

    #[test]
    fn what_hangs_is_not_waited_for() {
        assert_eq!(bounded(Duration::from_secs(60), || 7).unwrap(), Some(7));
        let (hold, held) = mpsc::channel::<()>();
        assert!(bounded(Duration::from_millis(1), move || held.recv().is_ok()).unwrap().is_none());
        drop(hold);
    }

    #[test]
    fn a_full_disk_is_told_from_one_that_may_not_be_written() {
        for (kind, mend) in [
            (io::ErrorKind::StorageFull, "make room"),
            (io::ErrorKind::QuotaExceeded, "raise the quota"),
            (io::ErrorKind::ReadOnlyFilesystem, "mount it for writing"),
            (io::ErrorKind::PermissionDenied, "let the gate's account write there"),
        ] {
            let seen = unwritable("audit", &kind.into());
            assert_eq!(seen.standing, Standing::Bad);
            assert!(seen.mend.as_ref().is_some_and(|said| said.starts_with(mend)), "{seen:?}");
        }
    }

    #[test]
    fn a_slow_disk_is_told_from_a_fast_one() {
        let ms = Duration::from_millis;
        for (median, worst, standing) in [
            (ms(1), ms(9), Standing::Good),
            (ms(20), ms(30), Standing::Doubtful),
            (ms(2), ms(1_500), Standing::Doubtful),
            (ms(250), ms(900), Standing::Bad),
        ] {
            let seen = latency("audit", DiskProbe { flushes: 4, median, worst });
            assert_eq!(seen.standing, standing, "{seen:?}");
        }
        let seen =
            latency("audit", DiskProbe { flushes: 4, median: Duration::from_micros(1_234), worst: ms(25) });
        assert_eq!(seen.found, "4 flushes: median 1.23 ms, worst 25.00 ms");
    }
}
