//! Goes through all records of logs that conditions hold of, with a bar on a terminal.

use std::path::PathBuf;

use crate::cli::progress::Progress;
use crate::cli::{CommandError, Screen};
use crate::journal::read::{Filter, Hit, Order, Search, Step, size};

/// What a sweep came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// How many records were found.
    pub(super) found: u64,
    /// How many records were looked at.
    pub(super) looked_at: u64,
    /// How many lines that may match are no records.
    pub(super) unreadable: u64,
}

/// Calls `each` with every record below `directories` that `filter` holds of, oldest first in each log,
/// until nobody reads what is printed any more; what it prints goes beside the bar. Lines that are no records are told of.
pub(super) fn sweep(
    directories: &[PathBuf],
    filter: &Filter,
    screen: &mut Screen<'_>,
    each: &mut dyn FnMut(&Hit<'_>, &Progress, &mut Screen<'_>) -> Result<(), CommandError>,
) -> Result<Swept, CommandError> {
    let mut bytes: u64 = 0;
    for directory in directories {
        bytes = bytes.saturating_add(size(directory)?);
    }
    let progress = Progress::over(bytes);
    let mut swept = Swept::default();
    let mut before: u64 = 0;
    for directory in directories {
        let mut search = Search::begin(directory, filter, Order::OldestFirst)?;
        while let Some(step) = search.step()? {
            match step {
                Step::Found(hit) => {
                    swept.found += 1;
                    each(&hit, &progress, screen)?;
                }
                Step::Passed => progress.reach(before.saturating_add(search.bytes())),
            }
            if screen.is_closed() {
                break;
            }
        }
        let passed = search.passed();
        before = before.saturating_add(passed.bytes);
        swept.looked_at = swept.looked_at.saturating_add(passed.lines);
        swept.unreadable = swept.unreadable.saturating_add(passed.unreadable);
        progress.beside(|| super::unreadable(directory, passed.unreadable, screen))?;
    }
    progress.end();
    Ok(swept)
}
