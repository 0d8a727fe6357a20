//! The functions that a matcher may call, as Go Casbin has them, with their patterns compiled.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use regex::Regex;

use super::expression::compiled;
use super::glob::Glob;
use super::value::{Fault, Seen};
use crate::policy::oracle as canonical;
use crate::policy::problem::Problem;

/// A function of two texts, or three for the last of the `keyGet` family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Function {
    /// `*` at the end matches the rest.
    KeyMatch,
    /// What `*` of `keyMatch` matched.
    KeyGet,
    /// `:name` matches a part of a path.
    KeyMatch2,
    /// What `:name` matched.
    KeyGet2,
    /// `{name}` matches a part of a path.
    KeyMatch3,
    /// What `{name}` matched.
    KeyGet3,
    /// `keyMatch3`, and equal names match equal parts.
    KeyMatch4,
    /// `keyMatch3` without a query.
    KeyMatch5,
    /// A regular expression, anywhere in the text.
    RegexMatch,
    /// An address, or a network it is in.
    IpMatch,
    /// A shell pattern.
    GlobMatch,
    /// A purpose, or all below a prefix; of the gate alone.
    PurposeMatch,
    /// Fields and parameters within a canonical scope; of the gate alone.
    ScopeMatch,
    /// A moment within a canonical window; of the gate alone.
    InWindow,
}

impl Function {
    /// The functions that the gate adds, over canonical texts.
    pub(super) const OF_GATE: [Self; 3] = [Self::PurposeMatch, Self::ScopeMatch, Self::InWindow];

    /// Every function of Casbin.
    pub const ALL: [Self; 11] = [
        Self::KeyMatch,
        Self::KeyGet,
        Self::KeyMatch2,
        Self::KeyGet2,
        Self::KeyMatch3,
        Self::KeyGet3,
        Self::KeyMatch4,
        Self::KeyMatch5,
        Self::RegexMatch,
        Self::IpMatch,
        Self::GlobMatch,
    ];

    /// The name in a matcher.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyMatch => "keyMatch",
            Self::KeyGet => "keyGet",
            Self::KeyMatch2 => "keyMatch2",
            Self::KeyGet2 => "keyGet2",
            Self::KeyMatch3 => "keyMatch3",
            Self::KeyGet3 => "keyGet3",
            Self::KeyMatch4 => "keyMatch4",
            Self::KeyMatch5 => "keyMatch5",
            Self::RegexMatch => "regexMatch",
            Self::IpMatch => "ipMatch",
            Self::GlobMatch => "globMatch",
            Self::PurposeMatch => "purpose_match",
            Self::ScopeMatch => "scope_match",
            Self::InWindow => "in_window",
        }
    }

    /// The function called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.as_str() == name)
    }

    /// The function of the gate called `name`.
    pub(super) fn of_gate(name: &str) -> Option<Self> {
        Self::OF_GATE.into_iter().find(|function| function.as_str() == name)
    }

    /// Whether it is one that the gate adds.
    pub(super) fn is_of_gate(self) -> bool {
        Self::OF_GATE.contains(&self)
    }

    /// How many arguments it takes.
    #[must_use]
    pub fn arity(self) -> usize {
        if matches!(self, Self::KeyGet2 | Self::KeyGet3) { 3 } else { 2 }
    }

    /// Whether it yields a text; the others yield true or false.
    pub(super) fn yields_text(self) -> bool {
        matches!(self, Self::KeyGet | Self::KeyGet2 | Self::KeyGet3)
    }

    /// Whether its pattern costs nothing to read and cannot be abused, so that a request may bring it.
    pub(super) fn takes_any_pattern(self) -> bool {
        matches!(self, Self::KeyMatch | Self::KeyGet | Self::IpMatch) || self.is_of_gate()
    }

    /// Whether it may match names of roles or domains.
    #[must_use]
    pub fn matches_names(self) -> bool {
        matches!(
            self,
            Self::KeyMatch
                | Self::KeyMatch2
                | Self::KeyMatch3
                | Self::KeyMatch4
                | Self::KeyMatch5
                | Self::RegexMatch
        )
    }

    /// Compiles `pattern`.
    pub(super) fn pattern(self, pattern: &str) -> Result<Pattern, String> {
        Ok(match self {
            Self::KeyMatch => Pattern::Prefix(pattern.to_owned()),
            Self::KeyGet => Pattern::After(pattern.to_owned()),
            Self::PurposeMatch | Self::ScopeMatch | Self::InWindow => {
                Pattern::Canonical(self, pattern.to_owned())
            }
            Self::RegexMatch => Pattern::Regex(compiled(pattern)?),
            Self::GlobMatch => Pattern::Glob(Glob::new(pattern)?),
            Self::IpMatch => Pattern::Network(
                Network::parse(pattern).ok_or("it is neither an IP address nor a CIDR network")?,
            ),
            Self::KeyMatch2 => Pattern::Regex(path(&parts(pattern, Mark::Colon), "[^/]+")?.regex),
            Self::KeyMatch3 => Pattern::Regex(path(&parts(pattern, Mark::Brace), "[^/]+")?.regex),
            Self::KeyMatch5 => Pattern::BeforeQuery(path(&parts(pattern, Mark::Brace), "[^/]+")?.regex),
            Self::KeyGet2 => Pattern::Named(path(&parts(pattern, Mark::Colon), "([^/]+)")?),
            Self::KeyGet3 => Pattern::Named(path(&parts(pattern, Mark::ShortBrace), "([^/]+?)")?),
            Self::KeyMatch4 => {
                let path = path(&parts(pattern, Mark::Brace), "([^/]+)")?;
                if path.regex.captures_len() != path.names.len() + 1 {
                    return Err("its groups are not those of its names".to_owned());
                }
                Pattern::Equal(path)
            }
        })
    }
}

/// How a name is marked in the pattern of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// `:name`
    Colon,
    /// `{name}`, up to the last `}` before a `/`
    Brace,
    /// `{name}`, up to the first `}`
    ShortBrace,
}

/// A part of the pattern of a path: text for a regular expression, or a name.
enum Part {
    Text(String),
    Name(String),
}

fn parts(pattern: &str, mark: Mark) -> Vec<Part> {
    let pattern = pattern.replace("/*", "/.*");
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = pattern.as_str();
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or("");
        let segment = after.split('/').next().unwrap_or("");
        let name = match (mark, c) {
            (Mark::Colon, ':') if !segment.is_empty() => Some((segment, segment.len())),
            (Mark::Brace, '{') => segment.rfind('}').and_then(|end| Some((segment.get(..end)?, end + 1))),
            // At least one character stands before the `}`, whatever it is.
            (Mark::ShortBrace, '{') => {
                let first = segment.chars().next().map_or(0, char::len_utf8);
                segment
                    .get(first..)
                    .and_then(|later| later.find('}'))
                    .map(|end| end + first)
                    .and_then(|end| Some((segment.get(..end)?, end + 1)))
            }
            _ => None,
        };
        match name.filter(|(name, _)| !name.is_empty()) {
            Some((name, used)) => {
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Name(name.to_owned()));
                rest = after.get(used..).unwrap_or("");
            }
            None => {
                text.push(c);
                rest = after;
            }
        }
    }
    parts.push(Part::Text(text));
    parts
}

fn path(parts: &[Part], name_as: &str) -> Result<Path, String> {
    let mut names = Vec::new();
    let mut text = String::from("^");
    for part in parts {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Name(name) => {
                text.push_str(name_as);
                names.push(name.clone());
            }
        }
    }
    text.push('$');
    Ok(Path { regex: compiled(&text)?, names })
}

/// The pattern of a path, with a group for each name.
#[derive(Debug, Clone)]
pub(super) struct Path {
    regex: Regex,
    names: Vec<String>,
}

/// A pattern, ready to be matched.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    Prefix(String),
    After(String),
    Regex(Regex),
    BeforeQuery(Regex),
    Equal(Path),
    Named(Path),
    Glob(Glob),
    Network(Network),
    /// A canonical text of the gate.
    Canonical(Function, String),
}

impl Pattern {
    /// What the pattern's function yields on `text`; `name` is the third argument.
    pub(super) fn apply<'v>(&self, text: &str, name: &str) -> Result<Seen<'v>, Fault> {
        let yielded = |text: &str| Seen::Text(Cow::Owned(text.to_owned()));
        Ok(match self {
            Self::Prefix(pattern) => Seen::Truth(key_match(text, pattern)),
            Self::After(pattern) => yielded(key_get(text, pattern)),
            Self::Regex(regex) => Seen::Truth(regex.is_match(text)),
            Self::BeforeQuery(regex) => Seen::Truth(regex.is_match(text.split('?').next().unwrap_or(text))),
            Self::Equal(path) => Seen::Truth(path.is_equal_match(text)),
            Self::Named(path) => yielded(path.named(text, name)),
            Self::Glob(glob) => {
                Seen::Truth(glob.matches(text).ok_or_else(|| Fault::GivenUp { text: short(text) })?)
            }
            Self::Canonical(Function::PurposeMatch, granted) => {
                Seen::Truth(canonical::is_purpose_match(text, granted))
            }
            Self::Canonical(Function::ScopeMatch, granted) => {
                Seen::Truth(canonical::is_scope_match(text, granted))
            }
            Self::Canonical(function, window) => {
                let inside = canonical::is_in_window(text, window);
                Seen::Truth(
                    inside.ok_or_else(|| Fault::NotAPattern {
                        text: short(window),
                        function: function.as_str(),
                    })?,
                )
            }
            Self::Network(network) => {
                let address: IpAddr = text.parse().map_err(|_| Fault::NotAnAddress { text: short(text) })?;
                Seen::Truth(network.has(address))
            }
        })
    }

    /// Whether it matches; what yields a text matches nothing.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.apply(text, "") == Ok(Seen::Truth(true))
    }
}

/// The most different patterns that need more than their text.
const MAX_PATTERNS: usize = 20_000;

/// Patterns from the columns of lines, each compiled once, however many lines have it.
#[derive(Debug, Default)]
pub(super) struct Patterns(HashMap<(Function, Arc<str>), Arc<Pattern>>);

impl Patterns {
    /// `cell` as a pattern of `function`; what is wrong with it lies in the cell.
    pub(super) fn compiled(&mut self, function: Function, cell: &Arc<str>) -> Result<Arc<Pattern>, Problem> {
        let key = (function, Arc::clone(cell));
        if let Some(known) = self.0.get(&key) {
            return Ok(Arc::clone(known));
        }
        if self.0.len() >= MAX_PATTERNS && !function.takes_any_pattern() {
            let message = format!("more than {MAX_PATTERNS} different patterns");
            return Err(Problem::new("too-much", 0..0, message, "use fewer patterns, or `keyMatch`"));
        }
        let pattern = function.pattern(cell).map_err(|why| {
            let message = format!("`{cell}` is not a pattern of `{}`", function.as_str());
            Problem::new("not-a-pattern", 0..cell.len(), message, why)
        })?;
        let pattern = Arc::new(pattern);
        self.0.insert(key, Arc::clone(&pattern));
        Ok(pattern)
    }
}

/// A request's text, short enough for a message.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

impl Path {
    fn is_equal_match(&self, text: &str) -> bool {
        let Some(captures) = self.regex.captures(text) else { return false };
        let value = |index: usize| captures.get(index + 1).map_or("", |group| group.as_str());
        self.names.iter().enumerate().all(|(index, name)| {
            let first = self.names.iter().position(|other| other == name).unwrap_or(index);
            value(first) == value(index)
        })
    }

    fn named<'t>(&self, text: &'t str, name: &str) -> &'t str {
        let Some(captures) = self.regex.captures(text) else { return "" };
        let index = self.names.iter().position(|known| known == name);
        index.and_then(|index| captures.get(index + 1)).map_or("", |group| group.as_str())
    }
}

fn key_match(key: &str, pattern: &str) -> bool {
    let Some((prefix, _)) = pattern.split_once('*') else { return key == pattern };
    key.as_bytes().starts_with(prefix.as_bytes())
}

fn key_get<'k>(key: &'k str, pattern: &str) -> &'k str {
    pattern.split_once('*').and_then(|(prefix, _)| key.strip_prefix(prefix)).unwrap_or("")
}

/// An address, or all addresses with a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let Some((base, bits)) = text.split_once('/') else {
            let base = plain(text.parse().ok()?);
            return Some(Self { base, bits: width(base) });
        };
        let base: IpAddr = base.parse().ok()?;
        let bits: u32 = bits.parse().ok().filter(|_| bits.bytes().all(|byte| byte.is_ascii_digit()))?;
        // Go reads a prefix of an IPv4 address in IPv6 clothes as one of IPv4, whatever its length.
        (plain(base) == base && bits <= width(base)).then_some(Self { base, bits })
    }

    fn has(self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            self.bits == 0 || (a ^ b).checked_shr(width - self.bits).is_none_or(|differing| differing == 0)
        };
        match (self.base, plain(address)) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                same(u32::from(base).into(), u32::from(address).into(), 32)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => same(base.into(), address.into(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// An IPv4 address in IPv6 clothes is that IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: Function, text: &str, pattern: &str, name: &str) -> Result<Seen<'static>, Fault> {
        function.pattern(pattern).unwrap().apply(text, name)
    }

    #[test]
    fn functions_as_in_go() {
        for (function, text, pattern, expected) in [
            (Function::KeyMatch, "/名/a", "/名*", true),
            (Function::KeyMatch, "/é", "/\u{65}*", false),
            (Function::KeyMatch2, "/alice/all", "/:/all", false),
            (Function::KeyMatch2, "/book2/{id}", "/book2/{id}", true),
            (Function::KeyMatch3, "/a-b", "/{x}-{y}", true),
            (Function::KeyMatch4, "/p/1/c/1", "/p/{id}/c/{id}", true),
            (Function::KeyMatch4, "/p/1/c/2", "/p/{id}/c/{id}", false),
            (Function::KeyMatch5, "/a?b=1", "/a", true),
            (Function::IpMatch, "::ffff:10.0.0.1", "10.0.0.0/8", true),
            (Function::IpMatch, "10.0.0.1", "10.0.0.1", true),
            (Function::IpMatch, "::1", "0.0.0.0/0", false),
            (Function::IpMatch, "2001:db8::1", "2001:db8::/32", true),
            (Function::IpMatch, "11.0.0.1", "10.0.0.0/8", false),
        ] {
            let found = of(function, text, pattern, "");
            assert_eq!(found, Ok(Seen::Truth(expected)), "{function:?} {text} {pattern}");
        }
        assert!(matches!(of(Function::IpMatch, "x", "10.0.0.1", ""), Err(Fault::NotAnAddress { .. })));
        for (function, bad) in [
            (Function::IpMatch, "10.0.0.0/33"),
            (Function::IpMatch, "010.0.0.1"),
            (Function::IpMatch, "::ffff:10.0.0.0/96"),
            (Function::KeyMatch2, "/("),
            (Function::KeyMatch4, "/{id}/(a)"),
            (Function::GlobMatch, "["),
        ] {
            assert!(function.pattern(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn go_s_own_function_tests() {
        let Some(dir) = crate::kernel::skip::conformance() else { return };
        let text = std::fs::read_to_string(dir.join("casbin/cases.json")).unwrap();
        let cases: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut held = 0;
        for case in cases["functions"].as_array().unwrap() {
            let function = Function::named(case["function"].as_str().unwrap()).unwrap();
            let argument = |index: usize| case["args"].get(index).and_then(|arg| arg.as_str()).unwrap_or("");
            let expected = match case["expected"].as_bool() {
                Some(truth) => Seen::Truth(truth),
                None => Seen::Text(Cow::Borrowed(case["expected"].as_str().unwrap())),
            };
            assert_eq!(of(function, argument(0), argument(1), argument(2)), Ok(expected), "{case}");
            held += 1;
        }
        assert!(held >= 160, "{held}");
    }
}
