//! Whole records, one after another: most are as they should be and lie in one piece.
//!
//! Nothing is decided here that is not decided in the same way byte by byte. Where anything is unusual
//! the state is set as it would be there, and the special byte at hand is handed back.

use super::super::error::MaskError;
use super::super::untyped::Fate;
use super::header::{Column, Turn};
use super::{Place, Scan};

/// The special bytes of a part of the piece: what is left of their places, counted from `base`.
#[derive(Debug)]
struct Places<'p> {
    base: usize,
    left: std::slice::Iter<'p, u16>,
}

impl Places<'_> {
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        self.left.next().map(|place| self.base.wrapping_add(usize::from(*place)))
    }
}

/// How far a record could be taken.
enum Taken {
    /// To its line end, at this place.
    Whole(usize),
    /// To this special byte, or to the last one, in the column of this number.
    Part(Option<usize>, usize),
}

/// How a field that begins with a quote goes on.
enum Quoted {
    /// Its closing quote is just before the special byte at this place, and that is this one.
    Closed(usize, u8),
    /// What comes is not for here, but for [`Place`].
    Unusual(Place, Option<usize>),
}

impl Scan<'_> {
    /// Takes records as long as each is as it should be. The first has begun, and nothing of it has
    /// been read. `places` are those of special bytes, counted from `base`. Returns how many of them
    /// have been taken, and the last one if that has not been understood.
    #[inline(always)]
    pub(super) fn records(
        &mut self,
        base: usize,
        places: &[u16],
    ) -> Result<(usize, Option<usize>), MaskError> {
        let columns = std::mem::take(&mut self.state.columns);
        let mut rest = Places { base, left: places.iter() };
        let result = self.records_of(&columns, &mut rest);
        self.state.columns = columns;
        Ok((places.len().wrapping_sub(rest.left.len()), result?))
    }

    #[inline(always)]
    fn records_of(
        &mut self,
        columns: &[Column],
        places: &mut Places<'_>,
    ) -> Result<Option<usize>, MaskError> {
        // Only the first record can have been held, and it has nothing yet.
        let begins_off = columns.first().is_some_and(|column| column.turn == Turn::Stop);
        loop {
            match self.record_of(columns, places) {
                Taken::Whole(at) => {
                    if !self.state.copying && self.state.leaving > 0 {
                        self.go(at);
                    }
                    let end = at.wrapping_add(1);
                    self.note_start(end);
                    if end == self.piece.len() {
                        self.state.is_open = false;
                        return Ok(None);
                    }
                    self.from = end;
                    if begins_off {
                        self.stop(end);
                    }
                    self.context.record()?;
                }
                Taken::Part(next, number) => {
                    self.state.column = number;
                    self.state.fate = columns.get(number).map_or(Fate::Dropped, |column| column.fate);
                    return Ok(next);
                }
            }
        }
    }

    #[inline(always)]
    fn record_of(&mut self, columns: &[Column], places: &mut Places<'_>) -> Taken {
        let (piece, delimiter, is_alone) = (self.piece, self.state.delimiter, self.state.leaving == 1);
        let Some((last, front)) = columns.split_last() else { return Taken::Part(places.next(), 0) };
        let mut from = self.from;
        for (number, column) in front.iter().enumerate() {
            let Some(mut at) = places.next() else { return self.part(None, number, from) };
            let mut byte = piece.get(at).copied().unwrap_or_default();
            if byte == b'"' {
                match self.quoted(from, at, places) {
                    Quoted::Closed(after, end) => (at, byte) = (after, end),
                    Quoted::Unusual(place, next) => {
                        self.state.place = place;
                        return self.part(next, number, from);
                    }
                }
            }
            if byte != delimiter {
                return self.unusual_end(number, from, at);
            }
            if column.fate != Fate::Clear || is_alone {
                self.from = from;
                self.take_here(at, column);
            }
            self.turn(column.after, at);
            from = at.wrapping_add(1);
        }
        let number = front.len();
        let Some(mut at) = places.next() else { return self.part(None, number, from) };
        let mut byte = piece.get(at).copied().unwrap_or_default();
        if byte == b'"' {
            match self.quoted(from, at, places) {
                Quoted::Closed(after, end) => (at, byte) = (after, end),
                Quoted::Unusual(place, next) => {
                    self.state.place = place;
                    return self.part(next, number, from);
                }
            }
        }
        if byte != b'\n' || (number == 0 && from == at) {
            return self.unusual_end(number, from, at);
        }
        self.from = from;
        if last.fate != Fate::Clear || is_alone {
            self.take_here(at, last);
        }
        Taken::Whole(at)
    }

    #[inline(never)]
    fn part(&mut self, next: Option<usize>, number: usize, from: usize) -> Taken {
        self.from = from;
        Taken::Part(next, number)
    }

    /// The field from `from` on does not end at `at` as it should.
    #[inline(never)]
    fn unusual_end(&mut self, number: usize, from: usize, at: usize) -> Taken {
        let is_closed = from < at && self.piece.get(from) == Some(&b'"');
        self.state.place = if is_closed { Place::Closed } else { Place::Bare };
        self.next = at;
        self.part(Some(at), number, from)
    }

    /// Walks the field from `from` on from the quote at `at` to the closing one.
    #[inline(always)]
    fn quoted(&mut self, from: usize, at: usize, places: &mut Places<'_>) -> Quoted {
        if at != from {
            return Quoted::Unusual(Place::Bare, Some(at));
        }
        let (piece, delimiter) = (self.piece, self.state.delimiter);
        while let Some(at) = places.next() {
            let byte = piece.get(at).copied().unwrap_or_default();
            if byte == b'"' {
                let after = at.wrapping_add(1);
                let next = places.next();
                let end = next.and_then(|next| piece.get(next)).copied().unwrap_or_default();
                if next != Some(after) {
                    self.next = after;
                    return Quoted::Unusual(Place::Closed, next);
                }
                if end != b'"' {
                    return Quoted::Closed(after, end);
                }
            } else if byte != delimiter && !matches!(byte, b'\t' | b'\r' | b'\n') {
                return Quoted::Unusual(Place::Quoted, Some(at));
            }
        }
        Quoted::Unusual(Place::Quoted, None)
    }

    /// A field begins behind the delimiter at `at`.
    #[inline(always)]
    pub(super) fn turn(&mut self, turn: Turn, at: usize) {
        match turn {
            Turn::None => {}
            Turn::Stop => self.stop(at),
            Turn::Go => self.go(at),
            Turn::GoBehind => self.go(at.wrapping_add(1)),
        }
    }
}
