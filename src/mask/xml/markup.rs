//! Where markup begins and ends, and the kinds of it that are no tags.

use std::ops::Range;

use memchr::{memchr, memchr3};

use super::super::error::MaskError;
use super::characters::{Name, ascii_name_run, is_space};
use super::declaration::{self, DeclarationError};
use super::state::{Form, Place, Shape};
use super::{Scan, as_u64};

/// The longest tag or processing instruction, in bytes.
pub(super) const TAG_MAX_BYTES: usize = 64 << 10;

const COMMENT: &str = "<!--";
const CDATA: &str = "<![CDATA[";

/// Markup that is whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag<'t> {
    pub(super) text: &'t str,
    /// Where it begins in the body.
    pub(super) offset: u64,
    /// Whether it lies in the piece at hand, where the scan stands, and not before it.
    pub(super) is_here: bool,
}

impl Tag<'_> {
    #[cold]
    pub(super) fn syntax(&self, at: usize, expected: &'static str) -> MaskError {
        MaskError::Xml { at: self.offset + as_u64(at), expected }
    }
}

impl Scan<'_> {
    /// Markup begins.
    #[inline(always)]
    pub(super) fn open(&mut self) -> Result<(), MaskError> {
        if self.state.top.shape == Shape::Members && !self.state.holding {
            self.hold_space();
        }
        let rest = self.rest();
        match rest.get(1) {
            Some(b'/') => {
                if let Some(length) = self.expected_end(rest) {
                    return self.end_as_expected(length);
                }
                self.markup(Form::End)
            }
            Some(b'!') | None => {
                let text = self.text.get(self.at..).unwrap_or_default();
                self.declared(Tag { text, offset: self.offset(self.at), is_here: true })
            }
            Some(b'?') => self.markup(Form::Instruction),
            Some(_) => {
                if self.state.top.shape == Shape::Members && self.start_as_expected()? {
                    return Ok(());
                }
                self.markup(Form::Start(None))
            }
        }
    }

    /// From here on white space is held, and leaves if what follows it does.
    #[inline(always)]
    pub(super) fn hold_space(&mut self) {
        self.state.holding = true;
        self.state.copying = true;
        (self.mark, self.hold) = (self.at, self.at);
    }

    #[inline(always)]
    fn markup(&mut self, form: Form) -> Result<(), MaskError> {
        let mut form = form;
        let (offset, text) = (self.offset(self.at), self.text);
        match find_end(&mut form, self.rest()) {
            Some(length) => {
                let text = text.get(self.at..self.at + length).unwrap_or_default();
                self.whole(form, Tag { text, offset, is_here: true })
            }
            None => {
                self.cut(self.at);
                self.state.markup_at = offset;
                self.part(form)
            }
        }
    }

    /// Holds what there is of markup that is not whole.
    fn part(&mut self, form: Form) -> Result<(), MaskError> {
        self.state.markup.push_str(self.text.get(self.at..).unwrap_or_default());
        self.state.place = Place::Markup(form);
        self.at = self.piece.len();
        self.resume(self.at);
        if self.state.markup.len() > TAG_MAX_BYTES {
            return Err(too_long(self.state.markup_at));
        }
        Ok(())
    }

    /// Goes on with markup that began in an earlier piece.
    pub(super) fn rest_of_markup(&mut self, form: Form) -> Result<(), MaskError> {
        let mut form = form;
        if form == Form::Unknown {
            return self.next_of_unknown();
        }
        let Some(length) = find_end_after(&mut form, self.state.markup.as_bytes(), self.piece) else {
            return self.part(form);
        };
        let mut held = std::mem::take(&mut self.state.markup);
        held.push_str(self.text.get(..length).unwrap_or_default());
        self.at = length;
        self.resume(length);
        self.state.place = Place::Content;
        let result = self.whole(form, Tag { text: &held, offset: self.state.markup_at, is_here: false });
        held.clear();
        self.state.markup = held;
        result
    }

    /// Looks at one more character, until the first ones of markup tell what it is.
    fn next_of_unknown(&mut self) -> Result<(), MaskError> {
        let Some(next) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) else { return Ok(()) };
        if self.state.markup.len() == 1 && next != '!' {
            self.state.place = Place::Markup(match next {
                '/' => Form::End,
                '?' => Form::Instruction,
                _ => Form::Start(None),
            });
            return Ok(());
        }
        self.at += next.len_utf8();
        self.resume(self.at);
        let mut held = std::mem::take(&mut self.state.markup);
        held.push(next);
        let result = self.declared(Tag { text: &held, offset: self.state.markup_at, is_here: false });
        if self.state.place != Place::Markup(Form::Unknown) {
            held.clear();
        }
        self.state.markup = held;
        result
    }

    #[inline(always)]
    fn whole(&mut self, form: Form, tag: Tag<'_>) -> Result<(), MaskError> {
        if tag.text.len() > TAG_MAX_BYTES {
            return Err(too_long(tag.offset));
        }
        match form {
            Form::Start(_) => self.start(tag),
            Form::End => self.end(tag),
            Form::Instruction => self.instruction(tag),
            Form::Unknown => self.declared(tag),
        }
    }

    /// What begins with `<!`, or with a bracket that nothing follows yet.
    fn declared(&mut self, tag: Tag<'_>) -> Result<(), MaskError> {
        let begins = |what: &str| tag.text.starts_with(what);
        if begins(COMMENT) {
            self.begin_comment(tag);
        } else if begins(CDATA) {
            return self.begin_cdata(tag);
        } else if begins("<!D") {
            return Err(MaskError::DocumentType { at: tag.offset });
        } else if COMMENT.starts_with(tag.text) || CDATA.starts_with(tag.text) {
            if tag.is_here {
                self.cut(self.at);
                self.state.markup_at = tag.offset;
                return self.part(Form::Unknown);
            }
        } else {
            return Err(tag.syntax(0, "a tag, a comment or a CDATA section"));
        }
        Ok(())
    }

    fn begin_comment(&mut self, tag: Tag<'_>) {
        if tag.is_here {
            self.cut(self.at);
            self.at += COMMENT.len();
        }
        self.context.tally.omit();
        self.state.place = Place::Comment(0);
    }

    pub(super) fn comment(&mut self, dashes: u8) -> Result<(), MaskError> {
        let mut dashes = dashes;
        while let Some(byte) = self.peek() {
            match (dashes, byte) {
                (2, b'>') => {
                    self.at += 1;
                    self.resume(self.at);
                    self.state.place = Place::Content;
                    return Ok(());
                }
                (2, _) => return Err(self.syntax(self.at, "`>` after `--` in a comment")),
                (_, b'-') => {
                    dashes += 1;
                    self.at += 1;
                }
                (_, _) => {
                    dashes = 0;
                    self.at += memchr(b'-', self.rest()).unwrap_or(self.rest().len());
                }
            }
        }
        self.state.place = Place::Comment(dashes);
        Ok(())
    }

    fn begin_cdata(&mut self, tag: Tag<'_>) -> Result<(), MaskError> {
        match self.state.top.shape {
            Shape::Outside if self.state.done => return Err(MaskError::Trailing { at: tag.offset }),
            Shape::Outside => return Err(tag.syntax(0, "the document element")),
            Shape::Members => self.drop_text(),
            Shape::Nothing => self.count_once(),
            Shape::Whole | Shape::Text | Shape::Value | Shape::Dropped | Shape::Inside => {}
        }
        if tag.is_here {
            self.at += CDATA.len();
        } else if self.state.copying {
            self.context.out.extend_from_slice(CDATA.as_bytes());
        } else if self.state.top.shape == Shape::Value {
            self.keep_value(CDATA);
        }
        self.state.brackets = 0;
        self.state.place = Place::Cdata(0);
        Ok(())
    }

    pub(super) fn cdata(&mut self, brackets: u8) {
        let mut brackets = brackets;
        while let Some(byte) = self.peek() {
            match (brackets, byte) {
                (2, b'>') => {
                    self.at += 1;
                    self.state.place = Place::Content;
                    return;
                }
                (_, b']') => {
                    brackets = if brackets == 0 { 1 } else { 2 };
                    self.at += 1;
                }
                (_, _) => {
                    brackets = 0;
                    self.at += memchr(b']', self.rest()).unwrap_or(self.rest().len());
                }
            }
        }
        self.state.place = Place::Cdata(brackets);
    }

    /// A processing instruction does not leave; the declaration does.
    fn instruction(&mut self, tag: Tag<'_>) -> Result<(), MaskError> {
        const START: usize = "<?".len();
        let end = tag.text.len().saturating_sub(START);
        let target = tag.text.get(START..end).and_then(Name::front);
        let Some(target) = target.filter(|target| target.prefix().is_none()) else {
            return Err(tag.syntax(START, "the target of a processing instruction"));
        };
        let after = START + target.text.len();
        let is_apart = tag.text.as_bytes().get(after).is_some_and(|&byte| is_space(byte));
        if after != end && !is_apart {
            return Err(tag.syntax(after, "white space or `?>`"));
        }
        if !target.text.eq_ignore_ascii_case("xml") {
            self.context.tally.omit();
            if tag.is_here {
                self.cut(self.at);
                self.at += tag.text.len();
                self.resume(self.at);
            }
            return Ok(());
        }
        if target.text != "xml" || tag.offset != 0 {
            return Err(tag.syntax(START, "the XML declaration at the very beginning only"));
        }
        let charset = self.context.charset;
        let other = declaration::check(tag.text, charset, &mut self.state.attributes);
        let other = other.map_err(|error| match error {
            DeclarationError::Syntax { at, expected } => tag.syntax(at, expected),
            DeclarationError::Encoding => MaskError::DeclaredEncoding,
        })?;
        match other {
            Some(encoding) => self.declare_utf8(tag, encoding),
            None => self.keep(tag),
        }
        Ok(())
    }

    /// What leaves is UTF-8, whatever it was, and says so.
    fn declare_utf8(&mut self, tag: Tag<'_>, encoding: Range<usize>) {
        if tag.is_here {
            self.cut(self.at);
        }
        let (front, rest) = tag.text.split_at_checked(encoding.start).unwrap_or((tag.text, ""));
        let end = rest.get(encoding.len()..).unwrap_or("");
        for part in [front, "UTF-8", end] {
            self.context.out.extend_from_slice(part.as_bytes());
        }
        if tag.is_here {
            self.at += tag.text.len();
            self.resume(self.at);
        }
    }

    /// Markup leaves as it is.
    #[inline(always)]
    pub(super) fn keep(&mut self, tag: Tag<'_>) {
        if tag.is_here {
            self.at += tag.text.len();
        } else {
            self.context.out.extend_from_slice(tag.text.as_bytes());
        }
    }
}

/// What comes after the bracket of a start tag.
pub(super) const NAME: &str = "the name of an element";

#[cold]
fn too_long(offset: u64) -> MaskError {
    MaskError::TagTooLong { at: offset + as_u64(TAG_MAX_BYTES), max: TAG_MAX_BYTES }
}

/// The length of the markup at the front of `bytes`; nothing if it is not whole.
#[inline(always)]
fn find_end(form: &mut Form, bytes: &[u8]) -> Option<usize> {
    if let Form::Start(None) = form {
        // Most tags have no attributes.
        let after = 1 + ascii_name_run(bytes.get(1..)?);
        if bytes.get(after) == Some(&b'>') {
            return Some(after + 1);
        }
    }
    find_end_after(form, &[], bytes)
}

/// The length of what `piece` has of the markup that begins with `held`; nothing if it does not end in it.
fn find_end_after(form: &mut Form, held: &[u8], piece: &[u8]) -> Option<usize> {
    match form {
        Form::Unknown | Form::End => Some(memchr(b'>', piece)? + 1),
        Form::Instruction => instruction_end(held, piece),
        Form::Start(quote) => start_end(quote, piece),
    }
}

/// The end of a start tag: the first bracket outside of quotes.
fn start_end(quote: &mut Option<u8>, bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        if let Some(open) = *quote {
            at += memchr(open, rest)? + 1;
            *quote = None;
            continue;
        }
        at += memchr3(b'>', b'"', b'\'', rest)?;
        match *bytes.get(at)? {
            b'>' => return Some(at + 1),
            open => *quote = Some(open),
        }
        at += 1;
    }
}

/// The end of a processing instruction: the first `?>` that does not begin with the `?` of its start.
fn instruction_end(held: &[u8], bytes: &[u8]) -> Option<usize> {
    const START: usize = "<?".len();
    let mut at = 0;
    loop {
        at += memchr(b'>', bytes.get(at..)?)?;
        let before = match at.checked_sub(1) {
            Some(before) => bytes.get(before),
            None => held.last(),
        };
        if before == Some(&b'?') && held.len() + at > START {
            return Some(at + 1);
        }
        at += 1;
    }
}
