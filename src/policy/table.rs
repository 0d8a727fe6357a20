//! The lines as the engine reads them: by subject and resource, small and in a row.
//!
//! The index is derived from the shipped matcher: `g(r.sub, p.sub) && g2(r.res, p.res)` become one
//! key, probed once for each role of the system and each role of the resource. A line that is not
//! found so cannot match, and a line that cannot match has no effect, so leaving it out changes no
//! decision.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

use super::roles::Node;
use super::schema::Selection;
use super::scope::{Constraint, Scope};
use super::terms::Grant;
use super::vocabulary::Vocabulary;
use super::window::Window;
use crate::grant::Effect;

/// The most pairs of a fields part and a resource it may apply to.
pub(crate) const MAX_SELECTIONS: usize = 4_000_000;

/// Why a table cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TableError {
    /// Many scopes on themes with many resources.
    #[error("more than {MAX_SELECTIONS} pairs of scope and resource: use fewer different scopes on themes")]
    Selections,
    /// More lines than can be numbered.
    #[error("more lines than can be numbered")]
    Lines,
}

/// One line, without its texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Its place among the grants, which is file order.
    pub(crate) order: u32,
    /// The purposes it covers, `from..to` by number.
    purpose_from: u32,
    purpose_to: u32,
    /// Its window.
    window: u32,
    /// Its constraints; zero for none.
    constraints: u32,
    choice: Choice,
    /// Its action by number; [`ANY_ACTION`] for `*`.
    action: u16,
    pub(crate) effect: Effect,
    /// Whether its scope has row duties.
    pub(crate) has_duties: bool,
}

const ANY_ACTION: u16 = u16::MAX;

/// Where a line's selection is found.
#[derive(Debug, Clone, Copy)]
enum Choice {
    /// It applies to one resource.
    One(u32),
    /// It applies to several: by its fields part and the resource.
    ByResource(u32),
}

impl Line {
    pub(crate) fn covers_action(&self, action: u16) -> bool {
        self.action == action || self.action == ANY_ACTION
    }

    pub(crate) fn covers_purpose(&self, purpose: u32) -> bool {
        self.purpose_from <= purpose && purpose < self.purpose_to
    }
}

/// All lines, and what they share.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// By key, within a key in file order.
    lines: Vec<Line>,
    keys: Keys,
    windows: Vec<Arc<Window>>,
    constraints: Vec<Arc<Scope>>,
    selections: Vec<Selection>,
    by_resource: HashMap<(u32, u32), u32, Spreading>,
}

impl Table {
    /// Numbers and sorts the lines of `grants`.
    pub(crate) fn build(vocabulary: &Vocabulary, grants: &[Grant]) -> Result<Self, TableError> {
        let mut builder = Builder::new(vocabulary);
        let mut keyed = Vec::with_capacity(grants.len());
        for (order, grant) in grants.iter().enumerate() {
            let order = u32::try_from(order).map_err(|_| TableError::Lines)?;
            keyed.push((key(grant.subject_node, grant.resource_node), builder.line(order, grant)?));
        }
        keyed.sort_by_key(|&(key, line)| (key, line.order));
        let mut table = builder.table;
        table.keys = Keys::new(&keyed.iter().map(|&(key, _)| key).collect::<Vec<_>>());
        table.lines = keyed.into_iter().map(|(_, line)| line).collect();
        Ok(table)
    }

    /// The subjects and the resources that any line names.
    pub(crate) fn named(&self) -> (HashSet<Node>, HashSet<Node>) {
        self.keys.all().map(|key| (Node(high(key)), Node(low(key)))).unzip()
    }

    /// The lines given to `subject` about `resource`, in file order.
    pub(crate) fn lines(&self, subject: Node, resource: Node) -> &[Line] {
        self.keys.find(key(subject, resource)).and_then(|range| self.lines.get(range)).unwrap_or(&[])
    }

    /// The lines given to any of `subjects` about any of `resources`.
    pub(crate) fn near<'t>(
        &'t self,
        subjects: &'t [Node],
        resources: &'t [Node],
    ) -> impl Iterator<Item = &'t Line> {
        subjects.iter().flat_map(move |&subject| {
            resources.iter().flat_map(move |&resource| self.lines(subject, resource))
        })
    }

    pub(crate) fn window(&self, line: &Line) -> Option<&Window> {
        self.windows.get(usize::try_from(line.window).ok()?).map(|window| &**window)
    }

    pub(crate) fn constraints(&self, line: &Line) -> &[Constraint] {
        let scope = usize::try_from(line.constraints)
            .ok()
            .and_then(|index| self.constraints.get(index.checked_sub(1)?));
        scope.map_or(&[], |scope| &scope.constraints)
    }

    /// The number of what a line selects on `resource`.
    pub(crate) fn selection_number(&self, line: &Line, resource: u32) -> Option<u32> {
        match line.choice {
            Choice::One(number) => Some(number),
            Choice::ByResource(fields) => self.by_resource.get(&(fields, resource)).copied(),
        }
    }

    pub(crate) fn selection(&self, number: u32) -> Option<&Selection> {
        self.selections.get(usize::try_from(number).ok()?)
    }
}

/// Where the lines of each key stand: a table of open addresses, at most half full, so that a key
/// is found, or found missing, mostly within one line of the cache. That is what a decision over
/// many grants waits for.
#[derive(Debug, Default)]
struct Keys {
    slots: Box<[Slot]>,
}

/// A key and its lines; free where there are none.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: u64,
    start: u32,
    length: u32,
}

impl Keys {
    /// `sorted` has the key of each line, in the order of the lines.
    fn new(sorted: &[u64]) -> Self {
        let mut keys: Vec<Slot> = Vec::new();
        for (position, &key) in (0..).zip(sorted) {
            match keys.last_mut() {
                Some(last) if last.key == key => last.length += 1,
                _ => keys.push(Slot { key, start: position, length: 1 }),
            }
        }
        let mut slots = vec![Slot::default(); (keys.len() * 2).next_power_of_two()].into_boxed_slice();
        for slot in keys {
            let mut at = first(slot.key, slots.len());
            // INVARIANT: at least half of the slots are free, so this ends.
            while let Some(taken) = slots.get_mut(at) {
                if taken.length == 0 {
                    *taken = slot;
                    break;
                }
                at = after(at, slots.len());
            }
        }
        Self { slots }
    }

    fn find(&self, key: u64) -> Option<Range<usize>> {
        let mut at = first(key, self.slots.len());
        loop {
            let slot = self.slots.get(at)?;
            if slot.length == 0 {
                return None;
            }
            if slot.key == key {
                let start = usize::try_from(slot.start).ok()?;
                return Some(start..start + usize::try_from(slot.length).ok()?);
            }
            at = after(at, self.slots.len());
        }
    }

    fn all(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().filter(|slot| slot.length > 0).map(|slot| slot.key)
    }
}

/// The slot that `key` belongs into; `slots` is a power of two.
fn first(key: u64, slots: usize) -> usize {
    let mut spread = Spread::default();
    spread.write_u64(key);
    usize::try_from(spread.finish()).unwrap_or(usize::MAX) & slots.wrapping_sub(1)
}

fn after(at: usize, slots: usize) -> usize {
    (at + 1) & slots.wrapping_sub(1)
}

/// A table being built: everything that lines share is kept once.
struct Builder<'v> {
    vocabulary: &'v Vocabulary,
    table: Table,
    windows: HashMap<*const Window, u32>,
    constraints: HashMap<String, u32>,
    fields: HashMap<String, u32>,
}

impl<'v> Builder<'v> {
    fn new(vocabulary: &'v Vocabulary) -> Self {
        Self {
            vocabulary,
            table: Table::default(),
            windows: HashMap::new(),
            constraints: HashMap::new(),
            fields: HashMap::new(),
        }
    }

    fn line(&mut self, order: u32, grant: &Grant) -> Result<Line, TableError> {
        let purposes = self.vocabulary.purpose_range(&grant.purposes);
        let action = match &grant.action {
            None => ANY_ACTION,
            Some(action) => self.vocabulary.action(action).ok_or(TableError::Lines)?,
        };
        Ok(Line {
            order,
            purpose_from: purposes.start,
            purpose_to: purposes.end,
            window: self.window(&grant.window)?,
            constraints: self.constrained(&grant.scope)?,
            choice: self.choice(grant)?,
            action,
            effect: grant.effect,
            has_duties: grant.scope.rows_per_reply.is_some() || grant.scope.rows_per_day.is_some(),
        })
    }

    fn window(&mut self, window: &Arc<Window>) -> Result<u32, TableError> {
        let windows = &mut self.table.windows;
        let next = u32::try_from(windows.len()).map_err(|_| TableError::Lines)?;
        Ok(*self.windows.entry(Arc::as_ptr(window)).or_insert_with(|| {
            windows.push(Arc::clone(window));
            next
        }))
    }

    fn constrained(&mut self, scope: &Arc<Scope>) -> Result<u32, TableError> {
        if scope.constraints.is_empty() {
            return Ok(0);
        }
        let text = scope.constraints.iter().map(Constraint::to_string).collect::<Vec<_>>().join(";");
        let constraints = &mut self.table.constraints;
        let next = u32::try_from(constraints.len() + 1).map_err(|_| TableError::Lines)?;
        Ok(*self.constraints.entry(text).or_insert_with(|| {
            constraints.push(Arc::clone(scope));
            next
        }))
    }

    fn choice(&mut self, grant: &Grant) -> Result<Choice, TableError> {
        let next = u32::try_from(self.fields.len()).map_err(|_| TableError::Lines)?;
        let fields = *self.fields.entry(grant.scope.fields_text()).or_insert(next);
        let members = self.vocabulary.members(grant.resource_node);
        let mut number = None;
        for &resource in members {
            number = Some(self.selection(fields, resource, &grant.scope)?);
        }
        // A theme or sharing type may gain members, a resource is its only one.
        Ok(match (members, number) {
            ([_], Some(number)) => Choice::One(number),
            _ => Choice::ByResource(fields),
        })
    }

    fn selection(&mut self, fields: u32, resource: u32, scope: &Scope) -> Result<u32, TableError> {
        if let Some(&number) = self.table.by_resource.get(&(fields, resource)) {
            return Ok(number);
        }
        let number = self.table.selections.len();
        if number >= MAX_SELECTIONS {
            return Err(TableError::Selections);
        }
        let number = u32::try_from(number).map_err(|_| TableError::Selections)?;
        let place = self.vocabulary.place(resource).ok_or(TableError::Selections)?;
        self.table.selections.push(place.schema.select(&scope.items));
        self.table.by_resource.insert((fields, resource), number);
        Ok(number)
    }
}

fn key(subject: Node, resource: Node) -> u64 {
    u64::from(subject.0) << 32 | u64::from(resource.0)
}

fn high(key: u64) -> u32 {
    low(key >> 32)
}

fn low(key: u64) -> u32 {
    u32::try_from(key & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// Hashes by [`Spread`].
pub(crate) type Spreading = BuildHasherDefault<Spread>;

/// Spreads the bits of a key. For maps that are filled at load from the policy's own files alone:
/// nobody outside can put colliding keys into them, and looking for a key that is not there costs
/// no more than the files allow.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let rest = rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        self.write_u64(rest);
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        // Fibonacci hashing: 2^64 divided by the golden ratio. The high half has the best bits.
        let product = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }
}
