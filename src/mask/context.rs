//! What the reader of every format works with: [`Context`].

use super::automaton::Rule;
use super::bounds::Bounds;
use super::detect::{Detector, Found};
use super::error::MaskError;
use super::json;
use super::lanes::Lanes;
use super::masker::Value;
use super::mould::Mould;
use super::notation::Notation;
use super::plan::Plan;
use super::tally::Tally;
use crate::catalog::Charset;

/// What a reader of one format works with while it walks one piece of a body.
#[derive(Debug)]
pub(super) struct Context<'c> {
    pub(super) plan: &'c Plan,
    pub(super) bounds: &'c Bounds,
    /// How the body was sent. Readers are given UTF-8 whatever it is, and what leaves is UTF-8.
    pub(super) charset: Charset,
    /// The vectors that bytes are looked at with.
    pub(super) lanes: Lanes,
    pub(super) tally: &'c mut Tally,
    /// Where in the body the piece begins, in bytes.
    pub(super) base: u64,
    pub(super) out: &'c mut Vec<u8>,
}

/// A reader of one format: what it carries from one piece of a body to the next.
///
/// It sees whole characters only. The same body gives the same output and the same error however it
/// is cut into pieces.
pub(super) trait Reader {
    /// Walks one piece.
    ///
    /// # Errors
    /// When the body is not acceptable; nothing is called after it.
    fn read(&mut self, piece: &str, context: Context<'_>) -> Result<(), MaskError>;

    /// Ends the body.
    ///
    /// # Errors
    /// When it ends too early.
    fn finish(&mut self, context: Context<'_>) -> Result<(), MaskError>;

    /// The memory that the growing parts hold, in bytes.
    #[cfg(test)]
    fn footprint(&self) -> usize;
}

impl Context<'_> {
    /// The same for a reader inside this one, whose piece begins at `base` of the body.
    pub(super) fn at(&mut self, base: u64) -> Context<'_> {
        let Self { plan, bounds, charset, lanes, .. } = *self;
        Context { plan, bounds, charset, lanes, tally: self.tally, base, out: self.out }
    }

    /// A record begins.
    #[inline]
    pub(super) fn record(&mut self) -> Result<(), MaskError> {
        self.tally.records += 1;
        match self.bounds.records.filter(|max| self.tally.records > *max) {
            Some(max) => Err(MaskError::TooManyRecords { max }),
            None => Ok(()),
        }
    }

    /// Writes what leaves of a value whose rule has a mould. `whole` is false of a value that is
    /// longer than its bound: `value` then shows its kind and nothing else.
    pub(super) fn mould<N: Notation>(&mut self, rule: Rule, value: Value<'_>, whole: bool) {
        match self.plan.moulds.get(usize::from(rule.index)) {
            Some(Mould::Masker { masker, key }) if whole => {
                masker.write::<N>(value, key.as_ref(), self.out);
            }
            Some(Mould::Masker { masker, .. }) => masker.hide::<N>(value, self.out),
            Some(Mould::Search) if whole => {
                self.search(rule, value);
                N::value(value, self.out);
                return;
            }
            Some(Mould::Nested(inner)) => {
                if let (Value::Text(text), true) = (value, whole)
                    && let Some(left) = self.nested(*inner, text)
                {
                    N::open(self.out);
                    N::text(&left, self.out);
                    N::close(self.out);
                    return;
                }
                N::null(self.out);
            }
            // Of a value that is too long only its kind is known here: what was not searched does not leave.
            Some(Mould::Search) | None => N::null(self.out),
        }
        self.tally.mask(rule.slot);
    }

    /// Whether values whose rule has a mould only pass through it: they leave as they came, byte for
    /// byte, and a reader that has their bytes writes those and calls [`Context::search`].
    #[inline]
    pub(super) fn searches(&self, rule: Rule) -> bool {
        rule.mask != 0 && self.plan.search == Some(rule.index)
    }

    /// Searches a value that leaves as it is.
    pub(super) fn search(&mut self, rule: Rule, value: Value<'_>) {
        let found = match value {
            Value::Text(text) => Detector::find(text),
            Value::Number(number) => Detector::find_in_number(number),
            Value::Boolean(_) | Value::Null => return,
        };
        self.note(rule, &found);
    }

    /// Counts what was found in a value that leaves as it is. Where the resource blocks it the body is
    /// refused, once the reader is through with the piece at hand.
    pub(super) fn note(&mut self, rule: Rule, found: &Found) {
        let Some(kind) = found.first() else { return };
        let refusal = self.plan.blocks().then_some(MaskError::Egress { kind });
        self.tally.find(rule.slot, found, refusal);
    }

    /// What leaves of a JSON document inside a text; nothing if it is none.
    fn nested(&mut self, rule: Rule, text: &str) -> Option<String> {
        let mut left = Vec::with_capacity(text.len());
        let mut tally = self.tally.clone();
        let mut reader = json::Reader::nested(rule);
        let Self { plan, bounds, charset, lanes, .. } = *self;
        let mut inner = Context { plan, bounds, charset, lanes, tally: &mut tally, base: 0, out: &mut left };
        reader.read(text, inner.at(0)).ok()?;
        reader.finish(inner).ok()?;
        let left = String::from_utf8(left).ok()?;
        *self.tally = tally;
        Some(left)
    }
}

/// Appends to `value` until it is one byte longer than `bound`, which tells that it is too long.
pub(super) fn keep_up_to(value: &mut Vec<u8>, part: &[u8], bound: usize) {
    let room = bound.saturating_add(1).saturating_sub(value.len());
    value.extend_from_slice(part.get(..room).unwrap_or(part));
}
