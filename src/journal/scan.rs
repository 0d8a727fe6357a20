//! Reads one generation from its first record to its last and checks every line.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::{SegmentFile, segments};
use super::lines::{Lines, used_after};
use super::storage::read_up_to;
use super::{JournalError, Storage};
use crate::audit::{Broken, Chain, Tail, judge_tail};
use crate::kernel::id::NodeId;

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
    /// The first segment does not begin with the first record.
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

/// A generation, read to its end.
#[derive(Debug)]
pub(super) struct Scan {
    /// The end of the chain.
    pub(super) chain: Chain,
    /// What a write that was never acknowledged left behind, in segments before the last one.
    pub(super) strays: Vec<Leftover>,
    /// The torn end of the last segment, if it is torn.
    pub(super) torn: Option<Leftover>,
    /// The end of the records of the last segment.
    pub(super) end: Option<(PathBuf, u64)>,
    /// What is damaged; nothing beyond was read.
    pub(super) damage: Option<Damage>,
}

/// Reads the generation in `directory`, calling `on_record` with every good line.
pub(super) fn scan(
    storage: &dyn Storage,
    directory: &Path,
    node: &NodeId,
    generation: u32,
    on_record: &mut dyn FnMut(&[u8]),
) -> Result<Scan, JournalError> {
    let files = segments(storage, directory).map_err(JournalError::io("list", directory))?;
    let mut scan = Scan {
        chain: Chain::new(node.clone(), generation),
        strays: Vec::new(),
        torn: None,
        end: None,
        damage: None,
    };
    let mut rest = files.iter().peekable();
    while let Some(file) = rest.next() {
        let limit = rest.peek().map(|next| next.first);
        scan_segment(storage, file, limit, &mut scan, on_record)
            .map_err(JournalError::io("read", &file.path))?;
        if scan.damage.is_some() {
            break;
        }
    }
    Ok(scan)
}

/// How often the end of a segment is looked at anew while a writer moves it on.
const MOST_PASSES: usize = 1000;

fn scan_segment(
    storage: &dyn Storage,
    file: &SegmentFile,
    limit: Option<u64>,
    scan: &mut Scan,
    on_record: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    if file.first != scan.chain.next() {
        let why = DamageKind::Beginning { found: file.first };
        scan.damage = Some(Damage { file: file.path.clone(), offset: 0, seq: scan.chain.next(), why });
        return Ok(());
    }
    let mut good = 0;
    let mut suspect = None;
    for _ in 0..MOST_PASSES {
        let before = good;
        let broken = read_records(storage, file, limit, &mut good, scan, on_record)?;
        scan.end = Some((file.path.clone(), good));
        let found = judge_end(storage, file, limit, good, broken, scan)?;
        // A writer may move the end between two looks: only what is seen twice is so.
        match found {
            End::Clean => return Ok(()),
            End::Stray(leftover) => {
                scan.strays.push(leftover);
                return Ok(());
            }
            End::Torn(leftover) => {
                scan.torn = Some(leftover);
                return Ok(());
            }
            End::Damaged(why) if before == good && suspect.as_ref() == Some(&why) => {
                scan.damage =
                    Some(Damage { file: file.path.clone(), offset: good, seq: scan.chain.next(), why });
                return Ok(());
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

/// Checks records from byte `good` on, moves it behind the last good one, and says what was wrong
/// with the first bad one.
fn read_records(
    storage: &dyn Storage,
    file: &SegmentFile,
    limit: Option<u64>,
    good: &mut u64,
    scan: &mut Scan,
    on_record: &mut dyn FnMut(&[u8]),
) -> io::Result<Option<Broken>> {
    let mut lines = Lines::new(storage.open_read(&file.path)?, *good);
    while limit.is_none_or(|limit| scan.chain.next() < limit) {
        let Some(line) = lines.next_line()? else { break };
        if let Err(why) = scan.chain.check(line) {
            return Ok(Some(why));
        }
        on_record(line);
        *good = lines.position();
    }
    Ok(None)
}

fn judge_end(
    storage: &dyn Storage,
    segment: &SegmentFile,
    limit: Option<u64>,
    good: u64,
    broken: Option<Broken>,
    scan: &Scan,
) -> io::Result<End> {
    let file = storage.open_read(&segment.path)?;
    let used = used_after(&*file, good)?;
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
    let read = read_up_to(&*file, &mut tail, good)?;
    tail.truncate(read);
    Ok(match judge_tail(&scan.chain, &tail) {
        Tail::Clean => End::Clean,
        Tail::Whole => End::Moved,
        Tail::Torn { .. } => End::Torn(leftover),
        Tail::Damaged { why, later } => End::Damaged(DamageKind::Middle { why, later }),
    })
}
