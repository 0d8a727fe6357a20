//! What the library gets to read, and that an ended connection is read on for a while.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const LIMITS: Limits = Limits { head_bytes: 1 << 10, fields: 8 };

const GOOD: &str = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a\r\n\r\n\
                    PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: d\r\n\r\n";

fn guarded(inner: DuplexStream) -> (Guarded<DuplexStream>, Refused) {
    let refused = Refused::default();
    (Guarded::new(inner, LIMITS, refused.clone()), refused)
}

/// What is read of `bytes`, which come `piece` by piece and are asked for in parts of `part` bytes; and how it ended.
async fn read(bytes: &[u8], piece: usize, part: usize) -> (String, Option<io::ErrorKind>, Refused) {
    let (mut client, server) = duplex(piece);
    let (mut guarded, refused) = guarded(server);
    let (mut read, mut room) = (Vec::new(), vec![0; part]);
    let write = async {
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let take = async {
        loop {
            match guarded.read(&mut room).await {
                Ok(0) => return None,
                Ok(taken) => read.extend_from_slice(&room[..taken]),
                Err(error) => return Some(error.kind()),
            }
            if read.ends_with(b"connection: close\r\n\r\n") {
                return None;
            }
        }
    };
    // What is refused is not read to its end.
    let how = tokio::select! {
        how = take => how,
        () = async { write.await; std::future::pending().await } => None,
    };
    (String::from_utf8(read).unwrap(), how, refused)
}

#[tokio::test]
async fn what_is_sound_comes_through_as_it_is() {
    for piece in [1, 2, 7, 64, 4_096] {
        for part in [1, 3, 40, 8_192] {
            let (got, how, refused) = read(GOOD.as_bytes(), piece, part).await;
            assert_eq!((got.as_str(), how), (GOOD, None), "{piece}, {part}");
            assert!(refused.0.get().is_none());
        }
    }
}

#[tokio::test]
async fn a_refused_head_has_a_stand_in() {
    for piece in [1, 7, 4_096] {
        for part in [1, 40, 8_192] {
            let bytes = format!("{GOOD}PROPFIND /d HTTP/1.1\r\nHost : a\r\n\r\nGET /e HTTP/1.1\r\n\r\n");
            let (got, how, refused) = read(bytes.as_bytes(), piece, part).await;
            let expected = format!("{GOOD}GET * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            assert_eq!((got, how), (expected, None), "{piece}, {part}");
            let method = Method::from_bytes(b"PROPFIND").unwrap();
            assert_eq!(refused.behind(&"*".parse().unwrap()), Some((Fault::BlankBeforeColon, method)));
            assert_eq!(refused.behind(&"/d".parse().unwrap()), None, "what came before is no stand-in");
        }
    }
}

#[tokio::test]
async fn a_stand_in_is_like_its_head() {
    let stand_in = |head: &str| {
        let (mut buffer, refused) = (BytesMut::new(), Refused::default());
        stand_in(&mut buffer, head.as_bytes());
        refused.note(Fault::BareLf, head.as_bytes());
        let (_, method) = refused.behind(&"*".parse().unwrap()).unwrap();
        (String::from_utf8(buffer.to_vec()).unwrap(), method.to_string())
    };
    let (head, method) = stand_in("HEAD /a HTTP/1.1\r\nAccept-Language: en, zh;q=0.5\r\nHost : a\r\n\r\n");
    assert_eq!(
        (head.as_str(), method.as_str()),
        (
            "HEAD * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept-language: en, zh;q=0.5\r\n\r\n",
            "HEAD"
        )
    );
    for (head, expected) in [
        ("GET / HTTP/1.1\r\nAccept-Language: e\u{e9}\r\n", "GET"),
        ("\u{16}\u{3}\u{1}", "-"),
        ("", "-"),
        ("CONNECT a:1 HTTP/1.1\r\n\r\naccept-language: en\r\n", "CONNECT"),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "-"),
    ] {
        let (head, method) = stand_in(head);
        assert_eq!(head, "GET * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        assert_eq!(method, expected);
    }
}

#[tokio::test]
async fn no_head_from_outside_is_a_stand_in() {
    let (mut buffer, mut validator) = (BytesMut::new(), Validator::new(LIMITS));
    stand_in(&mut buffer, b"");
    let stop = validator.read(&buffer).unwrap_err();
    assert_eq!((stop.place, stop.sound), (Place::Head, 0));
}

#[tokio::test]
async fn a_fault_in_a_body_breaks_it() {
    let sound = "PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0";
    for piece in [1, 7, 4_096] {
        let bytes = format!("{sound};a=b\r\n\r\n");
        let (got, how, refused) = read(bytes.as_bytes(), piece, 64).await;
        assert_eq!((got.as_str(), how), (sound, Some(io::ErrorKind::InvalidData)));
        assert!(refused.0.get().is_none());
    }
}

#[tokio::test]
async fn a_client_that_writes_hears_why_it_was_refused() {
    let (mut client, server) = duplex(64);
    let (mut guarded, _) = guarded(server);
    let (mut first, mut room) = (vec![0; 64], Vec::new());
    client.write_all(b"GET /\r\n").await.unwrap();
    assert!(guarded.read(&mut first).await.unwrap() > 0);
    let serve = async {
        guarded.write_all(b"refused").await.unwrap();
        guarded.shutdown().await.unwrap();
        drop(guarded);
    };
    let call = async {
        client.write_all(&[b'x'; 10_000]).await.unwrap();
        client.read_to_end(&mut room).await.unwrap();
        drop(client);
    };
    tokio::join!(serve, call);
    assert_eq!(room, b"refused");
}

#[tokio::test]
async fn nobody_lingers_for_ever() {
    for flood in [false, true] {
        let (mut client, server) = duplex(64 << 10);
        let (mut guarded, _) = guarded(server);
        client.write_all(b"GET /\r\n").await.unwrap();
        assert!(guarded.read(&mut [0; 64]).await.unwrap() > 0);
        let call = async {
            let junk = [b'x'; 64 << 10];
            while flood && client.write_all(&junk).await.is_ok() {}
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = guarded.shutdown() => ended.unwrap(),
            () = call => {}
        }
    }
}

#[tokio::test]
async fn what_comes_before_an_answer_to_a_switch_is_no_request() {
    let asks = "GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
    let behind = "GET /b HTTP/1.1\r\nHost: b\r\n\r\n";
    for piece in [1, 7, 4_096] {
        let (mut client, server) = duplex(piece);
        let (mut guarded, refused) = guarded(server);
        let bytes = format!("{asks}{behind}");
        let write = async {
            // More than comes at once stays where it is.
            client.write_all(bytes.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        };
        let (mut got, mut room) = (Vec::new(), [0; 64]);
        let take = async {
            while got.len() < asks.len() {
                let taken = guarded.read(&mut room).await.unwrap();
                got.extend_from_slice(&room[..taken]);
            }
            // Nothing more is handed on, however often one asks.
            for _ in 0..8 {
                tokio::select! {
                    biased;
                    more = guarded.read(&mut room) => panic!("{more:?}"),
                    () = tokio::task::yield_now() => {}
                }
            }
        };
        tokio::select! {
            () = take => {}
            () = write => {}
        }
        assert_eq!((got.as_slice(), refused.0.get().is_none()), (asks.as_bytes(), true));
        let (early, _) = guarded.into_switched();
        assert!(behind.as_bytes().starts_with(&early) && early.len() <= piece.max(1), "{early:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_before_the_answer_is_gone() {
    let asks = b"GET /a HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    let (mut client, server) = duplex(4_096);
    let (mut guarded, _) = guarded(server);
    client.write_all(asks).await.unwrap();
    drop(client);
    let mut got = Vec::new();
    guarded.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, asks);
}
