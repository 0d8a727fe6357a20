//! Reads one generation from any of its records on, a stretch at a time.

use std::io;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use super::super::layout::{
    CLOSED, SegmentFile, generation_name, generations, manifest_name, manifests, segments,
};
use super::super::lines::{Lines, is_undecodable, open_segment};
use super::super::manifest;
use super::super::storage::DiskStorage;
use super::{ReadError, read_closed};
use crate::audit::is_record;
use crate::kernel::id::NodeId;

/// A generation, as its directory shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationState {
    /// Its number.
    pub number: u32,
    /// How many records it has, if it is closed. One that is not is being written, or its process ended
    /// without closing it and none has been started since.
    pub records: Option<u64>,
}

/// The generations of `node` below `directory` from number `from` on, in order.
///
/// # Errors
/// When the directory cannot be read, or the mark of a closed generation cannot.
pub fn generation_states(
    directory: &Path,
    node: &NodeId,
    from: u32,
) -> Result<Vec<GenerationState>, ReadError> {
    let storage = DiskStorage;
    let places = generations(&storage, directory).map_err(ReadError::io(directory))?;
    let own = places.into_iter().filter(|place| place.node == *node && place.number >= from);
    own.map(|place| {
        let path = place.path.join(CLOSED);
        let records = match read_closed(&storage, &path) {
            Ok(mark) => Some(mark.records),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(ReadError::io(&path)(error)),
        };
        Ok(GenerationState { number: place.number, records })
    })
    .collect()
}

/// Records that are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub records: Range<u64>,
    /// Whether they were removed in time: their manifests are there, and their segments are not. If not, they
    /// are damaged, or somebody else has removed them.
    pub is_pruned: bool,
}

/// Gives the lines of one generation, in order and in bounded memory. Whoever calls knows up to which
/// record they are durable.
#[derive(Debug)]
pub struct Stretch {
    storage: DiskStorage,
    directory: PathBuf,
    /// Whether a line that is not the record that belongs there counts as damage, as the end of a segment
    /// before its time always does.
    is_checked: bool,
    /// The record that comes next.
    next: u64,
    /// Where it stands, once it was found.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// The segment's first record.
    first: u64,
    /// The byte after the last record read.
    offset: u64,
    /// Goes on from there, if nothing was written since.
    lines: Option<(u64, Lines)>,
}

impl Stretch {
    /// Begins with record `next` of a generation below `directory`. Reads nothing yet.
    #[must_use]
    pub fn new(directory: &Path, node: &NodeId, generation: u32, next: u64) -> Self {
        let directory = directory.join(generation_name(node, generation));
        Self { storage: DiskStorage, directory, is_checked: false, next, open: None }
    }

    /// The same, but a line that is not the record that belongs there, by its number or its checksum, is not
    /// given but missing, with what follows it in its segment.
    #[must_use]
    pub const fn checked(mut self) -> Self {
        self.is_checked = true;
        self
    }

    /// The record that comes next.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Gives lines without their newlines to `take`, up to but not including record `until`, until it breaks;
    /// the line it breaks at counts as read. All records before `until` must be durable.
    ///
    /// Where the next record is not there, nothing is given and the answer is which records are missing. They
    /// are passed over then.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(
        &mut self,
        until: u64,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Option<Missing>, ReadError> {
        let begin = self.next;
        let files = segments(&self.storage, &self.directory).map_err(ReadError::io(&self.directory))?;
        while self.next < until {
            let after = files.partition_point(|file| file.first <= self.next);
            let end = files.get(after).map_or(until, |file| file.first.min(until));
            let flow = match after.checked_sub(1).and_then(|at| files.get(at)) {
                Some(file) => self.read_segment(file, end, until, take)?,
                None => None,
            };
            if flow.is_some_and(|flow| flow.is_break()) {
                break;
            }
            if self.next < end {
                if self.next > begin {
                    break;
                }
                let is_there = flow.is_some();
                let pruned = if is_there { begin } else { self.pruned_until(begin, end)? };
                self.next = if pruned > begin { pruned } else { end };
                return Ok(Some(Missing { records: begin..self.next, is_pruned: pruned > begin }));
            }
        }
        Ok(None)
    }

    /// Up to which record before `end` manifests account for those from `begin` on, whose segments are gone.
    fn pruned_until(&self, begin: u64, end: u64) -> Result<u64, ReadError> {
        let failed = || ReadError::io(&self.directory);
        let firsts = manifests(&self.storage, &self.directory).map_err(failed())?;
        let from = firsts.partition_point(|first| *first <= begin).saturating_sub(1);
        let mut known = begin;
        for first in firsts.into_iter().skip(from).take_while(|first| *first < end) {
            let path = self.directory.join(manifest_name(first));
            match manifest::read(&self.storage, &path).map_err(failed())? {
                Some((Ok(manifest), _)) if manifest.first == first && first <= known => {
                    known = known.max(manifest.end());
                }
                _ => break,
            }
        }
        Ok(known.min(end))
    }

    /// Reads on in one segment; `None` if it is gone.
    fn read_segment(
        &mut self,
        file: &SegmentFile,
        end: u64,
        until: u64,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Option<ControlFlow<()>>, ReadError> {
        let failed = ReadError::io(&file.path);
        let mut read = || {
            let mut open = match self.open.take() {
                Some(open) if open.first == file.first => open,
                _ => Open { first: file.first, offset: 0, lines: None },
            };
            let is_new = open.offset == 0;
            // What was read ahead is from a moment when all before the same `until` was durable, or it is
            // read anew.
            let lines = match open.lines.take() {
                Some((read_until, lines)) if read_until == until => Some(lines),
                _ => match open_segment(&self.storage, file, open.offset) {
                    Err(error) if is_undecodable(&error) => return Ok(Some(ControlFlow::Continue(()))),
                    opened => opened?,
                },
            };
            // Removed since it was listed.
            let Some(mut lines) = lines else { return Ok(None) };
            let mut skip = if is_new { self.next.saturating_sub(file.first) } else { 0 };
            let mut flow = ControlFlow::Continue(());
            while self.next < end
                && flow.is_continue()
                && let Some(line) = ended_if_undecodable(lines.next_line())?
            {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                if self.is_checked && !is_record(line, self.next) {
                    return Ok(Some(flow));
                }
                flow = take(line);
                self.next = self.next.saturating_add(1);
            }
            if skip == 0 {
                open.offset = lines.position();
                open.lines = flow.is_break().then_some((until, lines));
                self.open = Some(open);
            }
            Ok(Some(flow))
        };
        read().map_err(failed)
    }
}

/// A damaged compressed segment ends where it is damaged: what follows it is read all the same.
fn ended_if_undecodable<T>(read: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match read {
        Err(error) if is_undecodable(&error) => Ok(None),
        read => read,
    }
}
