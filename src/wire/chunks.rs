//! A body in chunks (RFC 9112, section 7.1), up to the line of the last one.

use super::fault::Fault;

/// The most digits of a size, so that it fits into any integer of 64 bits, signed or not; some senders pad it
/// to eight.
const MAX_SIZE_DIGITS: u8 = 8;

/// Where in the chunks the next byte stands.
#[derive(Debug)]
pub(super) enum Chunks {
    Size { digits: u8, size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
}

impl Default for Chunks {
    fn default() -> Self {
        Self::Size { digits: 0, size: 0 }
    }
}

/// How much of some bytes belongs to the chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    All,
    /// So many: behind them are the trailers.
    Last(usize),
}

impl Chunks {
    /// Reads on. On a fault: how many bytes before it are sound, and what it is.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Part, (usize, Fault)> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if let Self::Data { left } = self {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                *left -= u64::try_from(taken).unwrap_or(*left);
                at += taken;
                if *left == 0 {
                    *self = Self::DataCr;
                }
                continue;
            }
            let Some(next) = self.after(byte).map_err(|fault| (at, fault))? else {
                return Ok(Part::Last(at + 1));
            };
            *self = next;
            at += 1;
        }
        Ok(Part::All)
    }

    /// What follows `byte`, which is none of the data; nothing if it ends the line of the last chunk.
    fn after(&self, byte: u8) -> Result<Option<Self>, Fault> {
        Ok(Some(match (self, byte) {
            (&Self::Size { digits, size }, b'\r') if digits > 0 => Self::SizeLf { size },
            (&Self::Size { digits: 1.., .. }, b';') => return Err(Fault::ChunkExtension),
            (&Self::Size { digits, size }, _) => {
                let digit = char::from(byte).to_digit(16).filter(|_| digits < MAX_SIZE_DIGITS);
                let digit = digit.ok_or(Fault::ChunkSize)?;
                Self::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
            }
            (Self::SizeLf { size: 0 }, b'\n') => return Ok(None),
            (&Self::SizeLf { size }, b'\n') => Self::Data { left: size },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::default(),
            (Self::SizeLf { .. }, _) => return Err(Fault::ChunkSize),
            (Self::DataCr | Self::DataLf | Self::Data { .. }, _) => return Err(Fault::ChunkEnd),
        }))
    }
}
