//! Brings the answers of a commit to those who wait for them.
//!
//! Waking a task from another thread takes a lock of its runtime, and often a call of the kernel. A commit of
//! fifty records would do so fifty times. So the writer hands over all answers for a runtime at once, and a
//! task there gives them out, where waking costs next to nothing.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::runtime::{Handle, Id};
use tokio::sync::{mpsc, oneshot};

use super::handle::AppendError;

/// The `seq` of a record that is on disk, or why it is not.
pub(super) type Answer = Result<u64, AppendError>;

/// Who waits for the answer about one record.
#[derive(Debug)]
pub(super) struct Waiter {
    answer: oneshot::Sender<Answer>,
    /// Which of the desks is that of its runtime; `None` outside of any.
    desk: Option<usize>,
}

impl Waiter {
    /// A waiter that is a thread: it may be the very one that would give out answers.
    pub(super) fn outside() -> (Self, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        (Self { answer, desk: None }, receiver)
    }

    /// Whether nobody waits any more.
    pub(super) fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }

    /// Answers from this thread. Whoever no longer waits is not told.
    pub(super) fn answer(self, answer: Answer) {
        self.answer.send(answer).ok();
    }
}

/// Answers for the tasks of one runtime.
type Answers = Vec<(Waiter, Answer)>;

/// How many commits may wait for a runtime to give out their answers. When it does not keep up, the writer
/// gives them out itself.
const MAX_COMMITS: usize = 64;

/// The task of one runtime that gives out answers.
#[derive(Debug, Clone)]
struct Desk {
    runtime: Id,
    answers: mpsc::Sender<Answers>,
}

/// The desks of all runtimes that ever waited for a record. Desks are added and never removed: a process has few
/// runtimes.
#[derive(Debug, Default)]
pub(super) struct Desks {
    all: ArcSwap<Vec<Desk>>,
    adding: Mutex<()>,
}

impl Desks {
    /// A waiter in the current runtime, and where it waits.
    pub(super) fn waiter(&self) -> (Waiter, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        let desk = Handle::try_current().ok().map(|runtime| self.desk(&runtime));
        (Waiter { answer, desk }, receiver)
    }

    fn desk(&self, runtime: &Handle) -> usize {
        let id = runtime.id();
        // A runtime may have the id of one that has ended.
        let is_its = |desk: &Desk| desk.runtime == id && !desk.answers.is_closed();
        let place = |desks: &[Desk]| desks.iter().position(is_its);
        if let Some(found) = place(&self.all.load()) {
            return found;
        }
        let _one_adds = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut desks = self.all.load().as_ref().clone();
        if let Some(found) = place(&desks) {
            return found;
        }
        let (answers, coming) = mpsc::channel(MAX_COMMITS);
        runtime.spawn(give_out(coming));
        desks.push(Desk { runtime: id, answers });
        let added = desks.len() - 1;
        self.all.store(Arc::new(desks));
        added
    }
}

/// Gives out answers as long as there is a journal.
async fn give_out(mut coming: mpsc::Receiver<Answers>) {
    while let Some(answers) = coming.recv().await {
        for (waiter, answer) in answers {
            waiter.answer(answer);
        }
    }
}

/// The answers of one commit, by desk. Kept from commit to commit.
#[derive(Debug, Default)]
pub(super) struct Sorted(Vec<Answers>);

impl Sorted {
    /// One more answer.
    pub(super) fn push(&mut self, waiter: Waiter, answer: Answer) {
        let Some(desk) = waiter.desk else { return waiter.answer(answer) };
        if self.0.len() <= desk {
            self.0.resize_with(desk + 1, Vec::new);
        }
        if let Some(answers) = self.0.get_mut(desk) {
            answers.push((waiter, answer));
        }
    }

    /// Hands over all of them.
    pub(super) fn hand_over(&mut self, desks: &Desks) {
        let desks = desks.all.load();
        for (desk, answers) in desks.iter().zip(&mut self.0) {
            // For one the detour would be no shorter.
            if answers.len() > 1 {
                let next = Vec::with_capacity(answers.len());
                match desk.take(std::mem::replace(answers, next)) {
                    Ok(()) => continue,
                    Err(refused) => *answers = refused,
                }
            }
            answers.drain(..).for_each(|(waiter, answer)| waiter.answer(answer));
        }
    }
}

impl Desk {
    /// Gives `answers` back if its runtime has ended, or is behind.
    fn take(&self, answers: Answers) -> Result<(), Answers> {
        self.answers.try_send(answers).map_err(mpsc::error::TrySendError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(receivers: Vec<oneshot::Receiver<Answer>>) -> Vec<u64> {
        receivers.into_iter().map(|receiver| receiver.blocking_recv().unwrap().unwrap()).collect()
    }

    /// Waits in `runtime` with `count` waiters.
    fn wait(desks: &Desks, runtime: &Handle, count: usize) -> (Vec<Waiter>, Vec<oneshot::Receiver<Answer>>) {
        let _inside = runtime.enter();
        (0..count).map(|_| desks.waiter()).unzip()
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap()
    }

    #[test]
    fn everybody_gets_the_answer_about_the_own_record() {
        let (one, two) = (runtime(), runtime());
        let desks = Desks::default();
        let mut sorted = Sorted::default();
        let mut receivers = Vec::new();
        let mut waiters = Vec::new();
        for (runtime, count) in [(one.handle(), 3), (two.handle(), 1), (one.handle(), 4), (two.handle(), 2)] {
            let (mut more, mut waiting) = wait(&desks, runtime, count);
            waiters.append(&mut more);
            receivers.append(&mut waiting);
        }
        let (alone, outside) = Waiter::outside();
        waiters.push(alone);
        receivers.push(outside);
        assert_eq!(desks.all.load().len(), 2);
        for (seq, waiter) in (0..).zip(waiters) {
            sorted.push(waiter, Ok(seq));
        }
        sorted.hand_over(&desks);
        assert_eq!(told(receivers), (0..11).collect::<Vec<_>>());
        assert!(sorted.0.iter().all(Vec::is_empty));
    }

    #[test]
    fn a_runtime_that_ended_or_is_behind_is_answered_all_the_same() {
        let desks = Desks::default();
        let mut sorted = Sorted::default();
        let ended = runtime();
        let (waiters, receivers) = wait(&desks, ended.handle(), 2);
        // Waits until its tasks are gone.
        drop(ended);
        // Nothing runs in this one before it is driven.
        let idle = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut behind = Vec::new();
        for commit in 0..=MAX_COMMITS {
            let (waiters, receivers) = wait(&desks, idle.handle(), 2);
            for waiter in waiters {
                sorted.push(waiter, Ok(u64::try_from(commit).unwrap()));
            }
            sorted.hand_over(&desks);
            behind.push(receivers);
        }
        // The channel had no room for the last.
        let last = u64::try_from(MAX_COMMITS).unwrap();
        assert_eq!(told(behind.pop().unwrap()), [last, last]);
        for waiter in waiters {
            sorted.push(waiter, Err(AppendError::Unavailable));
        }
        sorted.hand_over(&desks);
        for receiver in receivers {
            assert_eq!(receiver.blocking_recv().unwrap(), Err(AppendError::Unavailable));
        }
        idle.block_on(async {
            for (commit, receivers) in (0..).zip(behind) {
                for receiver in receivers {
                    assert_eq!(receiver.await.unwrap(), Ok(commit));
                }
            }
        });
    }
}
