//! `pinegate audit tail`: what came last, and what comes?

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::LogArgs;
use super::conditions::Conditions;
use super::output::{FormatArgs, Printer};
use crate::audit::Members;
use crate::cli::{CommandError, Exit, Screen};
use crate::journal::read::{Follower, Found, Matcher, tail};

/// How often a log that is followed is looked at.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// How many records are taken at once from a log that is followed.
const FOLLOW_MOST: usize = 1_000;

/// Show the last records
///
/// With conditions, the last of those that they hold of.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit tail
  pinegate audit tail --follow
  pinegate audit tail --follow --decision deny --department dept:minzheng
  pinegate audit tail -n 1000 --format csv > last.csv
  pinegate audit tail -f --json | jq 'select(.total_us > 1000000)'

Exit codes: 0 shown, 1 a line that may match is no record.")]
pub(super) struct TailArgs {
    #[command(flatten)]
    logs: LogArgs,
    #[command(flatten)]
    conditions: Conditions,
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    records: usize,
    /// Go on, and show records as they come, until interrupted
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(args: &TailArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let filter = args.conditions.filter()?;
    let mut printer = Printer::new(args.format.format());
    let (mut followers, mut is_whole) = (Vec::new(), true);
    for directory in args.logs.directories(screen)? {
        // Taken first: what comes in between is shown twice rather than not at all.
        if args.follow {
            followers.push((directory.clone(), Follower::from_end(&directory)?));
        }
        let (found, passed) = tail(&directory, &filter, args.records)?;
        take(&mut printer, &found);
        printer.show(screen)?;
        is_whole &= super::unreadable(&directory, passed.unreadable, screen)?;
    }
    if args.follow {
        is_whole &= follow(followers, &Matcher::new(&filter), &mut printer, screen)?;
    }
    Ok(if is_whole { Exit::Fine } else { Exit::Refused })
}

fn take(printer: &mut Printer, found: &[Found]) {
    for found in found {
        if let Some(record) = Members::read(&found.line) {
            printer.take(&found.line, &record);
        }
    }
}

/// Shows what comes until nobody reads it any more. Whether every line could be read.
fn follow(
    mut followers: Vec<(PathBuf, Follower)>,
    matcher: &Matcher,
    printer: &mut Printer,
    screen: &mut Screen<'_>,
) -> Result<bool, CommandError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(CommandError::Runtime)?;
    runtime.block_on(async {
        let mut is_whole = true;
        while !screen.is_abandoned() {
            let mut is_behind = false;
            for (directory, follower) in &mut followers {
                let mut found = follower.poll(FOLLOW_MOST)?;
                is_behind |= found.len() >= FOLLOW_MOST;
                found.retain(|found| matcher.holds(&found.line));
                take(printer, &found);
                is_whole &= super::unreadable(directory, follower.take_unreadable(), screen)?;
            }
            printer.show(screen)?;
            if !is_behind {
                tokio::time::sleep(FOLLOW_EVERY).await;
            }
        }
        Ok(is_whole)
    })
}
