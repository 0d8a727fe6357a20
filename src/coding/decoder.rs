//! From a coded body to the plain one.

use std::io;

use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::DParameter;
use compression_codecs::{BrotliDecoder, DecodeV2 as _, GzipDecoder, ZstdDecoder};

use super::{Coding, CodingError};

/// The most that comes out at once, in bytes.
const PIECE: usize = 64 << 10;

/// What may come of anything before its ratio is looked at, in bytes: a small body may well be very even.
const SLACK: u64 = 1 << 20;

/// The window that Zstandard may ask for, as a power of two (RFC 9659, section 3).
const ZSTD_WINDOW_LOG: u32 = 23;

/// How the first byte of a Brotli stream with a window beyond RFC 7932 looks, in its low seven bits: section
/// 9.1 has no meaning for them.
const BROTLI_LARGE_WINDOW: u8 = 0b001_0001;

/// What a body may decode to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many times its own size, beyond a first 1 MiB.
    pub ratio: u64,
    /// How many bytes in all.
    pub size: u64,
}

#[derive(Debug)]
enum Codec {
    Zstd(ZstdDecoder),
    Brotli(BrotliDecoder),
    Gzip(Box<GzipDecoder>),
}

/// The streaming state of one body.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
    coding: Coding,
    bounds: Bounds,
    /// Bytes taken and given.
    taken: u64,
    given: u64,
    /// Whether more may come out without anything going in.
    is_full: bool,
    is_over: bool,
    piece: Box<[u8]>,
}

impl Decoder {
    /// A body has begun.
    #[must_use]
    pub fn new(coding: Coding, bounds: Bounds) -> Self {
        let codec = match coding {
            Coding::Zstd => {
                Codec::Zstd(ZstdDecoder::new_with_params(&[DParameter::window_log_max(ZSTD_WINDOW_LOG)]))
            }
            Coding::Brotli => Codec::Brotli(BrotliDecoder::new()),
            Coding::Gzip => Codec::Gzip(Box::default()),
        };
        let piece = vec![0; PIECE].into_boxed_slice();
        Self { codec, coding, bounds, taken: 0, given: 0, is_full: false, is_over: false, piece }
    }

    /// Decodes from the front of `input`, which it shortens by what it took, and gives the next piece. An
    /// empty one says that `input` is used up and nothing more comes of it.
    ///
    /// # Errors
    /// When the body is not of its coding, goes on after its end, or exceeds a bound.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<&[u8], CodingError> {
        let coding = self.coding.as_str();
        loop {
            if self.is_over {
                return if input.is_empty() { Ok(&[]) } else { Err(CodingError::Trailing { coding }) };
            }
            if input.is_empty() && !self.is_full {
                return Ok(&[]);
            }
            if self.coding == Coding::Brotli
                && self.taken == 0
                && input.first().is_some_and(|byte| byte & 0x7f == BROTLI_LARGE_WINDOW)
            {
                return Err(CodingError::Window { coding });
            }
            let (mut part, mut piece) =
                (PartialBuffer::new(*input), WriteBuffer::new_initialized(&mut self.piece));
            let is_over = self
                .codec
                .step(&mut part, &mut piece)
                .map_err(|source| CodingError::Broken { coding, source })?;
            let (taken, given) = (part.written_len(), piece.written_len());
            let is_full = piece.has_no_spare_space();
            if taken == 0 && given == 0 && !is_over && !self.is_full {
                // Never seen; it would go on for ever.
                let source = io::Error::other("it makes no progress");
                return Err(CodingError::Broken { coding, source });
            }
            *input = input.get(taken..).unwrap_or_default();
            (self.is_full, self.is_over) = (is_full, is_over);
            self.count(taken, given)?;
            if given > 0 {
                return Ok(self.piece.get(..given).unwrap_or_default());
            }
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// When it ends before its coding does.
    pub fn finish(&self) -> Result<(), CodingError> {
        if self.is_over { Ok(()) } else { Err(CodingError::Truncated { coding: self.coding.as_str() }) }
    }

    fn count(&mut self, taken: usize, given: usize) -> Result<(), CodingError> {
        let count = |sum: u64, more: usize| sum.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        (self.taken, self.given) = (count(self.taken, taken), count(self.given, given));
        let Bounds { ratio, size } = self.bounds;
        if self.given > size {
            return Err(CodingError::Size { max: size });
        }
        if self.given > SLACK.saturating_add(self.taken.saturating_mul(ratio)) {
            return Err(CodingError::Ratio { max: ratio });
        }
        Ok(())
    }
}

impl Codec {
    /// Whether the coding has come to its end.
    fn step(&mut self, input: &mut PartialBuffer<&[u8]>, output: &mut WriteBuffer<'_>) -> io::Result<bool> {
        match self {
            Self::Zstd(codec) => codec.decode(input, output),
            Self::Brotli(codec) => codec.decode(input, output),
            // Without input its `decode` is an error where nothing is left to come out. The end is never
            // there: a checksum follows all that comes out (RFC 1952, section 2.3).
            Self::Gzip(codec) if input.unwritten().is_empty() => codec.flush(output).map(|_flushed| false),
            Self::Gzip(codec) => codec.decode(input, output),
        }
    }
}
