//! `pinegate audit`: is the log as it was written, and who saw what?

mod show;
mod subject;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::source::{self, DEFAULT_CONFIG};
use super::when::{When, default_zone, zone};
use super::{CommandError, Exit, Screen};
use crate::journal::read::{Filter, Follower, search, tail, verify};
use crate::kernel::id::{DepartmentId, GrantId, PurposeCode, RequestId, ResourceId, SystemId};
use crate::kernel::time::TimeZone;

/// How often a log that is followed is looked at.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// How many records are taken at once from a log that is followed.
const FOLLOW_MOST: usize = 1_000;

/// Verify, read and search the audit log
///
/// Works beside the running gate and on copies, holds no lock and changes nothing.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    Verify(VerifyArgs),
    Tail(TailArgs),
    Search(Box<SearchArgs>),
    Subject(Box<subject::SubjectArgs>),
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

/// Show the last records
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit tail
  pinegate audit tail --follow
  pinegate audit tail -n 1000 --json | jq 'select(.decision == \"deny\")'")]
struct TailArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    records: usize,
    /// Go on, and show records as they come
    #[arg(short, long)]
    follow: bool,
    /// Print the records as they stand in the log, one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Find records by what they say
///
/// Every condition that is given must hold.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit search --request 019a2b3c-…       the X-Request-Id of a reply
  pinegate audit search --system sys:minzheng-aid --from 2026-06-01 --until 2026-07-01
  pinegate audit search --resource population.resident --decision deny
  pinegate audit search --grant HS-2026-0117 --json | wc -l
  pinegate audit search --shadow refused           what the candidate policy would take away")]
struct SearchArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// Not before this time
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    from: Option<When>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
    /// The zone in which local times are meant [default: Asia/Shanghai]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<TimeZone>,
    /// Asked by this system
    #[arg(long, value_parser = SystemId::parse)]
    system: Option<SystemId>,
    /// Asked by a system of this department
    #[arg(long, value_parser = DepartmentId::parse)]
    department: Option<DepartmentId>,
    /// For this resource
    #[arg(long, value_parser = ResourceId::parse)]
    resource: Option<ResourceId>,
    /// For this purpose
    #[arg(long, value_parser = PurposeCode::parse)]
    purpose: Option<PurposeCode>,
    /// Allowed by this grant, or denied by it
    #[arg(long, value_parser = GrantId::parse)]
    grant: Option<GrantId>,
    /// Decided so
    #[arg(long, value_parser = ["permit", "deny", "error", "unknown"])]
    decision: Option<String>,
    /// Refused with this code
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Decided otherwise by the candidate policy: it allowed, it refused, it let out something else
    #[arg(long, value_name = "CHANGE", value_parser = ["any", "allowed", "refused", "extent"])]
    shadow: Option<String>,
    /// Of this request
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
    /// At most so many in each log
    #[arg(long, default_value_t = 1_000, value_name = "COUNT")]
    limit: usize,
    /// Print the records as they stand in the log, one JSON object a line
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

pub(super) fn run(args: &AuditArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
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
        AuditCommand::Tail(args) => run_tail(args, screen),
        AuditCommand::Search(args) => run_search(args, screen),
        AuditCommand::Subject(args) => subject::run(args, screen),
    }
}

fn run_tail(args: &TailArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let mut followers = Vec::new();
    for directory in args.logs.directories(screen)? {
        // Taken first: what comes in between is shown twice rather than not at all.
        if args.follow {
            followers.push(Follower::from_end(&directory)?);
        }
        show::records(&tail(&directory, args.records)?, args.json, screen)?;
    }
    if args.follow {
        follow(followers, args.json, screen)?;
    }
    Ok(Exit::Fine)
}

/// Shows what comes until nobody reads it any more.
fn follow(mut followers: Vec<Follower>, json: bool, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(CommandError::Runtime)?;
    runtime.block_on(async {
        while !screen.is_closed() {
            for follower in &mut followers {
                show::records(&follower.poll(FOLLOW_MOST)?, json, screen)?;
            }
            screen.flush()?;
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
        Ok(())
    })
}

fn run_search(args: &SearchArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let zone = args.zone.clone().unwrap_or_else(default_zone);
    let instant = |when: Option<When>| when.map(|when| when.instant(&zone)).transpose();
    let filter = Filter {
        from: instant(args.from)?,
        until: instant(args.until)?,
        system: args.system.clone(),
        department: args.department.clone(),
        resource: args.resource.clone(),
        purpose: args.purpose.clone(),
        grant: args.grant.clone(),
        decision: args.decision.clone(),
        reason: args.reason.clone(),
        shadow: args.shadow.clone(),
        request: args.request,
    };
    let mut exit = Exit::Fine;
    for directory in args.logs.directories(screen)? {
        let search = search(&directory, &filter, args.limit)?;
        show::records(&search.found, args.json, screen)?;
        if !show::searched(&directory, &search, screen)? {
            exit = Exit::Refused;
        }
    }
    Ok(exit)
}
