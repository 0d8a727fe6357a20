//! Has heads of the log cosigned (C2SP `tlog-witness`), and keeps the newest that was.
//!
//! Each head that the publisher signs is shown to all witnesses at once, with a proof that the log has grown
//! from the head that each saw last. What they answer is checked before it is believed. A witness that is
//! down keeps nobody waiting but this task; one that has seen another log of the same name is said aloud.

mod ask;
mod keep;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::ask::{Address, Ask, AskError};
use self::keep::{Head, KeepError, Kept};
use super::blocking;
use super::http::path_of;
use super::pace::Pace;
use super::setup::{SetupError, client};
use super::store::{self, Held, StoreError};
use crate::config::{Audit, WitnessSettings};
use crate::journal::read::Published;
use crate::kernel::diagnostic::chain;
use crate::kernel::time::{Clock, Timestamp};
use crate::telemetry::{Metrics, WitnessFailure, WitnessMetrics};
use crate::tlog::VerifierKey;

/// The bound on each wait for a witness.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked for a new head.
const GLANCE: Duration = Duration::from_secs(1);

/// One witness.
#[derive(Debug)]
struct Member {
    address: Arc<Address>,
    /// How many records the head has that it cosigned last, by its own word.
    size: u64,
    /// How many the newest head has of which its cosignature was seen.
    cosigned: u64,
    /// The size of the head whose cosignature by it is kept.
    kept: Option<u64>,
    failures: u32,
    /// When it is asked again, after a failure.
    due: Duration,
    metrics: WitnessMetrics,
}

/// The address of `witness`, ready to be asked.
fn address(witness: &WitnessSettings, clock: &Arc<dyn Clock>) -> Result<Address, SetupError> {
    let client = client(&witness.url, witness.ca.as_ref(), None, TIMEOUT, clock)?;
    let prefix = path_of(&witness.url);
    let target = format!("{}/add-checkpoint", prefix.path().trim_end_matches('/'));
    let target = target.parse().map_err(|_| SetupError::Host(witness.url.to_string()))?;
    Ok(Address { key: witness.key.clone(), client, target })
}

/// Why a witness cannot be asked as configured.
pub(super) fn check(witness: &WitnessSettings, clock: &Arc<dyn Clock>) -> Option<SetupError> {
    address(witness, clock).err()
}

/// All witnesses of a log.
#[derive(Debug)]
pub(super) struct Witnesses {
    /// The log's own key.
    log: VerifierKey,
    audit: PathBuf,
    published: Arc<Published>,
    members: Vec<Member>,
    clock: Arc<dyn Clock>,
    pace: Pace,
    /// Held by the process that asks: an old gate that drains, or the new one.
    held: Option<Held>,
    /// The newest head that was cosigned.
    kept: Option<Kept>,
    /// Asks to show the last head and end.
    stop: CancellationToken,
}

/// Why nobody could be asked.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("the witnessed head cannot be kept")]
    Keep(#[from] KeepError),
    #[error("the lock of who asks witnesses cannot be had")]
    Lock(#[from] StoreError),
    #[error("a thread of it has ended")]
    Thread(#[from] tokio::task::JoinError),
}

impl Witnesses {
    /// The witnesses of a configuration; `None` if it has none.
    pub(super) fn new(
        audit: &Audit,
        metrics: &Metrics,
        clock: &Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<Option<Self>, (String, SetupError)> {
        let Some(checkpoint) = audit.checkpoint.as_ref().filter(|_| !audit.witnesses.is_empty()) else {
            return Ok(None);
        };
        let members = audit.witnesses.iter().map(|witness| {
            let name = witness.key.name();
            let address = address(witness, clock).map_err(|error| (name.to_owned(), error))?;
            Ok(Member {
                address: Arc::new(address),
                size: 0,
                cosigned: 0,
                kept: None,
                failures: 0,
                due: Duration::ZERO,
                metrics: metrics.witness(name),
            })
        });
        Ok(Some(Self {
            log: checkpoint.signer.key().clone(),
            audit: audit.directory.clone(),
            published: Arc::new(Published::new(&audit.directory, &audit.node)),
            members: members.collect::<Result<_, _>>()?,
            clock: Arc::clone(clock),
            pace: Pace::default(),
            held: None,
            kept: None,
            stop,
        }))
    }

    /// Asks until it is told to stop, and once more then: the last head is signed at the very end.
    pub(super) async fn run(mut self) {
        let mut failures: u32 = 0;
        loop {
            let is_last = self.stop.is_cancelled();
            let wait = match self.round().await {
                Ok(()) => {
                    failures = 0;
                    GLANCE
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    for member in &self.members {
                        member.metrics.failed(WitnessFailure::Local);
                    }
                    let (error, again_in) = (chain(&error), self.pace.again(failures));
                    tracing::error!(error, ?again_in, "heads of the log are not witnessed");
                    again_in
                }
            };
            if is_last {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Shows the newest head to every witness that has not cosigned it, and keeps what they answer.
    async fn round(&mut self) -> Result<(), RoundError> {
        if !self.begin().await? {
            return Ok(());
        }
        let (published, log) = (Arc::clone(&self.published), self.log.clone());
        let Some(head) = blocking(move || Head::read(&published, &log)).await?? else { return Ok(()) };
        let head = Arc::new(head);
        let lines = self.ask_all(&head).await?;
        if lines.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = self.keys().collect();
        let kept = Kept::with(self.kept.as_ref(), &head, &lines, &keys)?;
        let published = Arc::clone(&self.published);
        let kept = blocking(move || kept.write(&published).map(|()| kept)).await??;
        for member in &mut self.members {
            if kept.cosigned_at(&member.address.key).is_some() {
                member.kept = Some(kept.size());
            }
        }
        self.kept = Some(kept);
        Ok(())
    }

    /// Takes the lock, and looks what was witnessed so far. `false` while another process asks.
    async fn begin(&mut self) -> Result<bool, RoundError> {
        if self.held.is_some() {
            return Ok(true);
        }
        let (audit, published, log) = (self.audit.clone(), Arc::clone(&self.published), self.log.clone());
        let keys: Vec<_> = self.keys().cloned().collect();
        let begun = blocking(move || {
            let Some(held) = store::hold_witnesses(&audit)? else { return Ok(None) };
            Ok::<_, RoundError>(Some((held, Kept::read(&published, &log, &keys)?)))
        });
        let Some((held, kept)) = begun.await?? else { return Ok(false) };
        for member in &mut self.members {
            if let Some((size, at)) =
                kept.as_ref().and_then(|kept| Some((kept.size(), kept.cosigned_at(&member.address.key)?)))
            {
                (member.size, member.cosigned, member.kept) = (size, size, Some(size));
                member.show(size, at);
            }
        }
        (self.held, self.kept) = (Some(held), kept);
        Ok(true)
    }

    fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        self.members.iter().map(|member| &member.address.key)
    }

    /// The cosignature lines for `head` of all witnesses that give one.
    async fn ask_all(&mut self, head: &Arc<Head>) -> Result<String, tokio::task::JoinError> {
        let (now, is_last) = (self.clock.monotonic(), self.stop.is_cancelled());
        let mut asked = JoinSet::new();
        for (at, member) in self.members.iter().enumerate() {
            if member.kept == Some(head.checkpoint.size) || (!is_last && member.due > now) {
                continue;
            }
            let (head, address) = (Arc::clone(head), Arc::clone(&member.address));
            let (published, cosigned) = (Arc::clone(&self.published), member.cosigned);
            let ask = Ask { head, address, published, cosigned };
            let mut size = member.size;
            asked.spawn(async move {
                let answer = ask.cosignature(&mut size).await;
                (at, size, answer)
            });
        }
        let mut lines = String::new();
        while let Some(answered) = asked.join_next().await {
            let (at, size, answer) = answered?;
            let Some(member) = self.members.get_mut(at) else { continue };
            member.size = size;
            match answer {
                Ok((line, at)) => {
                    member.cosigned = size;
                    member.show(size, at);
                    if member.failures > 0 {
                        tracing::info!(witness = member.address.key.name(), "the witness cosigns again");
                    }
                    member.failures = 0;
                    lines.push_str(&line);
                }
                Err(error) => member.put_off(&error, &self.pace, self.clock.monotonic()),
            }
        }
        Ok(lines)
    }
}

impl Member {
    fn put_off(&mut self, error: &AskError, pace: &Pace, now: Duration) {
        let reason = error.reason();
        self.failures = self.failures.saturating_add(1);
        let again_in = match reason {
            WitnessFailure::Refused | WitnessFailure::Fork | WitnessFailure::Invalid => pace.refused,
            WitnessFailure::Unreachable | WitnessFailure::Local => pace.again(self.failures),
        };
        self.due = now.saturating_add(again_in);
        self.metrics.failed(reason);
        let (witness, error) = (self.address.key.name(), chain(error));
        match reason {
            WitnessFailure::Fork => tracing::error!(
                witness,
                error,
                ?again_in,
                "a witness has seen another log of this name: this one was changed, put back to an earlier \
                 state, or runs twice"
            ),
            WitnessFailure::Refused | WitnessFailure::Invalid | WitnessFailure::Local => {
                tracing::error!(
                    witness,
                    error,
                    ?again_in,
                    "a witness does not cosign until somebody sees to it"
                );
            }
            WitnessFailure::Unreachable => {
                tracing::warn!(witness, error, ?again_in, "a witness has not cosigned");
            }
        }
    }

    fn show(&self, size: u64, at: Timestamp) {
        self.metrics.size.set(i64::try_from(size).unwrap_or(i64::MAX));
        self.metrics.cosigned_at.set(jiff::SignedDuration::from_millis(at.as_millisecond()).as_secs_f64());
    }
}
