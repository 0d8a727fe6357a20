//! Whether a generation that was verified before is still all there, and ends where it ended.

use std::io;

use super::state::KnownGeneration;
use crate::journal::layout::{CLOSED, Form, GenerationDir, SegmentFile, segments};
use crate::journal::lines::{is_undecodable, open_segment};
use crate::journal::manifest;
use crate::journal::read::read_closed;
use crate::journal::scan::{Damage, DamageKind};
use crate::journal::storage::Storage;
use crate::kernel::id::Digest;
use crate::tlog::leaf_hash;

/// The first record of a closed generation that is there, and what is wrong with it. Of compressed segments only
/// the last is read.
pub(super) fn known_end(
    storage: &dyn Storage,
    place: &GenerationDir,
    known: &KnownGeneration,
) -> io::Result<(u64, Option<Damage>)> {
    if let Some(damage) = other_mark(storage, place, known) {
        return Ok((0, Some(damage)));
    }
    let files = segments(storage, &place.path)?;
    let begin = files.first().map_or(known.records, |file| file.first);
    let ends = files.iter().skip(1).map(|next| next.first).chain([known.records]);
    for (file, end) in files.iter().zip(ends) {
        let is_last = end == known.records;
        let found = if is_last || file.form == Form::Plain {
            read_end(storage, file)?
        } else {
            said_end(storage, file)?
        };
        let damage = |seq, why| Some(Damage { file: file.path.clone(), offset: 0, seq, why });
        let damage = match found {
            Err(why) => damage(file.first, why),
            Ok((found, _)) if found < end && is_last => {
                damage(found, DamageKind::Known { known: known.records })
            }
            Ok((found, _)) if found < end => damage(found, DamageKind::Gap { next: end }),
            Ok((found, _)) if found > end => {
                damage(end, DamageKind::End { closed: end, head: String::new() })
            }
            Ok((found, Some(leaf))) if is_last && leaf != known.head => {
                damage(found.saturating_sub(1), DamageKind::Other)
            }
            Ok(_) => None,
        };
        if damage.is_some() {
            return Ok((begin, damage));
        }
    }
    Ok((begin, None))
}

/// A mark at the end that says otherwise.
fn other_mark(storage: &dyn Storage, place: &GenerationDir, known: &KnownGeneration) -> Option<Damage> {
    let path = place.path.join(CLOSED);
    let mark = read_closed(storage, &path).ok();
    let head = known.head.to_hex();
    if mark.as_ref().is_some_and(|mark| mark.records == known.records && mark.head == head) {
        return None;
    }
    let seq = mark.map_or(known.records, |mark| mark.records);
    let why = if seq < known.records {
        DamageKind::Known { known: known.records }
    } else {
        DamageKind::End { closed: known.records, head }
    };
    Some(Damage { file: path, offset: 0, seq, why })
}

/// The record after the last of a segment, and the leaf hash of that.
type End = Result<(u64, Option<Digest>), DamageKind>;

fn said_end(storage: &dyn Storage, file: &SegmentFile) -> io::Result<End> {
    Ok(match manifest::read(storage, &file.manifest())? {
        Some((Ok(manifest), _)) if manifest.first == file.first => Ok((manifest.end(), Some(manifest.head))),
        Some((Ok(_), _)) => Err(DamageKind::Manifest(manifest::ManifestFault::Place)),
        Some((Err(why), _)) => Err(DamageKind::Manifest(why)),
        None => Err(DamageKind::NoManifest),
    })
}

fn read_end(storage: &dyn Storage, file: &SegmentFile) -> io::Result<End> {
    let (mut end, mut last) = (file.first, None);
    let mut read = || -> io::Result<()> {
        let Some(mut lines) = open_segment(storage, file, 0)? else { return Ok(()) };
        while let Some(line) = lines.next_line()? {
            end = end.saturating_add(1);
            last = Some(leaf_hash(line));
        }
        Ok(())
    };
    match read() {
        Err(error) if is_undecodable(&error) => Ok(Err(DamageKind::Compressed)),
        done => done.map(|()| Ok((end, last))),
    }
}
