//! Reads a segment line by line in bounded memory.

use std::io;
use std::ops::Range;

use super::storage::{StorageFile, read_up_to};
use crate::audit::MAX_LINE_BYTES;

/// How much is read at once; more than any line is long.
const BUFFER_BYTES: usize = 256 * 1024;

/// The lines of one segment.
#[derive(Debug)]
pub(super) struct Lines {
    file: Box<dyn StorageFile>,
    buffer: Vec<u8>,
    /// What of the buffer is not consumed yet.
    unread: Range<usize>,
    /// Where in the file the unread bytes begin.
    position: u64,
    at_end: bool,
}

impl Lines {
    /// Reads `file` from byte `position` on.
    pub(super) fn new(file: Box<dyn StorageFile>, position: u64) -> Self {
        Self { file, buffer: vec![0; BUFFER_BYTES], unread: 0..0, position, at_end: false }
    }

    /// Where the next line begins.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.unread.clone(), 0);
        let kept = self.unread.len();
        let offset = self.position.saturating_add(u64::try_from(kept).unwrap_or(u64::MAX));
        let read = match self.buffer.get_mut(kept..) {
            Some(space) => read_up_to(&*self.file, space, offset)?,
            None => 0,
        };
        self.at_end = kept + read < self.buffer.len();
        self.unread = 0..kept + read;
        Ok(())
    }

    /// The length of the next complete line without its newline, reading further if needed.
    fn find(&mut self) -> io::Result<Option<usize>> {
        loop {
            let bytes = self.buffer.get(self.unread.clone()).unwrap_or_default();
            if bytes.first() == Some(&0) {
                return Ok(None);
            }
            let window = bytes.get(..bytes.len().min(MAX_LINE_BYTES + 1)).unwrap_or_default();
            if let Some(length) = memchr::memchr(b'\n', window) {
                return Ok(Some(length));
            }
            if window.len() > MAX_LINE_BYTES || self.at_end {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Whether a complete line follows.
    pub(super) fn has_line(&mut self) -> io::Result<bool> {
        self.find().map(|found| found.is_some())
    }

    /// The complete lines in hand, each with its newline, reading on if there is none; they count as
    /// read. [`Lines::bytes`] gives them. Empty at the end and at padding.
    pub(super) fn stretch(&mut self) -> io::Result<Range<usize>> {
        loop {
            let bytes = self.buffer.get(self.unread.clone()).unwrap_or_default();
            if let Some(last) = memchr::memrchr(b'\n', bytes) {
                let lines = bytes.get(..=last).unwrap_or_default();
                let length = padding(lines).unwrap_or(lines.len());
                let start = self.unread.start;
                self.unread.start = start + length;
                self.position = self.position.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                return Ok(start..start + length);
            }
            if self.at_end || bytes.len() > MAX_LINE_BYTES {
                return Ok(0..0);
            }
            self.fill()?;
        }
    }

    /// What was read, until the next call that reads.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// The next complete line without its newline; `None` at the end, at padding and before what
    /// is too long to be a line.
    pub(super) fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(length) = self.find()? else { return Ok(None) };
        let start = self.unread.start;
        self.unread.start = start + length + 1;
        self.position = self.position.saturating_add(u64::try_from(length + 1).unwrap_or(u64::MAX));
        Ok(self.buffer.get(start..start + length))
    }
}

/// Where in `lines` padding begins: with a zero where a line should.
fn padding(lines: &[u8]) -> Option<usize> {
    let begins_line = |at: usize| at.checked_sub(1).is_none_or(|before| lines.get(before) == Some(&b'\n'));
    memchr::memchr_iter(0, lines).find(|&at| begins_line(at))
}

/// The length of what a file holds from `offset` on, trailing padding excluded.
pub(super) fn used_after(file: &dyn StorageFile, offset: u64) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut used = 0;
    let mut passed: u64 = 0;
    loop {
        let read = read_up_to(file, &mut buffer, offset.saturating_add(passed))?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            used = passed.saturating_add(u64::try_from(last + 1).unwrap_or(u64::MAX));
        }
        passed = passed.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        if read < buffer.len() {
            return Ok(used);
        }
    }
}
