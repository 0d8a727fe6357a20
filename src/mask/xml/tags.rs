//! What becomes of an element: its tags, its attributes, its value.

use std::sync::Arc;

use super::super::automaton::{Kind, NAMELESS, Rule, class};
use super::super::error::MaskError;
use super::super::json::text::prefix;
use super::super::masker::Value;
use super::attributes::{Attribute, AttributeError};
use super::characters::{Name, is_space};
use super::markup::{NAME, Tag};
use super::scope::{Scope, ScopeError, Space, normalized};
use super::state::{Frame, Shape};
use super::values::{Xml, decode, reads_as};
use super::{Scan, as_u64, key};

/// Whether an element has content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Follows,
    Empty,
}

/// What of the attributes of an element leaves.
#[derive(Debug, Clone, Copy)]
enum Released {
    All,
    /// Those that this node names; the automaton's position after the last of them.
    Of {
        node: u16,
        position: u16,
    },
    None,
}

impl Released {
    const fn position(self) -> u16 {
        match self {
            Self::Of { position, .. } => position,
            Self::All | Self::None => u16::MAX,
        }
    }
}

impl Scan<'_> {
    /// Takes the start tag at hand if it is the one that came here the last time, in this body or
    /// another, without attributes: records repeat themselves.
    #[inline(always)]
    pub(super) fn start_as_expected(&mut self) -> Result<bool, MaskError> {
        let plan = self.context.plan;
        let Some(entry) = plan.automaton.expected(self.state.top.position) else { return Ok(false) };
        let Some(rest) = self.rest().get(1..) else { return Ok(false) };
        let (prefix, space) = self.state.scope.front(rest);
        let Some(local) = space.local(entry.name()) else { return Ok(false) };
        let end = prefix + local.len();
        // An attribute may be expected too, and is no element whatever stands here.
        if local.first() == Some(&key::ATTRIBUTE)
            || rest.get(prefix..end) != Some(local)
            || rest.get(end) != Some(&b'>')
            || self.state.stack.len() >= self.context.bounds.depth
            || end > self.context.bounds.key
        {
            return Ok(false);
        }
        let (rule, length, name) = (entry.rule, end + 2, rest.get(..end).unwrap_or_default());
        self.state.top.position = entry.position;
        self.state.attributes.all.clear();
        self.state.brackets = 0;
        let tag = Tag { text: "", offset: 0, is_here: true };
        let frame = if rule.kind == Kind::Drop {
            self.context.tally.drop(rule.slot);
            self.enter_dropped(tag)
        } else {
            self.enter_released(tag, rule)?
        };
        self.at += length;
        self.begin_content(name, frame);
        Ok(true)
    }

    /// The tag is the start of an element, or all of it.
    pub(super) fn start(&mut self, tag: Tag<'_>) -> Result<(), MaskError> {
        let brackets = std::mem::take(&mut self.state.brackets);
        let Some(name) = tag.text.get(1..).and_then(Name::front) else {
            return Err(tag.syntax(1, NAME));
        };
        let after = 1 + name.text.len();
        let content = if tag.text.ends_with("/>") { Content::Empty } else { Content::Follows };
        let end = tag.text.len() - if content == Content::Empty { 2 } else { 1 };
        let max = self.context.bounds.key;
        if name.text.len() > max {
            return Err(key_too_long(tag, 1, max));
        }
        let depth = self.context.bounds.depth;
        if self.state.stack.len() >= depth {
            return Err(MaskError::Depth { at: tag.offset, max: depth });
        }
        if self.state.done {
            return Err(MaskError::Trailing { at: tag.offset });
        }
        let declares = if after == end {
            self.state.attributes.all.clear();
            false
        } else {
            self.attributes(tag, after, end)?
        };
        let space = self.state.scope.element(name, &self.context.plan.namespaces);
        let space = space.map_err(|error| namespace(error, tag, 1))?;
        // An element that goes out of a text that leaves parts nothing.
        let parts_nothing = self.state.top.shape == Shape::Text || self.leaves_as_text();
        let frame = self.enter(tag, name, space)?;
        let frame = Frame { declares, brackets: if parts_nothing { brackets } else { 0 }, ..frame };
        match content {
            Content::Follows => self.begin_content(name.text.as_bytes(), frame),
            Content::Empty => self.end_empty(frame),
        }
        Ok(())
    }

    /// Reads and checks the attributes; gives whether some of them declare namespaces.
    fn attributes(&mut self, tag: Tag<'_>, after: usize, end: usize) -> Result<bool, MaskError> {
        let (known, key_max) = (&self.context.plan.namespaces, self.context.bounds.key);
        let (all, scope) = (&mut self.state.attributes, &mut self.state.scope);
        all.read(tag.text, after, end).map_err(|error| match error {
            AttributeError::Syntax { at, expected } => tag.syntax(at, expected),
            AttributeError::TooMany { at } => MaskError::TooManyAttributes {
                at: tag.offset + as_u64(at),
                max: super::attributes::ATTRIBUTES_MAX,
            },
        })?;
        let level = level(self.state.stack.len() + 1);
        let mut declares = false;
        for attribute in &all.all {
            let name = attribute.name(tag.text);
            if name.text.len() > key_max {
                return Err(key_too_long(tag, attribute.name.start, key_max));
            }
            if attribute.declares {
                let declared = scope.declare(level, name, attribute.value(tag.text), known);
                declared.map_err(|error| namespace(error, tag, attribute.name.start))?;
                // What is declared is kept as long as it holds.
                if attribute.value.len() > key_max {
                    return Err(key_too_long(tag, attribute.value.start, key_max));
                }
                declares = true;
            }
        }
        check_names(tag, &all.all, scope, known)?;
        Ok(declares)
    }

    /// What becomes of the element: its start tag is written, or it is dropped.
    fn enter(&mut self, tag: Tag<'_>, name: Name<'_>, space: Space) -> Result<Frame, MaskError> {
        let found = match self.state.top.shape {
            Shape::Outside => match self.context.plan.root {
                Rule::WHOLE => return Ok(self.enter_whole(tag)),
                root if root.kind == Kind::Node => {
                    let found = self.find(root.index, key::Kind::Element, name.local(), space);
                    let found = found.filter(|rule| rule.kind != Kind::Drop);
                    Some(found.ok_or(MaskError::DocumentElement { at: tag.offset })?)
                }
                // What it is called says nothing here, and its name leaves: it must mean something alone.
                _ if space == Space::Unknown => return Err(MaskError::DocumentElement { at: tag.offset }),
                root => Some(root),
            },
            Shape::Members => self.find_member(name, space),
            Shape::Whole => return Ok(self.enter_whole(tag)),
            Shape::Text => {
                self.context.tally.mask(self.state.top.rule.slot);
                return Ok(self.enter_dropped(tag));
            }
            Shape::Value => {
                if self.leaves_as_text() {
                    self.cut(self.at);
                    self.context.tally.mask(self.state.top.rule.slot);
                } else {
                    self.state.has_elements = true;
                }
                return Ok(self.enter_inside(tag));
            }
            Shape::Nothing => {
                self.count_once();
                return Ok(self.enter_inside(tag));
            }
            Shape::Dropped | Shape::Inside => return Ok(self.enter_inside(tag)),
        };
        let rule = found.unwrap_or(Rule::drop(NAMELESS));
        if rule.kind == Kind::Drop {
            self.context.tally.drop(rule.slot);
            return Ok(self.enter_dropped(tag));
        }
        self.enter_released(tag, rule)
    }

    /// Whether a value is at hand that is only searched, and leaves as a text does: without the elements in it.
    fn leaves_as_text(&self) -> bool {
        let rule = self.state.top.rule;
        self.state.top.shape == Shape::Value && self.context.searches(rule) && rule.mask & class::TEXT != 0
    }

    #[inline(always)]
    fn enter_released(&mut self, tag: Tag<'_>, rule: Rule) -> Result<Frame, MaskError> {
        self.release_space();
        if rule.kind == Kind::Plain {
            self.write_start(tag, Released::None);
            return Ok(Frame::new(shape_of(rule), rule));
        }
        if rule.kind == Kind::Record {
            self.context.record()?;
        }
        let position = self.context.plan.automaton.start(rule.index);
        let position = self.write_start(tag, Released::Of { node: rule.index, position });
        // An element that has attributes beside its text has a rule for that.
        Ok(match self.find(rule.index, key::Kind::Element, key::TEXT, Space::None) {
            Some(text) => Frame::new(shape_of(text), text),
            None => Frame { position, ..Frame::new(Shape::Members, rule) },
        })
    }

    fn enter_whole(&mut self, tag: Tag<'_>) -> Frame {
        self.write_start(tag, Released::All);
        Frame::new(Shape::Whole, Rule::WHOLE)
    }

    /// The element goes, with the white space before it.
    fn enter_dropped(&mut self, tag: Tag<'_>) -> Frame {
        if tag.is_here {
            self.flush(if self.state.holding { self.hold } else { self.at });
        }
        self.state.space.clear();
        self.enter_inside(tag);
        Frame::new(Shape::Dropped, Rule::WHOLE)
    }

    fn enter_inside(&mut self, tag: Tag<'_>) -> Frame {
        if tag.is_here {
            self.at += tag.text.len();
        }
        Frame::new(Shape::Inside, Rule::WHOLE)
    }

    /// What follows a start tag is read as the shape of its element demands.
    #[inline(always)]
    fn begin_content(&mut self, name: &[u8], frame: Frame) {
        let start = self.state.names.len();
        self.state.names.extend_from_slice(name);
        let around = std::mem::replace(&mut self.state.top, Frame { name: start, ..frame });
        self.state.stack.push(around);
        self.state.holding = false;
        match frame.shape {
            Shape::Members => {
                self.state.holding = true;
                self.hold = self.at;
            }
            Shape::Value => {
                self.flush(self.at);
                self.state.copying = false;
                self.from = self.at;
                self.state.too_long = false;
                self.state.has_elements = false;
            }
            Shape::Nothing => {
                self.flush(self.at);
                self.state.copying = false;
            }
            Shape::Dropped => self.state.copying = false,
            Shape::Outside | Shape::Whole | Shape::Text | Shape::Inside => {}
        }
    }

    fn end_empty(&mut self, frame: Frame) {
        self.state.brackets = frame.brackets;
        if frame.declares {
            self.state.scope.leave(level(self.state.stack.len()), &self.context.plan.namespaces);
        }
        if frame.shape == Shape::Dropped {
            self.mark = self.at;
        }
        self.after_element();
    }

    /// An element has ended: what follows is read as the one around it demands.
    #[inline(always)]
    fn after_element(&mut self) {
        self.state.holding = self.state.top.shape == Shape::Members;
        (self.hold, self.from) = (self.at, self.at);
        self.state.done = self.state.stack.is_empty();
    }

    /// The rule of an element among the members of the one around it, and what to expect after it.
    fn find_member(&mut self, name: Name<'_>, space: Space) -> Option<Rule> {
        let plan = self.context.plan;
        let number = self.entry(self.state.top.rule.index, key::Kind::Element, name.local(), space)?;
        let entry = plan.automaton.entry(number)?;
        // What is expected is not parsed again: only a name that was parsed may be.
        if space.local(entry.name()) == Some(name.local().as_bytes()) {
            plan.automaton.expect(self.state.top.position, number);
        }
        self.state.top.position = entry.position;
        Some(entry.rule)
    }

    /// The rule of a name in `node`.
    #[inline(always)]
    fn find(&mut self, node: u16, kind: key::Kind, local: &str, space: Space) -> Option<Rule> {
        let entry = self.entry(node, kind, local, space)?;
        self.context.plan.automaton.rule(entry)
    }

    /// The number of a name's entry in `node`.
    #[inline(always)]
    fn entry(&mut self, node: u16, kind: key::Kind, local: &str, space: Space) -> Option<u16> {
        let automaton = &self.context.plan.automaton;
        let namespace = match space {
            Space::None if kind == key::Kind::Element => {
                return automaton.find(node, local.as_bytes(), prefix(local.as_bytes()));
            }
            Space::None => None,
            Space::Known(number) => Some(number),
            Space::Unknown => return None,
        };
        let key = &mut self.state.key;
        key.clear();
        key::write(kind, local, namespace, key);
        automaton.find(node, key.as_bytes(), prefix(key.as_bytes()))
    }

    /// The white space that is held leaves.
    #[inline(always)]
    fn release_space(&mut self) {
        if !self.state.space.is_empty() {
            self.flush(self.hold);
            self.context.out.extend_from_slice(&self.state.space);
            self.state.space.clear();
        }
    }

    /// The start tag leaves, with those of its attributes that do; gives the automaton's position after them.
    #[inline(always)]
    fn write_start(&mut self, tag: Tag<'_>, released: Released) -> u16 {
        if self.state.attributes.all.is_empty() || matches!(released, Released::All) {
            self.keep(tag);
            return released.position();
        }
        self.write_attributes(tag, released)
    }

    fn write_attributes(&mut self, tag: Tag<'_>, mut released: Released) -> u16 {
        if tag.is_here {
            self.flush(self.at);
            self.at += tag.text.len();
            self.mark = self.at;
        }
        let mut written = 0;
        let attributes = std::mem::take(&mut self.state.attributes);
        for attribute in &attributes.all {
            let Some(rule) = self.rule_of(tag, attribute, &mut released) else { continue };
            let is_dropped = rule.kind == Kind::Drop;
            if !is_dropped && is_text(rule) {
                continue;
            }
            let until = if is_dropped { attribute.from } else { attribute.value.start };
            let before = tag.text.get(written..until).unwrap_or_default();
            self.context.out.extend_from_slice(before.as_bytes());
            if is_dropped {
                written = attribute.end();
                continue;
            }
            written = attribute.value.end;
            let value = attribute.value(tag.text);
            match normalized(value) {
                Some(decoded) => self.write_value(rule, value, &decoded),
                None => self.context.tally.mask(rule.slot),
            }
        }
        self.state.attributes = attributes;
        let rest = tag.text.get(written..).unwrap_or_default();
        self.context.out.extend_from_slice(rest.as_bytes());
        released.position()
    }

    /// What becomes of an attribute; nothing if it stays as it is. Counts it if it is dropped.
    ///
    /// A declaration stays if the plan names its namespace, or if it takes the default one away. So
    /// every name that leaves means what it meant: the declaration it goes by is on an element that
    /// leaves too.
    #[inline(always)]
    fn rule_of(&mut self, tag: Tag<'_>, attribute: &Attribute, released: &mut Released) -> Option<Rule> {
        let name = attribute.name(tag.text);
        let known = &self.context.plan.namespaces;
        if attribute.declares {
            let space = Scope::declared(attribute.value(tag.text), known);
            return (space == Space::Unknown).then(|| {
                self.context.tally.omit();
                Rule::drop(NAMELESS)
            });
        }
        let rule = match released {
            Released::Of { node, position } => {
                let space = self.state.scope.attribute(name, known).unwrap_or(Space::Unknown);
                self.attribute_rule(*node, position, name, space)
            }
            Released::All | Released::None => Rule::drop(NAMELESS),
        };
        if rule.kind == Kind::Drop {
            self.context.tally.drop(rule.slot);
        }
        Some(rule)
    }

    /// The rule of an attribute that comes after `position`.
    #[inline(always)]
    fn attribute_rule(&mut self, node: u16, position: &mut u16, name: Name<'_>, space: Space) -> Rule {
        let automaton = &self.context.plan.automaton;
        let is_called =
            |key: &[u8]| matches!(key, [key::ATTRIBUTE, local @ ..] if local == name.text.as_bytes());
        let expected =
            automaton.expected(*position).filter(|entry| space == Space::None && is_called(entry.name()));
        let found = expected.or_else(|| {
            let number = self.entry(node, key::Kind::Attribute, name.local(), space)?;
            let automaton = &self.context.plan.automaton;
            automaton.expect(*position, number);
            automaton.entry(number)
        });
        let Some(entry) = found else { return Rule::drop(NAMELESS) };
        *position = entry.position;
        entry.rule
    }

    /// Writes what leaves of a value. An empty one has nothing that could be masked.
    #[inline(always)]
    fn write_value(&mut self, rule: Rule, written: &str, decoded: &str) {
        let is_whole = written.len() <= self.context.bounds.value;
        if is_text(rule) || (is_whole && decoded.is_empty()) {
            return self.context.out.extend_from_slice(written.as_bytes());
        }
        if rule.mask != 0 && !self.context.searches(rule) {
            let value = Value::Text(if is_whole { decoded } else { "" });
            return self.context.mould::<Xml>(rule, value, is_whole);
        }
        match reads_as(rule, decoded).filter(|_| is_whole) {
            Some(value) => {
                if rule.mask != 0 {
                    self.context.search(rule, value);
                }
                self.context.out.extend_from_slice(written.as_bytes());
            }
            // Nor does what is too long to be searched leave.
            None => self.context.tally.mask(rule.slot),
        }
    }

    /// The length of the end tag at the front of `rest`, if it is written as most are.
    #[inline(always)]
    pub(super) fn expected_end(&self, rest: &[u8]) -> Option<usize> {
        let name = self.state.names.get(self.state.top.name..)?;
        let after = rest.get(2..)?.strip_prefix(name)?;
        (after.first() == Some(&b'>') && !self.state.stack.is_empty()).then_some(name.len() + 3)
    }

    /// The end tag that [`Scan::expected_end`] has found.
    #[inline(always)]
    pub(super) fn end_as_expected(&mut self, length: usize) -> Result<(), MaskError> {
        let text = self.text.get(self.at..self.at + length).unwrap_or_default();
        self.close(Tag { text, offset: self.offset(self.at), is_here: true });
        Ok(())
    }

    /// The tag is an end tag.
    pub(super) fn end(&mut self, tag: Tag<'_>) -> Result<(), MaskError> {
        const START: usize = "</".len();
        if self.state.done {
            return Err(MaskError::Trailing { at: tag.offset });
        }
        if self.state.stack.is_empty() {
            return Err(tag.syntax(1, NAME));
        }
        let name = self.state.names.get(self.state.top.name..).unwrap_or_default();
        let after = tag.text.as_bytes().get(START..).and_then(|rest| rest.strip_prefix(name));
        let space = after.and_then(|after| after.strip_suffix(b">"));
        if !space.is_some_and(|space| space.iter().all(|&byte| is_space(byte))) {
            return Err(tag.syntax(START, "the end tag of the element that is open"));
        }
        self.close(tag);
        Ok(())
    }

    #[inline(always)]
    fn close(&mut self, tag: Tag<'_>) {
        self.state.brackets = self.state.top.brackets;
        match self.state.top.shape {
            Shape::Members => {
                self.release_space();
                self.keep(tag);
            }
            Shape::Value => {
                self.settle(tag);
                self.begin_copying();
                self.keep(tag);
            }
            Shape::Nothing => {
                self.begin_copying();
                self.keep(tag);
            }
            Shape::Dropped => {
                self.pass(tag);
                self.begin_copying();
            }
            Shape::Inside => self.pass(tag),
            Shape::Outside | Shape::Whole | Shape::Text => self.keep(tag),
        }
        let Frame { name, declares, .. } = self.state.top;
        self.state.names.truncate(name);
        if let Some(around) = self.state.stack.pop() {
            self.state.top = around;
        }
        if declares {
            self.state.scope.leave(level(self.state.stack.len()), &self.context.plan.namespaces);
        }
        self.after_element();
    }

    fn pass(&mut self, tag: Tag<'_>) {
        if tag.is_here {
            self.at += tag.text.len();
        }
    }

    #[inline(always)]
    fn begin_copying(&mut self) {
        self.state.copying = true;
        self.mark = self.at;
    }

    /// A value has ended before `tag`: writes what leaves of it.
    #[inline(always)]
    fn settle(&mut self, tag: Tag<'_>) {
        let rule = self.state.top.rule;
        let text = self.text;
        let part = if tag.is_here { text.get(self.from..self.at).unwrap_or_default() } else { "" };
        if self.state.has_elements {
            self.context.tally.mask(rule.slot);
            self.state.value.clear();
            return;
        }
        if self.state.value.is_empty() && !self.state.too_long {
            return self.write_content(rule, part);
        }
        self.keep_value(part);
        let mut value = std::mem::take(&mut self.state.value);
        if self.state.too_long {
            self.write_too_long(rule);
        } else {
            self.write_content(rule, &value);
        }
        value.clear();
        self.state.value = value;
    }

    #[inline(always)]
    fn write_content(&mut self, rule: Rule, written: &str) {
        if written.len() > self.context.bounds.value {
            return self.write_too_long(rule);
        }
        match decode(written) {
            Some(decoded) => self.write_value(rule, written, &decoded),
            None => self.context.tally.mask(rule.slot),
        }
    }

    fn write_too_long(&mut self, rule: Rule) {
        if rule.mask != 0 && !self.context.searches(rule) {
            self.context.mould::<Xml>(rule, Value::Text(""), false);
        } else {
            self.context.tally.mask(rule.slot);
        }
    }

    /// Keeps another part of the value at hand.
    pub(super) fn keep_value(&mut self, part: &str) {
        let value = &mut self.state.value;
        if self.state.has_elements || self.state.too_long {
            return;
        }
        if value.len() + part.len() > self.context.bounds.value {
            self.state.too_long = true;
            value.clear();
        } else {
            value.push_str(part);
        }
    }
}

/// Whether every text leaves as it is under `rule`.
const fn is_text(rule: Rule) -> bool {
    rule.copy & class::TEXT != 0
}

/// What becomes of the content of an element that a rule for a value is about.
#[inline(always)]
fn shape_of(rule: Rule) -> Shape {
    if rule.kind == Kind::Drop || (rule.copy | rule.mask) & class::SCALAR == 0 {
        Shape::Nothing
    } else if is_text(rule) {
        Shape::Text
    } else {
        Shape::Value
    }
}

/// Every prefix is declared, and no two attributes have the same name in the same namespace.
fn check_names(
    tag: Tag<'_>,
    all: &[Attribute],
    scope: &mut Scope,
    known: &[Arc<str>],
) -> Result<(), MaskError> {
    let has_namespace =
        |attribute: &&Attribute| !attribute.declares && attribute.name(tag.text).prefix().is_some();
    for attribute in all.iter().filter(has_namespace) {
        let space = scope.attribute(attribute.name(tag.text), known);
        space.map_err(|error| namespace(error, tag, attribute.name.start))?;
    }
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for attribute in all.iter().filter(has_namespace) {
        let name = attribute.name(tag.text);
        let expanded = (name.local(), scope.uri(name).unwrap_or_default());
        if seen.contains(&expanded) {
            return Err(tag.syntax(attribute.name.start, "an attribute of another name"));
        }
        seen.push(expanded);
    }
    Ok(())
}

#[cold]
fn key_too_long(tag: Tag<'_>, start: usize, max: usize) -> MaskError {
    MaskError::KeyTooLong { at: tag.offset + as_u64(start + max), max }
}

#[cold]
fn namespace(ScopeError(expected): ScopeError, tag: Tag<'_>, at: usize) -> MaskError {
    MaskError::Namespace { at: tag.offset + as_u64(at), expected }
}

/// How many elements are around a declaration.
fn level(depth: usize) -> u16 {
    u16::try_from(depth).unwrap_or(u16::MAX)
}
