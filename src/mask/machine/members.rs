//! Members: what is held until a name is known, and what the name decides.

use std::ops::Range;

use super::super::automaton::{Automaton, Kind, NAMELESS, Rule};
use super::super::error::MaskError;
use super::super::text::{decode, prefix};
use super::state::{After, Expect, Frame, Shape};
use super::{Scan, as_u64};

impl Scan<'_> {
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
    pub(super) fn keep(&mut self, rule: Rule) {
        if !self.state.copying {
            self.release(usize::from(!self.state.top.kept));
        }
        self.settle();
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
    pub(super) fn look_up(&mut self, range: Range<usize>) -> Option<Rule> {
        let automaton = &self.plan.automaton;
        let state = &mut *self.state;
        let raw = match state.key_is_held {
            true => state.held.get(range.start..).unwrap_or_default(),
            false => self.piece.get(range).unwrap_or_default(),
        };
        if state.escaped {
            state.decoded.clear();
            decode(std::str::from_utf8(raw).unwrap_or_default(), &mut state.decoded);
            return step(automaton, &mut state.top, &mut state.next, state.decoded.as_bytes());
        }
        step(automaton, &mut state.top, &mut state.next, raw)
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
fn step(automaton: &Automaton, top: &mut Frame, next: &mut [u16], name: &[u8]) -> Option<Rule> {
    let prefix = prefix(name);
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
