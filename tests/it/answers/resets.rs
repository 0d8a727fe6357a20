//! A platform that ends its streams over HTTP/2 in ways of its own.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{BOTH, JSON, SECRETS, cut_off, plan, refused};
use crate::city::{ANY_PORT, Call, City, SURVEY, SURVEYOR, whole};

/// A gate before a platform that speaks HTTP/2 and does the same with every request.
async fn city<A>(answer: fn(SendResponse<Bytes>) -> A) -> City
where
    A: Future<Output = ()> + Send + 'static,
{
    let plan = plan().config("response_timeout = \"10s\"", "response_timeout = \"10s\"\nhttp2 = true");
    plan.start_before(platform(answer).await).await
}

async fn platform<A>(answer: fn(SendResponse<Bytes>) -> A) -> SocketAddr
where
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, respond))) = connection.accept().await {
                    tokio::spawn(answer(respond));
                }
            });
        }
    });
    at
}

/// Sends more than fits into the windows of a stream, so that some of it has gone when the stream does.
async fn file(mut respond: SendResponse<Bytes>) -> SendStream<Bytes> {
    let head = Response::builder().header(JSON.0, JSON.1).body(()).unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    for _ in 0..300 {
        let mut rest = Bytes::from_static(&[b'x'; 64 << 10]);
        while !rest.is_empty() {
            stream.reserve_capacity(rest.len());
            let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return stream };
            stream.send_data(rest.split_to(room.min(rest.len())), false).unwrap();
        }
    }
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_given_up_is_no_whole_answer() {
    let without_error = city(|respond| async { file(respond).await.send_reset(Reason::NO_ERROR) }).await;
    let with_error = city(|respond| async { file(respond).await.send_reset(Reason::INTERNAL_ERROR) }).await;
    for city in [without_error, with_error] {
        for http in BOTH {
            let (body, _) = cut_off(&city, http, Call::survey("/_file/large"), "upstream-broken").await;
            assert!(!body.is_empty(), "{http:?}");
        }
    }
}

/// The head says that nothing follows, and the stream does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_that_it_is_empty_is_empty() {
    let city = city(|mut respond| async move {
        let head = Response::builder().status(201).header("content-length", "0").body(()).unwrap();
        let _open = respond.send_response(head, false).unwrap();
        std::future::pending().await
    })
    .await;
    for http in BOTH {
        let reply = city.call(Call::post(SURVEYOR, SURVEY, "/_post/it", whole("{}")).over(http)).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (201, 0), "{http:?}: {}", reply.text());
    }
}

/// A platform that ends each connection with a GOAWAY (RFC 9113, section 6.8) that says why in words of its own.
async fn parting(words: String) -> SocketAddr {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let words = words.clone();
            tokio::spawn(async move {
                // What begins a connection, and then frames up to the head of a request.
                let mut preface = [0; 24];
                stream.read_exact(&mut preface).await.unwrap();
                stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
                let mut head = [0; 9];
                while stream.read_exact(&mut head).await.is_ok() {
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                    let mut payload = vec![0; usize::try_from(length).unwrap()];
                    stream.read_exact(&mut payload).await.unwrap();
                    if head[3] == 1 {
                        break;
                    }
                }
                // INTERNAL_ERROR, and no stream was looked at.
                let payload = [&[0, 0, 0, 0, 0, 0, 0, 2], words.as_bytes()].concat();
                let length = u8::try_from(payload.len()).unwrap();
                let frame = [&[0, 0, length, 7, 0, 0, 0, 0, 0][..], &payload].concat();
                stream.write_all(&frame).await.unwrap();
                let mut rest = Vec::new();
                let _ended = stream.read_to_end(&mut rest).await;
            });
        }
    });
    at
}

/// What a platform says as it hangs up may be the very data that is masked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_with_which_a_connection_ends_stay_out_of_the_log() {
    let words = format!("no row for phone={} in resident", SECRETS[0]);
    let plan = plan().config("response_timeout = \"10s\"", "response_timeout = \"10s\"\nhttp2 = true");
    let city = plan.start_before(parting(words).await).await;
    refused(&city, Call::survey("/_x/any"), (502, "upstream-invalid")).await;
    let log = city.gate.log_text();
    assert!(log.contains("forwarding failed"), "{log}");
    assert!(!log.contains(SECRETS[0]), "the log holds a number of the platform's: {log}");
}
