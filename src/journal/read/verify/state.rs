//! What a check can go on from: how far each log was good when it was last verified.

use serde::{Deserialize, Serialize};

/// How far logs were good when they were last verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    v: u64,
    /// Each node.
    pub nodes: Vec<KnownNode>,
}

/// How far the log of one node was good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownNode {
    /// Its name.
    pub node: String,
    /// The signed head that its records gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<KnownTree>,
    /// How far the log said that it has been pruned: a generation, and its first record that may be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned: Option<(u32, u64)>,
    /// Each generation.
    pub generations: Vec<KnownGeneration>,
}

/// A head that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownTree {
    /// Whose it is.
    pub origin: String,
    /// How many records it covers.
    pub size: u64,
    /// Its root, in hexadecimal.
    pub root: String,
}

/// How far a generation was good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownGeneration {
    /// Its number.
    pub generation: u32,
    /// How many records it had.
    pub records: u64,
    /// The leaf hash of the last, in hexadecimal.
    pub head: String,
    /// Whether it was closed: then nothing can have come since.
    pub closed: bool,
}

/// Why what was known cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// It has not the form.
    #[error("this is no state of a verification")]
    Form(#[from] serde_json::Error),
    /// It is another program's.
    #[error("this is a state of version {found}, but this program reads version {VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
}

/// The most bytes a state has: a year of a gate that is started every hour has under 2 MiB.
pub const MAX_KNOWN_BYTES: u64 = 16 << 20;

/// The version of its form.
const VERSION: u64 = 1;

impl Known {
    pub(super) const fn new(nodes: Vec<KnownNode>) -> Self {
        Self { v: VERSION, nodes }
    }

    /// Reads what [`Known::encode`] wrote.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, KnownError> {
        let known: Self = serde_json::from_slice(bytes)?;
        if known.v == VERSION { Ok(known) } else { Err(KnownError::Version { found: known.v }) }
    }

    /// Its bytes, as JSON.
    ///
    /// # Errors
    /// None that is known.
    pub fn encode(&self) -> Result<Vec<u8>, KnownError> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    pub(super) fn node(&self, node: &str) -> Option<&KnownNode> {
        self.nodes.iter().find(|known| known.node == node)
    }
}

impl KnownNode {
    pub(super) fn generation(&self, number: u32) -> Option<&KnownGeneration> {
        self.generations.iter().find(|known| known.generation == number)
    }
}
