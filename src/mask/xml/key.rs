//! How elements and attributes are named in the automaton: by local name and namespace, never by the
//! prefix that a body happens to use.
//!
//! The key of an attribute begins with a mark, that of a name in a namespace ends with one and the
//! number of the namespace in the plan. Both are control characters: none can stand in a name of XML,
//! nor can folding make one of what can, so no two things share a key.

/// The key of the text of an element that has attributes too.
pub(in crate::mask) const TEXT: &str = ".";

const MARK: u8 = 1;

/// What the key of an attribute begins with.
pub(super) const ATTRIBUTE: u8 = 2;

/// The most namespaces that a plan tells apart: their numbers are characters without case.
pub(in crate::mask) const NAMESPACES_MAX: usize = 32;

/// What carries a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) enum Kind {
    Element,
    Attribute,
}

/// Writes the key of a name in the namespace of this number, or in none, into an empty `key`.
pub(in crate::mask) fn write(kind: Kind, local: &str, namespace: Option<u8>, key: &mut String) {
    if kind == Kind::Attribute {
        key.push(char::from(ATTRIBUTE));
    }
    key.push_str(local);
    if let Some(number) = namespace {
        key.push(char::from(MARK));
        key.push(char::from(number.wrapping_add(1)));
    }
}

/// The local name of a key in the namespace of this number; nothing if it is not in that.
#[inline(always)]
pub(in crate::mask) fn without(number: u8, key: &[u8]) -> Option<&[u8]> {
    match key {
        [local @ .., MARK, last] if *last == number.wrapping_add(1) => Some(local),
        _ => None,
    }
}
