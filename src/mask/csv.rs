//! CSV (RFC 4180): records apart by lines, fields apart by delimiters, names in the first line.
//!
//! The header is read once: each column gets its [`Fate`], and from then on fields go by their number.
//! [`Scan`] visits the bytes that mean something (delimiters, quotes, line ends), in `records` by whole
//! records where nothing is unusual, and copies by ranges:
//! `mark` is where the bytes begin that are not written yet. A field that does not leave goes with the
//! delimiter before it, or, as long as nothing of its record has left, with the one after it.
//!
//! What leaves of a record is held back until its end, up to [`MAX_HELD_BYTES`]: one with a field too
//! many or too few shows values under the names of others, so nothing of it may leave.
//!
//! INVARIANT: `copying` is off from the end of the last field that leaves to the delimiter or line end
//! before which copying goes on; in the header it is off throughout, names are written by themselves.

mod fields;
mod header;
mod records;

use super::context::{Context, keep_up_to};
use super::error::MaskError;
use super::lanes::{Vector, Walk};
use super::plan::Plan;
use super::specials::Specials;
use super::untyped::Fate;
use header::{Column, Turn};

/// The longest header, in bytes.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// The most columns.
const MAX_COLUMNS: usize = 4_096;
/// The most of one record that is held until its end is seen, in bytes. A longer one leaves in parts.
const MAX_HELD_BYTES: usize = 64 << 10;
/// The bytes of most ranges that are copied, at most.
const SHORT: usize = 32;

/// One body.
#[derive(Debug)]
pub(super) struct Reader(State);

impl Reader {
    /// A body has begun.
    pub(super) fn new(plan: &Plan) -> Self {
        Self(State {
            delimiter: plan.delimiter.as_byte(),
            place: Place::Bare,
            columns: Vec::new(),
            in_header: true,
            leaving: 0,
            is_open: false,
            column: 0,
            fate: Fate::Dropped,
            carried: false,
            copying: false,
            value: Vec::new(),
            decoded: String::new(),
            held: Vec::new(),
            is_long: false,
        })
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
        let State { columns, value, decoded, held, .. } = &self.0;
        columns.capacity() * size_of::<Column>() + value.capacity() + decoded.capacity() + held.capacity()
    }
}

/// What the byte before the one at hand was part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A field without quotes, or nothing of a field yet.
    Bare,
    /// The inside of quotes.
    Quoted,
    /// A quote that ends its field, or is the first of two that stand for one.
    Closed,
    /// The CR of a line end.
    Return,
}

/// What is carried between pieces of a body.
#[derive(Debug)]
struct State {
    delimiter: u8,
    place: Place,
    /// What the header says, as far as it has been read.
    columns: Vec<Column>,
    in_header: bool,
    /// How many columns leave.
    leaving: usize,
    /// Whether a record, or the header, has begun and not ended.
    is_open: bool,
    /// Which column the field at hand is in, and what becomes of it.
    column: usize,
    fate: Fate,
    /// Whether the field at hand has bytes in earlier pieces.
    carried: bool,
    copying: bool,
    /// These bytes, if the field is taken whole; one more than the bound at most.
    value: Vec<u8>,
    decoded: String,
    /// What leaves of the record at hand, from earlier pieces.
    held: Vec<u8>,
    /// Whether the record at hand is too long to be held.
    is_long: bool,
}

/// One walk over one piece.
#[derive(Debug)]
struct Scan<'s> {
    context: Context<'s>,
    state: &'s mut State,
    text: &'s str,
    /// The bytes of `text`.
    piece: &'s [u8],
    /// While copying: where the bytes begin that are not written.
    mark: usize,
    /// Where the field at hand begins, or 0 if it began in an earlier piece.
    from: usize,
    /// At [`Place::Closed`] and [`Place::Return`]: where the next byte is, which must be a special one.
    next: usize,
    /// Where in the output the record at hand begins, counting what copying has yet to write.
    record: usize,
}

impl<'s> Scan<'s> {
    fn new(context: Context<'s>, state: &'s mut State, text: &'s str) -> Self {
        let record = context.out.len();
        Self { context, state, text, piece: text.as_bytes(), mark: 0, from: 0, next: 0, record }
    }

    /// Walks the whole piece.
    #[inline(always)]
    fn run(mut self) -> Result<(), MaskError> {
        if self.context.base == 0 && self.text.starts_with('\u{FEFF}') {
            return Err(MaskError::ByteOrderMark);
        }
        if !self.state.is_open {
            self.begin_record(0)?;
        }
        let mut specials = Specials::new(self.context.lanes, self.piece, [self.state.delimiter, b'"', b'"']);
        let mut next = specials.next();
        while let Some(at) = next {
            self.special(at)?;
            next = match self.is_at_start(at.wrapping_add(1)) {
                true => {
                    let (base, places) = specials.window();
                    let (count, unusual) = self.records(base, places)?;
                    specials.pass(count);
                    unusual.or_else(|| specials.next())
                }
                false => specials.next(),
            };
        }
        self.park()
    }

    /// Whether a record begins at `at`.
    fn is_at_start(&self, at: usize) -> bool {
        self.state.is_open && !self.state.in_header && self.state.column == 0 && self.from == at
    }

    /// The byte at `at` is a delimiter, a quote or a control character.
    #[inline(always)]
    fn special(&mut self, at: usize) -> Result<(), MaskError> {
        let Some(&byte) = self.piece.get(at) else { return Ok(()) };
        match self.state.place {
            Place::Bare if byte == self.state.delimiter => self.delimit(at),
            Place::Bare if byte == b'\n' => self.end_line(at, at.wrapping_add(1)),
            Place::Bare if byte == b'"' && at == self.from && !self.state.carried => {
                self.state.place = Place::Quoted;
                Ok(())
            }
            Place::Quoted if byte == b'"' => {
                self.check_header(at.wrapping_add(1))?;
                self.state.place = Place::Closed;
                self.next = at.wrapping_add(1);
                Ok(())
            }
            Place::Bare | Place::Quoted | Place::Closed | Place::Return => self.unusual(at, byte),
        }
    }

    fn unusual(&mut self, at: usize, byte: u8) -> Result<(), MaskError> {
        self.check_next(at)?;
        self.check_header(at)?;
        match (self.state.place, byte) {
            (Place::Closed, b'"') => {
                self.check_header(at.wrapping_add(1))?;
                self.state.place = Place::Quoted;
            }
            (Place::Closed, _) if byte == self.state.delimiter => {
                self.state.place = Place::Bare;
                return self.delimit(at);
            }
            (Place::Bare | Place::Closed, b'\r') => {
                self.state.place = Place::Return;
                self.next = at.wrapping_add(1);
                return self.end_fields(at);
            }
            (Place::Closed, b'\n') => {
                self.state.place = Place::Bare;
                return self.end_line(at, at.wrapping_add(1));
            }
            (Place::Return, b'\n') => {
                self.state.place = Place::Bare;
                return self.end_record(at.wrapping_add(1));
            }
            (Place::Return | Place::Closed, _) => return Err(self.wrong_next()),
            (Place::Bare, b'"') => return Err(self.syntax(at, "quotes around the whole field, or none")),
            (Place::Bare | Place::Quoted, b'\t') | (Place::Quoted, b'\r' | b'\n') => {}
            (Place::Quoted, _) if byte == self.state.delimiter => {}
            (Place::Bare | Place::Quoted, _) => return Err(MaskError::Control { at: self.offset(at) }),
        }
        Ok(())
    }

    /// After a quote that may end its field, and after a CR, the very next byte must be a special one;
    /// the next special one is at `at`, or the piece ends there.
    fn check_next(&self, at: usize) -> Result<(), MaskError> {
        let must_follow = matches!(self.state.place, Place::Closed | Place::Return);
        if must_follow && self.next < at { Err(self.wrong_next()) } else { Ok(()) }
    }

    #[cold]
    fn wrong_next(&self) -> MaskError {
        let expected = match self.state.place {
            Place::Return => "LF after CR",
            Place::Bare | Place::Quoted | Place::Closed => "a delimiter or a line end after a closing quote",
        };
        self.syntax(self.next, expected)
    }

    /// A field ends before the delimiter at `at`, and another begins after it.
    #[inline(always)]
    fn delimit(&mut self, at: usize) -> Result<(), MaskError> {
        if self.state.in_header {
            self.check_header(at)?;
            self.name(at)?;
        } else {
            self.end_field(at);
            self.state.column = self.state.column.wrapping_add(1);
            let Some(&column) = self.state.columns.get(self.state.column) else {
                return Err(self.ragged(at));
            };
            self.state.fate = column.fate;
            self.turn(column.turn, at);
        }
        self.begin_field(at.wrapping_add(1));
        Ok(())
    }

    #[inline(always)]
    fn begin_field(&mut self, at: usize) {
        self.from = at;
        self.state.carried = false;
    }

    /// The field at hand ends before `at`.
    #[inline(always)]
    fn end_field(&mut self, at: usize) {
        match self.state.fate {
            Fate::Clear if self.state.leaving > 1 => {}
            Fate::Clear
            | Fate::Searched
            | Fate::Number
            | Fate::SearchedNumber
            | Fate::Boolean
            | Fate::Masked
            | Fate::Emptied
            | Fate::Dropped => {
                let column = self.state.columns.get(self.state.column).copied();
                if let Some(column) = column {
                    self.take(at, &column);
                }
            }
        }
    }

    /// The line end at `at` is all of it: the next record begins at `end`.
    #[inline(always)]
    fn end_line(&mut self, at: usize, end: usize) -> Result<(), MaskError> {
        self.end_fields(at)?;
        self.end_record(end)
    }

    /// The last field of a record ends before `at`.
    #[inline(always)]
    fn end_fields(&mut self, at: usize) -> Result<(), MaskError> {
        let is_bare = at == self.from && !self.state.carried;
        if is_bare && self.state.column == 0 && (!self.state.in_header || self.state.columns.is_empty()) {
            return Err(self.syntax(at, "a record, not a blank line"));
        }
        if self.state.in_header {
            self.check_header(at)?;
            self.name(at)?;
            self.end_header();
        } else {
            self.end_field(at);
            if self.state.column.wrapping_add(1) != self.state.columns.len() {
                return Err(self.ragged(at));
            }
        }
        if !self.state.copying && self.state.leaving > 0 {
            self.go(at);
        }
        Ok(())
    }

    #[cold]
    fn ragged(&self, at: usize) -> MaskError {
        self.syntax(at, "as many fields as the header has")
    }

    /// A record has ended before `end`, line end included.
    #[inline(always)]
    fn end_record(&mut self, end: usize) -> Result<(), MaskError> {
        self.state.is_open = false;
        if !self.state.held.is_empty() || self.state.is_long {
            self.release(end);
        }
        self.note_start(end);
        if end < self.piece.len() { self.begin_record(end) } else { Ok(()) }
    }

    /// What leaves of the record that begins at `at` begins where all that is copied before ends.
    #[inline(always)]
    fn note_start(&mut self, at: usize) {
        let waiting = if self.state.copying { at.wrapping_sub(self.mark) } else { 0 };
        self.record = self.context.out.len().wrapping_add(waiting);
    }

    /// What was held of the record that ends at `end` leaves.
    fn release(&mut self, end: usize) {
        if self.state.copying {
            self.flush(end);
        }
        self.context.out.splice(self.record..self.record, self.state.held.drain(..));
        self.state.is_long = false;
    }

    /// A record, or the header, begins at `at`.
    #[inline(always)]
    fn begin_record(&mut self, at: usize) -> Result<(), MaskError> {
        self.state.is_open = true;
        self.begin_field(at);
        if self.state.in_header {
            return Ok(());
        }
        self.state.column = 0;
        if let Some(column) = self.state.columns.first() {
            self.state.fate = column.fate;
            if column.turn == Turn::Stop {
                self.stop(at);
            }
        }
        self.context.record()
    }

    /// Ends the body: its last record need not have a line end.
    fn finish(mut self) -> Result<(), MaskError> {
        let is_cut = match self.state.is_open {
            true => matches!(self.state.place, Place::Quoted | Place::Return),
            false => self.state.in_header,
        };
        if is_cut {
            return Err(MaskError::Truncated { at: self.context.base });
        }
        if self.state.is_open {
            self.end_fields(0)?;
            self.release(0);
            self.state.is_open = false;
        }
        Ok(())
    }

    fn offset(&self, at: usize) -> u64 {
        self.context.base.saturating_add(as_u64(at))
    }

    #[cold]
    fn syntax(&self, at: usize, expected: &'static str) -> MaskError {
        MaskError::Syntax { at: self.offset(at), expected }
    }

    /// Writes the bytes that are copied up to `end`.
    #[inline(always)]
    fn flush(&mut self, end: usize) {
        let (out, rest) = (&mut *self.context.out, self.piece.get(self.mark..).unwrap_or_default());
        let length = end.wrapping_sub(self.mark);
        match rest.first_chunk::<SHORT>() {
            // A copy of a known size is a few instructions, and what is too much of it is taken back.
            Some(chunk) if length <= SHORT => {
                let written = out.len().wrapping_add(length);
                out.extend_from_slice(chunk);
                out.truncate(written);
            }
            _ => out.extend_from_slice(rest.get(..length).unwrap_or_default()),
        }
        self.mark = end;
    }

    #[inline(always)]
    fn stop(&mut self, at: usize) {
        self.flush(at);
        self.state.copying = false;
    }

    #[inline(always)]
    fn go(&mut self, at: usize) {
        self.mark = at;
        self.state.copying = true;
    }

    /// Puts away what the next piece needs of this one.
    fn park(&mut self) -> Result<(), MaskError> {
        let end = self.piece.len();
        self.check_next(end)?;
        if !self.state.is_open {
            if self.state.copying {
                self.flush(end);
            }
            return Ok(());
        }
        self.check_header(end)?;
        let at_line_end = self.state.place == Place::Return;
        let taken = !at_line_end && (self.state.in_header || self.state.fate.takes_whole());
        if self.state.copying {
            self.flush(if taken { self.from } else { end });
        }
        if taken {
            let bound = if self.state.in_header { usize::MAX } else { self.context.bounds.value };
            keep_up_to(&mut self.state.value, self.piece.get(self.from..).unwrap_or_default(), bound);
        }
        self.state.carried |= self.from < end;
        self.hold();
        Ok(())
    }

    /// Takes back what has left of the record at hand: it leaves with the record's end.
    fn hold(&mut self) {
        if self.state.is_long {
            return;
        }
        let State { held, is_long, .. } = &mut *self.state;
        held.extend(self.context.out.drain(self.record.min(self.context.out.len())..));
        if held.len() > MAX_HELD_BYTES {
            self.context.out.append(held);
            *is_long = true;
        }
    }
}

impl Walk for Scan<'_> {
    type Output = Result<(), MaskError>;

    #[inline(always)]
    fn walk<V: Vector>(self, _: &mut V) -> Result<(), MaskError> {
        self.run()
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
