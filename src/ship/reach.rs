//! How far one sink is, as the process knows that sends: pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::batch::Batch;
use super::cursor::Cursor;
use crate::journal::read::GenerationState;
use crate::kernel::id::NodeId;

/// Records of one generation that are to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) generation: u32,
    /// The first of them.
    pub(super) next: u64,
    /// The first that is not durable.
    pub(super) until: u64,
}

/// How far one sink is: by the cursor in its file, by what it has taken since, and by what it was sent.
#[derive(Debug)]
pub(super) struct Reach {
    node: NodeId,
    /// The generation of this process.
    own: u32,
    /// What the file says; `None` before it was looked at.
    pub(super) cursor: Option<Cursor>,
    /// The generations of other processes that are for this one to send, once they are closed.
    pub(super) states: Vec<GenerationState>,
    /// What was taken and is not in the file yet, by generation.
    taken: BTreeMap<u32, u64>,
    /// What was sent while nobody knows whether it was taken, by generation.
    ahead: BTreeMap<u32, u64>,
    ahead_records: u64,
    ahead_since: Option<Duration>,
}

impl Reach {
    pub(super) fn new(node: NodeId, own: u32) -> Self {
        Self {
            node,
            own,
            cursor: None,
            states: Vec::new(),
            taken: BTreeMap::new(),
            ahead: BTreeMap::new(),
            ahead_records: 0,
            ahead_since: None,
        }
    }

    /// The first generation of which there are records to send. `durable` is how many this process has.
    pub(super) fn work(&self, durable: u64) -> Option<Work> {
        self.ends(durable).into_iter().find_map(|(generation, until)| {
            let next = self.ahead.get(&generation).copied().unwrap_or_else(|| self.next(generation));
            (next < until).then_some(Work { generation, next, until })
        })
    }

    /// The generations that this process sends, in order, with the number of their durable records.
    fn ends(&self, durable: u64) -> Vec<(u32, u64)> {
        let closed = self.states.iter().filter_map(|state| Some((state.number, state.records?)));
        let mut ends: Vec<_> = closed.filter(|(number, _)| *number != self.own).collect();
        ends.insert(ends.partition_point(|(number, _)| *number < self.own), (self.own, durable));
        ends
    }

    /// The first record of a generation that the sink has not taken.
    fn next(&self, generation: u32) -> u64 {
        let in_file = self.cursor.as_ref().map_or(0, |cursor| cursor.next(&self.node, generation));
        self.taken.get(&generation).copied().unwrap_or(0).max(in_file)
    }

    /// How many records of this process were taken, and how many of others wait.
    pub(super) fn lag(&self) -> (u64, u64) {
        let others = self.ends(0).into_iter().filter(|(number, _)| *number != self.own);
        let waiting = others.map(|(number, end)| end.saturating_sub(self.next(number)));
        (self.next(self.own), waiting.fold(0, u64::saturating_add))
    }

    /// The sink has taken `batch`.
    pub(super) fn take(&mut self, batch: &Batch) {
        self.taken.insert(batch.generation, batch.end());
    }

    /// Nobody knows whether the sink has taken `batch`.
    pub(super) fn go_ahead(&mut self, batch: &Batch, now: Duration) {
        self.ahead.insert(batch.generation, batch.end());
        self.ahead_records = self.ahead_records.saturating_add(batch.records);
        self.ahead_since.get_or_insert(now);
    }

    /// No record of a generation before `end` is there to be sent.
    pub(super) fn pass_over(&mut self, generation: u32, end: u64) {
        let next = if self.ahead.is_empty() { &mut self.taken } else { &mut self.ahead };
        next.insert(generation, end);
    }

    /// Whether something was sent of which nobody knows whether it was taken.
    pub(super) fn is_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Whether that should be found out: so many records, or for so long.
    pub(super) fn is_far_ahead(&self, records: u64, most: Duration, now: Duration) -> bool {
        let is_old = |since| now.saturating_sub(since) >= most;
        self.ahead_records >= records || self.ahead_since.is_some_and(is_old)
    }

    /// All that was sent is taken: how many records that nobody knew of.
    pub(super) fn settle(&mut self) -> u64 {
        self.taken.append(&mut self.ahead);
        self.ahead_since = None;
        std::mem::take(&mut self.ahead_records)
    }

    /// Nothing is taken that nobody knows of: it is to be sent again.
    pub(super) fn fall_back(&mut self) {
        self.ahead.clear();
        (self.ahead_records, self.ahead_since) = (0, None);
    }

    /// What is to be put into the file; `None` if it is all there.
    pub(super) fn unsaved(&self) -> Option<impl FnOnce(&mut Cursor) + Send + 'static> {
        if self.taken.is_empty() {
            return None;
        }
        let (node, taken, states) = (self.node.clone(), self.taken.clone(), self.states.clone());
        Some(move |cursor: &mut Cursor| {
            for (generation, next) in taken {
                cursor.advance(&node, generation, next);
            }
            cursor.fold(&node, &states);
        })
    }

    /// It is in the file, which says `cursor` now.
    pub(super) fn saved(&mut self, cursor: Cursor) {
        self.cursor = Some(cursor);
        self.taken.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(generation: u32, first: u64, records: u64) -> Batch {
        let node = NodeId::parse("gate-1").unwrap();
        Batch { node, generation, first, records, lines: bytes::Bytes::new() }
    }

    fn reach() -> Reach {
        let mut reach = Reach::new(NodeId::parse("gate-1").unwrap(), 3);
        reach.cursor = Some(Cursor::default());
        let state = |number, records| GenerationState { number, records };
        reach.states = vec![state(1, Some(10)), state(2, None), state(3, None), state(4, Some(5))];
        reach
    }

    #[test]
    fn generations_are_sent_in_order_and_only_those_that_are_its_own_or_closed() {
        let mut reach = reach();
        let mut seen = Vec::new();
        while let Some(work) = reach.work(7) {
            seen.push((work.generation, work.next, work.until));
            reach.take(&batch(work.generation, work.next, 4.min(work.until - work.next)));
        }
        assert_eq!(seen, [(1, 0, 10), (1, 4, 10), (1, 8, 10), (3, 0, 7), (3, 4, 7), (4, 0, 5), (4, 4, 5)]);
        assert_eq!(reach.lag(), (7, 0));
    }

    #[test]
    fn what_is_not_settled_is_sent_again() {
        let (mut reach, second) = (reach(), Duration::from_secs);
        reach.take(&batch(1, 0, 2));
        reach.go_ahead(&batch(1, 2, 8), second(5));
        reach.go_ahead(&batch(3, 0, 1), second(9));
        assert_eq!(reach.work(7), Some(Work { generation: 3, next: 1, until: 7 }));
        assert_eq!(reach.lag(), (0, 13), "what is ahead waits");
        assert!(
            reach.is_far_ahead(9, second(60), second(9)) && !reach.is_far_ahead(10, second(5), second(9))
        );
        assert!(reach.is_far_ahead(10, second(5), second(10)));
        reach.fall_back();
        assert!(!reach.is_ahead() && !reach.is_far_ahead(1, second(0), second(99)));
        assert_eq!(reach.work(7), Some(Work { generation: 1, next: 2, until: 10 }));
        reach.go_ahead(&batch(1, 2, 8), second(10));
        assert_eq!(reach.settle(), 8);
        let mut cursor = Cursor::default();
        reach.unsaved().unwrap()(&mut cursor);
        let node = NodeId::parse("gate-1").unwrap();
        assert_eq!((cursor.next(&node, 1), cursor.next(&node, 3)), (u64::MAX, 0));
        reach.saved(cursor);
        assert!(reach.unsaved().is_none());
        assert_eq!(reach.work(0), Some(Work { generation: 4, next: 0, until: 5 }));
    }
}
