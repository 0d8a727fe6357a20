//! What permits let out, each distinct list kept once, so that equal permits share it.

use std::hash::Hash;
use std::sync::Arc;

use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use super::schema::{FieldSet, Narrowed, Selection};
use super::vocabulary::Place;
use crate::grant::ReleasedField;

/// The most lists that are kept. Beyond it equal permits may hold equal but separate lists.
pub(crate) const MAX_LISTS: usize = 16_384;

/// What a list depends on: the resource, what each grant selects, what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    resource: u32,
    selections: Box<[u32]>,
    wanted: Option<FieldSet>,
}

/// A [`Key`] to look up by.
#[derive(Hash)]
struct Lookup<'k> {
    resource: u32,
    selections: &'k [u32],
    wanted: Option<&'k FieldSet>,
}

impl Equivalent<Key> for Lookup<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.resource == key.resource
            && *self.selections == *key.selections
            && self.wanted == key.wanted.as_ref()
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
        if let &[only] = selections {
            let Some(wanted) = wanted else { return Arc::clone(only.released.get_or_init(fresh)) };
            if let Some(narrowed) = &*only.narrowed.load()
                && narrowed.wanted == *wanted
            {
                return Arc::clone(&narrowed.fields);
            }
        }
        let lookup = Lookup { resource, selections: numbers, wanted };
        self.by_key.get(&lookup).unwrap_or_else(|| {
            let list = fresh();
            let key = Key { resource, selections: numbers.into(), wanted: wanted.cloned() };
            self.by_key.insert(key, Arc::clone(&list));
            // Only what is new is kept at hand: systems that ask in turn for different fields must not
            // write here on every request.
            if let (&[only], Some(wanted)) = (selections, wanted) {
                let narrowed = Narrowed { wanted: wanted.clone(), fields: Arc::clone(&list) };
                only.narrowed.store(Some(Arc::new(narrowed)));
            }
            list
        })
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
