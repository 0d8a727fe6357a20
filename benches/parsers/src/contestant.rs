//! What everybody is asked to do, pinegate itself, and plain copying.

use std::sync::Arc;

use pinegate::catalog::BodyFormat;
use pinegate::mask::{Bounds, Lanes, Plan, Transform};

use crate::bodies::plan;

/// Somebody who masks two fields of each record, and drops two.
pub(crate) trait Mask {
    /// What the table calls it.
    fn name(&self) -> &'static str;

    /// Appends what leaves of a body.
    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>);

    /// Whether every byte that is not masked leaves as it came.
    fn keeps_bytes(&self) -> bool {
        false
    }

    /// Whether it masks at all.
    fn is_compared(&self) -> bool {
        true
    }
}

/// What becomes of the member of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Ends { first: usize, last: usize },
    Drop,
}

/// Names are compared letter for letter, wherever in a body they stand. What no list names is kept: an
/// allow-list as pinegate has it would be one more lookup for everybody else.
pub(crate) fn fate(name: &[u8]) -> Fate {
    match name {
        b"id_card" => Fate::Ends { first: 1, last: 1 },
        b"phone" => Fate::Ends { first: 3, last: 4 },
        b"email" | b"remark" => Fate::Drop,
        _ => Fate::Keep,
    }
}

/// Both ends of a value, with stars between. Nobody looks whether it is a number of that kind.
pub(crate) fn ends(value: &str, first: usize, last: usize) -> String {
    let length = value.chars().count();
    let hidden = |place: usize| place >= first && place + last < length;
    value.chars().enumerate().map(|(place, c)| if hidden(place) { '*' } else { c }).collect()
}

/// The gate's engine.
pub(crate) struct Pinegate {
    plan: Arc<Plan>,
    piece: usize,
    lanes: Lanes,
}

impl Pinegate {
    /// As a connection would bring the body.
    pub(crate) fn new(format: BodyFormat) -> Self {
        Self { plan: plan(format), piece: 64 << 10, lanes: Lanes::best() }
    }

    pub(crate) fn in_one_piece(self) -> Self {
        Self { piece: usize::MAX, ..self }
    }

    /// As on a processor without vectors.
    pub(crate) fn on_words(self) -> Self {
        Self { lanes: Lanes::WORDS, ..self }
    }
}

impl Mask for Pinegate {
    fn name(&self) -> &'static str {
        match (self.piece, self.lanes) {
            (usize::MAX, _) => "pinegate, in one piece",
            (_, Lanes::WORDS) => "pinegate, without vectors",
            _ => "**pinegate**, pieces of 64 KiB",
        }
    }

    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let mut transform = Transform::new(Arc::clone(&self.plan), Bounds::default()).on(self.lanes);
        for piece in body.chunks(self.piece) {
            transform.push(piece, out).expect("a body");
        }
        transform.finish(out).expect("a body");
    }

    fn keeps_bytes(&self) -> bool {
        true
    }
}

/// The floor: nothing is read.
pub(crate) struct Copied;

impl Mask for Copied {
    fn name(&self) -> &'static str {
        "memcpy, nothing masked"
    }

    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(body);
    }

    fn is_compared(&self) -> bool {
        false
    }
}
