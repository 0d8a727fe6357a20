//! Writing files whole or not at all, private keys for their owner's eyes only.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::PkiError;

/// Whether a file that is there already may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// It may not: the default of every command.
    Refuse,
    /// It may.
    Replace,
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner only.
    Owner,
    /// Everyone.
    Everyone,
}

/// Writes `content` to `path` atomically: readers see the old file or the whole new one.
pub(super) fn write(
    path: &Path,
    content: &[u8],
    readers: Readers,
    overwrite: Overwrite,
) -> Result<(), PkiError> {
    let failed = |source| PkiError::File { path: path.to_owned(), action: "written", source };
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(failed)?;
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Everyone => 0o644,
    };
    // The mode is set before the first byte is written.
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match overwrite {
        Overwrite::Replace => file.persist(path).map_err(|error| failed(error.error))?,
        Overwrite::Refuse => file.persist_noclobber(path).map_err(|error| {
            if error.error.kind() == std::io::ErrorKind::AlreadyExists {
                PkiError::Exists { path: path.to_owned() }
            } else {
                failed(error.error)
            }
        })?,
    };
    Ok(())
}

/// Refuses early where one of several files is there, so that none of them is half replaced.
pub(super) fn refuse_existing(paths: &[&Path], overwrite: Overwrite) -> Result<(), PkiError> {
    match paths.iter().find(|path| overwrite == Overwrite::Refuse && path.exists()) {
        Some(path) => Err(PkiError::Exists { path: (*path).to_owned() }),
        None => Ok(()),
    }
}

pub(super) fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|source| PkiError::File {
        path: path.to_owned(),
        action: "read",
        source,
    })
}
