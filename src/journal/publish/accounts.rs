//! Which of the published records are gone, and whether the log itself says why.

use super::Refusal;
use crate::journal::read::{Claim, Pruning};

/// Published records that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gone {
    generation: u32,
    seq: u64,
    until: u64,
}

/// What is gone, and what published records say of it. A record that no signed head covers could be anybody's,
/// and says nothing here.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    gone: Vec<Gone>,
    /// Generations that a repair cut, and after how many records.
    repaired: Vec<(u32, u64)>,
    pruned: Option<(u32, u64)>,
}

impl Accounts {
    /// Takes the word of who repairs the log now.
    pub(super) fn trust(&mut self, repairs: &[Claim]) {
        self.repaired.extend(repairs.iter().map(|claim| (claim.generation, claim.records)));
    }

    /// Takes what a published record says.
    pub(super) fn hear(&mut self, line: &[u8]) {
        if let Some(claim) = Claim::of(line).filter(|claim| claim.is_repair) {
            self.repaired.push((claim.generation, claim.records));
        }
        if let Some(pruning) = Pruning::of(line) {
            self.pruned = self.pruned.max(Some(pruning.upto));
        }
    }

    /// Notes that the records from `seq` up to `until` are not there.
    pub(super) fn miss(&mut self, generation: u32, seq: u64, until: u64) {
        self.gone.push(Gone { generation, seq, until });
    }

    /// The first of them that nothing accounts for.
    pub(super) fn unaccounted(&self) -> Option<Refusal> {
        let is_accounted_for = |gone: &&Gone| {
            let Gone { generation, seq, until } = **gone;
            self.pruned.is_some_and(|upto| (generation, until) <= upto)
                || self.repaired.iter().any(|(cut, records)| *cut == generation && seq >= *records)
        };
        let gone = self.gone.iter().find(|gone| !is_accounted_for(gone))?;
        Some(Refusal::Missing { generation: gone.generation, seq: gone.seq })
    }
}
