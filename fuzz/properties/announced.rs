//! Headers of the PROXY protocol, version 2, as they come before a handshake.
//!
//! Input: the bytes of a connection.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use pinegate::proxy::{AnnouncedError, read_announcement};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// More than this after the fixed part is nobody's.
const MOST: usize = 1 << 10;

pub(crate) fn check(data: &[u8]) {
    let (read, left) = announced(data);
    match (specified(data), read) {
        (Some((who, length)), Ok(read)) => {
            assert_eq!((read, left), (who, data.len() - length));
            for cut in 0..length {
                let (cut_off, _) = announced(&data[..cut]);
                assert!(matches!(cut_off, Err(AnnouncedError::Broken(_))), "{cut} of {length}: {cut_off:?}");
            }
        }
        (None, Err(_)) => {}
        (expected, read) => panic!("{expected:?} by the specification, and {read:?}"),
    }
}

/// What is read, and how many bytes are left. Bytes that are there are never waited for.
fn announced(mut bytes: &[u8]) -> (Result<Option<SocketAddr>, AnnouncedError>, usize) {
    let Poll::Ready(read) = pin!(read_announcement(&mut bytes)).poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("nothing was to be waited for");
    };
    (read, bytes.len())
}

/// Who is named, if anybody may be, and how long the header is: as the specification has it, section 2.2.
fn specified(data: &[u8]) -> Option<(Option<SocketAddr>, usize)> {
    let rest = data.strip_prefix(SIGNATURE)?;
    let (&[command, family, high, low], rest) = rest.split_first_chunk()?;
    let length = usize::from(high) << 8 | usize::from(low);
    let rest = rest.get(..length)?;
    let all = SIGNATURE.len() + 4 + length;
    if length > MOST {
        return None;
    }
    if command == 0x20 {
        // The balancer's own; the rest is passed over, whatever it says.
        return Some((None, all));
    }
    let port = |at: usize| Some(u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?]));
    let source: SocketAddr = match (command, family) {
        (0x21, 0x11) => {
            let source: [u8; 4] = rest.get(..12)?.get(..4)?.try_into().ok()?;
            (Ipv4Addr::from(source), port(8)?).into()
        }
        (0x21, 0x21) => {
            let source: [u8; 16] = rest.get(..36)?.get(..16)?.try_into().ok()?;
            (Ipv6Addr::from(source), port(32)?).into()
        }
        _ => return None,
    };
    Some((Some(source), all))
}
