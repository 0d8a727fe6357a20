//! Reads one generation and holds every record against the chain, the tree and the manifests.

use std::io;
use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};

use super::tree::{Place, TreeCheck};
use crate::audit::{Broken, Chain, ParsedRecord, peek_instant, peek_kind};
use crate::journal::compress::finish;
use crate::journal::layout::{Form, SegmentFile};
use crate::journal::manifest::{Manifest, ManifestFault, Manifests};
use crate::journal::publish::Span;
use crate::journal::read::Placed;
use crate::journal::read::claims::Claim;
use crate::journal::scan::{Damage, DamageKind, Visit};
use crate::journal::storage::Storage;
use crate::kernel::id::Digest;

/// How many bytes are read between two reports of how far it is.
const REPORT_BYTES: u64 = 1 << 20;

/// The tree as far as it is over one generation.
pub(super) struct Branch<'t, 's> {
    pub(super) tree: &'t mut TreeCheck<'s>,
    pub(super) span: Span,
    /// The index after its last record in the tree.
    pub(super) end: u64,
}

impl Branch<'_, '_> {
    /// Whether record `seq` is the next leaf under a head.
    fn is_next(&self, seq: u64) -> bool {
        let index = self.tree.index();
        self.span.index_of(seq) == Some(index) && index < self.end && self.tree.is_covered()
    }

    /// How many of so many records are none of the tree's, where it goes on with the next generation.
    pub(super) fn surplus(&self, records: u64) -> Option<u64> {
        let index = self.span.index_of(records)?;
        index.checked_sub(self.end).filter(|surplus| *surplus > 0)
    }

    /// Takes the leaves of records that are gone, up to record `until`, and says how many there were.
    pub(super) fn pass_over(&mut self, until: u64, place: &Place) -> io::Result<u64> {
        let end = self.span.index_of(until).unwrap_or(self.span.index).min(self.end);
        let mut count = 0;
        while self.tree.index() < end && self.tree.is_covered() && !self.tree.is_lost {
            self.tree.push(None, || place.clone())?;
            count += 1;
        }
        Ok(count)
    }
}

/// The instants of records, as recorded: the earliest and the latest.
#[derive(Debug, Default)]
struct Instants {
    first: Option<Vec<u8>>,
    last: Vec<u8>,
}

impl Instants {
    fn take(&mut self, at: &[u8]) {
        // Instants have one form, so their texts sort as they do.
        if self.first.as_deref().is_none_or(|first| at < first) {
            self.first = Some(at.to_vec());
        }
        if at > &*self.last {
            self.last.clear();
            self.last.extend_from_slice(at);
        }
    }
}

/// What is found while a generation is read.
pub(super) struct Reading<'v, 't, 's> {
    pub(super) storage: &'s dyn Storage,
    pub(super) branch: Option<Branch<'t, 's>>,
    /// What the manifests say up to the segment that is read; none once one of them is wrong, or where
    /// reading does not begin at the beginning.
    pub(super) manifests: Option<Manifests>,
    /// At which record the chain must have which head, since it had at an earlier check.
    pub(super) expect: Option<(u64, Digest)>,
    pub(super) progress: &'v mut dyn FnMut(u64),
    pub(super) claims: Vec<Claim>,
    /// How far the log says that it has been pruned.
    pub(super) pruned: Option<(u32, u64)>,
    pub(super) damage: Vec<Damage>,
    pub(super) first_at: Option<Vec<u8>>,
    pub(super) last_at: Vec<u8>,
    /// Where the last good record stands.
    pub(super) last: Option<Place>,
    /// What kept the tiles from being read.
    pub(super) failed: Option<io::Error>,
    generation: u32,
    instants: Instants,
    /// Over the bytes of the segment, where it is compressed: its manifest names their digest.
    bytes: Option<Context>,
    /// Where in the segment the records begin that were read now.
    segment_from: u64,
    unreported: u64,
}

impl<'v, 't, 's> Reading<'v, 't, 's> {
    pub(super) fn new(
        storage: &'s dyn Storage,
        generation: u32,
        branch: Option<Branch<'t, 's>>,
        progress: &'v mut dyn FnMut(u64),
    ) -> Self {
        Self {
            storage,
            branch,
            manifests: None,
            expect: None,
            progress,
            claims: Vec::new(),
            pruned: None,
            damage: Vec::new(),
            first_at: None,
            last_at: Vec::new(),
            last: None,
            failed: None,
            generation,
            instants: Instants::default(),
            bytes: None,
            segment_from: 0,
            unreported: 0,
        }
    }

    /// Remembers what a record says of the log itself.
    fn note(&mut self, line: &[u8]) {
        if peek_kind(line).is_some() {
            return;
        }
        self.claims.extend(Claim::of(line));
        let Ok(record) = ParsedRecord::parse(line) else { return };
        if record.event.as_deref() == Some("pruned") {
            let detail = |name: &str| record.detail.get(name);
            let generation = detail("generation").and_then(|text| text.parse().ok());
            let before = detail("before").and_then(|text| text.parse().ok());
            self.pruned = self.pruned.max(generation.zip(before));
        }
    }

    fn remember(&mut self, seq: u64, placed: &Placed<'_>) {
        match &mut self.last {
            Some(last) if last.file == placed.path => (last.offset, last.seq) = (placed.offset, seq),
            last => {
                *last = Some(place(self.generation, seq, placed));
                let is_compressed = placed.path.extension().is_some_and(|extension| extension == "zst");
                self.bytes = is_compressed.then(|| Context::new(&SHA256));
            }
        }
        if let Some(bytes) = &mut self.bytes {
            bytes.update(placed.line);
            bytes.update(b"\n");
        }
    }

    fn wrong(&mut self, file: PathBuf, seq: u64, why: DamageKind) {
        self.damage.push(Damage { file, offset: 0, seq, why });
    }
}

fn place(generation: u32, seq: u64, placed: &Placed<'_>) -> Place {
    Place { generation, file: placed.path.to_owned(), offset: placed.offset, seq }
}

impl Visit for Reading<'_, '_, '_> {
    fn line(&mut self, chain: &mut Chain, placed: &Placed<'_>) -> Result<(), Broken> {
        let seq = chain.next();
        if self.expect.is_some_and(|(records, head)| seq == records && chain.head() != head) {
            let offset = placed.offset;
            let (file, why) = (placed.path.to_owned(), DamageKind::Other);
            self.damage.push(Damage { file, offset, seq: seq.saturating_sub(1), why });
            self.expect = None;
        }
        let mut failed = None;
        let in_tree = self.branch.as_mut().filter(|branch| branch.is_next(seq));
        match in_tree {
            None => {
                chain.check_against(placed.line, None)?;
            }
            Some(branch) => {
                let known = branch.tree.known().unwrap_or_else(|error| {
                    failed = Some(error);
                    None
                });
                chain.check_against(placed.line, known)?;
                let pushed = branch.tree.push(Some(chain.head()), || place(self.generation, seq, placed));
                failed = failed.or(pushed.err());
            }
        }
        self.failed = self.failed.take().or(failed);
        self.note(placed.line);
        let at = peek_instant(placed.line).unwrap_or_default();
        if self.first_at.is_none() {
            self.first_at = Some(at.to_vec());
        }
        self.last_at.clear();
        self.last_at.extend_from_slice(at);
        self.instants.take(at);
        self.remember(seq, placed);
        self.unreported = self.unreported.saturating_add(u64::try_from(placed.line.len() + 1).unwrap_or(0));
        if self.unreported >= REPORT_BYTES {
            (self.progress)(std::mem::take(&mut self.unreported));
        }
        Ok(())
    }

    fn pruned(&mut self, manifests: &Manifests) {
        let (next, head) = (manifests.chain().next(), manifests.chain().head());
        self.segment_from = next;
        if next > 0
            && let Some(branch) = &mut self.branch
        {
            let gone = Place { generation: self.generation, file: PathBuf::new(), offset: 0, seq: 0 };
            match branch.pass_over(next, &gone) {
                Ok(count) if count > 0 && branch.tree.last_leaf().is_some_and(|leaf| leaf != head) => {
                    let why = DamageKind::Manifest(ManifestFault::Differs("head"));
                    self.wrong(manifests.last_path(), next, why);
                }
                Ok(_) => {}
                Err(error) => self.failed = self.failed.take().or(Some(error)),
            }
        }
        self.manifests = Some(manifests.clone());
    }

    fn ended(&mut self, file: &SegmentFile, chain: &Chain) -> io::Result<()> {
        let instants = std::mem::take(&mut self.instants);
        let from = std::mem::replace(&mut self.segment_from, chain.next());
        let Some(mut manifests) = self.manifests.take() else { return Ok(()) };
        if manifests.chain().next() != file.first {
            return Ok(());
        }
        match manifests.next(self.storage)? {
            Some(Ok(manifest)) => {
                let whole = (from == file.first).then_some(&instants);
                let digest = self.bytes.take().map(finish);
                match difference(&manifest, chain, whole, digest) {
                    None => self.manifests = Some(manifests),
                    Some(member) => {
                        let why = DamageKind::Manifest(ManifestFault::Differs(member));
                        self.wrong(file.manifest(), file.first, why);
                    }
                }
            }
            Some(Err(bad)) => self.wrong(bad.path, file.first, DamageKind::Manifest(bad.why)),
            None if file.form == Form::Compressed => {
                self.wrong(file.path.clone(), file.first, DamageKind::NoManifest);
            }
            // The segments after the last compressed one have none.
            None => {}
        }
        Ok(())
    }
}

/// In what a manifest says otherwise than the records of its segment.
fn difference(
    manifest: &Manifest,
    chain: &Chain,
    instants: Option<&Instants>,
    digest: Option<Digest>,
) -> Option<&'static str> {
    if manifest.end() != chain.next() {
        return Some("records");
    }
    if manifest.head != chain.head() {
        return Some("head");
    }
    // What follows is known only of a segment that was read from its beginning.
    let instants = instants?;
    if digest.is_some_and(|digest| digest != manifest.sha256) {
        return Some("sha256");
    }
    if Some(manifest.first_at.as_bytes()) != instants.first.as_deref() {
        return Some("first_at");
    }
    (manifest.last_at.as_bytes() != instants.last).then_some("last_at")
}
