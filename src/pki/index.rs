//! What the authority has issued and revoked: one JSON object a line, in `index.jsonl`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PkiError;
use super::files::{Overwrite, Readers, read, write};
use crate::kernel::time::Timestamp;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssuedKind {
    /// The gate or the platform.
    Server,
    /// A department's system.
    Client,
}

/// One issued certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) serial: String,
    pub(super) kind: IssuedKind,
    pub(super) name: String,
    pub(super) not_after: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revoked: Option<i64>,
}

/// All entries, oldest first.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    pub(super) entries: Vec<Entry>,
}

impl Index {
    /// Begins an empty index.
    pub(super) fn create(path: &Path, overwrite: Overwrite) -> Result<(), PkiError> {
        write(path, b"", Readers::Everyone, overwrite)
    }

    pub(super) fn read(path: &Path) -> Result<Self, PkiError> {
        let text = read(path)?;
        let entries =
            text.lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>().map_err(|_| {
                PkiError::Damaged { path: path.to_owned(), expected: "one JSON object a line" }
            })?;
        Ok(Self { path: path.to_owned(), entries })
    }

    pub(super) fn write(&self) -> Result<(), PkiError> {
        let mut text = Vec::new();
        for entry in &self.entries {
            serde_json::to_writer(&mut text, entry).map_err(|error| PkiError::File {
                path: self.path.clone(),
                action: "written",
                source: error.into(),
            })?;
            text.push(b'\n');
        }
        write(&self.path, &text, Readers::Everyone, Overwrite::Replace)
    }

    /// Marks as revoked the certificate with serial number `asked`, or all that were issued under
    /// the name `asked` and are not revoked yet. Returns their serial numbers; revoking again changes
    /// nothing.
    pub(super) fn revoke(&mut self, asked: &str, now: Timestamp) -> Result<Vec<String>, PkiError> {
        let by_serial = self.entries.iter().any(|entry| entry.serial == asked);
        let mut serials = Vec::new();
        for entry in &mut self.entries {
            let meant = if by_serial { entry.serial == asked } else { entry.name == asked };
            if meant {
                entry.revoked.get_or_insert(now.as_second());
                serials.push(entry.serial.clone());
            }
        }
        if serials.is_empty() { Err(PkiError::NotIssued { asked: asked.to_owned() }) } else { Ok(serials) }
    }
}
