//! What the machine carries between the pieces of a body.

use super::super::automaton::Rule;
use super::super::plan::Plan;

/// What may come next, or what the machine is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) enum Expect {
    Value,
    ElementOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    SeparatorOrEnd,
    /// White space after a whole document.
    Nothing,
    InKey,
    InText,
    InNumber(Number),
    InLiteral(&'static [u8]),
}

/// How far a number has come (RFC 8259 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) enum Number {
    Sign,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    pub(in crate::mask) const fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits)
    }
}

/// How far an escape in a string has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) enum Escape {
    None,
    Begun,
    /// `unit` so far, of which `left` digits are missing.
    Hex {
        left: u8,
        unit: u16,
        half: Half,
    },
    /// The second half of a surrogate pair must begin.
    WantsBackslash,
    WantsU,
}

/// Which half of a surrogate pair a `\u` escape may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) enum Half {
    FirstOrNone,
    Second,
}

/// What happens when a value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) enum After {
    /// It was copied, or lies inside something that is not.
    Nothing,
    /// It was replaced: copying goes on behind it.
    Resume,
    /// Its member was dropped: what follows is held.
    Hold,
    /// It was taken for its masker.
    Mask,
}

/// One open container.
#[derive(Debug, Clone, Copy)]
pub(in crate::mask) struct Frame {
    /// The rule of the container; of an array also that of its elements.
    pub(in crate::mask) rule: Rule,
    pub(in crate::mask) shape: Shape,
    pub(in crate::mask) after: After,
    /// Whether a member has been kept.
    pub(in crate::mask) kept: bool,
    /// Where in the automaton the body is.
    pub(in crate::mask) position: u16,
}

/// What a frame is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) enum Shape {
    Root,
    Array,
    /// An object whose members are looked up.
    Members,
    /// An object that is copied or dropped as a whole.
    Whole,
}

/// What the machine carries between pieces of a body.
#[derive(Debug)]
pub(in crate::mask) struct State {
    pub(in crate::mask) expect: Expect,
    pub(in crate::mask) escape: Escape,
    pub(in crate::mask) after: After,
    pub(in crate::mask) copying: bool,
    pub(in crate::mask) holding: bool,
    /// Whether the string at hand has an escape.
    pub(in crate::mask) escaped: bool,
    pub(in crate::mask) rule: Rule,
    pub(in crate::mask) top: Frame,
    pub(in crate::mask) stack: Vec<Frame>,
    /// Held bytes of earlier pieces.
    pub(in crate::mask) held: Vec<u8>,
    /// Where in `held` the name at hand begins, or, if `held` lacks it, where in the piece.
    pub(in crate::mask) key: usize,
    /// Whether `key` counts in `held`.
    pub(in crate::mask) key_is_held: bool,
    /// Bytes of earlier pieces of the value taken for its masker; one more than the bound at most.
    pub(in crate::mask) value: Vec<u8>,
    /// Where in the piece that value begins.
    pub(in crate::mask) value_from: usize,
    pub(in crate::mask) decoded: String,
    /// The entry that came after each position the last time; records repeat their order.
    pub(in crate::mask) next: Vec<u16>,
    pub(in crate::mask) records: u64,
    pub(in crate::mask) masked: Vec<u64>,
    pub(in crate::mask) dropped: Vec<u64>,
}

impl State {
    pub(in crate::mask) fn new(plan: &Plan) -> Self {
        let top =
            Frame { rule: plan.root, shape: Shape::Root, after: After::Nothing, kept: false, position: 0 };
        let counters = plan.paths.len() + 1;
        Self {
            expect: Expect::Value,
            escape: Escape::None,
            after: After::Nothing,
            copying: true,
            holding: false,
            escaped: false,
            rule: plan.root,
            top,
            stack: Vec::new(),
            held: Vec::new(),
            key: 0,
            key_is_held: false,
            value: Vec::new(),
            value_from: 0,
            decoded: String::new(),
            next: vec![u16::MAX; plan.automaton.positions()],
            records: 0,
            masked: vec![0; counters],
            dropped: vec![0; counters],
        }
    }

    /// The memory that the growing parts hold, in bytes.
    #[cfg(test)]
    pub(in crate::mask) fn footprint(&self) -> usize {
        self.stack.capacity() * size_of::<Frame>()
            + self.held.capacity()
            + self.value.capacity()
            + self.decoded.capacity()
            + self.next.capacity() * 2
            + (self.masked.capacity() + self.dropped.capacity()) * 8
    }

    pub(in crate::mask) fn count_masked(&mut self, slot: u16) {
        if let Some(count) = self.masked.get_mut(usize::from(slot)) {
            *count += 1;
        }
    }

    pub(in crate::mask) fn count_dropped(&mut self, slot: u16) {
        if let Some(count) = self.dropped.get_mut(usize::from(slot)) {
            *count += 1;
        }
    }
}
