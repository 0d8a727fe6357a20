//! The chain: each line's head names its place and the digest of the line before it.
//!
//! A line is `{"v":1,"seq":N,"batch":M,"prev":"<64 hex>","node":"<node>","generation":G,` followed by
//! an entry. `prev` is the leaf hash of the line before ([`leaf_hash`]), so that chain and tree need one
//! hash of each line between them.
//!
//! `batch` is the `seq` of the first record that was committed together with this one. It tells a
//! torn last commit from damage to what was durable: a later batch is written only after the one
//! before it is on disk.

use super::line::{push_hex, push_u64};
use super::record::{Entry, SUM_BYTES, checksum};
use super::{MAX_LINE_BYTES, SCHEMA_VERSION};
use crate::kernel::id::{Digest, NodeId};
use crate::tlog::leaf_hash;

/// What the first record of a generation has as `prev`: the digest of a text that names the log.
#[must_use]
pub fn genesis(node: &NodeId, generation: u32) -> Digest {
    Digest::of(
        format!("pinegate audit log\nversion {SCHEMA_VERSION}\nnode {node}\ngeneration {generation}\n")
            .as_bytes(),
    )
}

/// The end of a log: what the next line must refer to.
#[derive(Debug, Clone)]
pub struct Chain {
    node: NodeId,
    generation: u32,
    next: u64,
    /// The batch of the line before; not known where the chain goes on in the middle of a log.
    batch: Option<u64>,
    head: Digest,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Longer than any record.
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// No head in the one form there is.
    #[error("the line does not begin with the head of a record")]
    Head,
    /// Written by another version.
    #[error("the record has schema version {found}; this program reads version {SCHEMA_VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
    /// Another log's record.
    #[error("the record belongs to node `{found}`")]
    Node {
        /// The node found.
        found: String,
    },
    /// Another generation's record.
    #[error("the record belongs to generation {found}")]
    Generation {
        /// The generation found.
        found: u64,
    },
    /// Records are missing here.
    #[error("gap: record {expected} should stand here, but it is record {found}")]
    Gap {
        /// The `seq` that should follow.
        expected: u64,
        /// The `seq` found.
        found: u64,
    },
    /// A record stands where it does not belong.
    #[error("out of order: record {expected} should stand here, but it is record {found}")]
    Order {
        /// The `seq` that should follow.
        expected: u64,
        /// The `seq` found.
        found: u64,
    },
    /// The batch number goes back or lies ahead.
    #[error("the record's batch {found} cannot follow batch {before}")]
    Batch {
        /// The batch before.
        before: u64,
        /// The batch found.
        found: u64,
    },
    /// The line before is not the one that this record was written after.
    #[error("the record before it was changed, or another was put in its place: `prev` does not match")]
    Previous,
    /// The record itself was changed.
    #[error("the record was changed: `sum` does not match")]
    Sum,
    /// Right by every digest, yet no JSON.
    #[error("the record is not valid JSON")]
    Syntax,
}

/// The head's fields, as written.
struct Head<'l> {
    version: u64,
    seq: u64,
    batch: u64,
    prev: &'l [u8],
    node: &'l [u8],
    generation: u64,
    rest: &'l [u8],
}

fn take_number(line: &[u8]) -> Option<(u64, &[u8])> {
    let length = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = line.split_at_checked(length)?;
    if length == 0 || (length > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let mut number: u64 = 0;
    for digit in digits {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    Some((number, rest))
}

impl<'l> Head<'l> {
    fn parse(line: &'l [u8]) -> Option<Self> {
        let (version, line) = take_number(line.strip_prefix(b"{\"v\":")?)?;
        let (seq, line) = take_number(line.strip_prefix(b",\"seq\":")?)?;
        let (batch, line) = take_number(line.strip_prefix(b",\"batch\":")?)?;
        let (prev, line) = line.strip_prefix(b",\"prev\":\"")?.split_at_checked(64)?;
        let line = line.strip_prefix(b"\",\"node\":\"")?;
        let end = memchr::memchr(b'"', line)?;
        let (node, line) = line.split_at_checked(end)?;
        let (generation, line) = take_number(line.strip_prefix(b"\",\"generation\":")?)?;
        let rest = line.strip_prefix(b",")?;
        Some(Self { version, seq, batch, prev, node, generation, rest })
    }
}

/// Whether `rest` begins with its own checksum.
fn sum_holds(rest: &[u8]) -> bool {
    rest.split_at_checked(SUM_BYTES).is_some_and(|(sum, rest)| {
        sum.strip_prefix(b"\"sum\":\"").and_then(|sum| sum.strip_suffix(b"\",")) == Some(&checksum(rest))
    })
}

/// Whether a line is record `seq` of some log, by its head and its checksum. Neither the line before it nor the
/// rest of its form is looked at.
#[must_use]
pub fn is_record(line: &[u8], seq: u64) -> bool {
    line.len() <= MAX_LINE_BYTES
        && Head::parse(line).is_some_and(|head| head.seq == seq && sum_holds(head.rest))
}

impl Chain {
    /// The chain of a log without records.
    #[must_use]
    pub fn new(node: NodeId, generation: u32) -> Self {
        let head = genesis(&node, generation);
        Self { node, generation, next: 0, batch: Some(0), head }
    }

    /// The chain of a log that goes on after its first `next` records, of which `head` was the last line's
    /// leaf hash. That line's batch is not known, and the next one may belong to it.
    #[must_use]
    pub const fn resume(node: NodeId, generation: u32, next: u64, head: Digest) -> Self {
        Self { node, generation, next, batch: None, head }
    }

    /// The `seq` of the next record; also how many there are.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The leaf hash of the last line, or the digest of the genesis text.
    #[must_use]
    pub const fn head(&self) -> Digest {
        self.head
    }

    /// The node that writes this log.
    #[must_use]
    pub const fn node(&self) -> &NodeId {
        &self.node
    }

    /// The generation that is written.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Begins a batch: what is sealed from here on is committed together.
    pub const fn begin_batch(&mut self) {
        self.batch = Some(self.next);
    }

    /// Appends `entry` to `out` as the next line, newline included.
    pub fn seal(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(b"{\"v\":");
        push_u64(out, SCHEMA_VERSION);
        out.extend_from_slice(b",\"seq\":");
        push_u64(out, self.next);
        out.extend_from_slice(b",\"batch\":");
        push_u64(out, self.batch.unwrap_or(self.next));
        out.extend_from_slice(b",\"prev\":\"");
        push_hex(out, &self.head.0);
        out.extend_from_slice(b"\",\"node\":\"");
        out.extend_from_slice(self.node.as_str().as_bytes());
        out.extend_from_slice(b"\",\"generation\":");
        push_u64(out, u64::from(self.generation));
        out.push(b',');
        out.extend_from_slice(entry.as_bytes());
        self.head = leaf_hash(out.get(start..).unwrap_or_default());
        self.next = self.next.saturating_add(1);
        out.push(b'\n');
    }

    /// How many bytes [`Chain::seal`] would append at most.
    #[must_use]
    pub fn sealed_bytes(&self, entry: &Entry) -> usize {
        // Fixed parts, three numbers of up to 20 digits, one of up to 10, the digest, the newline.
        const HEAD_BYTES: usize = 58 + 3 * 20 + 10 + 64 + 1;
        HEAD_BYTES + self.node.as_str().len() + entry.as_bytes().len()
    }

    /// Takes `line` (without newline) as the next one if it is whole and in its place.
    ///
    /// # Errors
    /// What is wrong with it; the chain then stays where it was.
    pub fn check(&mut self, line: &[u8]) -> Result<(), Broken> {
        self.check_against(line, None).map(|_| ())
    }

    /// Takes `line` as [`Chain::check`] does, and says whether `known` is its leaf hash. If it is, neither its own
    /// checksum nor its syntax is looked at: it is, byte for byte, what was published.
    ///
    /// # Errors
    /// What is wrong with it; the chain then stays where it was.
    pub fn check_against(&mut self, line: &[u8], known: Option<Digest>) -> Result<bool, Broken> {
        let head = self.read(line)?;
        let leaf = leaf_hash(line);
        let is_known = known == Some(leaf);
        if !is_known && !sum_holds(head.rest) {
            return Err(Broken::Sum);
        }
        self.place(&head)?;
        if !is_known {
            serde_json::from_slice::<serde::de::IgnoredAny>(line).map_err(|_| Broken::Syntax)?;
        }
        self.advance(leaf, &head);
        Ok(is_known)
    }

    /// Takes `line` as [`Chain::check`] does, but for its own checksum and its syntax: enough for who
    /// reads what was just written, and for who holds its leaf hash against one that is known.
    ///
    /// # Errors
    /// What is wrong with its place; the chain then stays where it was.
    pub fn link(&mut self, line: &[u8]) -> Result<(), Broken> {
        let head = self.read(line)?;
        self.place(&head)?;
        self.advance(leaf_hash(line), &head);
        Ok(())
    }

    fn read<'l>(&self, line: &'l [u8]) -> Result<Head<'l>, Broken> {
        if line.len() > MAX_LINE_BYTES {
            return Err(Broken::TooLong);
        }
        let head = Head::parse(line).ok_or(Broken::Head)?;
        if head.version != SCHEMA_VERSION {
            return Err(Broken::Version { found: head.version });
        }
        if head.node != self.node.as_str().as_bytes() {
            return Err(Broken::Node { found: String::from_utf8_lossy(head.node).into_owned() });
        }
        if head.generation != u64::from(self.generation) {
            return Err(Broken::Generation { found: head.generation });
        }
        Ok(head)
    }

    fn place(&self, head: &Head<'_>) -> Result<(), Broken> {
        let (expected, found) = (self.next, head.seq);
        if found > expected {
            return Err(Broken::Gap { expected, found });
        }
        if found < expected {
            return Err(Broken::Order { expected, found });
        }
        let mut prev = [0; 64];
        data_encoding::HEXLOWER.encode_mut(&self.head.0, &mut prev);
        if head.prev != prev {
            return Err(Broken::Previous);
        }
        // A batch goes on, or begins with this very record.
        let begins = head.batch == found;
        match self.batch {
            Some(before) if !begins && (head.batch != before || found == 0) => {
                Err(Broken::Batch { before, found: head.batch })
            }
            None if head.batch > found => Err(Broken::Batch { before: found, found: head.batch }),
            Some(_) | None => Ok(()),
        }
    }

    fn advance(&mut self, leaf: Digest, head: &Head<'_>) {
        self.head = leaf;
        self.batch = Some(head.batch);
        self.next = self.next.saturating_add(1);
    }
}

/// What follows the last good record of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// Nothing, or padding.
    Clean,
    /// What is left of a commit that never finished.
    Torn {
        /// Its length in bytes, padding excluded.
        bytes: usize,
        /// What was wrong with the first line of it.
        why: Broken,
    },
    /// The next record, whole: it was written since, or the reader stopped early.
    Whole,
    /// Damage to what was durable: records of later commits follow.
    Damaged {
        /// What was wrong with the first line of it.
        why: Broken,
        /// The `seq` of a later commit's record that is still there.
        later: u64,
    },
}

/// Judges `rest`, all that follows the last good record of the last file, where the record
/// `chain.next()` would stand.
///
/// A torn commit leaves any mixture of its own records and zeros, since unsynced sectors reach the
/// disk in any order. Nothing of a later commit can be there, as none begins before the one before
/// is durable. So a line of a later batch proves that durable records were damaged.
#[must_use]
pub fn judge_tail(chain: &Chain, rest: &[u8]) -> Tail {
    let used = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    let Some(tail) = rest.get(..used).filter(|tail| !tail.is_empty()) else {
        return Tail::Clean;
    };
    let first = tail.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let why = if first.len() == tail.len() {
        // The newline itself is missing: nothing else need be wrong.
        chain.clone().check(first).err().unwrap_or(Broken::Head)
    } else {
        match chain.clone().check(first) {
            Err(why) => why,
            Ok(()) => return Tail::Whole,
        }
    };
    for at in memchr::memmem::find_iter(tail, b"{\"v\":") {
        let line = tail.get(at..).unwrap_or_default();
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if let Some(head) = Head::parse(line)
            && sum_holds(head.rest)
            && head.batch > chain.next()
        {
            return Tail::Damaged { why, later: head.seq };
        }
    }
    Tail::Torn { bytes: used, why }
}
