//! The log of one generation as the writer sees it: commit, rotate, go on after an error, close.
//! No threads but the one that makes the next segment.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use super::layout::{CLOSED, NEXT, SPARE, segment_name};
use super::lines::Lines;
use super::progress::Progress;
use super::storage::{Storage, StorageFile, write_all_at};
use crate::audit::{Chain, Entry, Kind};
use crate::kernel::id::RequestId;

/// The most bytes one write has, unless a single record is longer.
const BATCH_BYTES: usize = 1 << 20;
/// The first segment of a generation is small, so that start-up need not wait for a large one.
const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
/// How much is zero-filled before the disk is asked to take it: small slices leave room for the
/// commits in between.
const SLICE_BYTES: usize = 256 * 1024;

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
enum Spare {
    None,
    Building(mpsc::Receiver<io::Result<u64>>),
    /// Ready, with so many bytes.
    Ready(u64),
}

#[derive(Debug)]
pub(super) struct Log {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    segment_bytes: u64,
    /// The end of what is durable.
    chain: Chain,
    active: Option<Active>,
    /// Where the log ended when it was last in order; kept after an error.
    place: Option<Place>,
    /// Intents that no outcome has followed yet; as many as there are requests under way.
    open_intents: HashSet<RequestId>,
    progress: Progress,
    spare: Spare,
    /// Whether spares are made by a thread of their own; tests that count calls say no.
    background: bool,
    /// Ends the making of a spare early.
    stop: Arc<AtomicBool>,
    buffer: Vec<u8>,
}

/// Makes a zero-filled file of `bytes` under a temporary name, durable but for its name.
fn fill(storage: &dyn Storage, path: &Path, bytes: u64, stop: &AtomicBool) -> io::Result<u64> {
    match storage.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let filled = fill_new(storage, path, bytes, stop);
    if filled.is_err() {
        // A half-made file only takes space that the next try needs. The first error is the one
        // that matters.
        drop(storage.remove(path));
    }
    filled
}

fn fill_new(storage: &dyn Storage, path: &Path, bytes: u64, stop: &AtomicBool) -> io::Result<u64> {
    let zeros = vec![0; SLICE_BYTES];
    let mut file = storage.create(path)?;
    let mut done: u64 = 0;
    while done < bytes {
        if stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the log is being closed"));
        }
        let left = usize::try_from(bytes - done).unwrap_or(SLICE_BYTES).min(SLICE_BYTES);
        write_all_at(&mut *file, zeros.get(..left).unwrap_or_default(), done)?;
        file.sync_data()?;
        done = done.saturating_add(u64::try_from(left).unwrap_or(u64::MAX));
    }
    Ok(bytes)
}

/// Cuts the padding off a segment that is full.
fn trim(mut file: Box<dyn StorageFile>, length: u64) -> io::Result<()> {
    file.set_len(length)?;
    file.sync_data()
}

impl Log {
    /// Begins the log of a new generation in its directory, which is empty.
    pub(super) fn create(
        storage: Arc<dyn Storage>,
        progress: Progress,
        segment_bytes: u64,
        background: bool,
    ) -> io::Result<Self> {
        let mut log = Self {
            storage,
            directory: progress.directory().to_owned(),
            segment_bytes,
            chain: Chain::new(progress.node().clone(), progress.generation()),
            progress,
            active: None,
            place: None,
            open_intents: HashSet::new(),
            spare: Spare::None,
            background,
            stop: Arc::default(),
            buffer: Vec::new(),
        };
        let capacity = fill(
            &*log.storage,
            &log.directory.join(NEXT),
            segment_bytes.min(FIRST_SEGMENT_BYTES),
            &log.stop,
        )?;
        log.begin_segment(NEXT, capacity)?;
        Ok(log)
    }

    /// How far this log is, for others to follow.
    pub(super) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The end of what is durable.
    pub(super) const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Gives a filled file its place and its durable name, and writes there from now on.
    fn begin_segment(&mut self, from: &str, capacity: u64) -> io::Result<()> {
        let path = self.directory.join(segment_name(self.chain.next()));
        self.storage.rename(&self.directory.join(from), &path)?;
        self.storage.sync_dir(&self.directory)?;
        let file = self.storage.open(&path)?;
        let place = Place { path, start: self.chain.clone(), length: 0, capacity };
        self.place = Some(place.clone());
        self.active = Some(Active { file, place });
        Ok(())
    }

    /// Takes the spare, waiting for one in the making, or makes a segment now.
    fn next_segment(&mut self) -> io::Result<()> {
        let spare = match std::mem::replace(&mut self.spare, Spare::None) {
            Spare::None => None,
            Spare::Ready(bytes) => Some(bytes),
            Spare::Building(result) => result.recv().ok().and_then(Result::ok),
        };
        if let Some(capacity) = spare {
            return self.begin_segment(SPARE, capacity);
        }
        let capacity = fill(&*self.storage, &self.directory.join(NEXT), self.segment_bytes, &self.stop)?;
        self.begin_segment(NEXT, capacity)
    }

    /// Closes the active segment and begins the next one.
    fn rotate(&mut self) -> io::Result<()> {
        let full = self.active.take();
        self.next_segment()?;
        self.make_spare(full);
        Ok(())
    }

    /// Trims `full` and makes the next spare, in the background if allowed.
    fn make_spare(&mut self, full: Option<Active>) {
        let (storage, path, bytes) =
            (Arc::clone(&self.storage), self.directory.join(SPARE), self.segment_bytes);
        let stop = Arc::clone(&self.stop);
        let work = move || {
            if let Some(full) = full {
                // Padding that stays does no harm: readers stop there and recovery cuts it.
                drop(trim(full.file, full.place.length));
            }
            fill(&*storage, &path, bytes, &stop)
        };
        if !self.background {
            self.spare = work().map_or(Spare::None, Spare::Ready);
            return;
        }
        let (send, receive) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("journal-spare".to_owned()).spawn(move || {
            // The receiver may be gone: then nobody needs the spare.
            drop(send.send(work()));
        });
        // Without a thread the next rotation makes its segment itself.
        self.spare = thread.map_or(Spare::None, |_| Spare::Building(receive));
    }

    /// Makes sure that a spare is ready or in the making; a failed one is tried again.
    pub(super) fn prepare(&mut self) {
        if let Spare::Building(result) = &self.spare {
            match result.try_recv() {
                Ok(Ok(bytes)) => self.spare = Spare::Ready(bytes),
                Ok(Err(_)) | Err(mpsc::TryRecvError::Disconnected) => self.spare = Spare::None,
                Err(mpsc::TryRecvError::Empty) => {}
            }
        }
        if matches!(self.spare, Spare::None) {
            self.make_spare(None);
        }
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
        let mut chain = self.chain.clone();
        chain.begin_batch();
        let mut count = 0;
        let mut halves = Vec::new();
        for entry in entries {
            if buffer.len() + chain.sealed_bytes(entry) > room {
                break;
            }
            chain.seal(entry, &mut buffer);
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
        self.progress.reach(self.chain.next());
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
        if let Some(place) = self.place.clone() {
            self.check_acknowledged(&place)?;
            let mut file = self.storage.open(&place.path)?;
            file.set_len(place.length)?;
            file.sync_data()?;
        }
        // A segment without records is replaced: the new one has the same name.
        self.next_segment()?;
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
        let active = self.active.take().ok_or(io::ErrorKind::NotConnected)?;
        trim(active.file, active.place.length)?;
        if let Spare::Building(result) = std::mem::replace(&mut self.spare, Spare::None) {
            self.stop.store(true, Ordering::Relaxed);
            // Only wait: the file is removed either way.
            drop(result.recv());
        }
        match self.storage.remove(&self.directory.join(SPARE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
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
