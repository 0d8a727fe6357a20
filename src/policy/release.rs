//! What permits let out, each distinct list kept once, so that equal permits share it.

use std::hash::Hash;
use std::sync::Arc;

use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use super::schema::{FieldSet, Selection};
use super::vocabulary::Place;
use crate::grant::ReleasedField;

/// The most lists that are kept. Beyond it equal permits may hold equal but separate lists.
pub(crate) const MAX_LISTS: usize = 16_384;

/// What a list depends on: the resource, what each grant selects, what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    resource: u32,
    selections: Box<[u32]>,
    wanted: Option<Box<[u64]>>,
}

/// A [`Key`] to look up by.
#[derive(Hash)]
struct Lookup<'k> {
    resource: u32,
    selections: &'k [u32],
    wanted: Option<&'k [u64]>,
}

impl Equivalent<Key> for Lookup<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.resource == key.resource
            && *self.selections == *key.selections
            && self.wanted == key.wanted.as_deref()
    }
}

type List = Arc<[ReleasedField]>;

/// The lists of released fields.
#[derive(Debug)]
pub(crate) struct Released {
    by_key: Cache<Key, List>,
    /// By content, and by resource because bodies of different resources are shaped differently.
    lists: Cache<(u32, List), List>,
}

impl Released {
    pub(crate) fn new() -> Self {
        Self { by_key: Cache::new(MAX_LISTS), lists: Cache::new(MAX_LISTS) }
    }

    /// What leaves of `place` when `selections` (with their `numbers`, in file order) hold
    /// together and `wanted` was asked for.
    pub(crate) fn fields(
        &self,
        (resource, place): (u32, &Place),
        numbers: &[u32],
        selections: &[&Selection],
        wanted: Option<&FieldSet>,
    ) -> List {
        let fresh = || self.interned(resource, place.schema.release(selections, wanted));
        if let (&[only], None) = (selections, wanted) {
            return Arc::clone(only.released.get_or_init(fresh));
        }
        let lookup = Lookup { resource, selections: numbers, wanted: wanted.map(FieldSet::words) };
        if let Some(list) = self.by_key.get(&lookup) {
            return list;
        }
        let list = fresh();
        let wanted = wanted.map(|wanted| wanted.words().into());
        self.by_key.insert(Key { resource, selections: numbers.into(), wanted }, Arc::clone(&list));
        list
    }

    fn interned(&self, resource: u32, list: List) -> List {
        let key = (resource, list);
        if let Some(same) = self.lists.get(&key) {
            return same;
        }
        let list = Arc::clone(&key.1);
        self.lists.insert(key, Arc::clone(&list));
        list
    }
}
