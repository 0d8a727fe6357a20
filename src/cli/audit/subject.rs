//! `pinegate audit subject`: who asked for this person?

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::LogArgs;
use super::bounded::{read_all, read_at_most};
use super::output::{FormatArgs, Printer};
use crate::audit::{DigestKey, KeyId, Members, ParsedRecord, SubjectsOf, peek_instant, peek_subjects};
use crate::catalog::{SUBJECT_KINDS, Subject};
use crate::cli::screen::Tone;
use crate::cli::source;
use crate::cli::when::{When, default_zone, zone};
use crate::cli::{CommandError, Exit, Screen};
use crate::config::{Config, MIN_DIGEST_KEY_BYTES};
use crate::journal::read::{Found, Records};
use crate::kernel::diagnostic::did_you_mean;
use crate::kernel::id::SubjectKind;
use crate::kernel::secret::Secret;
use crate::kernel::time::TimeZone;
use crate::mask::recognise;

/// The longest number or name that is read.
const MAX_VALUE_BYTES: usize = 64 << 10;
/// The largest key file.
const MAX_KEY_BYTES: usize = 1 << 20;
/// How many keys that were not given are named.
const MAX_NAMED_KEYS: usize = 16;

/// Find every access to one person or company
///
/// The log has no names and numbers of people, only digests under the key of `[audit] pseudonym_key`.
/// With the key and the number this finds every record of a request that named it, however it was
/// written; without the key nobody does.
#[derive(Debug, Args)]
#[command(after_help = "\
The number is read from standard input, or from a file. An argument is possible too, but is kept in
the history of the shell and seen by everybody on the machine.

Examples:
  pinegate audit subject                           type the number, then Enter
  pinegate audit subject --file number.txt --from 2026-01-01 --until 2027-01-01
  pinegate audit subject --kind mobile --file number.txt --json | jq -r .system | sort | uniq -c
  pinegate audit subject --key audit.key --key audit-2025.key /backup/audit < number.txt

Exit codes: 0 searched, 1 no log, or lines in it that are no records.")]
pub(super) struct SubjectArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// What the number or name is: a word of the catalogue
    #[arg(long, value_name = "KIND", default_value = "resident-id", value_parser = kind)]
    kind: SubjectKind,
    /// The file that has the number or name [default: standard input]
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    file: Option<PathBuf>,
    /// The number or name itself: it stays in the history of the shell
    #[arg(long)]
    value: Option<String>,
    /// The file of a key of digests; several, where keys have followed each other [default: the one of
    /// the configuration]
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Not before this time
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    from: Option<When>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
    /// The zone in which local times are meant [default: Asia/Shanghai]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<TimeZone>,
    #[command(flatten)]
    format: FormatArgs,
}

fn kind(text: &str) -> Result<SubjectKind, String> {
    let kind = SubjectKind::parse(text).map_err(|error| error.to_string())?;
    match did_you_mean(text, SUBJECT_KINDS).filter(|near| *near != text) {
        Some(near) => Err(format!("did you mean `{near}`?")),
        None => Ok(kind),
    }
}

/// What is looked for.
struct Wanted {
    /// Its digest under each key, as it stands in records.
    digests: BTreeMap<String, String>,
    from: Option<String>,
    until: Option<String>,
}

/// What a search came to.
#[derive(Default)]
struct Search {
    found: Vec<Found>,
    lines: u64,
    unreadable: u64,
    /// How many records name people under keys that were not given.
    foreign: BTreeMap<String, u64>,
    /// How many records under a key that was given name more people than they show.
    cut: u64,
}

pub(super) fn run(args: &SubjectArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let config = if args.logs.directories.is_empty() || args.keys.is_empty() {
        Some(source::config(&args.logs.config, screen)?)
    } else {
        None
    };
    let keys = keys(args, config.as_ref())?;
    let directories = match &config {
        Some(config) if args.logs.directories.is_empty() => vec![config.audit.directory.clone()],
        _ => args.logs.directories.clone(),
    };
    let wanted = wanted(args, &keys, screen)?;
    let mut printer = Printer::new(args.format.format());
    let mut exit = Exit::Fine;
    for directory in directories {
        let search = search(&directory, &wanted)?;
        for found in &search.found {
            if let Some(record) = Members::read(&found.line) {
                printer.take(&found.line, &record);
            }
            if printer.is_full() {
                printer.show(screen)?;
            }
        }
        printer.show(screen)?;
        if !tell(&directory, &search, screen)? {
            exit = Exit::Refused;
        }
    }
    Ok(exit)
}

/// The keys that were given, or the one of the configuration.
fn keys(args: &SubjectArgs, config: Option<&Config>) -> Result<BTreeMap<KeyId, DigestKey>, CommandError> {
    let mut keys = BTreeMap::new();
    let mut add = |secret: &Secret| {
        let key = DigestKey::new(secret);
        keys.insert(key.id(), key);
    };
    for path in &args.keys {
        let secret = Secret::new(read_at_most(path, MAX_KEY_BYTES)?);
        if secret.expose().len() < MIN_DIGEST_KEY_BYTES {
            return Err(CommandError::Unfit { path: path.clone(), expected: "a key of at least 32 bytes" });
        }
        add(&secret);
    }
    if args.keys.is_empty() {
        let configured = config.and_then(|config| config.audit.pseudonym_key.as_ref());
        add(configured.ok_or_else(|| CommandError::NoDigestKey { config: args.logs.config.clone() })?);
    }
    Ok(keys)
}

fn wanted(
    args: &SubjectArgs,
    keys: &BTreeMap<KeyId, DigestKey>,
    screen: &mut Screen<'_>,
) -> Result<Wanted, CommandError> {
    let zone = args.zone.clone().unwrap_or_else(default_zone);
    let instant = |when: Option<When>| match when {
        Some(when) => when.instant(&zone).map(|at| Some(format!("{at:.6}"))),
        None => Ok(None),
    };
    let (from, until) = (instant(args.from)?, instant(args.until)?);
    let value = value(args, screen)?;
    let subject = Subject::new(&args.kind, &value).ok_or(CommandError::NoSubject)?;
    if !has_its_form(&subject) {
        let word = screen.paint_aside(Tone::Doubtful, "warning");
        let what = what_is_usual(&args.kind);
        screen.aside(format!("{word}: this is not {what}; records that name it as it is are looked for"))?;
    }
    let digests = keys.iter().map(|(id, key)| (id.to_string(), key.subject(&subject).to_string())).collect();
    Ok(Wanted { digests, from, until })
}

/// The one line that says whom to look for.
fn value(args: &SubjectArgs, screen: &mut Screen<'_>) -> Result<String, CommandError> {
    let text = match (&args.value, &args.file) {
        (Some(value), _) => value.clone(),
        (None, Some(path)) => text(read_at_most(path, MAX_VALUE_BYTES)?, path)?,
        (None, None) => {
            let stdin = io::stdin();
            let name = Path::new("standard input");
            if stdin.is_terminal() {
                screen.aside(format!("type what is looked for ({}), then Enter", args.kind))?;
                screen.flush()?;
                let mut line = String::new();
                let unreadable = |source| CommandError::Unreadable { path: name.to_owned(), source };
                stdin.read_line(&mut line).map_err(unreadable)?;
                line
            } else {
                text(read_all(stdin.lock(), name, MAX_VALUE_BYTES)?, name)?
            }
        }
    };
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    match (lines.next(), lines.next()) {
        (Some(only), None) => Ok(only.to_owned()),
        (None, _) => Err(CommandError::NoSubject),
        (Some(_), Some(_)) => Err(CommandError::SeveralSubjects),
    }
}

fn text(bytes: Vec<u8>, path: &Path) -> Result<String, CommandError> {
    let unfit = |_| CommandError::Unfit { path: path.to_owned(), expected: "a text in UTF-8" };
    String::from_utf8(bytes).map_err(unfit)
}

/// Whether a number is of the form that numbers of its kind have.
fn has_its_form(subject: &Subject<'_>) -> bool {
    match subject.kind().as_str() {
        "resident-id" => recognise::resident_id(subject.expose()),
        "mobile" => recognise::mobile(subject.expose()),
        "credit-code" => recognise::credit_code(subject.expose()),
        _ => true,
    }
}

fn what_is_usual(kind: &SubjectKind) -> &'static str {
    match kind.as_str() {
        "mobile" => "a mobile number of the mainland",
        "credit-code" => "a unified social credit code",
        _ => "a resident identity number",
    }
}

fn search(directory: &Path, wanted: &Wanted) -> Result<Search, CommandError> {
    let mut records = Records::open(directory)?;
    let mut search = Search::default();
    while let Some(line) = records.next_line()? {
        search.lines += 1;
        let Some(subjects) = peek_subjects(line).filter(|_| is_within(line, wanted)) else { continue };
        if !is_about(&subjects, wanted, &mut search) {
            continue;
        }
        let Ok(record) = ParsedRecord::parse(line) else {
            search.unreadable += 1;
            continue;
        };
        let line = line.to_vec();
        search.found.push(Found { record, line });
    }
    Ok(search)
}

/// Instants have one form, so their texts sort as they do.
fn is_within(line: &[u8], wanted: &Wanted) -> bool {
    let at = peek_instant(line).unwrap_or_default();
    wanted.from.as_ref().is_none_or(|from| at >= from.as_bytes())
        && wanted.until.as_ref().is_none_or(|until| at < until.as_bytes())
}

/// Whether the record is about whom we look for. Counts those of which that cannot be said.
fn is_about(subjects: &SubjectsOf<'_>, wanted: &Wanted, search: &mut Search) -> bool {
    let key = String::from_utf8_lossy(subjects.key);
    let Some(digest) = wanted.digests.get(&*key) else {
        if search.foreign.len() < MAX_NAMED_KEYS || search.foreign.contains_key(&*key) {
            *search.foreign.entry(key.into_owned()).or_default() += 1;
        }
        return false;
    };
    let is_named = subjects.name(digest);
    search.cut += u64::from(subjects.is_cut && !is_named);
    is_named
}

/// Says what the records do not show. Whether every line could be read.
fn tell(directory: &Path, search: &Search, screen: &mut Screen<'_>) -> Result<bool, CommandError> {
    let shown = directory.display();
    let of = |text: fn(&ParsedRecord) -> Option<&String>| {
        search.found.iter().filter_map(|found| text(&found.record)).collect::<BTreeSet<_>>().len()
    };
    let (requests, systems) = (of(|record| record.request.as_ref()), of(|record| record.system.as_ref()));
    screen.aside(format!(
        "{shown}: {requests} requests by {systems} systems, found in {} records",
        search.lines
    ))?;
    let word = screen.paint_aside(Tone::Doubtful, "warning");
    for (key, count) in &search.foreign {
        let key = crate::cli::table::shown(key);
        screen.aside(format!(
            "{word}: {count} records name people under the key {key}, which was not given: add it with `--key`"
        ))?;
    }
    if search.cut > 0 {
        let count = search.cut;
        screen.aside(format!(
            "{word}: {count} records name more people than they show, and may be about this one"
        ))?;
    }
    let unreadable = search.unreadable;
    if unreadable > 0 {
        let word = screen.paint_aside(Tone::Bad, "error");
        screen.aside(format!(
            "{word}: {unreadable} lines are no records: run `pinegate audit verify {shown}`"
        ))?;
    }
    Ok(unreadable == 0)
}
