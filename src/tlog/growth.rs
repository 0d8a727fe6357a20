//! The right edge of a tree that grows, as the tiles that are not full yet: who appends leaves keeps this and
//! writes what falls full.

use super::tile::{TILE_WIDTH, TilePath};
use super::tree::{empty_root, node_hash};
use crate::kernel::id::Digest;

/// A tile and its hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Which one.
    pub path: TilePath,
    /// Its hashes, one after the other.
    pub bytes: Vec<u8>,
}

/// A tree by its right edge. Holds less than a tile of each level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Growth {
    size: u64,
    /// Of each level the hashes of the tile that is not full, lowest level first.
    levels: Vec<Vec<Digest>>,
}

/// Why a tree cannot be gone on with from its tiles.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    /// A tile cannot be had.
    #[error("the tile `{0}` is missing")]
    Missing(TilePath),
    /// A tile has not as many hashes as its path says.
    #[error("the tile `{0}` has not as many hashes as it should")]
    Length(TilePath),
    /// Whoever reads tiles failed.
    #[error(transparent)]
    Read(E),
}

impl Growth {
    /// The tree of `size` leaves, from the tiles on its right edge: `read` gives the bytes of a tile, of
    /// a wider one of the same place, or nothing.
    ///
    /// # Errors
    /// When a tile is missing, too short, or cannot be read. Whether the root is the right one is for the
    /// caller to see.
    pub fn load<E>(
        size: u64,
        mut read: impl FnMut(TilePath) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, LoadError<E>> {
        let mut levels = Vec::new();
        for level in 0..8_u8 {
            let hashes = size >> (u32::from(level) * 8);
            if hashes == 0 {
                break;
            }
            let index = hashes / u64::from(TILE_WIDTH);
            let width = u16::try_from(hashes % u64::from(TILE_WIDTH)).unwrap_or(0);
            if width == 0 {
                levels.push(Vec::new());
                continue;
            }
            let path = TilePath { level, index, width };
            let bytes = read(path).map_err(LoadError::Read)?.ok_or(LoadError::Missing(path))?;
            let (hashes, rest) = bytes.as_chunks::<32>();
            if !rest.is_empty() || hashes.len() < usize::from(width) {
                return Err(LoadError::Length(path));
            }
            levels.push(hashes.iter().take(width.into()).map(|hash| Digest(*hash)).collect());
        }
        Ok(Self { size, levels })
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash, and to `full` the tiles that became full by it.
    pub fn push(&mut self, leaf: Digest, full: &mut Vec<Tile>) {
        let mut hash = leaf;
        self.size = self.size.saturating_add(1);
        for level in 0..8_u8 {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::with_capacity(TILE_WIDTH.into()));
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else { return };
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                return;
            }
            let index = tiles_before(self.size, level).saturating_sub(1);
            full.push(Tile { path: TilePath { level, index, width: TILE_WIDTH }, bytes: bytes(hashes) });
            hash = complete_root(hashes);
            hashes.clear();
        }
    }

    /// The tiles that are not full, lowest level first.
    pub fn partial(&self) -> impl Iterator<Item = Tile> {
        (0..8_u8).zip(&self.levels).filter(|(_, hashes)| !hashes.is_empty()).map(|(level, hashes)| {
            let index = tiles_before(self.size, level);
            // Never full: those that are were given away.
            let width = u16::try_from(hashes.len()).unwrap_or(TILE_WIDTH);
            Tile { path: TilePath { level, index, width }, bytes: bytes(hashes) }
        })
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        // From the right: each complete subtree on the right edge is the left sibling of all right of it.
        let mut root = None;
        for hashes in &self.levels {
            let mut rest = hashes.as_slice();
            while !rest.is_empty() {
                let smallest = 1 << rest.len().trailing_zeros();
                let (before, last) = rest.split_at(rest.len() - smallest);
                let left = complete_root(last);
                root = Some(root.map_or(left, |right| node_hash(&left, &right)));
                rest = before;
            }
        }
        root.unwrap_or_else(empty_root)
    }
}

/// How many full tiles a level has in a tree of `size` leaves.
fn tiles_before(size: u64, level: u8) -> u64 {
    size.checked_shr((u32::from(level) + 1) * 8).unwrap_or(0)
}

fn bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The root over as many hashes as a power of two.
fn complete_root(hashes: &[Digest]) -> Digest {
    let mut layer = hashes.to_vec();
    while layer.len() > 1 {
        let (pairs, _) = layer.as_chunks::<2>();
        layer = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    layer.first().copied().unwrap_or_else(empty_root)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::super::tile::new_tiles;
    use super::super::tree::{Tree, leaf_hash};
    use super::*;

    #[test]
    fn it_has_the_root_and_the_tiles_of_the_tree_at_every_size() {
        let (mut growth, mut tree) = (Growth::default(), Tree::default());
        let mut tiles: BTreeMap<TilePath, Vec<u8>> = BTreeMap::new();
        let mut checked = 0;
        for n in 0..70_000_u32 {
            assert!(growth.size() == u64::from(n));
            let mut full = Vec::new();
            growth.push(leaf_hash(&n.to_be_bytes()), &mut full);
            tree.push(leaf_hash(&n.to_be_bytes()));
            tiles.extend(full.into_iter().map(|tile| (tile.path, tile.bytes)));
            if n < 600 || n % 251 == 0 || (65_534..65_540).contains(&n) {
                assert_eq!(growth.root(), tree.root(), "size {}", n + 1);
                let mut all = tiles.clone();
                all.extend(growth.partial().map(|tile| (tile.path, tile.bytes)));
                let paths: Vec<TilePath> = new_tiles(0, growth.size()).collect();
                assert!(all.keys().copied().eq(paths), "size {}", n + 1);
                assert!(all.iter().all(|(path, bytes)| bytes.len() == usize::from(path.width) * 32));
                let read = |path| Ok::<_, Infallible>(all.get(&path).cloned());
                assert_eq!(Growth::load(growth.size(), read).unwrap().root(), tree.root());
                checked += 1;
            }
        }
        assert!(checked > 800);
    }

    #[test]
    fn a_tile_that_is_missing_or_short_is_said() {
        let none = |_| Ok::<_, Infallible>(None);
        assert!(matches!(Growth::load(300, none), Err(LoadError::Missing(_))));
        let short = |_| Ok::<_, Infallible>(Some(vec![0; 32 * 3]));
        assert!(matches!(Growth::load(300, short), Err(LoadError::Length(_))));
        let wide = |_| Ok::<_, Infallible>(Some(vec![0; 32 * 256]));
        assert_eq!(Growth::load(300, wide).unwrap().size(), 300);
    }
}
