//! Begins a new generation and puts the earlier ones in order.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::{
    CLOSED, Form, GenerationDir, LOCK, MAX_GENERATION, SPARE, TORN, generation_name, segment_name, segments,
};
use super::lines::{open_segment, used_after};
use super::log::{Log, write_closed, write_file};
use super::progress::Progress;
use super::repair::{generations_of, lock};
use super::scan::{Ending, Leftover, Scan, scan};
use super::storage::{Lock, Storage, read_up_to};
use super::{JournalConfig, JournalError};
use crate::audit::{Entry, Event, Kind, Lifecycle, ParsedRecord, peek_kind};
use crate::kernel::time::{Clock, Timestamp};

/// How many records recovery commits together.
const RECOVERY_BATCH: usize = 1024;
/// How many closed generations a `follows` record names.
const FOLLOWS_MOST: usize = 8;

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The generation that this process writes.
    pub generation: u32,
    /// Its directory.
    pub directory: PathBuf,
    /// Earlier generations that had not been closed, and now are.
    pub recovered: Vec<RecoveredGeneration>,
    /// Earlier generations that other processes are still writing.
    pub live: Vec<u32>,
    /// How many intents were closed as `unknown`.
    pub unknown_outcomes: usize,
}

/// An earlier generation that was not closed by its own process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredGeneration {
    /// Its number.
    pub generation: u32,
    /// How many records it holds.
    pub records: u64,
    /// How many torn bytes were cut off and put aside.
    pub cut_bytes: u64,
    /// What was damaged, if a repair put it aside.
    pub repaired: Option<String>,
}

/// A generation of our own, ready to write.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) log: Log,
    pub(super) lock: Box<dyn Lock>,
    pub(super) recovery: Recovery,
}

/// An earlier generation under our lock, read to its end.
#[derive(Debug)]
pub(super) struct Earlier {
    place: GenerationDir,
    scan: Scan,
    cut_bytes: u64,
    repaired: Option<String>,
    /// Held until the generation is marked closed.
    _lock: Box<dyn Lock>,
}

impl Earlier {
    /// Marks it closed. What is said of it must be durable.
    pub(super) fn close(&self, storage: &dyn Storage) -> Result<RecoveredGeneration, JournalError> {
        write_closed(storage, &self.place.path, &self.scan.chain)
            .map_err(JournalError::io("close", &self.place.path))?;
        Ok(RecoveredGeneration {
            generation: self.place.number,
            records: self.scan.chain.next(),
            cut_bytes: self.cut_bytes,
            repaired: self.repaired.clone(),
        })
    }
}

/// How another generation is found.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing follows any more.
    Closed,
    /// Its process writes it, or another process puts it in order.
    Live,
    /// Its process has ended without closing it.
    Left(Box<dyn Lock>),
}

/// Looks how a generation is, and takes its lock if its process left it open.
pub(super) fn look(storage: &dyn Storage, place: &GenerationDir) -> Result<Found, JournalError> {
    let is_closed = || {
        let names = storage.list(&place.path).map_err(JournalError::io("list", &place.path))?;
        Ok::<_, JournalError>(names.iter().any(|name| name == CLOSED))
    };
    if is_closed()? {
        return Ok(Found::Closed);
    }
    let Some(lock) = lock(storage, place)? else { return Ok(Found::Live) };
    // Whoever had the lock may have closed it since.
    Ok(if is_closed()? { Found::Closed } else { Found::Left(lock) })
}

/// Opens a new generation in `config.directory` and closes what earlier processes left open.
pub(super) fn open(
    config: &JournalConfig,
    storage: &Arc<dyn Storage>,
    clock: &dyn Clock,
) -> Result<Opened, JournalError> {
    let root = &config.directory;
    create_root(&**storage, root)?;
    let before = generations_of(config, &**storage)?;
    let mut live = Vec::new();
    let mut locked = Vec::new();
    let mut closed = Vec::new();
    for place in &before {
        match look(&**storage, place)? {
            Found::Closed => closed.push(place.clone()),
            Found::Live => live.push(place.number),
            Found::Left(lock) => locked.push((place, lock)),
        }
    }
    if let (Some(_), Some(&generation)) = (&config.repair, live.first()) {
        return Err(JournalError::Live { generation });
    }
    let mut intents = BTreeMap::new();
    let read = |(place, lock)| read_earlier(config, &**storage, place, lock, &mut intents);
    let earlier = locked.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let last = before.last().map_or(0, |place| place.number);
    let (place, lock) = begin_generation(config, &**storage, last)?;
    let progress = Progress::new(place.node.clone(), place.number, place.path.clone());
    let mut log = Log::create(Arc::clone(storage), progress, config.segment_bytes)
        .map_err(JournalError::io("begin a segment in", &place.path))?;
    let entries = recovery_entries(config, &**storage, clock.now(), &closed, &earlier, &intents)?;
    commit_all(&mut log, &entries).map_err(JournalError::io("write to", &place.path))?;
    let recovered = earlier.iter().map(|done| done.close(&**storage)).collect::<Result<_, _>>()?;
    let recovery = Recovery {
        generation: place.number,
        directory: place.path,
        recovered,
        live,
        unknown_outcomes: intents.len(),
    };
    Ok(Opened { log, lock, recovery })
}

fn create_root(storage: &dyn Storage, root: &Path) -> Result<(), JournalError> {
    let is_new = match storage.create_dir(root) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(JournalError::io("create", root)(error)),
    };
    let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    match storage.sync_dir(parent) {
        // Whoever was there before may have ended before this step. What this process may not open is not
        // its own making.
        Err(error) if !is_new && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done.map_err(JournalError::io("sync", parent)),
    }
}

/// Takes the next free number by creating its directory.
fn begin_generation(
    config: &JournalConfig,
    storage: &dyn Storage,
    last: u32,
) -> Result<(GenerationDir, Box<dyn Lock>), JournalError> {
    let root = &config.directory;
    for number in last.saturating_add(1)..=MAX_GENERATION {
        let path = root.join(generation_name(&config.node, number));
        match storage.create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(JournalError::io("create", &path)(error)),
        }
        storage.sync_dir(root).map_err(JournalError::io("sync", root))?;
        let lock_path = path.join(LOCK);
        let lock = storage.lock(&lock_path).map_err(JournalError::io("lock", &lock_path))?;
        // Another process that recovers may have come between the two steps: leave it the number.
        let Some(lock) = lock else { continue };
        let names = storage.list(&path).map_err(JournalError::io("list", &path))?;
        if names.iter().all(|name| name != CLOSED) {
            return Ok((GenerationDir { node: config.node.clone(), number, path }, lock));
        }
    }
    let full = io::Error::other("all generation numbers are taken");
    Err(JournalError::io("begin a generation in", root)(full))
}

/// Reads a generation that nobody writes any more, cuts what is torn, and notes which intents it
/// leaves open.
pub(super) fn read_earlier(
    config: &JournalConfig,
    storage: &dyn Storage,
    place: &GenerationDir,
    lock: Box<dyn Lock>,
    intents: &mut BTreeMap<String, ParsedRecord>,
) -> Result<Earlier, JournalError> {
    let scan = scan(storage, &place.path, &place.node, place.number, &mut |line| note(intents, line))?;
    let mut cut_bytes = 0;
    let mut repaired = None;
    if let Some(damage) = &scan.damage {
        if config.repair.is_none() {
            return Err(JournalError::Damaged(Arc::new(damage.clone())));
        }
        repaired = Some(damage.to_string());
        cut_bytes = put_damage_aside(storage, &place.path, &scan)?;
    }
    for leftover in scan.strays.iter().chain(&scan.torn) {
        cut(storage, &place.path, leftover)?;
        cut_bytes = cut_bytes.saturating_add(leftover.bytes);
    }
    trim_all(storage, &place.path)?;
    remove_if_there(storage, &place.path.join(SPARE))?;
    Ok(Earlier { place: place.clone(), scan, cut_bytes, repaired, _lock: lock })
}

fn remove_if_there(storage: &dyn Storage, path: &Path) -> Result<(), JournalError> {
    match storage.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(JournalError::io("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Keeps the intents that have no outcome yet.
fn note(intents: &mut BTreeMap<String, ParsedRecord>, line: &[u8]) {
    let kind = peek_kind(line);
    if !matches!(kind, Some(Kind::Intent | Kind::Outcome)) {
        return;
    }
    // A good line always parses: the encoder wrote it. What does not cannot be closed either.
    let Ok(record) = ParsedRecord::parse(line) else { return };
    let Some(request) = record.request.clone() else { return };
    if kind == Some(Kind::Intent) {
        intents.insert(request, record);
    } else {
        intents.remove(&request);
    }
}

fn trim(storage: &dyn Storage, path: &Path, length: u64) -> io::Result<()> {
    let mut file = storage.open(path)?;
    if file.byte_len()? != length {
        file.set_len(length)?;
    }
    file.sync_data()
}

/// Cuts all segments to their records, durably. Their process may have come to cut some, but not to see it
/// through.
fn trim_all(storage: &dyn Storage, generation: &Path) -> Result<(), JournalError> {
    let files = segments(storage, generation).map_err(JournalError::io("list", generation))?;
    for segment in files.iter().filter(|segment| segment.form == Form::Plain) {
        let path = &segment.path;
        let records = || {
            let file = storage.open_read(path)?;
            let length = file.byte_len()?;
            let mut last = [0];
            read_up_to(&*file, &mut last, length.saturating_sub(1))?;
            // A line ends in a newline: what ends in zero is padded.
            if last == [0] { used_after(&*file, 0) } else { Ok(length) }
        };
        let length = records().map_err(JournalError::io("read", path))?;
        trim(storage, path, length).map_err(JournalError::io("trim", path))?;
    }
    Ok(())
}

fn torn_dir(storage: &dyn Storage, generation: &Path) -> Result<PathBuf, JournalError> {
    let torn = generation.join(TORN);
    match storage.create_dir(&torn) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(JournalError::io("create", &torn)(error));
        }
        Ok(()) | Err(_) => {}
    }
    storage.sync_dir(generation).map_err(JournalError::io("sync", generation))?;
    Ok(torn)
}

/// Copies what follows the records of a segment to `torn/`, then cuts it off.
fn cut(storage: &dyn Storage, generation: &Path, leftover: &Leftover) -> Result<(), JournalError> {
    let torn = torn_dir(storage, generation)?;
    let path = &leftover.file;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("segment");
    let aside = format!("{name}.{}", leftover.offset);
    let read = || {
        let file = storage.open_read(path)?;
        let length = usize::try_from(leftover.bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; length];
        let read = read_up_to(&*file, &mut bytes, leftover.offset)?;
        bytes.truncate(read);
        Ok(bytes)
    };
    let bytes = read().map_err(JournalError::io("read", path))?;
    write_file(storage, &torn, &aside, &bytes).map_err(JournalError::io("keep a torn end in", &torn))?;
    trim(storage, path, leftover.offset).map_err(JournalError::io("trim", path))
}

/// Puts everything from the damage on aside: the rest of its segment, and the segments after it.
fn put_damage_aside(storage: &dyn Storage, generation: &Path, scan: &Scan) -> Result<u64, JournalError> {
    let torn = torn_dir(storage, generation)?;
    let mut bytes: u64 = 0;
    let next = scan.chain.next();
    // The segment with the damage is the last one read, unless the damage is its very beginning.
    let end = match &scan.end {
        Some(end) if end.file.form == Form::Compressed => {
            bytes = bytes.saturating_add(put_compressed_aside(storage, end, &torn)?);
            None
        }
        end => end.as_ref(),
    };
    let keep = end.map(|end| &end.file.path);
    let files = segments(storage, generation).map_err(JournalError::io("list", generation))?;
    for file in files.iter().rev().filter(|file| file.first >= next && keep != Some(&file.path)) {
        let length = storage.open_read(&file.path).and_then(|open| open.byte_len());
        bytes = bytes.saturating_add(length.map_err(JournalError::io("read", &file.path))?);
        for path in [&file.manifest(), &file.other_form().path, &file.path] {
            move_if_there(storage, path, &torn)?;
        }
    }
    for directory in [&torn, generation] {
        storage.sync_dir(directory).map_err(JournalError::io("sync", directory))?;
    }
    if let Some(Ending { file, length }) = end {
        let path = &file.path;
        let used = storage.open_read(path).and_then(|file| used_after(&*file, *length));
        let used = used.map_err(JournalError::io("read", path))?;
        if used > 0 {
            cut(storage, generation, &Leftover { file: path.clone(), offset: *length, bytes: used })?;
            bytes = bytes.saturating_add(used);
        }
    }
    Ok(bytes)
}

/// Puts a damaged compressed segment and its manifest aside whole, and its good records back as a plain
/// one. Says how long the compressed file was.
fn put_compressed_aside(storage: &dyn Storage, end: &Ending, torn: &Path) -> Result<u64, JournalError> {
    let path = &end.file.path;
    let directory = path.parent().unwrap_or(torn);
    let name = segment_name(end.file.first);
    if end.length > 0 {
        let good = good_bytes(storage, end).map_err(JournalError::io("read", path))?;
        write_file(storage, directory, &name, &good).map_err(JournalError::io("restore", path))?;
    }
    let length = storage.open_read(path).and_then(|file| file.byte_len());
    let length = length.map_err(JournalError::io("read", path))?;
    for path in [&end.file.manifest(), path] {
        move_if_there(storage, path, torn)?;
    }
    Ok(length)
}

fn move_if_there(storage: &dyn Storage, path: &Path, to: &Path) -> Result<(), JournalError> {
    match storage.rename(path, &to.join(path.file_name().unwrap_or_default())) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(JournalError::io("move", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The good records at the beginning of a segment; a segment fits into memory.
fn good_bytes(storage: &dyn Storage, end: &Ending) -> io::Result<Vec<u8>> {
    let mut good = Vec::new();
    let Some(mut lines) = open_segment(storage, &end.file, 0)? else {
        return Err(io::ErrorKind::NotFound.into());
    };
    while lines.position() < end.length
        && let Some(line) = lines.next_line()?
    {
        good.extend_from_slice(line);
        good.push(b'\n');
    }
    Ok(good)
}

/// What is said of other generations: what came before, and the outcomes nobody recorded.
pub(super) fn recovery_entries(
    config: &JournalConfig,
    storage: &dyn Storage,
    at: Timestamp,
    closed: &[GenerationDir],
    earlier: &[Earlier],
    intents: &BTreeMap<String, ParsedRecord>,
) -> Result<Vec<Entry>, JournalError> {
    let mut entries = Vec::new();
    for place in closed.iter().rev().take(FOLLOWS_MOST).rev() {
        let path = place.path.join(CLOSED);
        let mark = super::read::read_closed(storage, &path).map_err(JournalError::io("read", &path))?;
        let (generation, records) = (place.number.to_string(), mark.records.to_string());
        let detail = [("generation", &*generation), ("records", &*records), ("head", &*mark.head)];
        entries.push(lifecycle(at, Event::Follows, "system", &detail));
    }
    for done in earlier {
        let generation = done.place.number.to_string();
        let records = done.scan.chain.next().to_string();
        let head = done.scan.chain.head().to_string();
        let cut = done.cut_bytes.to_string();
        let mut detail = vec![
            ("generation", &*generation),
            ("records", &*records),
            ("head", &*head),
            ("cut_bytes", &*cut),
        ];
        let (mut event, mut actor) = (Event::Recovered, "system");
        if let Some(damage) = &done.repaired {
            event = Event::Repair;
            detail.push(("damage", damage));
            if let Some(repair) = &config.repair {
                actor = &repair.actor;
                detail.push(("reason", &repair.reason));
            }
        }
        entries.push(lifecycle(at, event, actor, &detail));
    }
    entries.extend(intents.values().map(|intent| intent.unknown_outcome(at)));
    Ok(entries)
}

fn lifecycle(at: Timestamp, event: Event, actor: &str, detail: &[(&'static str, &str)]) -> Entry {
    Lifecycle { at, event, actor, detail, policy: None, config: None }.encode()
}

fn commit_all(log: &mut Log, entries: &[Entry]) -> io::Result<()> {
    for mut batch in entries.chunks(RECOVERY_BATCH) {
        while !batch.is_empty() {
            let (count, _) = log.commit(batch.iter())?;
            batch = batch.get(count..).unwrap_or_default();
        }
    }
    Ok(())
}
