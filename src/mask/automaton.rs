//! The compiled form of a plan: one node per object, one rule per value.
//!
//! A rule says by the first byte of a value what becomes of it; a node finds the rule of a member
//! by its name.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, Ordering};

use super::json::text::{WIDTH, plain_run, prefix};

/// What kind of value a first byte begins, one bit each.
pub(super) mod class {
    pub(in crate::mask) const TEXT: u8 = 1;
    pub(in crate::mask) const NUMBER: u8 = 2;
    pub(in crate::mask) const BOOLEAN: u8 = 4;
    pub(in crate::mask) const NULL: u8 = 8;
    pub(in crate::mask) const OBJECT: u8 = 16;
    pub(in crate::mask) const ARRAY: u8 = 32;
    pub(in crate::mask) const ANY: u8 = 63;
    pub(in crate::mask) const SCALAR: u8 = TEXT | NUMBER | BOOLEAN;
    pub(in crate::mask) const SCALAR_OR_NULL: u8 = SCALAR | NULL;

    const TABLE: [u8; 256] = table();

    const fn table() -> [u8; 256] {
        let mut table = [0; 256];
        let mut byte: u8 = 0;
        let mut rest: &mut [u8] = &mut table;
        while let Some((first, after)) = rest.split_first_mut() {
            *first = match byte {
                b'"' => TEXT,
                b'-' | b'0'..=b'9' => NUMBER,
                b't' | b'f' => BOOLEAN,
                b'n' => NULL,
                b'{' => OBJECT,
                b'[' => ARRAY,
                _ => 0,
            };
            byte = byte.wrapping_add(1);
            rest = after;
        }
        table
    }

    /// The class that `byte` begins; 0 if no value begins with it.
    #[inline(always)]
    pub(in crate::mask) fn of(byte: u8) -> u8 {
        TABLE.get(usize::from(byte)).copied().unwrap_or(0)
    }
}

/// What a rule does beyond its masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: scalars by their class, or a subtree that leaves or goes as a whole.
    Plain,
    /// The member is dropped with its separator.
    Drop,
    /// An object here is the node `index`.
    Node,
    /// An object here is the node `index` and counts as a record.
    Record,
}

/// The counter of what has no path of its own; those of paths come after it.
pub(super) const NAMELESS: u16 = 0;

/// What becomes of a value. Arrays hand their rule on to their elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// Classes that are copied, or entered if they are containers.
    pub(super) copy: u8,
    /// Classes that go to the mould `index`. What is in neither is replaced by `null`.
    pub(super) mask: u8,
    pub(super) kind: Kind,
    /// A node or a mould, depending on `kind` and `mask`.
    pub(super) index: u16,
    /// Which counter it adds to.
    pub(super) slot: u16,
}

impl Rule {
    /// Everything is copied, if copying is on at all: envelope members, and the inside of what is
    /// dropped or replaced.
    pub(super) const WHOLE: Self =
        Self { copy: class::ANY, mask: 0, kind: Kind::Plain, index: 0, slot: NAMELESS };

    /// The member is dropped and counted in `slot`.
    pub(super) const fn drop(slot: u16) -> Self {
        Self { copy: class::ANY, mask: 0, kind: Kind::Drop, index: 0, slot }
    }

    /// Values of `classes` leave as they are, others become `null`.
    pub(super) const fn clear(classes: u8, slot: u16) -> Self {
        Self { copy: classes | class::NULL | class::ARRAY, mask: 0, kind: Kind::Plain, index: 0, slot }
    }

    /// Scalars go to the mould `index`, objects become `null`.
    pub(super) const fn masked(index: u16, slot: u16) -> Self {
        Self { copy: class::NULL | class::ARRAY, mask: class::SCALAR, kind: Kind::Plain, index, slot }
    }

    /// Text holds a document of its own, which goes by the mould `index`; all else becomes `null`.
    pub(super) const fn nested(index: u16, slot: u16) -> Self {
        Self { copy: class::NULL | class::ARRAY, mask: class::TEXT, kind: Kind::Plain, index, slot }
    }

    /// Like [`Rule::clear`], but those of `searched` go to the mould `index`, which searches them.
    pub(super) const fn searched(classes: u8, searched: u8, index: u16, slot: u16) -> Self {
        let Self { copy, kind, .. } = Self::clear(classes, slot);
        Self { copy: copy & !searched, mask: classes & searched, kind, index, slot }
    }

    /// Objects are the node `index`, scalars become `null`.
    pub(super) const fn node(index: u16, slot: u16) -> Self {
        Self { copy: class::NULL | class::ARRAY | class::OBJECT, mask: 0, kind: Kind::Node, index, slot }
    }

    /// Like [`Rule::node`], and every object is a record.
    pub(super) const fn record(index: u16) -> Self {
        Self { kind: Kind::Record, ..Self::node(index, NAMELESS) }
    }
}

/// The members of one object that have a rule.
#[derive(Debug)]
struct Node {
    /// Entry indices by hash, [`FREE`] where there is none; at least half of them free.
    buckets: Box<[u16]>,
    /// The position before its first member.
    start: u16,
}

/// One member of one node.
#[derive(Debug)]
pub(super) struct Entry {
    /// What a name of up to [`WIDTH`] bytes looks like in most bodies: in quotes, a colon after them.
    pub(super) spelled: [u8; WIDTH],
    /// Which bytes of it count.
    pub(super) places: [u8; WIDTH],
    /// How many bytes count; none if the name is too long, or is not written as it is.
    pub(super) length: usize,
    pub(super) rule: Rule,
    /// The position after it.
    pub(super) position: u16,
    prefix: u64,
    name: Box<[u8]>,
}

impl Entry {
    fn new(name: &[u8], rule: Rule, position: u16) -> Self {
        let mut entry = Self {
            spelled: [0; WIDTH],
            places: [0; WIDTH],
            length: 0,
            rule,
            position,
            prefix: prefix(name),
            name: name.into(),
        };
        let spelled = [b"\"", name, b"\":"].concat();
        if spelled.len() > WIDTH || plain_run(name) != name.len() {
            // No member begins with the byte 0.
            entry.places = [u8::MAX; WIDTH];
        } else {
            entry.length = spelled.len();
            for ((to, place), byte) in entry.spelled.iter_mut().zip(&mut entry.places).zip(spelled) {
                (*to, *place) = (byte, u8::MAX);
            }
        }
        entry
    }

    /// The name it is found by.
    #[inline(always)]
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }
}

const FREE: u16 = u16::MAX;

/// All nodes of a plan.
#[derive(Debug)]
pub(super) struct Automaton {
    nodes: Vec<Node>,
    entries: Vec<Entry>,
    /// What members without an entry go by.
    nameless: Entry,
    /// The entry that came after each position the last time, in whatever body: records repeat their
    /// order, and so do replies. It is a guess of where to look first and nothing else: who takes it
    /// compares the name. So a body may overwrite what another one sees, in any order.
    next: Vec<AtomicU16>,
    /// Entries by node and folded name, if names are compared folded.
    folded: Option<HashMap<(u16, String), u16>>,
}

/// Why a node cannot be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AddError {
    /// More nodes or members than the automaton can number.
    TooLarge,
    /// Two names that are one when folded.
    Alike(String),
}

impl Default for Automaton {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Automaton {
    /// The most entries: their numbers and those of the nodes must fit 16 bits together.
    const MAX_ENTRIES: usize = 1 << 15;

    /// No nodes yet; names are compared folded, or letter for letter.
    pub(super) fn new(folds: bool) -> Self {
        Self {
            nodes: Vec::new(),
            entries: Vec::new(),
            nameless: Entry::new(b"", Rule::drop(NAMELESS), 0),
            next: Vec::new(),
            folded: folds.then(HashMap::new),
        }
    }

    /// Adds a node with these members, whose names differ.
    pub(super) fn add(&mut self, members: &[(&str, Rule)]) -> Result<u16, AddError> {
        let size = (members.len() * 2).next_power_of_two();
        let mut buckets = vec![FREE; size].into_boxed_slice();
        let node = u16::try_from(self.nodes.len()).map_err(|_| AddError::TooLarge)?;
        let start = self.position()?;
        for (text, rule) in members {
            let entry = u16::try_from(self.entries.len()).map_err(|_| AddError::TooLarge)?;
            let name = text.as_bytes();
            let start = bucket(prefix(name), name.len(), size);
            let (front, back) = buckets.split_at_mut(start);
            if let Some(free) = back.iter_mut().chain(front).find(|bucket| **bucket == FREE) {
                *free = entry;
            }
            if let Some(folded) = &mut self.folded
                && folded.insert((node, fold(text)), entry).is_some()
            {
                return Err(AddError::Alike((*text).to_owned()));
            }
            let position = self.position()?;
            self.entries.push(Entry::new(name, *rule, position));
        }
        self.nodes.push(Node { buckets, start });
        let numbers = self.entries.len() + self.nodes.len();
        if numbers > Self::MAX_ENTRIES { Err(AddError::TooLarge) } else { Ok(node) }
    }

    /// Adds a position, after which nothing has come yet.
    fn position(&mut self) -> Result<u16, AddError> {
        let position = u16::try_from(self.next.len()).map_err(|_| AddError::TooLarge)?;
        self.next.push(AtomicU16::new(FREE));
        Ok(position)
    }

    /// The position before the first member of `node`.
    #[inline(always)]
    pub(super) fn start(&self, node: u16) -> u16 {
        self.nodes.get(usize::from(node)).map_or(FREE, |node| node.start)
    }

    /// The entry that came after `position` the last time.
    #[inline(always)]
    pub(super) fn expected(&self, position: u16) -> Option<&Entry> {
        let number = self.next.get(usize::from(position))?.load(Ordering::Relaxed);
        self.entries.get(usize::from(number))
    }

    /// After `position` came the entry `number`.
    pub(super) fn expect(&self, position: u16, number: u16) {
        if let Some(next) = self.next.get(usize::from(position)) {
            next.store(number, Ordering::Relaxed);
        }
    }

    /// The entry of `node` for a member name. `prefix` is the name's [`prefix`].
    pub(super) fn find(&self, node: u16, name: &[u8], prefix: u64) -> Option<u16> {
        let buckets = &self.nodes.get(usize::from(node))?.buckets;
        let (front, back) = buckets.split_at_checked(bucket(prefix, name.len(), buckets.len()))?;
        back.iter()
            .chain(front)
            .take_while(|entry| **entry != FREE)
            .find(|entry| self.rule_if(**entry, name, prefix).is_some())
            .copied()
            .or_else(|| self.find_folded(node, name))
    }

    fn find_folded(&self, node: u16, name: &[u8]) -> Option<u16> {
        let folded = self.folded.as_ref()?;
        folded.get(&(node, fold(std::str::from_utf8(name).ok()?))).copied()
    }

    /// The entry of that number.
    #[inline(always)]
    pub(super) fn entry(&self, entry: u16) -> Option<&Entry> {
        self.entries.get(usize::from(entry))
    }

    /// The rule of that entry.
    #[inline(always)]
    pub(super) fn rule(&self, entry: u16) -> Option<Rule> {
        self.entry(entry).map(|entry| entry.rule)
    }

    /// What a member goes by that has no entry.
    #[inline(always)]
    pub(super) fn nameless(&self) -> &Entry {
        &self.nameless
    }

    /// The rule of `entry`, if that is what `name` names.
    fn rule_if(&self, entry: u16, name: &[u8], prefix: u64) -> Option<Rule> {
        let entry = self.entries.get(usize::from(entry))?;
        let same = entry.prefix == prefix
            && entry.name.len() == name.len()
            && (name.len() <= 8 || *entry.name == *name);
        same.then_some(entry.rule)
    }
}

/// A name as it is compared when case does not count: letters in lower case (Unicode), full-width
/// forms of ASCII (U+FF01 to U+FF5E) as the characters they stand for.
fn fold(name: &str) -> String {
    let narrow = |c: char| match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        other => other,
    };
    name.chars().map(narrow).flat_map(char::to_lowercase).collect()
}

/// Where the search for a name begins in a table of `size` buckets, a power of two.
#[inline(always)]
fn bucket(prefix: u64, length: usize, size: usize) -> usize {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let hash = (prefix ^ length.rotate_left(56)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    // The upper half of a multiplicative hash is the well-mixed one.
    usize::try_from(hash >> 40).unwrap_or(0) & size.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_found_and_nothing_else() {
        let names: Vec<String> = (0..300).map(|i| format!("{}name-{i}", "x".repeat(i % 13))).collect();
        let members: Vec<(&str, Rule)> =
            (0_u16..).zip(&names).map(|(i, n)| (n.as_str(), Rule::drop(i))).collect();
        let mut automaton = Automaton::default();
        assert_eq!(automaton.add(&[]), Ok(0));
        let node = automaton.add(&members).unwrap();
        for (name, rule) in members {
            let name = name.as_bytes();
            let entry = automaton.find(node, name, prefix(name)).unwrap();
            assert_eq!(automaton.rule_if(entry, name, prefix(name)), Some(rule));
            assert_eq!(automaton.find(0, name, prefix(name)), None);
            let longer = [name, b"\0"].concat();
            assert_eq!(automaton.find(node, &longer, prefix(&longer)), None);
        }
    }
}
