//! `pinegate audit repair`: go on over a damaged log, and say who did it and why.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::screen::Tone;
use crate::cli::source::{self, default_config};
use crate::cli::{CommandError, Exit, Screen};
use crate::config::{CheckpointSettings, Config};
use crate::journal::{
    Damage, DiskStorage, Fault, Journal, JournalConfig, JournalError, Observer, PublishObserver,
    PublishSettings, Publisher, Recovery, Refusal, Repair, SignedHead, Storage, damage, is_repair_unsigned,
};
use crate::kernel::diagnostic::chain;
use crate::kernel::time::Clock;

/// The longest name, in characters.
const MAX_ACTOR: usize = 128;
/// The longest reason, in characters. A record holds it whole, even where it must be escaped.
const MAX_REASON: usize = 160;

/// Put aside what is damaged, so that the gate starts again
///
/// A gate does not start over a log whose last process left damage behind. Copy the log first and find
/// the cause: this command moves what is damaged, and everything after it in that generation, to `torn/`.
/// Nothing is deleted. The log goes on with a record that says what was put aside, who did it, and why.
/// What lies in closed generations keeps no gate from starting, and stays as it is.
///
/// Where the configuration names a key for heads, one is signed over that record. If that failed, run the
/// command again once its cause is gone: with nothing damaged it signs what is not signed for yet.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cp -a /var/lib/pinegate/audit /backup/audit-damaged
  pinegate audit repair --actor 'Zhang San' --reason 'sectors lost in the power failure of 3 March'

Exit codes: 0 repaired, or nothing to repair; 1 a gate is running, or the log cannot be read or written;
64 the configuration does not load.")]
pub(super) struct RepairArgs {
    /// The gateway configuration that says where the log is, and whose [default: config/gateway.toml, else gateway.toml, else
    /// /etc/pinegate/gateway.toml]
    #[arg(long, value_name = "FILE", default_value = default_config(), hide_default_value = true)]
    config: PathBuf,
    /// Who does it; the account that runs the command is recorded beside it
    #[arg(long, value_name = "NAME", value_parser = |text: &str| line(text, MAX_ACTOR))]
    actor: String,
    /// Why it is done
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| line(text, MAX_REASON))]
    reason: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One line that a record holds whole.
fn line(text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) || text.chars().count() > most {
        return Err(format!("write one line of 1 to {most} characters"));
    }
    Ok(text.to_owned())
}

#[derive(Debug, Serialize)]
struct RepairJson {
    /// The generation that says so; none if there was nothing to repair.
    generation: Option<u32>,
    repaired: Vec<RepairedJson>,
    /// Whether a head was signed over this repair, or over an earlier one.
    signed: bool,
}

#[derive(Debug, Serialize)]
struct RepairedJson {
    generation: u32,
    records: u64,
    put_aside_bytes: u64,
    damage: String,
}

pub(super) fn run(
    args: &RepairArgs,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let config = source::config(&args.config, screen)?;
    let directory = config.audit.directory.clone();
    let failed = |source| CommandError::Repair { directory: directory.clone(), source: Box::new(source) };
    let settings = settings(&config, args);
    let checkpoint = config.audit.checkpoint.as_ref();
    let storage: Arc<dyn Storage> = Arc::new(DiskStorage);
    let found = damage(&settings, &*storage).map_err(failed)?;
    let is_unsigned = || match checkpoint {
        Some(checkpoint) => is_repair_unsigned(&settings, &storage, checkpoint.signer.key()),
        None => Ok(false),
    };
    let recovery = if !found.is_empty() || is_unsigned().map_err(failed)? {
        Some(repair(settings, &storage, checkpoint, clock).map_err(failed)?)
    } else {
        None
    };
    show(args, &config, &found, recovery.as_ref(), screen)?;
    Ok(Exit::Fine)
}

fn settings(config: &Config, args: &RepairArgs) -> JournalConfig {
    let account = rustix::process::getuid().as_raw();
    let mut settings = JournalConfig::new(config.audit.directory.clone(), config.audit.node.clone());
    settings.segment_bytes = config.audit.segment_bytes.get();
    settings.repair =
        Some(Repair { actor: format!("{} (uid {account})", args.actor), reason: args.reason.clone() });
    settings
}

/// Opens the log as the gate would, which puts the damage aside and records it, and closes it again. Then signs a
/// head over that: a gate believes no repair that nobody signed for.
fn repair(
    settings: JournalConfig,
    storage: &Arc<dyn Storage>,
    checkpoint: Option<&CheckpointSettings>,
    clock: &Arc<dyn Clock>,
) -> Result<Recovery, JournalError> {
    let directory = settings.directory.clone();
    let (journal, recovery) =
        Journal::open(settings, Arc::clone(storage), Arc::clone(clock), Arc::new(Silent::default()))?;
    let progress = journal.progress();
    let failed = |action, source| JournalError::Io { action, path: directory.clone(), source };
    journal.close().map_err(|error| failed("close the log in", io::Error::other(error)))?;
    if let Some(CheckpointSettings { signer, every, records }) = checkpoint {
        let (signer, every, records) = (Arc::clone(signer), *every, *records);
        let settings = PublishSettings { directory: directory.clone(), signer, every, records };
        let silent = Arc::new(Silent::default());
        let told: Arc<dyn PublishObserver> = Arc::<Silent>::clone(&silent);
        let publisher = Publisher::new(settings, Arc::clone(storage), Arc::clone(clock), progress, told);
        publisher.after_repair().finish();
        if let Some(why) = silent.take() {
            return Err(failed("sign the repaired log in", io::Error::other(why)));
        }
    }
    Ok(recovery)
}

fn show(
    args: &RepairArgs,
    config: &Config,
    found: &[Damage],
    recovery: Option<&Recovery>,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    let repaired = recovery.map_or(&[][..], |recovery| &recovery.recovered).iter();
    let repaired = repaired.filter_map(|done| {
        Some(RepairedJson {
            generation: done.generation,
            records: done.records,
            put_aside_bytes: done.cut_bytes,
            damage: done.repaired.clone()?,
        })
    });
    let report = RepairJson {
        generation: recovery.map(|it| it.generation),
        repaired: repaired.collect(),
        signed: recovery.is_some() && config.audit.checkpoint.is_some(),
    };
    if args.json {
        return screen.json(&report);
    }
    let shown = config.audit.directory.display();
    let Some(generation) = report.generation else {
        return screen
            .line(format!("{shown}: nothing keeps the gate from starting, and nothing was changed"));
    };
    if found.is_empty() {
        let word = screen.paint(Tone::Good, "signed");
        return screen.line(format!(
            "{word}: {shown} has a repair that no signed head covered, and now one does; nothing was put aside"
        ));
    }
    let node = &config.audit.node;
    for RepairedJson { generation, records, put_aside_bytes, damage } in &report.repaired {
        let word = screen.paint(Tone::Bad, "damage");
        screen.line(format!("{word}: {}", crate::cli::table::shown(damage)))?;
        screen.line(format!(
            "  {records} records before it stay; {put_aside_bytes} bytes from it on lie in {shown}/{node}.{generation:06}/torn"
        ))?;
    }
    let word = screen.paint(Tone::Good, "repaired");
    screen.line(format!("{word}: generation {generation} begins with a record of it, and the gate can start"))
}

/// Nobody watches a repair; why it was not signed is kept.
#[derive(Debug, Default)]
struct Silent(Mutex<Option<String>>);

impl Silent {
    fn keep(&self, why: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl PublishObserver for Silent {
    fn signed(&self, _head: &SignedHead) {}
    fn refused(&self, why: &Refusal) {
        self.keep(why.to_string());
    }
    fn failed(&self, error: &JournalError) {
        self.keep(chain(error));
    }
}

impl Observer for Silent {
    fn committed(&self, _records: usize, _bytes: usize, _took: Duration) {}
    fn durable(&self, _fault: Option<&Fault>) {}
    fn queued(&self, _records: usize) {}
}
