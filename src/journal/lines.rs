//! Reads a segment line by line in bounded memory, plain or compressed.

use std::io::{self, Read as _};
use std::ops::Range;

use super::Storage;
use super::layout::{Form, SegmentFile};
use super::storage::{StorageFile, read_up_to};
use super::zst::Decompressed;
use crate::audit::MAX_LINE_BYTES;

/// How much is read at once; more than any line is long.
const BUFFER_BYTES: usize = 256 * 1024;

/// Where a segment's bytes come from.
#[derive(Debug)]
enum Source {
    Plain(Box<dyn StorageFile>),
    /// Gives bytes in order only: the next one is the one after all that were read.
    Compressed(Box<Decompressed>),
}

/// The lines of one segment. Places in it are those in the plain bytes, in either form.
#[derive(Debug)]
pub(super) struct Lines {
    source: Source,
    buffer: Vec<u8>,
    /// What of the buffer is not consumed yet.
    unread: Range<usize>,
    /// Where in the plain bytes the unread ones begin.
    position: u64,
    at_end: bool,
}

/// Opens a segment at byte `position` in the form it has now: it may have been compressed since it was
/// listed. `None` if it is gone altogether: then it has been pruned.
pub(super) fn open_segment(
    storage: &dyn Storage,
    segment: &SegmentFile,
    position: u64,
) -> io::Result<Option<Lines>> {
    // The plain file is removed once the compressed one is durable, never the other way round; a repair
    // may put a plain one back.
    for candidate in [segment, &segment.other_form(), segment] {
        let file = match storage.open_read(&candidate.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        return match candidate.form {
            Form::Plain => Ok(Some(Lines::new(file, position))),
            Form::Compressed => Lines::compressed(file, position).map(Some),
        };
    }
    Ok(None)
}

impl Lines {
    /// Reads a plain `file` from byte `position` on.
    pub(super) fn new(file: Box<dyn StorageFile>, position: u64) -> Self {
        Self::of(Source::Plain(file), position)
    }

    /// Reads a compressed `file` from byte `position` of its plain bytes on.
    fn compressed(file: Box<dyn StorageFile>, position: u64) -> io::Result<Self> {
        let mut bytes = Decompressed::new(file)?;
        let passed = io::copy(&mut (&mut bytes).take(position), &mut io::sink())?;
        if passed < position {
            let end = io::Error::new(io::ErrorKind::InvalidData, "the compressed segment ends too early");
            return Err(end);
        }
        Ok(Self::of(Source::Compressed(Box::new(bytes)), position))
    }

    fn of(source: Source, position: u64) -> Self {
        Self { source, buffer: vec![0; BUFFER_BYTES], unread: 0..0, position, at_end: false }
    }

    /// In which form the segment is read.
    pub(super) const fn form(&self) -> Form {
        match self.source {
            Source::Plain(_) => Form::Plain,
            Source::Compressed(_) => Form::Compressed,
        }
    }

    /// The plain file, if the segment is kept as one.
    pub(super) fn plain_file(&self) -> Option<&dyn StorageFile> {
        match &self.source {
            Source::Plain(file) => Some(&**file),
            Source::Compressed(_) => None,
        }
    }

    /// Where the next line begins.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.unread.clone(), 0);
        let kept = self.unread.len();
        let offset = self.position.saturating_add(u64::try_from(kept).unwrap_or(u64::MAX));
        let read = match (self.buffer.get_mut(kept..), &mut self.source) {
            (Some(space), Source::Plain(file)) => read_up_to(&**file, space, offset)?,
            (Some(space), Source::Compressed(bytes)) => read_whole(bytes, space)?,
            (None, _) => 0,
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

    /// How many bytes follow the line read last, trailing padding excluded. Reads to the end.
    pub(super) fn used_after(&mut self) -> io::Result<u64> {
        if let Source::Plain(file) = &self.source {
            return used_after(&**file, self.position);
        }
        let mut used = 0;
        let mut passed: u64 = 0;
        loop {
            let bytes = self.buffer.get(self.unread.clone()).unwrap_or_default();
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                used = passed.saturating_add(u64::try_from(last + 1).unwrap_or(u64::MAX));
            }
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            passed = passed.saturating_add(length);
            self.position = self.position.saturating_add(length);
            self.unread = 0..0;
            if self.at_end {
                return Ok(used);
            }
            self.fill()?;
        }
    }
}

/// Fills `space` as far as there are bytes.
fn read_whole(bytes: &mut Decompressed, space: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = space.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match bytes.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether an error says that a compressed segment is not as it was written, rather than that the disk
/// refused.
pub(super) fn is_undecodable(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
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
