//! One body through one plan: [`Transform`].

use std::sync::Arc;

use crate::catalog::{BodyFormat, Charset, Identifier};
use crate::kernel::id::FieldPath;

use super::bounds::Bounds;
use super::charset::Transcoder;
use super::context::{Context, Reader as _};
use super::error::MaskError;
use super::lanes::Lanes;
use super::place::Place;
use super::plan::Plan;
use super::tally::Tally;
use super::{csv, events, form, json, xml};

/// The readers of the formats.
#[derive(Debug)]
enum Reader {
    Json(json::Reader),
    Events(events::Reader),
    Csv(csv::Reader),
    Xml(xml::Reader),
    Form(form::Reader),
}

impl Reader {
    /// A body has begun. An opaque one has no plan ([`super::PlanError::Opaque`]).
    fn new(plan: &Plan) -> Self {
        match plan.format {
            BodyFormat::Json | BodyFormat::NdJson | BodyFormat::Opaque => Self::Json(json::Reader::new(plan)),
            BodyFormat::EventStream => Self::Events(events::Reader::new(plan)),
            BodyFormat::Csv => Self::Csv(csv::Reader::new(plan)),
            BodyFormat::Xml => Self::Xml(xml::Reader::new()),
            BodyFormat::Form => Self::Form(form::Reader::new()),
        }
    }

    #[inline]
    fn read(&mut self, piece: &str, context: Context<'_>) -> Result<(), MaskError> {
        match self {
            Self::Json(reader) => reader.read(piece, context),
            Self::Events(reader) => reader.read(piece, context),
            Self::Csv(reader) => reader.read(piece, context),
            Self::Xml(reader) => reader.read(piece, context),
            Self::Form(reader) => reader.read(piece, context),
        }
    }

    fn finish(&mut self, context: Context<'_>) -> Result<(), MaskError> {
        match self {
            Self::Json(reader) => reader.finish(context),
            Self::Events(reader) => reader.finish(context),
            Self::Csv(reader) => reader.finish(context),
            Self::Xml(reader) => reader.finish(context),
            Self::Form(reader) => reader.finish(context),
        }
    }

    #[cfg(test)]
    fn footprint(&self) -> usize {
        match self {
            Self::Json(reader) => reader.footprint(),
            Self::Events(reader) => reader.footprint(),
            Self::Csv(reader) => reader.footprint(),
            Self::Xml(reader) => reader.footprint(),
            Self::Form(reader) => reader.footprint(),
        }
    }
}

/// The streaming state of one body.
#[derive(Debug)]
pub struct Transform {
    plan: Arc<Plan>,
    bounds: Bounds,
    charset: Charset,
    /// What stands before the reader unless the body is UTF-8.
    transcoder: Option<Transcoder>,
    reader: Reader,
    lanes: Lanes,
    tally: Tally,
    /// The bytes that the reader has seen.
    offset: u64,
    bytes_out: u64,
    /// The front of a character that the next piece must complete, [`Transform::cut`] bytes of it.
    character: [u8; 4],
    cut: usize,
    failed: Option<MaskError>,
}

impl Transform {
    /// A body has begun, in UTF-8.
    #[must_use]
    pub fn new(plan: Arc<Plan>, bounds: Bounds) -> Self {
        Self::with_charset(plan, bounds, Charset::Utf8)
    }

    /// A body has begun, in `charset`. What leaves of it is UTF-8, and errors tell places in the UTF-8 that it
    /// stands for.
    #[must_use]
    pub fn with_charset(plan: Arc<Plan>, bounds: Bounds, charset: Charset) -> Self {
        Self {
            charset,
            transcoder: Transcoder::new(charset),
            lanes: Lanes::best(),
            reader: Reader::new(&plan),
            tally: Tally::new(plan.paths.len(), plan.refuses),
            plan,
            bounds,
            offset: 0,
            bytes_out: 0,
            character: [0; 4],
            cut: 0,
            failed: None,
        }
    }

    /// The same on other vectors, to hold them against each other: they change nothing but the time it
    /// takes.
    #[must_use]
    pub fn on(self, lanes: Lanes) -> Self {
        Self { lanes, ..self }
    }

    /// Takes the next piece of the body, of any size, and appends to `out` what may leave of it.
    ///
    /// # Errors
    /// When the body is not acceptable. Nothing is appended then, and every later call returns the
    /// same error: the body must be cut off, never ended.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        let before = (out.len(), self.tally.records);
        let result = match self.failed {
            Some(error) => Err(error),
            None => self.take(input, out),
        };
        self.settle(result, before, out)
    }

    /// Ends the body; nothing may come after it.
    ///
    /// # Errors
    /// When it ends inside a document, or has failed before.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<Summary, MaskError> {
        self.close(out).map(|()| self.summary())
    }

    /// The same, for who asks for the [`Transform::summary`] later.
    ///
    /// # Errors
    /// As for [`Transform::finish`].
    pub fn close(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let before = (out.len(), self.tally.records);
        let result = match (self.failed, self.cut) {
            (Some(error), _) => Err(error),
            (None, 0) => self.end(out),
            (None, _) => Err(MaskError::Utf8 { at: self.offset }),
        };
        let result = result.and_then(|()| self.whole(out.len().saturating_sub(before.0)));
        self.settle(result, before, out)?;
        self.failed = Some(MaskError::Trailing { at: self.offset });
        Ok(())
    }

    /// Records that have left so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.tally.records
    }

    /// The catalogue field that a place in this body is about, if it has a name there.
    #[must_use]
    pub fn path(&self, place: Place) -> Option<&FieldPath> {
        self.plan.path(place)
    }

    /// What has happened so far, also after a failure.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            plan: Arc::clone(&self.plan),
            bytes_in: match &self.transcoder {
                Some(transcoder) => transcoder.taken(),
                None => self.offset.saturating_add(u64::try_from(self.cut).unwrap_or_default()),
            },
            bytes_out: self.bytes_out,
            tally: self.tally.clone(),
        }
    }

    /// The memory that is held between pieces, in bytes.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        let transcoder = self.transcoder.as_ref().map_or(0, Transcoder::footprint);
        size_of::<Self>() + transcoder + self.reader.footprint() + self.tally.footprint()
    }

    /// Nothing of a body that passes as it is may be missing in the end, `last` bytes after the rest:
    /// also not what a format has beside its records, where nothing counts it.
    fn whole(&self, last: usize) -> Result<(), MaskError> {
        let out = self.bytes_out.saturating_add(u64::try_from(last).unwrap_or(u64::MAX));
        if self.plan.is_copied() && out != self.offset {
            return Err(MaskError::Outside { place: Place::UNKNOWN });
        }
        Ok(())
    }

    fn settle(
        &mut self,
        result: Result<(), MaskError>,
        (length, records): (usize, u64),
        out: &mut Vec<u8>,
    ) -> Result<(), MaskError> {
        match result {
            Ok(()) => {
                let written = out.len().saturating_sub(length);
                self.bytes_out = self.bytes_out.saturating_add(u64::try_from(written).unwrap_or_default());
            }
            Err(error) => {
                out.truncate(length);
                // The records of what is held back have not left.
                self.tally.records = records;
                self.failed = Some(error);
            }
        }
        result
    }

    /// The reader sees whole characters only, and sees them before an error behind them is told.
    fn take(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        if self.transcoder.is_some() {
            return self.transcode(input, false, out);
        }
        while self.cut > 0 {
            let Some((&byte, rest)) = input.split_first() else { return Ok(()) };
            input = rest;
            self.complete(byte, out)?;
        }
        match simdutf8::compat::from_utf8(input) {
            Ok(text) => self.scan(text, out),
            Err(error) => {
                let (valid, rest) = input.split_at_checked(error.valid_up_to()).unwrap_or((&[], input));
                let text = simdutf8::compat::from_utf8(valid);
                self.scan(text.map_err(|_| MaskError::Utf8 { at: self.offset })?, out)?;
                if error.error_len().is_some() {
                    return Err(MaskError::Utf8 { at: self.offset });
                }
                for (place, byte) in self.character.iter_mut().zip(rest) {
                    *place = *byte;
                }
                self.cut = rest.len();
                Ok(())
            }
        }
    }

    /// Adds one byte to the character that was cut.
    fn complete(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let mut character = self.character;
        if let Some(place) = character.get_mut(self.cut) {
            *place = byte;
        }
        let bytes = character.get(..=self.cut).unwrap_or(&character);
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                self.cut = 0;
                self.scan(text, out)
            }
            Err(error) if error.error_len().is_some() => Err(MaskError::Utf8 { at: self.offset }),
            Err(_) => {
                self.character = character;
                self.cut += 1;
                Ok(())
            }
        }
    }

    fn scan(&mut self, piece: &str, out: &mut Vec<u8>) -> Result<(), MaskError> {
        if piece.is_empty() {
            return Ok(());
        }
        let (reader, context) = self.reader(out);
        let read = reader.read(piece, context);
        // What is refused in a piece came before what the reader could not read in it.
        self.tally.verdict()?;
        read?;
        self.offset = self.offset.saturating_add(u64::try_from(piece.len()).unwrap_or_default());
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.transcode(&[], true, out)?;
        let (reader, context) = self.reader(out);
        let finished = reader.finish(context);
        self.tally.verdict()?;
        finished
    }

    /// The reader, and what it works with where it is now.
    #[inline]
    fn reader<'t>(&'t mut self, out: &'t mut Vec<u8>) -> (&'t mut Reader, Context<'t>) {
        let Self { plan, bounds, charset, lanes, reader, tally, offset, .. } = self;
        (reader, Context { plan, bounds, charset: *charset, lanes: *lanes, tally, base: *offset, out })
    }

    fn transcode(&mut self, input: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let Some(mut transcoder) = self.transcoder.take() else { return Ok(()) };
        let result = transcoder.take(input, last, |piece| self.scan(piece, out));
        self.transcoder = Some(transcoder);
        result
    }
}

/// What happened to a body.
#[derive(Debug, Clone)]
pub struct Summary {
    plan: Arc<Plan>,
    /// Bytes taken.
    pub bytes_in: u64,
    /// Bytes given.
    pub bytes_out: u64,
    tally: Tally,
}

/// How often one field was masked or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldCount<'s> {
    /// The field, or a place above fields that went as a whole.
    pub path: &'s FieldPath,
    /// Values that left as something else than they were: masked, or replaced by `null` because
    /// they are not of the declared type.
    pub masked: u64,
    /// Members that did not leave.
    pub dropped: u64,
}

/// How often one kind of identifier was found in one field that left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindingCount<'s> {
    /// The field, or the member of the envelope.
    pub path: &'s FieldPath,
    /// What was found.
    pub kind: Identifier,
    /// How often.
    pub count: u64,
}

impl Summary {
    /// What was found in fields that leave as they are. The names come from the catalogue, never from
    /// the body.
    pub fn findings(&self) -> impl Iterator<Item = FindingCount<'_>> {
        let fields = self.tally.found.iter().skip(1).zip(&self.plan.paths);
        fields.flat_map(|(found, path)| {
            found.iter().map(move |(kind, count)| FindingCount { path, kind, count })
        })
    }

    /// Records that left.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.tally.records
    }

    /// The same of a body of which only so many records left in the end.
    #[must_use]
    pub fn with_records(mut self, records: u64) -> Self {
        self.tally.records = records;
        self
    }

    /// The fields of which something was masked or dropped. Their names come from the catalogue,
    /// never from the body.
    pub fn fields(&self) -> impl Iterator<Item = FieldCount<'_>> {
        let counts = self.tally.masked.iter().zip(&self.tally.dropped).skip(1);
        counts
            .zip(&self.plan.paths)
            .map(|((masked, dropped), path)| FieldCount { path, masked: *masked, dropped: *dropped })
            .filter(|count| count.masked > 0 || count.dropped > 0)
    }

    /// Members that were dropped because neither the catalogue nor the shape of the body names them,
    /// and values in the place of records or of an envelope's object that are neither.
    #[must_use]
    pub fn unclassified(&self) -> u64 {
        self.tally.nameless()
    }

    /// Values masked, in all.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.tally.masked.iter().skip(1).sum()
    }

    /// Catalogue fields dropped, in all.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.tally.dropped.iter().skip(1).sum()
    }
}
