//! Requests and their answers: `POST /add-checkpoint`, `GET /<origin hash>/checkpoint`, `GET /healthz`.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::store::{NotCosigned, Store};
use crate::kernel::diagnostic::chain;
use crate::kernel::time::Clock;
use crate::tlog::witness::{Cosigned, MAX_REQUEST_BYTES, Refusal, Request as AddCheckpoint, Witness};

/// From the head of a request to the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of what a stranger sent is logged, in characters.
const MAX_LOGGED: usize = 128;

const TEXT: &str = "text/plain; charset=utf-8";
/// The size of the head that was cosigned last, in a 409.
const SIZE: &str = "text/x.tlog.size";

/// Answers requests.
pub(super) struct Answerer {
    witness: Witness,
    store: Store,
    clock: Arc<dyn Clock>,
    /// The last second in which a stranger's request was logged, by the monotonic clock, counted from 1.
    strangers: AtomicU64,
    /// The same of forks, so that no stranger hides one.
    forks: AtomicU64,
}

impl Answerer {
    pub(super) fn new(witness: Witness, store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { witness, store, clock, strangers: AtomicU64::new(0), forks: AtomicU64::new(0) }
    }

    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/add-checkpoint" if *request.method() == Method::POST => self.add_checkpoint(request).await,
            "/add-checkpoint" => not_allowed("POST"),
            _ if !is_read => not_allowed("GET, HEAD"),
            "/healthz" => reply(StatusCode::OK, TEXT, "ok\n"),
            path => self.checkpoint(path),
        }
    }

    /// The head that was cosigned last of a log, for monitors.
    fn checkpoint(&self, path: &str) -> Response<Full<Bytes>> {
        let hash = path.strip_prefix('/').and_then(|path| path.strip_suffix("/checkpoint"));
        match hash.and_then(|hash| self.store.latest(hash)) {
            Some(note) => reply(StatusCode::OK, TEXT, note.as_bytes().to_vec()),
            None => reply(StatusCode::NOT_FOUND, TEXT, "not found\n"),
        }
    }

    async fn add_checkpoint(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let body = Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect();
        let body = match tokio::time::timeout(BODY_TIMEOUT, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return reply(StatusCode::PAYLOAD_TOO_LARGE, TEXT, "the request is too long\n");
            }
            Ok(Err(_)) => return reply(StatusCode::BAD_REQUEST, TEXT, "the request ended early\n"),
            Err(_elapsed) => return reply(StatusCode::REQUEST_TIMEOUT, TEXT, "the request took too long\n"),
        };
        let request = match AddCheckpoint::parse(&body) {
            Ok(request) => request,
            Err(refusal) => return self.refused(None, &refusal),
        };
        // Signatures are checked and files synced where other connections do not wait for it.
        let decided = tokio::task::spawn_blocking(move || self.decide(&request));
        decided.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a decision was not made");
            reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the decision was not made\n")
        })
    }

    fn decide(&self, request: &AddCheckpoint) -> Response<Full<Bytes>> {
        match self.store.cosign(&self.witness, request, self.clock.now()) {
            Ok(Cosigned { line, .. }) => reply(StatusCode::OK, TEXT, line),
            Err(NotCosigned::Refused(refusal)) => self.refused(Some(request), &refusal),
            Err(NotCosigned::Forked { refusal, evidence }) => self.forked(request, &refusal, evidence),
            Err(error @ (NotCosigned::Unkept(_) | NotCosigned::Uncertain)) => {
                let origin = request.checkpoint().origin.as_str();
                tracing::error!(origin, error = chain(&error), "not cosigned");
                reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{error}\n"))
            }
        }
    }

    /// Says and logs why a head is not cosigned.
    fn refused(&self, request: Option<&AddCheckpoint>, refusal: &Refusal) -> Response<Full<Bytes>> {
        let origin = request.map_or("", |request| request.checkpoint().origin.as_str());
        let why = match refusal {
            Refusal::Malformed(why) => why,
            Refusal::Unsigned(_) => "no good signature by a key of this log",
            Refusal::UnknownLog(_) => "an unknown log",
            Refusal::Conflict { .. } => "a proof from another head than the one that was cosigned last",
            // Whoever has seen a head can put a proof before it that does not hold.
            Refusal::Inconsistent { .. } => "a proof that does not hold",
            Refusal::Forked { .. } => "two histories",
            Refusal::Unable(error) => {
                tracing::error!(origin, %error, "the witness cannot sign");
                return said(refusal);
            }
        };
        if is_first_in_second(&self.strangers, &*self.clock) {
            let origin: String = origin.chars().take(MAX_LOGGED).collect();
            tracing::info!(?origin, why, status = refusal.status(), "refused");
        }
        said(refusal)
    }

    /// Says and logs that a log has two histories, as only who has its key can bring about.
    fn forked(
        &self,
        request: &AddCheckpoint,
        refusal: &Refusal,
        evidence: io::Result<Option<PathBuf>>,
    ) -> Response<Full<Bytes>> {
        let is_new = !matches!(evidence, Ok(None));
        // Anyone can send again what the log has signed once.
        if is_first_in_second(&self.forks, &*self.clock) || is_new {
            let evidence = match evidence {
                Ok(Some(path)) => path.display().to_string(),
                Ok(None) => "kept before".to_owned(),
                Err(error) => format!("cannot be kept: {error}"),
            };
            let (checkpoint, old, status) = (request.checkpoint(), request.old, refusal.status());
            let (origin, new) = (checkpoint.origin.as_str(), checkpoint.size);
            tracing::warn!(origin, old, new, evidence, status, "refused: the log has two histories");
        }
        said(refusal)
    }
}

/// Whether nothing was logged yet in this second, of what anyone can bring about: so nobody outside fills the
/// log. `last` is the last second in which something was.
fn is_first_in_second(last: &AtomicU64, clock: &dyn Clock) -> bool {
    let second = clock.monotonic().as_secs().saturating_add(1);
    last.fetch_max(second, Ordering::Relaxed) < second
}

/// What is answered instead of a cosignature.
fn said(refusal: &Refusal) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match refusal {
        Refusal::Conflict { latest, .. } => reply(status, SIZE, format!("{latest}\n")),
        Refusal::Forked { at, .. } if status == StatusCode::CONFLICT => {
            reply(status, SIZE, format!("{at}\n"))
        }
        Refusal::Malformed(_)
        | Refusal::Unsigned(_)
        | Refusal::UnknownLog(_)
        | Refusal::Inconsistent { .. }
        | Refusal::Forked { .. }
        | Refusal::Unable(_) => reply(status, TEXT, format!("{refusal}\n")),
    }
}

fn not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "method not allowed\n");
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
    response
}

fn reply(status: StatusCode, media_type: &'static str, page: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(page.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    response
}
