//! `pinegate fmt`: policy files as they should be.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use similar::TextDiff;

use super::findings::{self, Finding, To};
use super::screen::Tone;
use super::source::default_config;
use super::table::shown;
use super::{CommandError, Exit, Screen};
use crate::config::Config;
use crate::kernel::diagnostic::{Diagnostic, Report, Source};
use crate::policy::format::{Formatted, Kind, Repairs, format};
use crate::snapshot::cases;

/// The most bytes of a file: what `grants.csv` may have in UTF-16.
const MAX_BYTES: u64 = 128 << 20;

/// The files of a policy directory that are formatted, apart from its tests.
const FILES: [&str; 8] = [
    "calendar.toml",
    "catalog.toml",
    "grants.csv",
    "limits.toml",
    "masks.toml",
    "model.conf",
    "purposes.toml",
    "registry.toml",
];

/// Write policy files as they should be
///
/// Repairs what spreadsheets and input methods do to policy files: byte order marks, GBK and UTF-16,
/// line ends, needless quotes, empty columns, tabs or semicolons for commas, full-width characters,
/// dates such as 2026/1/1. Lays out grants.csv in columns. Comments and order stay. Nothing is changed
/// unless it is certain what was meant; what is left is shown.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate fmt                           the policy that config/gateway.toml names
  pinegate fmt policies                  a policy directory
  pinegate fmt from-excel.csv            one file
  pinegate fmt --check --diff policies   change nothing, show what would change; for CI

Exit codes: 0 all files are as they should be now, 1 something is left that is not certain, or, with
--check, a file would change.")]
pub(super) struct FmtArgs {
    /// Policy directories, or files [default: the directory that the configuration names]
    #[arg(value_name = "PATH", conflicts_with_all = ["config", "policies"])]
    paths: Vec<PathBuf>,
    /// Change nothing; say which files would change
    #[arg(long)]
    check: bool,
    /// Show what changes, as a unified diff
    #[arg(long)]
    diff: bool,
    /// The gateway configuration [default: config/gateway.toml, else gateway.toml, else
    /// /etc/pinegate/gateway.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A policy directory alone, as other commands take it
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    policies: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What became of one file.
#[derive(Debug)]
struct Outcome {
    path: PathBuf,
    changed: bool,
    repairs: Repairs,
    diff: String,
}

pub(super) fn run(args: &FmtArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let mut report = Report::new();
    let mut outcomes = Vec::new();
    for (path, kind) in files(args, screen)? {
        let bytes = read(&path)?;
        let formatted = match format(kind, &path.to_string_lossy(), &bytes) {
            Ok(formatted) => formatted,
            Err(error) => {
                let source = Source::new(&*path.to_string_lossy(), "");
                report.push(Diagnostic::error("file-encoding", &source, 0..0, error.to_string()));
                continue;
            }
        };
        let changed = formatted.text.as_bytes() != bytes;
        if changed && !args.check {
            write(&path, &bytes, formatted.text.as_bytes())
                .map_err(|source| CommandError::Unwritable { path: path.clone(), source })?;
        }
        let diff = if args.diff { diff(&path, &formatted) } else { String::new() };
        report.merge(formatted.left);
        outcomes.push(Outcome { path, changed, repairs: formatted.repairs, diff });
    }
    let would_change = args.check && outcomes.iter().any(|outcome| outcome.changed);
    let ok = !report.has_errors() && !would_change;
    if args.json {
        json(args, ok, &outcomes, &report, screen)?;
    } else {
        text(args, &outcomes, &report, screen)?;
    }
    Ok(if ok { Exit::Fine } else { Exit::Refused })
}

/// The files to format, each with what it is.
fn files(args: &FmtArgs, screen: &mut Screen<'_>) -> Result<Vec<(PathBuf, Kind)>, CommandError> {
    let mut paths = args.paths.clone();
    paths.extend(args.policies.clone());
    if paths.is_empty() {
        paths.push(configured(args, screen)?);
    }
    let mut files = Vec::new();
    for path in paths {
        let meant =
            fs::metadata(&path).map_err(|source| CommandError::Unreadable { path: path.clone(), source })?;
        if meant.is_dir() {
            in_directory(&path, &mut files)?;
            continue;
        }
        let kind = path.file_name().and_then(|name| Kind::of(&name.to_string_lossy()));
        let Some(kind) = kind else {
            return Err(CommandError::Unknown {
                given: path.display().to_string(),
                what: "a policy file by its name",
                help: "give a directory, or files that end with `.csv`, `.toml` or `.conf`".to_owned(),
            });
        };
        files.push((path, kind));
    }
    Ok(files)
}

/// The policy directory that the configuration names, whatever else is wrong with it.
fn configured(args: &FmtArgs, screen: &mut Screen<'_>) -> Result<PathBuf, CommandError> {
    let path = args.config.as_deref().unwrap_or(Path::new(default_config()));
    if let Some((policy, _)) = Config::policy_in(path) {
        return Ok(policy.directory);
    }
    let (_, report) = Config::load(path);
    findings::show(&report, To::Aside, screen)?;
    Err(CommandError::DoesNotLoad { what: format!("the configuration `{}`", path.display()) })
}

/// The policy files of a directory, and its tests.
fn in_directory(directory: &Path, files: &mut Vec<(PathBuf, Kind)>) -> Result<(), CommandError> {
    let before = files.len();
    let mut add = |path: PathBuf, name: &str| {
        // A link that leads nowhere is there, and cannot be read.
        if let Some(kind) = Kind::of(name).filter(|_| path.symlink_metadata().is_ok()) {
            files.push((path, kind));
        }
    };
    FILES.into_iter().for_each(|name| add(directory.join(name), name));
    let tests = directory.join(cases::DIRECTORY);
    if tests.is_dir() {
        let unreadable = |source| CommandError::Unreadable { path: tests.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&tests).map_err(unreadable)?.take(cases::MAX_FILES) {
            names.push(entry.map_err(unreadable)?.file_name());
        }
        names.sort();
        for name in &names {
            let shown = name.to_string_lossy();
            if shown.ends_with(".toml") && !shown.starts_with('.') {
                add(tests.join(name), &shown);
            }
        }
    }
    if files.len() == before {
        let path = directory.to_owned();
        return Err(CommandError::Unfit { path, expected: "a policy directory: it has none of its files" });
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let unreadable = |source| CommandError::Unreadable { path: path.to_owned(), source };
    // A pipe or device would be waited for.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(CommandError::Unfit { path: path.to_owned(), expected: "a regular file" });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(CommandError::Unfit { path: path.to_owned(), expected: "a file of at most 128 MiB" });
    }
    Ok(bytes)
}

/// Replaces the file whole, or not at all: a reader sees the one or the other. A link stays, and what it
/// points to is replaced.
fn write(path: &Path, before: &[u8], after: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(after)?;
    file.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
    file.as_file().sync_all()?;
    if fs::read(&path)? != before {
        return Err(io::Error::other("it was changed meanwhile; format it again"));
    }
    file.persist(&path)?;
    Ok(())
}

fn diff(path: &Path, formatted: &Formatted) -> String {
    let name = path.to_string_lossy();
    let diff = TextDiff::from_lines(&formatted.before, &formatted.text);
    diff.unified_diff().context_radius(2).header(&name, &format!("{name} (formatted)")).to_string()
}

fn text(
    args: &FmtArgs,
    outcomes: &[Outcome],
    report: &Report,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    findings::show(report, To::Output, screen)?;
    let verb = if args.check { "would change" } else { "formatted" };
    for outcome in outcomes.iter().filter(|outcome| outcome.changed) {
        let verb = screen.paint(Tone::Doubtful, verb);
        screen.line(format!("{verb} {}", shown(&outcome.path.to_string_lossy())))?;
        for (repair, places) in outcome.repairs.iter() {
            let place = match (places.lines, places.first) {
                (1, first) => format!("line {first}"),
                (lines, first) => format!("{lines} lines, the first {first}"),
            };
            screen.line(format!("  {repair} {}", screen.paint(Tone::Faint, &format!("({place})"))))?;
        }
        painted_diff(&outcome.diff, screen)?;
    }
    let changed = outcomes.iter().filter(|outcome| outcome.changed).count();
    let rest = outcomes.len() - changed;
    let files = |number: usize| if number == 1 { "1 file".to_owned() } else { format!("{number} files") };
    match changed {
        0 => screen.line(format!("{} as they should be", files(rest))),
        changed => screen.line(format!("{} {verb}, {rest} as they should be", files(changed))),
    }
}

fn painted_diff(diff: &str, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    for line in diff.lines() {
        let tone = match line.get(..1) {
            Some("+") => Some(Tone::Good),
            Some("-") => Some(Tone::Bad),
            Some("@") => Some(Tone::Faint),
            Some(_) | None => None,
        };
        let line = shown(line);
        screen.line(tone.map_or_else(|| line.clone(), |tone| screen.paint(tone, &line)))?;
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct FmtJson<'r> {
    ok: bool,
    /// Whether files were only looked at.
    check: bool,
    files: Vec<FileJson<'r>>,
    findings: Vec<Finding<'r>>,
}

#[derive(Debug, Serialize)]
struct FileJson<'r> {
    file: Cow<'r, str>,
    changed: bool,
    repairs: Vec<RepairJson>,
    #[serde(skip_serializing_if = "str::is_empty")]
    diff: &'r str,
}

#[derive(Debug, Serialize)]
struct RepairJson {
    repair: &'static str,
    lines: usize,
    first_line: usize,
}

fn json(
    args: &FmtArgs,
    ok: bool,
    outcomes: &[Outcome],
    report: &Report,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    let file = |outcome: &'_ Outcome| -> Vec<RepairJson> {
        let repairs = outcome.repairs.iter();
        let repairs = repairs.map(|(repair, places)| RepairJson {
            repair: repair.as_str(),
            lines: places.lines,
            first_line: places.first,
        });
        repairs.collect()
    };
    let files = outcomes.iter().map(|outcome| FileJson {
        file: outcome.path.to_string_lossy(),
        changed: outcome.changed,
        repairs: file(outcome),
        diff: &outcome.diff,
    });
    screen.json(&FmtJson {
        ok,
        check: args.check,
        files: files.collect(),
        findings: findings::listed(report),
    })
}
