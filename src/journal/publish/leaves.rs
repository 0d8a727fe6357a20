//! The leaves of a tree, in order, out of its tiles.

use std::io;

use crate::kernel::id::Digest;
use crate::tlog::TilePath;
use crate::tlog::tile::TILE_WIDTH;

/// Leaves in order. As true as the tiles are.
pub(in crate::journal) struct Leaves<F> {
    read: F,
    next: u64,
    tile: Option<(u64, Vec<u8>)>,
}

impl<F: FnMut(TilePath) -> io::Result<Option<Vec<u8>>>> Leaves<F> {
    /// Begins with leaf `next`. `read` gives the bytes of a tile, or of a wider one of the same place.
    pub(in crate::journal) const fn new(next: u64, read: F) -> Self {
        Self { read, next, tile: None }
    }

    /// Goes on with leaf `next`.
    pub(in crate::journal) const fn skip_to(&mut self, next: u64) {
        self.next = next;
    }

    /// The next leaf; `None` if no tile has it.
    pub(in crate::journal) fn next(&mut self) -> io::Result<Option<Digest>> {
        let width = u64::from(TILE_WIDTH);
        let (index, within) = (self.next / width, usize::try_from(self.next % width).unwrap_or(0));
        let is_held = self.tile.as_ref().is_some_and(|(held, bytes)| {
            *held == index && (bytes.is_empty() || bytes.len() >= (within + 1) * 32)
        });
        if !is_held {
            let path = TilePath { level: 0, index, width: u16::try_from(within + 1).unwrap_or(TILE_WIDTH) };
            // One that is not there is not asked for again for each of its leaves.
            self.tile = Some((index, (self.read)(path)?.unwrap_or_default()));
        }
        self.next = self.next.saturating_add(1);
        let hashes = self.tile.as_ref().map(|(_, bytes)| bytes.as_chunks::<32>().0);
        Ok(hashes.and_then(|hashes| hashes.get(within)).map(|hash| Digest(*hash)))
    }
}
