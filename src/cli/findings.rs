//! Findings as people read them, in place with the text they are about, and as machines do.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::screen::Tone;
use super::table::shown;
use super::{CommandError, Screen};
use crate::kernel::diagnostic::{Diagnostic, LineIndex, Position, Report, Severity};
use crate::review::lint::known::Lint;

/// Which stream findings go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Standard output: findings are what was asked for.
    Output,
    /// Standard error: they are beside what was asked for.
    Aside,
}

/// The texts of a report and where their lines begin, found once.
pub(super) struct Texts<'r> {
    report: &'r Report,
    lines: HashMap<Arc<str>, LineIndex>,
}

impl<'r> Texts<'r> {
    pub(super) fn new(report: &'r Report) -> Self {
        Self { report, lines: HashMap::new() }
    }

    fn text(&mut self, file: &Arc<str>) -> Option<(&'r str, &LineIndex)> {
        let text = &*self.report.source(file)?.text;
        Some((text, self.lines.entry(Arc::clone(file)).or_insert_with(|| LineIndex::new(text))))
    }

    /// Where a finding begins and ends; `None` if its text is not known, or it is about all of it.
    pub(super) fn places(&mut self, finding: &Diagnostic) -> Option<(Position, Position)> {
        let (text, lines) = self.text(&finding.file)?;
        let ends = (lines.position(text, finding.span.start), lines.position(text, finding.span.end));
        (finding.span != (0..0)).then_some(ends)
    }
}

/// Shows every finding, by file and place.
pub(super) fn show(report: &Report, to: To, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let coloured = match to {
        To::Output => screen.is_coloured(),
        To::Aside => screen.is_aside_coloured(),
    };
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    let mut texts = Texts::new(report);
    for diagnostic in report.sorted() {
        let text = rendered(&renderer, &mut texts, diagnostic);
        match to {
            To::Output => screen.line(format!("{text}\n"))?,
            To::Aside => screen.aside(format!("{text}\n"))?,
        }
    }
    Ok(())
}

fn rendered(renderer: &Renderer, texts: &mut Texts<'_>, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let excerpt =
        texts.text(&diagnostic.file).and_then(|(text, lines)| excerpt(text, lines, &diagnostic.span));
    // The renderer makes texts harmless, but not names.
    let file = shown(&diagnostic.file);
    let mut group = match excerpt {
        Some(Excerpt { text, span, line }) => {
            let mark = AnnotationKind::Primary.span(span);
            let mark = if diagnostic.label.is_empty() { mark } else { mark.label(diagnostic.label.as_str()) };
            let snippet = Snippet::source(text).path(file).line_start(line).fold(false).annotation(mark);
            title.element(snippet)
        }
        // Nothing of the file can be shown: it is missing, empty, or the finding is about all of it.
        None => Group::with_title(title).element(annotate_snippets::Origin::path(file)),
    };
    if !diagnostic.help.is_empty() {
        group = group.element(Level::HELP.message(diagnostic.help.as_str()));
    }
    renderer.render(&[group])
}

/// The lines that a finding is about.
struct Excerpt<'s> {
    text: &'s str,
    /// Where in them it is.
    span: Range<usize>,
    /// The number of the first.
    line: usize,
}

/// Files may be large and findings many, so only these lines are laid out. `None` where the span is
/// about the whole file, or outside of its text.
fn excerpt<'s>(text: &'s str, lines: &LineIndex, span: &Range<usize>) -> Option<Excerpt<'s>> {
    /// The most lines shown of one finding.
    const MAX_LINES: usize = 6;
    if *span == (0..0) {
        return None;
    }
    let whole = text;
    let (before, _) = text.split_at_checked(span.start)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let (_, rest) = text.split_at_checked(start)?;
    let from = span.start - start;
    // A span that ends with its line does not reach into the next.
    let last = span.end.saturating_sub(start).saturating_sub(1).max(from);
    let mut end = 0;
    for line in rest.split_inclusive('\n').take(MAX_LINES) {
        end += line.len();
        if last < end {
            break;
        }
    }
    let text = rest.get(..end)?.trim_end_matches(['\n', '\r']);
    let from = from.min(text.len());
    let to = span.end.saturating_sub(start).clamp(from, text.len());
    let is_whole = !text.is_empty() && text.is_char_boundary(from) && text.is_char_boundary(to);
    let Position { line, .. } = lines.position(whole, span.start);
    is_whole.then_some(Excerpt { text, span: from..to, line })
}

/// `2 errors, 1 warning, 3 notes`, or `no errors`.
pub(super) fn counted(report: &Report, screen: &Screen<'_>) -> String {
    let errors = match report.count(Severity::Error) {
        0 => screen.paint(Tone::Good, "no errors"),
        count => screen.paint(Tone::Bad, &several(count, "error")),
    };
    let mut words = vec![errors];
    for (severity, tone) in [(Severity::Warning, Tone::Doubtful), (Severity::Note, Tone::Strong)] {
        if let count @ 1.. = report.count(severity) {
            words.push(screen.paint(tone, &several(count, severity.as_str())));
        }
    }
    words.join(", ")
}

/// `1 route`, `2 routes`.
pub(super) fn several(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A finding for machines. Lines and columns count from one, columns in characters; the end is
/// exclusive.
#[derive(Debug, Serialize)]
pub(super) struct Finding<'r> {
    severity: &'static str,
    code: &'static str,
    /// The lint's own level, if the finding is of a lint.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_level: Option<&'static str>,
    message: &'r str,
    file: &'r str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    help: &'r str,
}

/// Every finding, by file and place.
pub(super) fn listed(report: &Report) -> Vec<Finding<'_>> {
    let mut texts = Texts::new(report);
    let beginning = Position { line: 1, column: 1 };
    let listed = report.sorted().into_iter().map(|diagnostic| {
        let (from, to) = texts.places(diagnostic).unwrap_or((beginning, beginning));
        Finding {
            severity: diagnostic.severity.as_str(),
            code: diagnostic.code,
            default_level: Lint::named(diagnostic.code).ok().map(|lint| lint.default.as_str()),
            message: &diagnostic.message,
            file: &diagnostic.file,
            line: from.line,
            column: from.column,
            end_line: to.line,
            end_column: to.column,
            label: &diagnostic.label,
            help: &diagnostic.help,
        }
    });
    listed.collect()
}
