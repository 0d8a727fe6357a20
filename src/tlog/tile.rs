//! Tiles: the tree as files that never change, 256 hashes each (C2SP `tlog-tiles`).

use std::collections::VecDeque;
use std::fmt;

use super::tree::{Nodes, node_hash};
use crate::kernel::id::Digest;

/// How many hashes a full tile has.
pub const TILE_WIDTH: u16 = 256;
/// How many bytes a full tile has.
pub const TILE_BYTES: usize = 256 * 32;

/// Which tile. At level 0 the hashes are those of leaves; above, each is the root of a full tile of the
/// level below. It shows as the path below the log's prefix, such as `tile/0/x001/x234/067.p/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePath {
    /// The level, at most 7: no tree of 2^64 leaves has more.
    pub level: u8,
    /// Which one of its level.
    pub index: u64,
    /// How many hashes it has, 1 to 256.
    pub width: u16,
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_index(f, self.index, self.width)
    }
}

/// The path of the bundle of entries `index`, with `width` entries, below the log's prefix.
#[must_use]
pub fn bundle_path(index: u64, width: u16) -> String {
    struct Bundle(u64, u16);
    impl fmt::Display for Bundle {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("tile/entries/")?;
            write_index(f, self.0, self.1)
        }
    }
    Bundle(index, width).to_string()
}

/// Three digits an element, all but the last with an `x`; a partial one says its width.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let (mut groups, mut rest) = (Vec::new(), index);
    while rest > 999 {
        rest /= 1000;
        groups.push(rest % 1000);
    }
    for group in groups.iter().rev() {
        write!(f, "x{group:03}/")?;
    }
    write!(f, "{:03}", index % 1000)?;
    if width < TILE_WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
}

/// The tiles that a tree of `size` leaves has and one of `before` leaves had not, lowest level first.
/// Partial ones are those of exactly `size`.
pub fn new_tiles(before: u64, size: u64) -> impl Iterator<Item = TilePath> {
    (0..8_u8).flat_map(move |level| {
        let shift = u32::from(level) * 8;
        let (old, new) = (before >> shift, size >> shift);
        // A tile begun before is written anew with what was added.
        let first = old / u64::from(TILE_WIDTH);
        let full = new / u64::from(TILE_WIDTH);
        let partial = u16::try_from(new % u64::from(TILE_WIDTH)).unwrap_or(0);
        let has_new = new > old;
        let full_tiles = (first..full).map(move |index| TilePath { level, index, width: TILE_WIDTH });
        let rest = (has_new && partial > 0).then_some(TilePath { level, index: full, width: partial });
        full_tiles.chain(rest)
    })
}

/// Why a node cannot be had from tiles.
#[derive(Debug, thiserror::Error)]
pub enum TileError<E> {
    /// The tree has not so many leaves.
    #[error("a tree of {size} leaves has no node {index} of height {height}")]
    Absent {
        /// The node's height.
        height: u8,
        /// Which one of its height.
        index: u64,
        /// How many leaves there are.
        size: u64,
    },
    /// A tile cannot be read.
    #[error("`{tile}` cannot be read")]
    Unread {
        /// Which one.
        tile: TilePath,
        /// Why.
        #[source]
        source: E,
    },
    /// A tile has not as many hashes as its path says.
    #[error("`{tile}` has {bytes} bytes, which are not its hashes")]
    Unfit {
        /// Which one.
        tile: TilePath,
        /// How long it is.
        bytes: usize,
    },
}

/// The nodes of a tree, out of its tiles. They are as true as the tiles: who makes a proof from them
/// holds it against a signed root.
#[derive(Debug)]
pub struct TileNodes<F> {
    read: F,
    size: u64,
    /// Last used first, at most [`MAX_CACHED_TILES`].
    cached: VecDeque<Inner>,
}

/// How many tiles are kept in memory: those on the way from a leaf to the root, on two sides.
const MAX_CACHED_TILES: usize = 16;

impl<F> TileNodes<F> {
    /// The tree of `size` leaves whose tiles `read` reads, by their paths. It may give the bytes of a
    /// wider tile of the same place, since partial tiles are removed once there are full ones.
    pub fn new(size: u64, read: F) -> Self {
        Self { read, size, cached: VecDeque::new() }
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl<F, E> Nodes for TileNodes<F>
where
    F: FnMut(TilePath) -> Result<Vec<u8>, E>,
{
    type Error = TileError<E>;

    fn node(&mut self, height: u8, index: u64) -> Result<Digest, TileError<E>> {
        let absent = TileError::Absent { height, index, size: self.size };
        let complete = self.size.checked_shr(height.into()).unwrap_or(0);
        if index >= complete {
            return Err(absent);
        }
        // Of each 2^height leaves a tile of this level has 2^within hashes.
        let (level, within) = (height / 8, height % 8);
        let tile = index >> (8 - within);
        if let Some(at) = self.cached.iter().position(|inner| (inner.level, inner.index) == (level, tile)) {
            if let Some(inner) = self.cached.remove(at) {
                self.cached.push_front(inner);
            }
        } else {
            let inner = self.load(level, tile)?;
            self.cached.truncate(MAX_CACHED_TILES - 1);
            self.cached.push_front(inner);
        }
        let place = usize::try_from(index - (tile << (8 - within))).unwrap_or(usize::MAX);
        let layer = self.cached.front().and_then(|inner| inner.layers.get(usize::from(within)));
        layer.and_then(|layer| layer.get(place)).copied().ok_or(absent)
    }
}

impl<F> TileNodes<F> {
    fn load<E>(&mut self, level: u8, index: u64) -> Result<Inner, TileError<E>>
    where
        F: FnMut(TilePath) -> Result<Vec<u8>, E>,
    {
        let hashes = self.size.checked_shr(u32::from(level) * 8).unwrap_or(0);
        let rest = hashes.saturating_sub(index * u64::from(TILE_WIDTH));
        let width = u16::try_from(rest).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
        let tile = TilePath { level, index, width };
        let bytes = (self.read)(tile).map_err(|source| TileError::Unread { tile, source })?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || bytes.len() > TILE_BYTES || hashes.len() < usize::from(width) {
            return Err(TileError::Unfit { tile, bytes: bytes.len() });
        }
        let leaves = hashes.iter().take(width.into()).map(|hash| Digest(*hash)).collect();
        Ok(Inner::over(level, index, leaves))
    }
}

/// A tile with the nodes inside it.
#[derive(Debug)]
struct Inner {
    level: u8,
    index: u64,
    /// The tile's hashes, then the complete nodes over them, up to those of 128 hashes.
    layers: Vec<Vec<Digest>>,
}

impl Inner {
    fn over(level: u8, index: u64, hashes: Vec<Digest>) -> Self {
        let mut layers = vec![hashes];
        for below in 0..7 {
            let (pairs, _) = layers.get(below).map_or(&[][..], Vec::as_slice).as_chunks::<2>();
            let nodes = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
            layers.push(nodes);
        }
        Self { level, index, layers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = TilePath { level: 0, index: 1_234_067, width: TILE_WIDTH };
        assert_eq!(tile.to_string(), "tile/0/x001/x234/067");
        assert_eq!(TilePath { level: 1, index: 0, width: 17 }.to_string(), "tile/1/000.p/17");
        assert_eq!(bundle_path(1000, 256), "tile/entries/x001/000");
    }

    #[test]
    fn a_tree_of_70_000_has_the_tiles_of_the_specification() {
        let tiles: Vec<_> = new_tiles(0, 70_000).collect();
        let count =
            |level, width| tiles.iter().filter(|tile| tile.level == level && tile.width == width).count();
        assert_eq!((count(0, 256), count(0, 112)), (273, 1));
        assert_eq!((count(1, 256), count(1, 17), count(2, 1)), (1, 1, 1));
        assert_eq!(tiles.len(), 277);
        let one: Vec<_> = new_tiles(0, 256).map(|tile| tile.to_string()).collect();
        assert_eq!(one, ["tile/0/000", "tile/1/000.p/1"]);
    }
}
