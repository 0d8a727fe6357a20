//! Files that are read whole, up to a bound.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::CommandError;

/// Reads a file of at most `most` bytes; a longer one is refused.
pub(super) fn read_at_most(path: &Path, most: usize) -> Result<Vec<u8>, CommandError> {
    let file =
        File::open(path).map_err(|source| CommandError::Unreadable { path: path.to_owned(), source })?;
    read_all(file, path, most)
}

/// The same of something that is open and called `name`.
pub(super) fn read_all(from: impl Read, name: &Path, most: usize) -> Result<Vec<u8>, CommandError> {
    let unreadable = |source| CommandError::Unreadable { path: name.to_owned(), source };
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let length = from.take(one_more).read_to_end(&mut bytes).map_err(unreadable)?;
    if length > most {
        return Err(unreadable(io::Error::other(format!("it has more than {most} bytes"))));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_is_refused_rather_than_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_at_most(&path, 5).unwrap(), b"12345");
        let refused = read_at_most(&path, 4).unwrap_err();
        assert!(
            matches!(&refused, CommandError::Unreadable { path: named, .. } if *named == path),
            "{refused}"
        );
        assert!(read_at_most(directory.path(), 4).is_err());
    }
}
