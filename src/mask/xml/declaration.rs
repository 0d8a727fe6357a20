//! The XML declaration (XML 1.0 section 2.8).

use std::ops::Range;

use super::attributes::{AttributeError, Attributes};
use crate::catalog::Charset;

/// What is wrong with a declaration, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeclarationError {
    Syntax { at: usize, expected: &'static str },
    Encoding,
}

/// Checks `text`, from `<?xml` to `?>`, of a body that came in `charset`; gives where it names another encoding
/// than UTF-8, in which it leaves.
pub(super) fn check(
    text: &str,
    charset: Charset,
    attributes: &mut Attributes,
) -> Result<Option<Range<usize>>, DeclarationError> {
    const NAME: usize = "<?xml".len();
    attributes.read(text, NAME, text.len().saturating_sub(2)).map_err(|error| match error {
        AttributeError::Syntax { at, expected } => DeclarationError::Syntax { at, expected },
        AttributeError::TooMany { at } => DeclarationError::Syntax { at, expected: "`?>`" },
    })?;
    let mut all = attributes.all.iter().peekable();
    let fault = |at, expected| Err(DeclarationError::Syntax { at, expected });
    let is = |attribute: &super::attributes::Attribute, name| text.get(attribute.name.clone()) == Some(name);
    match all.next_if(|attribute| is(attribute, "version")) {
        Some(version) if version.value(text) == "1.0" => {}
        Some(version) => return fault(version.value.start, "version 1.0"),
        None => return fault(NAME, "the version"),
    }
    let encoding = all.next_if(|attribute| is(attribute, "encoding"));
    if encoding.is_some_and(|encoding| !is_encoding(encoding.value(text), charset)) {
        return Err(DeclarationError::Encoding);
    }
    if let Some(standalone) = all.next_if(|attribute| is(attribute, "standalone"))
        && !matches!(standalone.value(text), "yes" | "no")
    {
        return fault(standalone.value.start, "`yes` or `no`");
    }
    match all.next() {
        Some(other) => fault(other.name.start, "`?>`"),
        None => Ok(encoding.filter(|_| charset != Charset::Utf8).map(|encoding| encoding.value.clone())),
    }
}

/// Whether a body that came in `charset` may say that it has this encoding.
fn is_encoding(name: &str, charset: Charset) -> bool {
    match charset {
        Charset::Utf8 => name.eq_ignore_ascii_case("utf-8"),
        Charset::Gbk | Charset::Gb18030 => Charset::of_label(name) == Some(charset),
    }
}
