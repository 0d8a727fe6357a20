//! Removes segments whose records are older than they have to be kept. What is known of them stays.
//!
//! Oldest first, over all generations of the node: so one place says how far the log has been pruned. The record
//! that says it is durable before the first file goes, and where heads are signed one covers it: what no head
//! covers might be anybody's, and accounts for nothing.
//!
//! How old a segment is its records say, not its manifest alone: before anything is put on record, it is read and
//! held against its manifest, and against the tree.
//!
//! A clock that is wrong must not empty the log. The instant that age is measured by may be ahead of the newest
//! record of earlier generations by the time this process has run and [`MOST_DOWN`]; where there is none, nothing
//! goes before this process has run as long as records are kept. What one look removes spans [`MOST_AT_ONCE`] of
//! records at most, one look in [`LOOK_EVERY`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::check::Checking;
use super::{KeepFailure, KeepObserver, Left};
use crate::audit::{Entry, Event, Lifecycle};
use crate::journal::compress::remove_if_there;
use crate::journal::layout::{CLOSED, Form, GenerationDir, LOCK, SegmentFile, segments};
use crate::journal::manifest::{self, Manifest};
use crate::journal::scan::DamageKind;
use crate::journal::storage::Storage;
use crate::journal::{AppendError, Journal, Progress};
use crate::kernel::id::NodeId;
use crate::kernel::time::{Clock, Timestamp};

/// How often it is looked whether something is old enough; the first time so long after the start.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// How much time the records of one look may span, beyond those of a single segment.
const MOST_AT_ONCE: Duration = DAY;
/// How long the gate may have been down for the clock to be believed at once.
const MOST_DOWN: Duration = Duration::from_secs(31 * 24 * 3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Keeps records from being removed, however old they are.
pub trait Hold: fmt::Debug + Send + Sync {
    /// The first record of a generation that must stay, and with it all after it; `u64::MAX` if none must.
    /// Who cannot tell answers 0.
    fn first_needed(&self, node: &NodeId, generation: u32) -> u64;
}

/// Puts a record into the log.
pub trait Announce: fmt::Debug + Send + Sync {
    /// Blocks until `entry` is durable, and says its `seq`.
    ///
    /// # Errors
    /// When it is not.
    fn announce(&self, entry: Entry) -> Result<u64, AppendError>;
}

impl Announce for Journal {
    fn announce(&self, entry: Entry) -> Result<u64, AppendError> {
        self.append_blocking(entry)
    }
}

/// How long records are kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// How many days, at least.
    pub days: u32,
    /// What keeps records longer.
    pub holds: Vec<Arc<dyn Hold>>,
    /// Where it is put on record.
    pub announce: Arc<dyn Announce>,
}

/// Looks now and then whether something is old enough.
#[derive(Debug)]
pub(super) struct Pruner {
    retention: Retention,
    clock: Arc<dyn Clock>,
    started: Duration,
    looked: Duration,
    /// What is on record as gone, and waits until nothing holds that record.
    announced: Vec<Announced>,
}

/// Segments that a record says are gone.
#[derive(Debug)]
struct Announced {
    place: GenerationDir,
    files: Vec<SegmentFile>,
    records: u64,
    /// The record, in the generation of this process.
    seq: u64,
}

/// Segments of one generation that go.
struct Going {
    place: GenerationDir,
    files: Vec<SegmentFile>,
    before: u64,
    records: u64,
    last_at: String,
}

/// How far into the log segments may go, found while it is looked at.
struct Reach {
    /// Records from this instant on stay.
    old_before: Timestamp,
    /// The latest instant of the first segment that goes.
    oldest: Option<Timestamp>,
}

impl Reach {
    /// Whether a segment whose latest instant this is may go.
    fn takes(&mut self, last_at: Timestamp) -> bool {
        let oldest = *self.oldest.get_or_insert(last_at);
        last_at < self.old_before && oldest.checked_add(MOST_AT_ONCE).is_ok_and(|most| last_at <= most)
    }
}

impl Pruner {
    pub(super) fn new(retention: Retention, clock: Arc<dyn Clock>) -> Self {
        let started = clock.monotonic();
        Self { retention, clock, started, looked: started, announced: Vec::new() }
    }

    /// Removes what is old enough, if it is time to look.
    pub(super) fn prune(
        &mut self,
        storage: &dyn Storage,
        places: &[GenerationDir],
        progress: &Progress,
        observer: &dyn KeepObserver,
    ) -> Result<(), Left> {
        self.remove_announced(storage, progress, observer)?;
        let monotonic = self.clock.monotonic();
        if !self.announced.is_empty() || monotonic.saturating_sub(self.looked) < LOOK_EVERY {
            return Ok(());
        }
        self.looked = monotonic;
        let now = self.clock.now();
        let age = DAY.saturating_mul(self.retention.days);
        if !self.believe(storage, places, progress, now, age)? {
            return Ok(());
        }
        let Ok(old_before) = now.checked_sub(age) else { return Ok(()) };
        let mut reach = Reach { old_before, oldest: None };
        for place in places {
            let (going, is_last) = self.going(storage, place, progress, &mut reach)?;
            if let Some(going) = going {
                self.announce(going, now)?;
            }
            if is_last {
                break;
            }
        }
        // Where nothing is signed or sent they go at once.
        self.remove_announced(storage, progress, observer)
    }

    /// Removes what is on record as gone, once that record is where others must have it.
    fn remove_announced(
        &mut self,
        storage: &dyn Storage,
        progress: &Progress,
        observer: &dyn KeepObserver,
    ) -> Result<(), Left> {
        while let Some(gone) = self.announced.first() {
            if self.needed(progress.node(), progress.generation()) <= gone.seq {
                return Ok(());
            }
            let directory = &gone.place.path;
            let mut _lock = None;
            if gone.place.number != progress.generation() {
                _lock = storage.lock(&directory.join(LOCK)).map_err(Left::io(directory))?;
                if _lock.is_none() {
                    return Ok(());
                }
            }
            for file in &gone.files {
                remove_if_there(storage, &file.path).map_err(Left::io(directory))?;
            }
            storage.sync_dir(directory).map_err(Left::io(directory))?;
            observer.pruned(gone.records);
            self.announced.remove(0);
        }
        Ok(())
    }

    /// The first record of a generation that something holds.
    fn needed(&self, node: &NodeId, generation: u32) -> u64 {
        let holds = self.retention.holds.iter();
        holds.map(|hold| hold.first_needed(node, generation)).min().unwrap_or(u64::MAX)
    }

    /// Whether the clock can be right; `false` where nothing tells, and this process is too young for anything to
    /// be old.
    fn believe(
        &self,
        storage: &dyn Storage,
        places: &[GenerationDir],
        progress: &Progress,
        now: Timestamp,
        age: Duration,
    ) -> Result<bool, Left> {
        let mut newest = None;
        for place in places.iter().filter(|place| place.number < progress.generation()) {
            for file in segments(storage, &place.path).map_err(Left::io(&place.path))? {
                let read = manifest::read(storage, &file.manifest()).map_err(Left::io(&place.path))?;
                let last = read.and_then(|(manifest, _)| manifest.ok()).and_then(|found| instant(&found));
                newest = newest.max(last);
            }
        }
        let ran = self.clock.monotonic().saturating_sub(self.started);
        // A log without earlier generations is as young as this process.
        let Some(newest) = newest else { return Ok(ran >= age) };
        let latest = newest.checked_add(MOST_DOWN.saturating_add(ran));
        if latest.is_ok_and(|latest| now > latest) {
            return Err(Left::Failed(KeepFailure::Clock { now, newest }));
        }
        Ok(true)
    }

    /// The segments of one generation that go, and whether something of it stays.
    fn going(
        &self,
        storage: &dyn Storage,
        place: &GenerationDir,
        progress: &Progress,
        reach: &mut Reach,
    ) -> Result<(Option<Going>, bool), Left> {
        let failed = || Left::io(&place.path);
        let files = segments(storage, &place.path).map_err(failed())?;
        let is_own = place.number == progress.generation();
        let mut _lock = None;
        if !is_own {
            let names = storage.list(&place.path).map_err(failed())?;
            _lock = storage.lock(&place.path.join(LOCK)).map_err(failed())?;
            if _lock.is_none() || !names.iter().any(|name| name == CLOSED) {
                return Ok((None, true));
            }
        }
        let needed = self.needed(&place.node, place.number);
        let mut checking = Checking::new(storage, place).map_err(failed())?;
        let mut going =
            Going { place: place.clone(), files: Vec::new(), before: 0, records: 0, last_at: String::new() };
        for file in &files {
            let Some(manifest) = read_manifest(storage, place, file)? else {
                let length = storage.open_read(&file.path).and_then(|open| open.byte_len());
                if !is_own && length.map_err(failed())? == 0 {
                    // The last segment of a closed generation may have no record.
                    continue;
                }
                return Ok((Some(going).filter(Going::is_some), true));
            };
            let Some(last_at) = instant(&manifest) else {
                return Err(Left::damaged(&file.manifest(), file.first, DamageKind::NoManifest));
            };
            if manifest.end() > needed || !reach.takes(last_at) {
                return Ok((Some(going).filter(Going::is_some), true));
            }
            checking.check(storage, file, &manifest)?;
            going.before = manifest.end();
            going.records = going.records.saturating_add(manifest.records);
            going.last_at = going.last_at.max(manifest.last_at);
            going.files.push(file.clone());
        }
        Ok((Some(going).filter(Going::is_some), is_own))
    }

    /// Puts on record what goes.
    fn announce(&mut self, going: Going, now: Timestamp) -> Result<(), Left> {
        let text = |number: u64| number.to_string();
        let (generation, before) = (going.place.number.to_string(), text(going.before));
        let (records, days) = (text(going.records), text(self.retention.days.into()));
        let detail = [
            ("generation", &*generation),
            ("before", &*before),
            ("records", &*records),
            ("last_at", &*going.last_at),
            ("retention_days", &*days),
        ];
        let entry = Lifecycle {
            at: now,
            event: Event::Pruned,
            actor: "system",
            detail: &detail,
            policy: None,
            config: None,
        };
        let announced = self.retention.announce.announce(entry.encode());
        let seq = announced.map_err(|why| Left::Failed(KeepFailure::Unannounced(why)))?;
        let Going { place, files, records, .. } = going;
        self.announced.push(Announced { place, files, records, seq });
        Ok(())
    }
}

impl Going {
    const fn is_some(&self) -> bool {
        self.records > 0
    }
}

fn instant(manifest: &Manifest) -> Option<Timestamp> {
    manifest.last_at.parse().ok()
}

/// The manifest of a segment that may go; `None` if it is not compressed.
fn read_manifest(
    storage: &dyn Storage,
    place: &GenerationDir,
    file: &SegmentFile,
) -> Result<Option<Manifest>, Left> {
    if file.form == Form::Plain {
        return Ok(None);
    }
    let path = file.manifest();
    let damaged = |why| Left::damaged(&path, file.first, why);
    match manifest::read(storage, &path).map_err(Left::io(&place.path))? {
        Some((Ok(manifest), _)) if manifest.first == file.first && manifest.node == place.node => {
            Ok(Some(manifest))
        }
        Some((Ok(_), _)) => Err(damaged(DamageKind::Manifest(manifest::ManifestFault::Place))),
        Some((Err(why), _)) => Err(damaged(DamageKind::Manifest(why))),
        None => Err(damaged(DamageKind::NoManifest)),
    }
}
