//! Where a connection really comes from, where a balancer says so before the handshake: the PROXY protocol, version 2,
//! in front of TLS.
//!
//! It is taken from trusted networks only, and there it must come: a receiver that guesses whether there is one lets
//! everybody write one.

use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What stands before what has a length: the signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

/// The most bytes after them: addresses, and what balancers add, which nobody here reads.
const MAX_REST_BYTES: usize = 1 << 10;

/// Version 2, and nobody is proxied: the balancer itself, to see whether the gate is there.
const LOCAL: u8 = 0x20;

/// Why an announcement is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnnouncedError {
    /// It did not come.
    #[error("the balancer's header broke off")]
    Broken(#[from] std::io::Error),
    /// It is of another protocol, or malformed.
    #[error("what came is no header of the PROXY protocol, version 2")]
    Malformed,
    /// It is longer than anybody's.
    #[error("the balancer's header has {0} bytes, and {MAX_REST_BYTES} are the most")]
    TooLong(usize),
    /// It does not say who it is about.
    #[error("the balancer's header has no TCP address")]
    NoAddress,
}

/// Reads an announcement and not a byte more: the client's address, or none if the balancer speaks for itself.
///
/// # Errors
/// When it breaks off, is of another protocol or too long, or names nobody.
pub async fn announced(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, AnnouncedError> {
    let mut bytes = vec![0; FIXED_BYTES];
    stream.read_exact(&mut bytes).await?;
    let [.., high, low] = bytes.as_slice() else { return Err(AnnouncedError::Malformed) };
    let rest = usize::from(u16::from_be_bytes([*high, *low]));
    // Whoever says something else is not asked for more of it.
    if !bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
        return Err(AnnouncedError::Malformed);
    }
    if rest > MAX_REST_BYTES {
        return Err(AnnouncedError::TooLong(rest));
    }
    bytes.resize(FIXED_BYTES + rest, 0);
    stream.read_exact(bytes.get_mut(FIXED_BYTES..).unwrap_or_default()).await?;
    read(&bytes)
}

/// The client's address in a whole announcement.
fn read(bytes: &[u8]) -> Result<Option<SocketAddr>, AnnouncedError> {
    // Whatever else such a one says, and however odd, is to be passed over (section 2.2).
    if bytes.get(12) == Some(&LOCAL) {
        return Ok(None);
    }
    let only_two = ParseConfig { include_tlvs: false, allow_v1: false, allow_v2: true };
    let (header, length) = ProxyHeader::parse(bytes, only_two).map_err(|_| AnnouncedError::Malformed)?;
    if length != bytes.len() {
        return Err(AnnouncedError::Malformed);
    }
    let address = header.proxied_address().filter(|address| address.protocol == Protocol::Stream);
    address.map(|address| Some(address.source)).ok_or(AnnouncedError::NoAddress)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proxy_header::ProxiedAddress;

    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    async fn of(mut bytes: &[u8]) -> (Result<Option<SocketAddr>, AnnouncedError>, usize) {
        let read = announced(&mut bytes).await;
        (read, bytes.len())
    }

    #[tokio::test]
    async fn an_announcement_is_read_to_its_end_and_no_further() {
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0xd4, 0x31, 0x20, 0xfb];
        let mut bytes = header(0x21, 0x11, &four);
        bytes.extend(b"\x16\x03\x01");
        let (read, left) = of(&bytes).await;
        assert_eq!((read.unwrap(), left), (Some("192.0.2.7:54321".parse().unwrap()), 3));
        let with_more = [four.as_slice(), &[0x03, 0, 4, 1, 2, 3, 4]].concat();
        let (read, left) = of(&header(0x21, 0x11, &with_more)).await;
        assert_eq!((read.unwrap(), left), (Some("192.0.2.7:54321".parse().unwrap()), 0));
        let mut six = [0; 36];
        six[..16].copy_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
        six[32..34].copy_from_slice(&[1, 0]);
        let (read, _) = of(&header(0x21, 0x21, &six)).await;
        assert_eq!(read.unwrap(), Some("[2001:db8::7]:256".parse().unwrap()));
        for rest in [&[][..], &four] {
            assert_eq!(
                of(&header(0x20, if rest.is_empty() { 0 } else { 0x11 }, rest)).await.0.unwrap(),
                None
            );
        }
    }

    #[tokio::test]
    async fn what_names_nobody_is_refused() {
        let four = [0; 12];
        for (bytes, why) in [
            (header(0x21, 0x00, &[]), "no TCP address"),
            (header(0x21, 0x12, &four), "no TCP address"),
            (header(0x21, 0x31, &[0; 216]), "no TCP address"),
            (header(0x21, 0x11, &four[..11]), "no header"),
            (header(0x22, 0x11, &four), "no header"),
            (header(0x11, 0x11, &four), "no header"),
            (header(0x21, 0x41, &four), "no header"),
            (header(0x21, 0x11, &[0; 1_025]), "1025 bytes"),
            (header(0x21, 0x11, &four)[..27].to_vec(), "broke off"),
            (SIGNATURE.to_vec(), "broke off"),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(), "no header"),
            (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03abcdef".to_vec(), "no header"),
        ] {
            let error = of(&bytes).await.0.unwrap_err().to_string();
            assert!(error.contains(why), "{bytes:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_balancer_writes_is_read(v4: (u32, u16), v6: (u128, u16), is_v4: bool) {
            let source: SocketAddr = if is_v4 {
                (std::net::Ipv4Addr::from_bits(v4.0), v4.1).into()
            } else {
                (std::net::Ipv6Addr::from_bits(v6.0), v6.1).into()
            };
            let (mut bytes, header) = (Vec::new(), ProxyHeader::with_address(ProxiedAddress::stream(source, source)));
            header.encode_v2(&mut bytes).unwrap();
            prop_assert_eq!(read(&bytes).unwrap(), Some(source));
        }

        #[test]
        fn no_bytes_break_it(command: u8, family: u8, rest in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = header(command, family, &rest);
            if let Ok(Some(_)) = read(&bytes) {
                prop_assert_eq!((command, family & 0xf), (0x21, 1));
            }
        }
    }
}
