//! The header: what becomes of each column.

use super::super::automaton::{NAMELESS, Rule};
use super::super::error::MaskError;
use super::super::untyped::{self, Fate};
use super::{MAX_COLUMNS, MAX_HEADER_BYTES, Scan, as_u64};

/// One column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) fate: Fate,
    /// What happens to copying where its field begins, and where the next one does.
    pub(super) turn: Turn,
    pub(super) after: Turn,
    pub(super) rule: Rule,
}

/// What happens to copying where a field begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It goes on, or stays off.
    None,
    /// It stops before the delimiter.
    Stop,
    /// It goes on, from the delimiter.
    Go,
    /// It goes on, behind the delimiter: nothing of the record has left before.
    GoBehind,
}

impl Scan<'_> {
    /// In the header: whether it and the name at hand, of which the bytes up to `end` are scanned, are
    /// short enough.
    ///
    /// This comes before any other error, so that the first bound that a body breaks does not depend
    /// on where the pieces end.
    #[inline(always)]
    pub(super) fn check_header(&self, end: usize) -> Result<(), MaskError> {
        if self.state.in_header { self.check_header_bounds(end) } else { Ok(()) }
    }

    fn check_header_bounds(&self, end: usize) -> Result<(), MaskError> {
        let length = self.state.value.len().saturating_add(end.saturating_sub(self.from));
        let (max, max_header) = (self.context.bounds.key, MAX_HEADER_BYTES);
        let end = self.offset(end);
        let name_ends = end.saturating_sub(as_u64(length)).saturating_add(as_u64(max));
        let header_ends = as_u64(max_header);
        if end <= name_ends.min(header_ends) {
            return Ok(());
        }
        Err(match name_ends <= header_ends {
            true => MaskError::KeyTooLong { at: name_ends, max },
            false => MaskError::HeaderTooLong { at: header_ends, max: max_header },
        })
    }

    /// The name at hand ends before `at`: it gets its column, and leaves if that does.
    pub(super) fn name(&mut self, at: usize) -> Result<(), MaskError> {
        let nameless = self.syntax(at, "a name for each column");
        let state = &mut *self.state;
        state.value.extend_from_slice(self.piece.get(self.from..at).unwrap_or_default());
        let raw = std::str::from_utf8(&state.value).unwrap_or_default();
        let name = super::fields::decode(raw, &mut state.decoded);
        if name.is_empty() {
            return Err(nameless);
        }
        let rule = untyped::find(self.context.plan, name).unwrap_or(Rule::drop(NAMELESS));
        let fate = Fate::of(self.context.plan, rule);
        let leaves_before = state.leaving > 0;
        let before = state.columns.last().is_some_and(|column| column.fate != Fate::Dropped);
        let turn = match (fate != Fate::Dropped, before, leaves_before) {
            (true, false, true) => Turn::Go,
            (true, false, false) if !state.columns.is_empty() => Turn::GoBehind,
            (false, true, _) => Turn::Stop,
            (false, ..) if state.columns.is_empty() => Turn::Stop,
            _ => Turn::None,
        };
        if fate != Fate::Dropped {
            if leaves_before {
                self.context.out.push(state.delimiter);
            }
            self.context.out.extend_from_slice(&state.value);
            state.leaving += 1;
        } else if self.context.plan.refuses {
            // Fields are counted, not columns; but a body that may not have this one may have no name of it.
            self.context.tally.drop(rule.slot);
        }
        state.value.clear();
        if let Some(before) = state.columns.last_mut() {
            before.after = turn;
        }
        state.columns.push(Column { fate, turn, after: Turn::None, rule });
        if state.columns.len() > MAX_COLUMNS {
            return Err(MaskError::TooManyColumns { at: self.offset(at), max: MAX_COLUMNS });
        }
        Ok(())
    }

    /// The last name has ended.
    pub(super) fn end_header(&mut self) {
        self.state.in_header = false;
        if self.state.leaving == 0 {
            // Nothing of any record leaves, not even its line end: copying never goes on.
            for column in &mut self.state.columns {
                (column.turn, column.after) = (Turn::None, Turn::None);
            }
        }
    }
}
