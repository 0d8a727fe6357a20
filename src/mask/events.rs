//! Event streams (WHATWG HTML, section 9.2): events apart by blank lines, the data of each a JSON
//! document.
//!
//! The data of an event goes through a JSON reader of its own as it comes; where it has several lines,
//! the line end between them is the white space that it stands for, and is written as a line end and
//! the name of the field again. The line end behind data is not written until what follows is known.
//!
//! Beside data there is little that an event can say: [`Beside`] tells what may leave of it, and then
//! only as a short token.

use super::automaton::{NAMELESS, Rule};
use super::context::{Context, Reader as _};
use super::error::MaskError;
use super::json;
use super::masker::Value;
use super::plan::{Beside, Plan};

/// The longest `event` and `id` that leave, in bytes.
const MAX_TOKEN_BYTES: usize = 64;
/// The longest `retry` that leaves, in digits: below 1,000 seconds, and shorter than a telephone number.
const MAX_RETRY_DIGITS: usize = 6;
/// The most that is kept of the fields that stand behind the data of their event, in bytes.
const MAX_LATER_BYTES: usize = 1 << 10;
/// The longest name that means something, in bytes.
const MAX_NAME_BYTES: usize = 5;

/// One body.
#[derive(Debug)]
pub(super) struct Reader {
    beside: Beside,
    place: Place,
    after_return: AfterReturn,
    /// The name at hand, one byte more than [`MAX_NAME_BYTES`] at most.
    name: Vec<u8>,
    field: Field,
    /// Whether a colon came after the name, and a space after that.
    style: Style,
    /// The value at hand of a field beside data, one byte more than its bound at most.
    token: Vec<u8>,
    /// The data of the event at hand.
    data: Option<json::Reader>,
    /// The line end behind the last line of data: how it is written, and where it was.
    line_end: &'static str,
    line_end_at: u64,
    /// Fields that stand behind the data of their event; they leave behind its last line of data.
    later: Vec<u8>,
    is_named: bool,
    /// Whether the last byte that has left is a CR, outside of data.
    left_return: bool,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    Name,
    /// Behind the colon, where one space is no part of the value.
    Colon,
    Value,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Id,
    Retry,
    /// A comment, or a name that means nothing.
    Other,
    Comment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bare,
    Colon,
    ColonAndSpace,
}

impl Style {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "",
            Self::Colon => ":",
            Self::ColonAndSpace => ": ",
        }
    }
}

/// What becomes of an LF that comes next: it belongs to the CR before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterReturn {
    /// There is no CR before it.
    Apart,
    /// The CR has left, so it does too.
    Leaves,
    /// The CR has not left.
    Goes,
    /// It is the line end of data.
    Data,
    /// It belongs to what leaves later.
    Later,
}

impl Reader {
    /// A body has begun.
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            beside: plan.beside,
            place: Place::LineStart,
            after_return: AfterReturn::Apart,
            name: Vec::new(),
            field: Field::Other,
            style: Style::Bare,
            token: Vec::new(),
            data: None,
            line_end: "\n",
            line_end_at: 0,
            later: Vec::new(),
            is_named: false,
            left_return: false,
        }
    }

    /// Takes what belongs to one place, and returns how many bytes that was. `at` is the place of
    /// `rest` in the body.
    fn step(&mut self, rest: &str, at: u64, context: &mut Context<'_>) -> Result<usize, MaskError> {
        let bytes = rest.as_bytes();
        let Some(&first) = bytes.first() else { return Ok(0) };
        match self.place {
            Place::LineStart => self.line_start(first, at, context),
            Place::Name => {
                let length = memchr::memchr3(b':', b'\r', b'\n', bytes).unwrap_or(bytes.len());
                let room = (MAX_NAME_BYTES + 1).saturating_sub(self.name.len());
                self.name.extend(bytes.iter().take(length.min(room)));
                let Some(&end) = bytes.get(length) else { return Ok(length) };
                self.field = self.named();
                if end == b':' {
                    self.place = Place::Colon;
                    return Ok(length + 1);
                }
                self.style = Style::Bare;
                self.begin_value(context)?;
                Ok(length)
            }
            Place::Colon => {
                self.style = if first == b' ' { Style::ColonAndSpace } else { Style::Colon };
                self.begin_value(context)?;
                Ok(usize::from(first == b' '))
            }
            Place::Value => {
                let length = memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
                self.value(rest.get(..length).unwrap_or_default(), at, context)?;
                let Some(&end) = bytes.get(length) else { return Ok(length) };
                let at = at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                self.end_line(end, at, context);
                Ok(length + 1)
            }
        }
    }

    fn line_start(&mut self, first: u8, at: u64, context: &mut Context<'_>) -> Result<usize, MaskError> {
        let after_return = std::mem::replace(&mut self.after_return, AfterReturn::Apart);
        match (first, after_return) {
            (b'\n', AfterReturn::Leaves) => {
                context.out.push(b'\n');
                self.left_return = false;
            }
            (b'\n', AfterReturn::Goes) => {}
            (b'\n', AfterReturn::Data) => self.line_end = "\r\n",
            (b'\n', AfterReturn::Later) => self.later.push(b'\n'),
            (b'\n' | b'\r', _) => self.end_event(first, at, context)?,
            (b':', _) => {
                self.field = Field::Comment;
                self.style = Style::Colon;
                self.begin_value(context)?;
            }
            _ => {
                self.name.clear();
                self.place = Place::Name;
                return Ok(0);
            }
        }
        Ok(1)
    }

    fn named(&self) -> Field {
        match self.name.as_slice() {
            b"data" => Field::Data,
            b"event" => Field::Event,
            b"id" => Field::Id,
            b"retry" => Field::Retry,
            _ => Field::Other,
        }
    }

    fn begin_value(&mut self, context: &mut Context<'_>) -> Result<(), MaskError> {
        self.place = Place::Value;
        match self.field {
            Field::Data if self.data.is_some() => self.feed("\n", self.line_end_at, context),
            Field::Data => {
                self.data = Some(json::Reader::new(context.plan));
                context.out.extend_from_slice(b"data");
                context.out.extend_from_slice(self.style.as_str().as_bytes());
                Ok(())
            }
            Field::Event | Field::Id | Field::Retry => {
                self.is_named |= self.field == Field::Event;
                self.token.clear();
                Ok(())
            }
            Field::Other => {
                context.tally.drop(NAMELESS);
                Ok(())
            }
            Field::Comment => {
                // What a comment says does not leave, that there is one does: it keeps connections alive.
                if self.data.is_none() {
                    context.out.push(b':');
                }
                Ok(())
            }
        }
    }

    /// A part of the value of the line at hand.
    fn value(&mut self, part: &str, at: u64, context: &mut Context<'_>) -> Result<(), MaskError> {
        match self.field {
            Field::Data => self.feed(part, at, context),
            Field::Event | Field::Id | Field::Retry => {
                let room = (MAX_TOKEN_BYTES + 1).saturating_sub(self.token.len());
                self.token.extend(part.bytes().take(room));
                Ok(())
            }
            Field::Other | Field::Comment => Ok(()),
        }
    }

    /// Hands a part of the data of an event to its reader. Line ends in what comes back are those
    /// between the lines of data.
    fn feed(&mut self, part: &str, at: u64, context: &mut Context<'_>) -> Result<(), MaskError> {
        let Some(data) = &mut self.data else { return Ok(()) };
        if part.is_empty() {
            return Ok(());
        }
        let start = context.out.len();
        data.read(part, context.at(at))?;
        let out = &mut *context.out;
        let Some(found) = out.get(start..).and_then(|written| memchr::memchr(b'\n', written)) else {
            return Ok(());
        };
        let written = out.split_off(start + found);
        let name: &[&str] = match self.style {
            Style::Bare | Style::Colon => &[self.line_end, "data:"],
            Style::ColonAndSpace => &[self.line_end, "data: "],
        };
        for (line, text) in written.split(|byte| *byte == b'\n').enumerate() {
            if line > 0 {
                name.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
            }
            out.extend_from_slice(text);
        }
        Ok(())
    }

    /// The line at hand ends with `end`, which is at `at` of the body.
    fn end_line(&mut self, end: u8, at: u64, context: &mut Context<'_>) {
        self.place = Place::LineStart;
        let after = match self.field {
            Field::Data => {
                self.line_end = if end == b'\r' { "\r" } else { "\n" };
                self.line_end_at = at;
                AfterReturn::Data
            }
            Field::Comment if self.data.is_none() => {
                context.out.push(end);
                self.left_return = end == b'\r';
                AfterReturn::Leaves
            }
            Field::Other | Field::Comment => AfterReturn::Goes,
            Field::Event | Field::Id | Field::Retry => self.end_token(end, context),
        };
        self.after_return = if end == b'\r' { after } else { AfterReturn::Apart };
    }

    /// A field beside data leaves, if it may, now or behind the data that it stands behind.
    fn end_token(&mut self, end: u8, context: &mut Context<'_>) -> AfterReturn {
        let (name, rule) = match self.field {
            Field::Event => ("event", self.beside.event.filter(|_| is_token(&self.token))),
            Field::Id => ("id", self.beside.id.filter(|_| is_token(&self.token))),
            Field::Retry | Field::Data | Field::Other | Field::Comment => {
                ("retry", is_delay(&self.token).then_some(Rule::WHOLE))
            }
        };
        let has_data = self.data.is_some();
        let Some(rule) = rule.filter(|_| self.later.len() <= MAX_LATER_BYTES) else {
            context.tally.drop(NAMELESS);
            return AfterReturn::Goes;
        };
        if let (true, Ok(token)) = (context.searches(rule), std::str::from_utf8(&self.token)) {
            context.search(rule, Value::Text(token));
        }
        let out = if has_data { &mut self.later } else { &mut *context.out };
        for part in [name.as_bytes(), self.style.as_str().as_bytes(), &self.token, &[end]] {
            out.extend_from_slice(part);
        }
        if has_data {
            return AfterReturn::Later;
        }
        self.left_return = end == b'\r';
        AfterReturn::Leaves
    }

    /// A blank line at `at` ends the event at hand.
    fn end_event(&mut self, end: u8, at: u64, context: &mut Context<'_>) -> Result<(), MaskError> {
        let syntax = |expected| MaskError::Syntax { at, expected };
        match self.data.take() {
            Some(mut data) => {
                let ended = data.finish(context.at(at));
                if let Err(MaskError::Truncated { .. }) = ended {
                    return Err(syntax("a whole document as the data of the event"));
                }
                ended?;
                context.out.extend_from_slice(self.line_end.as_bytes());
                context.out.append(&mut self.later);
                self.left_return = context.out.last() == Some(&b'\r');
            }
            None if self.is_named => return Err(syntax("`data` in the event")),
            None => {}
        }
        self.is_named = false;
        // With a line between them gone, CR and LF would be one line end, and the event would not end.
        if self.left_return && end == b'\n' {
            context.out.push(end);
        }
        context.out.push(end);
        self.left_return = end == b'\r';
        self.after_return = if end == b'\r' { AfterReturn::Leaves } else { AfterReturn::Apart };
        Ok(())
    }
}

impl super::context::Reader for Reader {
    fn read(&mut self, piece: &str, mut context: Context<'_>) -> Result<(), MaskError> {
        if context.base == 0 && piece.starts_with('\u{FEFF}') {
            return Err(MaskError::ByteOrderMark);
        }
        let (mut rest, mut at) = (piece, context.base);
        while !rest.is_empty() {
            let taken = self.step(rest, at, &mut context)?;
            rest = rest.get(taken..).unwrap_or_default();
            at = at.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn finish(&mut self, context: Context<'_>) -> Result<(), MaskError> {
        // A browser would leave out an event that no blank line ends: it may have been cut.
        if self.place != Place::LineStart || self.data.is_some() || self.is_named {
            return Err(MaskError::Truncated { at: context.base });
        }
        Ok(())
    }

    #[cfg(test)]
    fn footprint(&self) -> usize {
        let data = self.data.as_ref().map_or(0, json::Reader::footprint);
        data + self.name.capacity() + self.token.capacity() + self.later.capacity()
    }
}

/// Whether `text` is a word that cannot say much: letters, digits and the signs of names.
fn is_token(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(byte);
    text.len() <= MAX_TOKEN_BYTES && text.iter().all(is_plain)
}

/// Whether `text` is a time to wait, in milliseconds.
fn is_delay(text: &[u8]) -> bool {
    (1..=MAX_RETRY_DIGITS).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests;
