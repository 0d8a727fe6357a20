//! A platform that ends its streams over HTTP/2 in ways of its own.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::Response;
use tokio::net::TcpListener;

use super::{BOTH, JSON, cut_off, plan};
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
