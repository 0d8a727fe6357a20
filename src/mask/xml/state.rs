//! What the reader carries from one piece of a body to the next.

use super::super::automaton::{NAMELESS, Rule};
use super::attributes::Attributes;
use super::scope::Scope;

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// What stands between two pieces of markup.
    Content,
    /// Between `&` and `;` in a text.
    Reference,
    /// A piece of markup that is held until it is whole.
    Markup(Form),
    /// Inside of a comment; so many of the last characters are `-`.
    Comment(u8),
    /// Inside of a CDATA section; so many of the last characters are `]`.
    Cdata(u8),
}

/// What the markup at hand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Its first characters do not tell yet.
    Unknown,
    /// A start tag or the tag of an empty element, inside of this quote or of none.
    Start(Option<u8>),
    /// An end tag.
    End,
    /// A processing instruction or the declaration.
    Instruction,
}

/// What becomes of the content of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// There is no element: before or after the document element.
    Outside,
    /// Its members leave by their rules, its text does not.
    Members,
    /// Everything leaves.
    Whole,
    /// Its text leaves as it is, elements in it do not.
    Text,
    /// Its text is taken whole and leaves as its rule says.
    Value,
    /// Nothing in it leaves.
    Nothing,
    /// It does not leave itself.
    Dropped,
    /// It lies in one of which nothing leaves.
    Inside,
}

/// An element that is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) shape: Shape,
    pub(super) rule: Rule,
    /// Where its name begins in [`State::names`].
    pub(super) name: usize,
    /// The automaton's position after the last of its members that has an entry.
    pub(super) position: u16,
    /// Whether it declares namespaces.
    pub(super) declares: bool,
    /// Whether it was counted that some of its content did not leave.
    pub(super) counted: bool,
    /// What [`State::brackets`] is behind it.
    pub(super) brackets: u8,
}

impl Frame {
    /// An element has begun.
    #[inline(always)]
    pub(super) const fn new(shape: Shape, rule: Rule) -> Self {
        Self { shape, rule, name: 0, position: u16::MAX, declares: false, counted: false, brackets: 0 }
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) place: Place,
    pub(super) top: Frame,
    /// The elements around the top one.
    pub(super) stack: Vec<Frame>,
    /// The names of all open elements, one after the other.
    pub(super) names: Vec<u8>,
    /// Whether the document element has ended.
    pub(super) done: bool,
    /// Whether what is read leaves.
    pub(super) copying: bool,
    /// Whether only white space was read since the last tag, which goes with the next if that is dropped.
    pub(super) holding: bool,
    /// The white space that is held of earlier pieces.
    pub(super) space: Vec<u8>,
    /// Markup that is not whole, or a reference that is not.
    pub(super) markup: String,
    /// Where that begins in the body.
    pub(super) markup_at: u64,
    /// What was read of a value in earlier pieces, as written, without comments.
    pub(super) value: String,
    /// Whether the value is longer than its bound. Then it is not kept.
    pub(super) too_long: bool,
    /// Whether there is an element inside of the value.
    pub(super) has_elements: bool,
    /// How many of the last characters of the text are `]`, at most 2.
    pub(super) brackets: u8,
    pub(super) scope: Scope,
    /// Those of the tag at hand.
    pub(super) attributes: Attributes,
    /// A key for the automaton, while it is looked up.
    pub(super) key: String,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Content,
            // What lies around the document element has no rule.
            top: Frame::new(Shape::Outside, Rule::drop(NAMELESS)),
            stack: Vec::new(),
            names: Vec::new(),
            done: false,
            copying: true,
            holding: false,
            space: Vec::new(),
            markup: String::new(),
            markup_at: 0,
            value: String::new(),
            too_long: false,
            has_elements: false,
            brackets: 0,
            scope: Scope::new(),
            attributes: Attributes::default(),
            key: String::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.stack.capacity() * size_of::<Frame>()
            + self.names.capacity()
            + self.space.capacity()
            + self.markup.capacity()
            + self.value.capacity()
            + self.key.capacity()
            + self.scope.footprint()
            + self.attributes.footprint()
    }
}
