//! `pinegate audit search`: which records say so?

use std::path::Path;

use clap::Args;

use super::LogArgs;
use super::conditions::Conditions;
use super::output::{Format, FormatArgs, Printer};
use crate::cli::progress::Progress;
use crate::cli::{CommandError, Exit, Screen};
use crate::journal::read::{Filter, Order, Passed, Search, Step, size};

/// How much of the log is looked through before rows that wait for others to align with are shown.
const PATIENCE_BYTES: u64 = 64 << 20;

/// Find records by what they say
///
/// Every condition that is given must hold.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit search --request 019a2b3c-…       the X-Request-Id of a reply
  pinegate audit search --system sys:minzheng-aid --from 2026-06-01 --until 2026-07-01
  pinegate audit search --resource population.resident --decision deny --newest-first
  pinegate audit search --decision permit --status 5xx   permitted, and not answered all the same
  pinegate audit search --address 10.1.0.0/16 --format csv > accesses.csv
  pinegate audit search --grant HS-2026-0117 --json | jq .released
  pinegate audit search --shadow refused           what the candidate policy would take away

Exit codes: 0 searched, also where nothing was found; 1 a line that may match is no record.")]
pub(super) struct SearchArgs {
    #[command(flatten)]
    logs: LogArgs,
    #[command(flatten)]
    conditions: Conditions,
    /// At most so many in each log
    #[arg(long, default_value_t = 1_000, value_name = "COUNT")]
    limit: usize,
    /// Begin with the newest records
    #[arg(long)]
    newest_first: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// What of a search its records do not show.
struct Outcome {
    found: usize,
    /// Whether the limit cut it short.
    more: bool,
    passed: Passed,
}

pub(super) fn run(args: &SearchArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let filter = args.conditions.filter()?;
    let mut printer = Printer::new(args.format.format());
    let mut exit = Exit::Fine;
    for directory in args.logs.directories(screen)? {
        let outcome = search(&directory, &filter, args, &mut printer, screen)?;
        if !tell(&directory, &outcome, screen)? {
            exit = Exit::Refused;
        }
    }
    Ok(exit)
}

fn search(
    directory: &Path,
    filter: &Filter,
    args: &SearchArgs,
    printer: &mut Printer,
    screen: &mut Screen<'_>,
) -> Result<Outcome, CommandError> {
    // One more than is shown tells whether there are more.
    let most = args.limit.saturating_add(1);
    let order = if args.newest_first { Order::NewestFirst { most } } else { Order::OldestFirst };
    let progress = Progress::over(size(directory)?);
    let mut search = Search::begin(directory, filter, order)?;
    let patience = if args.format.format() == Format::Table { PATIENCE_BYTES } else { 1 };
    let (mut found, mut more, mut shown_at) = (0, false, 0);
    while !screen.is_closed()
        && let Some(step) = search.step()?
    {
        match step {
            Step::Found(_) if found >= args.limit => {
                more = true;
                break;
            }
            Step::Found(hit) => {
                found += 1;
                printer.take(hit.line, &hit.record);
            }
            Step::Passed => {}
        }
        let bytes = search.bytes();
        progress.reach(bytes);
        if printer.is_full() || (!printer.is_empty() && bytes - shown_at >= patience) {
            progress.beside(|| printer.show(screen))?;
            shown_at = bytes;
        }
    }
    let passed = search.passed();
    progress.end();
    printer.show(screen)?;
    Ok(Outcome { found, more, passed })
}

/// Says what the records do not show. Whether every line could be read.
fn tell(directory: &Path, outcome: &Outcome, screen: &mut Screen<'_>) -> Result<bool, CommandError> {
    let shown = directory.display();
    let Outcome { found, more, passed } = outcome;
    let more = if *more { "; there are more: raise `--limit`, or narrow it down" } else { "" };
    screen.aside(format!("{shown}: {found} found in {} records{more}", passed.lines))?;
    super::unreadable(directory, passed.unreadable, screen)
}
