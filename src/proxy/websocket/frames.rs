//! Where frames end (RFC 6455, section 5.2). What flows in a session is held to be frames and nothing else, so that
//! nobody can speak another protocol behind a handshake; and the gate's own last frame stands between two others.
//!
//! Heads alone are read, of which at most 14 bytes are remembered. What is in a frame is nobody's business here.

/// Whose frames they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Theirs are masked.
    Client,
    /// Theirs are not.
    Platform,
}

/// The longest head.
const MAX_HEAD: usize = 14;

/// The longest content of a control frame, in bytes.
const MAX_CONTROL: u64 = 125;

/// The bytes are no frames, or none that may stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came is no frame of WebSocket")]
pub struct NoFrame;

/// The frames of one direction, as far as they came.
#[derive(Debug)]
pub struct Frames {
    from: Side,
    /// Whether extensions may give a meaning to the reserved bits.
    has_extensions: bool,
    head: [u8; MAX_HEAD],
    /// How much of it came.
    held: usize,
    /// How much of the content is to come.
    left: u64,
    /// Whether a message has begun whose last frame is to come.
    is_in_message: bool,
    close: Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    No,
    /// Its content is coming.
    Coming,
    /// Nothing may follow.
    Done,
}

/// A head that is whole.
struct Head {
    length: u64,
    opcode: u8,
    is_final: bool,
}

impl Frames {
    /// At the beginning of a session.
    #[must_use]
    pub fn new(from: Side, has_extensions: bool) -> Self {
        Self {
            from,
            has_extensions,
            head: [0; MAX_HEAD],
            held: 0,
            left: 0,
            is_in_message: false,
            close: Close::No,
        }
    }

    /// Reads on: how many of the bytes there are up to the last end of a frame among them.
    ///
    /// # Errors
    /// When they are no frames, or none that may stand there. Then nothing more is to be read.
    pub fn read(&mut self, bytes: &[u8]) -> Result<usize, NoFrame> {
        let (mut rest, mut ends) = (bytes, 0);
        while !rest.is_empty() {
            if self.close == Close::Done {
                return Err(NoFrame);
            }
            if self.left == 0 {
                let Some((&byte, behind)) = rest.split_first() else { break };
                *self.head.get_mut(self.held).ok_or(NoFrame)? = byte;
                self.held += 1;
                rest = behind;
                if let Some(head) = self.head()? {
                    self.begin(&head)?;
                }
            } else {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
                self.left -= u64::try_from(taken).unwrap_or(self.left);
                rest = rest.get(taken..).unwrap_or_default();
            }
            if self.is_between() {
                ends = bytes.len() - rest.len();
                if self.close == Close::Coming {
                    self.close = Close::Done;
                }
            }
        }
        Ok(ends)
    }

    /// Whether no frame has begun that has not ended.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.held == 0 && self.left == 0
    }

    /// Whether a close frame came, after which there is nothing.
    #[must_use]
    pub fn has_closed(&self) -> bool {
        self.close == Close::Done
    }

    /// The head, once it is whole. It is looked at with each byte, so that nothing follows what is none.
    fn head(&self) -> Result<Option<Head>, NoFrame> {
        let head = self.head.get(..self.held).unwrap_or_default();
        let (Some(&first), second) = (head.first(), head.get(1).copied()) else { return Ok(None) };
        let (is_final, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
        let is_control = opcode >= 8;
        let fits = match opcode {
            0 => self.is_in_message,
            1 | 2 => !self.is_in_message,
            8..=10 => is_final,
            _ => false,
        };
        if !fits || (reserved != 0 && !self.has_extensions) {
            return Err(NoFrame);
        }
        let Some(second) = second else { return Ok(None) };
        let (is_masked, short) = (second & 0x80 != 0, u64::from(second & 0x7f));
        if is_masked != (self.from == Side::Client) || (is_control && short > MAX_CONTROL) {
            return Err(NoFrame);
        }
        let width = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(long) = head.get(2..2 + width) else { return Ok(None) };
        let length =
            if width == 0 { short } else { long.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)) };
        // In as few bytes as it has need of, and below 2^63; a close frame has a code or nothing.
        let is_least = match width {
            2 => length > MAX_CONTROL,
            8 => length > u64::from(u16::MAX) && length >> 63 == 0,
            _ => true,
        };
        if !is_least || (opcode == 8 && length == 1) {
            return Err(NoFrame);
        }
        let is_whole = head.len() == 2 + width + if is_masked { 4 } else { 0 };
        Ok(is_whole.then_some(Head { length, opcode, is_final }))
    }

    fn begin(&mut self, head: &Head) -> Result<(), NoFrame> {
        (self.held, self.left) = (0, head.length);
        match head.opcode {
            0..=2 => self.is_in_message = !head.is_final,
            8 => self.close = Close::Coming,
            9 | 10 => {}
            _ => return Err(NoFrame),
        }
        Ok(())
    }
}

/// A close frame of the gate's own, to the other side of `from`'s frames: among them it looks like one of theirs.
/// A mask hides from middleboxes what a client chose; the gate chooses nothing, so zeros do.
pub(crate) fn close(from: Side, code: u16) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    match from {
        Side::Client => vec![0x88, 0x82, 0, 0, 0, 0, high, low],
        Side::Platform => vec![0x88, 0x02, high, low],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
    use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame, FrameHeader};

    use super::*;

    /// A frame as another implementation writes it.
    fn frame(opcode: OpCode, is_final: bool, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader { is_final, opcode, mask, ..FrameHeader::default() };
        let frame = Frame::from_payload(header, payload.to_vec().into());
        let mut bytes = Vec::new();
        frame.format(&mut bytes).unwrap();
        bytes
    }

    fn read(from: Side, bytes: &[u8]) -> Result<usize, NoFrame> {
        Frames::new(from, false).read(bytes)
    }

    const MASK: Option<[u8; 4]> = Some([7, 0, 255, 3]);

    #[test]
    fn what_is_no_frame_is_told_at_its_first_byte_that_is_not() {
        let client = Side::Client;
        for (from, bytes) in [
            (client, &b"GET / HTTP/1.1\r\n\r\n"[..]),
            (client, &[0x81, 0x01, b'a']),
            (Side::Platform, &[0x81, 0x81, 0, 0, 0, 0, b'a']),
            (client, &[0xc1, 0x80]),
            (client, &[0x83]),
            (client, &[0x8b]),
            (client, &[0x80]),
            (client, &[0x09]),
            (client, &[0x89, 0xfe]),
            (client, &[0x88, 0x81]),
            (client, &[0x82, 0xfe, 0, 125]),
            (client, &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            (client, &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            // A message within a message, and anything behind the end.
            (client, &[0x01, 0x80, 0, 0, 0, 0, 0x81]),
            (client, &[0x88, 0x80, 0, 0, 0, 0, 0x81]),
        ] {
            let fault = (0..=bytes.len()).find(|&cut| read(from, &bytes[..cut]).is_err());
            assert!(fault.is_some(), "{bytes:?}");
        }
        assert_eq!(Frames::new(client, true).read(&[0xc1, 0x80, 0, 0, 0, 0]), Ok(6), "an extension's");
    }

    #[test]
    fn a_message_in_parts_may_have_control_frames_between() {
        let parts = [
            frame(OpCode::Data(Data::Text), false, MASK, b"he"),
            frame(OpCode::Control(Control::Ping), true, MASK, b"?"),
            frame(OpCode::Data(Data::Continue), true, MASK, b"llo"),
        ];
        assert_eq!(read(Side::Client, &parts.concat()), Ok(parts.concat().len()));
    }

    #[test]
    fn the_gate_says_goodbye_as_others_do() {
        let of = CloseFrame { code: CloseCode::Away, reason: "".into() };
        let mut theirs = Vec::new();
        Frame::close(Some(of)).format(&mut theirs).unwrap();
        assert_eq!(close(Side::Platform, 1001), theirs);
        for from in [Side::Client, Side::Platform] {
            let (bytes, mut frames) = (close(from, 1001), Frames::new(from, false));
            assert_eq!(frames.read(&bytes), Ok(bytes.len()));
            assert!(frames.has_closed() && frames.is_between());
        }
    }

    proptest! {
        #[test]
        fn frames_end_where_they_end_however_they_come(
            lengths in prop::collection::vec(prop_oneof![0..200_usize, 65_000..66_000_usize], 1..6),
            size in prop_oneof![1..20_usize, 1_000..9_000_usize],
            is_client in any::<bool>(),
        ) {
            let (from, mask) = if is_client { (Side::Client, MASK) } else { (Side::Platform, None) };
            let all: Vec<Vec<u8>> = lengths
                .iter()
                .map(|&length| frame(OpCode::Data(Data::Binary), true, mask, &vec![0x80; length]))
                .collect();
            let ends: Vec<usize> = all.iter().scan(0, |sum, it| { *sum += it.len(); Some(*sum) }).collect();
            let (bytes, mut frames, mut before) = (all.concat(), Frames::new(from, false), 0);
            for piece in bytes.chunks(size) {
                let end = frames.read(piece).unwrap();
                let last = ends.iter().copied().rfind(|&end| end <= before + piece.len() && end > before);
                prop_assert_eq!(end, last.map_or(0, |last| last - before));
                before += piece.len();
                prop_assert_eq!(frames.is_between(), ends.contains(&before));
            }
            prop_assert!(frames.is_between() && !frames.has_closed());
        }
    }
}
