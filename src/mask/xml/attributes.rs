//! The attributes of one tag, strictly: white space between them, quotes, no `<`, no name twice.

use std::ops::Range;

use super::characters::{Name, is_reference, run_before, space_run};

/// The most attributes of one element. All are compared with each other.
pub(super) const ATTRIBUTES_MAX: usize = 64;

/// What is wrong with the attributes of a tag, and where in the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttributeError {
    Syntax { at: usize, expected: &'static str },
    TooMany { at: usize },
}

/// Where one attribute stands in its tag.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    /// Where the white space before it begins.
    pub(super) from: usize,
    pub(super) name: Range<usize>,
    /// Where the colon is in its name.
    colon: Option<usize>,
    /// Whether it declares a namespace.
    pub(super) declares: bool,
    /// Its value, without quotes.
    pub(super) value: Range<usize>,
}

impl Attribute {
    /// Where it ends, with its closing quote.
    pub(super) const fn end(&self) -> usize {
        self.value.end.saturating_add(1)
    }

    #[inline(always)]
    pub(super) fn name<'t>(&self, tag: &'t str) -> Name<'t> {
        Name { text: tag.get(self.name.clone()).unwrap_or_default(), colon: self.colon }
    }

    pub(super) fn value<'t>(&self, tag: &'t str) -> &'t str {
        tag.get(self.value.clone()).unwrap_or_default()
    }
}

/// The attributes of the tag at hand; the memory is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) all: Vec<Attribute>,
}

impl Attributes {
    /// Reads what stands in `tag` from `at` to `end`, between the name and the closing bracket.
    pub(super) fn read(&mut self, tag: &str, mut at: usize, end: usize) -> Result<(), AttributeError> {
        self.all.clear();
        let bytes = tag.as_bytes().get(..end).unwrap_or_default();
        loop {
            let from = at;
            at += space_run(bytes.get(at..).unwrap_or_default());
            if at >= end {
                return Ok(());
            }
            if at == from {
                return Err(AttributeError::Syntax { at, expected: "white space or the end of the tag" });
            }
            if self.all.len() >= ATTRIBUTES_MAX {
                return Err(AttributeError::TooMany { at });
            }
            let attribute = one(tag, bytes, from, at)?;
            at = attribute.end();
            let (start, length) = (attribute.name.start, attribute.name.len());
            let name = bytes.get(start..start + length);
            let is_same =
                |other: &Attribute| other.name.len() == length && bytes.get(other.name.clone()) == name;
            if self.all.iter().any(is_same) {
                return Err(AttributeError::Syntax {
                    at: attribute.name.start,
                    expected: "an attribute of another name",
                });
            }
            self.all.push(attribute);
        }
    }

    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.all.capacity() * size_of::<Attribute>()
    }
}

/// The attribute at `start`; the white space before it begins at `from`.
fn one(tag: &str, bytes: &[u8], from: usize, start: usize) -> Result<Attribute, AttributeError> {
    let fault = |at, expected| Err(AttributeError::Syntax { at, expected });
    let rest = |at: usize| bytes.get(at..).unwrap_or_default();
    let Some(name) = Name::front(tag.get(start..).unwrap_or_default()) else {
        return fault(start, "the name of an attribute");
    };
    let (colon, name) = (name.colon, start..start + name.text.len());
    let mut at = name.end + space_run(rest(name.end));
    if bytes.get(at) != Some(&b'=') {
        return fault(at, "`=`");
    }
    at += 1;
    at += space_run(rest(at));
    let Some(&quote @ (b'"' | b'\'')) = bytes.get(at) else {
        return fault(at, "a value in quotes");
    };
    at += 1;
    let mut end = at;
    loop {
        end += run_before(rest(end), [quote, b'<', b'&']);
        match bytes.get(end) {
            None => return fault(at, "the closing quote of the value"),
            Some(b'<') => return fault(end, "`&lt;` in a value"),
            Some(b'&') => {
                let reference = tag.get(end + 1..).and_then(|rest| rest.split_once(';'));
                if !reference.is_some_and(|(reference, _)| is_reference(reference)) {
                    return fault(end, REFERENCE);
                }
                end += 1;
            }
            _ => break,
        }
    }
    let text = bytes.get(name.clone()).unwrap_or_default();
    let declares = text == b"xmlns" || (colon == Some(5) && text.starts_with(b"xmlns"));
    Ok(Attribute { from, name, colon, declares, value: at..end })
}

/// What a reference may be.
pub(super) const REFERENCE: &str = "one of the five entities of XML, or a legal character by its number";
