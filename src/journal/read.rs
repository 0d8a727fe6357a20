//! Reading the log back: verify, search, tail. Only reads, in bounded memory, also while a gate writes.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::layout::{CLOSED, GenerationDir, SegmentFile, generations, segments};
use super::lines::Lines;
use super::scan::{Damage, DamageKind, scan};
use super::storage::{Storage, read_up_to};
use super::{DiskStorage, JournalError};
use crate::audit::ParsedRecord;
use crate::kernel::id::NodeId;
use crate::kernel::time::Timestamp;

/// What verification found.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// How many generations there are.
    pub generations: usize,
    /// How many records were checked and are in their place.
    pub records: u64,
    /// The instant of the first record.
    pub first: Option<String>,
    /// The instant of the last record.
    pub last: Option<String>,
    /// Generations whose end a crash has left torn; the next start of the gate cuts it off.
    pub torn: usize,
    /// What is not as it was written: the first place in each generation.
    pub damage: Vec<Damage>,
}

impl VerifyReport {
    /// Whether everything is as it was written.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damage.is_empty()
    }
}

/// Checks every record of every generation in `directory`: that it is whole, in its place, and follows
/// the one before it; that no generation is missing; and that closed ones end where they were closed.
///
/// # Errors
/// When the files cannot be read.
pub fn verify(directory: &Path) -> Result<VerifyReport, JournalError> {
    verify_on(&DiskStorage, directory)
}

pub(super) fn verify_on(storage: &dyn Storage, directory: &Path) -> Result<VerifyReport, JournalError> {
    let mut report = VerifyReport::default();
    let mut last_of: HashMap<NodeId, u32> = HashMap::new();
    for generation in all_generations(storage, directory)? {
        report.generations += 1;
        if let Some(before) = last_of.insert(generation.node.clone(), generation.number)
            && generation.number > before + 1
        {
            report.damage.push(Damage {
                file: generation.path.clone(),
                offset: 0,
                seq: 0,
                why: DamageKind::Generation { missing: before + 1 },
            });
        }
        verify_generation(storage, &generation, &mut report)?;
    }
    Ok(report)
}

fn verify_generation(
    storage: &dyn Storage,
    generation: &GenerationDir,
    report: &mut VerifyReport,
) -> Result<(), JournalError> {
    let (mut first, mut last) = (None, None);
    let scan = scan(storage, &generation.path, &generation.node, generation.number, &mut |line| {
        let at = instant_of(line);
        if first.is_none() {
            first.clone_from(&at);
        }
        last = at.or_else(|| last.take());
    })?;
    report.records += scan.chain.next();
    report.first = report.first.take().or(first);
    report.last = last.or_else(|| report.last.take());
    report.torn += usize::from(scan.torn.is_some());
    let is_sound = scan.damage.is_none();
    report.damage.extend(scan.damage);
    if let (true, Some(closed)) = (is_sound, closed_mark(storage, &generation.path)?) {
        let (file, offset) = scan.end.unwrap_or_else(|| (generation.path.clone(), 0));
        let ends_there = closed.records == scan.chain.next() && closed.head == scan.chain.head().to_hex();
        if !ends_there {
            let why = DamageKind::End { closed: closed.records, head: closed.head };
            report.damage.push(Damage { file, offset, seq: scan.chain.next(), why });
        } else if let Some(torn) = scan.torn {
            let why = DamageKind::Surplus { bytes: torn.bytes };
            report.damage.push(Damage { file, offset, seq: scan.chain.next(), why });
        }
    }
    Ok(())
}

/// The text of `at` in a line that is known to be a record.
fn instant_of(line: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\"at\":\"";
    let start = memchr::memmem::find(line, KEY)? + KEY.len();
    let rest = line.get(start..)?;
    let text = rest.get(..memchr::memchr(b'"', rest)?)?;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

#[derive(serde::Deserialize)]
struct ClosedMark {
    records: u64,
    head: String,
}

fn closed_mark(storage: &dyn Storage, directory: &Path) -> Result<Option<ClosedMark>, JournalError> {
    const MAX_BYTES: usize = 1024;
    let path = directory.join(CLOSED);
    let file = match storage.open_read(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(JournalError::io("read", &path)(error)),
    };
    let mut bytes = vec![0; MAX_BYTES];
    let read = read_up_to(&*file, &mut bytes, 0).map_err(JournalError::io("read", &path))?;
    let mark = serde_json::from_slice(bytes.get(..read).unwrap_or_default());
    // A mark that cannot be read vouches for no end: it counts as one that names another.
    Ok(Some(mark.unwrap_or(ClosedMark { records: u64::MAX, head: String::new() })))
}

fn all_generations(storage: &dyn Storage, directory: &Path) -> Result<Vec<GenerationDir>, JournalError> {
    generations(storage, directory).map_err(JournalError::io("list", directory))
}

/// Every segment of every generation, oldest first.
fn all_segments(storage: &dyn Storage, directory: &Path) -> Result<Vec<SegmentFile>, JournalError> {
    let mut all = Vec::new();
    for generation in all_generations(storage, directory)? {
        all.extend(segments(storage, &generation.path).map_err(JournalError::io("list", &generation.path))?);
    }
    Ok(all)
}

/// Calls `each` with the records of one segment that can be read, up to the first line that is none.
fn each_of(
    storage: &dyn Storage,
    segment: &SegmentFile,
    each: &mut dyn FnMut(ParsedRecord) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, JournalError> {
    let failed = JournalError::io("read", &segment.path);
    let read = || -> io::Result<ControlFlow<()>> {
        let mut lines = Lines::new(storage.open_read(&segment.path)?, 0);
        while let Some(line) = lines.next_line()? {
            let Ok(record) = ParsedRecord::parse(line) else { break };
            if each(record).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    };
    let mut read = read;
    read().map_err(failed)
}

/// The last `count` records, oldest first.
///
/// # Errors
/// When the files cannot be read.
pub fn tail(directory: &Path, count: usize) -> Result<Vec<ParsedRecord>, JournalError> {
    let mut found: VecDeque<ParsedRecord> = VecDeque::new();
    for segment in all_segments(&DiskStorage, directory)?.iter().rev() {
        let mut newest = VecDeque::new();
        let wanted = count.saturating_sub(found.len());
        let _end = each_of(&DiskStorage, segment, &mut |record| {
            if newest.len() == wanted {
                newest.pop_front();
            }
            if wanted > 0 {
                newest.push_back(record);
            }
            ControlFlow::Continue(())
        })?;
        newest.extend(found);
        found = newest;
        if found.len() >= count {
            break;
        }
    }
    Ok(found.into())
}

/// Calls `each` with every record from the instant `since` on, oldest first, until it breaks.
///
/// Whole segments that lie before `since` are passed over by the instant of the record that follows
/// them; records keep their order, so an earlier instant after a step of the clock is seen as well.
///
/// # Errors
/// When the files cannot be read.
pub fn since(
    directory: &Path,
    since: Timestamp,
    each: &mut dyn FnMut(ParsedRecord) -> ControlFlow<()>,
) -> Result<(), JournalError> {
    let all = all_segments(&DiskStorage, directory)?;
    let mut from = 0;
    for (index, segment) in all.iter().enumerate().rev() {
        let mut begins = None;
        let _first = each_of(&DiskStorage, segment, &mut |record| {
            begins = record.instant();
            ControlFlow::Break(())
        })?;
        if begins.is_some_and(|begins| begins < since) {
            from = index;
            break;
        }
    }
    for segment in all.get(from..).unwrap_or_default() {
        let end = each_of(&DiskStorage, segment, &mut |record| {
            if record.instant().is_some_and(|at| at < since) {
                return ControlFlow::Continue(());
            }
            each(record)
        })?;
        if end.is_break() {
            break;
        }
    }
    Ok(())
}

/// What to look for. Everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// From this instant on.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub to: Option<Timestamp>,
    /// This system.
    pub system: Option<String>,
    /// This department.
    pub department: Option<String>,
    /// This resource.
    pub resource: Option<String>,
    /// This purpose.
    pub purpose: Option<String>,
    /// Resting on this grant, or refused by it.
    pub grant: Option<String>,
    /// This decision.
    pub decision: Option<String>,
    /// This problem code.
    pub reason: Option<String>,
    /// This request.
    pub request: Option<String>,
}

impl Filter {
    fn takes(&self, record: &ParsedRecord) -> bool {
        let same = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let at = record.instant();
        let is_in_time = self.to.is_none_or(|to| at.is_some_and(|at| at < to))
            && self.from.is_none_or(|from| at.is_some_and(|at| at >= from));
        let is_of_grant = self
            .grant
            .as_ref()
            .is_none_or(|grant| record.grants.contains(grant) || record.denied_by.contains(grant));
        is_in_time
            && is_of_grant
            && same(&self.system, &record.system)
            && same(&self.department, &record.department)
            && same(&self.resource, &record.resource)
            && same(&self.purpose, &record.purpose)
            && same(&self.decision, &record.decision)
            && same(&self.reason, &record.reason)
            && same(&self.request, &record.request)
    }
}

/// Calls `each` with every record that `filter` takes, oldest first, until it breaks.
///
/// # Errors
/// When the files cannot be read.
pub fn search(
    directory: &Path,
    filter: &Filter,
    each: &mut dyn FnMut(ParsedRecord) -> ControlFlow<()>,
) -> Result<(), JournalError> {
    since(directory, filter.from.unwrap_or(Timestamp::MIN), &mut |record| {
        if filter.takes(&record) { each(record) } else { ControlFlow::Continue(()) }
    })
}
