//! What the machine carries between the pieces of a body.

use super::super::automaton::Rule;
use super::search::Search;

/// What may come next, or what the machine is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
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
pub(super) enum Number {
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
    pub(super) const fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits)
    }
}

/// How far an escape in a string has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
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
pub(super) enum Half {
    FirstOrNone,
    Second,
}

/// What happens when a value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
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
pub(super) struct Frame {
    /// The rule of the container; of an array also that of its elements.
    pub(super) rule: Rule,
    pub(super) shape: Shape,
    pub(super) after: After,
    /// Whether a member has been kept.
    pub(super) kept: bool,
    /// Where in the automaton the body is.
    pub(super) position: u16,
}

/// What a frame is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Root,
    Array,
    /// An object whose members are looked up.
    Members,
    /// An object that is copied or dropped as a whole.
    Whole,
}

/// What the machine carries between pieces of a body.
#[derive(Debug)]
pub(super) struct State {
    /// Whether every line is a document.
    pub(super) lines: bool,
    pub(super) expect: Expect,
    pub(super) escape: Escape,
    pub(super) after: After,
    pub(super) copying: bool,
    pub(super) holding: bool,
    /// Whether the string at hand has an escape.
    pub(super) escaped: bool,
    pub(super) rule: Rule,
    pub(super) top: Frame,
    pub(super) stack: Vec<Frame>,
    /// Held bytes of earlier pieces.
    pub(super) held: Vec<u8>,
    /// Where in `held` the name at hand begins, or, if `held` lacks it, where in the piece.
    pub(super) key: usize,
    /// Whether `key` counts in `held`.
    pub(super) key_is_held: bool,
    /// Bytes of earlier pieces of the value taken for its masker; one more than the bound at most.
    pub(super) value: Vec<u8>,
    /// Where in the piece that value begins.
    pub(super) value_from: usize,
    pub(super) decoded: String,
    /// The value at hand, once one was searched.
    pub(super) search: Option<Box<Search>>,
}

impl State {
    pub(super) fn new(root: Rule, lines: bool) -> Self {
        let top = Frame { rule: root, shape: Shape::Root, after: After::Nothing, kept: false, position: 0 };
        Self {
            lines,
            expect: Expect::Value,
            escape: Escape::None,
            after: After::Nothing,
            copying: true,
            holding: false,
            escaped: false,
            rule: root,
            top,
            stack: Vec::new(),
            held: Vec::new(),
            key: 0,
            key_is_held: false,
            value: Vec::new(),
            value_from: 0,
            decoded: String::new(),
            search: None,
        }
    }

    /// The memory that the growing parts hold, in bytes.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.stack.capacity() * size_of::<Frame>()
            + self.held.capacity()
            + self.value.capacity()
            + self.decoded.capacity()
            + self.search.as_ref().map_or(0, |search| search.footprint())
    }
}
