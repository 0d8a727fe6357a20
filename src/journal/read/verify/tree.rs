//! Holds the leaf hashes of records, in the order of the tree, against its tiles and its heads.

use std::io;
use std::path::PathBuf;

use super::report::Before;
use crate::journal::publish::{Leaves, read_tile};
use crate::journal::storage::Storage;
use crate::kernel::id::Digest;
use crate::tlog::growth::{LoadError, Tile};
use crate::tlog::tile::TILE_WIDTH;
use crate::tlog::{Growth, TilePath};

/// A root that the tree must have at some size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) size: u64,
    pub(super) root: Digest,
    /// Whether it was seen before; none for the log's own last head.
    pub(super) before: Option<Before>,
}

/// What gave the root of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// The tiles, and the records with them unless they differ.
    Tiles,
    /// The records alone.
    Records,
    /// Neither.
    Neither,
}

/// Where a record that is not the one in the tiles stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) generation: u32,
    pub(super) file: PathBuf,
    pub(super) offset: u64,
    pub(super) seq: u64,
}

/// The first difference between records and tiles, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) index: u64,
    pub(super) place: Place,
    pub(super) count: u64,
}

type ReadTile<'s> = Box<dyn FnMut(TilePath) -> io::Result<Option<Vec<u8>>> + 's>;

/// A tree that is made from its leaves once more.
pub(super) struct TreeCheck<'s> {
    read: ReadTile<'s>,
    leaves: Leaves<ReadTile<'s>>,
    /// How far there must be leaves: to the largest mark.
    size: u64,
    /// How far there must be tiles: to the log's own last head.
    tiled: u64,
    /// Sorted by size; those at the end are not reached yet.
    marks: Vec<(Mark, Option<Given>)>,
    reached: usize,
    /// Over the leaves in the tiles, and where there is no tile over those of the records.
    tiles: Growth,
    /// Over the leaves of the records, once they differ; `None` while they do not.
    records: Option<Growth>,
    /// Whether records were gone after they differed: their root cannot be known then.
    are_records_lost: bool,
    last: Option<Digest>,
    /// The leaf in the tiles that comes next, once it was asked for.
    next: Option<Option<Digest>>,
    pub(super) difference: Option<Difference>,
    pub(super) missing: Option<TilePath>,
    pub(super) changed: Option<TilePath>,
    /// Whether neither records nor tiles have a leaf: nothing is known from there on.
    pub(super) is_lost: bool,
    full: Vec<Tile>,
}

impl<'s> TreeCheck<'s> {
    /// Goes on after the first `begin` leaves, which gave the root `known` before; `None` if the tiles do not
    /// give that any more.
    pub(super) fn begin(
        storage: &'s dyn Storage,
        directory: PathBuf,
        begin: u64,
        known: Option<Digest>,
        mut marks: Vec<Mark>,
    ) -> io::Result<Option<Self>> {
        let copy = directory.clone();
        let mut read: ReadTile<'s> = Box::new(move |path| read_tile(storage, &directory, path));
        let tiles = match Growth::load(begin, &mut read) {
            Ok(tiles) => tiles,
            Err(LoadError::Read(error)) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
            Err(LoadError::Missing(_) | LoadError::Length(_) | LoadError::Read(_)) => return Ok(None),
        };
        if known.is_some_and(|known| known != tiles.root()) {
            return Ok(None);
        }
        marks.sort_by_key(|mark| mark.size);
        let size = marks.last().map_or(begin, |mark| mark.size);
        let tiled = marks.iter().find(|mark| mark.before.is_none()).map_or(0, |mark| mark.size);
        let again: ReadTile<'s> = Box::new(move |path| read_tile(storage, &copy, path));
        let last = match begin.checked_sub(1) {
            Some(before) => Leaves::new(before, &mut read).next()?,
            None => None,
        };
        let mut check = Self {
            read,
            leaves: Leaves::new(begin, again),
            size,
            tiled,
            marks: marks.into_iter().map(|mark| (mark, None)).collect(),
            reached: 0,
            tiles,
            records: None,
            are_records_lost: false,
            last,
            next: None,
            difference: None,
            missing: None,
            changed: None,
            is_lost: false,
            full: Vec::new(),
        };
        // Marks before what is read now were reached when they were verified.
        check.reached = check.marks.partition_point(|(mark, _)| mark.size < begin);
        for (_, given) in check.marks.iter_mut().take(check.reached) {
            *given = Some(Given::Tiles);
        }
        check.check_marks()?;
        Ok(Some(check))
    }

    /// The index of the leaf that comes next.
    pub(super) const fn index(&self) -> u64 {
        self.tiles.size()
    }

    /// The leaf that was taken last, as the tiles have it.
    pub(super) const fn last_leaf(&self) -> Option<Digest> {
        self.last
    }

    /// Whether the next leaf is under a head.
    pub(super) const fn is_covered(&self) -> bool {
        self.tiles.size() < self.size
    }

    /// The next leaf as the tiles have it.
    pub(super) fn known(&mut self) -> io::Result<Option<Digest>> {
        if !self.is_covered() || self.is_lost {
            return Ok(None);
        }
        match self.next {
            Some(known) => Ok(known),
            None => {
                let known = match self.leaves.next() {
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
                    known => known?,
                };
                self.next = Some(known);
                Ok(known)
            }
        }
    }

    /// Takes the next leaf: the hash of the record at `place`, or none where it is gone.
    pub(super) fn push(&mut self, record: Option<Digest>, place: impl FnOnce() -> Place) -> io::Result<()> {
        if !self.is_covered() || self.is_lost {
            return Ok(());
        }
        let known = self.known()?;
        self.next = None;
        let index = self.index();
        if known.is_none() && index < self.tiled {
            self.missing.get_or_insert(self.leaf_tile(index));
        }
        let (Some(by_tiles), by_record) = (known.or(record), record) else {
            self.is_lost = true;
            return Ok(());
        };
        if by_record.is_some_and(|leaf| leaf != by_tiles) {
            match &mut self.difference {
                Some(difference) => difference.count += 1,
                None => {
                    self.difference = Some(Difference { index, place: place(), count: 1 });
                    self.records = Some(self.tiles.clone());
                }
            }
        }
        self.are_records_lost |= self.records.is_some() && by_record.is_none();
        if let Some(records) = &mut self.records {
            records.push(by_record.unwrap_or(by_tiles), &mut Vec::new());
        }
        self.tiles.push(by_tiles, &mut self.full);
        self.last = Some(by_tiles);
        self.check_full()?;
        self.check_marks()
    }

    /// The tile that has, or should have, a leaf.
    pub(super) fn leaf_tile(&self, leaf: u64) -> TilePath {
        let index = leaf / u64::from(TILE_WIDTH);
        let rest = self.tiled.saturating_sub(index.saturating_mul(TILE_WIDTH.into()));
        let width = u16::try_from(rest).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
        TilePath { level: 0, index, width }
    }

    /// Holds tiles above the leaves against those on disk.
    fn check_full(&mut self) -> io::Result<()> {
        while let Some(tile) = self.full.pop() {
            self.check_tile(&tile)?;
        }
        Ok(())
    }

    fn check_tile(&mut self, tile: &Tile) -> io::Result<()> {
        let found = match (self.read)(tile.path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            found => found?,
        };
        match found.filter(|bytes| bytes.len() >= tile.bytes.len()) {
            None => {
                self.missing.get_or_insert(tile.path);
            }
            Some(bytes) if !bytes.starts_with(&tile.bytes) => {
                self.changed.get_or_insert(tile.path);
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn check_marks(&mut self) -> io::Result<()> {
        let size = self.index();
        while let Some((mark, given)) = self.marks.get_mut(self.reached).filter(|(mark, _)| mark.size == size)
        {
            let by_records = self.records.as_ref().filter(|_| !self.are_records_lost);
            *given = Some(if self.tiles.root() == mark.root {
                Given::Tiles
            } else if by_records.is_some_and(|records| records.root() == mark.root) {
                Given::Records
            } else {
                Given::Neither
            });
            let is_own = mark.before.is_none();
            self.reached += 1;
            if is_own {
                let partial: Vec<Tile> = self.tiles.partial().collect();
                for tile in partial {
                    self.check_tile(&tile)?;
                }
            }
        }
        Ok(())
    }

    /// The marks, and what gave their roots; none for those that were not reached.
    pub(super) fn marks(&self) -> &[(Mark, Option<Given>)] {
        &self.marks
    }
}
