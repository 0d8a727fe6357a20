//! Where a counter stands: a limit's keys laid out as a table that is known when it is built.

use std::sync::{Arc, OnceLock};

use super::limit::{Dimension, Limit};
use super::population::{Index, Roll};

/// The numbers of the ids of one call, by dimension. `None` where the call has none (yet).
pub(super) type Coordinates = [Option<u32>; 4];

/// One dimension of a limit's table.
#[derive(Debug)]
enum Axis {
    /// Any id, not part of the key.
    Any,
    /// One of the ids marked, not part of the key.
    Selected(Box<[bool]>),
    /// Part of the key.
    Keyed {
        /// The place of each id on this axis; `None` if the limit is not about it.
        places: Box<[Option<u32>]>,
        /// The id at each place.
        members: Box<[u32]>,
        /// How far apart neighbours stand.
        stride: usize,
    },
}

/// The layout of one limit's counters.
#[derive(Debug)]
pub(super) struct Table {
    axes: [Axis; 4],
    counters: usize,
}

fn place(places: &[Option<u32>], number: u32) -> Option<usize> {
    places.get(usize::try_from(number).ok()?).copied().flatten().and_then(|at| usize::try_from(at).ok())
}

impl Table {
    /// Lays out the counters of `limit`.
    pub(super) fn new(limit: &Limit, index: &Index) -> Self {
        let mut counters: usize = 1;
        let axes = Dimension::ALL.map(|dimension| {
            let roll = index.roll(dimension);
            let chosen = Self::chosen(limit, dimension, roll);
            if limit.by.contains(&dimension) {
                let members: Vec<u32> = match chosen {
                    Some(chosen) => chosen,
                    None => (0..u32::try_from(roll.len()).unwrap_or(u32::MAX)).collect(),
                };
                let mut places = vec![None; roll.len()];
                for (at, &member) in members.iter().enumerate() {
                    if let Some(slot) = usize::try_from(member).ok().and_then(|member| places.get_mut(member))
                    {
                        *slot = u32::try_from(at).ok();
                    }
                }
                let stride = counters;
                counters = counters.saturating_mul(members.len());
                Axis::Keyed { places: places.into(), members: members.into(), stride }
            } else if let Some(chosen) = chosen {
                let mut marks = vec![false; roll.len()];
                for member in chosen {
                    if let Some(mark) = usize::try_from(member).ok().and_then(|member| marks.get_mut(member))
                    {
                        *mark = true;
                    }
                }
                Axis::Selected(marks.into())
            } else {
                Axis::Any
            }
        });
        Self { axes, counters }
    }

    /// The numbers of the ids that `limit` selects, each once; `None` if it selects all.
    fn chosen(limit: &Limit, dimension: Dimension, roll: &Roll) -> Option<Vec<u32>> {
        fn numbers<T: AsRef<str>>(ids: &[T], roll: &Roll) -> Option<Vec<u32>> {
            if ids.is_empty() {
                return None;
            }
            let mut numbers: Vec<u32> = ids.iter().filter_map(|id| roll.number(id.as_ref())).collect();
            numbers.sort_unstable();
            numbers.dedup();
            Some(numbers)
        }
        match dimension {
            Dimension::System => numbers(&limit.only.systems, roll),
            Dimension::Department => numbers(&limit.only.departments, roll),
            Dimension::Resource => numbers(&limit.only.resources, roll),
            Dimension::Grant => numbers(&limit.only.grants, roll),
        }
    }

    /// How many counters the table has.
    pub(super) fn counters(&self) -> usize {
        self.counters
    }

    /// Whether the grant of a call is part of the key.
    pub(super) fn is_keyed_by_grant(&self) -> bool {
        let [_, _, _, grant] = &self.axes;
        matches!(grant, Axis::Keyed { .. })
    }

    /// The counter for a call; `None` if the limit is not about it.
    pub(super) fn slot(&self, at: &Coordinates) -> Option<usize> {
        let mut slot = 0;
        for (axis, number) in self.axes.iter().zip(at) {
            match axis {
                Axis::Any => {}
                Axis::Selected(marks) => {
                    let number = usize::try_from((*number)?).ok()?;
                    if !marks.get(number).copied().unwrap_or(false) {
                        return None;
                    }
                }
                Axis::Keyed { places, stride, .. } => slot += place(places, (*number)?)? * stride,
            }
        }
        Some(slot)
    }

    /// The counter in `self` of the ids that `slot` of `old` stood for.
    fn successor(&self, index: &Index, old: &Self, old_index: &Index, slot: usize) -> Option<usize> {
        let mut new_slot = 0;
        for (dimension, (axis, old_axis)) in Dimension::ALL.into_iter().zip(self.axes.iter().zip(&old.axes)) {
            match (axis, old_axis) {
                (
                    Axis::Keyed { places, stride, .. },
                    Axis::Keyed { members: old_members, stride: old_stride, .. },
                ) => {
                    let at = slot.checked_div(*old_stride)?.checked_rem(old_members.len())?;
                    let name = old_index.roll(dimension).name(*old_members.get(at)?)?;
                    new_slot += place(places, index.roll(dimension).number(name)?)? * stride;
                }
                (Axis::Keyed { .. }, _) | (_, Axis::Keyed { .. }) => return None,
                (Axis::Any | Axis::Selected(_), Axis::Any | Axis::Selected(_)) => {}
            }
        }
        Some(new_slot)
    }
}

/// The counters of one bound, each made when it is first needed.
#[derive(Debug)]
pub(super) struct Counters<T>(Box<[OnceLock<Arc<T>>]>);

impl<T: Default> Counters<T> {
    pub(super) fn new(table: &Table) -> Self {
        Self((0..table.counters()).map(|_| OnceLock::new()).collect())
    }

    /// The counter at `slot`; `None` beyond the table.
    pub(super) fn at(&self, slot: usize) -> Option<&Arc<T>> {
        Some(self.0.get(slot)?.get_or_init(Arc::default))
    }

    /// Shares the counters of an older table with this one, so that calls admitted by either are
    /// counted once.
    pub(super) fn share(&self, to: (&Table, &Index), old: &Self, from: (&Table, &Index)) {
        for (slot, counter) in old.0.iter().enumerate() {
            let Some(counter) = counter.get() else { continue };
            let place = to.0.successor(to.1, from.0, from.1, slot).and_then(|slot| self.0.get(slot));
            if let Some(place) = place {
                place.get_or_init(|| Arc::clone(counter));
            }
        }
    }
}
