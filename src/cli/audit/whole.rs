//! Files that are there whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::CommandError;

/// A file under another name until it is whole.
pub(super) struct Whole {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
    overwrite: bool,
}

impl Whole {
    /// Begins a file that only its owner may read. One that is there already is an error, unless it may be
    /// replaced.
    pub(super) fn begin(path: &Path, overwrite: bool) -> Result<Self, CommandError> {
        let failed = |source| CommandError::Unwritable { path: path.to_owned(), source };
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(already_there(path));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).map_err(failed)?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned(), overwrite })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let failed = |source| CommandError::Unwritable { path: self.path.clone(), source };
        self.file.write_all(bytes).map_err(failed)
    }

    /// Gives the file its name, once it is on disk.
    pub(super) fn finish(self) -> Result<(), CommandError> {
        let path = &self.path;
        let failed = |source| CommandError::Unwritable { path: path.clone(), source };
        let file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        let named: Result<File, _> =
            if self.overwrite { file.persist(path) } else { file.persist_noclobber(path) };
        named.map(drop).map_err(|error| {
            let came_meanwhile = error.error.kind() == io::ErrorKind::AlreadyExists;
            if came_meanwhile { already_there(path) } else { failed(error.error) }
        })
    }
}

fn already_there(path: &Path) -> CommandError {
    CommandError::Unknown {
        given: path.display().to_string(),
        what: "the name of a new file",
        help: "it is there already: name another, or add `--overwrite`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        let names = || std::fs::read_dir(directory.path()).unwrap().count();
        let mut given_up = Whole::begin(&path, false).unwrap();
        given_up.write(b"half").unwrap();
        drop(given_up);
        assert_eq!(names(), 0);
        let mut first = Whole::begin(&path, false).unwrap();
        let mut second = Whole::begin(&path, false).unwrap();
        first.write(b"first").unwrap();
        second.write(b"second").unwrap();
        first.finish().unwrap();
        assert!(matches!(second.finish(), Err(CommandError::Unknown { .. })), "it came meanwhile");
        assert!(Whole::begin(&path, false).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        let mut third = Whole::begin(&path, true).unwrap();
        third.write(b"third").unwrap();
        third.finish().unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), names()), (b"third".to_vec(), 1));
    }
}
