//! JSON and NDJSON, the token machine: grammar, copying and dropping over one piece of a body.
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

mod members;
mod scalars;
mod search;
mod state;
pub(super) mod text;

use crate::catalog::BodyFormat;

use super::automaton::{Kind, Rule, class};
use super::context::{Context, keep_up_to};
use super::error::MaskError;
use super::lanes::{Vector, Walk};
use super::plan::Plan;
use state::State;
use state::{After, Expect, Frame, Number, Shape};
use text::is_space;

/// One body of JSON, or of JSON lines.
#[derive(Debug)]
pub(super) struct Reader(State);

impl Reader {
    /// A body has begun.
    pub(super) fn new(plan: &Plan) -> Self {
        Self(State::new(plan.root, plan.format == BodyFormat::NdJson))
    }

    /// A document inside a text has begun, whose value goes by `rule`.
    pub(super) fn nested(rule: Rule) -> Self {
        Self(State::new(rule, false))
    }
}

impl super::context::Reader for Reader {
    fn read(&mut self, piece: &str, context: Context<'_>) -> Result<(), MaskError> {
        context.lanes.walk(Scan::new(context, &mut self.0, piece))
    }

    fn finish(&mut self, context: Context<'_>) -> Result<(), MaskError> {
        Scan::new(context, &mut self.0, "").finish()
    }

    #[cfg(test)]
    fn footprint(&self) -> usize {
        self.0.footprint()
    }
}

/// One walk over one piece.
#[derive(Debug)]
struct Scan<'s> {
    context: Context<'s>,
    state: &'s mut State,
    text: &'s str,
    /// The bytes of `text`.
    piece: &'s [u8],
    at: usize,
    /// While copying: where the bytes begin that are not written.
    mark: usize,
    /// While holding: where the held bytes of this piece begin.
    hold: usize,
    /// The longest spelling of a name that is not too long.
    longest_spelled: usize,
}

impl Walk for Scan<'_> {
    type Output = Result<(), MaskError>;

    #[inline(always)]
    fn walk<V: Vector>(self, vector: &mut V) -> Self::Output {
        self.run(vector)
    }
}

impl<'s> Scan<'s> {
    fn new(context: Context<'s>, state: &'s mut State, text: &'s str) -> Self {
        state.value_from = 0;
        // Quotes and a colon are not the name.
        let longest_spelled = context.bounds.key.saturating_add(3);
        Self { context, state, text, piece: text.as_bytes(), at: 0, mark: 0, hold: 0, longest_spelled }
    }

    /// Walks the whole piece.
    #[inline(always)]
    fn run<V: Vector>(mut self, vector: &mut V) -> Result<(), MaskError> {
        self.context.out.reserve(self.piece.len());
        while self.at < self.piece.len() {
            match self.state.expect {
                Expect::SeparatorOrEnd => self.separator(vector)?,
                Expect::Key | Expect::KeyOrEnd => self.members(vector)?,
                Expect::Colon => self.colon(vector)?,
                Expect::Value | Expect::ElementOrEnd => self.value(vector)?,
                Expect::InText | Expect::InKey => self.string()?,
                Expect::InNumber(number) => self.number(number)?,
                Expect::InLiteral(rest) => self.literal(rest)?,
                Expect::Nothing => self.nothing()?,
            }
        }
        self.park()
    }

    /// Ends the body: a number at its very end has no byte after it that would end it.
    fn finish(mut self) -> Result<(), MaskError> {
        if let Expect::InNumber(number) = self.state.expect
            && number.may_end()
            && self.state.top.shape == Shape::Root
        {
            self.end_value();
        }
        // Between lines there may be blank ones, or none at all.
        let between_lines =
            self.state.expect == Expect::Value && self.state.lines && self.state.top.shape == Shape::Root;
        let ended = self.state.expect == Expect::Nothing || between_lines;
        if ended { Ok(()) } else { Err(MaskError::Truncated { at: self.context.base }) }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.piece.get(self.at).copied()
    }

    /// The next byte that is not white space.
    #[inline(always)]
    fn token<V: Vector>(&mut self, vector: &mut V) -> Result<Option<u8>, MaskError> {
        match self.peek() {
            Some(byte) if !is_space(byte) => Ok(Some(byte)),
            _ => self.token_after_space(vector),
        }
    }

    fn token_after_space<V: Vector>(&mut self, vector: &mut V) -> Result<Option<u8>, MaskError> {
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let run = vector.space_run(rest);
        if self.state.lines
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

    fn offset(&self, at: usize) -> u64 {
        self.context.base + as_u64(at)
    }

    #[cold]
    fn syntax(&self, at: usize, expected: &'static str) -> MaskError {
        MaskError::Syntax { at: self.offset(at), expected }
    }

    /// Writes the bytes that are copied up to `end`.
    #[inline(always)]
    fn flush(&mut self, end: usize) {
        if let Some(bytes) = self.piece.get(self.mark..end) {
            self.context.out.extend_from_slice(bytes);
        }
        self.mark = end;
    }

    #[inline(always)]
    fn separator<V: Vector>(&mut self, vector: &mut V) -> Result<(), MaskError> {
        let Some(byte) = self.token(vector)? else { return Ok(()) };
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

    #[inline(always)]
    fn colon<V: Vector>(&mut self, vector: &mut V) -> Result<(), MaskError> {
        match self.token(vector)? {
            None => Ok(()),
            Some(b':') => {
                self.at += 1;
                self.state.expect = Expect::Value;
                Ok(())
            }
            Some(_) => Err(self.syntax(self.at, "`:`")),
        }
    }

    #[inline(always)]
    fn value<V: Vector>(&mut self, vector: &mut V) -> Result<(), MaskError> {
        let Some(byte) = self.token(vector)? else { return Ok(()) };
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
                self.context.out.extend_from_slice(b"null");
                self.context.tally.mask(rule.slot);
                self.state.rule = Rule::WHOLE;
            }
        }
        match byte {
            b'"' => self.text(vector),
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
        if self.state.stack.len() >= self.context.bounds.depth {
            return Err(MaskError::Depth { at: self.offset(self.at), max: self.context.bounds.depth });
        }
        let rule = self.state.rule;
        let after = std::mem::replace(&mut self.state.after, After::Nothing);
        let position = self.context.plan.automaton.start(rule.index);
        let frame = Frame { rule, shape, after, kept: false, position };
        let parent = std::mem::replace(&mut self.state.top, frame);
        self.state.stack.push(parent);
        self.at += 1;
        self.state.expect = if shape == Shape::Array { Expect::ElementOrEnd } else { Expect::KeyOrEnd };
        if shape == Shape::Members {
            self.start_hold();
            if rule.kind == Kind::Record {
                self.context.record()?;
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

    /// After a document there may be white space, and on a new line another document.
    fn nothing(&mut self) -> Result<(), MaskError> {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' if self.state.lines => {
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
            if self.context.searches(self.state.rule) {
                self.search_part();
                return Ok(());
            }
            let part = self.piece.get(self.state.value_from..).unwrap_or_default();
            keep_up_to(&mut self.state.value, part, self.context.bounds.value);
        }
        Ok(())
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
