//! A platform that answers with long bodies, made up as they are asked for.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::format::{FORMATS, Format};
use crate::city::ANY_PORT;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is whole.
    Whole,
    /// It is whole, and short.
    Small,
    /// The connection breaks.
    Dies,
    /// It is shorter than was said.
    Short,
    /// Something follows that is of no format.
    Spoiled,
}

impl Ending {
    const ALL: [Self; 5] = [Self::Whole, Self::Small, Self::Dies, Self::Short, Self::Spoiled];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Small => "small",
            Self::Dies => "dies",
            Self::Short => "short",
            Self::Spoiled => "spoiled",
        }
    }
}

pub(super) struct Platform {
    pub(super) address: SocketAddr,
    /// The bytes that were taken from it.
    pub(super) sent: Arc<AtomicU64>,
}

impl Platform {
    /// Answers with bodies of at least `size` bytes, until the test ends.
    pub(super) async fn start(size: u64) -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let (address, sent) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&sent);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let reply = answer(&request, size, &counter);
                        async move { Ok::<_, Infallible>(reply) }
                    });
                    // A connection that was broken on purpose is as good as one that ended.
                    let _end = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, sent }
    }
}

fn answer(request: &Request<Incoming>, size: u64, sent: &Arc<AtomicU64>) -> Response<Long> {
    let mut segments = request.uri().path().trim_start_matches('/').split('/').skip(1);
    let name = segments.next().unwrap();
    let format = FORMATS.iter().find(|format| format.name == name).unwrap();
    let ending = segments.next().unwrap();
    let ending = Ending::ALL.into_iter().find(|one| one.as_str() == ending).unwrap();
    let size = if ending == Ending::Small { format.small() } else { size };
    let body = Long::new(format, size, ending, Arc::clone(sent));
    Response::builder().header(header::CONTENT_TYPE, format.media_type).body(body).unwrap()
}

/// A body that is made up as it is asked for.
struct Long {
    block: Bytes,
    blocks: u64,
    head: Option<Bytes>,
    tail: Option<Result<Bytes, io::Error>>,
    length: Option<u64>,
    sent: Arc<AtomicU64>,
}

impl Long {
    fn new(format: &'static Format, size: u64, ending: Ending, sent: Arc<AtomicU64>) -> Self {
        let tail = match ending {
            Ending::Whole | Ending::Small => Ok(format.tail.into()),
            Ending::Dies => Err(io::Error::other("the platform dies")),
            // Less than was said, which breaks the connection.
            Ending::Short => Ok(Bytes::new()),
            Ending::Spoiled => Ok(Bytes::from_static(b"\x01 13800138000")),
        };
        let missing = if matches!(ending, Ending::Short | Ending::Dies) { 100 } else { 0 };
        let length = format.length(size) + missing;
        Self {
            block: format.block.as_bytes().into(),
            blocks: format.blocks(size),
            head: Some(format.head.into()),
            tail: Some(tail),
            length: (format.tells_length && ending != Ending::Spoiled || ending == Ending::Short)
                .then_some(length),
            sent,
        }
    }
}

impl Body for Long {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = match self.head.take() {
            Some(head) => head,
            None if self.blocks > 0 => {
                self.blocks -= 1;
                self.block.clone()
            }
            None => match self.tail.take() {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(tail)) if tail.is_empty() => return Poll::Ready(None),
                Some(Ok(tail)) => tail,
            },
        };
        self.sent.fetch_add(u64::try_from(next.len()).unwrap(), Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(next))))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
