//! What goes through, what does not, and how it ends.

use std::future::poll_fn;

use tokio::io::{DuplexStream, duplex};

use super::*;

/// A goodbye of each side.
const CLIENTS: [u8; 6] = [0x88, 0x80, 1, 2, 3, 4];
const PLATFORMS: [u8; 2] = [0x88, 0x00];

struct Ends {
    client: DuplexStream,
    platform: DuplexStream,
    pump: Pump<DuplexStream, DuplexStream>,
    moved: Arc<Moved>,
}

/// A session whose sockets hold `room` bytes each way.
fn session(room: usize) -> Ends {
    let ((client, to_client), (platform, to_platform)) = (duplex(room), duplex(room));
    let moved = Arc::<Moved>::default();
    let pump = Pump::new((to_client, &[]), to_platform, false, Arc::clone(&moved)).unwrap();
    Ends { client, platform, pump, moved }
}

fn of_client(content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    [&[0x82, 0x80 | length, 0, 0, 0, 0], content].concat()
}

async fn over(pump: &mut Pump<DuplexStream, DuplexStream>) -> Over {
    poll_fn(|cx| pump.poll(cx)).await
}

/// Polls it as often as something may have changed; whether it goes on.
async fn goes_on(pump: &mut Pump<DuplexStream, DuplexStream>) -> bool {
    for _ in 0..32 {
        tokio::select! {
            biased;
            _ = over(pump) => return false,
            () = tokio::task::yield_now() => {}
        }
    }
    true
}

#[tokio::test]
async fn frames_go_both_ways_until_both_have_said_goodbye() {
    for room in [1, 3, 4_096] {
        let Ends { mut client, mut platform, mut pump, moved } = session(room);
        let hello = of_client(b"hello");
        let talk = async {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            let of_client = async {
                client.write_all(&hello).await.unwrap();
                client.write_all(&CLIENTS).await.unwrap();
                client.read_to_end(&mut down).await.unwrap();
                drop(client);
            };
            let of_platform = async {
                let mut room = vec![0; hello.len() + CLIENTS.len()];
                platform.read_exact(&mut room).await.unwrap();
                up.append(&mut room);
                platform.write_all(&[0x82, 1, b'x']).await.unwrap();
                platform.write_all(&PLATFORMS).await.unwrap();
                drop(platform);
            };
            tokio::join!(of_client, of_platform);
            (up, down)
        };
        let (how, (up, down)) = tokio::join!(over(&mut pump), talk);
        assert_eq!(how, Over::Closed(Side::Client), "{room}");
        assert_eq!((up, down), ([&hello[..], &CLIENTS].concat(), vec![0x82, 1, b'x', 0x88, 0]));
        assert_eq!((moved.to_platform(), moved.to_client()), (17, 5));
    }
}

#[tokio::test]
async fn an_end_without_a_goodbye_is_none() {
    let Ends { client, platform: _platform, mut pump, .. } = session(64);
    drop(client);
    assert_eq!(over(&mut pump).await, Over::Broken(Side::Client));
    let Ends { client: _client, mut platform, mut pump, .. } = session(64);
    platform.write_all(&[0x82, 5, b'h']).await.unwrap();
    drop(platform);
    assert_eq!(over(&mut pump).await, Over::Broken(Side::Platform));
}

#[tokio::test]
async fn nothing_of_what_is_no_frame_goes_on() {
    let Ends { mut client, mut platform, mut pump, moved } = session(64);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(over(&mut pump).await, Over::NoFrame(Side::Client));
    drop(pump);
    let mut came = Vec::new();
    platform.read_to_end(&mut came).await.unwrap();
    assert_eq!((came.len(), moved.to_platform()), (0, 0));
}

#[tokio::test]
async fn who_takes_nothing_stops_who_sends() {
    let Ends { client: _client, mut platform, mut pump, .. } = session(1 << 10);
    let head = [0x82, 127, 0, 0, 0, 0, 0x10, 0, 0, 0];
    let mut sent = 0;
    platform.write_all(&head).await.unwrap();
    // As much as sockets and the session hold.
    while sent < 1 << 20 {
        assert!(goes_on(&mut pump).await);
        tokio::select! {
            biased;
            written = platform.write(&[0; 512]) => sent += written.unwrap(),
            () = tokio::task::yield_now() => break,
        }
    }
    assert!(sent <= (2 << 10) + PIECE, "{sent} bytes were taken");
    assert_eq!(pump.stalled(Duration::MAX), None);
    assert!((0..1_000_000).any(|_| pump.stalled(Duration::ZERO) == Some(Side::Client)));
}

#[tokio::test]
async fn a_pause_waits_for_what_is_held_and_no_longer() {
    let Ends { mut client, mut platform, mut pump, .. } = session(4);
    let frame = of_client(b"hello");
    let sent = async {
        client.write_all(&frame).await.unwrap();
    };
    let taken = async {
        assert!(goes_on(&mut pump).await);
    };
    tokio::join!(sent, taken);
    assert!(goes_on(&mut pump).await, "the platform has taken little of it yet");
    pump.pause();
    let taken = async {
        let mut room = vec![0; frame.len()];
        platform.read_exact(&mut room).await.unwrap();
        room
    };
    // Nothing more is sent.
    let (how, came) = tokio::join!(over(&mut pump), taken);
    assert_eq!((how, came), (Over::Paused, frame.clone()));
}

#[tokio::test]
async fn a_pause_waits_for_the_ends_of_frames() {
    let Ends { mut client, mut platform, mut pump, moved } = session(64);
    client.write_all(&of_client(b"hello")[..8]).await.unwrap();
    assert!(goes_on(&mut pump).await);
    pump.pause();
    assert!(goes_on(&mut pump).await, "a frame has begun");
    // Its end, and the beginning of another.
    client.write_all(&of_client(b"hello")[8..]).await.unwrap();
    client.write_all(&of_client(b"more")[..7]).await.unwrap();
    assert_eq!(over(&mut pump).await, Over::Paused);
    assert_eq!(moved.to_platform(), 11);

    let bye = async {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        platform.read_to_end(&mut up).await.unwrap();
        drop(platform);
        let mut room = [0; 4];
        client.read_exact(&mut room).await.unwrap();
        down.extend_from_slice(&room);
        drop(client);
        (up, down)
    };
    let ((), (up, down)) = tokio::join!(pump.farewell(Some(1001)), bye);
    assert_eq!(up, [&of_client(b"hello")[..], &[0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]].concat());
    assert_eq!(down, [0x88, 2, 3, 0xe9]);
}

#[tokio::test]
async fn a_goodbye_of_the_gate_stands_in_no_frame() {
    let Ends { mut client, mut platform, mut pump, .. } = session(64);
    platform.write_all(&[0x82, 5, b'h']).await.unwrap();
    assert!(goes_on(&mut pump).await);
    let bye = async {
        let mut down = [0; 16];
        assert_eq!(client.read(&mut down).await.unwrap(), 3);
        assert_eq!(client.read(&mut down).await.unwrap(), 0, "cut off, without a frame within a frame");
        drop(client);
    };
    tokio::join!(pump.farewell(Some(1001)), bye);
}

#[tokio::test]
async fn what_came_early_goes_first() {
    let ((mut client, to_client), (mut platform, to_platform)) = (duplex(64), duplex(64));
    let early = of_client(b"early");
    let mut pump = Pump::new((to_client, &early), to_platform, false, Arc::default()).unwrap();
    client.write_all(&of_client(b"later")).await.unwrap();
    assert!(goes_on(&mut pump).await);
    let mut came = vec![0; 22];
    platform.read_exact(&mut came).await.unwrap();
    assert_eq!(came, [early, of_client(b"later")].concat());
    let refused = Pump::new((client, b"GET /"), platform, false, Arc::default());
    assert!(refused.is_err());
}
