//! Checks the log of one node: all its generations, and the tree over them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::diagnose::refine;
use super::generation::{Branch, Reading};
use super::heads::Heads;
use super::report::{Finding, GenerationReport, TreeReport, VerifyReport, Wrong};
use super::state::{KnownGeneration, KnownNode, KnownTree};
use super::tree::{Difference, Given, Place, TreeCheck};
use crate::audit::{Broken, Chain};
use crate::journal::JournalError;
use crate::journal::layout::{CLOSED, GenerationDir, generation_name};
use crate::journal::manifest::Manifests;
use crate::journal::publish::Span;
use crate::journal::read::claims::Claim;
use crate::journal::read::{Published, ReadError, read_closed};
use crate::journal::scan::{Damage, DamageKind, Scan, scan_with};
use crate::journal::storage::Storage;
use crate::kernel::id::{Digest, NodeId};
use crate::tlog::Policy;

/// The log of one node, and what it is held against.
pub(super) struct NodeCheck<'c> {
    pub(super) storage: &'c dyn Storage,
    pub(super) directory: &'c Path,
    pub(super) node: &'c NodeId,
    pub(super) places: &'c [GenerationDir],
    pub(super) trust: Option<&'c Policy>,
    pub(super) known: Option<&'c KnownNode>,
}

/// The whole log of a node is gone, or one generation of it.
pub(super) fn gone(directory: &Path, node: &NodeId, generation: u32) -> Finding {
    let file = directory.join(generation_name(node, generation));
    let why = DamageKind::Generation { missing: generation };
    Finding::of(node, generation, Damage { file, offset: 0, seq: 0, why })
}

/// What the generations came to together.
#[derive(Default)]
struct Whole {
    reports: Vec<GenerationReport>,
    findings: Vec<Finding>,
    claims: Vec<(u32, Claim)>,
    pruned: Option<(u32, u64)>,
    /// Published records that are not there: after which record, and how many.
    short: Vec<(u32, u64, u64)>,
    known: Vec<KnownGeneration>,
}

impl<'c> NodeCheck<'c> {
    pub(super) fn run(
        &self,
        report: &mut VerifyReport,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ReadError> {
        let published = Published::on(self.storage, self.directory, self.node);
        let known_tree = self.known.and_then(|known| known.tree.as_ref());
        let mut findings = Vec::new();
        let heads = Heads::read(&published, self.node, self.trust, known_tree, &mut findings)?;
        let marks = heads.marks(known_tree);
        let failed = ReadError::io(published.directory());
        let directory = published.directory().to_owned();
        // What was verified before is gone on from only where the tiles still give its root.
        let root = known_tree.and_then(|known| Some((known.size, Digest::parse_hex(&known.root).ok()?)));
        let (begin, root) = root.map_or((0, None), |(size, root)| (size, Some(root)));
        let go_on = TreeCheck::begin(self.storage, directory.clone(), begin, root, marks.clone());
        let go_on = go_on.map_err(failed)?;
        let known = self.known.filter(|_| go_on.is_some());
        let mut tree = match go_on {
            Some(tree) => tree,
            None => match TreeCheck::begin(self.storage, directory.clone(), 0, None, marks) {
                Ok(Some(tree)) => tree,
                Ok(None) => return Ok(()),
                Err(error) => return Err(ReadError::io(&directory)(error)),
            },
        };
        let mut whole = Whole { pruned: known.and_then(|known| known.pruned), ..Whole::default() };
        self.read_all(&heads, known, &mut tree, &mut whole, progress)?;
        self.judge_accounts(&mut whole);
        self.judge_tree(&heads, &tree, published.directory(), &mut whole);
        findings.append(&mut whole.findings);
        if let Some(last) = &heads.last {
            let size = last.size;
            let known = KnownTree { origin: last.origin.clone(), size, root: last.root.to_hex() };
            report.trees.push(TreeReport {
                node: self.node.clone(),
                origin: last.origin.clone(),
                size,
                root: last.root,
                is_signature_checked: heads.is_signature_checked,
                witnessed: heads.witnessed.as_ref().map(|head| head.size),
                cosigned_by: heads.cosigned_by.clone(),
                uncovered: uncovered(&heads, size, &whole.reports),
            });
            self.remember(report, Some(known), whole.pruned, whole.known);
        } else {
            self.remember(report, None, whole.pruned, whole.known);
        }
        report.records =
            whole.reports.iter().fold(report.records, |sum, done| sum.saturating_add(done.records));
        report.generations.append(&mut whole.reports);
        report.damage.append(&mut findings);
        Ok(())
    }

    fn remember(
        &self,
        report: &mut VerifyReport,
        tree: Option<KnownTree>,
        pruned: Option<(u32, u64)>,
        generations: Vec<KnownGeneration>,
    ) {
        report.known.nodes.push(KnownNode { node: self.node.to_string(), tree, pruned, generations });
    }

    /// Reads every generation, in the order of the tree.
    fn read_all(
        &self,
        heads: &Heads,
        known: Option<&KnownNode>,
        tree: &mut TreeCheck<'c>,
        whole: &mut Whole,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ReadError> {
        let mut expected = 1;
        for place in self.places {
            for missing in expected..place.number {
                whole.findings.push(gone(self.directory, self.node, missing));
                self.pass_over_missing(heads, tree, missing)?;
            }
            expected = place.number.saturating_add(1);
            let branch = branch(heads, tree, place.number);
            self.read_one(place, known, branch, tree, whole, progress)?;
        }
        // The newest may have been taken away as a whole; the tree, or an earlier check, knows of them.
        let spans = heads.spans.iter().flatten().map(|span| span.generation);
        let before = self.known.iter().flat_map(|known| &known.generations).map(|known| known.generation);
        for missing in spans
            .chain(before)
            .filter(|generation| *generation >= expected)
            .collect::<std::collections::BTreeSet<_>>()
        {
            whole.findings.push(gone(self.directory, self.node, missing));
            self.pass_over_missing(heads, tree, missing)?;
        }
        Ok(())
    }

    fn pass_over_missing(
        &self,
        heads: &Heads,
        tree: &mut TreeCheck<'c>,
        generation: u32,
    ) -> Result<(), ReadError> {
        let place = Place { generation, file: PathBuf::new(), offset: 0, seq: 0 };
        if let Some((span, end)) = branch(heads, tree, generation) {
            let mut branch = Branch { tree, span, end };
            branch.pass_over(u64::MAX - span.index, &place).map_err(ReadError::io(self.directory))?;
        }
        Ok(())
    }

    fn read_one(
        &self,
        place: &GenerationDir,
        known: Option<&KnownNode>,
        span: Option<(Span, u64)>,
        tree: &mut TreeCheck<'c>,
        whole: &mut Whole,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ReadError> {
        // Whether it is closed is looked at first: it may be closed while it is read.
        let names = self.storage.list(&place.path).map_err(ReadError::io(&place.path))?;
        let is_closed = names.iter().any(|name| name == CLOSED);
        let known = known.and_then(|known| known.generation(place.number));
        let is_in_tree = span.is_some_and(|(_, end)| tree.index() < end && tree.is_covered());
        if let Some(known) = known.filter(|known| known.closed && is_closed && !is_in_tree) {
            return self.pass_over_known(place, known, whole);
        }
        let chain = self.begin(place, known, span, tree)?;
        let from = chain.next();
        let branch = span.map(|(span, end)| Branch { tree, span, end });
        let mut reading = Reading::new(self.storage, place.number, branch, progress);
        if from == 0 {
            reading.manifests = Some(Manifests::new(&place.path, chain.clone()));
        }
        reading.expect = known.and_then(|known| Some((known.records, Digest::parse_hex(&known.head).ok()?)));
        let scan = scan_with(self.storage, &place.path, chain, &mut reading).map_err(into_read_error)?;
        if let Some(error) = reading.failed.take() {
            return Err(ReadError::io(self.directory)(error));
        }
        self.judge(place, scan, reading, is_closed, known, whole)
    }

    /// A closed generation that was verified before cannot have changed since, unless somebody changed it:
    /// what is looked at is where it ends.
    fn pass_over_known(
        &self,
        place: &GenerationDir,
        known: &KnownGeneration,
        whole: &mut Whole,
    ) -> Result<(), ReadError> {
        let path = place.path.join(CLOSED);
        let mark = read_closed(self.storage, &path).ok();
        if mark.as_ref().is_none_or(|mark| mark.records != known.records || mark.head != known.head) {
            let seq = mark.map_or(known.records, |mark| mark.records);
            let why = if seq < known.records {
                DamageKind::Known { known: known.records }
            } else {
                DamageKind::End { closed: known.records, head: known.head.clone() }
            };
            let damage = Damage { file: path, offset: 0, seq, why };
            whole.findings.push(Finding::of(self.node, place.number, damage));
        }
        whole.known.push(known.clone());
        whole.reports.push(GenerationReport {
            node: self.node.clone(),
            generation: place.number,
            records: known.records,
            begin: 0,
            first_at: None,
            last_at: None,
            head: known.head.clone(),
            closed: true,
            unfinished_bytes: 0,
            is_read: false,
        });
        Ok(())
    }

    /// Where reading begins: after what was verified before and is under a head that was.
    fn begin(
        &self,
        place: &GenerationDir,
        known: Option<&KnownGeneration>,
        span: Option<(Span, u64)>,
        tree: &TreeCheck<'_>,
    ) -> Result<Chain, ReadError> {
        let genesis = Chain::new(place.node.clone(), place.number);
        let Some(known) = known else { return Ok(genesis) };
        let Some(head) = Digest::parse_hex(&known.head).ok() else { return Ok(genesis) };
        // The next leaf of the tree must be read, if it is of this generation.
        let next = span.map_or(known.records, |(span, _)| {
            span.seq.saturating_add(tree.index().saturating_sub(span.index)).min(known.records)
        });
        if next == known.records && next > 0 {
            return Ok(Chain::resume(place.node.clone(), place.number, next, head));
        }
        let leaf = tree.last_leaf().filter(|_| next > span.map_or(0, |(span, _)| span.seq));
        Ok(match leaf {
            Some(leaf) => Chain::resume(place.node.clone(), place.number, next, leaf),
            None => genesis,
        })
    }

    /// Says what came of reading a generation.
    fn judge(
        &self,
        place: &GenerationDir,
        scan: Scan,
        mut reading: Reading<'_, '_, '_>,
        is_closed: bool,
        known: Option<&KnownGeneration>,
        whole: &mut Whole,
    ) -> Result<(), ReadError> {
        let records = scan.chain.next();
        let damage = self.damage(place, &scan, is_closed, known)?;
        let last = reading.last.take();
        if let Some(branch) = &mut reading.branch {
            if let Some(records) = branch.surplus(records).filter(|_| is_closed) {
                let (file, why) = (place.path.clone(), Wrong::Surplus { records });
                let seq = scan.chain.next().saturating_sub(records);
                let (node, generation) = (self.node.clone(), Some(place.number));
                whole.findings.push(Finding { node, generation, file, offset: 0, seq, why });
            }
            let file = scan.end.as_ref().map_or(&place.path, |end| &end.file.path).clone();
            let offset = scan.end.as_ref().map_or(0, |end| end.length);
            let end = Place { generation: place.number, file, offset, seq: records };
            let short = branch.pass_over(u64::MAX - branch.span.index, &end);
            let short = short.map_err(ReadError::io(self.directory))?;
            if short > 0 && damage.is_none() {
                whole.short.push((place.number, records, short));
            }
        }
        if let Some(damage) = damage {
            let finding = Finding::of(self.node, place.number, damage);
            let refined = refine(self.storage, finding, last.as_ref());
            whole.findings.push(refined.map_err(ReadError::io(&place.path))?);
        }
        let also = reading.damage.drain(..).map(|damage| Finding::of(self.node, place.number, damage));
        whole.findings.extend(also);
        whole.claims.extend(reading.claims.drain(..).map(|claim| (place.number, claim)));
        whole.pruned = whole.pruned.max(reading.pruned);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let head = scan.chain.head().to_hex();
        whole.known.push(KnownGeneration {
            generation: place.number,
            records,
            head: head.clone(),
            closed: is_closed,
        });
        whole.reports.push(GenerationReport {
            node: self.node.clone(),
            generation: place.number,
            records,
            begin: scan.begin,
            first_at: reading.first_at.map(text),
            last_at: Some(reading.last_at).filter(|at| !at.is_empty()).map(text),
            head,
            closed: is_closed,
            unfinished_bytes: scan.torn.map_or(0, |torn| torn.bytes),
            is_read: true,
        });
        Ok(())
    }

    /// What is wrong with a generation by itself.
    fn damage(
        &self,
        place: &GenerationDir,
        scan: &Scan,
        is_closed: bool,
        known: Option<&KnownGeneration>,
    ) -> Result<Option<Damage>, ReadError> {
        if scan.damage.is_some() {
            return Ok(scan.damage.clone());
        }
        let seq = scan.chain.next();
        let stray = scan.strays.first().or(scan.torn.as_ref().filter(|_| is_closed));
        if let Some(leftover) = stray {
            let why = DamageKind::Surplus { bytes: leftover.bytes };
            return Ok(Some(Damage { file: leftover.file.clone(), offset: leftover.offset, seq, why }));
        }
        if let Some(known) = known.filter(|known| known.records > seq) {
            let why = DamageKind::Known { known: known.records };
            return Ok(Some(Damage { file: place.path.clone(), offset: 0, seq, why }));
        }
        if !is_closed {
            return Ok(None);
        }
        let path = place.path.join(CLOSED);
        let mark = match read_closed(self.storage, &path) {
            Ok(mark) => Some(mark),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
                ) =>
            {
                None
            }
            Err(error) => return Err(ReadError::io(&path)(error)),
        };
        let (closed, head) = mark.map_or((0, String::new()), |mark| (mark.records, mark.head));
        if closed == seq && head == scan.chain.head().to_hex() {
            return Ok(None);
        }
        Ok(Some(Damage { file: path, offset: 0, seq, why: DamageKind::End { closed, head } }))
    }

    /// Holds what records say of the log against what is there.
    fn judge_accounts(&self, whole: &mut Whole) {
        let ends: BTreeMap<u32, (u64, String)> =
            whole.reports.iter().map(|done| (done.generation, (done.records, done.head.clone()))).collect();
        let is_damaged = |whole: &Whole, generation| {
            whole.findings.iter().any(|finding| finding.generation == Some(generation))
        };
        for (_, claim) in std::mem::take(&mut whole.claims) {
            let repaired = |short: &(u32, u64, u64)| {
                claim.is_repair && short.0 == claim.generation && short.1 == claim.records
            };
            whole.short.retain(|short| !repaired(short));
            // One that is gone altogether was found missing.
            let Some((records, head)) = ends.get(&claim.generation) else { continue };
            if (*records != claim.records || *head != claim.head) && !is_damaged(whole, claim.generation) {
                let why = DamageKind::End { closed: claim.records, head: claim.head.clone() };
                let file = self.directory.join(generation_name(self.node, claim.generation));
                let damage = Damage { file, offset: 0, seq: *records, why };
                whole.findings.push(Finding::of(self.node, claim.generation, damage));
            }
        }
        let unpruned: Vec<(u32, u64)> = whole
            .reports
            .iter()
            .filter(|done| done.begin > 0)
            .filter(|done| {
                whole.pruned.is_none_or(|to| (done.generation, done.begin) > to && done.generation >= to.0)
            })
            .map(|done| (done.generation, done.begin))
            .collect();
        for (generation, begin) in unpruned {
            let file = self.directory.join(generation_name(self.node, generation));
            let why = Wrong::Unpruned { begin };
            let (node, generation) = (self.node.clone(), Some(generation));
            whole.findings.push(Finding { node, generation, file, offset: 0, seq: 0, why });
        }
        for (generation, seq, records) in std::mem::take(&mut whole.short) {
            if !is_damaged(whole, generation) {
                let file = self.directory.join(generation_name(self.node, generation));
                let why = Wrong::Truncated { records };
                let (node, generation) = (self.node.clone(), Some(generation));
                whole.findings.push(Finding { node, generation, file, offset: 0, seq, why });
            }
        }
    }

    /// Says what the roots of the tree tell.
    fn judge_tree(&self, heads: &Heads, tree: &TreeCheck<'_>, directory: &Path, whole: &mut Whole) {
        let about = |file: PathBuf, seq, why| Finding {
            node: self.node.clone(),
            generation: None,
            file,
            offset: 0,
            seq,
            why,
        };
        let mut is_explained = !whole.findings.is_empty();
        for (mark, given) in tree.marks() {
            let why = match (given, mark.before) {
                (Some(Given::Tiles), _) => continue,
                (Some(Given::Records), _) => {
                    let index = tree.difference.as_ref().map_or(0, |difference| difference.index);
                    let path = tree.leaf_tile(index);
                    whole.findings.push(about(directory.join(path.to_string()), index, Wrong::Tile(path)));
                    is_explained = true;
                    break;
                }
                (Some(Given::Neither), Some(before)) => Wrong::Fork { before },
                (Some(Given::Neither), None) => Wrong::Root { size: mark.size },
                // Leaves are missing that neither records nor tiles have; that is told by itself.
                (None, _) => continue,
            };
            whole.findings.push(about(directory.join(crate::journal::publish::CHECKPOINT), mark.size, why));
            is_explained = true;
        }
        if let Some(difference) = &tree.difference
            && tree
                .marks()
                .iter()
                .any(|(mark, given)| mark.size > difference.index && *given == Some(Given::Tiles))
        {
            self.blame(difference, whole);
            is_explained = true;
        }
        let has_tile =
            |whole: &Whole| whole.findings.iter().any(|finding| matches!(finding.why, Wrong::Tile(_)));
        if let Some(path) = tree.changed.filter(|_| !has_tile(whole)) {
            whole.findings.push(about(directory.join(path.to_string()), 0, Wrong::Tile(path)));
            is_explained = true;
        }
        // A log whose head is gone has been told of.
        if let Some(path) = tree.missing.filter(|_| heads.last.is_some() && !(tree.is_lost && is_explained)) {
            whole.findings.push(about(directory.join(path.to_string()), 0, Wrong::MissingTile(path)));
        }
    }

    /// Names the first record that is not the one that was published, in place of what it led to.
    fn blame(&self, difference: &Difference, whole: &mut Whole) {
        let Place { generation, file, offset, seq } = difference.place.clone();
        let follows = |finding: &Finding| {
            let is_of_it = matches!(
                finding.why,
                Wrong::Forged | Wrong::Log(DamageKind::Line(Broken::Previous) | DamageKind::End { .. })
            );
            finding.generation == Some(generation) && is_of_it
        };
        whole.findings.retain(|finding| !follows(finding));
        let why = Wrong::Rewritten { more: difference.count - 1 };
        let node = self.node.clone();
        whole.findings.push(Finding { node, generation: Some(generation), file, offset, seq, why });
    }
}

/// The span of a generation, and the index after its last record in the tree.
fn branch(heads: &Heads, tree: &TreeCheck<'_>, generation: u32) -> Option<(Span, u64)> {
    let Some(spans) = &heads.spans else {
        // It does not say where; generations follow one another.
        return heads.last.is_some().then(|| (Span { generation, seq: 0, index: tree.index() }, u64::MAX));
    };
    let at = spans.iter().position(|span| span.generation == generation)?;
    let end = spans.get(at + 1).map_or(u64::MAX, |next| next.index);
    Some((*spans.get(at)?, end))
}

/// How many records no head covers.
fn uncovered(heads: &Heads, size: u64, reports: &[GenerationReport]) -> u64 {
    let span_of = |generation| heads.spans.iter().flatten().find(|span| span.generation == generation);
    let first = heads.spans.iter().flatten().next().map_or(0, |span| span.generation);
    reports
        .iter()
        .filter(|done| done.generation >= first)
        .map(|done| match span_of(done.generation) {
            Some(span) => {
                done.records.saturating_sub(span.seq.saturating_add(size.saturating_sub(span.index)))
            }
            None => done.records,
        })
        .sum()
}

fn into_read_error(error: JournalError) -> ReadError {
    match error {
        JournalError::Io { path, source, .. } => ReadError::Io { path, source },
        // Of reading nothing else comes.
        other @ (JournalError::SegmentTooSmall { .. }
        | JournalError::Damaged(_)
        | JournalError::Live { .. }
        | JournalError::Thread(_)) => {
            ReadError::Io { path: PathBuf::new(), source: std::io::Error::other(other) }
        }
    }
}
