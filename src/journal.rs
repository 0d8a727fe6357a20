//! The durable audit log: append, recover, read back.
//!
//! # On disk
//! Each process instance writes a log of its own, `<directory>/<node>.<generation>/`, so that an
//! old process can drain beside a new one. All generations of a node, in the order of their
//! numbers, read as one log. In a generation:
//!
//! - `<first seq, 20 digits>.jsonl`: segments. The one being written is padded with NUL bytes, so
//!   that writing changes no length and `fdatasync` needs no file system commit.
//! - `<first seq>.jsonl.zst` and `<first seq>.manifest`: a closed segment compressed, and what stays
//!   known of it when it is pruned.
//! - `LOCK`: held by the process that writes.
//! - `CLOSED`: how many records there are and the digest of the last, once nothing follows.
//! - `spare.tmp`: the next segment, in the making or ready; the log's reserve of space.
//! - `torn/`: what recovery cut off.
//!
//! # Promises
//! An append is acknowledged after `fdatasync` of its bytes, never before. After any I/O error
//! nothing is acknowledged until the log was opened and checked anew from disk.

mod answers;
mod compress;
mod gather;
mod handle;
mod keep;
mod layout;
mod lines;
mod log;
mod manifest;
mod priority;
mod probe;
mod progress;
mod publish;
pub mod read;
mod recover;
mod repair;
mod scan;
mod storage;
mod strangers;
mod succeed;
mod upkeep;
mod writer;
mod zst;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use handle::{AppendError, Fault, Health, Journal};
pub use keep::{Announce, Hold, KeepFailure, KeepObserver, Keeper, Keeping, Retention};
pub use manifest::ManifestFault;
pub use priority::Priority;
pub use probe::{DiskProbe, free_space, probe_disk};
pub use progress::Progress;
pub use publish::{
    PublishObserver, PublishSettings, PublishedHold, Publisher, Publishing, Refusal, SignedHead, Span,
};
pub use recover::{RecoveredGeneration, Recovery};
pub use repair::{Repair, damage, is_repair_unsigned};
pub use scan::{Damage, DamageKind};
pub use storage::{DiskStorage, Lock, Storage, StorageFile, read_up_to, write_all_at};
pub use strangers::StrangersLog;
pub use succeed::{Succeeding, SuccessionFailure, SuccessionObserver, Successor};

use crate::audit::MAX_LINE_BYTES;
use crate::kernel::id::NodeId;

/// The fewest days that records of access must be kept (网络安全法, article 21: six months).
pub const LEAST_RETENTION_DAYS: u32 = 180;

/// The smallest segment: it holds any one record and its newline.
pub const MIN_SEGMENT_BYTES: u64 = 2 * 16 * 1024;

const _: () = assert!(MAX_LINE_BYTES == 16 * 1024, "a segment must hold the longest record");

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct JournalConfig {
    /// Where the generations are; created if missing, its parent is not.
    pub directory: PathBuf,
    /// Which gate writes.
    pub node: NodeId,
    /// How large a segment is, in bytes; at least [`MIN_SEGMENT_BYTES`].
    pub segment_bytes: u64,
    /// How many records may wait for the writer.
    pub queue_records: usize,
    /// How many bytes of records may wait for the writer.
    pub queue_bytes: usize,
    /// How long after an I/O error the first try to go on is made; each further try waits twice
    /// as long, up to [`JournalConfig::retry_most`].
    pub retry_first: Duration,
    /// The longest wait between two tries, and between two looks at the free space.
    pub retry_most: Duration,
    /// Below how many free bytes the alarm is raised.
    pub low_space: u64,
    /// Whether the writer runs before other threads, as far as the system allows.
    pub raised_priority: bool,
    /// Whether the writer waits a moment for others to join a commit where there were some lately.
    pub gathers: bool,
    /// Who takes it upon himself to go on over a damaged earlier generation: what is damaged, and
    /// all after it, is put aside and a `repair` record names it. Refuses to open beside another
    /// process. `None` refuses to open over damage.
    pub repair: Option<Repair>,
}

impl JournalConfig {
    /// The usual bounds: segments of 64 MiB, 16,384 records or 16 MiB waiting, tries after 100 ms
    /// to 5 s, an alarm below 1 GiB, ordinary priority, no repair.
    #[must_use]
    pub const fn new(directory: PathBuf, node: NodeId) -> Self {
        Self {
            directory,
            node,
            segment_bytes: 64 << 20,
            queue_records: 16_384,
            queue_bytes: 16 << 20,
            retry_first: Duration::from_millis(100),
            retry_most: Duration::from_secs(5),
            low_space: 1 << 30,
            raised_priority: false,
            gathers: true,
            repair: None,
        }
    }
}

/// Is told what the journal does. Calls come from its threads and must not block.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// A batch is on disk: how many records and bytes, and how long writing and syncing took.
    fn committed(&self, records: usize, bytes: usize, took: Duration);
    /// Whether appends are taken has changed: `fault` says why not, if they are not.
    fn durable(&self, fault: Option<&Fault>);
    /// How many records the writer found waiting.
    fn queued(&self, records: usize);
    /// How many bytes are free, and whether that is fewer than there should be.
    fn space(&self, _free: u64, _is_low: bool) {}
    /// Which threads the writer runs before.
    fn priority(&self, _found: Priority) {}
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The bounds make no sense.
    #[error("segment_bytes is {found}, but must be at least {MIN_SEGMENT_BYTES}")]
    SegmentTooSmall {
        /// What was given.
        found: u64,
    },
    /// The disk refused.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: std::io::Error,
    },
    /// What was durable is no longer as it was written.
    #[error(
        "the audit log is damaged: {0}; copy the log elsewhere and find the cause, then run \
         `pinegate audit repair`, which puts what is damaged aside and records who did it and why"
    )]
    Damaged(Arc<Damage>),
    /// Another process writes the log, which must not be repaired beside it.
    #[error("another process writes the audit log (generation {generation}); stop it first")]
    Live {
        /// Its generation.
        generation: u32,
    },
    /// A thread could not be started.
    #[error("cannot start the audit writer thread")]
    Thread(#[source] std::io::Error),
}

impl JournalError {
    pub(crate) fn io<'p>(
        action: &'static str,
        path: &'p std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<'p> {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
