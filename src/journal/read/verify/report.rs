//! What a check of a log found, in words that people and programs can use.

use std::cmp::Ordering;
use std::fmt;
use std::path::PathBuf;

use super::state::Known;
use crate::audit::Broken;
use crate::journal::scan::{Damage, DamageKind};
use crate::kernel::id::{Digest, NodeId};
use crate::tlog::TilePath;
use crate::tlog::policy::Refused;

/// What a check of a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Each generation, in order.
    pub generations: Vec<GenerationReport>,
    /// The tree of each node that has one.
    pub trees: Vec<TreeReport>,
    /// How many good records there are in all, those that have been pruned included.
    pub records: u64,
    /// The first damage of each generation that has any, and what does not fit together.
    pub damage: Vec<Finding>,
    /// What the next check can go on from.
    pub known: Known,
}

impl VerifyReport {
    /// Whether everything is as it was written.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damage.is_empty()
    }
}

/// What a check of one generation found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationReport {
    /// The node that wrote it.
    pub node: NodeId,
    /// Its number.
    pub generation: u32,
    /// How many records it has; they have the numbers from 0 on.
    pub records: u64,
    /// The first of them that is there; those before have been pruned.
    pub begin: u64,
    /// The instant of the first record that was read, as recorded.
    pub first_at: Option<String>,
    /// The instant of its last good record, as recorded.
    pub last_at: Option<String>,
    /// The digest of its last good record.
    pub head: String,
    /// Whether it is marked complete. One that is not is being written, or its process ended
    /// without closing it and none has been started since.
    pub closed: bool,
    /// How many bytes of an unfinished commit follow its records.
    pub unfinished_bytes: u64,
    /// Whether its records were read now, and not only at an earlier check.
    pub is_read: bool,
}

/// What a check of a tree found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeReport {
    /// The node whose records it is over.
    pub node: NodeId,
    /// The log's name in its heads.
    pub origin: String,
    /// How many records the last signed head covers.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// Whether its signature was checked, by a key that was given.
    pub is_signature_checked: bool,
    /// How many records the last head covers that others have signed too.
    pub witnessed: Option<u64>,
    /// Which of the witnesses that were given have.
    pub cosigned_by: Vec<String>,
    /// How many records no head covers yet.
    pub uncovered: u64,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In the log of which node.
    pub node: NodeId,
    /// In which generation; none where it is about the tree.
    pub generation: Option<u32>,
    /// In which file.
    pub file: PathBuf,
    /// Where the bad line begins, in plain bytes.
    pub offset: u64,
    /// The `seq` of the record that should stand there; where it is about the tree, the index.
    pub seq: u64,
    /// What is wrong.
    pub why: Wrong,
}

impl Finding {
    pub(super) fn of(node: &NodeId, generation: u32, damage: Damage) -> Self {
        let Damage { file, offset, seq, why } = damage;
        Self { node: node.clone(), generation: Some(generation), file, offset, seq, why: Wrong::Log(why) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`", self.act(), self.file.display())?;
        match self.generation {
            Some(generation) => write!(
                f,
                " at byte {}, record {} of {} generation {generation}",
                self.offset, self.seq, self.node
            )?,
            None => write!(f, " of {}", self.node)?,
        }
        write!(f, ": {}", self.why)
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The lines are not what they were.
    #[error("{0}")]
    Log(DamageKind),
    /// Two records have changed places.
    #[error("record {found} stands here, and this one further on: they have changed places")]
    Swapped {
        /// What stands in its place.
        found: u64,
    },
    /// A record was changed, and its checksum made right.
    #[error("the record was changed and its `sum` made right: the `prev` of the one after it does not match")]
    Forged,
    /// Records are other ones than were published.
    #[error("the record is not the one that was published, nor are {more} after it")]
    Rewritten {
        /// How many others.
        more: u64,
    },
    /// Records that were published are gone.
    #[error("{records} records that were published are gone from here on")]
    Truncated {
        /// How many.
        records: u64,
    },
    /// Records that nobody published.
    #[error("{records} records follow that were not there when the generation was published to its end")]
    Surplus {
        /// How many.
        records: u64,
    },
    /// Segments are gone, and the log does not say that they were pruned.
    #[error("the records before {begin} are gone, and no `pruned` record says so")]
    Unpruned {
        /// The first record that is there.
        begin: u64,
    },
    /// The records give another root than was signed.
    #[error("the records give another root than the signed head of {size} records: it is of another log")]
    Root {
        /// How many records it covers.
        size: u64,
    },
    /// The records give another root than one that was verified or witnessed.
    #[error("the records do not begin with those that were {before}: this log has another past")]
    Fork {
        /// When another past was seen.
        before: Before,
    },
    /// There is a newer head.
    #[error("the head covers {size} records, but one of {known} was {before}: it is an old one")]
    Old {
        /// How many records the head covers.
        size: u64,
        /// How many the newer one covers.
        known: u64,
        /// When it was seen.
        before: Before,
    },
    /// There is no signed head although there must be one.
    #[error("there is no signed head of the log")]
    Headless,
    /// The head is not to be believed.
    #[error("the signed head is not to be believed: {0}")]
    Unsigned(Refused),
    /// A tile is missing, or cut off.
    #[error("the tile `{0}` is missing or cut off")]
    MissingTile(TilePath),
    /// A tile is not what the records give.
    #[error("the tile `{0}` is not what the records give, which give the signed root")]
    Tile(TilePath),
    /// What says where generations begin in the tree is gone or wrong.
    #[error("it does not say where the generations begin in the tree")]
    Spans,
}

/// When something else was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// At an earlier check.
    Verified,
    /// By a witness.
    Witnessed,
}

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "verified before",
            Self::Witnessed => "witnessed",
        })
    }
}

/// What somebody must have done for a log to be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A record was changed.
    Edit,
    /// Records were taken out.
    Deletion,
    /// Records were put in.
    Insertion,
    /// Records changed places.
    Swap,
    /// The end was cut off.
    Truncation,
    /// The log has another past.
    Fork,
    /// An old head was put back.
    OldHead,
    /// A head that is not to be believed.
    ForeignHead,
    /// Hashes were changed or taken away.
    Hashes,
}

impl Act {
    /// Its name, for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Deletion => "deletion",
            Self::Insertion => "insertion",
            Self::Swap => "swap",
            Self::Truncation => "truncation",
            Self::Fork => "fork",
            Self::OldHead => "old-head",
            Self::ForeignHead => "foreign-head",
            Self::Hashes => "hashes",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Finding {
    /// What somebody must have done, as far as it can be told.
    #[must_use]
    pub fn act(&self) -> Act {
        // One that ends otherwise than it was closed: how, the number of records tells.
        let Wrong::Log(DamageKind::End { closed, .. }) = &self.why else { return act(&self.why) };
        match self.seq.cmp(closed) {
            Ordering::Less => Act::Truncation,
            Ordering::Equal => Act::Edit,
            Ordering::Greater => Act::Insertion,
        }
    }
}

const fn act(why: &Wrong) -> Act {
    match why {
        Wrong::Log(DamageKind::Line(why) | DamageKind::Middle { why, .. }) => act_on_line(why),
        Wrong::Log(DamageKind::Gap { .. } | DamageKind::Beginning { .. } | DamageKind::Generation { .. })
        | Wrong::Unpruned { .. } => Act::Deletion,
        Wrong::Log(DamageKind::Surplus { .. }) | Wrong::Surplus { .. } => Act::Insertion,
        Wrong::Log(DamageKind::End { .. } | DamageKind::Known { .. }) | Wrong::Truncated { .. } => {
            Act::Truncation
        }
        Wrong::Log(DamageKind::Other) | Wrong::Root { .. } | Wrong::Fork { .. } => Act::Fork,
        Wrong::Log(DamageKind::Compressed) | Wrong::Forged | Wrong::Rewritten { .. } => Act::Edit,
        Wrong::Log(DamageKind::Manifest(_) | DamageKind::NoManifest)
        | Wrong::MissingTile(_)
        | Wrong::Tile(_)
        | Wrong::Spans => Act::Hashes,
        Wrong::Swapped { .. } => Act::Swap,
        Wrong::Old { .. } => Act::OldHead,
        Wrong::Headless | Wrong::Unsigned(_) => Act::ForeignHead,
    }
}

const fn act_on_line(why: &Broken) -> Act {
    match why {
        Broken::Gap { .. } => Act::Deletion,
        Broken::Order { .. } | Broken::Node { .. } | Broken::Generation { .. } => Act::Insertion,
        Broken::TooLong
        | Broken::Head
        | Broken::Version { .. }
        | Broken::Batch { .. }
        | Broken::Previous
        | Broken::Sum
        | Broken::Syntax => Act::Edit,
    }
}
