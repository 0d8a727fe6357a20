//! The fields of one resource as the policy sees them: numbered, in sets, with their maskers.
//!
//! Only *leaves* are numbered: `address` stands for every field below it, whether it is in the
//! catalogue itself or not, so what a grant of it lets out is each of them under its own masker. A leaf without a masker takes
//! that of the nearest field above it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use smallvec::{SmallVec, smallvec};

use super::scope::{Item, Selector};
use super::table::Spreading;
use crate::catalog::Resource;
use crate::grant::{ReleasedField, Treatment};
use crate::kernel::id::{FieldPath, MaskerName};

/// A set of the leaves of one resource. Up to 128 leaves need no memory of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FieldSet(SmallVec<[u64; 2]>);

impl FieldSet {
    pub(crate) fn add(&mut self, leaf: usize) {
        if let Some(word) = self.0.get_mut(leaf / 64) {
            *word |= 1 << (leaf % 64);
        }
    }

    pub(crate) fn contains(&self, leaf: usize) -> bool {
        self.0.get(leaf / 64).is_some_and(|word| word >> (leaf % 64) & 1 == 1)
    }

    /// Its leaves by number, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.0.len() * 64).filter(|&leaf| self.contains(leaf))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub(crate) fn intersects(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a & !b == 0)
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }
}

#[derive(Debug)]
struct Leaf {
    path: FieldPath,
    mask: Option<MaskerName>,
}

/// The leaves of one resource.
#[derive(Debug)]
pub(crate) struct Schema {
    leaves: Vec<Leaf>,
    /// What every name that a scope may use on the resource stands for.
    names: HashMap<String, FieldSet, Spreading>,
}

impl Schema {
    pub(crate) fn new(resource: &Resource) -> Self {
        let fields = &resource.fields;
        let above = |path: &FieldPath, other: &FieldPath| other != path && other.covers(path);
        let leaves: Vec<Leaf> = fields
            .iter()
            .filter(|field| !fields.iter().any(|other| above(&other.path, &field.path)))
            .map(|field| Leaf {
                path: field.path.clone(),
                mask: field.mask.clone().or_else(|| {
                    let parents = fields.iter().filter(|parent| above(&field.path, &parent.path));
                    let masked = parents.filter(|parent| parent.mask.is_some());
                    masked.max_by_key(|parent| parent.path.as_str().len())?.mask.clone()
                }),
            })
            .collect();
        let mut schema = Self { leaves, names: HashMap::default() };
        let mut names: HashMap<String, FieldSet, Spreading> = HashMap::default();
        let mut everything = schema.none();
        for (index, leaf) in schema.leaves.iter().enumerate() {
            everything.add(index);
            let mut above = String::new();
            for name in leaf.path.names() {
                if !above.is_empty() {
                    names.entry(format!("{above}.*")).or_insert_with(|| schema.none()).add(index);
                    above.push('.');
                }
                above.push_str(name);
                names.entry(above.clone()).or_insert_with(|| schema.none()).add(index);
            }
        }
        for (group, members) in &resource.groups {
            let mut set = schema.none();
            for member in members {
                set.extend(&schema.at_or_below(member));
            }
            names.insert(format!("@{group}"), set);
        }
        names.insert("*".to_owned(), everything);
        schema.names = names;
        schema
    }

    fn at_or_below(&self, path: &FieldPath) -> FieldSet {
        let mut set = self.none();
        for (index, leaf) in self.leaves.iter().enumerate() {
            if path.covers(&leaf.path) {
                set.add(index);
            }
        }
        set
    }

    /// The empty set.
    pub(crate) fn none(&self) -> FieldSet {
        FieldSet(smallvec![0; self.leaves.len().div_ceil(64)])
    }

    /// What `name` (`*`, `@group`, `a.b` or `a.*`) stands for; `None` if the resource has no such name.
    pub(crate) fn named(&self, name: &str) -> Option<&FieldSet> {
        self.names.get(name)
    }

    /// Every name that a scope may use.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The paths of `set`, in catalogue order.
    pub(crate) fn paths<'s>(&'s self, set: &'s FieldSet) -> impl Iterator<Item = &'s FieldPath> {
        self.leaves.iter().enumerate().filter(|&(index, _)| set.contains(index)).map(|(_, leaf)| &leaf.path)
    }

    /// What `*` selects here.
    pub(crate) fn everything(&self) -> Selection {
        let fields = self.named("*").cloned().unwrap_or_else(|| self.none());
        Selection { fields, whole: true, ..self.nothing() }
    }

    fn nothing(&self) -> Selection {
        Selection {
            fields: self.none(),
            treatments: Vec::new(),
            whole: false,
            released: OnceLock::new(),
            narrowed: ArcSwapOption::empty(),
        }
    }

    /// What `items` select here; names that the resource lacks select nothing.
    pub(crate) fn select(&self, items: &[Item]) -> Selection {
        let mut selection = self.nothing();
        for item in items {
            selection.whole |= item.selector == Selector::All;
            let Some(set) = self.named(&item.selector.to_string()) else { continue };
            selection.fields.extend(set);
            if let Some(treatment) = &item.treatment {
                selection.treatments.push((set.clone(), treatment.clone()));
            }
        }
        selection
    }

    /// What leaves when these selections hold together: the fields of `wanted` that any of them
    /// has, or all they have. In any of them `:clear` wins, else the first masker that is named,
    /// else the catalogue's.
    pub(crate) fn release(
        &self,
        selections: &[&Selection],
        wanted: Option<&FieldSet>,
    ) -> Arc<[ReleasedField]> {
        let released = self.leaves.iter().enumerate().filter(|&(index, _)| {
            wanted.is_none_or(|wanted| wanted.contains(index))
                && selections.iter().any(|selection| selection.fields.contains(index))
        });
        released
            .map(|(index, leaf)| {
                let mut named = selections
                    .iter()
                    .flat_map(|selection| &selection.treatments)
                    .filter(|(set, _)| set.contains(index))
                    .map(|(_, treatment)| treatment);
                let first = named.clone().next();
                let treatment = if named.any(|treatment| *treatment == Treatment::Clear) {
                    Treatment::Clear
                } else {
                    let default = || leaf.mask.clone().map_or(Treatment::Clear, Treatment::Masked);
                    first.cloned().unwrap_or_else(default)
                };
                ReleasedField { path: leaf.path.clone(), treatment }
            })
            .collect()
    }
}

/// What one fields part selects on one resource.
#[derive(Debug)]
pub(crate) struct Selection {
    /// The fields it has.
    pub(crate) fields: FieldSet,
    /// The treatments it names, in order, and for which fields.
    pub(crate) treatments: Vec<(FieldSet, Treatment)>,
    /// Whether it says `*`, which holds even on a resource without fields.
    pub(crate) whole: bool,
    /// What leaves when it holds alone and nothing narrower is asked for.
    pub(crate) released: OnceLock<Arc<[ReleasedField]>>,
    /// The same for the narrower request that was new last: a system asks for the same fields again
    /// and again.
    pub(crate) narrowed: ArcSwapOption<Narrowed>,
}

/// What leaves of a selection that holds alone when only some fields are asked for.
#[derive(Debug)]
pub(crate) struct Narrowed {
    pub(crate) wanted: FieldSet,
    pub(crate) fields: Arc<[ReleasedField]>,
}

impl Selection {
    /// Whether it gives anything to a request for `wanted`, or for whatever there is.
    pub(crate) fn gives(&self, wanted: Option<&FieldSet>) -> bool {
        match wanted {
            None => self.whole || !self.fields.is_empty(),
            Some(wanted) => self.fields.intersects(wanted),
        }
    }
}
