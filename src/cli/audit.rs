//! `pinegate audit`: is the log as it was written, and who saw what?

mod bounded;
mod conditions;
mod csv;
mod evidence;
mod export;
mod key;
mod output;
mod pack;
mod receipt;
mod repair;
mod search;
mod show;
mod stats;
mod subject;
mod sweep;
mod tail;
mod trust;
mod verify;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

pub(super) use self::evidence::EvidenceError;
use super::screen::Tone;
use super::source::{self, default_config};
use super::{CommandError, Exit, Screen};
use crate::config::{Config, HeadKey};
use crate::kernel::time::Clock;
use crate::tlog::VerifierKey;

/// Verify, read and search the audit log
///
/// Works beside the running gate and on copies, holds no lock and changes no log; `repair` alone does.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    Verify(verify::VerifyArgs),
    Tail(Box<tail::TailArgs>),
    Search(Box<search::SearchArgs>),
    Subject(Box<subject::SubjectArgs>),
    Repair(repair::RepairArgs),
    Key(key::KeyArgs),
    Stats(Box<stats::StatsArgs>),
    Export(Box<export::ExportArgs>),
    Receipt(Box<receipt::ReceiptArgs>),
    Pack(Box<pack::PackArgs>),
}

/// Which logs.
#[derive(Debug, Args)]
struct LogArgs {
    /// Directories with audit logs [default: what the configuration says]
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// The gateway configuration that says where the log is [default: config/gateway.toml, else gateway.toml, else
    /// /etc/pinegate/gateway.toml]
    #[arg(long, value_name = "FILE", default_value = default_config(), hide_default_value = true)]
    config: PathBuf,
}

impl LogArgs {
    fn directories(&self, screen: &mut Screen<'_>) -> Result<Vec<PathBuf>, CommandError> {
        if self.directories.is_empty() {
            return self.directory(screen).map(|directory| vec![directory]);
        }
        Ok(self.directories.clone())
    }

    /// The directory that the configuration names. Nothing else of it is read: whoever reads the log may have
    /// none of the gate's secrets.
    fn directory(&self, screen: &mut Screen<'_>) -> Result<PathBuf, CommandError> {
        source::audit_directory(&self.config, screen)
    }

    /// The keys that the configuration names, of the log and of its witnesses; none where it names none, and
    /// where directories are given: a copy may be any gate's, of which the configuration here says nothing.
    fn own_keys(
        &self,
        screen: &mut Screen<'_>,
    ) -> Result<Option<(VerifierKey, Vec<VerifierKey>)>, CommandError> {
        if !self.directories.is_empty() {
            return Ok(None);
        }
        let Some(log) = Config::log_in(&self.config) else {
            let audit = source::config(&self.config, screen)?.audit;
            let witnesses = audit.witnesses.into_iter().map(|witness| witness.key).collect();
            return Ok(audit.checkpoint.map(|checkpoint| (checkpoint.signer.key().clone(), witnesses)));
        };
        match log.key {
            HeadKey::Absent => Ok(None),
            HeadKey::Known(key) => Ok(Some((key, log.witnesses))),
            // Signed heads that nobody holds the records against would look like checked ones to whoever reads the exit code.
            HeadKey::Unknown(why) => Err(EvidenceError::KeyUnknown(why).into()),
        }
    }
}

pub(super) fn run(
    args: &AuditArgs,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    match &args.command {
        AuditCommand::Verify(args) => verify::run(args, screen),
        AuditCommand::Tail(args) => tail::run(args, screen),
        AuditCommand::Search(args) => search::run(args, screen),
        AuditCommand::Subject(args) => subject::run(args, screen),
        AuditCommand::Repair(args) => repair::run(args, clock, screen),
        AuditCommand::Key(args) => key::run(args, screen),
        AuditCommand::Stats(args) => stats::run(args, screen),
        AuditCommand::Export(args) => export::run(args, screen),
        AuditCommand::Receipt(args) => receipt::run(args, screen),
        AuditCommand::Pack(args) => pack::run(args, screen),
    }
}

/// Says that lines are no records, if some are not. Whether there are none of them.
pub(super) fn unreadable(
    directory: &Path,
    lines: u64,
    screen: &mut Screen<'_>,
) -> Result<bool, CommandError> {
    if lines > 0 {
        let word = screen.paint_aside(Tone::Bad, "error");
        let shown = directory.display();
        screen.aside(format!("{word}: {lines} lines are no records: run `pinegate audit verify {shown}`"))?;
    }
    Ok(lines == 0)
}
