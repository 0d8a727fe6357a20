//! Members: what is held until a name is known, and what the name decides.

use std::ops::Range;

use super::super::automaton::{Automaton, Kind, NAMELESS, Rule, class};
use super::super::error::MaskError;
use super::state::{After, Expect, Frame, Shape};
use super::text::{decode, plain_run, prefix, prefix_in};
use super::{Scan, as_u64};

impl Scan<'_> {
    /// Takes members one after another, as long as each has a short name, a scalar value and nothing
    /// unusual: most do, and then nothing has to ask what comes next. The position stays in `at`
    /// until something else must know it.
    #[inline(always)]
    pub(super) fn members(&mut self) -> Result<(), MaskError> {
        let Some(byte) = self.token()? else { return Ok(()) };
        if byte != b'"' {
            return self.no_key(byte);
        }
        let piece = self.piece;
        let looked_up = self.state.top.shape == Shape::Members;
        let mut at = self.at;
        loop {
            let start = at.wrapping_add(1);
            let rest = piece.get(start..).unwrap_or_default();
            let length = plain_run(rest);
            let end = start.wrapping_add(length);
            if piece.get(end) != Some(&b'"') {
                return self.unusual_key(start, end);
            }
            at = end.wrapping_add(1);
            if looked_up {
                self.at = at;
                self.plain_key(rest, length)?;
            }
            if piece.get(at) != Some(&b':') {
                self.at = at;
                self.state.expect = Expect::Colon;
                return Ok(());
            }
            at = at.wrapping_add(1);
            match self.plain_text(at) {
                Some(end) => at = end,
                None => {
                    self.at = at;
                    self.state.expect = Expect::Value;
                    self.value()?;
                    at = self.at;
                    if self.state.expect != Expect::SeparatorOrEnd {
                        return Ok(());
                    }
                }
            }
            self.at = at;
            if piece.get(at) != Some(&b',') {
                self.state.expect = Expect::SeparatorOrEnd;
                return Ok(());
            }
            if looked_up {
                self.start_hold();
            }
            at = at.wrapping_add(1);
            if piece.get(at) != Some(&b'"') {
                self.at = at;
                self.state.expect = Expect::Key;
                return Ok(());
            }
        }
    }

    /// The name from `start` has something at `end` that a plain name has not, or goes on in the
    /// next piece.
    #[inline(never)]
    fn unusual_key(&mut self, start: usize, end: usize) -> Result<(), MaskError> {
        self.state.escaped = false;
        self.state.key = start;
        self.state.key_is_held = false;
        self.state.expect = Expect::InKey;
        self.at = end;
        self.string()
    }

    /// A name without escapes lies whole in the piece: the first `length` bytes of `rest`.
    #[inline(always)]
    fn plain_key(&mut self, rest: &[u8], length: usize) -> Result<(), MaskError> {
        if length > self.context.bounds.key {
            let start = self.at.saturating_sub(length).saturating_sub(1);
            return Err(self.key_too_long(start));
        }
        let name = rest.get(..length).unwrap_or_default();
        let prefix = prefix_in(rest, length);
        match step(&self.context.plan.automaton, &mut self.state.top, &mut self.state.next, name, prefix) {
            Some(rule) if rule.kind != Kind::Drop => self.keep(rule),
            dropped => self.drop(dropped.map_or(NAMELESS, |rule| rule.slot)),
        }
        Ok(())
    }

    /// Where a text that begins at `at` ends, if it is copied or dropped and has no escapes.
    #[inline(always)]
    fn plain_text(&mut self, at: usize) -> Option<usize> {
        if self.state.rule.copy & class::TEXT == 0 || self.piece.get(at) != Some(&b'"') {
            return None;
        }
        let start = at.wrapping_add(1);
        let end = start.wrapping_add(plain_run(self.piece.get(start..).unwrap_or_default()));
        if self.piece.get(end) != Some(&b'"') {
            return None;
        }
        let after = end.wrapping_add(1);
        if self.state.after != After::Nothing {
            self.at = after;
            self.end_value();
        }
        Some(after)
    }

    fn no_key(&mut self, byte: u8) -> Result<(), MaskError> {
        if byte == b'}' && self.state.expect == Expect::KeyOrEnd {
            self.close();
            return Ok(());
        }
        Err(self.syntax(self.at, "a member name in quotes"))
    }

    #[inline(always)]
    pub(super) fn start_hold(&mut self) {
        self.state.held.clear();
        self.state.holding = true;
        self.hold = self.at;
    }

    /// Held bytes other than a name are a separator and white space.
    pub(super) fn check_space(&self) -> Result<(), MaskError> {
        let held = self.state.held.len() + self.at.saturating_sub(self.hold);
        if !self.state.holding || held <= self.context.bounds.space {
            return Ok(());
        }
        let excess = held - self.context.bounds.space;
        Err(MaskError::SpaceTooLong {
            at: self.offset(self.at) - as_u64(excess),
            max: self.context.bounds.space,
        })
    }

    /// Copying goes on, held bytes included but for the first `skipped`.
    pub(super) fn release(&mut self, skipped: usize) {
        self.mark = self.hold;
        if self.state.held.is_empty() {
            self.mark += skipped;
        } else {
            self.context.out.extend_from_slice(self.state.held.get(skipped..).unwrap_or_default());
            self.state.held.clear();
        }
        self.state.copying = true;
    }

    /// Held bytes that copying has not written yet are written, and none are held any more.
    pub(super) fn settle(&mut self) {
        if !self.state.held.is_empty() {
            self.context.out.extend_from_slice(&self.state.held);
            self.state.held.clear();
        }
        self.state.holding = false;
    }

    /// The quote that ends a name has just been taken, and the name was not a plain one.
    pub(super) fn end_key(&mut self) -> Result<(), MaskError> {
        self.state.expect = Expect::Colon;
        if self.state.top.shape != Shape::Members {
            return Ok(());
        }
        let end = self.at - 1;
        self.check_key(end)?;
        if self.state.key_is_held {
            // The name lies across pieces: what is held of it becomes whole.
            self.state.held.extend_from_slice(self.piece.get(self.hold..end).unwrap_or_default());
            if self.state.copying {
                self.mark = end;
            }
            self.hold = end;
        }
        match self.look_up(self.state.key..end) {
            Some(rule) if rule.kind != Kind::Drop => self.keep(rule),
            dropped => self.drop(dropped.map_or(NAMELESS, |rule| rule.slot)),
        }
        Ok(())
    }

    #[inline(always)]
    fn keep(&mut self, rule: Rule) {
        if !self.state.copying {
            self.release(usize::from(!self.state.top.kept));
        }
        if self.state.held.is_empty() {
            self.state.holding = false;
        } else {
            self.settle();
        }
        self.state.top.kept = true;
        self.state.rule = rule;
    }

    pub(super) fn drop(&mut self, slot: u16) {
        if self.state.copying {
            self.flush(self.hold);
            self.state.copying = false;
        }
        self.state.held.clear();
        self.state.holding = false;
        self.state.after = After::Hold;
        self.state.rule = Rule::WHOLE;
        self.context.tally.drop(slot);
    }

    /// The rule of the name at `range` of the piece, or in `held` if that has its beginning.
    fn look_up(&mut self, range: Range<usize>) -> Option<Rule> {
        let state = &mut *self.state;
        let raw = match state.key_is_held {
            true => state.held.get(range.start..).unwrap_or_default(),
            false => self.piece.get(range).unwrap_or_default(),
        };
        let name = if state.escaped {
            state.decoded.clear();
            decode(std::str::from_utf8(raw).unwrap_or_default(), &mut state.decoded);
            state.decoded.as_bytes()
        } else {
            raw
        };
        step(&self.context.plan.automaton, &mut state.top, &mut state.next, name, prefix(name))
    }

    /// Whether the name at hand, of which the bytes up to `end` are scanned, is short enough.
    ///
    /// This comes before any other error in a name, so that the first bound that a body breaks
    /// does not depend on where the pieces end.
    #[inline(always)]
    pub(super) fn check_key(&self, end: usize) -> Result<(), MaskError> {
        let length = match self.state.key_is_held {
            true => self.state.held.len().saturating_sub(self.state.key) + end.saturating_sub(self.hold),
            false => end.saturating_sub(self.state.key),
        };
        if length <= self.context.bounds.key {
            return Ok(());
        }
        let at = self.offset(end) - as_u64(length - self.context.bounds.key);
        Err(MaskError::KeyTooLong { at, max: self.context.bounds.key })
    }

    /// The name that begins at `start` of the piece is longer than names may be.
    #[cold]
    fn key_too_long(&self, start: usize) -> MaskError {
        MaskError::KeyTooLong {
            at: self.offset(start) + as_u64(self.context.bounds.key),
            max: self.context.bounds.key,
        }
    }
}

/// Follows the member `name` in the automaton: first where the last record went from here.
#[inline(always)]
fn step(automaton: &Automaton, top: &mut Frame, next: &mut [u16], name: &[u8], prefix: u64) -> Option<Rule> {
    let expected = next.get_mut(usize::from(top.position))?;
    if let Some(rule) = automaton.rule_if(*expected, name, prefix) {
        top.position = *expected;
        return Some(rule);
    }
    let entry = automaton.find(top.rule.index, name, prefix)?;
    *expected = entry;
    top.position = entry;
    automaton.rule(entry)
}
