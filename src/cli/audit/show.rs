//! Records and the state of a log, on a terminal and as JSON.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::audit::ParsedRecord;
use crate::cli::screen::Tone;
use crate::cli::table::{Cell, Table, plain, toned};
use crate::cli::{CommandError, Screen};
use crate::journal::read::{Found, GenerationReport, Search, VerifyReport};

/// Records, one a line: as they stand in the log, or in columns.
pub(super) fn records(found: &[Found], json: bool, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    if json {
        for found in found {
            screen.bytes(&found.line)?;
            screen.bytes(b"\n")?;
        }
        return Ok(());
    }
    let mut table = Table::default();
    for found in found {
        table.row(row(&found.record));
    }
    table.lines(screen, 0).into_iter().try_for_each(|line| screen.line(line))
}

fn row(record: &ParsedRecord) -> Vec<Cell> {
    let text = |text: &Option<String>| plain(text.as_deref().unwrap_or("-"));
    // Whole seconds tell records apart well enough; `--json` has the rest.
    let at = record.at.split_once('.').map_or(record.at.clone(), |(seconds, _)| format!("{seconds}Z"));
    if let Some(event) = &record.event {
        let actor = record.actor.as_deref().unwrap_or("-");
        let mut what = format!("{event} by {actor}");
        for (name, value) in &record.detail {
            what.push_str(&format!(", {name} {value}"));
        }
        return vec![toned(Tone::Faint, at), toned(Tone::Strong, record.kind.as_str()), plain(what)];
    }
    let decision = record.decision.as_deref().unwrap_or("-");
    let tone = match decision {
        "permit" => Tone::Good,
        "deny" => Tone::Bad,
        _ => Tone::Doubtful,
    };
    let status = record.status.map_or_else(|| record.kind.clone(), |status| status.to_string());
    let mut why = record.reason.clone().unwrap_or_else(|| record.grants.join(" "));
    if let Some(shadow) = &record.shadow {
        why.push_str(&format!(", shadow {shadow}"));
    }
    let action = record.action.as_deref().unwrap_or("-");
    let resource = record.resource.as_deref().unwrap_or("-");
    vec![
        toned(Tone::Faint, at),
        toned(tone, decision),
        plain(status),
        text(&record.system),
        plain(format!("{action} {resource}")),
        text(&record.purpose),
        plain(why),
        toned(Tone::Faint, record.request.as_deref().unwrap_or("-")),
    ]
}

/// Says what of a search its records do not show. Whether every line could be read.
pub(super) fn searched(
    directory: &Path,
    search: &Search,
    screen: &mut Screen<'_>,
) -> Result<bool, CommandError> {
    let shown = directory.display();
    let (found, looked_at) = (search.found.len(), search.looked_at);
    let more = if search.more { "; there are more: raise `--limit`, or narrow it down" } else { "" };
    screen.aside(format!("{shown}: {found} found in {looked_at} records{more}"))?;
    if search.unreadable == 0 {
        return Ok(true);
    }
    let word = screen.paint_aside(Tone::Bad, "error");
    let unreadable = search.unreadable;
    screen
        .aside(format!("{word}: {unreadable} lines are no records: run `pinegate audit verify {shown}`"))?;
    Ok(false)
}

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
