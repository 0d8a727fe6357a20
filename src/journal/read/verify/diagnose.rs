//! Looks at what follows a bad line, to tell what was done.

use std::io;

use super::report::{Finding, Wrong};
use super::tree::Place;
use crate::audit::Broken;
use crate::journal::layout::{SegmentFile, segments};
use crate::journal::lines::{is_undecodable, open_segment};
use crate::journal::scan::DamageKind;
use crate::journal::storage::Storage;
use crate::tlog::leaf_hash;

/// Says more exactly what is wrong, if what follows tells. `before` is where the record before the bad one
/// stands.
pub(super) fn refine(storage: &dyn Storage, finding: Finding, before: Option<&Place>) -> io::Result<Finding> {
    let Wrong::Log(DamageKind::Line(why) | DamageKind::Middle { why, .. }) = &finding.why else {
        return Ok(finding);
    };
    let refined = match why {
        Broken::Gap { expected, found } => swapped(storage, &finding, *expected, *found),
        Broken::Previous => forged(storage, &finding, before),
        Broken::TooLong
        | Broken::Head
        | Broken::Version { .. }
        | Broken::Node { .. }
        | Broken::Generation { .. }
        | Broken::Order { .. }
        | Broken::Batch { .. }
        | Broken::Sum
        | Broken::Syntax => Ok(None),
    };
    match refined {
        Err(error) if is_undecodable(&error) => Ok(finding),
        refined => Ok(refined?.unwrap_or(finding)),
    }
}

fn lines_from(storage: &dyn Storage, finding: &Finding) -> io::Result<Option<crate::journal::lines::Lines>> {
    let Some(directory) = finding.file.parent() else { return Ok(None) };
    let file = segments(storage, directory)?.into_iter().find(|file: &SegmentFile| file.path == finding.file);
    match file {
        Some(file) => open_segment(storage, &file, finding.offset),
        None => Ok(None),
    }
}

/// The record that should stand here stands further on in the same segment.
fn swapped(
    storage: &dyn Storage,
    finding: &Finding,
    expected: u64,
    found: u64,
) -> io::Result<Option<Finding>> {
    let Some(mut lines) = lines_from(storage, finding)? else { return Ok(None) };
    let beginning = format!("{{\"v\":1,\"seq\":{expected},");
    while let Some(line) = lines.next_line()? {
        if line.starts_with(beginning.as_bytes()) {
            return Ok(Some(Finding { why: Wrong::Swapped { found }, ..finding.clone() }));
        }
    }
    Ok(None)
}

/// The record whose `prev` does not match is itself as the one after it names it: so the one before it was
/// changed.
fn forged(storage: &dyn Storage, finding: &Finding, before: Option<&Place>) -> io::Result<Option<Finding>> {
    let (Some(before), Some(mut lines)) = (before, lines_from(storage, finding)?) else { return Ok(None) };
    let Some(leaf) = lines.next_line()?.map(leaf_hash) else { return Ok(None) };
    let named = format!("\"prev\":\"{leaf}\"");
    let is_named = lines.next_line()?.is_some_and(|line| {
        // It stands in the head, before anything that a caller wrote.
        line.get(..256.min(line.len()))
            .is_some_and(|head| memchr::memmem::find(head, named.as_bytes()).is_some())
    });
    let Place { file, offset, seq, .. } = before.clone();
    Ok(is_named.then(|| Finding { file, offset, seq, why: Wrong::Forged, ..finding.clone() }))
}
