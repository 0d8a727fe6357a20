//! Which namespace a prefix means (Namespaces in XML 1.0), and whether the plan knows it.

use std::borrow::Cow;
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attribute;
use quick_xml::name::{Namespace, NamespaceResolver, PrefixDeclaration, QName, ResolveResult};

use super::characters::Name;
use super::key;

/// What the prefix `xml` means without a declaration.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// What is wrong with a declaration or a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScopeError(pub(super) &'static str);

/// The namespace of a name, as far as the plan is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// It is in no namespace.
    None,
    /// It is in this one of the plan's.
    Known(u8),
    /// It is in one that the plan does not name: nothing in it has a rule.
    Unknown,
}

impl Space {
    /// The local name of an element in this namespace that has this key; nothing if none has.
    #[inline(always)]
    pub(super) fn local(self, key: &[u8]) -> Option<&[u8]> {
        match self {
            Self::None => Some(key),
            Self::Known(number) => key::without(number, key),
            Self::Unknown => None,
        }
    }
}

/// The declarations that hold at one place of a document.
#[derive(Debug)]
pub(super) struct Scope {
    resolver: NamespaceResolver,
    /// The namespace of elements without a prefix.
    default: Space,
    /// The prefix that was resolved last, and its namespace.
    last: Option<(Box<str>, Space)>,
}

impl Scope {
    pub(super) fn new() -> Self {
        Self { resolver: NamespaceResolver::default(), default: Space::None, last: None }
    }

    /// Adds what an attribute of an element at this level declares.
    pub(super) fn declare(
        &mut self,
        level: u16,
        name: Name<'_>,
        value: &str,
        known: &[Arc<str>],
    ) -> Result<(), ScopeError> {
        let Some(prefix) = QName(name.text).as_namespace_binding() else { return Ok(()) };
        let uri = normalized(value).ok_or(ScopeError("the name of a namespace"))?;
        match prefix {
            PrefixDeclaration::Default if [XML, XMLNS].contains(&&*uri) => {
                return Err(ScopeError("no reserved namespace as the default one"));
            }
            PrefixDeclaration::Named(_) if uri.is_empty() => {
                return Err(ScopeError("a namespace for the prefix"));
            }
            PrefixDeclaration::Default | PrefixDeclaration::Named(_) => {}
        }
        self.last = None;
        self.resolver.set_level(level);
        self.resolver
            .add(prefix, Namespace(&uri))
            .map_err(|_| ScopeError("no other meaning of `xml` and `xmlns`, and at most 128 declarations"))?;
        if prefix == PrefixDeclaration::Default {
            self.default = space_of(&uri, known);
        }
        Ok(())
    }

    /// The namespace that the value of a declaration names.
    pub(super) fn declared(value: &str, known: &[Arc<str>]) -> Space {
        normalized(value).map_or(Space::Unknown, |uri| space_of(&uri, known))
    }

    /// Forgets what elements below this level declared.
    pub(super) fn leave(&mut self, level: u16, known: &[Arc<str>]) {
        self.last = None;
        self.resolver.set_level(level);
        self.default = match self.resolver.resolve_element(QName("x")).0 {
            ResolveResult::Bound(Namespace(uri)) => space_of(uri, known),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => Space::None,
        };
    }

    /// The namespace of an element.
    #[inline(always)]
    pub(super) fn element(&mut self, name: Name<'_>, known: &[Arc<str>]) -> Result<Space, ScopeError> {
        if name.prefix().is_none() { Ok(self.default) } else { self.prefixed(name, known) }
    }

    /// The namespace of an attribute that declares nothing.
    #[inline(always)]
    pub(super) fn attribute(&mut self, name: Name<'_>, known: &[Arc<str>]) -> Result<Space, ScopeError> {
        if name.prefix().is_none() { Ok(Space::None) } else { self.prefixed(name, known) }
    }

    fn prefixed(&mut self, name: Name<'_>, known: &[Arc<str>]) -> Result<Space, ScopeError> {
        if let Some((prefix, space)) = &self.last
            && name.prefix() == Some(prefix)
        {
            return Ok(*space);
        }
        let space = match self.uri(name) {
            Some(XMLNS) => Err(ScopeError("no element in the namespace of declarations")),
            Some(uri) => Ok(space_of(uri, known)),
            None => Err(ScopeError("a declaration of the prefix")),
        }?;
        self.last = name.prefix().map(|prefix| (prefix.into(), space));
        Ok(space)
    }

    /// The length of the prefix of an element whose name is at the front of `rest`, with its colon, and
    /// its namespace: if it has the prefix that was resolved last. Otherwise as if it had none.
    #[inline(always)]
    pub(super) fn front(&self, rest: &[u8]) -> (usize, Space) {
        if let Some((prefix, space)) = &self.last
            && let Some([b':', ..]) = rest.strip_prefix(prefix.as_bytes())
        {
            return (prefix.len() + 1, *space);
        }
        (0, self.default)
    }

    /// What the prefix of a name means; nothing if it has none, or one without a meaning.
    pub(super) fn uri(&self, name: Name<'_>) -> Option<&str> {
        match self.resolver.resolve_attribute(QName(name.text)).0 {
            ResolveResult::Bound(Namespace(uri)) => Some(uri),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
        }
    }

    /// The memory that declarations may hold, in bytes: their number is bounded.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        let last = self.last.as_ref().map_or(0, |(prefix, _)| prefix.len());
        last + self.resolver.bindings().map(|(_, Namespace(uri))| uri.len() + 64).sum::<usize>()
    }
}

fn space_of(uri: &str, known: &[Arc<str>]) -> Space {
    if uri.is_empty() {
        return Space::None;
    }
    let number = known.iter().position(|other| **other == *uri);
    number.and_then(|number| u8::try_from(number).ok()).map_or(Space::Unknown, Space::Known)
}

/// The value of an attribute: references decoded, line ends and tabs as spaces (XML 1.0 section 3.3.3).
pub(super) fn normalized(value: &str) -> Option<Cow<'_, str>> {
    // Most have neither.
    if value.bytes().all(|byte| byte >= b' ' && byte != b'&') {
        return Some(Cow::Borrowed(value));
    }
    Attribute { key: QName("value"), value: value.into() }.normalized_value(XmlVersion::Explicit1_0).ok()
}
