//! TOML files and the model: their lines stay as they are. What is repaired is around and between the
//! words: line ends, spaces at the end of lines, full-width punctuation.

use std::iter::Peekable;
use std::str::Chars;

use super::{Repair, Repairs};
use crate::document::{is_toml, says_the_same};
use crate::kernel::diagnostic::Source;
use crate::policy::csv::meant;
use crate::policy::model::Model;

/// A TOML file, as far as it then says the same.
pub(super) fn toml(text: &str, repairs: &mut Repairs) -> String {
    if text.is_empty() {
        return String::new();
    }
    let repaired = if is_toml(text) { None } else { Some(plain_toml(text)) };
    // A repair that leaves it broken may have changed what was meant.
    let plain =
        repaired.as_deref().filter(|plain| is_toml(plain) || is_toml(&trimmed(plain))).unwrap_or(text);
    if plain != text {
        note(text, plain, Repair::LookAlikes, repairs);
    }
    let trimmed = trimmed(plain);
    if is_toml(plain) && !says_the_same(plain, &trimmed) {
        // The spaces are within a text of several lines.
        return ended(plain, repairs);
    }
    note(plain, &trimmed, Repair::Layout, repairs);
    ended(&trimmed, repairs)
}

/// The model, as far as it then says the same.
pub(super) fn model(text: &str, repairs: &mut Repairs) -> String {
    if text.is_empty() {
        return String::new();
    }
    let said = |text: &str| {
        let model = Model::read(&Source::new("", text)).ok()?;
        let definitions = model.definitions.into_iter();
        Some(definitions.map(|it| (it.section, it.key, it.value)).collect::<Vec<_>>())
    };
    let repaired = if said(text).is_some() { None } else { Some(plain_model(text)) };
    let is_read = |plain: &&str| said(plain).is_some() || said(&trimmed(plain)).is_some();
    let plain = repaired.as_deref().filter(is_read).unwrap_or(text);
    if plain != text {
        note(text, plain, Repair::LookAlikes, repairs);
    }
    let trimmed = trimmed(plain);
    if said(plain) != said(&trimmed) {
        return ended(plain, repairs);
    }
    note(plain, &trimmed, Repair::Layout, repairs);
    ended(&trimmed, repairs)
}

/// Notes each line that is another now.
fn note(before: &str, after: &str, repair: Repair, repairs: &mut Repairs) {
    for ((before, after), line) in before.split('\n').zip(after.split('\n')).zip(1..) {
        if before != after {
            repairs.add(repair, line);
        }
    }
}

/// The text without spaces at the end of lines, nor returns: with the line feed that would be another line end.
fn trimmed(text: &str) -> String {
    text.split('\n').map(|line| line.trim_end_matches([' ', '\t', '\r'])).collect::<Vec<_>>().join("\n")
}

/// The text with one line feed at its end.
fn ended(text: &str, repairs: &mut Repairs) -> String {
    let body = text.trim_end_matches('\n');
    let lines = body.matches('\n').count() + 1;
    match text.len() - body.len() {
        1.. if body.is_empty() => repairs.add(Repair::BlankLines, 1),
        0 => repairs.add(Repair::FinalNewline, lines),
        1 => {}
        _ => repairs.add(Repair::BlankLines, lines + 1),
    }
    if body.is_empty() { String::new() } else { format!("{body}\n") }
}

/// Plain punctuation outside of texts and comments, and around texts.
fn plain_toml(text: &str) -> String {
    let mut plain = String::new();
    for line in text.split_inclusive('\n') {
        plain_line(line, &mut plain);
    }
    plain
}

fn plain_line(line: &str, plain: &mut String) {
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' | '＃' => {
                plain.push('#');
                plain.extend(chars.by_ref());
            }
            '"' | '\'' => {
                plain.push(c);
                quoted(c, &mut chars, plain);
            }
            '“' | '”' | '＂' | '「' => {
                plain.push('"');
                quoted_otherwise(&mut chars, plain);
            }
            _ => match meant(c) {
                Some(meant) => plain.push_str(meant),
                None => plain.push(c),
            },
        }
    }
}

/// A text up to its closing quote, as it is.
fn quoted(quote: char, chars: &mut Peekable<Chars<'_>>, plain: &mut String) {
    while let Some(c) = chars.next() {
        plain.push(c);
        if c == quote {
            return;
        }
        if c == '\\' && quote == '"' {
            plain.extend(chars.next());
        }
    }
}

/// A text in typographic quotes up to the next of them. One with a plain quote or a backslash in it
/// could be meant otherwise, and stays open, so that the file is refused.
fn quoted_otherwise(chars: &mut Peekable<Chars<'_>>, plain: &mut String) {
    for c in chars.by_ref() {
        match c {
            '“' | '”' | '＂' | '」' => return plain.push('"'),
            '"' | '\\' => {
                plain.push_str("\u{fffd}\"\u{fffd}");
                return;
            }
            _ => plain.push(c),
        }
    }
}

/// Plain punctuation outside of comments.
fn plain_model(text: &str) -> String {
    let mut plain = String::new();
    for line in text.split_inclusive('\n') {
        let is_comment = line.trim_start().starts_with(['#', ';']);
        for c in line.chars() {
            match meant(c).filter(|_| !is_comment) {
                Some(meant) => plain.push_str(meant),
                None => plain.push(c),
            }
        }
    }
    plain
}
