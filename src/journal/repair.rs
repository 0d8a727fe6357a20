//! Before a log is repaired: is there anything to repair, and does nobody write?

use std::sync::Arc;

use super::keep::Hold as _;
use super::layout::{CLOSED, GenerationDir, LOCK, generations};
use super::publish::PublishedHold;
use super::read::repairs;
use super::scan::scan;
use super::storage::{Lock, Storage};
use super::{Damage, JournalConfig, JournalError};
use crate::tlog::VerifierKey;

/// Who takes it upon himself to put aside what is damaged, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Who.
    pub actor: String,
    /// Why, in his own words.
    pub reason: String,
}

/// What keeps the log from being opened; nothing if nothing does. Changes nothing.
///
/// Closed generations are not looked at: they keep nothing from being opened, and nothing puts them right.
///
/// # Errors
/// When the log cannot be read, or [`JournalError::Live`] when another process writes it.
pub fn damage(config: &JournalConfig, storage: &dyn Storage) -> Result<Vec<Damage>, JournalError> {
    let mut found = Vec::new();
    for place in generations_of(config, storage)? {
        let names = storage.list(&place.path).map_err(JournalError::io("list", &place.path))?;
        if names.iter().any(|name| name == CLOSED) {
            continue;
        }
        let Some(_lock) = lock(storage, &place)? else {
            return Err(JournalError::Live { generation: place.number });
        };
        let read = scan(storage, &place.path, &place.node, place.number, &mut |_| ())?;
        found.extend(read.damage);
    }
    Ok(found)
}

/// Whether a repair is on record that no head covers, though heads were signed by `key` before: nobody has signed
/// for it, and no gate will. Changes nothing.
///
/// # Errors
/// When the log cannot be read.
pub fn is_repair_unsigned(
    config: &JournalConfig,
    storage: &Arc<dyn Storage>,
    key: &VerifierKey,
) -> Result<bool, JournalError> {
    let root = &config.directory;
    let hold = PublishedHold::new(Arc::clone(storage), root.clone(), key.clone());
    if !hold.has_head(&config.node).map_err(JournalError::io("read the checkpoint in", root))? {
        return Ok(false);
    }
    for place in generations_of(config, &**storage)? {
        let found = repairs(&**storage, std::slice::from_ref(&place));
        let found = found.map_err(JournalError::io("read", &place.path))?.len();
        // They are what a generation begins with.
        if hold.first_needed(&place.node, place.number) < u64::try_from(found).unwrap_or(u64::MAX) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The generations of this gate, in order.
pub(super) fn generations_of(
    config: &JournalConfig,
    storage: &dyn Storage,
) -> Result<Vec<GenerationDir>, JournalError> {
    let root = &config.directory;
    let all = generations(storage, root).map_err(JournalError::io("list", root))?;
    Ok(all.into_iter().filter(|place| place.node == config.node).collect())
}

/// The lock of a generation; `None` if its process lives.
pub(super) fn lock(
    storage: &dyn Storage,
    place: &GenerationDir,
) -> Result<Option<Box<dyn Lock>>, JournalError> {
    let path = place.path.join(LOCK);
    storage.lock(&path).map_err(JournalError::io("lock", &path))
}
