//! From the charset of a body to the UTF-8 that readers read: [`Transcoder`].
//!
//! Bytes of GBK and GB 18030 cannot be scanned as they are: the second byte of a character may be a
//! `\`, a bracket or a brace. What is not a character of the declared charset ends the body. Nothing is
//! guessed: a byte order mark is a character like any other, and readers refuse it.

use encoding_rs::{Decoder, DecoderResult, GB18030, GBK};

use super::error::MaskError;
use crate::catalog::Charset;

/// How much text is decoded before it is read, in bytes.
const PIECE: usize = 16 << 10;

/// The state of one body that is not UTF-8.
pub(super) struct Transcoder {
    decoder: Decoder,
    piece: String,
    /// Bytes taken.
    taken: u64,
}

impl std::fmt::Debug for Transcoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcoder").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Transcoder {
    /// A body in `charset` has begun; none is needed for UTF-8.
    pub(super) fn new(charset: Charset) -> Option<Self> {
        let encoding = match charset {
            Charset::Utf8 => return None,
            Charset::Gbk => GBK,
            Charset::Gb18030 => GB18030,
        };
        let decoder = encoding.new_decoder_without_bom_handling();
        Some(Self { decoder, piece: String::with_capacity(PIECE), taken: 0 })
    }

    /// Bytes taken so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Decodes `input`, which ends the body if `last`, and gives it to `read` in pieces. What stands before a
    /// bad sequence is read before it is told.
    pub(super) fn take(
        &mut self,
        mut input: &[u8],
        last: bool,
        mut read: impl FnMut(&str) -> Result<(), MaskError>,
    ) -> Result<(), MaskError> {
        loop {
            self.piece.clear();
            let (result, taken) =
                self.decoder.decode_to_string_without_replacement(input, &mut self.piece, last);
            input = input.get(taken..).unwrap_or_default();
            self.taken = self.taken.saturating_add(u64::try_from(taken).unwrap_or_default());
            if !self.piece.is_empty() {
                read(&self.piece)?;
            }
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, after) => {
                    let back = u64::from(length).saturating_add(u64::from(after));
                    return Err(MaskError::Charset { at: self.taken.saturating_sub(back) });
                }
            }
        }
    }

    /// The memory that is held between pieces, in bytes.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.piece.capacity()
    }
}
