//! Scalars: strings, numbers and literals by their grammar, and what a masker leaves of them.

use super::super::context::keep_up_to;
use super::super::error::MaskError;
use super::super::lanes::Vector;
use super::super::masker::Value;
use super::super::notation::Json;
use super::Scan;
use super::state::{Escape, Expect, Half, Number, Shape};
use super::text::{decode, escape_run, unicode_run};

impl Scan<'_> {
    /// The error of a string, unless it lies in a name that is too long already.
    #[cold]
    pub(super) fn string_error(&self, error: MaskError) -> MaskError {
        let is_name = self.state.expect == Expect::InKey && self.state.top.shape == Shape::Members;
        match self.check_key(self.at) {
            Err(too_long) if is_name => too_long,
            _ => error,
        }
    }

    /// The quote that begins a text is at hand.
    #[inline(always)]
    pub(super) fn text<V: Vector>(&mut self, vector: &mut V) -> Result<(), MaskError> {
        self.state.escaped = false;
        match vector.text_end(self.piece, self.at) {
            Some(end) => self.at = end.wrapping_add(1),
            None => {
                self.at += 1;
                self.state.expect = Expect::InText;
                return self.string();
            }
        }
        self.end_value();
        Ok(())
    }

    /// Goes on in a string: after something that is not plain, or in a new piece.
    #[inline(never)]
    pub(super) fn string(&mut self) -> Result<(), MaskError> {
        if self.state.escape != Escape::None {
            self.escape()?;
        }
        loop {
            match self.peek() {
                None => return Ok(()),
                Some(b'"') => break,
                Some(b'\\') => {
                    self.state.escaped = true;
                    let rest = self.piece.get(self.at..).unwrap_or_default();
                    let run = unicode_run(rest);
                    match if run > 0 { Some(run) } else { escape_run(rest) } {
                        Some(length) => self.at += length,
                        None => {
                            self.at += 1;
                            self.state.escape = Escape::Begun;
                            self.escape()?;
                        }
                    }
                }
                Some(0..0x20) => {
                    return Err(self.string_error(MaskError::Control { at: self.offset(self.at) }));
                }
                Some(_) => {
                    self.at += self.context.lanes.plain_run(self.piece.get(self.at..).unwrap_or_default())
                }
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
    pub(super) fn escape(&mut self) -> Result<(), MaskError> {
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
    pub(super) fn hex(&self, byte: u8, left: u8, unit: u16, half: Half) -> Result<Escape, MaskError> {
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
    pub(super) fn begin_number(&mut self, number: Number) -> Result<(), MaskError> {
        self.at += 1;
        self.number(number)
    }

    #[inline(always)]
    pub(super) fn number(&mut self, mut number: Number) -> Result<(), MaskError> {
        let start = self.at;
        for (done, byte) in self.piece.get(start..).unwrap_or_default().iter().enumerate() {
            number = match (number, *byte) {
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
                (ended, _) => {
                    self.at = start.wrapping_add(done);
                    return self.end_number(ended);
                }
            };
        }
        self.at = self.piece.len();
        self.state.expect = Expect::InNumber(number);
        Ok(())
    }

    #[inline(always)]
    fn end_number(&mut self, number: Number) -> Result<(), MaskError> {
        if !number.may_end() {
            return Err(self.syntax(self.at, "a digit"));
        }
        self.end_value();
        Ok(())
    }

    /// Takes what is left of `true`, `false` or `null`.
    #[inline(always)]
    pub(super) fn literal(&mut self, mut rest: &'static [u8]) -> Result<(), MaskError> {
        if self.piece.get(self.at..).is_some_and(|piece| piece.starts_with(rest)) {
            self.at += rest.len();
            self.end_value();
            return Ok(());
        }
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

    /// Writes what the masker leaves of the value that ends before `at`.
    pub(super) fn mask_value(&mut self) {
        if self.context.searches(self.state.rule) {
            return self.end_search();
        }
        let state = &mut *self.state;
        let last = self.text.get(state.value_from..self.at).unwrap_or_default();
        if state.value.is_empty() && last.len() <= self.context.bounds.value {
            let value = scalar(last, state.escaped, &mut state.decoded);
            self.context.mould::<Json>(state.rule, value, true);
        } else {
            self.mask_long_value(last);
        }
        self.state.copying = true;
        self.mark = self.at;
    }

    /// [`Scan::mask_value`] of which there are earlier pieces, or that is too long; `last` is the piece
    /// of it at hand.
    #[inline(never)]
    fn mask_long_value(&mut self, last: &str) {
        let state = &mut *self.state;
        let raw = if state.value.is_empty() {
            last
        } else {
            keep_up_to(&mut state.value, last.as_bytes(), self.context.bounds.value);
            // Only a value that is too long can be cut inside a character; its kind is all it shows.
            std::str::from_utf8(&state.value).unwrap_or(if state.value.first() == Some(&b'"') {
                "\""
            } else {
                ""
            })
        };
        let too_long = raw.len() > self.context.bounds.value || state.value.len() > self.context.bounds.value;
        let kind = raw.get(..1).unwrap_or_default();
        let value = scalar(if too_long { kind } else { raw }, state.escaped, &mut state.decoded);
        self.context.mould::<Json>(state.rule, value, !too_long);
        state.value.clear();
    }
}

/// The scalar that `raw` writes; `decoded` holds its text if it has escapes.
fn scalar<'v>(raw: &'v str, escaped: bool, decoded: &'v mut String) -> Value<'v> {
    match raw.as_bytes() {
        [b'"', ..] => {
            let inside = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
            if !escaped {
                return Value::Text(inside);
            }
            decoded.clear();
            decode(inside, decoded);
            Value::Text(decoded)
        }
        [b't', ..] => Value::Boolean(true),
        [b'f', ..] => Value::Boolean(false),
        [b'n', ..] | [] => Value::Null,
        _ => Value::Number(raw),
    }
}
