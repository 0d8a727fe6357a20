//! `pinegate replay`: what would recorded accesses come to under another policy?

mod show;
mod stream;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::source::{self, DirectoryAlone, PolicyOrigin, default_config};
use super::when::{When, default_zone, zone};
use super::{CommandError, Exit, Screen, verdict};
use crate::app::load::LoadedPolicy;
use crate::kernel::id::{ResourceId, SystemId};
use crate::kernel::time::{Clock, TimeZone};
use crate::review::gate::Gate;
use crate::review::replay::{Replay, Tally};

/// Decide recorded accesses again, under a candidate policy
///
/// Reads the audit log and decides every access in it again, as of the instant it came, by the policy
/// in a directory. Tells which accesses would now be refused or allowed and which fields would leave
/// otherwise, by system and resource. Compared is what was recorded, or with --against what another
/// policy decides.
///
/// What a record does not say is not guessed: where the answer hangs on the value of a parameter that
/// may not be recorded, the access is counted as undetermined. Limits, tokens and the platform are not
/// asked again, and refusals that the policy did not decide are left out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate replay --policies new             the log that config/gateway.toml names
  pinegate replay --policies new --audit /backup/audit --from 2026-06-01
  pinegate replay --policies new --against policies
  pinegate replay --policies new --fail-on refused   as a check before a change goes live
  … --system sys:minzheng-aid --limit 100    all that changes for one system
  … --json | jq '.groups[] | select(.refused > 0)'

Exit codes: 0 done, 1 something that --fail-on names was found, or a line of the log is no record.")]
pub(super) struct ReplayArgs {
    /// The candidate: a policy directory
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// Compare with what the policy in this directory decides, not with what was recorded
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// A directory with an audit log; may be given several times [default: what the configuration says]
    #[arg(long, value_name = "DIR")]
    audit: Vec<PathBuf>,
    /// The gateway configuration that says where the log is, and the zone [default: config/gateway.toml,
    /// unless --audit is given]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// With --audit and without --config: the zone in which dates and hours are meant [default:
    /// Asia/Shanghai]
    #[arg(long, value_name = "ZONE", conflicts_with = "config", requires = "audit", value_parser = zone)]
    zone: Option<TimeZone>,
    /// Not before this time
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    from: Option<When>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
    /// Asked by this system
    #[arg(long, value_parser = SystemId::parse)]
    system: Option<SystemId>,
    /// For this resource
    #[arg(long, value_parser = ResourceId::parse)]
    resource: Option<ResourceId>,
    /// How many examples of each kind to show
    #[arg(long, default_value_t = 5, value_name = "COUNT", value_parser = limit)]
    limit: usize,
    /// Exit with 1 if there are any of these
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    fail_on: Vec<FailOn>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The most examples of a kind: they are kept in memory.
const MAX_EXAMPLES: usize = 100_000;

fn limit(text: &str) -> Result<usize, String> {
    let right = text.parse().ok().filter(|&count| count <= MAX_EXAMPLES);
    right.ok_or_else(|| format!("expected a number up to {MAX_EXAMPLES}"))
}

/// What a replay may fail on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Accesses that are newly refused
    Refused,
    /// Accesses that are newly allowed
    Allowed,
    /// Accesses of which other fields leave, or under other duties
    Fields,
    /// Accesses that the log cannot answer
    Undetermined,
    /// Any of these
    Any,
}

impl FailOn {
    fn is_met(self, tally: &Tally) -> bool {
        let Tally { same: _, refused, allowed, changed, undetermined } = *tally;
        let count = match self {
            Self::Refused => refused,
            Self::Allowed => allowed,
            Self::Fields => changed,
            Self::Undetermined => undetermined,
            Self::Any => refused + allowed + changed + undetermined,
        };
        count > 0
    }
}

/// Where the log is, and the zone that policies are read in.
struct Place {
    directories: Vec<PathBuf>,
    zone: TimeZone,
    trust_domain: Option<String>,
}

impl ReplayArgs {
    fn place(&self, screen: &mut Screen<'_>) -> Result<Place, CommandError> {
        if self.config.is_none() && !self.audit.is_empty() {
            let zone = self.zone.clone().unwrap_or_else(default_zone);
            return Ok(Place { directories: self.audit.clone(), zone, trust_domain: None });
        }
        let path = self.config.clone().unwrap_or_else(|| PathBuf::from(default_config()));
        let config = source::config(&path, screen)?;
        let directories =
            if self.audit.is_empty() { vec![config.audit.directory] } else { self.audit.clone() };
        let trust_domain = Some(config.identity.trust_domain);
        Ok(Place { directories, zone: config.policy.zone, trust_domain })
    }
}

pub(super) fn run(
    args: &ReplayArgs,
    clock: &dyn Clock,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let Place { directories, zone, trust_domain } = args.place(screen)?;
    let mut load = |directory: &PathBuf| -> Result<LoadedPolicy, CommandError> {
        let alone = DirectoryAlone::new(directory, zone.clone(), trust_domain.as_deref());
        PolicyOrigin::Directory(alone).policy(clock, screen)
    };
    let candidate = load(&args.policies)?;
    let against = args.against.as_ref().map(&mut load).transpose()?;
    let instant = |when: Option<When>| when.map(|when| when.instant(&zone)).transpose();
    let codes = verdict::policy_codes();
    let replay = Replay {
        candidate: gate(&candidate),
        against: against.as_ref().map(gate),
        policy_codes: &codes,
        from: instant(args.from)?,
        until: instant(args.until)?,
        system: args.system.clone(),
        resource: args.resource.clone(),
        examples: args.limit,
    };
    let streamed = stream::stream(&directories, &replay)?;
    let shown = show::Shown {
        args,
        directories: &directories,
        candidate: &candidate,
        against: against.as_ref(),
        streamed: &streamed,
        zone: &zone,
    };
    if args.json {
        show::json(&shown, screen)?;
    } else {
        show::text(&shown, screen)?;
    }
    show::unreadable(&streamed, screen)?;
    let tally = streamed.report.tally();
    let fails = streamed.unreadable > 0 || args.fail_on.iter().any(|kind| kind.is_met(&tally));
    Ok(if fails { Exit::Refused } else { Exit::Fine })
}

fn gate(loaded: &LoadedPolicy) -> Gate<'_> {
    Gate { policy: &loaded.policy, catalog: &loaded.vocabulary.catalog }
}
