//! Appends what is durable to the tree, and signs it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::accounts::Accounts;
use super::files::TreeFiles;
use super::source::{Source, Stop};
use super::spans::Span;
use super::{Halt, PublishSettings, Refusal, SignedHead};
use crate::audit::Chain;
use crate::journal::layout::{CLOSED, GenerationDir, generations};
use crate::journal::read::read_closed;
use crate::journal::storage::Storage;
use crate::journal::{JournalError, Lock, Progress};
use crate::kernel::id::Digest;
use crate::tlog::growth::Tile;
use crate::tlog::tile::{TILE_WIDTH, TilePath};
use crate::tlog::{Checkpoint, Growth};

/// How many records are read before their tiles are written: a bound on memory.
const CHUNK_RECORDS: u64 = 1 << 16;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There may be more.
    Moved,
    /// There is no more for now.
    Idle,
}

/// What a tree that is made anew must give.
#[derive(Debug)]
pub(super) struct Expected {
    /// What was signed.
    pub(super) checkpoint: Checkpoint,
    /// Where generations began.
    pub(super) spans: Vec<Span>,
    /// Where to begin again, to write the tiles, once the records have given the right root: before that
    /// the tiles that there are may be the only proof of what was changed.
    pub(super) begin: Option<(Source, Span)>,
    /// Where the records differ from the tiles, if they do; which of them are wrong the root will tell.
    pub(super) suspect: Option<Refusal>,
    /// What is gone of the records.
    pub(super) accounts: Accounts,
}

impl Expected {
    /// Why nothing is signed, if not for `why` then for what was seen before.
    fn refuse(&self, why: Refusal) -> Halt {
        Halt::Refused(self.suspect.clone().unwrap_or(why))
    }
}

/// A tree that is followed, under the lock of who publishes.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) _lock: Box<dyn Lock>,
    pub(super) growth: Growth,
    pub(super) source: Source,
    pub(super) spans: Vec<Span>,
    /// Whether the spans on disk are other ones.
    pub(super) spans_changed: bool,
    /// What a tree that is made anew must give.
    pub(super) expect: Option<Expected>,
    /// How many records the last signed head has.
    pub(super) signed: u64,
    /// Tiles that are full and not written yet.
    pub(super) full: Vec<Tile>,
    /// Of each level the partial tile that was written last.
    pub(super) partial: BTreeMap<u8, TilePath>,
    /// Full tiles of which there are partial ones on disk.
    pub(super) outgrown: Vec<TilePath>,
    /// Since when a record waits for a signed head.
    pub(super) waits_since: Option<Duration>,
}

impl Following {
    /// Appends a stretch of durable records.
    pub(super) fn advance(
        &mut self,
        settings: &PublishSettings,
        storage: &dyn Storage,
        progress: &Progress,
        files: &mut TreeFiles,
        now: Duration,
    ) -> Result<Outcome, Halt> {
        let before = self.growth.size();
        let end = self.end(storage, progress)?;
        if let Some(end) = end
            && self.source.next() >= end
        {
            return self.next_generation(settings, storage, progress);
        }
        let durable = end.unwrap_or_else(|| progress.durable());
        let unsigned = before.saturating_sub(self.signed);
        let room = settings.records.saturating_sub(unsigned).clamp(1, CHUNK_RECORDS);
        let room = match &self.expect {
            Some(expected) => room.min(expected.checkpoint.size.saturating_sub(before)),
            None => room,
        };
        let until = self.source.next().saturating_add(room).min(durable);
        let is_own = self.source.place.number == progress.generation();
        if end.is_none() && !is_own || until <= self.source.next() {
            return Ok(Outcome::Idle);
        }
        if is_own && self.expect.is_none() && self.take_recent(progress, until) {
            self.waits_since.get_or_insert(now);
            self.write_full(files)?;
            return Ok(Outcome::Moved);
        }
        let (growth, full) = (&mut self.growth, &mut self.full);
        let mut accounts = self.expect.as_mut().map(|expected| &mut expected.accounts);
        let path = self.source.place.path.clone();
        let stop = self.source.read(storage, until, &mut |line, leaf| {
            if let Some(accounts) = &mut accounts {
                accounts.hear(line);
            }
            growth.push(leaf, full);
        });
        match stop.map_err(Halt::io("read", &path))? {
            Stop::Done => {}
            Stop::Missing { until } if self.expect.is_some() => self.take_old_leaves(files, until)?,
            Stop::Missing { .. } => return Err(self.missing()),
            Stop::Broken { file, offset, seq, why } => {
                let why = Refusal::Broken { file, offset, seq, why };
                return Err(match &self.expect {
                    Some(expected) => expected.refuse(why),
                    None => Halt::Refused(why),
                });
            }
        }
        if self.growth.size() > self.signed {
            self.waits_since.get_or_insert(now);
        }
        self.write_full(files)?;
        self.check_expected()?;
        Ok(Outcome::Moved)
    }

    /// Takes the leaves up to record `until` from who wrote them, as far as they are at hand; whether any was. What stands
    /// on disk meanwhile is for `verify` to hold against them.
    fn take_recent(&mut self, progress: &Progress, until: u64) -> bool {
        let next = self.source.next();
        let leaves = progress.leaves(next, until.saturating_sub(next));
        let Some(head) = leaves.last() else { return false };
        let taken = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        self.source.skip(next.saturating_add(taken), *head);
        for leaf in leaves {
            self.growth.push(leaf, &mut self.full);
        }
        true
    }

    /// Where the generation that is read ends; `None` if it does not yet.
    fn end(&self, storage: &dyn Storage, progress: &Progress) -> Result<Option<u64>, Halt> {
        let place = &self.source.place;
        if place.number == progress.generation() {
            return Ok(None);
        }
        let path = place.path.join(CLOSED);
        let records = match read_closed(storage, &path) {
            Ok(mark) => mark.records,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Halt::io("read", &path)(error)),
        };
        // What a repair put aside stays in the tree.
        let old = self.expect.as_ref().map_or(&[][..], |expected| &expected.spans);
        let published = old.iter().position(|span| span.generation == place.number).and_then(|at| {
            let (span, next) = (old.get(at)?, old.get(at + 1)?);
            Some(span.seq + (next.index - span.index))
        });
        Ok(Some(records.max(published.unwrap_or(0))))
    }

    /// Goes on with the generation after the one that has been read to its end, up to that of this process.
    fn next_generation(
        &mut self,
        settings: &PublishSettings,
        storage: &dyn Storage,
        progress: &Progress,
    ) -> Result<Outcome, Halt> {
        let found = generations(storage, &settings.directory);
        let found = found.map_err(Halt::io("list", &settings.directory))?;
        let next = found.into_iter().find(|place| {
            place.node == self.source.place.node
                && place.number > self.source.place.number
                && place.number <= progress.generation()
        });
        let Some(place) = next else { return Ok(Outcome::Idle) };
        self.begin(place);
        if self.source.place.number == progress.generation()
            && let Some(expected) = &self.expect
            && self.growth.size() < expected.checkpoint.size
        {
            // Nothing of this process has been signed before.
            return Err(expected.refuse(Refusal::Root { size: expected.checkpoint.size }));
        }
        Ok(Outcome::Moved)
    }

    fn begin(&mut self, place: GenerationDir) {
        self.spans.push(Span { generation: place.number, seq: 0, index: self.growth.size() });
        self.spans_changed = true;
        let chain = Chain::new(place.node.clone(), place.number);
        self.source = Source::new(place, chain);
    }

    fn missing(&self) -> Halt {
        Halt::Refused(Refusal::Missing { generation: self.source.place.number, seq: self.source.next() })
    }

    /// Takes the leaves of records that are gone from the tiles that there were, up to record `until`.
    fn take_old_leaves(&mut self, files: &TreeFiles, until: u64) -> Result<(), Halt> {
        let mut next = self.source.next();
        if let Some(expected) = &mut self.expect {
            expected.accounts.miss(self.source.place.number, next, until);
        }
        let mut head = None;
        while next < until {
            let index = self.growth.size();
            let tile = index / u64::from(TILE_WIDTH);
            let skip = usize::try_from(index % u64::from(TILE_WIDTH)).unwrap_or(0);
            let most = usize::try_from(until - next).unwrap_or(usize::MAX);
            let width = u16::try_from(skip.saturating_add(most)).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
            let path = TilePath { level: 0, index: tile, width };
            let read = files.tile(path).map_err(Halt::io("read a tile of", files.directory()))?;
            let bytes = read.ok_or_else(|| self.missing())?;
            let (hashes, _) = bytes.as_chunks::<32>();
            let leaves: Vec<_> =
                hashes.iter().take(width.into()).skip(skip).map(|hash| Digest(*hash)).collect();
            if leaves.is_empty() {
                return Err(self.missing());
            }
            for leaf in leaves {
                self.growth.push(leaf, &mut self.full);
                next = next.saturating_add(1);
                head = Some(leaf);
            }
        }
        if let Some(head) = head {
            self.source.skip(next, head);
        }
        Ok(())
    }

    /// Holds a tree that is made anew against what was signed before.
    fn check_expected(&mut self) -> Result<(), Halt> {
        let Some(expected) = &mut self.expect else { return Ok(()) };
        let size = expected.checkpoint.size;
        if self.growth.size() < size {
            return Ok(());
        }
        if self.growth.root() != expected.checkpoint.root {
            return Err(expected.refuse(Refusal::Root { size }));
        }
        // The root is right, so that every record that was read is a published one.
        if let Some(why) = expected.accounts.unaccounted() {
            return Err(Halt::Refused(why));
        }
        if let Some((source, span)) = expected.begin.take() {
            self.growth = Growth::default();
            (self.source, self.spans) = (source, vec![span]);
        } else {
            self.signed = size;
            self.expect = None;
        }
        self.waits_since = None;
        Ok(())
    }

    fn write_full(&mut self, files: &mut TreeFiles) -> Result<(), Halt> {
        if self.expect.as_ref().is_some_and(|expected| expected.begin.is_some()) {
            self.full.clear();
            return Ok(());
        }
        let is_anew = self.expect.is_some();
        while let Some(tile) = self.full.last() {
            // One that is there and right need not be written again.
            let is_there =
                is_anew && files.tile(tile.path).is_ok_and(|found| found.as_ref() == Some(&tile.bytes));
            if !is_there {
                let written = files.write_tile(tile);
                written.map_err(Halt::io("write a tile in", files.directory()))?;
            }
            let path = tile.path;
            if self.partial.get(&path.level).is_some_and(|partial| partial.index == path.index) {
                self.partial.remove(&path.level);
                self.outgrown.push(path);
            }
            self.full.pop();
        }
        Ok(())
    }

    pub(super) fn has_unsigned(&self) -> bool {
        self.expect.is_none() && self.growth.size() > self.signed
    }

    /// Whether what was appended is to be signed now. The first head of a log waits for nothing: without any, the log is
    /// no better than what can be made up.
    pub(super) fn is_due(&self, settings: &PublishSettings, now: Duration) -> bool {
        self.has_unsigned()
            && (self.signed == 0
                || self.growth.size() - self.signed >= settings.records
                || self.waits_since.is_some_and(|since| now.saturating_sub(since) >= settings.every))
    }

    /// Makes a head of all that was appended, durable after all that it needs.
    pub(super) fn sign(
        &mut self,
        settings: &PublishSettings,
        files: &mut TreeFiles,
    ) -> Result<SignedHead, Halt> {
        let directory = files.directory().to_owned();
        let failed = |error| Halt::Failed(JournalError::io("publish in", &directory)(error));
        self.write_full(files)?;
        for tile in self.growth.partial() {
            if self.partial.get(&tile.path.level) != Some(&tile.path) {
                files.write_tile(&tile).map_err(failed)?;
                self.partial.insert(tile.path.level, tile.path);
            }
        }
        files.sync_names().map_err(failed)?;
        if self.spans_changed {
            files.write_spans(&self.spans).map_err(failed)?;
            self.spans_changed = false;
        }
        let origin = settings.signer.key().name().to_owned();
        let checkpoint = Checkpoint { origin, size: self.growth.size(), root: self.growth.root() };
        let note = checkpoint.sign(&settings.signer);
        files.write_checkpoint(&note).map_err(failed)?;
        self.signed = checkpoint.size;
        self.waits_since = None;
        Ok(SignedHead { checkpoint, note })
    }

    /// Removes partial tiles of which there are full ones now.
    pub(super) fn tidy(&mut self, files: &mut TreeFiles) -> Result<(), Halt> {
        while let Some(path) = self.outgrown.last() {
            files.remove_partial(*path).map_err(Halt::io("remove partial tiles in", files.directory()))?;
            self.outgrown.pop();
        }
        Ok(())
    }

    /// How many records of this process's generation are waited for, and how long at most.
    pub(super) fn outlook(
        &self,
        settings: &PublishSettings,
        progress: &Progress,
        now: Duration,
        most: Duration,
    ) -> (u64, Duration) {
        let wait = self
            .waits_since
            .map_or(most, |since| settings.every.saturating_sub(now.saturating_sub(since)).min(most));
        if self.source.place.number != progress.generation() {
            return (u64::MAX, wait);
        }
        // The first record that waits says from when on the next head is due.
        let unsigned = self.growth.size().saturating_sub(self.signed);
        let wanted = if unsigned == 0 { 1 } else { settings.records.saturating_sub(unsigned) };
        (self.source.next().saturating_add(wanted), wait)
    }
}
