//! Tiles: the tree as files that never change, 256 hashes each (C2SP `tlog-tiles`).

use std::fmt;

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
