//! Opening: bring earlier generations in order, begin a new one.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::handle::{Journal, Shared};
use super::layout::{
    CLOSED, GenerationDir, LOCK, MAX_GENERATION, TORN, generation_name, generations, segments,
};
use super::log::{Log, write_closed, write_file};
use super::scan::{Leftover, scan};
use super::storage::{Lock, Storage, read_up_to};
use super::writer::Writer;
use super::{JournalConfig, JournalError, MIN_SEGMENT_BYTES, Observer};
use crate::audit::{Chain, Entry, Lifecycle, ParsedRecord};
use crate::kernel::time::Clock;

/// What opening a journal found and did.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    /// The generation that is written now.
    pub generation: u32,
    /// The earlier ones that nobody had closed.
    pub recovered: Vec<RecoveredGeneration>,
}

/// An earlier generation that was brought in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredGeneration {
    /// Its number.
    pub generation: u32,
    /// How many records it has.
    pub records: u64,
    /// How many bytes of a commit that never finished were cut off and kept aside.
    pub torn_bytes: u64,
    /// How many intents had no outcome and were closed as `unknown`.
    pub unknown: usize,
}

/// An earlier generation and the intents in it that nobody had closed.
struct Found {
    summary: RecoveredGeneration,
    orphans: Vec<ParsedRecord>,
}

impl Journal {
    /// Brings earlier generations of this node in order, begins a new one and starts its writer.
    ///
    /// # Errors
    /// When the disk refuses, or what was durable is no longer as it was written.
    pub fn open(
        config: &JournalConfig,
        storage: &Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<(Self, Recovery), JournalError> {
        let (log, lock, recovery) = open_log(config, storage, &*clock, true)?;
        let (send, receive) = mpsc::channel(config.queue_records);
        let shared = Arc::new(Shared::new(config.queue_bytes));
        let writer = Writer::new(log, receive, Arc::clone(&shared), clock, observer, config);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                raise_priority();
                writer.run();
                drop(lock);
            })
            .map_err(JournalError::Thread)?;
        Ok((Self::new(send, shared, thread), recovery))
    }
}

/// Asks for more of the processor than others get, where the system allows: a writer that waits for it
/// makes everyone wait. Refused without harm where the process may not.
fn raise_priority() {
    const NICE: i32 = -10;
    match rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        Ok(()) => tracing::debug!(nice = NICE, "the audit writer runs at raised priority"),
        Err(error) => tracing::debug!(%error, "the audit writer runs at normal priority"),
    }
}

/// The log of a new generation, the lock on it, and what was found before.
pub(super) fn open_log(
    config: &JournalConfig,
    storage: &Arc<dyn Storage>,
    clock: &dyn Clock,
    background: bool,
) -> Result<(Log, Box<dyn Lock>, Recovery), JournalError> {
    if config.segment_bytes < MIN_SEGMENT_BYTES {
        return Err(JournalError::SegmentTooSmall { found: config.segment_bytes });
    }
    let directory = &config.directory;
    make_dir(&**storage, directory)?;
    let existing = generations(&**storage, directory).map_err(JournalError::io("list", directory))?;
    let own: Vec<&GenerationDir> = existing.iter().filter(|found| found.node == config.node).collect();
    let mut recovery = Recovery::default();
    let mut orphans = Vec::new();
    for generation in &own {
        if let Some(found) = bring_in_order(&**storage, generation)? {
            recovery.recovered.push(found.summary);
            orphans.extend(found.orphans);
        }
    }
    let last = own.last().map_or(0, |generation| generation.number);
    let (path, number, lock) = begin_generation(config, &**storage, last)?;
    recovery.generation = number;
    let chain = Chain::new(config.node.clone(), number);
    let mut log = Log::create(Arc::clone(storage), path.clone(), chain, config.segment_bytes, background)
        .map_err(JournalError::io("write", &path))?;
    let entries = recovery_entries(&recovery, &orphans, clock);
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        let (written, _bytes) = log.commit(rest.iter()).map_err(JournalError::io("write", &path))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok((log, lock, recovery))
}

/// What the new generation says about the earlier ones.
fn recovery_entries(recovery: &Recovery, orphans: &[ParsedRecord], clock: &dyn Clock) -> Vec<Entry> {
    let at = clock.now();
    let mut entries: Vec<Entry> = orphans.iter().map(|orphan| orphan.unknown_outcome(at)).collect();
    for found in &recovery.recovered {
        let texts = [
            found.generation.to_string(),
            found.records.to_string(),
            found.torn_bytes.to_string(),
            found.unknown.to_string(),
        ];
        let names = ["generation", "records", "torn_bytes", "unknown"];
        let detail: Vec<(&'static str, &str)> =
            names.into_iter().zip(texts.iter().map(String::as_str)).collect();
        let lifecycle = Lifecycle {
            at,
            event: "recovered",
            actor: "journal",
            detail: &detail,
            policy: None,
            config: None,
        };
        entries.push(lifecycle.encode());
    }
    entries
}

fn make_dir(storage: &dyn Storage, path: &Path) -> Result<(), JournalError> {
    match storage.create_dir(path) {
        Ok(()) => match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                storage.sync_dir(parent).map_err(JournalError::io("sync", parent))
            }
            _ => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(JournalError::io("create", path)(error)),
    }
}

/// Takes the next free number by creating its directory: two processes that start at once get two.
fn begin_generation(
    config: &JournalConfig,
    storage: &dyn Storage,
    last: u32,
) -> Result<(PathBuf, u32, Box<dyn Lock>), JournalError> {
    for number in last.saturating_add(1)..=MAX_GENERATION {
        let path = config.directory.join(generation_name(&config.node, number));
        match storage.create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(JournalError::io("create", &path)(error)),
        }
        let lock = storage.lock(&path.join(LOCK)).map_err(JournalError::io("lock", &path))?;
        let Some(lock) = lock else { continue };
        storage.sync_dir(&path).map_err(JournalError::io("sync", &path))?;
        storage.sync_dir(&config.directory).map_err(JournalError::io("sync", &config.directory))?;
        return Ok((path, number, lock));
    }
    let full = io::Error::new(io::ErrorKind::StorageFull, "every generation number is taken");
    Err(JournalError::io("begin a generation in", &config.directory)(full))
}

/// Closes a generation that its process left open: cuts off the torn end and says that nothing follows.
/// `None` if it was closed, or its process still lives.
fn bring_in_order(storage: &dyn Storage, generation: &GenerationDir) -> Result<Option<Found>, JournalError> {
    let path = &generation.path;
    let names = storage.list(path).map_err(JournalError::io("list", path))?;
    if names.iter().any(|name| name == CLOSED) {
        return Ok(None);
    }
    let Some(_lock) = storage.lock(&path.join(LOCK)).map_err(JournalError::io("lock", path))? else {
        return Ok(None);
    };
    let mut open: HashMap<String, ParsedRecord> = HashMap::new();
    let scan =
        scan(storage, path, &generation.node, generation.number, &mut |line| note_intent(&mut open, line))?;
    if let Some(damage) = scan.damage {
        return Err(JournalError::Damaged(Arc::new(damage)));
    }
    let mut torn_bytes = 0_u64;
    for leftover in scan.strays.iter().chain(&scan.torn) {
        put_aside(storage, path, leftover)
            .map_err(JournalError::io("put aside the torn end of", &leftover.file))?;
        torn_bytes = torn_bytes.saturating_add(leftover.bytes);
    }
    for segment in segments(storage, path).map_err(JournalError::io("list", path))? {
        let end = scan.end.as_ref().filter(|(last, _)| *last == segment.path).map(|(_, end)| *end);
        if let Some(end) = end {
            cut(storage, &segment.path, end).map_err(JournalError::io("cut", &segment.path))?;
        }
    }
    write_closed(storage, path, &scan.chain).map_err(JournalError::io("close", path))?;
    let mut orphans: Vec<ParsedRecord> = open.into_values().collect();
    orphans.sort_unstable_by_key(|orphan| orphan.seq);
    let summary = RecoveredGeneration {
        generation: generation.number,
        records: scan.chain.next(),
        torn_bytes,
        unknown: orphans.len(),
    };
    Ok(Some(Found { summary, orphans }))
}

/// Remembers an intent until its outcome is seen.
fn note_intent(open: &mut HashMap<String, ParsedRecord>, line: &[u8]) {
    let has = |needle: &[u8]| memchr::memmem::find(line, needle).is_some();
    let is_intent = has(b"\"kind\":\"intent\"");
    if !is_intent && !has(b"\"kind\":\"outcome\"") {
        return;
    }
    let Ok(record) = ParsedRecord::parse(line) else { return };
    let Some(request) = record.request.clone() else { return };
    if is_intent {
        open.insert(request, record);
    } else {
        open.remove(&request);
    }
}

/// Keeps a copy of what is cut off, then cuts it off.
fn put_aside(storage: &dyn Storage, directory: &Path, leftover: &Leftover) -> io::Result<()> {
    let torn = directory.join(TORN);
    match storage.create_dir(&torn) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    storage.sync_dir(directory)?;
    let mut bytes = vec![0; usize::try_from(leftover.bytes).map_err(|_| io::ErrorKind::FileTooLarge)?];
    let file = storage.open_read(&leftover.file)?;
    let read = read_up_to(&*file, &mut bytes, leftover.offset)?;
    bytes.truncate(read);
    let segment =
        leftover.file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    write_file(storage, &torn, &format!("{segment}.{}", leftover.offset), &bytes)?;
    cut(storage, &leftover.file, leftover.offset)
}

fn cut(storage: &dyn Storage, path: &Path, length: u64) -> io::Result<()> {
    let mut file = storage.open(path)?;
    file.set_len(length)?;
    file.sync_data()
}
