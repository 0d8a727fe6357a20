//! XML 1.0: elements and attributes by their names.

use super::context::Context;
use super::error::MaskError;
use super::plan::Plan;

/// One body.
#[derive(Debug)]
pub(super) struct Reader {}

impl Reader {
    /// A body has begun.
    pub(super) fn new(_plan: &Plan) -> Self {
        Self {}
    }
}

impl super::context::Reader for Reader {
    fn read(&mut self, _piece: &str, context: Context<'_>) -> Result<(), MaskError> {
        Err(MaskError::Syntax { at: context.base, expected: "a format that can be read" })
    }

    fn finish(&mut self, context: Context<'_>) -> Result<(), MaskError> {
        Err(MaskError::Truncated { at: context.base })
    }

    #[cfg(test)]
    fn footprint(&self) -> usize {
        0
    }
}
