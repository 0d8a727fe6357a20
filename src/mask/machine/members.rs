//! Members: what is held until a name is known, and what the name decides.

use std::ops::Range;

use super::super::automaton::{Automaton, Kind, NAMELESS, Rule};
use super::super::error::MaskError;
use super::super::text::{decode, plain_run, prefix, prefix_in};
use super::state::{After, Expect, Frame, Shape};
use super::{Scan, as_u64};

impl Scan<'_> {
    /// Takes members one after another, as long as each lies whole in the piece and has a scalar
    /// value: most do, and then nothing has to ask what comes next.
    #[inline(always)]
    pub(super) fn members(&mut self) -> Result<(), MaskError> {
        loop {
            let Some(byte) = self.token()? else { return Ok(()) };
            if byte != b'"' {
                return self.no_key(byte);
            }
            self.at += 1;
            self.state.escaped = false;
            self.state.key = self.at;
            self.state.key_is_held = false;
            self.at += plain_run(self.piece.get(self.at..).unwrap_or_default());
            if self.peek() != Some(b'"') {
                self.state.expect = Expect::InKey;
                return self.string();
            }
            self.at += 1;
            self.end_key()?;
            if self.peek() != Some(b':') {
                return Ok(());
            }
            self.at += 1;
            self.state.expect = Expect::Value;
            self.value()?;
            if self.peek() != Some(b',') || self.state.expect != Expect::SeparatorOrEnd {
                return Ok(());
            }
            match self.state.top.shape {
                Shape::Members => self.start_hold(),
                Shape::Whole => {}
                Shape::Array | Shape::Root => return Ok(()),
            }
            self.state.expect = Expect::Key;
            self.at += 1;
        }
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
        if !self.state.holding || held <= self.bounds.space {
            return Ok(());
        }
        let excess = held - self.bounds.space;
        Err(MaskError::SpaceTooLong { at: self.offset(self.at) - as_u64(excess), max: self.bounds.space })
    }

    /// Copying goes on, held bytes included but for the first `skipped`.
    pub(super) fn release(&mut self, skipped: usize) {
        self.mark = self.hold;
        if self.state.held.is_empty() {
            self.mark += skipped;
        } else {
            self.out.extend_from_slice(self.state.held.get(skipped..).unwrap_or_default());
            self.state.held.clear();
        }
        self.state.copying = true;
    }

    /// Held bytes that copying has not written yet are written, and none are held any more.
    pub(super) fn settle(&mut self) {
        if !self.state.held.is_empty() {
            self.out.extend_from_slice(&self.state.held);
            self.state.held.clear();
        }
        self.state.holding = false;
    }

    /// The quote that ends a name has just been taken.
    #[inline(always)]
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
        self.state.count_dropped(slot);
    }

    /// The rule of the name at `range` of the piece, or in `held` if that has its beginning.
    #[inline(always)]
    fn look_up(&mut self, range: Range<usize>) -> Option<Rule> {
        if self.state.key_is_held || self.state.escaped {
            return self.look_up_elsewhere(range);
        }
        let name = self.piece.get(range.clone()).unwrap_or_default();
        let prefix = prefix_in(self.piece.get(range.start..).unwrap_or_default(), name.len());
        step(&self.plan.automaton, &mut self.state.top, &mut self.state.next, name, prefix)
    }

    #[cold]
    fn look_up_elsewhere(&mut self, range: Range<usize>) -> Option<Rule> {
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
        step(&self.plan.automaton, &mut state.top, &mut state.next, name, prefix(name))
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
        if length <= self.bounds.key {
            return Ok(());
        }
        let excess = length - self.bounds.key;
        Err(MaskError::KeyTooLong { at: self.offset(end) - as_u64(excess), max: self.bounds.key })
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
    automaton.rule_if(entry, name, prefix)
}
