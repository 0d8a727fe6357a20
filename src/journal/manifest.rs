//! What is known of a closed segment, and stays when its records go: how many there were, the digest of
//! its bytes, its place in the chain, and the manifest before.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Storage;
use super::layout::manifest_name;
use super::storage::read_small;
use crate::audit::Chain;
use crate::kernel::id::{Digest, NodeId};

/// The longest manifest.
const MANIFEST_BYTES: usize = 4 * 1024;
/// The version of its form.
const VERSION: u64 = 1;

/// What is known of a closed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The generation's node.
    pub(super) node: NodeId,
    /// The generation's number.
    pub(super) generation: u32,
    /// The `seq` of the first record.
    pub(super) first: u64,
    /// How many records it has.
    pub(super) records: u64,
    /// How many bytes they have, newlines included.
    pub(super) bytes: u64,
    /// The SHA-256 of those bytes.
    pub(super) sha256: Digest,
    /// The earliest instant of its records, as recorded.
    pub(super) first_at: String,
    /// The latest.
    pub(super) last_at: String,
    /// The `prev` of its first record.
    pub(super) prev: Digest,
    /// The leaf hash of its last record.
    pub(super) head: Digest,
    /// The SHA-256 of the manifest before it in the generation; none before the first.
    pub(super) before: Option<Digest>,
}

/// A manifest as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    v: u64,
    node: String,
    generation: u32,
    first: u64,
    records: u64,
    bytes: u64,
    sha256: String,
    first_at: String,
    last_at: String,
    prev: String,
    head: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    /// It cannot be read.
    #[error("the manifest cannot be read")]
    Form,
    /// It is another segment's.
    #[error("the manifest is of another segment")]
    Place,
    /// It does not go on where the one before it ended.
    #[error("the manifest does not name the one before it: one of them was changed")]
    Before,
    /// It says otherwise than the records.
    #[error("the manifest and the records differ in `{0}`")]
    Differs(&'static str),
}

impl Manifest {
    /// The file's bytes.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let written = Written {
            v: VERSION,
            node: self.node.to_string(),
            generation: self.generation,
            first: self.first,
            records: self.records,
            bytes: self.bytes,
            sha256: self.sha256.to_hex(),
            first_at: self.first_at.clone(),
            last_at: self.last_at.clone(),
            prev: self.prev.to_hex(),
            head: self.head.to_hex(),
            before: self.before.map(Digest::to_hex),
        };
        let mut bytes = serde_json::to_vec(&written)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(bytes).ok().filter(|w: &Written| w.v == VERSION)?;
        let digest = |text: &str| Digest::parse_hex(text).ok();
        let before = match &written.before {
            Some(text) => Some(digest(text)?),
            None => None,
        };
        Some(Self {
            node: NodeId::parse(&written.node).ok()?,
            generation: written.generation,
            first: written.first,
            records: written.records,
            bytes: written.bytes,
            sha256: digest(&written.sha256)?,
            first_at: written.first_at,
            last_at: written.last_at,
            prev: digest(&written.prev)?,
            head: digest(&written.head)?,
            before,
        })
    }

    /// The `seq` of the record after its last.
    pub(super) const fn end(&self) -> u64 {
        self.first.saturating_add(self.records)
    }
}

/// Reads the manifest at `path`, and says the digest of its bytes; `None` if there is none.
pub(super) fn read(
    storage: &dyn Storage,
    path: &Path,
) -> io::Result<Option<(Result<Manifest, ManifestFault>, Digest)>> {
    let bytes = match read_small(storage, path, MANIFEST_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Ok(Some((Err(ManifestFault::Form), Digest::of(b""))));
        }
        bytes => bytes?,
    };
    Ok(bytes.map(|bytes| (Manifest::decode(&bytes).ok_or(ManifestFault::Form), Digest::of(&bytes))))
}

/// A manifest that is wrong, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadManifest {
    pub(super) path: PathBuf,
    pub(super) why: ManifestFault,
}

/// The manifests of one generation, from the first on, each held against the one before.
#[derive(Debug, Clone)]
pub(super) struct Manifests {
    directory: PathBuf,
    /// The end of the chain that they tell of.
    chain: Chain,
    before: Option<Digest>,
    last: Option<u64>,
}

impl Manifests {
    /// Begins before the first manifest in `directory`. `chain` is that of the generation before its first
    /// record.
    pub(super) fn new(directory: &Path, chain: Chain) -> Self {
        Self { directory: directory.to_owned(), chain, before: None, last: None }
    }

    /// The end of the chain that the manifests read so far tell of.
    pub(super) const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The manifest read last; the directory, if none was.
    pub(super) fn last_path(&self) -> PathBuf {
        self.last.map_or_else(|| self.directory.clone(), |first| self.directory.join(manifest_name(first)))
    }

    /// The digest of the manifest read last.
    pub(super) const fn before(&self) -> Option<Digest> {
        self.before
    }

    /// The manifest of the segment that follows, if it has one.
    pub(super) fn next(
        &mut self,
        storage: &dyn Storage,
    ) -> io::Result<Option<Result<Manifest, BadManifest>>> {
        let path = self.directory.join(manifest_name(self.chain.next()));
        let Some((read, digest)) = read(storage, &path)? else { return Ok(None) };
        let manifest = match read.and_then(|manifest| self.fits(manifest)) {
            Ok(manifest) => manifest,
            Err(why) => return Ok(Some(Err(BadManifest { path, why }))),
        };
        self.before = Some(digest);
        self.last = Some(manifest.first);
        self.chain = Chain::resume(manifest.node.clone(), manifest.generation, manifest.end(), manifest.head);
        Ok(Some(Ok(manifest)))
    }

    fn fits(&self, manifest: Manifest) -> Result<Manifest, ManifestFault> {
        let chain = &self.chain;
        if manifest.node != *chain.node()
            || manifest.generation != chain.generation()
            || manifest.first != chain.next()
            || manifest.records == 0
        {
            return Err(ManifestFault::Place);
        }
        if manifest.before != self.before || manifest.prev != chain.head() {
            return Err(ManifestFault::Before);
        }
        Ok(manifest)
    }
}
