//! What a generation says of earlier ones: how many records they had, and the digest of the last.

use std::io;

use super::super::layout::{GenerationDir, segments};
use super::super::lines::{is_undecodable, open_segment};
use super::super::storage::Storage;
use crate::audit::{Kind, ParsedRecord, peek_kind};

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

/// Whether a later generation says that what followed record `records` of `generation` was put aside.
pub(in crate::journal) fn was_repaired(
    storage: &dyn Storage,
    places: &[GenerationDir],
    generation: u32,
    records: u64,
) -> io::Result<bool> {
    for place in places.iter().filter(|place| place.number > generation) {
        let is_it =
            |claim: &Claim| claim.is_repair && claim.generation == generation && claim.records == records;
        if claims(storage, place)?.iter().any(is_it) {
            return Ok(true);
        }
    }
    Ok(false)
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
