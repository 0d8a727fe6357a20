//! Reads a log once, in batches that all cores decide, in bounded memory.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::cli::progress::Progress;
use crate::journal::read::{Placed, ReadError, Records, size};
use crate::review::replay::{LineError, Replay, Report};

/// How many bytes of lines are decided at once.
const BATCH_BYTES: usize = 256 * 1024;
/// How many batches wait for one thread.
const WAITING: usize = 4;
/// The most threads that decide. One that reads keeps no more of them busy.
const MAX_THREADS: usize = 8;
/// How many lines that are no records are named.
const MAX_NAMED: usize = 20;

/// What a log came to.
#[derive(Debug, Default)]
pub(super) struct Streamed {
    /// What its accesses came to.
    pub(super) report: Report,
    /// How many lines it has.
    pub(super) lines: u64,
    /// How many of them are no records.
    pub(super) unreadable: u64,
    /// The first of those.
    pub(super) named: Vec<Unreadable>,
}

/// A line that is no record.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// Its place in the order of the log.
    place: u64,
    /// In which file.
    pub(super) path: Arc<Path>,
    /// Where it begins, in bytes.
    pub(super) offset: u64,
    /// What is wrong.
    pub(super) why: LineError,
}

/// Lines of one segment, one after the other.
struct Batch {
    path: Arc<Path>,
    /// The place of the first one in the order of the log.
    place: u64,
    /// Where the first one begins.
    offset: u64,
    /// The lines, each with its newline.
    text: Vec<u8>,
}

impl Batch {
    fn new(path: &Path, place: u64, offset: u64) -> Self {
        let text = Vec::with_capacity(BATCH_BYTES + crate::audit::MAX_LINE_BYTES + 1);
        Self { path: Arc::from(path), place, offset, text }
    }
}

impl Streamed {
    fn decide(&mut self, batch: &Batch, replay: &Replay<'_>) {
        let mut offset = batch.offset;
        for (place, line) in (batch.place..).zip(batch.text.split_inclusive(|&byte| byte == b'\n')) {
            self.lines += 1;
            match replay.line(line.strip_suffix(b"\n").unwrap_or(line)) {
                Ok(outcome) => self.report.take(place, outcome, replay.examples),
                Err(why) => {
                    self.unreadable += 1;
                    if self.named.len() < MAX_NAMED {
                        self.named.push(Unreadable { place, path: Arc::clone(&batch.path), offset, why });
                    }
                }
            }
            offset = offset.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        }
    }

    fn merge(&mut self, other: Self, examples: usize) {
        self.report.merge(other.report, examples);
        self.lines += other.lines;
        self.unreadable += other.unreadable;
        self.named.extend(other.named);
        self.named.sort_unstable_by_key(|unreadable| unreadable.place);
        self.named.truncate(MAX_NAMED);
    }
}

/// Decides every record below `directories` again.
pub(super) fn stream(directories: &[PathBuf], replay: &Replay<'_>) -> Result<Streamed, ReadError> {
    let mut logs = Vec::new();
    let mut bytes: u64 = 0;
    for directory in directories {
        bytes = bytes.saturating_add(size(directory)?);
        logs.push(Records::open(directory)?);
    }
    let progress = Progress::over(bytes);
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_THREADS);
    let streamed = std::thread::scope(|scope| {
        let (mut senders, mut workers) = (Vec::new(), Vec::new());
        for _ in 0..threads {
            let (sender, receiver) = sync_channel::<Batch>(WAITING);
            senders.push(sender);
            workers.push(scope.spawn(move || decide(&receiver, replay)));
        }
        let read = logs.iter_mut().try_fold(0, |place, log| send(log, place, &senders, &progress));
        // Without senders the workers come to their end.
        drop(senders);
        let mut streamed = Streamed::default();
        for worker in workers {
            match worker.join() {
                Ok(part) => streamed.merge(part, replay.examples),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        read.map(|_| streamed)
    });
    progress.end();
    streamed
}

fn decide(batches: &Receiver<Batch>, replay: &Replay<'_>) -> Streamed {
    let mut streamed = Streamed::default();
    for batch in batches {
        streamed.decide(&batch, replay);
    }
    streamed
}

/// Reads a log whose first line is the one at `place`, and says what the place after its last is.
fn send(
    log: &mut Records,
    mut place: u64,
    senders: &[SyncSender<Batch>],
    progress: &Progress,
) -> Result<u64, ReadError> {
    let mut turn = senders.iter().cycle();
    let mut hand_over = |batch: Option<Batch>| {
        let (Some(batch), Some(sender)) = (batch, turn.next()) else { return };
        progress.add(u64::try_from(batch.text.len()).unwrap_or(u64::MAX));
        // A worker that has gone panicked; that is seen when it is joined.
        sender.send(batch).unwrap_or(());
    };
    let mut batch: Option<Batch> = None;
    while let Some(Placed { path, offset, line }) = log.next_placed()? {
        let fits =
            |batch: &mut Batch| batch.text.len() < BATCH_BYTES && batch.path.as_os_str() == path.as_os_str();
        if batch.as_mut().is_none_or(|batch| !fits(batch)) {
            hand_over(batch.take());
        }
        let open = batch.get_or_insert_with(|| Batch::new(path, place, offset));
        open.text.extend_from_slice(line);
        open.text.push(b'\n');
        place += 1;
    }
    hand_over(batch);
    Ok(place)
}
