//! The XML declaration (XML 1.0 section 2.8).

use super::attributes::{AttributeError, Attributes};

/// What is wrong with a declaration, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeclarationError {
    Syntax { at: usize, expected: &'static str },
    Encoding,
}

/// Checks `text`, from `<?xml` to `?>`.
pub(super) fn check(text: &str, attributes: &mut Attributes) -> Result<(), DeclarationError> {
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
    if let Some(encoding) = all.next_if(|attribute| is(attribute, "encoding"))
        && !is_encoding(encoding.value(text))
    {
        return Err(DeclarationError::Encoding);
    }
    if let Some(standalone) = all.next_if(|attribute| is(attribute, "standalone"))
        && !matches!(standalone.value(text), "yes" | "no")
    {
        return fault(standalone.value.start, "`yes` or `no`");
    }
    match all.next() {
        Some(other) => fault(other.name.start, "`?>`"),
        None => Ok(()),
    }
}

/// Whether a body may say that it has this encoding. All that is read is UTF-8: where bodies in another
/// charset are made UTF-8 before, this is the one place that must know what they may still say.
fn is_encoding(name: &str) -> bool {
    name.eq_ignore_ascii_case("utf-8")
}
