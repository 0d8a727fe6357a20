//! How far one sink has taken the log: pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::journal::read::GenerationState;
use crate::kernel::id::NodeId;

/// The version of the file.
const VERSION: u64 = 1;

/// How far one sink has taken the log of each node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    v: u64,
    /// By the name of the node.
    nodes: BTreeMap<String, Taken>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    /// Of generations before this one all records were taken.
    all_before: u32,
    /// The `seq` of the next record, by generation.
    next: BTreeMap<u32, u64>,
}

/// What does not fit together between a cursor and the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Oddity {
    /// More was taken than there is: the log was put back to an earlier state, or cut.
    #[error(
        "its cursor says that {taken} records of generation {generation} were taken, but there are {records}: \
         the log was put back or cut; what there is is sent again"
    )]
    Ahead {
        /// Of which generation.
        generation: u32,
        /// How many were taken.
        taken: u64,
        /// How many there are.
        records: u64,
    },
    /// Generations were taken that are yet to be.
    #[error(
        "its cursor says that generations before {all_before} were taken, but the newest is {newest}: the log \
         was put back to an earlier state"
    )]
    Future {
        /// The cursor's generation.
        all_before: u32,
        /// The newest there is.
        newest: u32,
    },
    /// A generation that is not there.
    #[error("its cursor speaks of generation {generation}, which is not in the log; it was at record {next}")]
    Unknown {
        /// Which one.
        generation: u32,
        /// How many were taken.
        next: u64,
    },
}

impl Default for Cursor {
    fn default() -> Self {
        Self { v: VERSION, nodes: BTreeMap::new() }
    }
}

impl Cursor {
    /// Reads a cursor.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let cursor: Self = serde_json::from_slice(bytes)?;
        if cursor.v == VERSION {
            Ok(cursor)
        } else {
            let message = format!("version {} where {VERSION} is expected", cursor.v);
            Err(serde::de::Error::custom(message))
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// None that is known: its keys are texts and numbers.
    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The `seq` of the first record of a generation that was not taken.
    #[must_use]
    pub(super) fn next(&self, node: &NodeId, generation: u32) -> u64 {
        let Some(taken) = self.nodes.get(node.as_str()) else { return 0 };
        if generation < taken.all_before {
            return u64::MAX;
        }
        taken.next.get(&generation).copied().unwrap_or(0)
    }

    /// Of which generations all records before were taken.
    #[must_use]
    pub(super) fn all_before(&self, node: &NodeId) -> u32 {
        self.nodes.get(node.as_str()).map_or(0, |taken| taken.all_before)
    }

    /// Records of a generation were taken, those before `next`.
    pub(super) fn advance(&mut self, node: &NodeId, generation: u32, next: u64) {
        let taken = self.nodes.entry(node.as_str().to_owned()).or_default();
        if generation >= taken.all_before {
            let known = taken.next.entry(generation).or_default();
            *known = next.max(*known);
        }
    }

    /// Forgets the generations that were taken whole, up to the first that was not. `states` are those that
    /// are there.
    pub(super) fn fold(&mut self, node: &NodeId, states: &[GenerationState]) {
        let Some(taken) = self.nodes.get_mut(node.as_str()) else { return };
        for state in states {
            if state.number < taken.all_before {
                continue;
            }
            let next = taken.next.get(&state.number).copied().unwrap_or(0);
            if state.records.is_none_or(|records| next < records) {
                break;
            }
            taken.all_before = state.number.saturating_add(1);
        }
        taken.next.retain(|generation, _| *generation >= taken.all_before);
    }

    /// Fits the cursor to the beginning of generation `own`, of which nothing can have been taken.
    pub(super) fn begin(&mut self, node: &NodeId, own: u32) -> Vec<Oddity> {
        let mut odd = Vec::new();
        let Some(taken) = self.nodes.get_mut(node.as_str()) else { return odd };
        if taken.all_before > own {
            odd.push(Oddity::Future { all_before: taken.all_before, newest: own });
            taken.all_before = own;
        }
        if let Some(next) = taken.next.remove(&own).filter(|next| *next > 0) {
            odd.push(Oddity::Ahead { generation: own, taken: next, records: 0 });
        }
        odd
    }

    /// Fits the cursor to the generations that are there.
    pub(super) fn fit(&mut self, node: &NodeId, states: &[GenerationState]) -> Vec<Oddity> {
        let mut odd = Vec::new();
        let Some(taken) = self.nodes.get_mut(node.as_str()) else { return odd };
        taken.next.retain(|&generation, next| {
            let Some(state) = states.iter().find(|state| state.number == generation) else {
                odd.push(Oddity::Unknown { generation, next: *next });
                return false;
            };
            if let Some(records) = state.records.filter(|records| *next > *records) {
                odd.push(Oddity::Ahead { generation, taken: *next, records });
                *next = 0;
            }
            true
        });
        odd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeId {
        NodeId::parse("gate-1").unwrap()
    }

    fn state(number: u32, records: impl Into<Option<u64>>) -> GenerationState {
        GenerationState { number, records: records.into() }
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let mut cursor = Cursor::default();
        cursor.advance(&node(), 3, 17);
        cursor.advance(&node(), 3, 5);
        let bytes = cursor.encode().unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            "{\"v\":1,\"nodes\":{\"gate-1\":{\"all_before\":0,\"next\":{\"3\":17}}}}\n"
        );
        assert_eq!(Cursor::parse(&bytes).unwrap(), cursor);
        assert_eq!((cursor.next(&node(), 3), cursor.next(&node(), 4)), (17, 0));
        for bad in
            ["", "{}", "{\"v\":2,\"nodes\":{}}", "{\"v\":1,\"nodes\":{},\"x\":1}", "{\"v\":1,\"nodes\":{"]
        {
            assert!(Cursor::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_generations_are_forgotten_up_to_the_first_that_is_not() {
        let mut cursor = Cursor::default();
        for (generation, next) in [(1, 10), (2, 7), (4, 9), (5, 1)] {
            cursor.advance(&node(), generation, next);
        }
        // 3 was never there; 4 is still being written.
        cursor.fold(&node(), &[state(1, 10), state(2, 7), state(4, None), state(5, 1)]);
        assert_eq!(cursor.all_before(&node()), 3);
        assert_eq!(cursor.next(&node(), 2), u64::MAX);
        assert_eq!((cursor.next(&node(), 4), cursor.next(&node(), 5)), (9, 1));
        cursor.advance(&node(), 1, 3);
        cursor.fold(&node(), &[state(4, 9), state(5, 2)]);
        assert_eq!((cursor.all_before(&node()), cursor.next(&node(), 5)), (5, 1));
    }

    #[test]
    fn what_does_not_fit_the_log_is_said_and_sent_again() {
        let mut cursor = Cursor::default();
        for (generation, next) in [(1, 10), (2, 8), (3, 4), (9, 2)] {
            cursor.advance(&node(), generation, next);
        }
        let odd = cursor.fit(&node(), &[state(1, 10), state(2, 7), state(3, None)]);
        assert_eq!(
            odd,
            [
                Oddity::Ahead { generation: 2, taken: 8, records: 7 },
                Oddity::Unknown { generation: 9, next: 2 }
            ]
        );
        assert_eq!([1, 2, 3, 9].map(|generation| cursor.next(&node(), generation)), [10, 0, 4, 0]);
        // The log was put back: generation 3 begins anew.
        let odd = cursor.begin(&node(), 3);
        assert_eq!(odd, [Oddity::Ahead { generation: 3, taken: 4, records: 0 }]);
        assert_eq!(cursor.next(&node(), 3), 0);
        cursor.fold(&node(), &[state(1, 10), state(2, 0), state(3, 0), state(4, 0)]);
        assert_eq!(cursor.all_before(&node()), 5);
        let odd = cursor.begin(&node(), 2);
        assert_eq!(odd, [Oddity::Future { all_before: 5, newest: 2 }]);
        assert_eq!((cursor.next(&node(), 1), cursor.next(&node(), 2)), (u64::MAX, 0));
        assert_eq!(cursor.begin(&node(), 3), []);
    }
}
