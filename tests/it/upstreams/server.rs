//! An endpoint of the platform whose mood a test changes while it runs, and which remembers what came.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::city::ANY_PORT;

/// What a platform that is well answers with.
pub(super) const DATA: &str = r#"{"code":0,"data":[{"name":"王小明"}]}"#;

/// How requests are answered.
#[derive(Debug, Clone)]
pub(super) enum Mood {
    Well,
    /// With this status and nothing else.
    Status(u16),
    /// The connection ends when the whole request is there.
    HangUp,
    /// When the test says so.
    Wait(Arc<Notify>),
}

/// A request that came: method, path, how much of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) length: usize,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<Vec<Came>>,
    connections: AtomicUsize,
    certificates: Mutex<Vec<Vec<u8>>>,
}

/// The endpoint.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) at: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    seen: Arc<Seen>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Server {
    pub(super) async fn start(mood: Mood) -> Self {
        Self::start_with(mood, None).await
    }

    pub(super) async fn start_with(mood: Mood, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let at = listener.local_addr().unwrap();
        let mut server = Self { at, mood: Arc::new(Mutex::new(mood)), seen: Arc::default(), task: None };
        server.serve(listener, tls);
        server
    }

    fn serve(&mut self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let (mood, seen) = (Arc::clone(&self.mood), Arc::clone(&self.seen));
        self.task = Some(tokio::spawn(async move {
            // Its connections end with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                seen.connections.fetch_add(1, Ordering::Relaxed);
                let (mood, seen, tls) = (Arc::clone(&mood), Arc::clone(&seen), tls.clone());
                connections.spawn(async move {
                    let Some(tls) = tls else { return converse(stream, &mood, &seen).await };
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                    seen.certificates.lock().unwrap().extend(shown.map(|der| der.to_vec()));
                    converse(stream, &mood, &seen).await;
                });
            }
        }));
    }

    /// Ends it and all its connections, as if its machine had gone.
    pub(super) async fn kill(&mut self) {
        let task = self.task.take().expect("it was killed already");
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }

    /// Starts it anew where it was.
    pub(super) async fn revive(&mut self) {
        let listener = TcpListener::bind(self.at).await.unwrap();
        self.serve(listener, None);
    }

    pub(super) fn feels(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// What came, checks left out.
    pub(super) fn came(&self) -> Vec<Came> {
        let all = self.seen.requests.lock().unwrap();
        all.iter().filter(|came| came.path != "/healthz").cloned().collect()
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// The certificates that the gate has shown, one for each connection.
    pub(super) fn certificates(&self) -> Vec<Vec<u8>> {
        self.seen.certificates.lock().unwrap().clone()
    }

    /// Where it is, as a configuration has it.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.at)
    }
}

async fn converse<S>(stream: S, mood: &Arc<Mutex<Mood>>, seen: &Arc<Seen>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mood, seen) = (Arc::clone(mood), Arc::clone(seen));
    let service = service_fn(move |request| answer(request, Arc::clone(&mood), Arc::clone(&seen)));
    // What a test does to it is what ends it badly.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    mood: Arc<Mutex<Mood>>,
    seen: Arc<Seen>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let length = body.collect().await.map_err(io::Error::other)?.to_bytes().len();
    let came = Came { method: head.method.to_string(), path: head.uri.path().to_owned(), length };
    seen.requests.lock().unwrap().push(came);
    let mood = mood.lock().unwrap().clone();
    let status = match mood {
        Mood::Well => 200,
        Mood::Status(status) => status,
        Mood::HangUp => return Err(io::Error::other("it hangs up")),
        Mood::Wait(until) => {
            until.notified().await;
            200
        }
    };
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from(DATA))).unwrap())
}
