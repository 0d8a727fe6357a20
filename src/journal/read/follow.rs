//! Follows the log as it grows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::layout::{CLOSED, GenerationDir, SegmentFile, generations, segments};
use super::super::lines::open_segment;
use super::super::storage::DiskStorage;
use super::{Found, ReadError, read_closed};
use crate::kernel::id::NodeId;

/// How far one generation has been read.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// The segment, by its first record.
    segment: u64,
    /// The byte after the last record read.
    offset: u64,
    /// The number of the next record.
    next: u64,
    /// Whether it is closed and was read to its end: nothing comes any more.
    is_done: bool,
}

/// Gives records as they come, generation by generation. Whoever calls decides how often to look.
///
/// A record may be seen a moment before it is durable.
#[derive(Debug)]
pub struct Follower {
    storage: DiskStorage,
    directory: PathBuf,
    progress: BTreeMap<(NodeId, u32), Progress>,
    /// How many lines that should be records were passed over and not told of yet.
    unreadable: u64,
}

/// What a line that was come to is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Come {
    Record,
    /// Damaged, or only half there as yet.
    NoRecord,
    /// Not looked at: there are enough for now.
    Later,
}

impl Follower {
    /// Begins with the first record there is, or will be.
    #[must_use]
    pub fn from_beginning(directory: &Path) -> Self {
        let directory = directory.to_owned();
        Self { storage: DiskStorage, directory, progress: BTreeMap::new(), unreadable: 0 }
    }

    /// Begins after the last record there is now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn from_end(directory: &Path) -> Result<Self, ReadError> {
        let mut follower = Self::from_beginning(directory);
        for place in follower.generations()? {
            if let Some(records) = follower.closed_at(&place) {
                let progress = Progress { next: records, is_done: true, ..Progress::default() };
                follower.progress.insert((place.node, place.number), progress);
                continue;
            }
            let files = segments(&follower.storage, &place.path).map_err(ReadError::io(&place.path))?;
            let mut progress = Progress::default();
            if let Some(last) = files.last() {
                progress = Progress { segment: last.first, next: last.first, ..progress };
                follower.read_segment(last, None, &mut progress, &mut |_| Come::Record)?;
            }
            follower.progress.insert((place.node, place.number), progress);
        }
        Ok(follower)
    }

    fn generations(&self) -> Result<Vec<GenerationDir>, ReadError> {
        generations(&self.storage, &self.directory).map_err(ReadError::io(&self.directory))
    }

    /// How many records a generation has, if it is closed.
    fn closed_at(&self, place: &GenerationDir) -> Option<u64> {
        // A mark that cannot be read is none: the records are looked for instead.
        read_closed(&self.storage, &place.path.join(CLOSED)).ok().map(|mark| mark.records)
    }

    /// How many lines were passed over since the last call that should be records and are none: the log
    /// should be verified.
    pub fn take_unreadable(&mut self) -> u64 {
        std::mem::take(&mut self.unreadable)
    }

    /// What has come since the last call, at most `most` records.
    ///
    /// A line that is no record may be only half there: it is read again until a record follows it, or
    /// nothing can any more. Then it is passed over and counted.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn poll(&mut self, most: usize) -> Result<Vec<Found>, ReadError> {
        let mut found = Vec::new();
        for place in self.generations()? {
            let key = (place.node.clone(), place.number);
            let mut progress = self.progress.get(&key).copied().unwrap_or_default();
            if progress.is_done {
                continue;
            }
            // Asked first: what is read of a closed generation afterwards is all of it.
            let closed = self.closed_at(&place);
            let files = segments(&self.storage, &place.path).map_err(ReadError::io(&place.path))?;
            let begin = progress.segment;
            let mut rest = files.iter().skip_while(|file| file.first < begin).peekable();
            while let Some(file) = rest.next() {
                if file.first != progress.segment {
                    progress = Progress { segment: file.first, next: file.first, ..Progress::default() };
                }
                let end = rest.peek().map(|next| next.first).or(closed);
                self.unreadable += self.read_segment(file, end, &mut progress, &mut |line| {
                    if found.len() >= most {
                        return Come::Later;
                    }
                    Found::parse(line).map_or(Come::NoRecord, |record| {
                        found.push(record);
                        Come::Record
                    })
                })?;
                if found.len() >= most {
                    break;
                }
            }
            progress.is_done = found.len() < most && closed.is_some();
            self.progress.insert(key, progress);
            if found.len() >= most {
                break;
            }
        }
        Ok(found)
    }

    /// Gives the lines of one segment to `take`, up to the one before number `end` if it is known:
    /// nothing comes to the segment any more then. How many that should be records were passed over.
    fn read_segment(
        &self,
        file: &SegmentFile,
        end: Option<u64>,
        progress: &mut Progress,
        take: &mut dyn FnMut(&[u8]) -> Come,
    ) -> Result<u64, ReadError> {
        let opened = open_segment(&self.storage, file, progress.offset).map_err(ReadError::io(&file.path))?;
        let Some(mut lines) = opened else {
            // Pruned since it was listed: the next segment goes on.
            progress.next = end.unwrap_or(u64::MAX);
            return Ok(0);
        };
        let (mut passed_over, mut next) = (0, progress.next);
        while end.is_none_or(|end| next < end)
            && let Some(line) = lines.next_line().map_err(ReadError::io(&file.path))?
        {
            let come = take(line);
            if come == Come::Later {
                return Ok(passed_over);
            }
            next += 1;
            if come == Come::Record {
                passed_over += next - 1 - progress.next;
                *progress = Progress { next, offset: lines.position(), ..*progress };
            }
        }
        if let Some(end) = end {
            passed_over += end.saturating_sub(progress.next);
            *progress = Progress { next: end, offset: lines.position(), ..*progress };
        }
        Ok(passed_over)
    }
}
