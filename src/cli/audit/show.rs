//! The state of a log, on a terminal and as JSON.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::screen::Tone;
use crate::cli::table::{Table, plain, toned};
use crate::cli::{CommandError, Screen};
use crate::journal::read::{GenerationReport, TreeReport, VerifyReport};

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
    trees: Vec<TreeJson<'v>>,
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
    first_kept: u64,
    put_aside: u64,
    read: bool,
}

#[derive(Debug, Serialize)]
struct TreeJson<'v> {
    node: &'v str,
    origin: &'v str,
    size: u64,
    root: String,
    signature_checked: bool,
    witnessed: Option<u64>,
    cosigned_by: &'v [String],
    uncovered: u64,
}

#[derive(Debug, Serialize)]
struct DamageJson<'v> {
    act: &'static str,
    node: &'v str,
    generation: Option<u32>,
    file: &'v Path,
    offset: u64,
    seq: u64,
    why: String,
}

/// What came of verifying logs.
pub(super) fn verified(
    reports: &[(PathBuf, VerifyReport)],
    by_keys: bool,
    json: bool,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    if json {
        let logs: Vec<LogJson<'_>> = reports.iter().map(|(path, report)| log(path, report)).collect();
        return screen.json(&VerifyJson { intact: logs.iter().all(|log| log.intact), logs });
    }
    reports.iter().try_for_each(|(directory, report)| in_words(directory, report, screen))?;
    if !by_keys && reports.iter().any(|(_, report)| !report.trees.is_empty()) {
        let word = screen.paint_aside(Tone::Doubtful, "note");
        let how = "give the log's key with `--key`, or a policy with `--policy`";
        screen.aside(format!("{word}: no signature was checked: {how}"))?;
    }
    Ok(())
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
            (true, _) if !generation.is_read => "closed, verified before".to_owned(),
            (true, _) => "closed".to_owned(),
            (false, 0) => "open".to_owned(),
            (false, bytes) => format!("open, {bytes} bytes of an unfinished commit"),
        };
        let (first, last) = (first_at.as_deref().unwrap_or("-"), last_at.as_deref().unwrap_or("-"));
        let state = match generation.put_aside {
            0 => state,
            count => format!("{state}, {count} published records put aside by a repair"),
        };
        table.row([
            toned(Tone::Strong, format!("{node}.{number:06}")),
            plain(match generation.begin {
                0 => format!("{records} records"),
                begin => format!("{records} records, {begin} of them pruned"),
            }),
            plain(format!("{first} … {last}")),
            plain(state),
            toned(Tone::Faint, format!("head {head}")),
        ]);
    }
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))?;
    for tree in &report.trees {
        screen.line(format!("  {}", head_in_words(tree)))?;
    }
    for damage in &report.damage {
        let word = screen.paint(Tone::Bad, "damage");
        screen.line(format!("  {word}: {}", crate::cli::table::shown(&damage.to_string())))?;
    }
    Ok(())
}

fn head_in_words(tree: &TreeReport) -> String {
    let TreeReport { origin, size, root, witnessed, cosigned_by, uncovered, .. } = tree;
    let mut words = format!("log {origin}: signed head of {size} records, root {root}");
    if tree.is_signature_checked {
        words.push_str(", signature good");
    }
    if let Some(witnessed) = witnessed {
        words.push_str(&format!("; {witnessed} witnessed"));
        if !cosigned_by.is_empty() {
            words.push_str(&format!(" by {}", cosigned_by.join(", ")));
        }
    }
    if *uncovered > 0 {
        words.push_str(&format!("; {uncovered} records are in no head yet"));
    }
    crate::cli::table::shown(&words)
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
        first_kept: generation.begin,
        put_aside: generation.put_aside,
        read: generation.is_read,
    });
    let trees = report.trees.iter().map(|tree| TreeJson {
        node: tree.node.as_str(),
        origin: &tree.origin,
        size: tree.size,
        root: tree.root.to_hex(),
        signature_checked: tree.is_signature_checked,
        witnessed: tree.witnessed,
        cosigned_by: &tree.cosigned_by,
        uncovered: tree.uncovered,
    });
    let damage = report.damage.iter().map(|damage| DamageJson {
        act: damage.act().as_str(),
        node: damage.node.as_str(),
        generation: damage.generation,
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
        trees: trees.collect(),
        damage: damage.collect(),
    }
}
