//! Finds records by what they say, one after the other, in bounded memory.
//!
//! A segment is read in stretches of many lines. The rarest text that a record must have is looked for
//! in the whole stretch; only around it are lines cut out and read.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::super::layout::{Form, SegmentFile, segments};
use super::super::lines::{Lines, open_segment};
use super::super::manifest;
use super::super::storage::DiskStorage;
use super::filter::{Filter, Matcher};
use super::{Found, ReadError, generations_of};
use crate::audit::Members;

/// In which order records are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they were written, generation after generation.
    OldestFirst,
    /// The other way round. What is found in one segment is kept in memory, so no more than `most`
    /// records are.
    NewestFirst {
        /// How many records will be asked for at most.
        most: usize,
    },
}

/// A record that was looked for.
#[derive(Debug)]
pub struct Hit<'s> {
    /// The line as it stands in the log, without its newline.
    pub line: &'s [u8],
    /// What it says.
    pub record: Members<'s>,
}

/// What a step of a search comes to.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is looked at once: a box would cost every record an allocation"
)]
pub enum Step<'s> {
    /// A record matches.
    Found(Hit<'s>),
    /// More of the log was looked through.
    Passed,
}

/// A segment that is still to be searched.
#[derive(Debug)]
struct Part {
    file: SegmentFile,
    /// How many records it has before the next segment goes on; what a failed write left beyond them is
    /// no record.
    records: u64,
}

/// A search that goes on while it is asked for more.
#[derive(Debug)]
pub struct Search {
    storage: DiskStorage,
    matcher: Matcher,
    order: Order,
    parts: VecDeque<Part>,
    open: Option<Sifting>,
    /// Newest first: what one segment had, oldest first, and what was handed out last.
    kept: VecDeque<Vec<u8>>,
    handed_out: Vec<u8>,
    passed: Passed,
}

/// How much was looked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Bytes of segments.
    pub bytes: u64,
    /// How many lines they have.
    pub lines: u64,
    /// How many lines looked as if they matched but are no records: the log should be verified.
    pub unreadable: u64,
}

impl Search {
    /// Begins a search of the log below `directory`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn begin(directory: &Path, filter: &Filter, order: Order) -> Result<Self, ReadError> {
        let storage = DiskStorage;
        let mut parts = VecDeque::new();
        for generation in generations_of(&storage, directory)? {
            if filter.node.as_ref().is_some_and(|node| *node != generation.node) {
                continue;
            }
            let files = segments(&storage, &generation.path).map_err(ReadError::io(&generation.path))?;
            let ends: Vec<_> = files.iter().skip(1).map(|file| file.first).chain([u64::MAX]).collect();
            parts.extend(
                files
                    .into_iter()
                    .zip(ends)
                    .map(|(file, end)| Part { records: end.saturating_sub(file.first), file }),
            );
        }
        if matches!(order, Order::NewestFirst { .. }) {
            parts.make_contiguous().reverse();
        }
        let matcher = Matcher::new(filter);
        let passed = Passed::default();
        let (kept, handed_out) = (VecDeque::new(), Vec::new());
        Ok(Self { storage, matcher, order, parts, open: None, kept, handed_out, passed })
    }

    /// What was looked through so far. Counts the lines that were read ahead.
    #[must_use]
    pub fn passed(&self) -> Passed {
        let ahead = self.open.as_ref().map_or(0, Sifting::lines_ahead);
        Passed { lines: self.passed.lines.saturating_sub(ahead), ..self.passed }
    }

    /// How many bytes of segments were looked through so far; what was read ahead counts.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.passed.bytes
    }

    /// Goes on to the next record that matches, or for a while; `None` at the end.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn step(&mut self) -> Result<Option<Step<'_>>, ReadError> {
        match self.order {
            Order::OldestFirst => self.forwards(),
            Order::NewestFirst { most } => self.backwards(most),
        }
    }

    /// Whether the segment in hand may hold more.
    fn is_open(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.is_done)
    }

    /// Opens the next segment; false if there is none.
    fn open_next(&mut self) -> Result<bool, ReadError> {
        while let Some(part) = self.parts.pop_front() {
            let failed = ReadError::io(&part.file.path);
            if self.is_elsewhen(&part.file).map_err(ReadError::io(&part.file.path))? {
                continue;
            }
            // One that was pruned since it was listed is passed over.
            if let Some(lines) = open_segment(&self.storage, &part.file, 0).map_err(failed)? {
                let sifting = Sifting { lines, left: part.records, rest: 0..0, is_done: false, part };
                self.open = Some(sifting);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a segment has no record of the time that is wanted, by its manifest.
    fn is_elsewhen(&mut self, file: &SegmentFile) -> io::Result<bool> {
        if !self.matcher.asks_for_time() || file.form == Form::Plain {
            return Ok(false);
        }
        // One that cannot be read says nothing.
        let Some((Ok(manifest), _)) = manifest::read(&self.storage, &file.manifest())? else {
            return Ok(false);
        };
        let is_elsewhen = self.matcher.is_elsewhen(&manifest.first_at, &manifest.last_at);
        if is_elsewhen {
            self.passed.bytes = self.passed.bytes.saturating_add(manifest.bytes);
        }
        Ok(is_elsewhen)
    }

    fn forwards(&mut self) -> Result<Option<Step<'_>>, ReadError> {
        if !self.is_open() && !self.open_next()? {
            return Ok(None);
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        let Some(line) = open.candidate(&self.matcher) else {
            open.read_on(&mut self.passed)?;
            return Ok(Some(Step::Passed));
        };
        let line = open.lines.bytes(line);
        match Members::read(line) {
            Some(record) if self.matcher.matches(&record) => {
                return Ok(Some(Step::Found(Hit { line, record })));
            }
            Some(_) => {}
            None => self.passed.unreadable += 1,
        }
        Ok(Some(Step::Passed))
    }

    fn backwards(&mut self, most: usize) -> Result<Option<Step<'_>>, ReadError> {
        if let Some(line) = self.kept.pop_back() {
            self.handed_out = line;
            let line = self.handed_out.as_slice();
            return Ok(Some(
                Members::read(line).map_or(Step::Passed, |record| Step::Found(Hit { line, record })),
            ));
        }
        if !self.open_next()? {
            return Ok(None);
        }
        while self.is_open() {
            if let Some(Step::Found(hit)) = self.forwards()? {
                let line = hit.line.to_vec();
                if self.kept.len() >= most {
                    self.kept.pop_front();
                }
                self.kept.push_back(line);
            }
        }
        Ok(Some(Step::Passed))
    }
}

/// One segment, being searched.
#[derive(Debug)]
struct Sifting {
    part: Part,
    lines: Lines,
    /// How many records are beyond what was read.
    left: u64,
    /// What of the stretch in hand is still to be searched; whole lines, each with its newline.
    rest: Range<usize>,
    /// Whether it was read to its end.
    is_done: bool,
}

impl Sifting {
    /// Takes the next stretch.
    fn read_on(&mut self, passed: &mut Passed) -> Result<(), ReadError> {
        let stretch = self.lines.stretch().map_err(ReadError::io(&self.part.file.path))?;
        let bytes = self.lines.bytes(stretch.clone());
        let lines = count_lines(bytes);
        let length = if lines > self.left { end_of(bytes, self.left) } else { bytes.len() };
        self.rest = stretch.start..stretch.start + length;
        let lines = lines.min(self.left);
        self.left -= lines;
        passed.lines = passed.lines.saturating_add(lines);
        passed.bytes = passed.bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        self.is_done = length == 0;
        Ok(())
    }

    /// How many lines in hand are still to be searched.
    fn lines_ahead(&self) -> u64 {
        count_lines(self.lines.bytes(self.rest.clone()))
    }

    /// The next line in hand that may match, without its newline.
    fn candidate(&mut self, matcher: &Matcher) -> Option<Range<usize>> {
        loop {
            let rest = self.lines.bytes(self.rest.clone());
            let within = match matcher.rarest() {
                Some(needle) => match needle.find(rest) {
                    Some(found) => found,
                    None => {
                        self.rest.start = self.rest.end;
                        return None;
                    }
                },
                None => 0,
            };
            let before = rest.get(..within).unwrap_or_default();
            let begin = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
            let end = within + memchr::memchr(b'\n', rest.get(within..)?)?;
            let line = rest.get(begin..end)?;
            let start = self.rest.start;
            self.rest.start = start + end + 1;
            if matcher.may_match(line) {
                return Some(start + begin..start + end);
            }
        }
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    u64::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(u64::MAX)
}

/// Where the first `count` lines of `bytes` end.
fn end_of(bytes: &[u8], count: u64) -> usize {
    let Some(last) = usize::try_from(count).ok().and_then(|count| count.checked_sub(1)) else { return 0 };
    memchr::memchr_iter(b'\n', bytes).nth(last).map_or(bytes.len(), |newline| newline + 1)
}

/// The first `most` records below `directory` that `filter` holds of, and what was looked through for them.
///
/// # Errors
/// When there is no log, or it cannot be read.
pub fn find(directory: &Path, filter: &Filter, most: usize) -> Result<(Vec<Found>, Passed), ReadError> {
    take(Search::begin(directory, filter, Order::OldestFirst)?, most)
}

/// The last `most` records below `directory` that `filter` holds of, oldest first, and what was looked
/// through for them. No more segments are read than hold them.
///
/// # Errors
/// When there is no log, or it cannot be read.
pub fn tail(directory: &Path, filter: &Filter, most: usize) -> Result<(Vec<Found>, Passed), ReadError> {
    let (mut found, passed) = take(Search::begin(directory, filter, Order::NewestFirst { most })?, most)?;
    found.reverse();
    Ok((found, passed))
}

fn take(mut search: Search, most: usize) -> Result<(Vec<Found>, Passed), ReadError> {
    let (mut found, mut unreadable) = (Vec::new(), 0);
    while found.len() < most
        && let Some(step) = search.step()?
    {
        if let Step::Found(hit) = step {
            match Found::parse(hit.line) {
                Ok(record) => found.push(record),
                Err(_) => unreadable += 1,
            }
        }
    }
    let passed = search.passed();
    Ok((found, Passed { unreadable: passed.unreadable + unreadable, ..passed }))
}
