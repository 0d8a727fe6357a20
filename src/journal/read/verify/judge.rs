//! Says what was done to the log of one node, from what was read of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::heads::Heads;
use super::node::{NodeCheck, Whole};
use super::report::{Finding, GenerationReport, VerifyReport, Wrong};
use super::tree::{Difference, Given, Place, TreeCheck};
use crate::audit::Broken;
use crate::journal::layout::{generation_name, tree_name};
use crate::journal::publish::CHECKPOINT;
use crate::journal::scan::{Damage, DamageKind};
use crate::tlog::Policy;

impl NodeCheck<'_> {
    /// Holds what records say of the log against what is there.
    pub(super) fn judge_accounts(&self, whole: &mut Whole) {
        let ends: BTreeMap<u32, (u64, String)> =
            whole.reports.iter().map(|done| (done.generation, (done.records, done.head.clone()))).collect();
        let is_damaged = |whole: &Whole, generation| {
            whole.findings.iter().any(|finding| finding.generation == Some(generation))
        };
        for (claim, is_believed) in std::mem::take(&mut whole.claims) {
            let repaired = |short: &(u32, u64, u64)| {
                claim.is_repair && is_believed && short.0 == claim.generation && short.1 == claim.records
            };
            for short in whole.short.extract_if(.., |short| repaired(short)) {
                let done = whole.reports.iter_mut().filter(|done| done.generation == short.0);
                done.for_each(|done| done.put_aside = short.2);
            }
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
    pub(super) fn judge_tree(
        &self,
        heads: &Heads,
        tree: &TreeCheck<'_>,
        directory: &Path,
        whole: &mut Whole,
    ) {
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
            whole.findings.push(about(directory.join(CHECKPOINT), mark.size, why));
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

/// Whether each log is signed under its own name, where several are believed: who may sign one of them could
/// otherwise sign any.
pub(in crate::journal) fn judge_origins(directory: &Path, trust: &Policy, report: &mut VerifyReport) {
    let is_name_of_log = |name: &str| trust.logs().iter().any(|key| key.name() == name);
    for (at, tree) in report.trees.iter().enumerate() {
        let is_own = tree.origin == tree.node.as_str();
        let others = report.trees.iter().enumerate().filter(|(other, _)| *other != at);
        let is_twice = others.clone().any(|(_, other)| other.origin == tree.origin);
        if is_own || !(is_twice || is_name_of_log(tree.node.as_str())) {
            continue;
        }
        let file = directory.join(tree_name(&tree.node)).join(CHECKPOINT);
        let why = Wrong::Origin { found: tree.origin.clone(), is_twice };
        let node = tree.node.clone();
        report.damage.push(Finding { node, generation: None, file, offset: 0, seq: 0, why });
    }
}

/// How many records no head covers.
pub(super) fn uncovered(heads: &Heads, size: u64, reports: &[GenerationReport]) -> u64 {
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
