//! `pinegate audit stats`: who asked for what, how often?

mod quantiles;
mod show;
mod tally;

use clap::Args;

use self::tally::{By, Tally};
use super::LogArgs;
use super::conditions::Conditions;
use super::output::FormatArgs;
use super::sweep::sweep;
use crate::audit::Name;
use crate::cli::{CommandError, Exit, Screen};

/// Count accesses by what they have in common
///
/// Reads the log once and tells for every group how many accesses were allowed and refused, how many data
/// records and bytes left, how many values were masked and dropped, and how long it took: the median, what
/// 99 of 100 stay below (both to within 1 %), and the longest.
///
/// An access is counted once, by its `access` or `outcome` record, unless --kind says otherwise. By `grant`
/// it is counted for each of its grants. At most 10,000 groups are told apart.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit stats                             by system and resource
  pinegate audit stats --by department,purpose --from 2026-06-01 --until 2026-07-01
  pinegate audit stats --by reason --decision deny
  pinegate audit stats --by hour-of-day,system --resource population.resident
  pinegate audit stats --by grant --format csv > grants.csv
  pinegate audit stats --by day --json | jq '.groups[] | {day, accesses, records}'

Exit codes: 0 counted, 1 a line that may match is no record.")]
pub(super) struct StatsArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// What to tell apart; several are told apart together
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT", default_value = "system,resource")]
    by: Vec<By>,
    #[command(flatten)]
    conditions: Conditions,
    /// Show at most so many groups, the largest, and the rest as one
    #[arg(long, default_value_t = 1_000, value_name = "COUNT")]
    limit: usize,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(args: &StatsArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let filter = args.conditions.filter()?;
    let mut tally = Tally::new(&args.by, args.conditions.zone());
    let every_kind = filter.kind.is_some();
    let swept = sweep(&args.logs.directories(screen)?, &filter, screen, &mut |hit, _, _| {
        // Of an access in two halves the second tells all that the first does.
        if every_kind || ["access", "outcome"].iter().any(|kind| hit.record.is(Name::KIND, kind)) {
            tally.add(&hit.record);
        }
        Ok(())
    })?;
    show::ranked(&args.by, tally.ranked(args.limit), args.format.format(), screen)?;
    Ok(if swept.unreadable == 0 { Exit::Fine } else { Exit::Refused })
}
