//! The token machine: grammar, copying and dropping over one piece of a body.
//!
//! [`Scan`] walks a piece of valid UTF-8; [`State`] is what it carries from one piece to the next.
//! What may leave is never copied byte by byte: `mark` is where the bytes begin that are not written
//! yet, and they are written as one range when something else must come between or the piece ends.
//!
//! Three things interrupt copying. A *dropped* member goes with the separator before it; so the
//! separator, the white space after it and the name are *held* until the name has been looked up. A
//! *replaced* value is `null` from its first byte on. A *masked* scalar is taken whole.
//!
//! INVARIANT: `copying` is off from the first byte of a value that does not leave to its last, and
//! inside it every rule is [`Rule::WHOLE`].

use std::ops::Range;

use super::automaton::{Automaton, Kind, Rule, class};
use super::error::MaskError;
use super::masker::Value;
use super::plan::Plan;
use super::text::{decode, is_space, plain_run, prefix, space_run};
use super::transform::Bounds;

/// What may come next, or what the machine is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ElementOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    SeparatorOrEnd,
    /// White space after a whole document.
    Nothing,
    InKey,
    InText,
    InNumber(Number),
    InLiteral(&'static [u8]),
}

/// How far a number has come (RFC 8259 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Sign,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    const fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits)
    }
}

/// How far an escape in a string has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    /// `unit` so far, of which `left` digits are missing.
    Hex {
        left: u8,
        unit: u16,
        half: Half,
    },
    /// The second half of a surrogate pair must begin.
    WantsBackslash,
    WantsU,
}

/// Which half of a surrogate pair a `\u` escape may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    FirstOrNone,
    Second,
}

/// What happens when a value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// It was copied, or lies inside something that is not.
    Nothing,
    /// It was replaced: copying goes on behind it.
    Resume,
    /// Its member was dropped: what follows is held.
    Hold,
    /// It was taken for its masker.
    Mask,
}

/// One open container.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// The rule of the container; of an array also that of its elements.
    rule: Rule,
    shape: Shape,
    after: After,
    /// Whether a member has been kept.
    kept: bool,
    /// Where in the automaton the body is.
    position: u16,
}

/// What a frame is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Root,
    Array,
    /// An object whose members are looked up.
    Members,
    /// An object that is copied or dropped as a whole.
    Whole,
}

/// What the machine carries between pieces of a body.
#[derive(Debug)]
pub(super) struct State {
    expect: Expect,
    escape: Escape,
    after: After,
    copying: bool,
    holding: bool,
    /// Whether the string at hand has an escape.
    escaped: bool,
    rule: Rule,
    top: Frame,
    stack: Vec<Frame>,
    /// Held bytes of earlier pieces.
    held: Vec<u8>,
    /// Where in `held` the name at hand begins, or, if `held` lacks it, where in the piece.
    key: usize,
    /// Whether `key` counts in `held`.
    key_is_held: bool,
    /// Bytes of earlier pieces of the value taken for its masker; one more than the bound at most.
    value: Vec<u8>,
    /// Where in the piece that value begins.
    value_from: usize,
    decoded: String,
    /// The entry that came after each position the last time; records repeat their order.
    next: Vec<u16>,
    pub(super) records: u64,
    pub(super) masked: Vec<u64>,
    pub(super) dropped: Vec<u64>,
}

impl State {
    pub(super) fn new(plan: &Plan) -> Self {
        let top =
            Frame { rule: plan.root, shape: Shape::Root, after: After::Nothing, kept: false, position: 0 };
        let counters = plan.paths.len() + 1;
        Self {
            expect: Expect::Value,
            escape: Escape::None,
            after: After::Nothing,
            copying: true,
            holding: false,
            escaped: false,
            rule: plan.root,
            top,
            stack: Vec::new(),
            held: Vec::new(),
            key: 0,
            key_is_held: false,
            value: Vec::new(),
            value_from: 0,
            decoded: String::new(),
            next: vec![u16::MAX; plan.automaton.positions()],
            records: 0,
            masked: vec![0; counters],
            dropped: vec![0; counters],
        }
    }

    /// The memory that the growing parts hold, in bytes.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.stack.capacity() * size_of::<Frame>()
            + self.held.capacity()
            + self.value.capacity()
            + self.decoded.capacity()
            + self.next.capacity() * 2
            + (self.masked.capacity() + self.dropped.capacity()) * 8
    }

    fn count_masked(&mut self, slot: u16) {
        if let Some(count) = self.masked.get_mut(usize::from(slot)) {
            *count += 1;
        }
    }

    fn count_dropped(&mut self, slot: u16) {
        if let Some(count) = self.dropped.get_mut(usize::from(slot)) {
            *count += 1;
        }
    }
}

/// One walk over one piece.
#[derive(Debug)]
pub(super) struct Scan<'s> {
    pub(super) plan: &'s Plan,
    pub(super) bounds: &'s Bounds,
    pub(super) state: &'s mut State,
    /// Valid UTF-8.
    pub(super) piece: &'s [u8],
    /// Where in the body the piece begins.
    pub(super) base: u64,
    pub(super) out: &'s mut Vec<u8>,
    at: usize,
    /// While copying: where the bytes begin that are not written.
    mark: usize,
    /// While holding: where the held bytes of this piece begin.
    hold: usize,
}

impl<'s> Scan<'s> {
    pub(super) fn new(
        plan: &'s Plan,
        bounds: &'s Bounds,
        state: &'s mut State,
        piece: &'s [u8],
        base: u64,
        out: &'s mut Vec<u8>,
    ) -> Self {
        state.value_from = 0;
        Self { plan, bounds, state, piece, base, out, at: 0, mark: 0, hold: 0 }
    }

    /// Walks the whole piece.
    pub(super) fn run(mut self) -> Result<(), MaskError> {
        while self.at < self.piece.len() {
            match self.state.expect {
                Expect::SeparatorOrEnd => self.separator()?,
                Expect::Key | Expect::KeyOrEnd => self.key()?,
                Expect::Colon => self.colon()?,
                Expect::Value | Expect::ElementOrEnd => self.value()?,
                Expect::InText | Expect::InKey => self.string()?,
                Expect::InNumber(number) => self.number(number)?,
                Expect::InLiteral(rest) => self.literal(rest)?,
                Expect::Nothing => self.nothing()?,
            }
        }
        self.park()
    }

    /// Ends the body: a number at its very end has no byte after it that would end it.
    pub(super) fn finish(mut self) -> Result<(), MaskError> {
        if let Expect::InNumber(number) = self.state.expect
            && number.may_end()
            && self.state.top.shape == Shape::Root
        {
            self.end_value();
        }
        let ended = match self.state.expect {
            Expect::Nothing => true,
            // Blank lines and no lines at all are fine between documents.
            expect => expect == Expect::Value && self.plan.lines && self.state.top.shape == Shape::Root,
        };
        if ended { Ok(()) } else { Err(MaskError::Truncated { at: self.base }) }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.piece.get(self.at).copied()
    }

    /// The next byte that is not white space.
    #[inline(always)]
    fn token(&mut self) -> Result<Option<u8>, MaskError> {
        match self.peek() {
            Some(byte) if !is_space(byte) => Ok(Some(byte)),
            _ => self.token_after_space(),
        }
    }

    fn token_after_space(&mut self) -> Result<Option<u8>, MaskError> {
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let run = space_run(rest);
        if self.plan.lines
            && self.state.top.shape != Shape::Root
            && let Some(newline) = rest.iter().take(run).position(|byte| *byte == b'\n')
        {
            self.at += newline;
            self.check_space()?;
            return Err(self.syntax(self.at, "the rest of the document on the same line"));
        }
        self.at += run;
        self.check_space()?;
        Ok(self.peek())
    }

    /// Held bytes other than a name are a separator and white space.
    fn check_space(&self) -> Result<(), MaskError> {
        let held = self.state.held.len() + self.at.saturating_sub(self.hold);
        if !self.state.holding || held <= self.bounds.space {
            return Ok(());
        }
        let excess = held - self.bounds.space;
        Err(MaskError::SpaceTooLong { at: self.offset(self.at) - as_u64(excess), max: self.bounds.space })
    }

    fn offset(&self, at: usize) -> u64 {
        self.base + as_u64(at)
    }

    #[cold]
    fn syntax(&self, at: usize, expected: &'static str) -> MaskError {
        MaskError::Syntax { at: self.offset(at), expected }
    }

    /// Writes the bytes that are copied up to `end`.
    #[inline(always)]
    fn flush(&mut self, end: usize) {
        if let Some(bytes) = self.piece.get(self.mark..end) {
            self.out.extend_from_slice(bytes);
        }
        self.mark = end;
    }

    #[inline(always)]
    fn start_hold(&mut self) {
        self.state.held.clear();
        self.state.holding = true;
        self.hold = self.at;
    }

    #[inline(always)]
    fn separator(&mut self) -> Result<(), MaskError> {
        let Some(byte) = self.token()? else { return Ok(()) };
        let in_object = matches!(self.state.top.shape, Shape::Members | Shape::Whole);
        match byte {
            b',' if in_object => {
                if self.state.top.shape == Shape::Members {
                    self.start_hold();
                }
                self.state.expect = Expect::Key;
                self.at += 1;
            }
            b',' => {
                self.state.rule = self.state.top.rule;
                self.state.expect = Expect::Value;
                self.at += 1;
            }
            b'}' if in_object => self.close(),
            b']' if !in_object => self.close(),
            _ => return Err(self.syntax(self.at, if in_object { "`,` or `}`" } else { "`,` or `]`" })),
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.state.holding {
            if !self.state.copying {
                self.release(0);
            }
            self.settle();
        }
        self.at += 1;
        self.state.after = self.state.top.after;
        if let Some(frame) = self.state.stack.pop() {
            self.state.top = frame;
        }
        self.end_value();
    }

    /// Copying goes on, held bytes included but for the first `skipped`.
    fn release(&mut self, skipped: usize) {
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
    fn settle(&mut self) {
        if !self.state.held.is_empty() {
            self.out.extend_from_slice(&self.state.held);
            self.state.held.clear();
        }
        self.state.holding = false;
    }

    #[inline(always)]
    fn key(&mut self) -> Result<(), MaskError> {
        let Some(byte) = self.token()? else { return Ok(()) };
        match byte {
            b'"' => {
                self.at += 1;
                self.state.escaped = false;
                self.state.key = self.at;
                self.state.key_is_held = false;
                self.state.expect = Expect::InKey;
                self.string()
            }
            b'}' if self.state.expect == Expect::KeyOrEnd => {
                self.close();
                Ok(())
            }
            _ => Err(self.syntax(self.at, "a member name in quotes")),
        }
    }

    #[inline(always)]
    fn colon(&mut self) -> Result<(), MaskError> {
        match self.token()? {
            None => Ok(()),
            Some(b':') => {
                self.at += 1;
                self.state.expect = Expect::Value;
                Ok(())
            }
            Some(_) => Err(self.syntax(self.at, "`:`")),
        }
    }

    /// The quote that ends a name has just been taken.
    #[inline(always)]
    fn end_key(&mut self) -> Result<(), MaskError> {
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
            dropped => self.drop(dropped.map_or(super::automaton::NAMELESS, |rule| rule.slot)),
        }
        Ok(())
    }

    #[inline(always)]
    fn keep(&mut self, rule: Rule) {
        if !self.state.copying {
            self.release(usize::from(!self.state.top.kept));
        }
        self.settle();
        self.state.top.kept = true;
        self.state.rule = rule;
    }

    fn drop(&mut self, slot: u16) {
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
    fn check_key(&self, end: usize) -> Result<(), MaskError> {
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

    /// The error of a string, unless it lies in a name that is too long already.
    #[cold]
    fn string_error(&self, error: MaskError) -> MaskError {
        let is_name = self.state.expect == Expect::InKey && self.state.top.shape == Shape::Members;
        match self.check_key(self.at) {
            Err(too_long) if is_name => too_long,
            _ => error,
        }
    }

    #[inline(always)]
    fn value(&mut self) -> Result<(), MaskError> {
        let Some(byte) = self.token()? else { return Ok(()) };
        let class = class::of(byte);
        let rule = self.state.rule;
        if rule.copy & class == 0 {
            if class == 0 {
                return self.no_value(byte);
            }
            if rule.mask & class != 0 {
                self.interrupt(After::Mask);
            } else {
                self.interrupt(After::Resume);
                self.out.extend_from_slice(b"null");
                self.state.count_masked(rule.slot);
                self.state.rule = Rule::WHOLE;
            }
        }
        match byte {
            b'"' => {
                self.at += 1;
                self.state.escaped = false;
                self.state.expect = Expect::InText;
                self.string()
            }
            b'{' => self.open(self.object_shape()),
            b'[' => self.open(Shape::Array),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            b'-' => self.begin_number(Number::Sign),
            b'0' => self.begin_number(Number::Zero),
            _ => self.begin_number(Number::Integer),
        }
    }

    fn no_value(&mut self, byte: u8) -> Result<(), MaskError> {
        if byte == b']' && self.state.expect == Expect::ElementOrEnd {
            self.close();
            return Ok(());
        }
        if byte == 0xEF && self.offset(self.at) == 0 {
            return Err(MaskError::ByteOrderMark);
        }
        Err(self.syntax(self.at, "a value"))
    }

    /// Copying stops before the value that begins here.
    #[inline(always)]
    fn interrupt(&mut self, after: After) {
        self.flush(self.at);
        self.state.copying = false;
        self.state.after = after;
        self.state.value_from = self.at;
    }

    fn object_shape(&self) -> Shape {
        match self.state.rule.kind {
            Kind::Node | Kind::Record => Shape::Members,
            Kind::Plain | Kind::Drop => Shape::Whole,
        }
    }

    #[inline(always)]
    fn open(&mut self, shape: Shape) -> Result<(), MaskError> {
        if self.state.stack.len() >= self.bounds.depth {
            return Err(MaskError::Depth { at: self.offset(self.at), max: self.bounds.depth });
        }
        let rule = self.state.rule;
        let after = std::mem::replace(&mut self.state.after, After::Nothing);
        let position = self.plan.automaton.start(rule.index);
        let frame = Frame { rule, shape, after, kept: false, position };
        let parent = std::mem::replace(&mut self.state.top, frame);
        self.state.stack.push(parent);
        self.at += 1;
        self.state.expect = if shape == Shape::Array { Expect::ElementOrEnd } else { Expect::KeyOrEnd };
        if shape == Shape::Members {
            self.start_hold();
            if rule.kind == Kind::Record {
                self.state.records += 1;
                if let Some(max) = self.bounds.records.filter(|max| self.state.records > *max) {
                    return Err(MaskError::TooManyRecords { max });
                }
            }
        }
        Ok(())
    }

    /// The value at hand ends before `at`.
    #[inline(always)]
    fn end_value(&mut self) {
        self.state.expect = match self.state.top.shape {
            Shape::Root => Expect::Nothing,
            Shape::Array | Shape::Members | Shape::Whole => Expect::SeparatorOrEnd,
        };
        match self.state.after {
            After::Nothing => return,
            After::Hold => self.start_hold(),
            After::Mask => self.mask_value(),
            After::Resume => {
                self.state.copying = true;
                self.mark = self.at;
            }
        }
        self.state.after = After::Nothing;
    }

    /// Writes what the masker leaves of the value that ends before `at`.
    fn mask_value(&mut self) {
        let state = &mut *self.state;
        let last = self.piece.get(state.value_from..self.at).unwrap_or_default();
        let raw = if state.value.is_empty() {
            last
        } else {
            keep_up_to(&mut state.value, last, self.bounds.value);
            &state.value
        };
        if let Some(fitted) = self.plan.maskers.get(usize::from(state.rule.index)) {
            if raw.len() <= self.bounds.value {
                let value = scalar(raw, state.escaped, &mut state.decoded);
                fitted.masker.apply(value, fitted.pseudonym.as_ref(), self.out);
            } else {
                fitted
                    .masker
                    .hide(scalar(raw.get(..1).unwrap_or_default(), false, &mut state.decoded), self.out);
            }
        }
        state.value.clear();
        let slot = state.rule.slot;
        state.count_masked(slot);
        self.state.copying = true;
        self.mark = self.at;
    }

    #[inline(always)]
    fn string(&mut self) -> Result<(), MaskError> {
        if self.state.escape != Escape::None {
            self.escape()?;
        }
        loop {
            self.at += plain_run(self.piece.get(self.at..).unwrap_or_default());
            match self.peek() {
                None => return Ok(()),
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    self.state.escaped = true;
                    self.state.escape = Escape::Begun;
                    self.escape()?;
                }
                Some(_) => return Err(self.string_error(MaskError::Control { at: self.offset(self.at) })),
            }
        }
        self.at += 1;
        if self.state.expect == Expect::InKey {
            return self.end_key();
        }
        self.end_value();
        Ok(())
    }

    /// Walks an escape to its end, or to that of the piece.
    fn escape(&mut self) -> Result<(), MaskError> {
        while let Some(byte) = self.peek()
            && self.state.escape != Escape::None
        {
            self.state.escape = match (self.state.escape, byte) {
                (Escape::Begun, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Escape::None,
                (Escape::Begun, b'u') => Escape::Hex { left: 4, unit: 0, half: Half::FirstOrNone },
                (Escape::Hex { left, unit, half }, _) => self.hex(byte, left, unit, half)?,
                (Escape::WantsBackslash, b'\\') => Escape::WantsU,
                (Escape::WantsU, b'u') => Escape::Hex { left: 4, unit: 0, half: Half::Second },
                (Escape::WantsBackslash | Escape::WantsU, _) => {
                    return Err(self.string_error(MaskError::Surrogate { at: self.offset(self.at) }));
                }
                (Escape::Begun | Escape::None, _) => {
                    return Err(self.string_error(MaskError::Escape { at: self.offset(self.at) }));
                }
            };
            self.at += 1;
        }
        Ok(())
    }

    /// Takes one hexadecimal digit of a `\u` escape.
    fn hex(&self, byte: u8, left: u8, unit: u16, half: Half) -> Result<Escape, MaskError> {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
        let Some(digit) = digit else {
            return Err(self.string_error(MaskError::Escape { at: self.offset(self.at) }));
        };
        let unit = unit << 4 | digit;
        if left > 1 {
            return Ok(Escape::Hex { left: left - 1, unit, half });
        }
        match (half, unit) {
            (Half::FirstOrNone, 0xD800..=0xDBFF) => Ok(Escape::WantsBackslash),
            (Half::Second, 0xDC00..=0xDFFF) => Ok(Escape::None),
            (Half::Second, _) | (Half::FirstOrNone, 0xDC00..=0xDFFF) => {
                Err(self.string_error(MaskError::Surrogate { at: self.offset(self.at) }))
            }
            (Half::FirstOrNone, _) => Ok(Escape::None),
        }
    }

    #[inline(always)]
    fn begin_number(&mut self, number: Number) -> Result<(), MaskError> {
        self.at += 1;
        self.number(number)
    }

    #[inline(always)]
    fn number(&mut self, mut number: Number) -> Result<(), MaskError> {
        while let Some(byte) = self.peek() {
            number = match (number, byte) {
                (Number::Integer, b'0'..=b'9') => Number::Integer,
                (Number::Fraction | Number::Point, b'0'..=b'9') => Number::Fraction,
                (Number::Zero | Number::Integer, b'.') => Number::Point,
                (Number::Sign, b'0') => Number::Zero,
                (Number::Sign, b'1'..=b'9') => Number::Integer,
                (Number::Zero | Number::Integer | Number::Fraction, b'e' | b'E') => Number::Exponent,
                (Number::Exponent, b'+' | b'-') => Number::ExponentSign,
                (Number::Exponent | Number::ExponentSign | Number::ExponentDigits, b'0'..=b'9') => {
                    Number::ExponentDigits
                }
                (ended, _) if ended.may_end() => {
                    self.end_value();
                    return Ok(());
                }
                _ => return Err(self.syntax(self.at, "a digit")),
            };
            self.at += 1;
        }
        self.state.expect = Expect::InNumber(number);
        Ok(())
    }

    /// Takes what is left of `true`, `false` or `null`.
    #[inline(always)]
    fn literal(&mut self, mut rest: &'static [u8]) -> Result<(), MaskError> {
        while let Some((wanted, after)) = rest.split_first() {
            match self.peek() {
                None => {
                    self.state.expect = Expect::InLiteral(rest);
                    return Ok(());
                }
                Some(byte) if byte == *wanted => self.at += 1,
                Some(_) => return Err(self.syntax(self.at, "`true`, `false` or `null`")),
            }
            rest = after;
        }
        self.end_value();
        Ok(())
    }

    /// After a document there may be white space, and on a new line another document.
    fn nothing(&mut self) -> Result<(), MaskError> {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' if self.plan.lines => {
                    self.state.expect = Expect::Value;
                    self.state.rule = self.state.top.rule;
                    self.at += 1;
                    return Ok(());
                }
                space if is_space(space) => self.at += 1,
                _ => return Err(MaskError::Trailing { at: self.offset(self.at) }),
            }
        }
        Ok(())
    }

    /// Puts away what the next piece needs of this one.
    fn park(&mut self) -> Result<(), MaskError> {
        let end = self.piece.len();
        if self.state.copying {
            self.flush(if self.state.holding { self.hold } else { end });
        }
        if self.state.holding {
            if self.state.expect == Expect::InKey {
                self.check_key(end)?;
                if !self.state.key_is_held {
                    self.state.key = self.state.held.len() + (self.state.key - self.hold);
                    self.state.key_is_held = true;
                }
            }
            self.state.held.extend_from_slice(self.piece.get(self.hold..).unwrap_or_default());
        }
        if self.state.after == After::Mask {
            let part = self.piece.get(self.state.value_from..).unwrap_or_default();
            keep_up_to(&mut self.state.value, part, self.bounds.value);
        }
        Ok(())
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

/// The scalar that `raw` writes; `decoded` holds its text if it has escapes.
fn scalar<'v>(raw: &'v [u8], escaped: bool, decoded: &'v mut String) -> Value<'v> {
    let text = std::str::from_utf8(raw).unwrap_or_default();
    match raw.first() {
        Some(b'"') => {
            let inside = text.strip_prefix('"').unwrap_or_default();
            let inside = inside.strip_suffix('"').unwrap_or_default();
            if !escaped {
                return Value::Text(inside);
            }
            decoded.clear();
            decode(inside, decoded);
            Value::Text(decoded)
        }
        Some(b't') => Value::Boolean(true),
        Some(b'f') => Value::Boolean(false),
        Some(b'n') | None => Value::Null,
        Some(_) => Value::Number(text),
    }
}

/// Appends to `value` until it is one byte longer than `bound`, which tells that it is too long.
fn keep_up_to(value: &mut Vec<u8>, part: &[u8], bound: usize) {
    let room = bound.saturating_add(1).saturating_sub(value.len());
    value.extend_from_slice(part.get(..room).unwrap_or(part));
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
