//! `pinegate audit subject`: who asked for this person?

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::LogArgs;
use super::bounded::{read_all, read_at_most};
use super::conditions::Times;
use super::output::{FormatArgs, Printer};
use super::sweep::sweep;
use crate::audit::{DigestKey, KeyId, Name, SubjectsOf, peek_subjects};
use crate::catalog::{SUBJECT_KINDS, Subject};
use crate::cli::screen::Tone;
use crate::cli::source;
use crate::cli::{CommandError, Exit, Screen};
use crate::config::{Config, MIN_DIGEST_KEY_BYTES};
use crate::kernel::diagnostic::did_you_mean;
use crate::kernel::id::SubjectKind;
use crate::kernel::secret::Secret;
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
    #[command(flatten)]
    times: Times,
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

/// What is looked for: its digest under each key, as it stands in records.
type Wanted = BTreeMap<String, String>;

/// What a search came to.
#[derive(Default)]
struct Search {
    requests: BTreeSet<String>,
    systems: BTreeSet<String>,
    /// How many records name people under keys that were not given.
    foreign: BTreeMap<String, u64>,
    /// How many records under a key that was given name more people than they show.
    cut: u64,
}

pub(super) fn run(args: &SubjectArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let keys = keys(args, screen)?;
    let directories = args.logs.directories(screen)?;
    let wanted = wanted(args, &keys, screen)?;
    let mut printer = Printer::new(args.format.format());
    let (filter, mut exit) = (args.times.filter()?, Exit::Fine);
    for directory in directories {
        let mut search = Search::default();
        let swept =
            sweep(std::slice::from_ref(&directory), &filter, screen, &mut |hit, progress, screen| {
                if peek_subjects(hit.line).is_some_and(|subjects| search.is_about(&subjects, &wanted)) {
                    search.requests.extend(hit.record.text(Name::REQUEST).map(Cow::into_owned));
                    search.systems.extend(hit.record.text(Name::SYSTEM).map(Cow::into_owned));
                    printer.take(hit.line, &hit.record);
                }
                if printer.is_full() { progress.beside(|| printer.show(screen)) } else { Ok(()) }
            })?;
        printer.show(screen)?;
        search.tell(&directory, swept.looked_at, screen)?;
        if swept.unreadable > 0 {
            exit = Exit::Refused;
        }
    }
    Ok(exit)
}

/// The keys that were given, or the one of the configuration.
fn keys(args: &SubjectArgs, screen: &mut Screen<'_>) -> Result<BTreeMap<KeyId, DigestKey>, CommandError> {
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
        let configured = match Config::digest_key_in(&args.logs.config) {
            // The findings say why there is none, where one is named.
            None => source::config(&args.logs.config, screen)?.audit.pseudonym_key,
            known => known,
        };
        add(&configured.ok_or_else(|| CommandError::NoDigestKey { config: args.logs.config.clone() })?);
    }
    Ok(keys)
}

fn wanted(
    args: &SubjectArgs,
    keys: &BTreeMap<KeyId, DigestKey>,
    screen: &mut Screen<'_>,
) -> Result<Wanted, CommandError> {
    let value = value(args, screen)?;
    let subject = Subject::new(&args.kind, &value).ok_or(CommandError::NoSubject)?;
    if !has_its_form(&subject) {
        let word = screen.paint_aside(Tone::Doubtful, "warning");
        let what = what_is_usual(&args.kind);
        screen.aside(format!("{word}: this is not {what}; records that name it as it is are looked for"))?;
    }
    Ok(keys.iter().map(|(id, key)| (id.to_string(), key.subject(&subject).to_string())).collect())
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

impl Search {
    /// Whether the record is about whom we look for. Counts those of which that cannot be said.
    fn is_about(&mut self, subjects: &SubjectsOf<'_>, wanted: &Wanted) -> bool {
        let key = String::from_utf8_lossy(subjects.key);
        let Some(digest) = wanted.get(&*key) else {
            if self.foreign.len() < MAX_NAMED_KEYS || self.foreign.contains_key(&*key) {
                *self.foreign.entry(key.into_owned()).or_default() += 1;
            }
            return false;
        };
        let is_named = subjects.name(digest);
        self.cut += u64::from(subjects.is_cut && !is_named);
        is_named
    }

    /// Says what the records do not show.
    fn tell(&self, directory: &Path, looked_at: u64, screen: &mut Screen<'_>) -> Result<(), CommandError> {
        let (shown, requests, systems) = (directory.display(), self.requests.len(), self.systems.len());
        screen.aside(format!(
            "{shown}: {requests} requests by {systems} systems, found in {looked_at} records"
        ))?;
        let word = screen.paint_aside(Tone::Doubtful, "warning");
        for (key, count) in &self.foreign {
            let key = crate::cli::table::shown(key);
            screen.aside(format!(
                "{word}: {count} records name people under the key {key}, which was not given: add it with `--key`"
            ))?;
        }
        if self.cut > 0 {
            let count = self.cut;
            screen.aside(format!(
                "{word}: {count} records name more people than they show, and may be about this one"
            ))?;
        }
        Ok(())
    }
}
