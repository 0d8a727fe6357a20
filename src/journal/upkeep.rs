//! What goes on beside writing: full segments are cut to their records, and the next segment is made ahead of
//! need. The one that stands ready is the log's reserve of space: while there is none, new accesses are
//! refused before the last segment is full, so that the ends of those that have begun find room.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::layout::SPARE;
use super::progress::Progress;
use super::storage::{Storage, write_all_at};

/// How much is zero-filled before the disk is asked to take it: small slices leave room for the commits in
/// between.
const SLICE_BYTES: usize = 256 * 1024;

/// The next segment.
#[derive(Debug)]
enum Spare {
    /// To be made.
    Wanted,
    Making,
    /// There, with so many bytes.
    Ready(u64),
    /// Given away; its name is free again once the log says so.
    Taken,
    /// It could not be made, and is tried again.
    Failed(io::ErrorKind, Option<i32>),
}

/// A segment that nothing is written to any more.
#[derive(Debug)]
struct Full {
    path: PathBuf,
    length: u64,
    /// The first record after it.
    next: u64,
}

#[derive(Debug)]
struct State {
    spare: Spare,
    /// Segments to be cut, oldest first; as many as there are until one can be.
    full: VecDeque<Full>,
    /// Whether there is something new to do.
    stirred: bool,
    /// Whether a thread does it. Otherwise the spare is made when it is needed.
    is_tended: bool,
}

/// What the log and the thread that tends it share.
#[derive(Debug)]
pub(super) struct Upkeep {
    storage: Arc<dyn Storage>,
    progress: Progress,
    spare_path: PathBuf,
    segment_bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
    /// Whether the spare is there.
    ready: AtomicBool,
    stopped: AtomicBool,
}

impl Upkeep {
    pub(super) fn new(storage: Arc<dyn Storage>, progress: Progress, segment_bytes: u64) -> Self {
        let state = State {
            // The log begins with a segment of its own making.
            spare: Spare::Taken,
            full: VecDeque::new(),
            stirred: false,
            is_tended: false,
        };
        Self {
            spare_path: progress.directory().join(SPARE),
            storage,
            progress,
            segment_bytes,
            state: Mutex::new(state),
            changed: Condvar::new(),
            ready: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        }
    }

    /// A thread that panicked while it held the lock left nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the spare is there.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Whether the spare is there once it has been made, or could not be.
    pub(super) fn settle(&self) -> bool {
        let is_tended = self.state().is_tended;
        if !is_tended {
            self.make();
        }
        drop(self.settled());
        self.is_ready()
    }

    /// Waits until nobody makes the spare.
    fn settled(&self) -> MutexGuard<'_, State> {
        let unfinished =
            |state: &mut State| state.is_tended && matches!(state.spare, Spare::Wanted | Spare::Making);
        self.changed.wait_while(self.state(), unfinished).unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the spare away and says how long it is, waiting for one in the making.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn take(&self) -> io::Result<u64> {
        let mut state = self.state();
        if matches!(state.spare, Spare::Failed(..)) {
            state.spare = Spare::Wanted;
        }
        state.stirred = true;
        let is_tended = state.is_tended;
        drop(state);
        if is_tended {
            self.changed.notify_all();
        } else {
            self.make();
        }
        let mut state = self.settled();
        match state.spare {
            Spare::Ready(bytes) => {
                state.spare = Spare::Taken;
                self.ready.store(false, Ordering::Release);
                Ok(bytes)
            }
            Spare::Failed(_, Some(code)) => Err(io::Error::from_raw_os_error(code)),
            Spare::Failed(kind, None) => Err(kind.into()),
            Spare::Wanted | Spare::Making | Spare::Taken => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Has another spare made: the one that was taken has its own name, or is of no use.
    pub(super) fn renew(&self) {
        let mut state = self.state();
        if matches!(state.spare, Spare::Taken) {
            state.spare = Spare::Wanted;
        }
        state.stirred = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Takes over a segment with `length` bytes of records that nothing is written to any more.
    pub(super) fn retire(&self, path: PathBuf, length: u64, next: u64) {
        let mut state = self.state();
        state.full.push_back(Full { path, length, next });
        state.stirred = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Does what there is to do; what fails is tried again by the next step.
    pub(super) fn step(&self) {
        // A failed one stays the first: segments are closed in their order.
        drop(self.trim());
        self.make();
    }

    /// Cuts full segments to their records. Only then do they count as closed.
    fn trim(&self) -> io::Result<()> {
        loop {
            let Some((path, length, next)) =
                self.state().full.front().map(|full| (full.path.clone(), full.length, full.next))
            else {
                return Ok(());
            };
            cut(&*self.storage, &path, length)?;
            self.state().full.pop_front();
            self.progress.close_before(next);
        }
    }

    fn make(&self) {
        let mut state = self.state();
        if !matches!(state.spare, Spare::Wanted | Spare::Failed(..)) {
            return;
        }
        state.spare = Spare::Making;
        drop(state);
        let spare = match self.fill() {
            Ok(()) => Spare::Ready(self.segment_bytes),
            Err(error) => Spare::Failed(error.kind(), error.raw_os_error()),
        };
        let mut state = self.state();
        self.ready.store(matches!(spare, Spare::Ready(_)), Ordering::Release);
        state.spare = spare;
        drop(state);
        self.changed.notify_all();
    }

    fn fill(&self) -> io::Result<()> {
        let directory = self.progress.directory();
        remove_if_there(&*self.storage, &self.spare_path)?;
        // What cannot succeed only takes what others need.
        if self.storage.free_space(directory)? <= self.segment_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        fill(&*self.storage, &self.spare_path, self.segment_bytes, &self.stopped)
    }

    /// Tends the log until [`Upkeep::stop`]: does at once what it asks for, tries again what failed after
    /// `first`, then after twice as long each time, up to `most`. `after` is called after every step, and at
    /// least each `most`.
    pub(super) fn tend(&self, first: Duration, most: Duration, after: &mut dyn FnMut(&Self)) {
        let _leaving = Tended::new(self);
        let mut wait = first;
        while !self.stopped.load(Ordering::Acquire) {
            self.state().stirred = false;
            self.step();
            after(self);
            let state = self.state();
            let failed = matches!(state.spare, Spare::Failed(..)) || !state.full.is_empty();
            let pause = if failed { wait } else { most };
            wait = if failed { wait.saturating_mul(2).min(most) } else { first };
            let idle = |state: &mut State| !state.stirred && !self.stopped.load(Ordering::Acquire);
            drop(self.changed.wait_timeout_while(state, pause, idle));
        }
    }

    /// Ends [`Upkeep::tend`] soon, a spare in the making included.
    pub(super) fn stop(&self) {
        let state = self.state();
        self.stopped.store(true, Ordering::Release);
        drop(state);
        self.changed.notify_all();
    }

    /// Closes the last segment, after all that are still to be cut, and removes the spare. Nothing is done any
    /// more after that.
    ///
    /// # Errors
    /// Anything the disk says. The log must then not be marked closed.
    pub(super) fn finish(&self, path: PathBuf, length: u64, next: u64) -> io::Result<()> {
        self.retire(path, length, next);
        self.trim()?;
        remove_if_there(&*self.storage, &self.spare_path)
    }
}

/// Says that a thread tends the log, and that it does no longer, however it ends.
struct Tended<'u>(&'u Upkeep);

impl<'u> Tended<'u> {
    fn new(upkeep: &'u Upkeep) -> Self {
        upkeep.state().is_tended = true;
        Self(upkeep)
    }
}

impl Drop for Tended<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_tended = false;
        if matches!(state.spare, Spare::Making) {
            state.spare = Spare::Wanted;
        }
        drop(state);
        self.0.changed.notify_all();
    }
}

fn remove_if_there(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    match storage.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Cuts a segment to its records. They are durable already, and cutting touches none of them.
fn cut(storage: &dyn Storage, path: &Path, length: u64) -> io::Result<()> {
    let mut file = storage.open(path)?;
    if file.byte_len()? != length {
        file.set_len(length)?;
    }
    file.sync_data()
}

/// Makes a zero-filled file of `bytes`, durable but for its name. Zeros are written, not merely allocated: a hole
/// or an extent that counts as unwritten would cost the file system a commit of its own at the first write
/// to it.
pub(super) fn fill(storage: &dyn Storage, path: &Path, bytes: u64, stopped: &AtomicBool) -> io::Result<()> {
    let filled = fill_new(storage, path, bytes, stopped);
    if filled.is_err() {
        // A half-made file only takes space that the next try needs. The first error is the one that matters.
        drop(storage.remove(path));
    }
    filled
}

fn fill_new(storage: &dyn Storage, path: &Path, bytes: u64, stopped: &AtomicBool) -> io::Result<()> {
    let zeros = vec![0; SLICE_BYTES];
    let mut file = storage.create(path)?;
    let mut done: u64 = 0;
    while done < bytes {
        if stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("the log is being closed"));
        }
        let left = usize::try_from(bytes - done).unwrap_or(SLICE_BYTES).min(SLICE_BYTES);
        write_all_at(&mut *file, zeros.get(..left).unwrap_or_default(), done)?;
        file.sync_data()?;
        done = done.saturating_add(u64::try_from(left).unwrap_or(u64::MAX));
    }
    Ok(())
}
