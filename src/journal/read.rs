//! Reads the log back: in order, checked, searched, followed.
//!
//! Readers need no lock and change nothing: they work beside the writer and on a copy. All but
//! [`verify()`] take the log as it is and do not check the chain.

pub(super) mod claims;
mod filter;
mod follow;
mod search;
mod since;
mod stretch;
mod tree;
mod verify;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::layout::{Form, GenerationDir, SegmentFile, generations, segments};
use super::lines::{Lines, open_segment};
use super::manifest;
use super::storage::{DiskStorage, Storage, read_up_to};
use crate::audit::{ParseError, ParsedRecord};

pub(super) use claims::{Claim, Pruning, repairs};
pub use filter::{Filter, Matcher, Network, NetworkError, Statuses, StatusesError};
pub use follow::Follower;
pub use search::{Hit, Order, Passed, Search, Step, find, tail};
pub use since::since;
pub use stretch::{GenerationState, Missing, Stretch, generation_states};
pub use tree::Published;
#[cfg(test)]
pub(super) use verify::judge_origins;
#[cfg(test)]
pub(super) use verify::verify_on;
pub use verify::{
    Act, Against, Before, Finding, GenerationReport, Known, KnownError, KnownGeneration, KnownNode,
    KnownTree, MAX_KNOWN_BYTES, TreeReport, VerifyReport, Wrong, verify, verify_against,
};

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk refused.
    #[error("cannot read `{path}`")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// There is no log.
    #[error("`{0}` holds no audit log: expected directories such as `gate-1.000001`")]
    NoLog(PathBuf),
}

impl ReadError {
    fn io<'p>(path: &'p Path) -> impl FnOnce(io::Error) -> Self + use<'p> {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// One record and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The record.
    pub record: ParsedRecord,
    /// The line as it stands in the log, without its newline.
    pub line: Vec<u8>,
}

impl Found {
    fn parse(line: &[u8]) -> Result<Self, ParseError> {
        Ok(Self { record: ParsedRecord::parse(line)?, line: line.to_vec() })
    }
}

/// The mark that a generation is complete.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClosedMark {
    #[expect(dead_code, reason = "there is one version so far")]
    v: u64,
    pub(super) records: u64,
    pub(super) head: String,
}

/// The longest mark.
const MARK_BYTES: usize = 512;

pub(super) fn read_closed(storage: &dyn Storage, path: &Path) -> io::Result<ClosedMark> {
    let mut bytes = vec![0; MARK_BYTES];
    let read = read_up_to(&*storage.open_read(path)?, &mut bytes, 0)?;
    bytes.truncate(read);
    serde_json::from_slice(&bytes).map_err(io::Error::from)
}

/// One line and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'r> {
    /// The segment.
    pub path: &'r Path,
    /// Where in it the line begins, in bytes.
    pub offset: u64,
    /// The line, without its newline.
    pub line: &'r [u8],
}

/// How many bytes the records below `directory` have, the padding of a segment that is being written
/// included. Of a compressed segment its manifest says it.
///
/// # Errors
/// When there is no log, or it cannot be read.
pub fn size(directory: &Path) -> Result<u64, ReadError> {
    let storage = DiskStorage;
    let mut bytes: u64 = 0;
    for generation in generations_of(&storage, directory)? {
        for file in segments(&storage, &generation.path).map_err(ReadError::io(&generation.path))? {
            bytes = bytes.saturating_add(size_of(&storage, &file).map_err(ReadError::io(&file.path))?);
        }
    }
    Ok(bytes)
}

fn size_of(storage: &dyn Storage, file: &SegmentFile) -> io::Result<u64> {
    for file in [file, &file.other_form()] {
        if file.form == Form::Compressed
            && let Some((Ok(manifest), _)) = manifest::read(storage, &file.manifest())?
        {
            return Ok(manifest.bytes);
        }
        match storage.open_read(&file.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            open => return open?.byte_len(),
        }
    }
    // Pruned since it was listed.
    Ok(0)
}

/// The lines of every generation and segment below a directory, in order, in bounded memory.
#[derive(Debug)]
pub struct Records {
    storage: DiskStorage,
    generations: VecDeque<GenerationDir>,
    segments: VecDeque<SegmentFile>,
    generation: u32,
    open: Option<OpenSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    path: PathBuf,
    lines: Lines,
    /// How many records it has before the next segment goes on; what a failed write left beyond
    /// them is no record.
    left: u64,
}

/// The generations below `directory`.
fn generations_of(storage: &dyn Storage, directory: &Path) -> Result<Vec<GenerationDir>, ReadError> {
    let found = generations(storage, directory).map_err(ReadError::io(directory))?;
    if found.is_empty() { Err(ReadError::NoLog(directory.to_owned())) } else { Ok(found) }
}

impl Records {
    /// The log below `directory`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(directory: &Path) -> Result<Self, ReadError> {
        let generations = generations_of(&DiskStorage, directory)?.into();
        Ok(Self { storage: DiskStorage, generations, segments: VecDeque::new(), generation: 0, open: None })
    }

    /// The generation of the line read last.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The next line without its newline; `None` at the end.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, ReadError> {
        Ok(self.next_placed()?.map(|placed| placed.line))
    }

    /// The next line and where it stands; `None` at the end.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_placed(&mut self) -> Result<Option<Placed<'_>>, ReadError> {
        // Two steps, since a line cannot be handed out while the reader is looked for further.
        loop {
            if let Some(open) = &mut self.open {
                let more = open.left > 0 && open.lines.has_line().map_err(ReadError::io(&open.path))?;
                if more {
                    break;
                }
                self.open = None;
            }
            if !self.open_next()? {
                return Ok(None);
            }
        }
        match &mut self.open {
            Some(open) => {
                open.left -= 1;
                let offset = open.lines.position();
                let line = open.lines.next_line().map_err(ReadError::io(&open.path))?;
                Ok(line.map(|line| Placed { path: &open.path, offset, line }))
            }
            None => Ok(None),
        }
    }

    fn open_next(&mut self) -> Result<bool, ReadError> {
        loop {
            if let Some(segment) = self.segments.pop_front() {
                let left =
                    self.segments.front().map_or(u64::MAX, |next| next.first.saturating_sub(segment.first));
                let lines = open_segment(&self.storage, &segment, 0).map_err(ReadError::io(&segment.path))?;
                // One that was pruned since it was listed is passed over.
                let Some(lines) = lines else { continue };
                let path =
                    if lines.form() == segment.form { segment.path } else { segment.other_form().path };
                self.open = Some(OpenSegment { path, lines, left });
                return Ok(true);
            }
            let Some(generation) = self.generations.pop_front() else { return Ok(false) };
            self.generation = generation.number;
            self.segments =
                segments(&self.storage, &generation.path).map_err(ReadError::io(&generation.path))?.into();
        }
    }
}
