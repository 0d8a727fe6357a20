//! The listeners of operators: `/metrics` and probes over HTTP, reload and what is logged over a Unix socket.
//!
//! Knows nothing of how a reload is done, what may be logged or what readiness means; it asks [`Operations`].

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::coding::{Accepted, Coding, Encoder};
use crate::kernel::time::Timestamp;
use crate::listening::{self, ACCEPT_REST, Patience, Places};

/// Open connections to one of these listeners; more are closed at once.
const MAX_CONNECTIONS: usize = 64;

/// Of those, from one address, or from one network of a subscriber: a probe from elsewhere finds a place.
const MAX_OF_ONE: usize = 16;

/// How long an operator is waited for: a reload may take its time, and goes with its connection.
const PATIENCE_WITH_OPERATORS: Patience = Patience { age: Duration::from_secs(60 * 60), ..Patience::USUAL };

/// The longest body of a request, and how long it may take to come.
const MAX_BODY_BYTES: usize = 4096;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that something is logged for a while.
pub const MAX_WHILE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a reload came to.
#[derive(Debug, Clone)]
pub enum Reloaded {
    /// The new snapshot is live.
    Applied {
        /// Its revision.
        revision: u64,
        /// The digest of its policy directory.
        policy: String,
        /// The digest of the candidate policy beside it, if one is evaluated.
        shadow: Option<String>,
        /// What was worth a warning.
        warnings: String,
        /// The sections that are others than at the start, and that only a start changes.
        restart: Vec<&'static str>,
    },
    /// Something was wrong, and the old one stays.
    Refused {
        /// Everything that was wrong.
        report: String,
    },
}

/// Whether the gate takes work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not, and why.
    Unready(String),
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The filter that counts.
    pub log: String,
    /// The one that the configuration says.
    pub configured: String,
    /// Until when it counts, and which one does then; `None` until the end of the process.
    pub until: Option<(Timestamp, String)>,
}

/// What an operator wants to be logged: the body of `PUT /log`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogWish {
    /// The filter; what the configuration says where it is left out.
    #[serde(default)]
    pub log: Option<String>,
    /// For how long; for good where it is left out.
    #[serde(default)]
    pub for_seconds: Option<u64>,
}

/// What operators may ask of a gate.
pub trait Operations: Send + Sync + 'static {
    /// Builds everything anew and swaps it in, or says what is wrong. `actor` stands in the record.
    fn reload(&self, actor: String) -> Pin<Box<dyn Future<Output = Reloaded> + Send + '_>>;
    /// What is logged.
    fn logged(&self) -> Logged;
    /// Logs something else once that is on record, or says why not. `actor` stands in the record.
    fn log(
        &self,
        wish: LogWish,
        actor: String,
    ) -> Pin<Box<dyn Future<Output = Result<Logged, String>> + Send + '_>>;
    /// Whether the gate takes work.
    fn readiness(&self) -> Readiness;
    /// The page for Prometheus.
    fn metrics(&self) -> Result<Vec<u8>, String>;
}

/// Whom the system names at the other end of the admin socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Operator {
    uid: u32,
    /// Not every system tells it.
    pid: Option<i32>,
}

impl Operator {
    /// As records name it.
    fn actor(self) -> String {
        match self.pid {
            Some(pid) => format!("uid {} pid {pid}", self.uid),
            None => format!("uid {}", self.uid),
        }
    }
}

/// Which pages a listener has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// Anyone who can reach the address: reads only.
    Anyone,
    /// Whoever may open the socket.
    Operator(Operator),
}

/// Serves `/metrics`, `/healthz`, `/readyz` and `/version` until `stop`.
pub async fn serve_metrics(
    listener: TcpListener,
    operations: Arc<dyn Operations>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Places::new(MAX_CONNECTIONS, MAX_OF_ONE));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                let Some(place) = places.enter(remote.ip()) else { continue };
                connection(stream, Audience::Anyone, &operations, &tasks, &stop, place);
            }
            Err(_) => tokio::time::sleep(ACCEPT_REST).await,
        }
    }
}

/// Serves `POST /reload`, `GET` and `PUT /log`, and the pages of [`serve_metrics`], until `stop`. The socket's mode decides who
/// may connect; whoever does is named in the record.
pub async fn serve_admin(
    listener: UnixListener,
    operations: Arc<dyn Operations>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _address)) => match stream.peer_cred() {
                Ok(peer) => {
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                    let audience = Audience::Operator(Operator { uid: peer.uid(), pid: peer.pid() });
                    connection(stream, audience, &operations, &tasks, &stop, place);
                }
                Err(error) => tracing::warn!(%error, "a connection to the admin socket names nobody"),
            },
            Err(_) => tokio::time::sleep(ACCEPT_REST).await,
        }
    }
}

fn connection<S>(
    stream: S,
    audience: Audience,
    operations: &Arc<dyn Operations>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
    place: impl Send + 'static,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (operations, stop) = (Arc::clone(operations), stop.clone());
    let changes = tasks.clone();
    tasks.spawn(async move {
        let answer = |request| {
            let (operations, changes) = (Arc::clone(&operations), changes.clone());
            async move { answer(request, audience, &operations, &changes).await }
        };
        let patience = match audience {
            Audience::Anyone => Patience::USUAL,
            Audience::Operator(_) => PATIENCE_WITH_OPERATORS,
        };
        if let Err(error) = listening::serve(stream, patience, &stop, answer).await {
            tracing::debug!(%error, "an operator's connection ended badly");
        }
        drop(place);
    });
}

async fn answer(
    request: Request<Incoming>,
    audience: Audience,
    operations: &Arc<dyn Operations>,
    changes: &TaskTracker,
) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match (request.uri().path(), audience) {
        ("/reload", Audience::Operator(operator)) if *request.method() == Method::POST => {
            reloaded(operations.reload(operator.actor()).await)
        }
        ("/log", Audience::Operator(_)) if is_read => logged(&operations.logged()),
        ("/log", Audience::Operator(operator)) if *request.method() == Method::PUT => {
            let changed = match wish_in(request).await {
                Ok(wish) => change_log(wish, operator, operations, changes).await,
                Err(report) => Err(report),
            };
            match changed {
                Ok(now) => logged(&now),
                Err(report) => {
                    let page = serde_json::json!({ "applied": false, "report": report });
                    page_of(StatusCode::BAD_REQUEST, "application/json", page.to_string() + "\n")
                }
            }
        }
        ("/metrics", _) if is_read => match operations.metrics() {
            Ok(page) => metrics_page(request.headers(), page),
            Err(error) => page_of(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error + "\n"),
        },
        ("/healthz", _) if is_read => page_of(StatusCode::OK, "text/plain", "ok\n"),
        ("/readyz", _) if is_read => match operations.readiness() {
            Readiness::Ready => page_of(StatusCode::OK, "text/plain", "ready\n"),
            Readiness::Unready(why) => page_of(StatusCode::SERVICE_UNAVAILABLE, "text/plain", why + "\n"),
        },
        ("/version", _) if is_read => {
            page_of(StatusCode::OK, "text/plain", concat!("pinegate ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        ("/reload" | "/log" | "/metrics" | "/healthz" | "/readyz" | "/version", _) => {
            page_of(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "method not allowed\n")
        }
        _ => page_of(StatusCode::NOT_FOUND, "text/plain", "not found\n"),
    }
}

/// The page for Prometheus, which takes it compressed: a city's thousands of series are a twentieth of it so.
fn metrics_page(asked: &HeaderMap, page: Vec<u8>) -> Response<Full<Bytes>> {
    const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
    let values = asked.get_all(header::ACCEPT_ENCODING).iter();
    let accepted = Accepted::of(values.map(|value| value.to_str().unwrap_or("?;")));
    let mut packed = Vec::new();
    let mut encoder = Encoder::new(Coding::Gzip);
    let is_packed = accepted.accepts(Coding::Gzip)
        && encoder.push(&page, &mut packed).and_then(|()| encoder.finish(&mut packed)).is_ok();
    let mut response = page_of(StatusCode::OK, TYPE, if is_packed { packed } else { page });
    let headers = response.headers_mut();
    headers.insert(header::VARY, header::HeaderValue::from_static("accept-encoding"));
    if is_packed {
        let name = header::HeaderValue::from_static(Coding::Gzip.as_str());
        headers.insert(header::CONTENT_ENCODING, name);
    }
    response
}

fn reloaded(reloaded: Reloaded) -> Response<Full<Bytes>> {
    let (status, page) = match reloaded {
        Reloaded::Applied { revision, policy, shadow, warnings, restart } => {
            let mut page = serde_json::json!({
                "applied": true, "revision": revision, "policy": policy, "report": warnings,
                "restart": restart,
            });
            if let (Some(shadow), Some(page)) = (shadow, page.as_object_mut()) {
                page.insert("shadow".to_owned(), shadow.into());
            }
            (StatusCode::OK, page)
        }
        Reloaded::Refused { report } => {
            (StatusCode::CONFLICT, serde_json::json!({ "applied": false, "report": report }))
        }
    };
    page_of(status, "application/json", page.to_string() + "\n")
}

/// Changes what is logged. Goes on if the operator hangs up: what is on record takes effect.
async fn change_log(
    wish: LogWish,
    operator: Operator,
    operations: &Arc<dyn Operations>,
    changes: &TaskTracker,
) -> Result<Logged, String> {
    let operations = Arc::clone(operations);
    let change = changes.spawn(async move { operations.log(wish, operator.actor()).await });
    change.await.unwrap_or_else(|error| Err(error.to_string()))
}

/// What an operator wants to be logged.
async fn wish_in(request: Request<Incoming>) -> Result<LogWish, String> {
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect();
    let body = match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(body) => body.map_err(|error| format!("the body cannot be read: {error}"))?.to_bytes(),
        Err(_elapsed) => return Err("the body did not come in time".to_owned()),
    };
    serde_json::from_slice(&body)
        .map_err(|error| format!("expected `{{\"log\": \"debug\", \"for_seconds\": 600}}`: {error}"))
}

fn logged(logged: &Logged) -> Response<Full<Bytes>> {
    let Logged { log, configured, until } = logged;
    let mut page = serde_json::json!({ "log": log, "configured": configured });
    if let (Some((until, then)), Some(page)) = (until, page.as_object_mut()) {
        page.insert("until".to_owned(), until.to_string().into());
        page.insert("then".to_owned(), then.as_str().into());
    }
    page_of(StatusCode::OK, "application/json", page.to_string() + "\n")
}

fn page_of(status: StatusCode, media_type: &'static str, page: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(page.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpSocket, TcpStream};

    use super::*;
    use crate::kernel::id::{DepartmentId, ResourceId, SystemId};
    use crate::telemetry::{Metrics, Outcome, Refused};

    #[test]
    fn a_citys_page_is_small_for_who_takes_it_compressed() {
        let metrics = Metrics::new().unwrap();
        for n in 0..2_000_u32 {
            let resource = ResourceId::parse(&format!("class{}.resource{n}", n % 20)).unwrap();
            let counters = metrics.resource(Some(&resource));
            // Figures that do not repeat compress worst.
            for (spread, outcome) in (1..).zip(Outcome::ALL) {
                (0..n.wrapping_mul(2_654_435_761) >> (17 + spread)).for_each(|_| counters.count(*outcome));
            }
            counters.records.inc_by(u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
            counters.masked.inc_by(u64::from(n).wrapping_mul(0xd1b5_4a32_d192_ed03) >> 20);
            metrics
                .updated(&resource, Duration::from_secs(86_400))
                .set(1_700_000_000.0 + f64::from(n) * 977.0);
        }
        for n in 0..50 {
            let department = metrics.department(&DepartmentId::parse(&format!("dept:d{n}")).unwrap());
            for m in 0..10_u32 {
                let system = SystemId::parse(&format!("sys:d{n}-system{m}")).unwrap();
                let caller = metrics.caller(&system, &department);
                (0..m * 97).for_each(|_| caller.count(Outcome::Denied, Refused::Yes));
            }
        }
        let page = metrics.encode().unwrap();
        assert!(page.len() > 2 << 20, "{} bytes: not the page of a city", page.len());
        let length = |asked: &HeaderMap| {
            let answer = metrics_page(asked, page.clone());
            let coding = answer.headers().get(header::CONTENT_ENCODING).cloned();
            (coding, usize::try_from(answer.body().size_hint().exact().unwrap()).unwrap())
        };
        let mut asked = HeaderMap::new();
        assert_eq!(length(&asked), (None, page.len()));
        asked.insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static("gzip"));
        let (coding, packed) = length(&asked);
        assert_eq!(coding.unwrap(), "gzip");
        eprintln!("{} bytes, {packed} compressed", page.len());
        assert!(packed < 1 << 20, "{packed} bytes");
    }

    /// A gate that is never asked for anything but its health.
    struct Healthy;

    impl Operations for Healthy {
        fn reload(&self, _actor: String) -> Pin<Box<dyn Future<Output = Reloaded> + Send + '_>> {
            Box::pin(async { Reloaded::Refused { report: String::new() } })
        }
        fn logged(&self) -> Logged {
            Logged { log: String::new(), configured: String::new(), until: None }
        }
        fn log(
            &self,
            _wish: LogWish,
            _actor: String,
        ) -> Pin<Box<dyn Future<Output = Result<Logged, String>> + Send + '_>> {
            Box::pin(async { Err(String::new()) })
        }
        fn readiness(&self) -> Readiness {
            Readiness::Ready
        }
        fn metrics(&self) -> Result<Vec<u8>, String> {
            Ok(Vec::new())
        }
    }

    async fn connected(from: &str, to: std::net::SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap()
    }

    #[tokio::test]
    async fn a_probe_finds_a_place_whatever_one_address_holds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let served = TaskTracker::new().spawn(serve_metrics(
            listener,
            Arc::new(Healthy),
            TaskTracker::new(),
            stop.clone(),
        ));
        let mut held = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            held.push(connected("127.0.0.1", address).await);
        }
        let mut probe = connected("127.0.0.2", address).await;
        probe.write_all(b"GET /healthz HTTP/1.1\r\nhost: gate\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut reply = String::new();
        probe.read_to_string(&mut reply).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("ok\n"), "{reply}");
        stop.cancel();
        served.await.unwrap();
    }
}
