//! Reads the leaf hashes of one generation, from any record on, as far as its records are durable.

use std::io;
use std::path::{Path, PathBuf};

use crate::audit::{Broken, Chain};
use crate::journal::layout::{GenerationDir, segments};
use crate::journal::lines::{is_undecodable, open_segment};
use crate::journal::storage::Storage;
use crate::kernel::id::Digest;

/// Where the leaf hashes of a generation are read on.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) place: GenerationDir,
    /// The end of what was read.
    chain: Chain,
    /// The segment with the next record, by its first record, and the byte where the next record begins.
    open: Option<(u64, u64)>,
}

/// Why there is no next leaf.
#[derive(Debug)]
pub(super) enum Stop {
    /// All that was asked for has been read.
    Done,
    /// The records up to this one are not there: pruned, put aside, or taken away.
    Missing { until: u64 },
    /// The next record is not the one that was written after the one before.
    Broken { file: PathBuf, offset: u64, seq: u64, why: Broken },
}

impl Source {
    /// Begins with the record after the end of `chain`.
    pub(super) const fn new(place: GenerationDir, chain: Chain) -> Self {
        Self { place, chain, open: None }
    }

    /// The `seq` of the next record.
    pub(super) const fn next(&self) -> u64 {
        self.chain.next()
    }

    /// Goes on after records that are not there, the last of which had the leaf hash `head`.
    pub(super) fn skip(&mut self, next: u64, head: Digest) {
        self.chain = Chain::resume(self.place.node.clone(), self.place.number, next, head);
        self.open = None;
    }

    /// Gives lines and their leaf hashes in order, up to the record before `until`.
    pub(super) fn read(
        &mut self,
        storage: &dyn Storage,
        until: u64,
        take: &mut dyn FnMut(&[u8], Digest),
    ) -> io::Result<Stop> {
        let files = segments(storage, &self.place.path)?;
        while self.next() < until {
            let after = files.partition_point(|file| file.first <= self.next());
            let end = files.get(after).map_or(until, |file| file.first.min(until));
            let Some(file) = after.checked_sub(1).and_then(|at| files.get(at)) else {
                return Ok(Stop::Missing { until: end });
            };
            let offset = self.open.filter(|(first, _)| *first == file.first).map_or(0, |(_, offset)| offset);
            let mut lines = match open_segment(storage, file, offset) {
                Ok(Some(lines)) => lines,
                Ok(None) => return Ok(Stop::Missing { until: end }),
                Err(error) if is_undecodable(&error) => return Ok(self.broken(&file.path, offset)),
                Err(error) => return Err(error),
            };
            // In the middle of a segment of which nothing has been read yet.
            let mut skip = if offset == 0 { self.next().saturating_sub(file.first) } else { 0 };
            while self.next() < end {
                let at = lines.position();
                let line = match lines.next_line() {
                    Ok(Some(line)) => line,
                    // Durable records are there, unless somebody took them away.
                    Ok(None) => return Ok(Stop::Missing { until: end }),
                    Err(error) if is_undecodable(&error) => return Ok(self.broken(&file.path, at)),
                    Err(error) => return Err(error),
                };
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                if let Err(why) = self.chain.link(line) {
                    let (file, seq) = (file.path.clone(), self.next());
                    return Ok(Stop::Broken { file, offset: at, seq, why });
                }
                take(line, self.chain.head());
                self.open = Some((file.first, lines.position()));
            }
        }
        Ok(Stop::Done)
    }

    fn broken(&self, file: &Path, offset: u64) -> Stop {
        Stop::Broken { file: file.to_owned(), offset, seq: self.next(), why: Broken::Head }
    }
}
