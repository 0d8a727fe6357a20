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
}

impl Follower {
    /// Begins with the first record there is, or will be.
    #[must_use]
    pub fn from_beginning(directory: &Path) -> Self {
        Self { storage: DiskStorage, directory: directory.to_owned(), progress: BTreeMap::new() }
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
                follower.read_segment(last, u64::MAX, &mut progress, &mut |_| true)?;
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

    /// What has come since the last call, at most `most` records.
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
            let files = segments(&self.storage, &place.path).map_err(ReadError::io(&place.path))?;
            let begin = progress.segment;
            let mut rest = files.iter().skip_while(|file| file.first < begin).peekable();
            while let Some(file) = rest.next() {
                if file.first != progress.segment {
                    progress = Progress { segment: file.first, next: file.first, ..Progress::default() };
                }
                let limit = rest.peek().map_or(u64::MAX, |next| next.first);
                // A line that is no record is only half there yet: it is read again next time.
                self.read_segment(file, limit, &mut progress, &mut |line| {
                    found.len() < most && Found::parse(line).map(|record| found.push(record)).is_ok()
                })?;
                if limit != u64::MAX && progress.next < limit {
                    break;
                }
            }
            progress.is_done = found.len() < most && self.closed_at(&place) == Some(progress.next);
            self.progress.insert(key, progress);
            if found.len() >= most {
                break;
            }
        }
        Ok(found)
    }

    fn read_segment(
        &self,
        file: &SegmentFile,
        limit: u64,
        progress: &mut Progress,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), ReadError> {
        let opened = open_segment(&self.storage, file, progress.offset).map_err(ReadError::io(&file.path))?;
        let Some(mut lines) = opened else {
            // Pruned since it was listed: the next segment goes on.
            progress.next = limit;
            return Ok(());
        };
        while progress.next < limit
            && let Some(line) = lines.next_line().map_err(ReadError::io(&file.path))?
        {
            if !take(line) {
                break;
            }
            progress.next = progress.next.saturating_add(1);
            progress.offset = lines.position();
        }
        Ok(())
    }
}
