//! HTTP/2 on the wire: where frames begin and end, by their heads alone.

/// The size of a head (RFC 9113, section 4.1).
const HEAD_BYTES: usize = 9;

/// What the head of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// How many bytes follow it.
    pub length: u32,
    /// What it is (RFC 9113, section 6).
    pub kind: u8,
    /// What is said of it.
    pub flags: u8,
    /// The stream that it belongs to.
    pub stream: u32,
}

/// One direction of a connection, cut into frames. Keeps at most a head.
#[derive(Debug)]
pub struct FrameHeads {
    head: [u8; HEAD_BYTES],
    /// How much of a head is there.
    have: usize,
    /// How many bytes come before the next one.
    skip: u64,
}

impl FrameHeads {
    /// The first `skip` bytes are no frames.
    #[must_use]
    pub fn new(skip: u64) -> Self {
        Self { head: [0; HEAD_BYTES], have: 0, skip }
    }

    /// Takes the next bytes, and gives the first head that ends in them, with what follows it.
    pub fn next<'b>(&mut self, bytes: &'b [u8]) -> Option<(FrameHead, &'b [u8])> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip = self.skip.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
        let bytes = bytes.get(skipped..)?;
        let missing = self.head.get_mut(self.have..)?;
        let taken = missing.len().min(bytes.len());
        missing.get_mut(..taken)?.copy_from_slice(bytes.get(..taken)?);
        self.have += taken;
        if self.have < HEAD_BYTES {
            return None;
        }
        self.have = 0;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.head;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        self.skip = u64::from(length);
        // The highest bit of a stream's number is reserved.
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        Some((FrameHead { length, kind, flags, stream }, bytes.get(taken..)?))
    }
}
