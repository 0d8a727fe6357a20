//! Reads on from an instant, without the segments that lie before it.

use std::ops::ControlFlow;
use std::path::Path;

use super::super::layout::{SegmentFile, segments};
use super::super::lines::open_segment;
use super::super::storage::{DiskStorage, Storage};
use super::{ReadError, generations_of};
use crate::audit::{ParsedRecord, peek_ended, peek_instant};
use crate::kernel::time::Timestamp;

/// Calls `each` with every record of what happened from the instant `from` on, or began before it and ended
/// from then on, in the order of each generation, until it breaks. A directory without a log has no records.
///
/// A segment is passed over when the one after it in its generation begins before `from`. Lines that are
/// no records are left out.
///
/// # Errors
/// When the log cannot be read.
pub fn since(
    directory: &Path,
    from: Timestamp,
    each: &mut dyn FnMut(ParsedRecord) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let storage = DiskStorage;
    let generations = match generations_of(&storage, directory) {
        Err(ReadError::NoLog(_)) => return Ok(()),
        found => found?,
    };
    for generation in generations {
        let files = segments(&storage, &generation.path).map_err(ReadError::io(&generation.path))?;
        let mut files = files.iter().peekable();
        while let Some(file) = files.next() {
            let next = files.peek().copied();
            if let Some(next) = next
                && begins_before(&storage, next, from)?
            {
                continue;
            }
            let limit = next.map_or(u64::MAX, |next| next.first);
            if records_of(&storage, file, limit, from, each)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Whether a segment was begun before `from`. Records are written when what they tell has ended, but
/// intents when it goes on: those say nothing.
fn begins_before(storage: &dyn Storage, file: &SegmentFile, from: Timestamp) -> Result<bool, ReadError> {
    let failed = ReadError::io(&file.path);
    let first = || -> std::io::Result<bool> {
        // One that was pruned since it was listed is older than any that is asked for.
        let Some(mut lines) = open_segment(storage, file, 0)? else { return Ok(true) };
        while let Some(line) = lines.next_line()? {
            if let Some(ended) = peek_ended(line) {
                return Ok(ended < from);
            }
        }
        Ok(false)
    };
    first().map_err(failed)
}

/// Whether a line is from before `from`. Most are not, and texts of instants sort as instants do.
fn is_past(line: &[u8], from: Timestamp, text: &str) -> bool {
    peek_instant(line).is_some_and(|at| at < text.as_bytes())
        && peek_ended(line).is_none_or(|ended| ended < from)
}

fn records_of(
    storage: &dyn Storage,
    file: &SegmentFile,
    limit: u64,
    from: Timestamp,
    each: &mut dyn FnMut(ParsedRecord) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, ReadError> {
    let opened = open_segment(storage, file, 0).map_err(ReadError::io(&file.path))?;
    let Some(mut lines) = opened else { return Ok(ControlFlow::Continue(())) };
    let text = format!("{from:.6}");
    let mut left = limit.saturating_sub(file.first);
    while left > 0
        && let Some(line) = lines.next_line().map_err(ReadError::io(&file.path))?
    {
        left -= 1;
        if is_past(line, from, &text) {
            continue;
        }
        if let Ok(record) = ParsedRecord::parse(line)
            && each(record).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
