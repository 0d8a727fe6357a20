//! Members: what is held until a name is known, and what the name decides.

use std::ops::Range;

use super::super::automaton::{Automaton, Entry, Kind, Rule, class};
use super::super::error::MaskError;
use super::super::lanes::Vector;
use super::state::{After, Expect, Frame, Shape};
use super::text::{decode, literal_run, number_run, plain_run, prefix, prefix_in};
use super::{Scan, as_u64};

impl<'s> Scan<'s> {
    /// Takes members one after another.
    #[inline(always)]
    pub(super) fn members<V: Vector>(&mut self, vector: &mut V) -> Result<(), MaskError> {
        let Some(byte) = self.token(vector)? else { return Ok(()) };
        if byte != b'"' {
            return self.no_key(byte);
        }
        if self.state.top.shape != Shape::Members {
            return self.members_of_whole(vector);
        }
        if self.state.held.is_empty() {
            return self.members_by_name(vector);
        }
        let start = self.at.wrapping_add(1);
        self.unusual_key(start, start)
    }

    /// Members whose rules depend on their names, as long as each has a scalar value and nothing
    /// unusual: most do, and then nothing has to ask what comes next.
    ///
    /// Position and hold stay in `at` and `hold` until something else must know them.
    #[inline(always)]
    fn members_by_name<V: Vector>(&mut self, vector: &mut V) -> Result<(), MaskError> {
        let (mut at, mut hold) = (self.at, self.hold);
        loop {
            let entry = match self.expected(vector, at) {
                Some(entry) => {
                    vector.skip_text();
                    at = at.wrapping_add(entry.length);
                    entry
                }
                None => {
                    self.hold_from(hold, at);
                    let Some(entry) = self.unexpected()? else { return Ok(()) };
                    vector.skip_text();
                    at = self.at;
                    entry
                }
            };
            let rule = &entry.rule;
            let dropped = rule.kind == Kind::Drop;
            if dropped {
                self.leave_out(hold, rule.slot);
            } else {
                self.take_in(hold);
            }
            match self.plain_value(vector, at, rule) {
                Some(end) => at = end,
                None => {
                    self.state.holding = false;
                    self.state.after = if dropped { After::Hold } else { After::Nothing };
                    self.state.rule = if dropped { Rule::WHOLE } else { *rule };
                    if !self.other_value(vector, at)? {
                        return Ok(());
                    }
                    at = self.at;
                }
            }
            hold = at;
            if let Some(next) = self.next_name(vector, at) {
                at = next;
                continue;
            }
            self.at = at;
            self.state.expect = Expect::SeparatorOrEnd;
            self.state.holding = dropped;
            self.hold = hold;
            if !self.next_object(vector)? {
                return Ok(());
            }
            (at, hold) = (self.at, self.hold);
        }
    }

    /// Members of an object that is copied or dropped as a whole: all go by its own rule.
    #[inline(always)]
    fn members_of_whole<V: Vector>(&mut self, vector: &mut V) -> Result<(), MaskError> {
        let piece = self.piece;
        let rule = self.state.top.rule;
        let mut at = self.at;
        loop {
            let Some(end) = vector.text_end(piece, at) else {
                let start = at.wrapping_add(1);
                return self.unusual_key(start, start);
            };
            at = end.wrapping_add(1);
            if piece.get(at) != Some(&b':') {
                self.at = at;
                self.state.expect = Expect::Colon;
                return Ok(());
            }
            at = at.wrapping_add(1);
            match self.plain_value(vector, at, &rule) {
                Some(end) => at = end,
                None => {
                    self.state.rule = rule;
                    if !self.other_value(vector, at)? {
                        return Ok(());
                    }
                    at = self.at;
                }
            }
            if let Some(next) = self.next_name(vector, at) {
                at = next;
                continue;
            }
            self.at = at;
            self.state.expect = Expect::SeparatorOrEnd;
            if !self.next_object(vector)? {
                return Ok(());
            }
            at = self.at;
        }
    }

    /// Where the next name begins, if nothing but a separator and white space comes before it.
    #[inline(always)]
    fn next_name<V: Vector>(&self, vector: &mut V, at: usize) -> Option<usize> {
        let rest = self.piece.get(at..)?;
        match rest.first_chunk::<2>()? {
            b",\"" => Some(at.wrapping_add(1)),
            [b',', _] => self.name_after_space(vector, at.wrapping_add(1)),
            _ => None,
        }
    }

    /// Where the name begins that comes after the white space at `at`.
    #[inline(always)]
    fn name_after_space<V: Vector>(&self, vector: &mut V, at: usize) -> Option<usize> {
        let run = vector.space_run(self.piece.get(at..)?);
        let name = at.wrapping_add(run);
        // What may be too long, or on another line, is left to who can tell.
        let is_short = run < self.context.bounds.space && !self.state.lines;
        if !is_short || self.piece.get(name) != Some(&b'"') {
            return None;
        }
        vector.skip_space(name);
        Some(name)
    }

    /// Goes on to the first name of the next object, if the object at hand ends here as an element of
    /// an array and the next one begins: it goes by the same rule.
    #[inline(always)]
    fn next_object<V: Vector>(&mut self, vector: &mut V) -> Result<bool, MaskError> {
        let Some(opened) = self.next_opened(vector) else { return Ok(false) };
        let name = match self.piece.get(opened) {
            Some(b'"') => opened,
            _ => match self.name_after_space(vector, opened) {
                Some(name) => name,
                None => return Ok(false),
            },
        };
        let is_element = self.state.stack.last().is_some_and(|parent| parent.shape == Shape::Array);
        if !is_element || self.state.top.after != After::Nothing {
            return Ok(false);
        }
        if self.state.top.shape == Shape::Members {
            if !self.state.copying {
                self.mark = self.at;
                self.state.copying = true;
            }
            self.hold = opened;
            self.state.holding = true;
        }
        let rule = self.state.top.rule;
        self.state.top.kept = false;
        self.state.top.position = self.context.plan.automaton.start(rule.index);
        self.state.expect = Expect::KeyOrEnd;
        self.at = name;
        if rule.kind == Kind::Record {
            self.context.record()?;
        }
        Ok(true)
    }

    /// Where the inside of the next object begins, if there is one behind the end of that at hand.
    #[inline(always)]
    fn next_opened<V: Vector>(&self, vector: &V) -> Option<usize> {
        let rest = self.piece.get(self.at..)?;
        if rest.first_chunk::<3>() == Some(b"},{") {
            return Some(self.at.wrapping_add(3));
        }
        let end = vector.space_run(rest);
        if end > self.context.bounds.space || self.state.lines {
            return None;
        }
        let rest = rest.get(end..)?.strip_prefix(b"},")?;
        let begin = vector.space_run(rest);
        let inside = rest.get(begin..)?.strip_prefix(b"{")?;
        Some(self.piece.len().wrapping_sub(inside.len()))
    }

    /// The entry that came next the last time, if its name is what stands at `at`.
    #[inline(always)]
    fn expected<V: Vector>(&mut self, vector: &mut V, at: usize) -> Option<&'s Entry> {
        let entry = self.context.plan.automaton.expected(self.state.top.position)?;
        let found = self.piece.get(at..)?.first_chunk()?;
        if !vector.agree(found, &entry.spelled, &entry.places) || entry.length > self.longest_spelled {
            return None;
        }
        self.state.top.position = entry.position;
        Some(entry)
    }

    /// The entry for the name that begins at `at`, which is moved behind its colon. If the name is no
    /// plain one, or does not lie in the piece with its colon, the state says what comes next.
    #[inline(never)]
    fn unexpected(&mut self) -> Result<Option<&'s Entry>, MaskError> {
        let start = self.at.wrapping_add(1);
        let rest = self.piece.get(start..).unwrap_or_default();
        let length = plain_run(rest);
        let end = start.wrapping_add(length);
        if self.piece.get(end) != Some(&b'"') {
            self.unusual_key(start, end)?;
            return Ok(None);
        }
        if length > self.context.bounds.key {
            return Err(self.key_too_long(start));
        }
        let name = rest.get(..length).unwrap_or_default();
        let entry = step(&self.context.plan.automaton, &mut self.state.top, name, prefix_in(rest, length));
        self.at = end.wrapping_add(1);
        if self.peek() == Some(b':') {
            self.at = self.at.wrapping_add(1);
            return Ok(Some(entry));
        }
        self.decide(entry.rule);
        self.state.expect = Expect::Colon;
        Ok(None)
    }

    /// What is held begins at `hold`, and the position is `at`.
    #[inline(always)]
    fn hold_from(&mut self, hold: usize, at: usize) {
        self.state.holding = true;
        self.hold = hold;
        self.at = at;
    }

    /// A member leaves, with what is held from `hold` on.
    #[inline(always)]
    fn take_in(&mut self, hold: usize) {
        if !self.state.copying {
            self.mark = hold.wrapping_add(usize::from(!self.state.top.kept));
            self.state.copying = true;
        }
        self.state.top.kept = true;
    }

    /// A member does not leave, nor what is held from `hold` on.
    #[inline(always)]
    fn leave_out(&mut self, hold: usize, slot: u16) {
        if self.state.copying {
            self.flush(hold);
            self.state.copying = false;
        }
        self.context.tally.drop(slot);
    }

    /// Takes the value that begins at or after `at` by the rule of the state, and tells whether it is
    /// all there and a scalar; if not, the state says what comes next.
    #[inline(always)]
    fn other_value<V: Vector>(&mut self, vector: &mut V, at: usize) -> Result<bool, MaskError> {
        self.at = at;
        self.state.expect = Expect::Value;
        self.value(vector)?;
        Ok(self.state.expect == Expect::SeparatorOrEnd)
    }

    /// Where the scalar that begins at `at`, or after a space, ends, if it goes by `rule` as it is or is
    /// a text that is taken, and nothing about it is unusual.
    #[inline(always)]
    pub(super) fn plain_value<V: Vector>(&mut self, vector: &mut V, at: usize, rule: &Rule) -> Option<usize> {
        let mut at = at;
        let mut byte = *self.piece.get(at)?;
        if byte == b' ' {
            at = at.wrapping_add(1);
            byte = *self.piece.get(at)?;
        }
        if byte == b'"' {
            let after = vector.text_end(self.piece, at)?.wrapping_add(1);
            if rule.copy & class::TEXT == 0 {
                if rule.mask & class::TEXT == 0 {
                    return None;
                }
                self.plain_mask(at, after, *rule);
            }
            return Some(after);
        }
        if rule.copy & class::of(byte) & class::SCALAR_OR_NULL == 0 {
            return None;
        }
        let rest = self.piece.get(at..)?;
        let length = if byte <= b'9' { number_run(rest) } else { literal_run(rest) };
        Some(at.wrapping_add(length?))
    }

    /// The text from `at` to `after`, which has no escapes, is taken for its masker.
    #[inline(never)]
    fn plain_mask(&mut self, at: usize, after: usize, rule: Rule) {
        self.flush(at);
        self.state.value_from = at;
        self.state.escaped = false;
        self.state.rule = rule;
        self.at = after;
        self.mask_value();
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
        let rule = self.look_up(self.state.key..end);
        self.decide(rule);
        Ok(())
    }

    /// A member goes by `rule`.
    fn decide(&mut self, rule: Rule) {
        if rule.kind == Kind::Drop {
            self.drop(rule.slot);
        } else {
            self.keep(rule);
        }
    }

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

    fn drop(&mut self, slot: u16) {
        self.leave_out(self.hold, slot);
        self.state.held.clear();
        self.state.holding = false;
        self.state.after = After::Hold;
        self.state.rule = Rule::WHOLE;
    }

    /// The rule of the name at `range` of the piece, or in `held` if that has its beginning.
    fn look_up(&mut self, range: Range<usize>) -> Rule {
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
        step(&self.context.plan.automaton, &mut state.top, name, prefix(name)).rule
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

/// Follows the member `name` in the automaton.
fn step<'a>(automaton: &'a Automaton, top: &mut Frame, name: &[u8], prefix: u64) -> &'a Entry {
    let found = automaton.find(top.rule.index, name, prefix);
    let Some((number, entry)) = found.and_then(|number| Some((number, automaton.entry(number)?))) else {
        return automaton.nameless();
    };
    automaton.expect(top.position, number);
    top.position = entry.position;
    entry
}
