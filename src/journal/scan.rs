//! Reads one generation from its first record to its last and checks every line.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::{SegmentFile, segments};
use super::lines::{Lines, is_undecodable, open_segment, used_after};
use super::manifest::{ManifestFault, Manifests};
use super::read::Placed;
use super::storage::{StorageFile, read_up_to};
use super::{JournalError, Storage};
use crate::audit::{Broken, Chain, Tail, judge_tail};
use crate::kernel::id::NodeId;
use crate::tlog::leaf_hash;

/// The first place where the log is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// In which file.
    pub file: PathBuf,
    /// Where the bad line begins, in bytes.
    pub offset: u64,
    /// The `seq` of the record that should stand there.
    pub seq: u64,
    /// What is wrong.
    pub why: DamageKind,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at byte {}, record {}: {}", self.file.display(), self.offset, self.seq, self.why)
    }
}

/// What is wrong at one place of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DamageKind {
    /// A line is wrong.
    #[error("{0}")]
    Line(Broken),
    /// A line is wrong, and later commits follow: this is no torn end.
    #[error("{why}; record {later} of a later commit follows")]
    Middle {
        /// What is wrong with the line.
        why: Broken,
        /// The later record.
        later: u64,
    },
    /// A segment ends before the next one begins.
    #[error("the segment ends here, but the next one begins with record {next}")]
    Gap {
        /// The first record of the next segment.
        next: u64,
    },
    /// The first segment does not begin with the first record, and nothing tells of those before it.
    #[error("the generation begins with record {found}: the segments before it are missing")]
    Beginning {
        /// The first record found.
        found: u64,
    },
    /// Bytes follow the end.
    #[error("{bytes} bytes follow the last record")]
    Surplus {
        /// How many.
        bytes: u64,
    },
    /// A closed generation does not end where it was closed.
    #[error(
        "the generation was closed after record count {closed} with the head `{head}`, but ends otherwise"
    )]
    End {
        /// How many records there were.
        closed: u64,
        /// The digest of the last.
        head: String,
    },
    /// Records that were there at an earlier check are gone.
    #[error("the records end here, but there were {known} when they were last verified")]
    Known {
        /// How many there were.
        known: u64,
    },
    /// A record is another one than at an earlier check.
    #[error("the record is not the one that was last verified")]
    Other,
    /// A compressed segment is not as it was written.
    #[error("the compressed segment cannot be read any further: it was changed")]
    Compressed,
    /// What is known of a closed segment is wrong.
    #[error("{0}")]
    Manifest(ManifestFault),
    /// A compressed segment has no manifest, or one that has gone left none.
    #[error("there is no manifest of the segment that begins with this record")]
    NoManifest,
    /// A generation is missing between two others.
    #[error("the generation {missing} is missing")]
    Generation {
        /// Its number.
        missing: u32,
    },
}

/// Bytes beyond the records of a segment.
#[derive(Debug, Clone)]
pub(super) struct Leftover {
    pub(super) file: PathBuf,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// Where the records of a segment end.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    /// The segment, in the form it was read in.
    pub(super) file: SegmentFile,
    /// The length of its records, in plain bytes.
    pub(super) length: u64,
}

/// A generation, read to its end.
#[derive(Debug)]
pub(super) struct Scan {
    /// The end of the chain.
    pub(super) chain: Chain,
    /// The first record that is there; those before it have been pruned.
    pub(super) begin: u64,
    /// What a write that was never acknowledged left behind, in segments before the last one.
    pub(super) strays: Vec<Leftover>,
    /// The torn end of the last segment, if it is torn.
    pub(super) torn: Option<Leftover>,
    /// The end of the records of the last segment.
    pub(super) end: Option<Ending>,
    /// What is damaged; nothing beyond was read.
    pub(super) damage: Option<Damage>,
}

impl Scan {
    fn damage(&mut self, file: &Path, offset: u64, why: DamageKind) {
        self.damage = Some(Damage { file: file.to_owned(), offset, seq: self.chain.next(), why });
    }
}

/// What is done with what is read.
pub(super) trait Visit {
    /// Takes a line as the next one of the chain, or says what is wrong with it.
    fn line(&mut self, chain: &mut Chain, line: &Placed<'_>) -> Result<(), Broken>;

    /// Records have been pruned, as far as these manifests have been read.
    fn pruned(&mut self, _manifests: &Manifests) {}

    /// A segment was read to its end, where the chain is.
    fn ended(&mut self, _file: &SegmentFile, _chain: &Chain) -> io::Result<()> {
        Ok(())
    }
}

/// Checks every line whole, and passes it on.
struct Whole<'f>(&'f mut dyn FnMut(&[u8]));

impl Visit for Whole<'_> {
    fn line(&mut self, chain: &mut Chain, line: &Placed<'_>) -> Result<(), Broken> {
        chain.check(line.line)?;
        (self.0)(line.line);
        Ok(())
    }
}

/// Reads the generation in `directory`, calling `on_record` with every good line.
pub(super) fn scan(
    storage: &dyn Storage,
    directory: &Path,
    node: &NodeId,
    generation: u32,
    on_record: &mut dyn FnMut(&[u8]),
) -> Result<Scan, JournalError> {
    scan_with(storage, directory, Chain::new(node.clone(), generation), &mut Whole(on_record))
}

/// Reads the generation in `directory` on from the end of `known`, which was read before.
pub(super) fn scan_with(
    storage: &dyn Storage,
    directory: &Path,
    known: Chain,
    visit: &mut dyn Visit,
) -> Result<Scan, JournalError> {
    let mut files = segments(storage, directory).map_err(JournalError::io("list", directory))?;
    let after = files.partition_point(|file| file.first <= known.next());
    files.drain(..after.saturating_sub(1));
    let mut scan = Scan { chain: known, begin: 0, strays: Vec::new(), torn: None, end: None, damage: None };
    let first = files.first().map(|file| file.first);
    if scan.chain.next() == 0 || first.is_none_or(|first| first > scan.chain.next()) {
        let failed = JournalError::io("read", directory);
        pass_over_pruned(storage, directory, first, &mut scan, visit).map_err(failed)?;
    }
    let mut rest = files.iter().peekable();
    while let Some(file) = rest.next()
        && scan.damage.is_none()
    {
        let next = rest.peek().map(|next| next.first);
        if scan.chain.next() > file.first && scan.begin > file.first {
            // Pruned together with the one before, while that was looked for.
            continue;
        }
        let failed = JournalError::io("read", &file.path);
        let is_there = scan_segment(storage, file, next, &mut scan, visit).map_err(failed)?;
        if !is_there {
            let failed = JournalError::io("read", directory);
            pass_over_pruned(storage, directory, next, &mut scan, visit).map_err(failed)?;
        }
    }
    Ok(scan)
}

/// Takes what manifests tell of the segments before record `until`, or of all where there is no segment.
fn pass_over_pruned(
    storage: &dyn Storage,
    directory: &Path,
    until: Option<u64>,
    scan: &mut Scan,
    visit: &mut dyn Visit,
) -> io::Result<()> {
    let genesis = Chain::new(scan.chain.node().clone(), scan.chain.generation());
    let mut manifests = Manifests::new(directory, genesis);
    while until.is_none_or(|until| manifests.chain().next() < until) {
        match manifests.next(storage)? {
            Some(Ok(_)) => {}
            Some(Err(bad)) => {
                scan.chain = manifests.chain().clone();
                scan.damage(&bad.path, 0, DamageKind::Manifest(bad.why));
                return Ok(());
            }
            None => break,
        }
    }
    // What was read is held against what is said of it.
    let known = manifests.chain();
    let is_before = known.next() < scan.chain.next();
    let differs = known.next() == scan.chain.next() && known.head() != scan.chain.head();
    match until {
        Some(found) if known.next() != found || is_before || differs => {
            scan.damage(directory, 0, DamageKind::Beginning { found });
        }
        Some(_) | None if !is_before && !differs => {
            scan.begin = known.next();
            scan.chain = known.clone();
            visit.pruned(&manifests);
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// How often the end of a segment is looked at anew while a writer moves it on.
const MOST_PASSES: usize = 1000;

/// Checks one segment, which ends before record `limit`; `false` if it is gone.
fn scan_segment(
    storage: &dyn Storage,
    file: &SegmentFile,
    limit: Option<u64>,
    scan: &mut Scan,
    visit: &mut dyn Visit,
) -> io::Result<bool> {
    let mut good = 0;
    if file.first < scan.chain.next() {
        match skip_known(storage, file, scan) {
            Ok(Some(offset)) => good = offset,
            Ok(None) => return Ok(scan.damage.is_some()),
            Err(error) if is_undecodable(&error) => {
                scan.damage(&file.path, 0, DamageKind::Compressed);
                return Ok(true);
            }
            Err(error) => return Err(error),
        }
    } else if file.first > scan.chain.next() {
        scan.damage(&file.path, 0, DamageKind::Beginning { found: file.first });
        return Ok(true);
    }
    let mut suspect = None;
    for _ in 0..MOST_PASSES {
        let before = good;
        let found = match look(storage, file, limit, &mut good, scan, visit) {
            Ok(None) => return Ok(false),
            Ok(Some(found)) => found,
            Err(error) if is_undecodable(&error) => End::Damaged(DamageKind::Compressed),
            Err(error) => return Err(error),
        };
        // A writer may move the end between two looks: only what is seen twice is so.
        match found {
            End::Clean => {
                let file = scan.end.as_ref().map_or(file, |end| &end.file).clone();
                return visit.ended(&file, &scan.chain).map(|()| true);
            }
            End::Stray(leftover) => {
                scan.strays.push(leftover);
                return Ok(true);
            }
            End::Torn(leftover) => {
                scan.torn = Some(leftover);
                return Ok(true);
            }
            End::Damaged(why) if before == good && suspect.as_ref() == Some(&why) => {
                let path = scan.end.as_ref().map_or(&file.path, |end| &end.file.path).clone();
                scan.damage(&path, good, why);
                return Ok(true);
            }
            End::Damaged(why) => suspect = Some(why),
            End::Moved => {}
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "the log grows faster than it can be read"))
}

/// What stands after the records of a segment.
enum End {
    Clean,
    Stray(Leftover),
    Torn(Leftover),
    Damaged(DamageKind),
    /// Another good record, written since.
    Moved,
}

/// Checks records from byte `good` on, moves it behind the last good one, and says what follows; `None` if
/// the segment is gone.
fn look(
    storage: &dyn Storage,
    file: &SegmentFile,
    limit: Option<u64>,
    good: &mut u64,
    scan: &mut Scan,
    visit: &mut dyn Visit,
) -> io::Result<Option<End>> {
    let Some(mut lines) = open_segment(storage, file, *good)? else { return Ok(None) };
    let file = if lines.form() == file.form { file.clone() } else { file.other_form() };
    scan.end = Some(Ending { file: file.clone(), length: *good });
    let broken = read_records(&mut lines, &file.path, limit, good, scan, visit)?;
    scan.end = Some(Ending { file: file.clone(), length: *good });
    match lines.plain_file() {
        Some(plain) => judge_end(plain, &file, limit, *good, broken, scan).map(Some),
        None => judge_compressed_end(&mut lines, limit, broken, scan).map(Some),
    }
}

/// Checks records, moves `good` behind the last good one, and says what was wrong with the first bad one.
fn read_records(
    lines: &mut Lines,
    path: &Path,
    limit: Option<u64>,
    good: &mut u64,
    scan: &mut Scan,
    visit: &mut dyn Visit,
) -> io::Result<Option<Broken>> {
    while limit.is_none_or(|limit| scan.chain.next() < limit) {
        let offset = *good;
        let Some(line) = lines.next_line()? else { break };
        if let Err(why) = visit.line(&mut scan.chain, &Placed { path, offset, line }) {
            return Ok(Some(why));
        }
        *good = lines.position();
    }
    Ok(None)
}

/// Passes over the records of a segment that were read before, and says where the next one begins. The last
/// of them must be the one that was read; `None` if the segment is gone, or it is not.
fn skip_known(storage: &dyn Storage, file: &SegmentFile, scan: &mut Scan) -> io::Result<Option<u64>> {
    let Some(mut lines) = open_segment(storage, file, 0)? else { return Ok(None) };
    let (known, head) = (scan.chain.next(), scan.chain.head());
    for seq in file.first..known {
        let offset = lines.position();
        let Some(line) = lines.next_line()? else {
            scan.damage =
                Some(Damage { file: file.path.clone(), offset, seq, why: DamageKind::Known { known } });
            return Ok(None);
        };
        if seq + 1 == known && leaf_hash(line) != head {
            scan.damage = Some(Damage { file: file.path.clone(), offset, seq, why: DamageKind::Other });
            return Ok(None);
        }
    }
    Ok(Some(lines.position()))
}

fn judge_end(
    file: &dyn StorageFile,
    segment: &SegmentFile,
    limit: Option<u64>,
    good: u64,
    broken: Option<Broken>,
    scan: &Scan,
) -> io::Result<End> {
    let used = used_after(file, good)?;
    let leftover = Leftover { file: segment.path.clone(), offset: good, bytes: used };
    match limit {
        Some(limit) if scan.chain.next() < limit => {
            let why = broken.map_or(DamageKind::Gap { next: limit }, DamageKind::Line);
            return Ok(End::Damaged(why));
        }
        Some(_) if used > 0 => return Ok(End::Stray(leftover)),
        None if used > 0 => {}
        Some(_) | None => return Ok(End::Clean),
    }
    let mut tail = vec![0; usize::try_from(used).map_err(|_| io::ErrorKind::FileTooLarge)?];
    let read = read_up_to(file, &mut tail, good)?;
    tail.truncate(read);
    Ok(match judge_tail(&scan.chain, &tail) {
        Tail::Clean => End::Clean,
        Tail::Whole => End::Moved,
        Tail::Torn { .. } => End::Torn(leftover),
        Tail::Damaged { why, later } => End::Damaged(DamageKind::Middle { why, later }),
    })
}

/// A compressed segment was whole when it was compressed: nothing in it is a torn end.
fn judge_compressed_end(
    lines: &mut Lines,
    limit: Option<u64>,
    broken: Option<Broken>,
    scan: &Scan,
) -> io::Result<End> {
    if let Some(why) = broken {
        return Ok(End::Damaged(DamageKind::Line(why)));
    }
    if let Some(next) = limit.filter(|limit| scan.chain.next() < *limit) {
        return Ok(End::Damaged(DamageKind::Gap { next }));
    }
    Ok(match lines.used_after()? {
        0 => End::Clean,
        bytes => End::Damaged(DamageKind::Surplus { bytes }),
    })
}
