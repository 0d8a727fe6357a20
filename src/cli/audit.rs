//! `pinegate audit`: is the log as it was written, and who saw what?

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
mod whole;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

pub(super) use self::evidence::EvidenceError;
use super::screen::Tone;
use super::source::{self, DEFAULT_CONFIG};
use super::{CommandError, Exit, Screen};
use crate::journal::read::verify;
use crate::kernel::time::Clock;

/// Verify, read and search the audit log
///
/// Works beside the running gate and on copies, holds no lock and changes nothing; `repair` alone does.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    Verify(VerifyArgs),
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
    /// The gateway configuration that says where the log is
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

/// Check that no record was changed, added or taken away
///
/// Checks every record: its checksum, its place, the digest of the one before, and what later
/// generations say of earlier ones. Whoever can rewrite all files consistently, or takes away the
/// newest generation whole, is found only by comparing heads with a copy kept elsewhere.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit verify
  pinegate audit verify /var/lib/pinegate/audit /backup/audit
  pinegate audit verify --json | jq '.logs[].generations[] | {generation, head}'

Exit codes: 0 as it was written, 1 damaged.")]
struct VerifyArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl LogArgs {
    fn directories(&self, screen: &mut Screen<'_>) -> Result<Vec<PathBuf>, CommandError> {
        if self.directories.is_empty() {
            return Ok(vec![source::config(&self.config, screen)?.audit.directory]);
        }
        Ok(self.directories.clone())
    }
}

pub(super) fn run(
    args: &AuditArgs,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    match &args.command {
        AuditCommand::Verify(args) => {
            let mut reports = Vec::new();
            for directory in args.logs.directories(screen)? {
                let report = verify(&directory)?;
                reports.push((directory, report));
            }
            show::verified(&reports, args.json, screen)?;
            let is_intact = reports.iter().all(|(_, report)| report.is_intact());
            Ok(if is_intact { Exit::Fine } else { Exit::Refused })
        }
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
fn unreadable(directory: &Path, lines: u64, screen: &mut Screen<'_>) -> Result<bool, CommandError> {
    if lines > 0 {
        let word = screen.paint_aside(Tone::Bad, "error");
        let shown = directory.display();
        screen.aside(format!("{word}: {lines} lines are no records: run `pinegate audit verify {shown}`"))?;
    }
    Ok(lines == 0)
}
