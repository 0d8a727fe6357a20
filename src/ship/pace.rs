//! How long is waited before something is tried again.

use std::time::Duration;

/// The waits of a shipper.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How often the log is looked at for more.
    pub(super) glance: Duration,
    /// How often it is looked for generations that others have closed.
    pub(super) survey: Duration,
    /// The wait after a first failure; each further one doubles it.
    pub(super) first: Duration,
    /// The longest wait that doubling leads to.
    pub(super) most: Duration,
    /// The wait after a refusal that only a person can mend.
    pub(super) refused: Duration,
    /// The longest wait that a sink may ask for.
    pub(super) asked: Duration,
    /// How many records may be sent before it is settled that they were taken.
    pub(super) settle_records: u64,
    /// How long they may wait for that.
    pub(super) settle_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            glance: Duration::from_millis(200),
            survey: Duration::from_secs(5),
            first: Duration::from_secs(1),
            most: Duration::from_secs(60),
            refused: Duration::from_secs(300),
            asked: Duration::from_secs(3600),
            settle_records: 10_000,
            settle_after: Duration::from_secs(10),
        }
    }
}

impl Pace {
    /// The wait after the failure that is the `failures`th in a row: it doubles up to a bound, and any part of
    /// its second half is left out, so that many gates do not come back at one moment.
    #[must_use]
    pub(super) fn again(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let whole = self.first.saturating_mul(1 << doublings).min(self.most);
        whole.mul_f64(0.5 + chance() / 2.0)
    }
}

/// A number from 0 to 1 by chance; 1 if there is no chance to be had.
fn chance() -> f64 {
    let mut bytes = [0; 2];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_scatter() {
        let pace = Pace::default();
        for (failures, whole) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (u32::MAX, 60)] {
            let whole = Duration::from_secs(whole);
            let waits: Vec<_> = (0..64).map(|_| pace.again(failures)).collect();
            assert!(waits.iter().all(|wait| *wait <= whole && *wait >= whole / 2), "{failures}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{failures}: all the same");
        }
    }
}
