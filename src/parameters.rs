//! The parameters that grants constrain, where they stand in the JSON body of a request.
//!
//! Bytes in, values out. It knows no grant and no route: what a value means is decided in `policy`,
//! which body is read at all in `proxy`. It keeps one promise: a value that it gives is the one that
//! every reader of the body finds under that path. Where two readers could differ — a member that
//! comes twice, a name that some programs take for another — there is no value but a [`BodyFault`].
//! What can be read in one way but is no plain value counts as absent, which fails an allow line and
//! matches a deny line. Where it says whose data is meant, absent is not good enough: nobody could say
//! later whose it was, and that is a [`BodyFault`] too.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::kernel::bound::BoundError;
use crate::kernel::reading::normalized;

/// The most members of a [`BodyPath`]. Nothing below is walked, so no nesting of a body is deeper work.
pub const MAX_PATH_MEMBERS: usize = 8;

/// The most values that one parameter may come with.
pub const MAX_VALUES: usize = 64;

/// The largest whole number that every JSON reader keeps exactly (RFC 8259, section 6).
const MAX_EXACT_INTEGER: u64 = (1 << 53) - 1;

/// Where in a JSON body a parameter is: names of members apart by dots, such as `query.area`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyPath(Vec<String>);

impl BodyPath {
    /// Reads a path.
    ///
    /// # Errors
    /// When a name is empty, has no letter or digit, or has anything but letters, digits, `-` and
    /// `_`; or when there are more than [`MAX_PATH_MEMBERS`].
    pub fn parse(text: &str) -> Result<Self, BoundError> {
        const ERROR: BoundError = BoundError {
            expected: "at most 8 names apart by dots, of letters, digits, `-` and `_`, such as `query.area`",
        };
        let is_name = |name: &str| {
            name.chars().any(char::is_alphanumeric)
                && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        };
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_path = names.len() <= MAX_PATH_MEMBERS && names.iter().all(|name| is_name(name));
        if is_path { Ok(Self(names)) } else { Err(ERROR) }
    }

    /// The name of the member that holds the value.
    #[must_use]
    pub fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// Whether a program that takes parameters from query and body alike could take the parameter
    /// `name` of a query for the member.
    #[must_use]
    pub fn is_like(&self, name: &str) -> bool {
        let name = folded(name);
        name == folded(self.last()) || joined(&self.0).any(|joined| folded(&joined) == name)
    }
}

/// The names by which programs know a member of a member: `query.area`, and `query`, with which
/// `query[area]` begins.
fn joined(names: &[String]) -> impl Iterator<Item = String> {
    (1..=names.len()).map(|end| names.get(..end).unwrap_or_default().join("."))
}

impl fmt::Display for BodyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// Why nothing is read from a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// It is not JSON (RFC 8259) in UTF-8.
    #[error("it is not one JSON text in UTF-8")]
    Syntax,
    /// A member on the way to a parameter comes twice: readers take the first, the last, or both.
    #[error("`{path}` comes twice")]
    Doubled {
        /// Which member.
        path: String,
    },
    /// A name that some programs take for that of a parameter.
    #[error("a name could be taken for `{path}`")]
    Alike {
        /// Which parameter, or which member on the way to it.
        path: String,
    },
    /// A name has a control character, where some programs end a text: a name that begins with that of
    /// a parameter is the parameter to them.
    #[error("a name beside `{path}` has a control character")]
    ControlInName {
        /// Beside which parameter, or which member on the way to it.
        path: String,
    },
    /// A value has a control character, where some programs end a text.
    #[error("the value of `{path}` has a control character")]
    Control {
        /// Of which parameter.
        path: String,
    },
    /// What says whose data is meant is no plain value, or stands where none is looked for.
    #[error("`{path}` says whose data is meant, and must be a text or a list of texts, below no list")]
    Obscure {
        /// Which parameter.
        path: String,
    },
    /// A parameter has more than [`MAX_VALUES`] values.
    #[error("`{path}` has more than {MAX_VALUES} values")]
    TooManyValues {
        /// Which parameter.
        path: String,
    },
}

/// What is read from the bodies of one route.
#[derive(Debug)]
pub struct BodyParameters {
    root: Node,
    count: usize,
}

/// One place in a body: the root, a member on the way to a parameter, or a parameter itself.
#[derive(Debug, Default)]
struct Node {
    /// The path to it, as declared.
    path: String,
    /// Which parameters have their value here, by number.
    parameters: Vec<usize>,
    members: Vec<(String, Node)>,
    /// The path to what says whose data is meant, if that stands here or below.
    subject: Option<String>,
    /// Names that no other member may resemble, folded, and the path that each stands for.
    reserved: Vec<(String, String)>,
}

impl BodyParameters {
    /// Reads the values at `paths`. `elsewhere` are the names of parameters that the route takes from
    /// path or query: a member of the body must not be taken for one of those either.
    #[must_use]
    pub fn new<'p>(paths: &[&BodyPath], elsewhere: impl IntoIterator<Item = &'p str>) -> Self {
        let mut root = Node::default();
        for (number, path) in paths.iter().enumerate() {
            root.declare(&path.0, number);
        }
        root.reserved.extend(elsewhere.into_iter().map(|name| (folded(name), name.to_owned())));
        Self { root, count: paths.len() }
    }

    /// Insists that what stands at `path` is plain, wherever anything but `null` stands there.
    #[must_use]
    pub fn insisting(mut self, path: &BodyPath) -> Self {
        let mut node = &mut self.root;
        node.subject.get_or_insert_with(|| path.to_string());
        for name in &path.0 {
            let Some((_, member)) = node.members.iter_mut().find(|(known, _)| known == name) else { break };
            member.subject.get_or_insert_with(|| path.to_string());
            node = member;
        }
        self
    }

    /// The values of each parameter, in the order of the paths: none if it is absent or not plain,
    /// more than one if it is a list. Plain are texts, `true` and `false`, and whole numbers that
    /// every reader keeps exactly, written without fraction and exponent.
    ///
    /// # Errors
    /// When the body has more than one reading, or none.
    pub fn read(&self, body: &[u8]) -> Result<Vec<Vec<String>>, BodyFault> {
        // What is passed over is not looked into by the parser, but must be text all the same.
        let text = std::str::from_utf8(body).map_err(|_| BodyFault::Syntax)?;
        let mut reading = Reading { values: vec![Vec::new(); self.count], fault: None };
        let mut json = serde_json::Deserializer::from_str(text);
        let root = At { node: &self.root, reading: &mut reading, is_element: false };
        let read = root.deserialize(&mut json).and_then(|_| json.end());
        match (read, reading.fault) {
            (_, Some(fault)) => Err(fault),
            (Err(_), None) => Err(BodyFault::Syntax),
            (Ok(()), None) => Ok(reading.values),
        }
    }
}

impl Node {
    fn declare(&mut self, names: &[String], number: usize) {
        let Some((name, rest)) = names.split_first() else {
            self.parameters.push(number);
            return;
        };
        let below =
            |name: &str| if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        for name in joined(names) {
            self.reserved.push((folded(&name), below(&name)));
        }
        let path = below(name);
        let known = self.members.iter().position(|(known, _)| known == name);
        let place = known.unwrap_or(self.members.len());
        if known.is_none() {
            self.members.push((name.clone(), Self { path, ..Self::default() }));
        }
        if let Some((_, node)) = self.members.get_mut(place) {
            node.declare(rest, number);
        }
    }
}

/// What is left of a name for programs that compare names loosely: its letters and digits up to a
/// bracket, of whatever width, without case. Some fold case by all of Unicode, some pass over `_`, `-`, blanks and what
/// cannot be seen.
#[must_use]
pub fn folded(name: &str) -> String {
    let name = normalized(name);
    let name = name.split('[').next().unwrap_or("");
    // The letters come last: the lower case of `İ` is `i` and a mark, and some programs leave out the mark.
    let lower = name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    lower.filter(|c| c.is_alphanumeric()).collect()
}

/// What was read so far.
struct Reading {
    values: Vec<Vec<String>>,
    fault: Option<BodyFault>,
}

impl Reading {
    /// Ends the reading. The parser's own error stands for the fault until it is taken out again.
    fn fail<E: serde::de::Error>(&mut self, fault: BodyFault) -> E {
        let error = E::custom(&fault);
        self.fault.get_or_insert(fault);
        error
    }

    /// Something stands where whose data is meant cannot be seen, if that is looked for there.
    fn obscure<E: serde::de::Error>(&mut self, node: &Node) -> Result<(), E> {
        match &node.subject {
            Some(path) => Err(self.fail(BodyFault::Obscure { path: path.clone() })),
            None => Ok(()),
        }
    }

    fn forget(&mut self, node: &Node) {
        for &number in &node.parameters {
            if let Some(values) = self.values.get_mut(number) {
                values.clear();
            }
        }
    }
}

/// What stands at one node of a body. Gives back whether it is plain.
struct At<'n, 'r> {
    node: &'n Node,
    reading: &'r mut Reading,
    /// Whether it is an element of a list that stands at the node.
    is_element: bool,
}

impl At<'_, '_> {
    fn give<E: serde::de::Error>(self, value: &str) -> Result<bool, E> {
        let Self { node, reading, .. } = self;
        let path = || node.path.clone();
        for &number in &node.parameters {
            if value.chars().any(char::is_control) {
                return Err(reading.fail(BodyFault::Control { path: path() }));
            }
            let Some(values) = reading.values.get_mut(number) else { continue };
            if values.len() == MAX_VALUES {
                return Err(reading.fail(BodyFault::TooManyValues { path: path() }));
            }
            values.push(value.to_owned());
        }
        Ok(true)
    }

    /// Something that is no plain value.
    fn give_nothing<E: serde::de::Error>(self) -> Result<bool, E> {
        let is_value = self.is_element || !self.node.parameters.is_empty();
        if is_value {
            self.reading.obscure(self.node)?
        }
        Ok(false)
    }

    /// A whole number. The parser gives none with a fraction, an exponent, or a sign before zero as a
    /// whole one, so its text is the one that was written.
    fn give_integer<E: serde::de::Error>(self, value: i128) -> Result<bool, E> {
        if value.unsigned_abs() > MAX_EXACT_INTEGER.into() {
            return self.give_nothing();
        }
        self.give(&value.to_string())
    }
}

impl<'de> DeserializeSeed<'de> for At<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<bool, E> {
        self.give(if value { "true" } else { "false" })
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<bool, E> {
        self.give_integer(value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<bool, E> {
        self.give_integer(value.into())
    }

    /// With a fraction, an exponent, or beyond 64 bits: readers differ in what they make of it.
    fn visit_f64<E: serde::de::Error>(self, _value: f64) -> Result<bool, E> {
        self.give_nothing()
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<bool, E> {
        self.give(value)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let Self { node, reading, is_element } = self;
        if is_element || node.parameters.is_empty() {
            reading.obscure(node)?;
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(false);
        }
        let mut is_plain = true;
        while let Some(element) = list.next_element_seed(At { node, reading, is_element: true })? {
            is_plain &= element;
        }
        if !is_plain {
            reading.obscure(node)?;
            // One plain value beside something else is not that value.
            reading.forget(node);
        }
        Ok(is_plain)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<bool, A::Error> {
        let Self { node, reading, is_element } = self;
        if is_element || node.members.is_empty() {
            reading.obscure(node)?;
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(false);
        }
        let mut seen = vec![false; node.members.len()];
        while let Some(name) = object.next_key::<String>()? {
            let mut members = node.members.iter().zip(&mut seen);
            if let Some(((_, member), seen)) = members.find(|((known, _), _)| *known == name) {
                if std::mem::replace(seen, true) {
                    return Err(reading.fail(BodyFault::Doubled { path: member.path.clone() }));
                }
                object.next_value_seed(At { node: member, reading, is_element: false })?;
                continue;
            }
            if name.chars().any(char::is_control) {
                let path = node.members.first().map(|(_, member)| member.path.clone()).unwrap_or_default();
                return Err(reading.fail(BodyFault::ControlInName { path }));
            }
            let name = folded(&name);
            if let Some((_, path)) = node.reserved.iter().find(|(reserved, _)| *reserved == name) {
                return Err(reading.fail(BodyFault::Alike { path: path.clone() }));
            }
            object.next_value::<IgnoredAny>()?;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
