//! Records as they are shown: in columns for people, as they stand in the log, or as CSV.

use clap::{Args, ValueEnum};

use super::csv::Columns;
use crate::audit::{Members, Name};
use crate::cli::screen::Tone;
use crate::cli::table::{Cell, Table, plain, toned};
use crate::cli::{CommandError, Screen};

/// How many rows are aligned at once.
const TOGETHER: usize = 256;
/// How many bytes are written at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// How records are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// In columns, for people
    #[default]
    Table,
    /// As they stand in the log, one JSON object a line
    Json,
    /// One line each under a line of names, for spreadsheets
    Csv,
}

/// How records are to be shown.
#[derive(Debug, Args)]
pub(super) struct FormatArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl FormatArgs {
    pub(super) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// Shows records as they come. What waits to be aligned is held back until [`Printer::show`].
pub(super) struct Printer {
    format: Format,
    table: Table,
    columns: Columns,
    ready: Vec<u8>,
}

impl Printer {
    pub(super) fn new(format: Format) -> Self {
        let (columns, mut ready) = (Columns::new(), Vec::new());
        if format == Format::Csv {
            columns.header(&mut ready);
        }
        Self { format, table: Table::default(), columns, ready }
    }

    /// Takes one more record.
    pub(super) fn take(&mut self, line: &[u8], record: &Members<'_>) {
        match self.format {
            Format::Table => self.table.row(row(record)),
            Format::Json => {
                self.ready.extend_from_slice(line);
                self.ready.push(b'\n');
            }
            Format::Csv => self.columns.record(record, &mut self.ready),
        }
    }

    /// Whether so much waits that it should be shown.
    pub(super) fn is_full(&self) -> bool {
        self.table.len() >= TOGETHER || self.ready.len() >= BLOCK_BYTES
    }

    /// Whether anything waits.
    pub(super) fn is_empty(&self) -> bool {
        self.table.len() == 0 && self.ready.is_empty()
    }

    /// Shows what waits.
    pub(super) fn show(&mut self, screen: &mut Screen<'_>) -> Result<(), CommandError> {
        screen.bytes(self.table.take_text(screen).as_bytes())?;
        screen.bytes(&self.ready)?;
        self.ready.clear();
        screen.flush()
    }
}

fn row(record: &Members<'_>) -> Vec<Cell> {
    let text = |name| record.text(name).unwrap_or("-".into());
    // Whole seconds tell records apart well enough; JSON has the rest.
    let at = record.word(Name::AT);
    let at = at.split_once('.').map_or_else(|| at.to_string(), |(seconds, _)| format!("{seconds}Z"));
    if let Some(event) = record.text(Name::EVENT) {
        let mut what = format!("{event} by {}", text(Name::ACTOR));
        for (name, value) in record.pairs(Name::DETAIL) {
            what.extend([", ", &name, " ", &value]);
        }
        return vec![toned(Tone::Faint, at), toned(Tone::Strong, record.word(Name::KIND)), plain(what)];
    }
    let decision = text(Name::DECISION);
    let tone = match &*decision {
        "permit" => Tone::Good,
        "deny" => Tone::Bad,
        _ => Tone::Doubtful,
    };
    let status = record.text(Name::STATUS).unwrap_or_else(|| record.word(Name::KIND));
    let grants = || record.items(Name::GRANTS).collect::<Vec<_>>().join(" ");
    let mut why = record.text(Name::REASON).map_or_else(grants, String::from);
    if let Some(shadow) = record.text(Name::SHADOW) {
        why.extend([", shadow ", &shadow]);
    }
    vec![
        toned(Tone::Faint, at),
        toned(tone, decision),
        plain(status),
        plain(text(Name::SYSTEM)),
        plain(format!("{} {}", text(Name::ACTION), text(Name::RESOURCE))),
        plain(text(Name::PURPOSE)),
        plain(why),
        toned(Tone::Faint, text(Name::REQUEST)),
    ]
}
