//! Requests and their answers: `POST /add-checkpoint`, `GET /<origin hash>/checkpoint`, `GET /healthz`.

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
    logged_at: AtomicU64,
}

impl Answerer {
    pub(super) fn new(witness: Witness, store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { witness, store, clock, logged_at: AtomicU64::new(0) }
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
            Ok(Cosigned { checkpoint, line, .. }) => {
                let (origin, size) = (checkpoint.origin.as_str(), checkpoint.size);
                tracing::info!(origin, size, old = request.old, root = %checkpoint.root, "cosigned");
                reply(StatusCode::OK, TEXT, line)
            }
            Err(NotCosigned::Refused(refusal)) => self.refused(Some(request), &refusal),
            Err(error @ (NotCosigned::Unkept(_) | NotCosigned::Uncertain)) => {
                let origin = request.checkpoint().origin.as_str();
                tracing::error!(origin, error = chain(&error), "not cosigned");
                reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{error}\n"))
            }
        }
    }

    /// Says and logs why a head is not cosigned. Keeps what may prove that a log misbehaves.
    fn refused(&self, request: Option<&AddCheckpoint>, refusal: &Refusal) -> Response<Full<Bytes>> {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let origin = request.map_or("", |request| request.checkpoint().origin.as_str());
        match refusal {
            Refusal::Malformed(why) => self.log_stranger(origin, status, why),
            Refusal::Unsigned(_) => {
                self.log_stranger(origin, status, "no good signature by a key of this log")
            }
            Refusal::UnknownLog(_) => self.log_stranger(origin, status, "an unknown log"),
            Refusal::Conflict { latest, old } => {
                tracing::info!(origin, latest, old, status = status.as_u16(), "refused");
                return reply(status, SIZE, format!("{latest}\n"));
            }
            Refusal::Inconsistent { old, new } => {
                let kept = request.map(|request| self.store.keep_evidence(origin, request));
                let evidence = match kept {
                    Some(Ok(Some(path))) => path.display().to_string(),
                    Some(Ok(None)) | None => "kept before".to_owned(),
                    Some(Err(error)) => format!("cannot be kept: {error}"),
                };
                let status = status.as_u16();
                tracing::warn!(origin, old, new, evidence, status, "refused: the log does not continue");
            }
            Refusal::Unable(error) => tracing::error!(origin, %error, "the witness cannot sign"),
        }
        reply(status, TEXT, format!("{refusal}\n"))
    }

    /// Logs what anyone can bring about, once a second, so that nobody outside fills the log.
    fn log_stranger(&self, origin: &str, status: StatusCode, why: &str) {
        let second = self.clock.monotonic().as_secs().saturating_add(1);
        if self.logged_at.fetch_max(second, Ordering::Relaxed) < second {
            let origin: String = origin.chars().take(MAX_LOGGED).collect();
            tracing::info!(?origin, why, status = status.as_u16(), "refused");
        }
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
