//! HTTP/1.1 on the wire: which bytes have one reading.
//!
//! A library that serves HTTP is made to understand as much as it can: it takes a bare LF for the end of a
//! line, drops a `Content-Length` beside a `Transfer-Encoding`, folds two that agree into one, passes over
//! chunk extensions. Whatever stands before or behind it may do otherwise, and then one of the two sees a
//! request that the other does not: request smuggling. So [`Validator`] reads the bytes first, and takes
//! only what every reader of RFC 9112 frames alike.
//!
//! It decides what a library would hide or mend, and nothing else: where a head ends, how its lines are
//! parted, how long its body is. What a library hands on as it came (the host, the path, an `Upgrade`) is judged by
//! whoever judges it for HTTP/2 too.
//!
//! Over HTTP/2 frames mark where messages end, and [`frames`] where frames do, for whoever counts them.
//!
//! What it takes stays where it is. It keeps a few numbers, allocates nothing, and its verdict does not
//! depend on how the bytes were cut on their way.

pub mod frames;

mod chunks;
mod fault;
mod field;
mod head;

pub use fault::Fault;

use chunks::{Chunks, Part};
pub use head::length;
use head::{Head, Trailers};

/// What a head may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Its size in bytes, the empty line with it.
    pub head_bytes: usize,
    /// How many fields it may have.
    pub fields: usize,
}

/// How a request says where its body ends (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// It has none.
    Nothing,
    /// After so many bytes, of which there is at least one.
    Length(u64),
    /// With its last chunk and the trailers.
    Chunked,
}

/// Where something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the head of a request, of which nothing is sound.
    Head,
    /// In the body of a request whose head was.
    Body,
}

/// The end of what can be read: a validator that has stopped is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// How many of the bytes were sound.
    pub sound: usize,
    /// Where they cease to be.
    pub place: Place,
    /// What is wrong then.
    pub fault: Fault,
}

/// Reads the requests of one connection, one after the other.
#[derive(Debug)]
pub struct Validator {
    limits: Limits,
    phase: Phase,
    /// Whether the message that is read asks for another protocol.
    asks_to_switch: bool,
}

/// What comes next.
#[derive(Debug)]
enum Phase {
    Head(Head),
    Length(u64),
    Chunks(Chunks),
    Trailers(Trailers),
    /// Nothing: what follows a request for another protocol is of that protocol, or of nobody.
    Switch,
}

impl Validator {
    /// At the beginning of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, phase: Phase::Head(Head::default()), asks_to_switch: false }
    }

    /// Reads on, and says how many of the bytes are sound: whole heads, whole trailers, and what there is of
    /// bodies. The rest is the beginning of a head or of trailers: the next call must begin with it. Nothing
    /// behind a request that [asks for another protocol](Self::awaits_switch) is.
    ///
    /// # Errors
    /// When no further byte has one reading.
    pub fn read(&mut self, bytes: &[u8]) -> Result<usize, Stop> {
        let mut sound = 0;
        loop {
            let rest = bytes.get(sound..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(sound);
            }
            let place = if matches!(self.phase, Phase::Head(_)) { Place::Head } else { Place::Body };
            match self.step(rest) {
                Ok(Some(taken)) => sound += taken,
                Ok(None) => return Ok(sound),
                Err((taken, fault)) => return Err(Stop { sound: sound + taken, place, fault }),
            }
        }
    }

    /// Whether the last request asked for another protocol (`Upgrade`, RFC 9110, section 7.8). Whoever answers it
    /// knows what the bytes behind it are; as a request they would be read by nobody or by the wrong one.
    #[must_use]
    pub fn awaits_switch(&self) -> bool {
        matches!(self.phase, Phase::Switch)
    }

    /// Reads some of `rest`, which is not empty; none where more must come first.
    fn step(&mut self, rest: &[u8]) -> Result<Option<usize>, (usize, Fault)> {
        let after = |asks_to_switch| {
            if asks_to_switch { Phase::Switch } else { Phase::Head(Head::default()) }
        };
        let (taken, next) = match &mut self.phase {
            Phase::Head(head) => {
                let Some((taken, framing)) = head.read(rest, self.limits).map_err(|fault| (0, fault))? else {
                    return Ok(None);
                };
                self.asks_to_switch = head.asks_to_switch();
                let next = match framing {
                    Framing::Nothing => after(self.asks_to_switch),
                    Framing::Length(length) => Phase::Length(length),
                    Framing::Chunked => Phase::Chunks(Chunks::default()),
                };
                (taken, Some(next))
            }
            Phase::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
                (taken, (*left == 0).then(|| after(self.asks_to_switch)))
            }
            Phase::Chunks(chunks) => match chunks.read(rest)? {
                Part::All => (rest.len(), None),
                Part::Last(taken) => (taken, Some(Phase::Trailers(Trailers::default()))),
            },
            Phase::Trailers(trailers) => {
                let Some(taken) = trailers.read(rest).map_err(|fault| (0, fault))? else { return Ok(None) };
                (taken, Some(after(self.asks_to_switch)))
            }
            Phase::Switch => return Ok(None),
        };
        if let Some(next) = next {
            self.phase = next;
        }
        Ok(Some(taken))
    }
}

#[cfg(test)]
mod tests;
