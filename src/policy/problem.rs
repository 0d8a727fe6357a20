//! What is wrong with one text inside a cell, before the file it stands in is known.

use std::ops::Range;

/// A finding about a part of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A stable kebab-case name.
    pub code: &'static str,
    /// The bytes of the text it is about.
    pub at: Range<usize>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What would be right.
    pub help: String,
}

impl Problem {
    /// A finding about the bytes `at`.
    pub fn new(
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { code, at, message: message.into(), help: help.into() }
    }
}

/// A part of a text and the bytes it stands at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'t> {
    pub(crate) text: &'t str,
    pub(crate) start: usize,
}

impl<'t> Part<'t> {
    pub(crate) fn whole(text: &'t str) -> Self {
        Self { text, start: 0 }
    }

    pub(crate) fn at(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    pub(crate) fn trimmed(self) -> Self {
        let text = self.text.trim_start_matches(' ');
        let start = self.start + (self.text.len() - text.len());
        Self { text: text.trim_end_matches(' '), start }
    }

    /// The parts between `separator`s, trimmed.
    pub(crate) fn split(self, separator: char) -> impl Iterator<Item = Part<'t>> {
        let mut start = self.start;
        self.text.split(separator).map(move |text| {
            let part = Part { text, start };
            start += text.len() + separator.len_utf8();
            part.trimmed()
        })
    }

    /// The parts before and after the first `separator`, trimmed.
    pub(crate) fn split_once(self, separator: &str) -> Option<(Part<'t>, Part<'t>)> {
        let (before, after) = self.text.split_once(separator)?;
        let after_start = self.start + before.len() + separator.len();
        let before = Part { text: before, start: self.start };
        Some((before.trimmed(), Part { text: after, start: after_start }.trimmed()))
    }
}
