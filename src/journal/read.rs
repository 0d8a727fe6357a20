//! Reads the log back: in order, checked, searched, followed.

use std::io;
use std::path::Path;

use serde::Deserialize;

use super::storage::{Storage, read_up_to};

/// The mark that a generation is complete.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClosedMark {
    #[expect(dead_code, reason = "there is one version so far")]
    v: u64,
    pub(super) records: u64,
    pub(super) head: String,
}

/// The longest mark.
const MARK_BYTES: usize = 512;

pub(super) fn read_closed(storage: &dyn Storage, path: &Path) -> io::Result<ClosedMark> {
    let mut bytes = vec![0; MARK_BYTES];
    let read = read_up_to(&*storage.open_read(path)?, &mut bytes, 0)?;
    bytes.truncate(read);
    serde_json::from_slice(&bytes).map_err(io::Error::from)
}
