//! What every format works with: [`Context`], and what becomes of one value: [`Mould`].

use super::automaton::Rule;
use super::error::MaskError;
use super::json;
use super::masker::{FittedKey, Masker, Value};
use super::notation::Notation;
use super::plan::Plan;
use super::tally::Tally;
use super::transform::Bounds;

/// What a reader of one format works with while it walks one piece of a body.
#[derive(Debug)]
pub(super) struct Context<'c> {
    pub(super) plan: &'c Plan,
    pub(super) bounds: &'c Bounds,
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

/// What a value that does not leave as it is goes through.
#[derive(Debug)]
pub(super) enum Mould {
    /// A masker, with what it needs for its field.
    Masker { masker: Masker, key: Option<FittedKey> },
    /// It is a text that holds a JSON document, of which this rule says what leaves.
    Nested(Rule),
}

impl Context<'_> {
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
            None => N::null(self.out),
        }
        self.tally.mask(rule.slot);
    }

    /// What leaves of a JSON document inside a text; nothing if it is none.
    fn nested(&mut self, rule: Rule, text: &str) -> Option<String> {
        let mut left = Vec::with_capacity(text.len());
        let mut tally = self.tally.clone();
        let mut reader = json::Reader::nested(self.plan, rule);
        let Self { plan, bounds, .. } = *self;
        reader.read(text, Context { plan, bounds, tally: &mut tally, base: 0, out: &mut left }).ok()?;
        reader.finish(Context { plan, bounds, tally: &mut tally, base: 0, out: &mut left }).ok()?;
        let left = String::from_utf8(left).ok()?;
        *self.tally = tally;
        Some(left)
    }
}
