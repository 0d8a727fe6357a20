//! Reads segments before they go: a manifest alone could have been made to say that they are old.

use std::io;
use std::path::Path;

use super::{Left, read_up_to};
use crate::audit::Chain;
use crate::journal::compress::{CompressError, manifest_of};
use crate::journal::keep::KeepFailure;
use crate::journal::layout::{GenerationDir, SegmentFile, tree_name};
use crate::journal::manifest::{Manifest, ManifestFault, Manifests};
use crate::journal::publish::{Leaves, SPANS, SPANS_BYTES, Span, decode_spans, read_tile};
use crate::journal::scan::DamageKind;
use crate::journal::storage::{Storage, read_small};
use crate::kernel::id::Digest;

/// The segments of one generation, read one after the other.
pub(super) struct Checking {
    before: Manifests,
    /// Where the generation is in the tree, if there is one and it is.
    span: Option<Span>,
}

impl Checking {
    /// Begins before the first record of a generation.
    pub(super) fn new(storage: &dyn Storage, place: &GenerationDir) -> io::Result<Self> {
        let chain = Chain::new(place.node.clone(), place.number);
        let span = match spans(storage, place) {
            // What is damaged there the publisher and verification tell.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            span => span?,
        };
        Ok(Self { before: Manifests::new(&place.path, chain), span })
    }

    /// Holds the records of a segment against its manifest, the manifests before, and the tree.
    pub(super) fn check(
        &mut self,
        storage: &dyn Storage,
        file: &SegmentFile,
        manifest: &Manifest,
    ) -> Result<(), Left> {
        let directory = file.path.parent().unwrap_or(Path::new("."));
        read_up_to(storage, &mut self.before, file, directory)?;
        let tree = directory.with_file_name(tree_name(&manifest.node));
        let index = self.span.and_then(|span| span.index_of(file.first));
        let mut known = index.map(|index| Leaves::new(index, |path| read_tile(storage, &tree, path)));
        let mut is_published = |leaf: Digest| match &mut known {
            Some(known) => Ok(known.next()?.is_none_or(|known| known == leaf)),
            None => Ok(true),
        };
        match manifest_of(storage, file, &self.before, &mut is_published) {
            Ok(found) if found == *manifest => Ok(()),
            Ok(found) => {
                let why = DamageKind::Manifest(ManifestFault::Differs(found.difference(manifest)));
                Err(Left::damaged(&file.manifest(), file.first, why))
            }
            Err(CompressError::Damaged(damage)) => Err(Left::Failed(KeepFailure::Damaged(damage))),
            Err(CompressError::Io(source)) => Err(Left::io(directory)(source)),
            Err(CompressError::NoSpace | CompressError::Stopped) => Err(Left::Stopped),
        }
    }
}

/// Where a generation is in the tree of its node.
fn spans(storage: &dyn Storage, place: &GenerationDir) -> io::Result<Option<Span>> {
    let path = place.path.with_file_name(tree_name(&place.node)).join(SPANS);
    let Some(bytes) = read_small(storage, &path, SPANS_BYTES)? else { return Ok(None) };
    Ok(decode_spans(&bytes)?.into_iter().find(|span| span.generation == place.number))
}
