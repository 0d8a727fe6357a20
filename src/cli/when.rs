//! Times as people give them.

use super::CommandError;
use crate::kernel::time::{TimeZone, Timestamp};

/// The zone in which local times are meant where no configuration says another.
const DEFAULT_ZONE: &str = "Asia/Shanghai";

/// An instant, or a local time in a zone still to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Instant(Timestamp),
    Local(jiff::civil::DateTime),
}

impl When {
    /// Reads a text with an offset as an instant, and a date, or date and time, without one as local.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        text.parse().map(Self::Instant).or_else(|_| text.parse().map(Self::Local)).map_err(|_| {
            "expected an instant such as `2026-06-01T09:30:00+08:00`, or a local time such as `2026-06-01T09:30`"
        })
    }

    /// The instant that is meant.
    pub(super) fn instant(self, zone: &TimeZone) -> Result<Timestamp, CommandError> {
        match self {
            Self::Instant(instant) => Ok(instant),
            Self::Local(local) => zone.to_timestamp(local).map_err(|_| CommandError::Unknown {
                given: local.to_string(),
                what: "a time that can be told",
                help: "give a time between the years 1 and 9999".to_owned(),
            }),
        }
    }
}

/// Reads the name of a zone.
pub(super) fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "expected an IANA time zone, such as `Asia/Shanghai`".to_owned())
}

/// The zone where none is given.
pub(super) fn default_zone() -> TimeZone {
    // The bundled database has it; a system database that lacks it must not stop a check.
    TimeZone::get(DEFAULT_ZONE).unwrap_or(TimeZone::UTC)
}

/// What the local clock shows, and its offset.
pub(super) fn local(zone: &TimeZone, at: Timestamp) -> String {
    format!("{} {}", zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S"), zone.to_offset(at))
}
