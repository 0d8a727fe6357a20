//! Which lines of two policies mean the same, and which stand in another order.
//!
//! Lines get equal numbers if they say the same by themselves: to whom, about what, for which
//! purposes once those are listed, to what extent, and when, read by the same clock and calendar.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use super::bits::Bits;
use crate::grant::Effect;
use crate::kernel::id::{Action, GrantId, PurposeCode};
use crate::policy::Policy;
use crate::policy::reading::Reading;
use crate::policy::scope::Scope;
use crate::policy::terms::{Grant, Purposes};
use crate::policy::window::Window;

/// One line by numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meant {
    /// Of all it says.
    pub(super) meaning: u32,
    /// Of the purposes it covers, in [`Meanings::purposes`].
    pub(super) purposes: u32,
    /// Of its window, in [`Meanings::windows`].
    pub(super) window: u32,
    /// Whether no line of the other policy means the same, or it stands elsewhere among others.
    pub(super) is_changed: bool,
    /// Whether it only stands elsewhere.
    pub(super) has_moved: bool,
}

/// The lines of both policies by numbers.
#[derive(Debug)]
pub(super) struct Meanings<'p> {
    /// The lines of the old and of the new policy, in file order.
    pub(super) lines: [Vec<Meant>; 2],
    pub(super) windows: Vec<&'p Window>,
    pub(super) purposes: Vec<Bits>,
}

#[derive(Debug)]
struct Numbers<K>(HashMap<K, u32>);

impl<K: Hash + Eq> Numbers<K> {
    fn of(&mut self, key: K) -> (u32, bool) {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let number = *self.0.entry(key).or_insert(next);
        (number, number == next)
    }
}

/// All that a line says, by number where texts are long.
type Said<'p> = (&'p str, &'p str, Option<&'p Action>, u32, u32, u32, Effect);

/// Numbers that both policies share.
#[derive(Debug)]
struct Numbering<'p> {
    said: Numbers<Said<'p>>,
    scopes: Numbers<String>,
    /// By text, zone and calendar as far as they matter.
    windows: Numbers<(String, Option<String>, usize)>,
    purposes: Numbers<&'p [PurposeCode]>,
}

impl<'p> Meanings<'p> {
    /// Numbers the lines of `readings`. `codes` are all purposes of both.
    pub(super) fn new(readings: [&Reading<'p>; 2], codes: &[PurposeCode]) -> Self {
        let mut meanings =
            Self { lines: [Vec::new(), Vec::new()], windows: Vec::new(), purposes: Vec::new() };
        let mut numbering = Numbering {
            said: Numbers(HashMap::new()),
            scopes: Numbers(HashMap::new()),
            windows: Numbers(HashMap::new()),
            purposes: Numbers(HashMap::new()),
        };
        let [old, new] = readings;
        let one_calendar = old.policy().frame().calendar == new.policy().frame().calendar;
        let old_lines = meanings.side(old, 0, codes, &mut numbering);
        let new_lines = meanings.side(new, if one_calendar { 0 } else { 1 }, codes, &mut numbering);
        meanings.lines = aligned([old.policy(), new.policy()], [old_lines, new_lines]);
        meanings
    }

    fn side(
        &mut self,
        reading: &Reading<'p>,
        calendar: usize,
        codes: &[PurposeCode],
        numbering: &mut Numbering<'p>,
    ) -> Vec<Meant> {
        let zone = &reading.policy().frame().zone;
        let zone = zone.iana_name().map_or_else(|| format!("{zone:?}"), str::to_owned);
        // Lines share their scopes and windows.
        let mut scopes: HashMap<*const Scope, u32> = HashMap::new();
        let mut windows: HashMap<*const Window, u32> = HashMap::new();
        let mut purposes: HashMap<&Purposes, u32> = HashMap::new();
        let number = |grant: &'p Grant| {
            let scope = *scopes
                .entry(grant.scope())
                .or_insert_with(|| numbering.scopes.of(grant.scope().to_string()).0);
            let window = *windows.entry(grant.window()).or_insert_with(|| {
                let window = grant.window();
                let zone = window.turns().is_some().then(|| zone.clone());
                let calendar = if window.asks_day_kinds() { calendar } else { 0 };
                let (number, is_first) = numbering.windows.of((window.canonical(), zone, calendar));
                if is_first {
                    self.windows.push(window);
                }
                number
            });
            let purposes = *purposes.entry(grant.purposes()).or_insert_with(|| {
                let covered = reading.covered(grant.purposes());
                let (number, is_first) = numbering.purposes.of(covered);
                if is_first {
                    let is_covered =
                        |index| codes.get(index).is_some_and(|code| covered.binary_search(code).is_ok());
                    self.purposes.push(Bits::of(codes.len(), is_covered));
                }
                number
            });
            let said =
                (grant.subject(), grant.resource(), grant.action(), purposes, scope, window, grant.effect());
            let (meaning, _) = numbering.said.of(said);
            Meant { meaning, purposes, window, is_changed: true, has_moved: false }
        };
        reading.policy().grants().iter().map(number).collect()
    }
}

/// Marks the lines that stand in both policies, and those of them that stand in another order.
///
/// A line is held against the one of the same id if that means the same. Of the others, the k-th of
/// one meaning is held against the k-th of the same meaning. Most of these pairs are in one order:
/// the longest rising sequence of their places. The others have moved.
fn aligned(policies: [&Policy; 2], [mut old, mut new]: [Vec<Meant>; 2]) -> [Vec<Meant>; 2] {
    let [old_policy, new_policy] = policies;
    let by_id: HashMap<&GrantId, usize> =
        new_policy.grants().iter().enumerate().map(|(place, grant)| (grant.id(), place)).collect();
    let mut taken = vec![false; new.len()];
    let mut pairs: Vec<(usize, Option<usize>)> = Vec::with_capacity(old.len());
    for (place, (grant, line)) in old_policy.grants().iter().zip(&old).enumerate() {
        let same = by_id.get(grant.id()).copied();
        let same = same.filter(|&at| new.get(at).is_some_and(|other| other.meaning == line.meaning));
        if let Some(taken) = same.and_then(|at| taken.get_mut(at)) {
            *taken = true;
        }
        pairs.push((place, same));
    }
    let mut places: HashMap<u32, VecDeque<usize>> = HashMap::new();
    for (place, line) in new.iter().enumerate().filter(|(place, _)| taken.get(*place) == Some(&false)) {
        places.entry(line.meaning).or_default().push_back(place);
    }
    for ((_, target), line) in pairs.iter_mut().zip(&old).filter(|((_, target), _)| target.is_none()) {
        *target = places.get_mut(&line.meaning).and_then(VecDeque::pop_front);
    }
    let pairs: Vec<(usize, usize)> =
        pairs.into_iter().filter_map(|(place, target)| Some((place, target?))).collect();
    let targets: Vec<usize> = pairs.iter().map(|&(_, target)| target).collect();
    let stays = longest_rising(&targets);
    for (&(from, to), stays) in pairs.iter().zip(stays) {
        for line in old.get_mut(from).into_iter().chain(new.get_mut(to)) {
            line.is_changed = !stays;
            line.has_moved = !stays;
        }
    }
    [old, new]
}

/// Which of `numbers`, all different, are in a longest sequence that rises.
fn longest_rising(numbers: &[usize]) -> Vec<bool> {
    // For each length the index of the smallest number that such a sequence can end with.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (index, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|&end| numbers.get(end).is_some_and(|end| end < number));
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter)).copied());
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut is_in = vec![false; numbers.len()];
    let mut next = ends.last().copied();
    while let Some(index) = next {
        if let Some(is_in) = is_in.get_mut(index) {
            *is_in = true;
        }
        next = before.get(index).copied().flatten();
    }
    is_in
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rising_sequence() {
        for (numbers, length) in
            [(vec![], 0), (vec![3], 1), (vec![0, 1, 2], 3), (vec![2, 0, 1, 3], 3), (vec![3, 2, 1, 0], 1)]
        {
            let is_in = longest_rising(&numbers);
            let kept: Vec<usize> =
                numbers.iter().zip(&is_in).filter(|(_, kept)| **kept).map(|(n, _)| *n).collect();
            assert_eq!(kept.len(), length, "{numbers:?}");
            assert!(kept.is_sorted());
        }
    }
}
