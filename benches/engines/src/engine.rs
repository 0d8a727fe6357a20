//! What every engine is asked to do.

use crate::grants::{Ask, Grants};

/// An engine with a policy in it.
pub(crate) trait Engine: Sized {
    /// What the table calls it.
    const NAME: &'static str;

    /// The grants written as this engine reads them: text, not yet parsed.
    type Source;
    /// A request in the engine's own types.
    type Request;

    /// Not timed.
    fn source(grants: &Grants) -> Self::Source;

    /// From text to a policy that decides. Timed.
    fn load(source: &Self::Source) -> Self;

    /// Not timed.
    fn request(&self, ask: &Ask) -> Self::Request;

    /// Timed.
    fn allows(&mut self, request: &Self::Request) -> bool;
}
