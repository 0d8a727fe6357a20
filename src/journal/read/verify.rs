//! Checks the whole log, record by record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::layout::{CLOSED, GenerationDir};
use super::super::scan::{Damage, DamageKind, Scan, scan};
use super::super::storage::{DiskStorage, Storage};
use super::claims::Claim;
use super::{ReadError, generations_of, read_closed};
use crate::audit::peek_instant;
use crate::journal::JournalError;
use crate::kernel::id::NodeId;

/// What a check of the whole log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Each generation, in order.
    pub generations: Vec<GenerationReport>,
    /// How many good records there are in all.
    pub records: u64,
    /// The first damage of each generation that has any, and what later generations say otherwise.
    pub damage: Vec<Damage>,
}

impl VerifyReport {
    /// Whether everything is as it was written.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damage.is_empty()
    }
}

/// What a check of one generation found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationReport {
    /// The node that wrote it.
    pub node: NodeId,
    /// Its number.
    pub generation: u32,
    /// How many good records it holds; they have the numbers from 0 on.
    pub records: u64,
    /// The instant of its first record, as recorded.
    pub first_at: Option<String>,
    /// The instant of its last good record, as recorded.
    pub last_at: Option<String>,
    /// The digest of its last good record.
    pub head: String,
    /// Whether it is marked complete. One that is not is being written, or its process ended
    /// without closing it and none has been started since.
    pub closed: bool,
    /// How many bytes of an unfinished commit follow its records.
    pub unfinished_bytes: u64,
}

/// Checks every record of every generation below `directory`: its own checksum, its place, the
/// digest of the one before, and what later generations say of earlier ones.
///
/// Finds every edit, insertion, removal and exchange inside a generation, and every change of a
/// generation that a later one names. Whoever can rewrite all files consistently, or takes away
/// the newest generation as a whole, is found only by comparing with a copy kept elsewhere.
///
/// # Errors
/// When there is no log, or it cannot be read. Damage is no error: it is in the report.
pub fn verify(directory: &Path) -> Result<VerifyReport, ReadError> {
    verify_on(&DiskStorage, directory)
}

pub(in super::super) fn verify_on(
    storage: &dyn Storage,
    directory: &Path,
) -> Result<VerifyReport, ReadError> {
    let mut report = VerifyReport { generations: Vec::new(), records: 0, damage: Vec::new() };
    let mut before: BTreeMap<NodeId, u32> = BTreeMap::new();
    let mut ends = BTreeMap::new();
    for place in generations_of(storage, directory)? {
        if let Some(last) = before.insert(place.node.clone(), place.number)
            && place.number != last.saturating_add(1)
        {
            let why = DamageKind::Generation { missing: last.saturating_add(1) };
            report.damage.push(Damage { file: place.path.clone(), offset: 0, seq: 0, why });
        }
        let claims = verify_generation(storage, &place, &mut report)?;
        for claim in claims {
            check_claim(&claim, &ends, &place, &mut report);
        }
        if let Some(done) = report.generations.last() {
            let end = (done.records, done.head.clone(), place.path.clone());
            ends.insert((place.node, place.number), end);
        }
    }
    Ok(report)
}

type Ends = BTreeMap<(NodeId, u32), (u64, String, PathBuf)>;

/// Holds what a generation says of an earlier one against what is there. An earlier one that is
/// gone altogether may have been kept as long as it had to be.
fn check_claim(claim: &Claim, ends: &Ends, place: &GenerationDir, report: &mut VerifyReport) {
    let Some((records, head, path)) = ends.get(&(place.node.clone(), claim.generation)) else { return };
    let known = report.damage.iter().any(|damage| damage.file.starts_with(path));
    if !known && (*records != claim.records || *head != claim.head) {
        let why = DamageKind::End { closed: claim.records, head: claim.head.clone() };
        report.damage.push(Damage { file: path.clone(), offset: 0, seq: *records, why });
    }
}

fn verify_generation(
    storage: &dyn Storage,
    place: &GenerationDir,
    report: &mut VerifyReport,
) -> Result<Vec<Claim>, ReadError> {
    // Whether it is closed is looked at first: it may be closed while it is read.
    let names = storage.list(&place.path).map_err(ReadError::io(&place.path))?;
    let closed = names.iter().any(|name| name == CLOSED);
    let (mut first_at, mut last_at) = (None, Vec::new());
    let mut claims = Vec::new();
    let scan = scan(storage, &place.path, &place.node, place.number, &mut |line| {
        let at = peek_instant(line).unwrap_or_default();
        if first_at.is_none() {
            first_at = Some(String::from_utf8_lossy(at).into_owned());
        }
        last_at.clear();
        last_at.extend_from_slice(at);
        claims.extend(Claim::of(line));
    });
    let scan = scan.map_err(into_read_error)?;
    let leftover =
        scan.strays.first().map(|stray| (stray, true)).or(scan.torn.as_ref().map(|torn| (torn, closed)));
    let mut damage = scan.damage.clone();
    if damage.is_none()
        && let Some((leftover, true)) = leftover
    {
        let why = DamageKind::Surplus { bytes: leftover.bytes };
        let (file, seq) = (leftover.file.clone(), scan.chain.next());
        damage = Some(Damage { file, offset: leftover.offset, seq, why });
    }
    if damage.is_none() && closed {
        damage = check_end(storage, place, &scan)?;
    }
    report.damage.extend(damage);
    report.records = report.records.saturating_add(scan.chain.next());
    report.generations.push(GenerationReport {
        node: place.node.clone(),
        generation: place.number,
        records: scan.chain.next(),
        first_at,
        last_at: (!last_at.is_empty()).then(|| String::from_utf8_lossy(&last_at).into_owned()),
        head: scan.chain.head().to_hex(),
        closed,
        unfinished_bytes: scan.torn.map_or(0, |torn| torn.bytes),
    });
    Ok(claims)
}

fn check_end(storage: &dyn Storage, place: &GenerationDir, scan: &Scan) -> Result<Option<Damage>, ReadError> {
    let path = place.path.join(CLOSED);
    let mark = match read_closed(storage, &path) {
        Ok(mark) => Some(mark),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => None,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(ReadError::io(&path)(error)),
    };
    let (closed, head) = mark.map_or((0, String::new()), |mark| (mark.records, mark.head));
    if closed == scan.chain.next() && head == scan.chain.head().to_hex() {
        return Ok(None);
    }
    let why = DamageKind::End { closed, head };
    Ok(Some(Damage { file: path, offset: 0, seq: scan.chain.next(), why }))
}

fn into_read_error(error: JournalError) -> ReadError {
    match error {
        JournalError::Io { path, source, .. } => ReadError::Io { path, source },
        other @ (JournalError::SegmentTooSmall { .. }
        | JournalError::Damaged(_)
        | JournalError::Live { .. }
        | JournalError::Thread(_)) => {
            ReadError::Io { path: PathBuf::new(), source: std::io::Error::other(other) }
        }
    }
}
