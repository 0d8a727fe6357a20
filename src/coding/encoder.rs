//! From a plain body to a coded one.

use std::io;

use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZstdEncoder};

use super::{Coding, CodingError};

/// How much is written at once, in bytes.
const PIECE: usize = 16 << 10;

/// Levels at which an encoder keeps up with what the masks let out, on one core.
const ZSTD_LEVEL: i32 = 1;
const BROTLI_LEVEL: i32 = 1;

/// The window of Brotli, as a power of two: what it sees of even data is near.
const BROTLI_WINDOW_LOG: i32 = 18;

/// The streaming state of one body.
pub struct Encoder {
    codec: Box<dyn EncodeV2 + Send>,
    coding: Coding,
    /// Whether bytes were taken that have not come out.
    is_holding: bool,
    piece: Box<[u8]>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("coding", &self.coding).finish_non_exhaustive()
    }
}

impl Encoder {
    /// A body begins.
    #[must_use]
    pub fn new(coding: Coding) -> Self {
        let codec: Box<dyn EncodeV2 + Send> = match coding {
            Coding::Zstd => Box::new(ZstdEncoder::new(ZSTD_LEVEL)),
            Coding::Brotli => {
                let params = EncoderParams::default().quality(Level::Precise(BROTLI_LEVEL));
                Box::new(BrotliEncoder::new(params.window_size(BROTLI_WINDOW_LOG)))
            }
            Coding::Gzip => Box::new(GzipEncoder::new(Level::Fastest.into())),
        };
        Self { codec, coding, is_holding: false, piece: vec![0; PIECE].into_boxed_slice() }
    }

    /// Takes the next piece of the body and appends to `out` what comes of it by now.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CodingError> {
        let mut input = PartialBuffer::new(input);
        while !input.unwritten().is_empty() {
            self.is_holding = true;
            self.write(out, |codec, piece| codec.encode(&mut input, piece))?;
        }
        Ok(())
    }

    /// Whether bytes were taken that have not come out.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.is_holding
    }

    /// Appends to `out` all that is held back.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), CodingError> {
        while !self.write(out, |codec, piece| codec.flush(piece))? {}
        self.is_holding = false;
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodingError> {
        while !self.write(out, |codec, piece| codec.finish(piece))? {}
        self.is_holding = false;
        Ok(())
    }

    fn write<T>(
        &mut self,
        out: &mut Vec<u8>,
        step: impl FnOnce(&mut dyn EncodeV2, &mut WriteBuffer<'_>) -> io::Result<T>,
    ) -> Result<T, CodingError> {
        let mut piece = WriteBuffer::new_initialized(&mut self.piece);
        let done = step(self.codec.as_mut(), &mut piece)
            .map_err(|source| CodingError::Encoder { coding: self.coding.as_str(), source })?;
        out.extend_from_slice(piece.written());
        Ok(done)
    }
}
