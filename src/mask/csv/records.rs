//! Whole records, one after another: most are as they should be and lie in one piece.
//!
//! Nothing is decided here that is not decided in the same way byte by byte. Where anything is unusual
//! the state is set as it would be there, and the special byte at hand is handed back.

use super::super::error::MaskError;
use super::super::specials::Specials;
use super::super::untyped::Fate;
use super::header::{Column, Turn};
use super::{Place, Scan};

/// How far a record could be taken.
enum Taken {
    /// To its line end, at this place.
    Whole(usize),
    /// To this special byte, or to the end of the piece, in the column of this number.
    Part(Option<usize>, usize),
}

/// How a field that begins with a quote goes on.
enum Quoted {
    /// Its closing quote is just before the special byte at this place.
    Closed(usize),
    /// What comes is not for here, but for [`Place`].
    Unusual(Place, Option<usize>),
}

impl Scan<'_> {
    /// Takes records as long as each is as it should be. The first has begun, and nothing of it has
    /// been read. Returns the special byte that could not be taken, if there is one.
    pub(super) fn records(&mut self, specials: &mut Specials<'_>) -> Result<Option<usize>, MaskError> {
        let columns = std::mem::take(&mut self.state.columns);
        let result = self.records_of(&columns, specials);
        self.state.columns = columns;
        result
    }

    fn records_of(
        &mut self,
        columns: &[Column],
        specials: &mut Specials<'_>,
    ) -> Result<Option<usize>, MaskError> {
        loop {
            match self.record_of(columns, specials) {
                Taken::Whole(end) => {
                    if !self.state.copying && self.state.leaving > 0 {
                        self.go(end);
                    }
                    self.end_record(end.wrapping_add(1), columns.first())?;
                }
                Taken::Part(next, number) => {
                    self.state.column = number;
                    self.state.fate = columns.get(number).map_or(Fate::Dropped, |column| column.fate);
                    return Ok(next);
                }
            }
            if !self.state.is_open {
                return Ok(specials.next());
            }
        }
    }

    #[inline(always)]
    fn record_of(&mut self, columns: &[Column], specials: &mut Specials<'_>) -> Taken {
        let delimiter = self.state.delimiter;
        let is_alone = self.state.leaving == 1;
        let mut rest = columns.iter();
        let Some(mut column) = rest.next() else { return Taken::Part(specials.next(), 0) };
        loop {
            let number = columns.len().wrapping_sub(rest.len()).wrapping_sub(1);
            let Some(mut at) = specials.next() else { return Taken::Part(None, number) };
            let mut byte = self.piece.get(at).copied().unwrap_or_default();
            if byte == b'"' {
                match self.quoted(at, specials) {
                    Quoted::Closed(after) => at = after,
                    Quoted::Unusual(place, next) => {
                        self.state.place = place;
                        return Taken::Part(next, number);
                    }
                }
                byte = self.piece.get(at).copied().unwrap_or_default();
            }
            let is_last = rest.len() == 0;
            let ends =
                if is_last { byte == b'\n' && (number > 0 || self.from < at) } else { byte == delimiter };
            if !ends {
                let is_closed = self.from < at && self.piece.get(self.from) == Some(&b'"');
                self.state.place = if is_closed { Place::Closed } else { Place::Bare };
                self.next = at;
                return Taken::Part(Some(at), number);
            }
            match column.fate {
                Fate::Clear if !is_alone => {}
                Fate::Dropped => self.context.tally.drop(column.rule.slot),
                Fate::Clear | Fate::Number | Fate::Boolean | Fate::Masked | Fate::Emptied => {
                    self.take(at, *column)
                }
            }
            let Some(next) = rest.next() else { return Taken::Whole(at) };
            self.turn(next.turn, at);
            self.from = at.wrapping_add(1);
            column = next;
        }
    }

    /// Walks the field at hand from the quote at `at`, which may be its first byte, to the closing one.
    #[inline(always)]
    fn quoted(&mut self, at: usize, specials: &mut Specials<'_>) -> Quoted {
        if at != self.from {
            return Quoted::Unusual(Place::Bare, Some(at));
        }
        while let Some(at) = specials.next() {
            match self.piece.get(at) {
                Some(byte) if *byte == self.state.delimiter => {}
                Some(b'"') => {
                    self.next = at.wrapping_add(1);
                    match specials.next() {
                        Some(after) if after == self.next && self.piece.get(after) == Some(&b'"') => {}
                        Some(after) if after == self.next => return Quoted::Closed(after),
                        other => return Quoted::Unusual(Place::Closed, other),
                    }
                }
                Some(b'\t' | b'\r' | b'\n') => {}
                _ => return Quoted::Unusual(Place::Quoted, Some(at)),
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
