//! Replies that nobody reads, beside others on the same connection to the platform.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use http::Response;
use tokio::net::TcpListener;

use super::{BOTH, JSON, list, plan, released};
use crate::city::{ANY_PORT, Call, SURVEYOR, until};

/// How many do not read.
const READERS: usize = 24;
/// How much of each reply comes to the gate all the same.
const WINDOW: usize = 256 << 10;

/// A platform that speaks HTTP/2 and answers without an end where the path says so, and how much it could send there.
async fn platform() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let (at, sent) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sent = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    if request.uri().path().ends_with("/endless") {
                        tokio::spawn(endless(respond, Arc::clone(&sent)));
                    } else {
                        let mut stream = begun(respond);
                        stream.send_data(list(1).into(), true).unwrap();
                    }
                }
            });
        }
    });
    (at, sent)
}

fn begun(mut respond: SendResponse<Bytes>) -> h2::SendStream<Bytes> {
    let head = Response::builder().header(JSON.0, JSON.1).body(()).unwrap();
    respond.send_response(head, false).unwrap()
}

async fn endless(respond: SendResponse<Bytes>, sent: Arc<AtomicUsize>) {
    let mut stream = begun(respond);
    loop {
        stream.reserve_capacity(16 << 10);
        let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        stream.send_data(vec![b'x'; room].into(), false).unwrap();
        sent.fetch_add(room, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_those_who_do_not_read() {
    for http in BOTH {
        let (at, sent) = platform().await;
        let plan = plan().config("response_timeout = \"10s\"", "response_timeout = \"10s\"\nhttp2 = true");
        let city = plan.start_before(at).await;
        let mut unread = Vec::new();
        for _ in 0..READERS {
            let connection = city.client(SURVEYOR).connect(http).await.unwrap();
            let call = Call::survey("/_file/endless");
            unread.push((connection.send(call.request(city.files())).await.unwrap(), connection));
        }
        until("each to have its share", async || {
            (sent.load(Ordering::Relaxed) >= READERS * WINDOW).then_some(())
        })
        .await;
        let reply = city.call(Call::survey("/_x/small").over(http)).await;
        reply.assert_data();
        assert_eq!(reply.text(), released(1), "{http:?}");
    }
}
