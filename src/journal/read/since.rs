//! Reads on from an instant, without the segments that lie before it.

use std::ops::ControlFlow;
use std::path::Path;

use super::super::layout::{SegmentFile, segments};
use super::super::lines::Lines;
use super::super::storage::{DiskStorage, Storage};
use super::{ReadError, generations_of};
use crate::audit::{ParsedRecord, peek_instant};
use crate::kernel::time::Timestamp;

/// Calls `each` with every record from the instant `from` on, oldest first within each generation, until
/// it breaks. A directory without a log has no records.
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
    let from = format!("{from:.6}");
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
                && begins_before(&storage, next, &from)?
            {
                continue;
            }
            let limit = next.map_or(u64::MAX, |next| next.first);
            if records_of(&storage, file, limit, &from, each)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn begins_before(storage: &dyn Storage, file: &SegmentFile, from: &str) -> Result<bool, ReadError> {
    let failed = ReadError::io(&file.path);
    let first = || -> std::io::Result<bool> {
        let mut lines = Lines::new(storage.open_read(&file.path)?, 0);
        let at = lines.next_line()?.and_then(peek_instant);
        Ok(at.is_some_and(|at| at < from.as_bytes()))
    };
    first().map_err(failed)
}

fn records_of(
    storage: &dyn Storage,
    file: &SegmentFile,
    limit: u64,
    from: &str,
    each: &mut dyn FnMut(ParsedRecord) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, ReadError> {
    let open = storage.open_read(&file.path).map_err(ReadError::io(&file.path))?;
    let mut lines = Lines::new(open, 0);
    let mut left = limit.saturating_sub(file.first);
    while left > 0
        && let Some(line) = lines.next_line().map_err(ReadError::io(&file.path))?
    {
        left -= 1;
        if peek_instant(line).is_some_and(|at| at < from.as_bytes()) {
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
