//! Goes on where publishing ended: from the last signed head and its tiles, or from the records where those
//! are not right.

use std::collections::BTreeMap;

use super::accounts::Accounts;
use super::files::{CHECKPOINT, TreeFiles, WITNESSED, is_content};
use super::follow::{Expected, Following};
use super::leaves::Leaves;
use super::source::{Source, Stop};
use super::spans::Span;
use super::{Halt, PublishSettings, Refusal, SignedHead};
use crate::audit::Chain;
use crate::journal::layout::{GenerationDir, generations, segments};
use crate::journal::manifest::Manifests;
use crate::journal::read::{Claim, repairs};
use crate::journal::storage::Storage;
use crate::journal::{Lock, Progress};
use crate::kernel::id::Digest;
use crate::tlog::note::VerifierKey;
use crate::tlog::tile::{TILE_WIDTH, TilePath};
use crate::tlog::{Checkpoint, Growth};

/// How many of the last published records are held against the tree at every start. All of them are where a
/// person asks for it (`pinegate audit verify`).
const CHECKED_RECORDS: u64 = 1 << 20;

/// Takes the lock and finds where to go on; `None` if another process publishes, or there is nothing yet.
pub(super) fn start(
    settings: &PublishSettings,
    storage: &dyn Storage,
    progress: &Progress,
    files: &mut TreeFiles,
    is_repair: bool,
) -> Result<Option<Following>, Halt> {
    let directory = files.directory().to_owned();
    files.create().map_err(Halt::io("create", &directory))?;
    let Some(lock) = files.lock().map_err(Halt::io("lock", &directory))? else { return Ok(None) };
    let head = last_head(files, settings.signer.key())?;
    let places: Vec<GenerationDir> = generations(storage, &settings.directory)
        .map_err(Halt::io("list", &settings.directory))?
        .into_iter()
        .filter(|place| place.node == *progress.node())
        .collect();
    let spans = match files.spans() {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Vec::new(),
        spans => spans.map_err(Halt::io("read the spans of", &directory))?,
    };
    let repairs = if is_repair {
        repairs(storage, &places).map_err(Halt::io("read", &settings.directory))?
    } else {
        Vec::new()
    };
    let log = Log { storage, places: &places, repairs: &repairs };
    let Some(head) = head else { return log.begin(lock, None, Vec::new(), None) };
    let size = head.checkpoint.size;
    let growth = match Growth::load(size, |path| files.tile(path)) {
        Ok(growth) => Some(growth).filter(|growth| growth.root() == head.checkpoint.root),
        Err(error) if is_content(&error) => None,
        Err(error) => return Err(Halt::io("read the tiles of", &directory)(std::io::Error::other(error))),
    };
    // What was noted of a generation before anything of it was signed is noted again.
    let kept: Vec<Span> = spans.iter().filter(|span| span.index <= size).copied().collect();
    match (growth, kept.last().copied()) {
        (Some(growth), Some(last)) => match log.check(files, &kept, size)? {
            None => log.resume(lock, growth, kept, last, files),
            suspect => log.begin(lock, Some(head.checkpoint), spans, suspect),
        },
        _ => log.begin(lock, Some(head.checkpoint), spans, None),
    }
}

/// The last signed head, if there is one; refuses one that is not ours, or older than one that was witnessed.
fn last_head(files: &TreeFiles, key: &VerifierKey) -> Result<Option<SignedHead>, Halt> {
    let read = |name| files.note(name).map_err(Halt::io("read the checkpoint of", files.directory()));
    let head = match read(CHECKPOINT)? {
        Some(bytes) => match Checkpoint::open(&bytes, key) {
            Ok((checkpoint, _)) => {
                Some(SignedHead { checkpoint, note: String::from_utf8_lossy(&bytes).into_owned() })
            }
            Err(why) => {
                let file = files.directory().join(CHECKPOINT);
                return Err(Halt::Refused(Refusal::Key { file, why }));
            }
        },
        None => None,
    };
    // One that others have signed is no proof unless we did; but then it is one that we gave away.
    if let Some(bytes) = read(WITNESSED)?
        && let Ok((witnessed, _)) = Checkpoint::open(&bytes, key)
    {
        let signed = head.as_ref().map_or(0, |head| head.checkpoint.size);
        if witnessed.size > signed {
            return Err(Halt::Refused(Refusal::Old { signed, witnessed: witnessed.size }));
        }
        if let Some(head) = &head
            && witnessed.size == signed
            && witnessed.root != head.checkpoint.root
        {
            return Err(Halt::Refused(Refusal::Root { size: signed }));
        }
    }
    Ok(head)
}

/// Where a tree begins: a generation, the number of its first record, and the chain before it if that is known.
type First<'l> = (&'l GenerationDir, u64, Option<Chain>);

/// The generations of the node.
struct Log<'l> {
    storage: &'l dyn Storage,
    places: &'l [GenerationDir],
    /// Repairs that are believed though no signed head covers them.
    repairs: &'l [Claim],
}

impl Log<'_> {
    /// Begins with the first record there is; with `expect`, makes a tree anew that was signed before.
    fn begin(
        &self,
        lock: Box<dyn Lock>,
        expect: Option<Checkpoint>,
        old: Vec<Span>,
        suspect: Option<Refusal>,
    ) -> Result<Option<Following>, Halt> {
        let first = match (&expect, old.first()) {
            // Records that have gone since are still in the tiles.
            (Some(_), Some(span)) => self.place(span.generation).map(|place| (place, span.seq, None)),
            (Some(_), None) => self.places.first().map(|place| (place, 0, None)),
            (None, _) => self.first_record()?,
        };
        let Some((place, seq, chain)) = first else { return Ok(None) };
        let chain = chain.unwrap_or_else(|| {
            // The first record is held against what is before it only where that is known.
            if seq == 0 {
                Chain::new(place.node.clone(), place.number)
            } else {
                Chain::resume(place.node.clone(), place.number, seq, Digest([0; 32]))
            }
        });
        let spans = vec![Span { generation: place.number, seq, index: 0 }];
        let source = Source::new(place.clone(), chain);
        let begin = spans.first().map(|span| (source.clone(), *span));
        let accounts = self.accounts();
        let expect = expect.map(|checkpoint| Expected { checkpoint, spans: old, begin, suspect, accounts });
        Ok(Some(following(lock, Growth::default(), source, spans, 0, expect)))
    }

    fn accounts(&self) -> Accounts {
        let mut accounts = Accounts::default();
        accounts.trust(self.repairs);
        accounts
    }

    fn place(&self, generation: u32) -> Option<&GenerationDir> {
        self.places.iter().find(|place| place.number == generation)
    }

    /// The first record that has not been pruned, and the chain before it.
    fn first_record(&self) -> Result<Option<First<'_>>, Halt> {
        for place in self.places {
            let files = segments(self.storage, &place.path).map_err(Halt::io("list", &place.path))?;
            let Some(first) = files.first().map(|file| file.first) else { continue };
            let chain = chain_before(self.storage, place, first)?;
            return Ok(Some((place, first, chain)));
        }
        Ok(None)
    }

    /// Goes on after the last published record.
    fn resume(
        &self,
        lock: Box<dyn Lock>,
        growth: Growth,
        spans: Vec<Span>,
        last: Span,
        files: &TreeFiles,
    ) -> Result<Option<Following>, Halt> {
        let size = growth.size();
        let next = last.seq.saturating_add(size - last.index);
        let missing = Halt::Refused(Refusal::Missing { generation: last.generation, seq: next });
        let Some(place) = self.place(last.generation) else { return Err(missing) };
        let chain = if next == last.seq {
            match chain_before(self.storage, place, next)? {
                Some(chain) => chain,
                None => Chain::new(place.node.clone(), place.number),
            }
        } else {
            let leaf = leaf(files, size - 1)?.ok_or(missing)?;
            Chain::resume(place.node.clone(), place.number, next, leaf)
        };
        let source = Source::new(place.clone(), chain);
        Ok(Some(following(lock, growth, source, spans, size, None)))
    }

    /// Holds the last published records against the tiles, and says where they differ.
    fn check(&self, files: &TreeFiles, spans: &[Span], size: u64) -> Result<Option<Refusal>, Halt> {
        let begin = size.saturating_sub(CHECKED_RECORDS);
        let ends = spans.iter().skip(1).map(|span| span.index).chain([size]);
        // Whatever says why a record is gone was published after it.
        let mut accounts = self.accounts();
        for (span, end) in spans.iter().zip(ends).filter(|(_, end)| *end > begin) {
            let suspect = self.check_span(files, *span, begin.max(span.index), end, &mut accounts)?;
            if suspect.is_some() {
                return Ok(suspect);
            }
        }
        accounts.unaccounted().map_or(Ok(None), |why| Err(Halt::Refused(why)))
    }

    fn check_span(
        &self,
        files: &TreeFiles,
        span: Span,
        begin: u64,
        end: u64,
        accounts: &mut Accounts,
    ) -> Result<Option<Refusal>, Halt> {
        let seq_of = |index: u64| span.seq + (index - span.index);
        let missing = |seq| Halt::Refused(Refusal::Missing { generation: span.generation, seq });
        if begin >= end {
            return Ok(None);
        }
        let place = self.place(span.generation).ok_or_else(|| missing(seq_of(begin)))?;
        let chain = match begin.checked_sub(1).filter(|_| begin > span.index) {
            Some(before) => match leaf(files, before)? {
                Some(leaf) => Chain::resume(place.node.clone(), place.number, seq_of(begin), leaf),
                None => return Ok(Some(Refusal::Root { size: end })),
            },
            None if span.seq == 0 => Chain::new(place.node.clone(), place.number),
            None => chain_before(self.storage, place, span.seq)?.ok_or_else(|| missing(span.seq))?,
        };
        let mut source = Source::new(place.clone(), chain);
        let mut known = Leaves::new(begin, |path| files.tile(path));
        while source.next() < seq_of(end) {
            let mut differs = None;
            let mut failed = None;
            let mut seq = source.next();
            let stop = source.read(self.storage, seq_of(end), &mut |line, found| {
                match known.next() {
                    Ok(leaf) if leaf == Some(found) => accounts.hear(line),
                    Ok(_) => differs = differs.or(Some(seq)),
                    Err(error) => failed = Some(error),
                }
                seq += 1;
            });
            let stop = stop.map_err(Halt::io("read", &place.path))?;
            if let Some(error) = failed {
                return Err(Halt::io("read a tile of", files.directory())(error));
            }
            if let Some(seq) = differs {
                return Ok(Some(Refusal::Changed { generation: span.generation, seq }));
            }
            match stop {
                Stop::Done => {}
                Stop::Broken { file, offset, seq, why } => {
                    return Ok(Some(Refusal::Broken { file, offset, seq, why }));
                }
                Stop::Missing { until } => {
                    accounts.miss(span.generation, source.next(), until);
                    let index = span.index + (until - span.seq);
                    let head = leaf(files, index - 1)?.ok_or_else(|| missing(until))?;
                    known.skip_to(index);
                    source.skip(until, head);
                }
            }
        }
        Ok(None)
    }
}

/// What manifests tell of the chain before record `seq`; `None` if they do not reach there.
fn chain_before(storage: &dyn Storage, place: &GenerationDir, seq: u64) -> Result<Option<Chain>, Halt> {
    let genesis = Chain::new(place.node.clone(), place.number);
    let mut manifests = Manifests::new(&place.path, genesis);
    while manifests.chain().next() < seq {
        match manifests.next(storage).map_err(Halt::io("read the manifests of", &place.path))? {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Ok(None),
        }
    }
    Ok(Some(manifests.chain().clone()).filter(|chain| chain.next() == seq))
}

fn following(
    lock: Box<dyn Lock>,
    growth: Growth,
    source: Source,
    spans: Vec<Span>,
    signed: u64,
    expect: Option<Expected>,
) -> Following {
    let partial: BTreeMap<u8, TilePath> = growth.partial().map(|tile| (tile.path.level, tile.path)).collect();
    // Who ended before it had removed the partial tiles of what is full left them.
    let outgrown = partial
        .values()
        .filter_map(|path| Some(TilePath { index: path.index.checked_sub(1)?, width: TILE_WIDTH, ..*path }));
    Following {
        _lock: lock,
        outgrown: outgrown.collect(),
        growth,
        source,
        spans,
        spans_changed: true,
        expect,
        signed,
        full: Vec::new(),
        partial,
        waits_since: None,
    }
}

/// The hash of a leaf, out of its tile.
fn leaf(files: &TreeFiles, index: u64) -> Result<Option<Digest>, Halt> {
    let mut leaves = Leaves::new(index, |path| files.tile(path));
    leaves.next().map_err(Halt::io("read a tile of", files.directory()))
}
