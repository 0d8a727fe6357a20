//! Checks the whole log, record by record: against its own chain, against the tree and its signed heads,
//! against what later records say of earlier ones, and against what was verified before.

mod diagnose;
mod generation;
mod heads;
mod node;
mod report;
mod state;
mod tree;

use std::collections::BTreeMap;
use std::path::Path;

use self::node::NodeCheck;
pub use self::report::{Act, Before, Finding, GenerationReport, TreeReport, VerifyReport, Wrong};
pub use self::state::{Known, KnownError, KnownGeneration, KnownNode, KnownTree, MAX_KNOWN_BYTES};
use super::super::layout::GenerationDir;
use super::super::storage::{DiskStorage, Storage};
use super::{ReadError, generations_of};
use crate::kernel::id::NodeId;
use crate::tlog::Policy;

/// What a log is held against, beside itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Against<'a> {
    /// Whose signatures are believed. Without it none is checked, and a log may have none.
    pub trust: Option<&'a Policy>,
    /// What was verified before: only what has come since is read.
    pub known: Option<&'a Known>,
}

/// Checks every record of every generation below `directory`, as [`verify_against`] does with nothing to hold
/// it against.
///
/// # Errors
/// When there is no log, or it cannot be read. Damage is no error: it is in the report.
pub fn verify(directory: &Path) -> Result<VerifyReport, ReadError> {
    verify_against(directory, Against::default(), &mut |_| {})
}

/// Checks every record of every generation below `directory`: its own checksum, its place, the digest of the
/// one before, what later records say of earlier ones, and its leaf hash in the tree under the signed heads.
/// `progress` is told how many bytes have been read since it was told last.
///
/// # Errors
/// When there is no log, or it cannot be read. Damage is no error: it is in the report.
pub fn verify_against(
    directory: &Path,
    against: Against<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<VerifyReport, ReadError> {
    verify_storage(&DiskStorage, directory, against, progress)
}

#[cfg(test)]
pub(in super::super) fn verify_on(
    storage: &dyn Storage,
    directory: &Path,
) -> Result<VerifyReport, ReadError> {
    verify_storage(storage, directory, Against::default(), &mut |_| {})
}

pub(in super::super) fn verify_storage(
    storage: &dyn Storage,
    directory: &Path,
    against: Against<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<VerifyReport, ReadError> {
    let mut nodes: BTreeMap<NodeId, Vec<GenerationDir>> = BTreeMap::new();
    for place in generations_of(storage, directory)? {
        nodes.entry(place.node.clone()).or_default().push(place);
    }
    let mut report = VerifyReport {
        generations: Vec::new(),
        trees: Vec::new(),
        records: 0,
        damage: Vec::new(),
        known: Known::new(Vec::new()),
    };
    for (node, places) in &nodes {
        let known = against.known.and_then(|known| known.node(node.as_str()));
        let check = NodeCheck { storage, directory, node, places, trust: against.trust, known };
        check.run(&mut report, progress)?;
    }
    // A log that was there before and is not now has no directory to be found in.
    for gone in against.known.iter().flat_map(|known| &known.nodes) {
        if let Ok(node) = NodeId::parse(&gone.node)
            && !nodes.contains_key(&node)
            && let Some(first) = gone.generations.first()
        {
            report.damage.push(node::gone(directory, &node, first.generation));
        }
    }
    Ok(report)
}
