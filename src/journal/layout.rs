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

/// What follows the node in the name of its tree.
pub(super) const TREE_SUFFIX: &str = ".tlog";

/// The directory name of the tree over all generations of a node.
pub(super) fn tree_name(node: &NodeId) -> String {
    format!("{node}{TREE_SUFFIX}")
}

/// The file name of the segment that begins with record `first`.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:020}{PLAIN}")
}

/// The file name of the same segment once it is compressed.
pub(super) fn compressed_name(first: u64) -> String {
    format!("{first:020}{COMPRESSED}")
}

/// The file name of what is known of the same segment, and stays when it goes.
pub(super) fn manifest_name(first: u64) -> String {
    format!("{first:020}{MANIFEST}")
}

/// What ends the name of a segment as it was written.
const PLAIN: &str = ".jsonl";
/// What ends the name of a compressed one.
const COMPRESSED: &str = ".jsonl.zst";
/// What ends the name of a manifest.
const MANIFEST: &str = ".manifest";

/// The number before `suffix` in the name of a file.
fn parse_numbered(name: &str, suffix: &str) -> Option<u64> {
    let number = name.strip_suffix(suffix)?;
    let right = number.len() == SEGMENT_DIGITS && number.bytes().all(|byte| byte.is_ascii_digit());
    if right { number.parse().ok() } else { None }
}

/// In which form a segment is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// As it was written.
    Plain,
    /// Compressed by Zstandard.
    Compressed,
}

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentFile {
    /// The `seq` of its first record.
    pub(super) first: u64,
    /// Where it is.
    pub(super) path: PathBuf,
    /// In which form.
    pub(super) form: Form,
}

impl SegmentFile {
    fn parse(directory: &Path, name: &str) -> Option<Self> {
        let (first, form) = parse_numbered(name, PLAIN)
            .map(|first| (first, Form::Plain))
            .or_else(|| Some((parse_numbered(name, COMPRESSED)?, Form::Compressed)))?;
        Some(Self { first, path: directory.join(name), form })
    }

    /// The same segment in the other form.
    pub(super) fn other_form(&self) -> Self {
        let (form, name) = match self.form {
            Form::Plain => (Form::Compressed, compressed_name(self.first)),
            Form::Compressed => (Form::Plain, segment_name(self.first)),
        };
        Self { first: self.first, path: self.path.with_file_name(name), form }
    }

    /// Where its manifest is, or will be.
    pub(super) fn manifest(&self) -> PathBuf {
        self.path.with_file_name(manifest_name(self.first))
    }
}

/// The segments of a generation, in order. Of one that is there in both forms, the plain one: the other
/// may not be whole yet.
pub(super) fn segments(storage: &dyn Storage, directory: &Path) -> io::Result<Vec<SegmentFile>> {
    let names = storage.list(directory)?;
    let mut found: Vec<_> = names.iter().filter_map(|name| SegmentFile::parse(directory, name)).collect();
    found.sort_unstable_by_key(|segment| (segment.first, segment.form));
    found.dedup_by_key(|segment| segment.first);
    Ok(found)
}

/// The manifests of a generation, by the first record of their segments, in order.
pub(super) fn manifests(storage: &dyn Storage, directory: &Path) -> io::Result<Vec<u64>> {
    let names = storage.list(directory)?;
    let mut found: Vec<_> = names.iter().filter_map(|name| parse_numbered(name, MANIFEST)).collect();
    found.sort_unstable();
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
