//! XML 1.0 with namespaces: elements and attributes by their names.
//!
//! [`Scan`] walks a piece of valid UTF-8; [`State`] is what it carries from one piece to the next.
//! Text, CDATA sections and comments are read as they come and may be of any length; tags and
//! processing instructions are held until they are whole. What may leave is never copied byte by
//! byte: `mark` is where the bytes begin that are not written yet.
//!
//! Comments and processing instructions never leave. A *dropped* element goes with the white space
//! before it, so in an element with members white space is *held* until the next tag has been looked
//! up. A *value* is taken whole, as it is written, and decoded at its end tag.
//!
//! quick-xml keeps the namespaces that are in scope and decodes texts and attributes. It is lenient
//! where a document is not well-formed, so the grammar is checked here: all of XML 1.0, fifth
//! edition, that can be checked without a document type, which is refused, and Namespaces in XML 1.0.
//!
//! INVARIANT: `copying` is off from the end of the start tag of a value that does not leave as it is
//! to its end tag, and in all of an element that is dropped.

mod attributes;
mod characters;
mod declaration;
pub(super) mod key;
mod markup;
mod scope;
mod state;
mod tags;
mod values;

use super::automaton::Kind;
use super::context::Context;
use super::error::MaskError;
use attributes::REFERENCE;
pub use characters::is_name;
use characters::{REFERENCE_MAX_BYTES, is_reference, legal_run, space_run, text_run};
pub use scope::XML as XML_NAMESPACE;
use state::{Place, Shape, State};

/// One body.
#[derive(Debug)]
pub(super) struct Reader(State);

impl Reader {
    /// A body has begun.
    pub(super) fn new() -> Self {
        Self(State::new())
    }
}

impl super::context::Reader for Reader {
    /// What is before a character that no document may hold is read before that is told, so that the
    /// first error is the same however the body is cut.
    fn read(&mut self, piece: &str, context: Context<'_>) -> Result<(), MaskError> {
        let base = context.base;
        if base == 0 && piece.starts_with('\u{feff}') {
            return Err(MaskError::ByteOrderMark);
        }
        let legal = legal_run(piece.as_bytes());
        Scan::new(context, &mut self.0, piece.get(..legal).unwrap_or_default()).run()?;
        if legal < piece.len() { Err(MaskError::Character { at: base + as_u64(legal) }) } else { Ok(()) }
    }

    fn finish(&mut self, context: Context<'_>) -> Result<(), MaskError> {
        let ended = self.0.done && self.0.place == Place::Content;
        if ended { Ok(()) } else { Err(MaskError::Truncated { at: context.base }) }
    }

    #[cfg(test)]
    fn footprint(&self) -> usize {
        self.0.footprint()
    }
}

/// One walk over one piece.
#[derive(Debug)]
struct Scan<'s> {
    context: Context<'s>,
    state: &'s mut State,
    text: &'s str,
    /// The bytes of `text`.
    piece: &'s [u8],
    at: usize,
    /// While copying: where the bytes begin that are not written.
    mark: usize,
    /// While holding: where the held white space of this piece begins.
    hold: usize,
    /// In a value: where its part of this piece begins.
    from: usize,
}

impl<'s> Scan<'s> {
    fn new(context: Context<'s>, state: &'s mut State, text: &'s str) -> Self {
        Self { context, state, text, piece: text.as_bytes(), at: 0, mark: 0, hold: 0, from: 0 }
    }

    /// Walks the whole piece.
    fn run(mut self) -> Result<(), MaskError> {
        while self.at < self.piece.len() {
            match self.state.place {
                Place::Content => self.content()?,
                Place::Reference => self.reference()?,
                Place::Markup(form) => self.rest_of_markup(form)?,
                Place::Comment(dashes) => self.comment(dashes)?,
                Place::Cdata(brackets) => self.cdata(brackets),
            }
        }
        match self.state.place {
            Place::Content | Place::Reference | Place::Cdata(_) => self.cut(self.piece.len()),
            Place::Markup(_) | Place::Comment(_) => {}
        }
        Ok(())
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.piece.get(self.at).copied()
    }

    #[inline(always)]
    fn rest(&self) -> &'s [u8] {
        self.piece.get(self.at..).unwrap_or_default()
    }

    fn offset(&self, at: usize) -> u64 {
        self.context.base + as_u64(at)
    }

    #[cold]
    fn syntax(&self, at: usize, expected: &'static str) -> MaskError {
        MaskError::Xml { at: self.offset(at), expected }
    }

    /// Writes the bytes that are copied up to `end`.
    #[inline(always)]
    fn flush(&mut self, end: usize) {
        if let Some(bytes) = self.piece.get(self.mark..end) {
            self.context.out.extend_from_slice(bytes);
        }
        self.mark = end;
    }

    /// Puts away what comes before `end`, so that what follows it can be left out.
    fn cut(&mut self, end: usize) {
        if self.state.copying {
            self.flush(if self.state.holding { self.hold } else { end });
            if self.state.holding {
                self.state.space.extend_from_slice(self.piece.get(self.hold..end).unwrap_or_default());
            }
        } else if self.state.top.shape == Shape::Value {
            self.keep_value(self.text.get(self.from..end).unwrap_or_default());
        }
        self.resume(end);
    }

    /// What comes before `at` has been dealt with.
    fn resume(&mut self, at: usize) {
        (self.mark, self.hold, self.from) = (at, at, at);
    }

    fn content(&mut self) -> Result<(), MaskError> {
        match self.state.top.shape {
            Shape::Outside => self.outside(),
            Shape::Members if self.state.holding => self.between(),
            Shape::Nothing if !self.state.top.counted => {
                self.at += space_run(self.rest());
                if self.peek().is_some_and(|byte| byte != b'<') {
                    self.count_once();
                }
                self.characters()
            }
            Shape::Members
            | Shape::Whole
            | Shape::Text
            | Shape::Value
            | Shape::Nothing
            | Shape::Dropped
            | Shape::Inside => self.characters(),
        }
    }

    /// Around the document element there are white space and markup.
    fn outside(&mut self) -> Result<(), MaskError> {
        self.at += space_run(self.rest());
        match self.peek() {
            None => Ok(()),
            Some(b'<') => self.open(),
            Some(_) if self.state.done => Err(MaskError::Trailing { at: self.offset(self.at) }),
            Some(_) => Err(self.syntax(self.at, "`<`")),
        }
    }

    /// In an element with members, since the last tag.
    #[inline(always)]
    fn between(&mut self) -> Result<(), MaskError> {
        self.at += space_run(self.rest());
        self.check_space()?;
        match self.peek() {
            None => Ok(()),
            Some(b'<') => self.open(),
            Some(_) => {
                self.drop_text();
                self.characters()
            }
        }
    }

    /// The white space that is held is bounded.
    #[inline(always)]
    fn check_space(&self) -> Result<(), MaskError> {
        let max = self.context.bounds.space;
        let held = self.state.space.len();
        if held + (self.at - self.hold) <= max {
            return Ok(());
        }
        Err(MaskError::SpaceTooLong { at: self.offset(self.hold + max.saturating_sub(held)), max })
    }

    /// An element with members has text that is not white space: it does not leave up to the next markup.
    fn drop_text(&mut self) {
        self.flush(self.hold);
        self.state.space.clear();
        self.state.holding = false;
        self.state.copying = false;
        self.count_once();
    }

    /// Something in the element at hand does not leave.
    fn count_once(&mut self) {
        let top = &mut self.state.top;
        if std::mem::replace(&mut top.counted, true) {
            return;
        }
        match top.rule.kind {
            Kind::Drop => self.context.tally.drop(top.rule.slot),
            Kind::Plain | Kind::Node | Kind::Record => self.context.tally.mask(top.rule.slot),
        }
    }

    /// Text, up to the next markup or reference.
    #[inline(always)]
    fn characters(&mut self) -> Result<(), MaskError> {
        while let Some(byte) = self.peek() {
            match byte {
                b'<' => return self.open(),
                b'&' => {
                    self.state.brackets = 0;
                    self.state.markup_at = self.offset(self.at);
                    self.state.place = Place::Reference;
                    self.at += 1;
                    return Ok(());
                }
                b']' => {
                    self.state.brackets = if self.state.brackets == 0 { 1 } else { 2 };
                    self.at += 1;
                }
                // Not even with a comment inside, which does not leave.
                b'>' if self.state.brackets == 2 => {
                    return Err(self.syntax(self.at, "`&gt;` after `]]` in a text"));
                }
                _ => {
                    self.state.brackets = 0;
                    self.at += text_run(self.rest());
                }
            }
        }
        Ok(())
    }

    fn reference(&mut self) -> Result<(), MaskError> {
        while let Some(byte) = self.peek() {
            let markup = &mut self.state.markup;
            if (byte.is_ascii_alphanumeric() || byte == b'#') && markup.len() < REFERENCE_MAX_BYTES {
                markup.push(char::from(byte));
                self.at += 1;
            } else if byte == b';' && is_reference(markup) {
                markup.clear();
                self.state.place = Place::Content;
                self.at += 1;
                return Ok(());
            } else {
                return Err(MaskError::Xml { at: self.state.markup_at, expected: REFERENCE });
            }
        }
        Ok(())
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
