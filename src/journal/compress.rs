//! Compresses one closed segment. At every step either the plain file is there, or the compressed one and
//! its manifest are, durable and read back.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{Context, SHA256};

use super::layout::{SegmentFile, compressed_name, manifest_name};
use super::lines::{is_undecodable, open_segment};
use super::log::write_file;
use super::manifest::{Manifest, Manifests};
use super::scan::{Damage, DamageKind};
use super::storage::{Storage, read_up_to};
use super::zst::{Compressing, Decompressed};
use crate::audit::{Chain, peek_instant};
use crate::kernel::id::Digest;

/// How much is read back at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// Why a segment stays as it is for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompressError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not as it was written. Nobody touches it then.
    #[error("{0}")]
    Damaged(Damage),
    /// Too little space is free.
    #[error("too little space is free to compress a segment")]
    NoSpace,
    /// The keeper is to end.
    #[error("the keeper ends")]
    Stopped,
}

/// What came of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compressed {
    /// How many bytes its records have.
    pub(super) plain_bytes: u64,
    /// How many the file has now.
    pub(super) bytes: u64,
}

/// Compresses `segment`, which ends before record `end` and which `before` stands in front of.
pub(super) fn compress(
    storage: &dyn Storage,
    segment: &SegmentFile,
    end: u64,
    before: &Manifests,
    stop: &AtomicBool,
) -> Result<Compressed, CompressError> {
    let directory = segment.path.parent().unwrap_or(Path::new("."));
    let name = compressed_name(segment.first);
    let temporary = directory.join(format!("{name}.tmp"));
    remove_if_there(storage, &temporary)?;
    let made = make(storage, segment, end, before, &temporary, stop);
    if made.is_err() {
        // Half a file only takes space. The first error is the one that matters.
        drop(storage.remove(&temporary));
    }
    let (manifest, bytes) = made?;
    storage.rename(&temporary, &directory.join(name))?;
    storage.sync_dir(directory)?;
    write_file(storage, directory, &manifest_name(segment.first), &manifest.encode()?)?;
    // Both are durable, and the compressed one gives the same bytes.
    storage.remove(&segment.path)?;
    storage.sync_dir(directory)?;
    Ok(Compressed { plain_bytes: manifest.bytes, bytes })
}

/// Reads a compressed segment, which `before` stands in front of, and says what its manifest must say. Each leaf
/// hash is shown to `leaf`, which says whether it is the one that was published.
pub(super) fn manifest_of(
    storage: &dyn Storage,
    segment: &SegmentFile,
    before: &Manifests,
    leaf: &mut dyn FnMut(Digest) -> io::Result<bool>,
) -> Result<Manifest, CompressError> {
    let mut reading = Plain::open(storage, segment, before)?;
    loop {
        match reading.next_line(segment) {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(reading.manifest(segment.first, before)),
            Err(CompressError::Io(error)) if is_undecodable(&error) => {
                return Err(reading.damaged(segment, DamageKind::Compressed));
            }
            Err(error) => return Err(error),
        }
        if !leaf(reading.chain.head())? {
            return Err(reading.damaged(segment, DamageKind::Unpublished));
        }
    }
}

pub(super) fn remove_if_there(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    match storage.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes the compressed file, makes it durable and reads it back.
fn make(
    storage: &dyn Storage,
    segment: &SegmentFile,
    end: u64,
    before: &Manifests,
    temporary: &Path,
    stop: &AtomicBool,
) -> Result<(Manifest, u64), CompressError> {
    let mut reading = Plain::open(storage, segment, before)?;
    let plain_bytes = reading.length()?;
    // Never the room of the segment that is written next.
    if storage.free_space(temporary.parent().unwrap_or(temporary))? < plain_bytes.saturating_mul(2) {
        return Err(CompressError::NoSpace);
    }
    let mut file = storage.create(temporary)?;
    let mut compressing = Compressing::new(&mut *file)?;
    while reading.chain.next() < end {
        if stop.load(Ordering::Relaxed) {
            return Err(CompressError::Stopped);
        }
        match reading.next_line(segment)? {
            Some(line) => {
                compressing.write(line)?;
                compressing.write(b"\n")?;
            }
            None => return Err(reading.damaged(segment, DamageKind::Gap { next: end })),
        }
    }
    let bytes = compressing.finish()?;
    let surplus = reading.lines.used_after()?;
    if surplus > 0 {
        return Err(reading.damaged(segment, DamageKind::Surplus { bytes: surplus }));
    }
    file.sync_data()?;
    drop(file);
    let manifest = reading.manifest(segment.first, before);
    if !gives(storage, temporary, &segment.path, manifest.bytes)? {
        return Err(io::Error::other("the compressed segment does not give the bytes it was made of").into());
    }
    Ok((manifest, bytes))
}

/// Whether the compressed file gives the first `bytes` bytes of `plain` and nothing else.
fn gives(storage: &dyn Storage, compressed: &Path, plain: &Path, bytes: u64) -> io::Result<bool> {
    let mut decompressed = Decompressed::new(storage.open_read(compressed)?)?;
    let plain = storage.open_read(plain)?;
    let (mut given, mut written, mut at) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES], 0_u64);
    loop {
        let read = decompressed.read(&mut given)?;
        if read == 0 {
            return Ok(at == bytes);
        }
        let (given, written) = (given.get(..read), written.get_mut(..read));
        let (Some(given), Some(written)) = (given, written) else { return Ok(false) };
        if read_up_to(&*plain, written, at)? != read || given != written {
            return Ok(false);
        }
        at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
}

/// The digest that `context` has come to.
pub(super) fn finish(context: Context) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Digest(out)
}

/// A segment, checked as it is read, and what its manifest must say.
struct Plain {
    lines: super::lines::Lines,
    chain: Chain,
    context: Context,
    first_at: Option<Vec<u8>>,
    last_at: Vec<u8>,
}

impl Plain {
    fn open(storage: &dyn Storage, segment: &SegmentFile, before: &Manifests) -> io::Result<Self> {
        let lines = open_segment(storage, segment, 0)?.ok_or(io::ErrorKind::NotFound)?;
        let chain = before.chain().clone();
        Ok(Self { lines, chain, context: Context::new(&SHA256), first_at: None, last_at: Vec::new() })
    }

    fn length(&self) -> io::Result<u64> {
        // A segment that is there in the other form only has been compressed already.
        self.lines.plain_file().ok_or(io::ErrorKind::NotFound)?.byte_len()
    }

    fn damaged(&self, segment: &SegmentFile, why: DamageKind) -> CompressError {
        let (file, offset) = (segment.path.clone(), self.lines.position());
        CompressError::Damaged(Damage { file, offset, seq: self.chain.next(), why })
    }

    fn next_line(&mut self, segment: &SegmentFile) -> Result<Option<&[u8]>, CompressError> {
        let offset = self.lines.position();
        let Some(line) = self.lines.next_line()? else { return Ok(None) };
        if let Err(why) = self.chain.check(line) {
            let (file, seq) = (segment.path.clone(), self.chain.next());
            return Err(CompressError::Damaged(Damage { file, offset, seq, why: DamageKind::Line(why) }));
        }
        self.context.update(line);
        self.context.update(b"\n");
        // Clocks may be set back: the earliest and the latest, not the first and the last. Instants have
        // one form, so their texts sort as they do.
        let at = peek_instant(line).unwrap_or_default();
        if self.first_at.as_deref().is_none_or(|first| at < first) {
            self.first_at = Some(at.to_vec());
        }
        if at > &*self.last_at {
            self.last_at.clear();
            self.last_at.extend_from_slice(at);
        }
        Ok(Some(line))
    }

    fn manifest(self, first: u64, before: &Manifests) -> Manifest {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Manifest {
            node: self.chain.node().clone(),
            generation: self.chain.generation(),
            first,
            records: self.chain.next().saturating_sub(first),
            bytes: self.lines.position(),
            sha256: finish(self.context),
            first_at: text(&self.first_at.unwrap_or_default()),
            last_at: text(&self.last_at),
            prev: before.chain().head(),
            head: self.chain.head(),
            before: before.before(),
        }
    }
}
