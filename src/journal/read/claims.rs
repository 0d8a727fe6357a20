//! What a generation says of earlier ones: how many records they had, and the digest of the last.

use std::io;

use super::super::layout::{GenerationDir, segments};
use super::super::lines::{is_undecodable, open_segment};
use super::super::storage::Storage;
use crate::audit::{Kind, ParsedRecord, peek_instant, peek_kind};
use crate::journal::LEAST_RETENTION_DAYS;
use crate::kernel::time::Timestamp;

/// What a generation says of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::journal) struct Claim {
    pub(in crate::journal) generation: u32,
    pub(in crate::journal) records: u64,
    pub(in crate::journal) head: String,
    /// Whether what followed those records was put aside by a repair.
    pub(in crate::journal) is_repair: bool,
}

impl Claim {
    /// What a record says, if it says anything of an earlier generation.
    pub(in crate::journal) fn of(line: &[u8]) -> Option<Self> {
        memchr::memmem::find(line, b"\"kind\":\"lifecycle\"")?;
        let record = ParsedRecord::parse(line).ok()?;
        let event = record.event.as_deref()?;
        if !matches!(event, "follows" | "recovered" | "repair") {
            return None;
        }
        let detail = |name: &str| record.detail.get(name);
        Some(Self {
            generation: detail("generation")?.parse().ok()?,
            records: detail("records")?.parse().ok()?,
            head: detail("head")?.clone(),
            is_repair: event == "repair",
        })
    }
}

/// That records were removed, as they were old enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) struct Pruning {
    /// Nothing before this record of this generation need be there, nor any earlier generation.
    pub(in crate::journal) upto: (u32, u64),
    /// Whether all of them were as old then as they had to be.
    pub(in crate::journal) is_in_time: bool,
}

impl Pruning {
    /// What a record says, if it says that others were removed.
    pub(in crate::journal) fn of(line: &[u8]) -> Option<Self> {
        memchr::memmem::find(line, b"\"event\":\"pruned\"")?;
        let record = ParsedRecord::parse(line).ok()?;
        if record.event.as_deref() != Some("pruned") {
            return None;
        }
        let detail = |name: &str| record.detail.get(name);
        let upto = (detail("generation")?.parse().ok()?, detail("before")?.parse().ok()?);
        let age = || {
            let days: i64 = detail("retention_days")?.parse().ok()?;
            let newest: Timestamp = detail("last_at")?.parse().ok()?;
            let at: Timestamp =
                peek_instant(line).and_then(|at| std::str::from_utf8(at).ok())?.parse().ok()?;
            let hours = at.duration_since(newest).as_hours();
            Some(days >= i64::from(LEAST_RETENTION_DAYS) && hours >= days.saturating_mul(24))
        };
        Some(Self { upto, is_in_time: age().unwrap_or(false) })
    }
}

/// What later generations say was put aside: of `places`, what each one begins with.
///
/// # Errors
/// When they cannot be read.
pub(in crate::journal) fn repairs(storage: &dyn Storage, places: &[GenerationDir]) -> io::Result<Vec<Claim>> {
    let mut repairs = Vec::new();
    for place in places {
        repairs.extend(claims(storage, place)?.into_iter().filter(|claim| claim.is_repair));
    }
    Ok(repairs)
}

/// What a generation says of earlier ones. It says it before anything else.
fn claims(storage: &dyn Storage, place: &GenerationDir) -> io::Result<Vec<Claim>> {
    let mut claims = Vec::new();
    let files = segments(storage, &place.path)?;
    let Some(first) = files.first().filter(|file| file.first == 0) else { return Ok(claims) };
    let read = || -> io::Result<Vec<Claim>> {
        let Some(mut lines) = open_segment(storage, first, 0)? else { return Ok(Vec::new()) };
        while let Some(line) = lines.next_line()? {
            match Claim::of(line) {
                Some(claim) => claims.push(claim),
                // Only the outcomes that recovery knows of stand between.
                None if peek_kind(line) == Some(Kind::Outcome) => {}
                None => break,
            }
        }
        Ok(claims)
    };
    match read() {
        Err(error) if is_undecodable(&error) => Ok(Vec::new()),
        claims => claims,
    }
}
