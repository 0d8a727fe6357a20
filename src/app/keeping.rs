//! What becomes of audit records after they are durable: published, compressed, kept as long as they must be.

use std::sync::Arc;

use crate::audit::{Event, Lifecycle};
use crate::config::Config;
use crate::journal::{
    Hold, Journal, JournalError, KeepFailure, KeepObserver, Keeper, Keeping, PublishObserver,
    PublishSettings, PublishedHold, Publisher, Publishing, RecoveredGeneration, Refusal, Retention,
    SignedHead, Storage, Succeeding, SuccessionFailure, SuccessionObserver, Successor,
};
use crate::kernel::diagnostic::chain;
use crate::kernel::time::Clock;
use crate::ship;
use crate::telemetry::{Metrics, Upkeep};

/// The threads beside the writer.
#[derive(Debug)]
pub(super) struct Afterwards {
    /// Until the journal is to be closed.
    succeeding: Option<Succeeding>,
    publishing: Option<Publishing>,
    keeping: Keeping,
}

impl Afterwards {
    /// Starts them beside `journal`.
    pub(super) fn start(
        config: &Config,
        journal: &Journal,
        metrics: &Arc<Metrics>,
        clock: &Arc<dyn Clock>,
        storage: Arc<dyn Storage>,
    ) -> Result<Self, JournalError> {
        let audit = &config.audit;
        let told = |journal: &Journal| {
            Arc::new(Told {
                metrics: Arc::clone(metrics),
                clock: Arc::clone(clock),
                journal: journal.clone(),
            })
        };
        let mut holds: Vec<Arc<dyn Hold>> = vec![Arc::new(ship::SinksHold::new(audit))];
        let mut publishing = None;
        if let Some(checkpoint) = &audit.checkpoint {
            let settings = PublishSettings {
                directory: audit.directory.clone(),
                signer: Arc::clone(&checkpoint.signer),
                every: checkpoint.every,
                records: checkpoint.records,
            };
            let key = checkpoint.signer.key().clone();
            holds.push(Arc::new(PublishedHold::new(Arc::clone(&storage), audit.directory.clone(), key)));
            let publisher = Publisher::new(
                settings,
                Arc::clone(&storage),
                Arc::clone(clock),
                journal.progress(),
                told(journal),
            );
            // A gate that never signs one is to be told of as one that stopped signing.
            metrics.keeping.head_at.set(seconds(clock.now()));
            publishing = Some(publisher.spawn()?);
        }
        let successor = Successor::new(
            audit.directory.clone(),
            Arc::clone(&storage),
            Arc::clone(clock),
            journal.clone(),
            told(journal),
        );
        let retention = Retention { days: audit.retention_days, holds, announce: Arc::new(journal.clone()) };
        let keeper = Keeper::new(audit.directory.clone(), storage, journal.progress(), told(journal))
            .prune(retention, Arc::clone(clock));
        Ok(Self { succeeding: Some(successor.spawn()?), publishing, keeping: keeper.spawn()? })
    }

    /// What others leave from now on is for who comes next; to be called before the journal is closed.
    pub(super) fn leave(&mut self) {
        if self.succeeding.take().is_some_and(|succeeding| !succeeding.stop()) {
            tracing::error!("nobody has looked any more for what other gates left of the audit log");
        }
    }

    /// Ends them, after the journal was closed; blocks until the last head is signed.
    pub(super) fn end(self) {
        if !self.keeping.stop() {
            tracing::error!("the keeper of the audit log has ended by itself");
        }
        if self.publishing.is_some_and(|publishing| !publishing.join()) {
            tracing::error!("the publisher of the audit log has ended by itself");
        }
    }
}

/// Says what they do in figures, in log lines, and where it matters in records.
#[derive(Debug)]
struct Told {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    journal: Journal,
}

/// The seconds since 1970 that metrics have.
fn seconds(at: jiff::Timestamp) -> f64 {
    jiff::SignedDuration::from_millis(at.as_millisecond()).as_secs_f64()
}

impl PublishObserver for Told {
    fn signed(&self, head: &SignedHead) {
        let keeping = &self.metrics.keeping;
        keeping.head_records.set(i64::try_from(head.checkpoint.size).unwrap_or(i64::MAX));
        keeping.head_at.set(seconds(self.clock.now()));
    }

    fn refused(&self, why: &Refusal) {
        self.metrics.keeping.refused.set(1);
        let error = chain(why);
        tracing::error!(error, "no head of the audit log is signed any more; records go on");
        let entry = Lifecycle {
            at: self.clock.now(),
            event: Event::Unsigned,
            actor: "system",
            detail: &[("why", &error)],
            policy: None,
            config: None,
        };
        if let Err(error) = self.journal.submit(entry.encode()) {
            tracing::error!(%error, "that no head is signed could not be put on record");
        }
    }

    fn failed(&self, error: &JournalError) {
        self.metrics.keeping.failed(Upkeep::Publish);
        tracing::warn!(error = chain(error), "the audit log could not be published; it is tried again");
    }
}

impl KeepObserver for Told {
    fn compressed(&self, plain_bytes: u64, bytes: u64) {
        self.metrics.keeping.compressed.inc();
        tracing::debug!(plain_bytes, bytes, "a closed segment of the audit log was compressed");
    }

    fn pruned(&self, records: u64) {
        self.metrics.keeping.pruned.inc_by(records);
        tracing::info!(records, "audit records were removed, as they were old enough");
    }

    fn failed(&self, failure: &KeepFailure) {
        self.metrics.keeping.failed(Upkeep::Keep);
        tracing::warn!(error = chain(failure), "closed segments of the audit log stay as they are for now");
    }
}

impl SuccessionObserver for Told {
    fn closed(&self, left: &RecoveredGeneration) {
        tracing::warn!(?left, "a gate beside this one ended without closing its audit log: it is closed now");
    }

    fn failed(&self, failure: &SuccessionFailure) {
        self.metrics.keeping.failed(Upkeep::Keep);
        let error = chain(failure);
        if failure.is_final() {
            tracing::error!(error, "what another gate left of the audit log stays as it is");
        } else {
            tracing::warn!(
                error,
                "what another gate left of the audit log is not closed yet; it is tried again"
            );
        }
    }
}
