//! `application/x-www-form-urlencoded` (WHATWG URL, section 5): one record of names and values.
//!
//! Pairs are read one after another: a name is held until it is known, then its value is copied, taken
//! whole for its masker, or passed over. A pair that does not leave goes with its `&`.
//!
//! INVARIANT: `copying` is on only inside the value of a pair that leaves clear.

mod encoding;

use super::automaton::{NAMELESS, Rule};
use super::context::{Context, keep_up_to};
use super::error::MaskError;
use super::masker::Value;
use super::specials::Specials;
use super::untyped::{self, Fate};
use encoding::{Form, decode};

/// One body.
#[derive(Debug)]
pub(super) struct Reader(State);

impl Reader {
    /// A body has begun.
    pub(super) fn new() -> Self {
        Self(State {
            has_begun: false,
            place: Place::Name,
            escape: 0,
            fate: Fate::Dropped,
            rule: Rule::drop(NAMELESS),
            kept: false,
            copying: false,
            taken: Vec::new(),
        })
    }
}

impl super::context::Reader for Reader {
    fn read(&mut self, piece: &str, context: Context<'_>) -> Result<(), MaskError> {
        Scan::new(context, &mut self.0, piece).run()
    }

    fn finish(&mut self, context: Context<'_>) -> Result<(), MaskError> {
        Scan::new(context, &mut self.0, "").finish()
    }

    #[cfg(test)]
    fn footprint(&self) -> usize {
        self.0.taken.capacity()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Name,
    Value,
}

/// What is carried between pieces of a body.
#[derive(Debug)]
struct State {
    has_begun: bool,
    place: Place,
    /// How many digits of an escape are still to come.
    escape: u8,
    /// What becomes of the value at hand.
    fate: Fate,
    rule: Rule,
    /// Whether a pair has left.
    kept: bool,
    copying: bool,
    /// Bytes of earlier pieces of the name at hand, or of the value if it is taken whole; one more
    /// than the bound at most.
    taken: Vec<u8>,
}

/// One walk over one piece.
#[derive(Debug)]
struct Scan<'s> {
    context: Context<'s>,
    state: &'s mut State,
    piece: &'s [u8],
    /// Where the name or value at hand begins, or 0 if it began in an earlier piece.
    from: usize,
}

impl<'s> Scan<'s> {
    fn new(context: Context<'s>, state: &'s mut State, text: &'s str) -> Self {
        Self { context, state, piece: text.as_bytes(), from: 0 }
    }

    /// Walks the whole piece.
    fn run(mut self) -> Result<(), MaskError> {
        if !self.state.has_begun {
            if self.piece.starts_with("\u{FEFF}".as_bytes()) {
                return Err(MaskError::ByteOrderMark);
            }
            self.state.has_begun = true;
            self.context.record()?;
        }
        self.escape(0)?;
        let semicolon = memchr::memchr(b';', self.piece).filter(|_| self.context.plan.is_of_requests);
        let sound = semicolon.unwrap_or(self.piece.len());
        let mut specials = Specials::new(self.context.lanes, self.piece, *b"&=%");
        while let Some(at) = specials.next().filter(|at| *at < sound) {
            self.special(at)?;
        }
        if let Some(at) = semicolon {
            self.check_name(at)?;
            return Err(MaskError::Semicolon { at: self.offset(at) });
        }
        self.park()
    }

    #[inline(always)]
    fn special(&mut self, at: usize) -> Result<(), MaskError> {
        self.check_name(at)?;
        match (self.piece.get(at), self.state.place) {
            (Some(b'%'), _) => {
                self.state.escape = 2;
                self.escape(at.wrapping_add(1))
            }
            (Some(b'='), Place::Name) => {
                self.end_name(at, Some(b'='));
                Ok(())
            }
            (Some(b'='), Place::Value) => Ok(()),
            (Some(b'&'), _) => {
                self.end_pair(at);
                Ok(())
            }
            _ => Err(MaskError::Control { at: self.offset(at) }),
        }
    }

    /// The digits of an escape that are still to come must stand at `at`.
    #[inline(always)]
    fn escape(&mut self, at: usize) -> Result<(), MaskError> {
        for (place, byte) in self.piece.iter().enumerate().skip(at) {
            if self.state.escape == 0 {
                break;
            }
            if !byte.is_ascii_hexdigit() {
                self.check_name(place)?;
                return Err(MaskError::Escape { at: self.offset(place) });
            }
            self.state.escape -= 1;
        }
        Ok(())
    }

    /// Whether the name at hand, of which the bytes up to `end` are scanned, is short enough. This
    /// comes before any other error, so that the first one does not depend on where the pieces end.
    #[inline(always)]
    fn check_name(&self, end: usize) -> Result<(), MaskError> {
        let length = self.state.taken.len().saturating_add(end.saturating_sub(self.from));
        let max = self.context.bounds.key;
        if self.state.place != Place::Name || length <= max {
            return Ok(());
        }
        let excess = u64::try_from(length - max).unwrap_or_default();
        Err(MaskError::KeyTooLong { at: self.offset(end).saturating_sub(excess), max })
    }

    /// The name at hand ends before `at`.
    fn end_name(&mut self, at: usize, equals: Option<u8>) {
        let state = &mut *self.state;
        state.taken.extend_from_slice(self.piece.get(self.from..at).unwrap_or_default());
        let is_nothing = state.taken.is_empty() && equals.is_none();
        // No field is called by a name that is not UTF-8, or by none.
        let name = decode(&state.taken).unwrap_or_default();
        state.rule = untyped::find(self.context.plan, &name).unwrap_or(Rule::drop(NAMELESS));
        state.fate = Fate::of(self.context.plan, state.rule);
        if state.fate != Fate::Dropped {
            if std::mem::replace(&mut state.kept, true) {
                self.context.out.push(b'&');
            }
            self.context.out.extend_from_slice(&state.taken);
            self.context.out.extend(equals);
        } else if !is_nothing {
            self.context.tally.drop(state.rule.slot);
        }
        state.taken.clear();
        state.place = Place::Value;
        state.copying = state.fate == Fate::Clear;
        self.from = at.wrapping_add(1);
    }

    /// The pair at hand ends before `at`.
    #[inline(always)]
    fn end_pair(&mut self, at: usize) {
        match self.state.place {
            Place::Name => self.end_name(at, None),
            Place::Value => self.end_value(at),
        }
        self.state.place = Place::Name;
        self.state.copying = false;
        self.from = at.wrapping_add(1);
    }

    #[inline(always)]
    fn end_value(&mut self, at: usize) {
        let last = self.piece.get(self.from..at).unwrap_or_default();
        if self.state.copying {
            self.context.out.extend_from_slice(last);
        } else if self.state.fate != Fate::Dropped {
            self.take(last);
        }
    }

    /// The value at hand, which is taken whole, ends with `last`.
    fn take(&mut self, last: &[u8]) {
        let State { taken, fate, rule, .. } = &mut *self.state;
        let bound = self.context.bounds.value;
        let raw = if taken.is_empty() {
            last
        } else {
            keep_up_to(taken, last, bound);
            taken.as_slice()
        };
        let text = if raw.len() > bound { None } else { decode(raw) };
        match (text, *fate) {
            (Some(text), _) if fate.passes(text.as_bytes()) => {
                if let Some(value) = fate.searches(&text) {
                    self.context.search(*rule, value);
                }
                self.context.out.extend_from_slice(raw);
            }
            (Some(text), Fate::Masked) => self.context.mould::<Form>(*rule, Value::Text(&text), true),
            (None, Fate::Masked) => self.context.mould::<Form>(*rule, Value::Text(""), false),
            // Among them what is too long to be searched, or is no text that could be.
            _ => self.context.tally.mask(rule.slot),
        }
        taken.clear();
    }

    /// Ends the body.
    fn finish(mut self) -> Result<(), MaskError> {
        if self.state.escape > 0 {
            return Err(MaskError::Truncated { at: self.context.base });
        }
        self.end_pair(0);
        Ok(())
    }

    /// Puts away what the next piece needs of this one.
    fn park(&mut self) -> Result<(), MaskError> {
        self.check_name(self.piece.len())?;
        let rest = self.piece.get(self.from..).unwrap_or_default();
        if self.state.copying {
            self.context.out.extend_from_slice(rest);
        } else if self.state.place == Place::Name {
            self.state.taken.extend_from_slice(rest);
        } else if self.state.fate != Fate::Dropped {
            keep_up_to(&mut self.state.taken, rest, self.context.bounds.value);
        }
        Ok(())
    }

    fn offset(&self, at: usize) -> u64 {
        self.context.base.saturating_add(u64::try_from(at).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;
