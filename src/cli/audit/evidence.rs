//! What shows to others that a record is in the log: signed heads, and proofs from the published tree.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::audit::{Members, Name};
use crate::cli::{CommandError, Exit};
use crate::journal::Span;
use crate::journal::read::{Published, Stretch, generation_states};
use crate::kernel::id::NodeId;
use crate::tlog::note::Note;
use crate::tlog::policy::{Fault, PolicyError, Refused};
use crate::tlog::proof::{MakeError, ProofError, prove_inclusion, verify_inclusion};
use crate::tlog::receipt::{ReceiptError, Unproved};
use crate::tlog::tile::TileError;
use crate::tlog::{Checkpoint, NoteError, Receipt, TileNodes, TilePath, leaf_hash};

/// Why something proves nothing, or no proof can be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EvidenceError {
    /// Nobody has signed for the record yet.
    #[error("record {0} is in no signed head of the log")]
    NotSigned(Place),
    /// No such record.
    #[error("there is no record {0}")]
    NoRecord(Place),
    /// A signed head cannot be read.
    #[error("`{}` is no signed head of a log", path.display())]
    Head {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: NoteError,
    },
    /// The tree cannot be read.
    #[error("no proof can be made for record {place}")]
    Tree {
        /// Which record.
        place: Place,
        /// Why.
        #[source]
        source: MakeError<TileError<io::Error>>,
    },
    /// The tree has another record there.
    #[error("record {place} is not the one that was published: the log or its tree was changed")]
    Changed {
        /// Which record.
        place: Place,
        /// What the proof says.
        #[source]
        source: ProofError,
    },
    /// No head is both believed and large enough.
    #[error("no head of the log that is to be believed has record {place}")]
    NotBelieved {
        /// Which record.
        place: Place,
        /// Why the last one is not.
        #[source]
        source: Refused,
    },
    /// A file is no receipt.
    #[error("`{}` is no receipt", path.display())]
    Receipt {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ReceiptError,
    },
    /// A receipt without the record that it is about.
    #[error("`{}` has no record in it", .0.display())]
    NoEntry(PathBuf),
    /// A receipt proves nothing.
    #[error("`{}` proves nothing", path.display())]
    Unproved {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Unproved,
    },
    /// What is proved is no record.
    #[error("what `{}` proves is no record of a gate", .0.display())]
    NotARecord(PathBuf),
    /// A file of trust cannot be read.
    #[error("`{}` is no trust policy", path.display())]
    Policy {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: PolicyError,
    },
    /// A key that cannot be trusted.
    #[error("`{given}` is no key of a log")]
    Key {
        /// As it was given.
        given: String,
        /// Why.
        #[source]
        source: Fault,
    },
    /// Nothing says whom to believe.
    #[error("nothing says whose signatures to believe")]
    NoTrust,
    /// The configuration names a key that cannot be read here.
    #[error("the key by which the heads of the log are signed is not known here: {0}")]
    KeyUnknown(String),
    /// The pack is not as it was made.
    #[error("the pack is not as it was made: {0}")]
    Pack(String),
}

impl EvidenceError {
    /// The exit code of a command that failed so.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoRecord(_)
            | Self::NoTrust
            | Self::KeyUnknown(_)
            | Self::Policy { .. }
            | Self::Key { .. } => Exit::Usage,
            Self::NotSigned(_)
            | Self::Head { .. }
            | Self::Tree { .. }
            | Self::Changed { .. }
            | Self::NotBelieved { .. }
            | Self::Receipt { .. }
            | Self::NoEntry(_)
            | Self::Unproved { .. }
            | Self::NotARecord(_)
            | Self::Pack(_) => Exit::Refused,
        }
    }

    /// What the user can do about it, if anything is known.
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotSigned(_) => Some(
                "records are signed for every few seconds where `[audit.checkpoint]` names a key; try again, or \
                 see docs/transparency.md",
            ),
            Self::NoTrust => Some("give the key of the log with `--key`, or a policy with `--policy`"),
            Self::KeyUnknown(_) => Some(
                "give its public key with `--key`: `pinegate audit key --log NODE FILE` prints it to whoever may read the \
                 private one",
            ),
            Self::NoEntry(_) => Some("give the record in a file of its own with `--entry`"),
            Self::Changed { .. } => Some("`pinegate audit verify` says where"),
            Self::NotBelieved { .. } => {
                Some("wait until the witnesses have cosigned, or ask for records that they have")
            }
            Self::NoRecord(_)
            | Self::Head { .. }
            | Self::Tree { .. }
            | Self::Receipt { .. }
            | Self::Unproved { .. }
            | Self::NotARecord(_)
            | Self::Policy { .. }
            | Self::Key { .. }
            | Self::Pack(_) => None,
        }
    }
}

/// Which record: it shows as `gate-1/3/120`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The gate that wrote it.
    pub(super) node: NodeId,
    /// The generation.
    pub(super) generation: u32,
    /// Its number there.
    pub(super) seq: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.node, self.generation, self.seq)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        let read = || match parts.as_slice() {
            [node, generation, seq] => Some(Self {
                node: NodeId::parse(node).ok()?,
                generation: generation.parse().ok()?,
                seq: seq.parse().ok()?,
            }),
            _ => None,
        };
        read().ok_or("expected node, generation and number, such as `gate-1/3/120`")
    }
}

impl Place {
    /// Where a record says it stands.
    pub(super) fn of(record: &Members<'_>) -> Option<Self> {
        let generation = u32::try_from(record.number(Name::GENERATION)?).ok()?;
        let node = NodeId::parse(&record.text(Name::NODE)?).ok()?;
        Some(Self { node, generation, seq: record.number(Name::SEQ)? })
    }

    /// The name of its receipt.
    pub(super) fn file_name(&self) -> String {
        format!("{}.{:06}.{}.tlog-proof", self.node, self.generation, self.seq)
    }

    /// The line below `directory`, without its newline.
    pub(super) fn read(&self, directory: &Path) -> Result<Option<Vec<u8>>, CommandError> {
        let generations = generation_states(directory, &self.node, self.generation)?;
        if !generations.iter().any(|state| state.number == self.generation) {
            return Ok(None);
        }
        let mut line = None;
        let mut stretch = Stretch::new(directory, &self.node, self.generation, self.seq);
        stretch.read(self.seq.saturating_add(1), &mut |found| {
            line = Some(found.to_vec());
            ControlFlow::Break(())
        })?;
        Ok(line)
    }
}

/// A signed head, read but not believed.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) note: Note,
    pub(super) checkpoint: Checkpoint,
}

/// What was published of the log of one node.
#[derive(Debug)]
pub(super) struct Log {
    published: Published,
    spans: Vec<Span>,
    /// One that others have signed too comes first.
    heads: Vec<Head>,
}

impl Log {
    pub(super) fn open(directory: &Path, node: &NodeId) -> Result<Self, CommandError> {
        let published = Published::new(directory, node);
        let mut heads = Vec::new();
        for (name, bytes) in [("witnessed", published.witnessed()?), ("checkpoint", published.checkpoint()?)]
        {
            let Some(bytes) = bytes else { continue };
            let read = Note::parse(&bytes).and_then(|note| {
                let checkpoint = Checkpoint::parse(note.text())?;
                Ok(Head { note, checkpoint })
            });
            let path = || published.directory().join(name);
            heads.push(read.map_err(|source| EvidenceError::Head { path: path(), source })?);
        }
        Ok(Self { spans: published.spans()?, published, heads })
    }

    /// The index of a record in the tree, if the tree has its generation.
    pub(super) fn index_of(&self, place: &Place) -> Option<u64> {
        let at = self.spans.binary_search_by_key(&place.generation, |span| span.generation).ok()?;
        self.spans.get(at)?.index_of(place.seq)
    }

    /// The heads whose tree has leaf `index`, the one to be preferred first.
    pub(super) fn heads_over(&self, index: u64) -> impl Iterator<Item = &Head> {
        self.heads.iter().filter(move |head| head.checkpoint.size > index)
    }

    /// Proofs against one head.
    pub(super) fn prover<'l>(&'l self, head: &'l Head) -> Prover<'l> {
        Prover { log: self, head, tiles: BTreeMap::new() }
    }
}

/// Makes receipts.
pub(super) struct Prover<'l> {
    log: &'l Log,
    head: &'l Head,
    /// The tiles that were needed, cut to the hashes that the head's tree has.
    pub(super) tiles: BTreeMap<TilePath, Vec<u8>>,
}

impl Prover<'_> {
    /// The receipt of a line, which it has in it.
    pub(super) fn receipt(&mut self, place: &Place, line: &[u8]) -> Result<Receipt, EvidenceError> {
        let index = self.log.index_of(place).ok_or_else(|| EvidenceError::NotSigned(place.clone()))?;
        let Checkpoint { size, root, .. } = &self.head.checkpoint;
        let (published, tiles) = (&self.log.published, &mut self.tiles);
        let mut nodes = TileNodes::new(*size, |path: TilePath| {
            if let Some(bytes) = tiles.get(&path) {
                return Ok(bytes.clone());
            }
            let mut bytes = published.tile(path)?;
            bytes.truncate(usize::from(path.width) * 32);
            tiles.insert(path, bytes.clone());
            Ok(bytes)
        });
        let proof = prove_inclusion(&mut nodes, index, *size)
            .map_err(|source| EvidenceError::Tree { place: place.clone(), source })?;
        verify_inclusion(&leaf_hash(line), index, *size, root, &proof)
            .map_err(|source| EvidenceError::Changed { place: place.clone(), source })?;
        Ok(Receipt { extra: Some(line.to_vec()), index, proof, checkpoint: self.head.note.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_by_three_parts() {
        let place: Place = "gate-1/3/120".parse().unwrap();
        assert_eq!((place.to_string().as_str(), place.generation, place.seq), ("gate-1/3/120", 3, 120));
        assert_eq!(place.file_name(), "gate-1.000003.120.tlog-proof");
        for text in ["", "gate-1", "gate-1/3", "gate-1/3/120/", "gate 1/3/120", "gate-1/x/120", "../3/1"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
