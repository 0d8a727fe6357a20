//! The log of one generation as the writer sees it: commit, rotate, go on after an error, close. Knows no
//! threads; what goes on beside is [`Upkeep`]'s.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::layout::{CLOSED, SPARE, segment_name};
use super::lines::Lines;
use super::progress::Progress;
use super::storage::{Storage, StorageFile, write_all_at};
use super::upkeep::{Upkeep, fill};
use crate::audit::{Chain, Entry, Kind, MAX_LINE_BYTES};
use crate::kernel::id::{Digest, RequestId};

/// The most bytes one write has, unless a single record is longer.
const BATCH_BYTES: usize = 1 << 20;
/// The first segment of a generation is small, so that start-up need not wait for a large one.
const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
/// How many records of the gate itself find room in the last segment, beside the ends of what has begun.
const LAST_WORDS: usize = 4;

/// Why a log cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Acknowledged records cannot be read back.
    #[error("acknowledged records of `{}` cannot be read back", .0.display())]
    Lost(PathBuf),
}

#[derive(Debug)]
struct Active {
    file: Box<dyn StorageFile>,
    place: Place,
}

/// Where in which segment the log ends. All before `length` is durable.
#[derive(Debug, Clone)]
struct Place {
    path: PathBuf,
    /// The chain before the segment's first record.
    start: Chain,
    length: u64,
    capacity: u64,
}

#[derive(Debug)]
pub(super) struct Log {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    /// The end of what is durable.
    chain: Chain,
    active: Option<Active>,
    /// Where the log ended when it was last in order; kept after an error.
    place: Option<Place>,
    /// Intents that no outcome has followed yet; as many as there are requests under way.
    open_intents: HashSet<RequestId>,
    progress: Progress,
    upkeep: Arc<Upkeep>,
    buffer: Vec<u8>,
    /// The leaf hashes of the records in `buffer`.
    leaves: Vec<Digest>,
}

impl Log {
    /// Begins the log of a new generation in its directory, which is empty.
    pub(super) fn create(
        storage: Arc<dyn Storage>,
        progress: Progress,
        segment_bytes: u64,
    ) -> io::Result<Self> {
        let mut log = Self {
            upkeep: Arc::new(Upkeep::new(Arc::clone(&storage), progress.clone(), segment_bytes)),
            storage,
            directory: progress.directory().to_owned(),
            chain: Chain::new(progress.node().clone(), progress.generation()),
            progress,
            active: None,
            place: None,
            open_intents: HashSet::new(),
            buffer: Vec::new(),
            leaves: Vec::new(),
        };
        let capacity = segment_bytes.min(FIRST_SEGMENT_BYTES);
        fill(&*log.storage, &log.directory.join(SPARE), capacity, &AtomicBool::new(false))?;
        log.begin_segment(capacity)?;
        log.upkeep.renew();
        Ok(log)
    }

    /// What goes on beside writing.
    pub(super) const fn upkeep(&self) -> &Arc<Upkeep> {
        &self.upkeep
    }

    /// How far this log is, for others to follow.
    pub(super) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The end of what is durable.
    pub(super) const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Gives the spare its place and its durable name, and writes there from now on.
    fn begin_segment(&mut self, capacity: u64) -> io::Result<()> {
        let (from, path) = (self.directory.join(SPARE), self.directory.join(segment_name(self.chain.next())));
        let file = self.storage.open(&from)?;
        let found = file.byte_len()?;
        if found != capacity {
            let why =
                format!("the spare segment has {found} bytes, not {capacity}: something else wrote to it");
            return Err(io::Error::other(why));
        }
        self.storage.rename(&from, &path)?;
        self.storage.sync_dir(&self.directory)?;
        let place = Place { path, start: self.chain.clone(), length: 0, capacity };
        self.place = Some(place.clone());
        self.active = Some(Active { file, place });
        Ok(())
    }

    /// Begins the next segment with the spare, waiting for one in the making.
    fn next_segment(&mut self) -> io::Result<()> {
        let capacity = self.upkeep.take()?;
        let begun = self.begin_segment(capacity);
        self.upkeep.renew();
        begun
    }

    /// Closes the active segment and begins the next one.
    fn rotate(&mut self) -> io::Result<()> {
        let full = self.active.take().ok_or(io::ErrorKind::NotConnected)?;
        self.next_segment()?;
        self.upkeep.retire(full.place.path, full.place.length, self.chain.next());
        Ok(())
    }

    /// Whether the active segment, with `bytes` more of records and `intents` more of open intents, would lack room
    /// for the ends of what has begun, if no segment followed it.
    pub(super) fn lacks_room(&self, bytes: usize, intents: usize) -> bool {
        let Some(Active { place, .. }) = &self.active else { return true };
        let ends = self.open_intents.len().saturating_add(intents).saturating_add(LAST_WORDS);
        let ends = u64::try_from(ends.saturating_mul(MAX_LINE_BYTES)).unwrap_or(u64::MAX);
        // Few records are as long as they may be: half a segment is enough for more than there can be.
        let reserved = ends.min(place.capacity / 2);
        let wanted = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(reserved);
        place.capacity.saturating_sub(place.length) < wanted
    }

    /// Makes a first part of `entries` durable and says how many and how many bytes.
    ///
    /// # Errors
    /// Anything the disk says. Nothing can be committed then before [`Log::restore`].
    pub(super) fn commit<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e Entry>,
    ) -> io::Result<(usize, usize)> {
        let result = self.try_commit(entries);
        if result.is_err() {
            // The handle must not be used again: a second sync may report success for lost bytes.
            self.active = None;
        }
        result
    }

    fn try_commit<'e>(&mut self, entries: impl Iterator<Item = &'e Entry>) -> io::Result<(usize, usize)> {
        let mut entries = entries.peekable();
        let Some(first) = entries.peek() else { return Ok((0, 0)) };
        let first_bytes = self.chain.sealed_bytes(first);
        if self.room()? < first_bytes {
            self.rotate()?;
        }
        let room = self.room()?.min(BATCH_BYTES.max(first_bytes));
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.leaves.clear();
        let mut chain = self.chain.clone();
        chain.begin_batch();
        let mut count = 0;
        let mut halves = Vec::new();
        for entry in entries {
            if buffer.len() + chain.sealed_bytes(entry) > room {
                break;
            }
            chain.seal(entry, &mut buffer);
            self.leaves.push(chain.head());
            halves.extend(entry.half());
            count += 1;
        }
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the record is longer than a segment"));
        }
        let active = self.active.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        write_all_at(&mut *active.file, &buffer, active.place.length)?;
        active.file.sync_data()?;
        let bytes = buffer.len();
        active.place.length = active.place.length.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.place = Some(active.place.clone());
        self.chain = chain;
        self.progress.reach(self.chain.next(), &self.leaves);
        self.buffer = buffer;
        for (kind, request) in halves {
            if kind == Kind::Intent {
                self.open_intents.insert(request);
            } else {
                self.open_intents.remove(&request);
            }
        }
        Ok((count, bytes))
    }

    /// How many bytes the active segment has left.
    fn room(&self) -> io::Result<usize> {
        let active = self.active.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let room = active.place.capacity.saturating_sub(active.place.length);
        Ok(usize::try_from(room).unwrap_or(usize::MAX))
    }

    /// Goes on after an error: reads back what was acknowledged, cuts off what was not, and writes
    /// to a new segment. May be called again after it failed.
    ///
    /// What was cut was refused to its sender; what nobody waited for is appended again by the
    /// caller.
    pub(super) fn restore(&mut self) -> Result<(), RestoreError> {
        self.active = None;
        let before = self.place.clone();
        if let Some(place) = &before {
            self.check_acknowledged(place)?;
            let mut file = self.storage.open(&place.path)?;
            file.set_len(place.length)?;
            file.sync_data()?;
        }
        self.next_segment()?;
        // A segment without records was replaced by the new one, which has the same name.
        if let Some(place) = before.filter(|place| place.length > 0) {
            self.upkeep.retire(place.path, place.length, self.chain.next());
        }
        Ok(())
    }

    fn check_acknowledged(&self, place: &Place) -> Result<(), RestoreError> {
        let mut chain = place.start.clone();
        let mut lines = Lines::new(self.storage.open_read(&place.path)?, 0);
        while lines.position() < place.length {
            match lines.next_line()? {
                Some(line) if chain.check(line).is_ok() => {}
                _ => return Err(RestoreError::Lost(place.path.clone())),
            }
        }
        if chain.head() == self.chain.head() && chain.next() == self.chain.next() {
            Ok(())
        } else {
            Err(RestoreError::Lost(place.path.clone()))
        }
    }

    /// Cuts the padding off and marks the generation complete. With intents still open it is not:
    /// the next start then closes them as `unknown`.
    pub(super) fn close(&mut self) -> io::Result<()> {
        let Place { path, length, .. } = self.active.take().ok_or(io::ErrorKind::NotConnected)?.place;
        self.upkeep.finish(path, length, self.chain.next())?;
        if self.open_intents.is_empty() {
            write_closed(&*self.storage, &self.directory, &self.chain)?;
        }
        Ok(())
    }
}

/// Writes the mark that a generation is complete.
pub(super) fn write_closed(storage: &dyn Storage, directory: &Path, chain: &Chain) -> io::Result<()> {
    let text = format!("{{\"v\":1,\"records\":{},\"head\":\"{}\"}}\n", chain.next(), chain.head());
    write_file(storage, directory, CLOSED, text.as_bytes())
}

/// Writes a small file whole: under a temporary name first, then durable under its own.
pub(super) fn write_file(
    storage: &dyn Storage,
    directory: &Path,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.tmp"));
    match storage.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = storage.create(&temporary)?;
    write_all_at(&mut *file, bytes, 0)?;
    file.sync_data()?;
    drop(file);
    storage.rename(&temporary, &directory.join(name))?;
    storage.sync_dir(directory)
}
