//! The names of directories and files.

use std::io;
use std::path::{Path, PathBuf};

use super::Storage;
use crate::kernel::id::NodeId;

/// Held by the process that writes a generation.
pub(super) const LOCK: &str = "LOCK";
/// Says that nothing follows in a generation.
pub(super) const CLOSED: &str = "CLOSED";
/// What recovery cut off.
pub(super) const TORN: &str = "torn";
/// The next segment, in the making or made ahead of need.
pub(super) const SPARE: &str = "spare.tmp";

const SEGMENT_DIGITS: usize = 20;
const GENERATION_DIGITS: usize = 6;
/// The last number that the name of a generation has room for.
pub(super) const MAX_GENERATION: u32 = 999_999;

/// The directory name of a generation.
pub(super) fn generation_name(node: &NodeId, generation: u32) -> String {
    format!("{node}.{generation:06}")
}

/// Node and number of a generation, from its directory name.
pub(super) fn parse_generation(name: &str) -> Option<(NodeId, u32)> {
    let (node, number) = name.rsplit_once('.')?;
    let right = number.len() == GENERATION_DIGITS && number.bytes().all(|byte| byte.is_ascii_digit());
    if !right {
        return None;
    }
    Some((NodeId::parse(node).ok()?, number.parse().ok()?))
}

/// The file name of the segment that begins with record `first`.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:020}.jsonl")
}

fn parse_segment(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".jsonl")?;
    let right = number.len() == SEGMENT_DIGITS && number.bytes().all(|byte| byte.is_ascii_digit());
    if right { number.parse().ok() } else { None }
}

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentFile {
    /// The `seq` of its first record.
    pub(super) first: u64,
    /// Where it is.
    pub(super) path: PathBuf,
}

/// The segments of a generation, in order.
pub(super) fn segments(storage: &dyn Storage, directory: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found: Vec<_> = storage
        .list(directory)?
        .into_iter()
        .filter_map(|name| Some(SegmentFile { first: parse_segment(&name)?, path: directory.join(name) }))
        .collect();
    found.sort_unstable_by_key(|segment| segment.first);
    Ok(found)
}

/// One generation's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GenerationDir {
    pub(super) node: NodeId,
    pub(super) number: u32,
    pub(super) path: PathBuf,
}

/// The generations in a directory, by node and number.
pub(super) fn generations(storage: &dyn Storage, directory: &Path) -> io::Result<Vec<GenerationDir>> {
    let mut found: Vec<_> = storage
        .list(directory)?
        .into_iter()
        .filter_map(|name| {
            let (node, number) = parse_generation(&name)?;
            Some(GenerationDir { node, number, path: directory.join(name) })
        })
        .collect();
    found.sort_unstable_by(|a, b| (&a.node, a.number).cmp(&(&b.node, b.number)));
    Ok(found)
}
