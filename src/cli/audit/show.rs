//! The state of a log, on a terminal and as JSON.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::screen::Tone;
use crate::cli::table::{Table, plain, toned};
use crate::cli::{CommandError, Screen};
use crate::journal::read::{GenerationReport, VerifyReport};

#[derive(Debug, Serialize)]
struct VerifyJson<'v> {
    intact: bool,
    logs: Vec<LogJson<'v>>,
}

#[derive(Debug, Serialize)]
struct LogJson<'v> {
    directory: &'v Path,
    intact: bool,
    records: u64,
    generations: Vec<GenerationJson<'v>>,
    damage: Vec<DamageJson<'v>>,
}

#[derive(Debug, Serialize)]
struct GenerationJson<'v> {
    node: &'v str,
    generation: u32,
    records: u64,
    first_at: Option<&'v str>,
    last_at: Option<&'v str>,
    head: &'v str,
    closed: bool,
    unfinished_bytes: u64,
}

#[derive(Debug, Serialize)]
struct DamageJson<'v> {
    file: &'v Path,
    offset: u64,
    seq: u64,
    why: String,
}

/// What came of verifying logs.
pub(super) fn verified(
    reports: &[(PathBuf, VerifyReport)],
    json: bool,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    if json {
        let logs: Vec<LogJson<'_>> = reports.iter().map(|(path, report)| log(path, report)).collect();
        return screen.json(&VerifyJson { intact: logs.iter().all(|log| log.intact), logs });
    }
    reports.iter().try_for_each(|(directory, report)| in_words(directory, report, screen))
}

fn in_words(directory: &Path, report: &VerifyReport, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let verdict = if report.is_intact() {
        screen.paint(Tone::Good, "as it was written")
    } else {
        screen.paint(Tone::Bad, "damaged")
    };
    screen.line(format!("{}: {verdict}, {} records", directory.display(), report.records))?;
    let mut table = Table::default();
    for generation in &report.generations {
        let GenerationReport { node, generation: number, records, first_at, last_at, head, .. } = generation;
        let state = match (generation.closed, generation.unfinished_bytes) {
            (true, _) => "closed".to_owned(),
            (false, 0) => "open".to_owned(),
            (false, bytes) => format!("open, {bytes} bytes of an unfinished commit"),
        };
        let (first, last) = (first_at.as_deref().unwrap_or("-"), last_at.as_deref().unwrap_or("-"));
        table.row([
            toned(Tone::Strong, format!("{node}.{number:06}")),
            plain(format!("{records} records")),
            plain(format!("{first} … {last}")),
            plain(state),
            toned(Tone::Faint, format!("head {head}")),
        ]);
    }
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))?;
    for damage in &report.damage {
        let word = screen.paint(Tone::Bad, "damage");
        screen.line(format!("  {word}: {}", crate::cli::table::shown(&damage.to_string())))?;
    }
    Ok(())
}

fn log<'v>(directory: &'v Path, report: &'v VerifyReport) -> LogJson<'v> {
    let generations = report.generations.iter().map(|generation| GenerationJson {
        node: generation.node.as_str(),
        generation: generation.generation,
        records: generation.records,
        first_at: generation.first_at.as_deref(),
        last_at: generation.last_at.as_deref(),
        head: &generation.head,
        closed: generation.closed,
        unfinished_bytes: generation.unfinished_bytes,
    });
    let damage = report.damage.iter().map(|damage| DamageJson {
        file: &damage.file,
        offset: damage.offset,
        seq: damage.seq,
        why: damage.why.to_string(),
    });
    LogJson {
        directory,
        intact: report.is_intact(),
        records: report.records,
        generations: generations.collect(),
        damage: damage.collect(),
    }
}
