//! Whether the clock can be trusted: tokens, windows and certificates are judged by it.

use std::path::Path;

use super::observation::Observation;
use crate::config::Config;
use crate::kernel::time::Timestamp;

/// systemd-timesyncd makes it when the clock is synchronised.
const TIMESYNCD: &str = "/run/systemd/timesync/synchronized";

pub(super) fn examine(config: &Config, now: Timestamp) -> Observation {
    by(Path::new(TIMESYNCD), newest(config), now)
}

/// Nothing that is there was made later than now: the newest change of what the gate writes and rests on.
fn newest(config: &Config) -> Option<Timestamp> {
    let written = std::fs::read_dir(&config.audit.directory).into_iter().flatten().flatten();
    let paths =
        written.map(|entry| entry.path()).chain([config.path.clone(), config.tls.certificate.path.clone()]);
    let times = paths.filter_map(|path| path.metadata().ok()?.modified().ok());
    times.filter_map(|time| Timestamp::try_from(time).ok()).max()
}

fn by(marker: &Path, newest: Option<Timestamp>, now: Timestamp) -> Observation {
    const MEND: &str = "set the clock, and keep it by chrony or systemd-timesyncd: tokens, windows and certificates are judged by it";
    let seen =
        |found: String| Observation::new("clock", now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), found);
    if let Some(newest) = newest.filter(|newest| newest.as_second() > now.as_second().saturating_add(1)) {
        return seen(format!("behind: a file of the gate was written at {newest}")).bad(MEND);
    }
    if marker.exists() {
        return seen("synchronised, says systemd-timesyncd".to_owned());
    }
    seen("nothing here says whether it is synchronised".to_owned())
        .unknown("`timedatectl` or `chronyc tracking` does; it should be right to a second")
}

#[cfg(test)]
mod tests {
    use super::super::observation::Standing;
    use super::*;

    #[test]
    fn a_clock_is_behind_synchronised_or_unknown() {
        let now: Timestamp = "2026-06-01T01:30:00Z".parse().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let marker = directory.path().join("synchronized");
        assert_eq!(by(&marker, Some(now), now).standing, Standing::Unknown);
        std::fs::write(&marker, "").unwrap();
        assert_eq!(by(&marker, None, now).standing, Standing::Good);
        let later: Timestamp = "2026-06-01T01:31:00Z".parse().unwrap();
        assert_eq!(by(&marker, Some(later), now).standing, Standing::Bad);
    }
}
