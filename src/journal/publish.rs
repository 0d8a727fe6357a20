//! Publishes what is durable: the tree over all records of a node, as tiles, and its signed heads.
//!
//! The tree is derived: its leaves are the lines of all generations of a node, one after the other, and what is
//! on disk can be made again from them. One process at a time publishes, under a lock: an old one that drains
//! beside a new one ends its own generation first. What a checkpoint needs is durable before it is.
//!
//! # Promise
//! Whatever was signed once stays the beginning of all that is signed later. Where the records no longer
//! give what was signed, nothing more is: the records go on, and an outsider sees that the heads do not.

mod accounts;
mod files;
mod follow;
mod hold;
mod leaves;
mod source;
mod spans;
mod start;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use self::files::TreeFiles;
use self::follow::{Following, Outcome};
use super::layout::tree_name;
use super::storage::Storage;
use super::{JournalError, Progress};
use crate::audit::Broken;
use crate::kernel::time::Clock;
use crate::tlog::{Checkpoint, NoteError, NoteSigner};

pub(super) use files::{CHECKPOINT, SPANS, SPANS_BYTES, WITNESSED, read_tile};
pub use hold::PublishedHold;
pub(super) use leaves::Leaves;
pub use spans::Span;
pub(super) use spans::decode as decode_spans;

/// The longest wait between two looks at what others do: another process may let go of the tree, or an
/// earlier generation may be closed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Who signs heads of the log, and how often.
#[derive(Debug, Clone)]
pub struct PublishSettings {
    /// Where the generations are.
    pub directory: PathBuf,
    /// Who signs; the name of its key is the log's origin.
    pub signer: Arc<NoteSigner>,
    /// The longest that a record waits for a signed head.
    pub every: Duration,
    /// After how many records one is signed before that.
    pub records: u64,
}

/// A signed head, as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note with its signature.
    pub note: String,
}

/// Is told what the publisher does. Calls come from its thread.
pub trait PublishObserver: fmt::Debug + Send + Sync {
    /// A head is signed and durable, and all tiles that it needs.
    fn signed(&self, head: &SignedHead);
    /// Nothing is signed any more until the next start.
    fn refused(&self, why: &Refusal);
    /// Something could not be done and is tried again.
    fn failed(&self, error: &JournalError);
}

/// Why nothing is signed any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The last checkpoint is none of ours.
    #[error(
        "the last checkpoint in `{file}` is not signed by the key of the configuration ({why}): where the \
         key was changed on purpose, give the new one another origin and put the directory aside"
    )]
    Key {
        /// The checkpoint.
        file: PathBuf,
        /// What is wrong with it.
        why: NoteError,
    },
    /// Somebody else has seen more.
    #[error(
        "the last checkpoint has {signed} records, but one of {witnessed} was witnessed: this is an old \
         copy of the log"
    )]
    Old {
        /// How many records the last checkpoint has.
        signed: u64,
        /// How many the witnessed one has.
        witnessed: u64,
    },
    /// The tree is another one.
    #[error(
        "the records no longer give the root of the last checkpoint, of {size} records: they were changed, \
         or this is another copy of the log; `pinegate audit verify` says where"
    )]
    Root {
        /// How many records the checkpoint has.
        size: u64,
    },
    /// A record is another one than was published.
    #[error(
        "record {seq} of generation {generation} is not the one that was published; \
         `pinegate audit verify` says more"
    )]
    Changed {
        /// The generation.
        generation: u32,
        /// The record.
        seq: u64,
    },
    /// A record does not follow the one before.
    #[error("record {seq} in `{file}` at byte {offset} does not follow what was published: {why}")]
    Broken {
        /// In which file.
        file: PathBuf,
        /// Where it begins.
        offset: u64,
        /// The record.
        seq: u64,
        /// What is wrong with it.
        why: Broken,
    },
    /// The publisher itself has failed.
    #[error(
        "the publisher has ended by itself, which it never should; what it said last is on standard error"
    )]
    Ended,
    /// Records are gone.
    #[error(
        "record {seq} of generation {generation} is gone, and no published record says that it was pruned or \
         put aside by a repair"
    )]
    Missing {
        /// The generation.
        generation: u32,
        /// The first record that is gone.
        seq: u64,
    },
}

/// Why a step was not done.
#[derive(Debug)]
enum Halt {
    Refused(Refusal),
    Failed(JournalError),
}

impl Halt {
    fn io<'p>(action: &'static str, path: &'p std::path::Path) -> impl FnOnce(io::Error) -> Self + use<'p> {
        let failed = JournalError::io(action, path);
        move |source| Self::Failed(failed(source))
    }
}

#[derive(Debug)]
enum State {
    /// Another process publishes, or nothing was begun.
    Waiting,
    Following(Box<Following>),
    Refused,
}

/// Publishes the log of one node.
#[derive(Debug)]
pub struct Publisher {
    settings: PublishSettings,
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    progress: Progress,
    observer: Arc<dyn PublishObserver>,
    files: TreeFiles,
    state: State,
    is_repair: bool,
}

impl Publisher {
    /// Publishes beside the writer that `progress` tells of. Reads nothing yet.
    #[must_use]
    pub fn new(
        settings: PublishSettings,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        progress: Progress,
        observer: Arc<dyn PublishObserver>,
    ) -> Self {
        let directory = settings.directory.join(tree_name(progress.node()));
        let files = TreeFiles::new(Arc::clone(&storage), directory);
        Self { settings, storage, clock, progress, observer, files, state: State::Waiting, is_repair: false }
    }

    /// Believes a repair that no signed head covers yet. For who made it, and for nobody else: any record that
    /// no head covers may be anybody's.
    #[must_use]
    pub const fn after_repair(mut self) -> Self {
        self.is_repair = true;
        self
    }

    /// Publishes what there is, and signs what is due.
    pub fn step(&mut self) {
        self.work(false);
    }

    /// Publishes what there is, and signs it.
    pub fn finish(&mut self) {
        self.work(true);
    }

    fn work(&mut self, is_last: bool) {
        if let Err(halt) = self.try_work(is_last) {
            match halt {
                Halt::Failed(error) => self.observer.failed(&error),
                Halt::Refused(why) => {
                    self.observer.refused(&why);
                    self.state = State::Refused;
                }
            }
        }
    }

    fn start(&mut self) -> Result<Option<Following>, Halt> {
        let Self { settings, storage, progress, files, is_repair, .. } = self;
        start::start(settings, &**storage, progress, files, *is_repair)
    }

    fn try_work(&mut self, is_last: bool) -> Result<(), Halt> {
        if matches!(self.state, State::Waiting)
            && let Some(following) = self.start()?
        {
            self.state = State::Following(Box::new(following));
        }
        let State::Following(following) = &mut self.state else { return Ok(()) };
        loop {
            let outcome = following.advance(
                &self.settings,
                &*self.storage,
                &self.progress,
                &mut self.files,
                self.clock.monotonic(),
            )?;
            let is_due = following.is_due(&self.settings, self.clock.monotonic());
            let is_end = outcome == Outcome::Idle;
            if is_due || (is_end && is_last && following.has_unsigned()) {
                let head = following.sign(&self.settings, &mut self.files)?;
                self.observer.signed(&head);
                following.tidy(&mut self.files)?;
            }
            if is_end {
                return Ok(());
            }
        }
    }

    /// How many records of this process's generation are waited for, and how long at most.
    fn outlook(&self) -> (u64, Duration) {
        match &self.state {
            State::Following(following) => {
                following.outlook(&self.settings, &self.progress, self.clock.monotonic(), LOOK_EVERY)
            }
            State::Waiting | State::Refused => (u64::MAX, LOOK_EVERY),
        }
    }

    /// Publishes on a thread of its own until the writer has ended; signs the last head then. If the thread ends
    /// by itself, that is told as a refusal.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn spawn(mut self) -> Result<Publishing, JournalError> {
        let observer = Arc::clone(&self.observer);
        let work = move || {
            // Nothing of the publisher is used after a panic.
            let ended = catch_unwind(AssertUnwindSafe(move || {
                while !self.progress.has_ended() {
                    self.step();
                    let (records, most) = self.outlook();
                    let _ = self.progress.wait(records, most);
                }
                self.finish();
            }));
            if let Err(panic) = ended {
                observer.refused(&Refusal::Ended);
                resume_unwind(panic);
            }
        };
        let thread = std::thread::Builder::new().name("journal-publish".to_owned()).spawn(work);
        thread.map(Publishing).map_err(JournalError::Thread)
    }
}

/// A publisher at work.
#[derive(Debug)]
pub struct Publishing(JoinHandle<()>);

impl Publishing {
    /// Waits until the last head is signed; to be called after the journal was closed. Whether the
    /// publisher came to its end.
    #[must_use]
    pub fn join(self) -> bool {
        self.0.join().is_ok()
    }
}
