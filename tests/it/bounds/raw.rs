//! HTTP/2 written by hand, since no library would write this.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::city::{City, SURVEY, SURVEYOR, soon};

/// Types of frames (RFC 9113, section 6).
pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const PRIORITY: u8 = 0x2;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PING: u8 = 0x6;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

/// Why a stream or a connection is ended (RFC 9113, section 7).
pub(super) const REFUSED_STREAM: u32 = 0x7;
pub(super) const COMPRESSION_ERROR: u32 = 0x9;
pub(super) const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [head.as_slice(), &stream.to_be_bytes(), payload].concat()
}

/// The frame by which a stream is given up.
pub(super) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// A number of HPACK (RFC 7541, section 5.1) behind the bits of `first`.
fn number(first: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![first | u8::try_from(value).unwrap()];
    }
    let (mut bytes, mut rest) = (vec![first | u8::try_from(most).unwrap()], value - most);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [number(0, 7, text.len()), text.as_bytes().to_vec()].concat()
}

/// A header field that is not remembered (RFC 7541, section 6.2.2).
pub(super) fn field(name: &str, value: &str) -> Vec<u8> {
    [vec![0], text(name), text(value)].concat()
}

/// A header field that is remembered (RFC 7541, section 6.2.1).
pub(super) fn remembered(name: &str, value: &str) -> Vec<u8> {
    [vec![0x40], text(name), text(value)].concat()
}

/// The header field that was remembered last (RFC 7541, section 6.1).
pub(super) fn the_last_remembered() -> Vec<u8> {
    number(0x80, 7, 62)
}

/// A new size for the table of what is remembered (RFC 7541, section 6.3).
pub(super) fn table_size(size: usize) -> Vec<u8> {
    number(0x20, 5, size)
}

/// A frame that was received.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The error that it carries.
    pub(super) fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// How many frames were received by then.
    pub(super) frames: Vec<Frame>,
}

impl Ended {
    /// Why the gate ended it, if it said so.
    pub(super) fn goaway(&self) -> Option<u32> {
        self.frames.iter().rfind(|frame| frame.kind == GOAWAY).map(Frame::error)
    }
}

/// A connection of a system, on which anything may be written.
pub(super) struct Raw {
    read: ReadHalf<TlsStream<TcpStream>>,
    write: WriteHalf<TlsStream<TcpStream>>,
    /// The header fields of a good request for `/_test/1k`, without its path.
    fields: Vec<u8>,
}

impl Raw {
    /// A connection that has said its `settings`.
    pub(super) async fn open(city: &City, settings: &[(u16, u32)]) -> Self {
        let (read, write) = split(city.client(SURVEYOR).open(b"h2").await.unwrap());
        let token = format!("Bearer {}", city.files().token(SURVEYOR, SURVEY));
        // GET and https stand in the static table.
        let fields = [vec![0x82, 0x87], field(":authority", "localhost"), field("authorization", &token)];
        let mut raw = Self { read, write, fields: fields.concat() };
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [name.to_be_bytes().as_slice(), &value.to_be_bytes()].concat())
            .collect();
        let opening =
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &settings)].concat();
        raw.send(&opening).await.unwrap();
        raw
    }

    /// The head of a good request for `path`.
    pub(super) fn head(&self, path: &str) -> Vec<u8> {
        // Pseudo-header fields come first.
        let (pseudo, rest) = self.fields.split_at(2);
        [pseudo, &field(":path", path), rest].concat()
    }

    /// A good request for `path` in one frame.
    pub(super) fn request(&self, stream: u32, path: &str) -> Vec<u8> {
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &self.head(path))
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes).await?;
        self.write.flush().await
    }

    /// The next frame; none at the end of the connection, however it comes.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        frame_of(&mut self.read).await
    }

    /// Waits for a frame that `is_it`.
    pub(super) async fn until(&mut self, what: &str, is_it: impl Fn(&Frame) -> bool) -> Frame {
        soon(what, async {
            loop {
                let frame = self.frame().await.unwrap_or_else(|| panic!("{what}: the connection ended"));
                if is_it(&frame) {
                    return frame;
                }
            }
        })
        .await
    }

    /// Sends what `bytes` gives for each round until the gate ends the connection, which must be before
    /// the last of `rounds`.
    pub(super) async fn flood(self, what: &str, rounds: u32, mut bytes: impl FnMut(u32) -> Vec<u8>) -> Ended {
        let Self { mut read, mut write, .. } = self;
        let listen = async {
            let mut frames = Vec::new();
            while let Some(frame) = frame_of(&mut read).await {
                // What a flood of its own would fill.
                if frames.len() < 10_000 {
                    frames.push(frame);
                }
            }
            frames
        };
        let attack = async {
            let mut sent = 0;
            for round in 0..rounds {
                if write.write_all(&bytes(round)).await.is_err() {
                    return sent;
                }
                sent = round;
            }
            // A connection that is not ended would hold this up.
            drop(write.flush().await);
            sent
        };
        let (frames, _sent) = soon(what, async { tokio::join!(listen, attack) }).await;
        Ended { frames }
    }

    /// Waits for the end of the connection.
    pub(super) async fn ended(mut self, what: &str) -> Ended {
        let mut frames = Vec::new();
        soon(what, async {
            while let Some(frame) = self.frame().await {
                frames.push(frame);
            }
        })
        .await;
        Ended { frames }
    }
}

async fn frame_of(read: &mut ReadHalf<TlsStream<TcpStream>>) -> Option<Frame> {
    let mut head = [0; 9];
    read.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    read.read_exact(&mut payload).await.ok()?;
    let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}
