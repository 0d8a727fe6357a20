//! The resources' routes, as the exchange platform would answer them.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::body::{ReplyBody, sized, whole};
use super::envelope::{Page, ShelfOf, refusal, single};
use super::query::{Query, QueryError, decoded};
use super::received::Ticket;
use super::{affordances, leads};
use crate::demo::people::{Data, Record};
use crate::kernel::id::Digest;

/// Records on a page unless `size` says otherwise.
const DEFAULT_PAGE: usize = 20;
/// The most records that `size` may ask for.
pub(super) const MAX_PAGE: usize = 10_000;
/// The longest body of `POST /population/verify`, in bytes.
const MAX_VERIFY_BYTES: usize = 64 << 10;

/// A reply, its body not yet sent.
pub(super) type Reply = Response<ReplyBody>;

/// The connection ends here without a reply, or without the rest of one.
#[derive(Debug, thiserror::Error)]
#[error("the connection was dropped without a reply")]
pub(super) struct Dropped;

/// What the platform answers from.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) data: Arc<Data>,
    /// Ends stalled replies.
    pub(super) stop: CancellationToken,
    /// The reply of `/_test/1k`.
    pub(super) one_kib: Bytes,
    /// Rendered residents for `/_test/bytes`.
    pub(super) rendered: Arc<[Bytes]>,
}

/// What a request asks for, apart from its body.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) query: Query,
    pub(super) path_and_query: String,
    if_none_match: Option<HeaderValue>,
    pretty: bool,
}

impl Exchange {
    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>, ticket: &Ticket) -> Result<Reply, Dropped> {
        let path = request.uri().path().to_owned();
        let segments: Vec<String> = path.trim_start_matches('/').split('/').map(decoded).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let asked = Asked::of(&request);
        if let ["_test", name, rest @ ..] = segments.as_slice() {
            return affordances::answer(self, name, rest, &asked, request, ticket).await;
        }
        if segments.as_slice() == ["population", "verify"] {
            return self.verify(request, ticket).await;
        }
        if segments.as_slice() == ["aid", "leads"] {
            return leads::take(self, request, ticket).await;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(method_not_allowed("GET, HEAD"));
        }
        Ok(match segments.as_slice() {
            ["population", "residents"] => self.list(&asked, |data| &data.residents),
            ["population", "residents", key] => self.one(&asked, self.data.residents.get(key)),
            ["population", "adoptions"] => self.list(&asked, |data| &data.adoptions),
            ["legal", "enterprises"] => self.list(&asked, |data| &data.enterprises),
            ["legal", "enterprises", key] => self.one(&asked, self.data.enterprises.get(key)),
            ["licences"] => self.list(&asked, |data| &data.licences),
            ["licences", key] => self.one(&asked, self.data.licences.get(key)),
            ["spatial", "parcels"] => self.list(&asked, |data| &data.parcels),
            _ => json(StatusCode::NOT_FOUND, refusal(404, "无此接口")),
        })
    }

    fn list<R: Record>(&self, asked: &Asked, shelf: ShelfOf<R>) -> Reply {
        let (places, total, number) = match self.page(asked, shelf) {
            Ok(page) => page,
            Err(error) => return json(StatusCode::BAD_REQUEST, refusal(400, &error.to_string())),
        };
        let etag = match self.etag(asked) {
            Ok(etag) => etag,
            Err(not_modified) => return not_modified,
        };
        let page = Page {
            data: Arc::clone(&self.data),
            shelf,
            places: places.into_iter(),
            total,
            number,
            pretty: asked.pretty,
        };
        let mut reply = json_body(StatusCode::OK, sized(page.into_steps()));
        reply.headers_mut().insert(ETAG, etag);
        reply
    }

    /// Places of the records on the page that is asked for, how many match in all, the page's number.
    fn page<R: Record>(
        &self,
        asked: &Asked,
        shelf: ShelfOf<R>,
    ) -> Result<(Vec<usize>, usize, usize), QueryError> {
        let area = asked.query.text("area")?.unwrap_or("");
        let year: Option<u16> = asked.query.number("year")?;
        let kind = asked.query.text("kind")?;
        let number: usize = asked.query.number("page")?.unwrap_or(1).max(1);
        let size: usize = asked.query.number("size")?.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
        let matches = |record: &R| {
            record.ext().area_code.starts_with(area)
                && year.is_none_or(|year| record.ext().year == year)
                && kind.is_none_or(|kind| record.kind() == Some(kind))
        };
        let records = shelf(&self.data).records().iter().enumerate();
        let mut total = 0;
        let mut places = Vec::new();
        let before = (number - 1).saturating_mul(size);
        for (place, _) in records.filter(|(_, record)| matches(record)) {
            if total >= before && places.len() < size {
                places.push(place);
            }
            total += 1;
        }
        Ok((places, total, number))
    }

    fn one<R: Record>(&self, asked: &Asked, record: Option<&R>) -> Reply {
        let Some(record) = record else {
            return json(StatusCode::NOT_FOUND, refusal(404, "无此记录"));
        };
        let etag = match self.etag(asked) {
            Ok(etag) => etag,
            Err(not_modified) => return not_modified,
        };
        match single(record, asked.pretty) {
            Ok(bytes) => {
                let mut reply = json(StatusCode::OK, bytes);
                reply.headers_mut().insert(ETAG, etag);
                reply
            }
            Err(_) => json(StatusCode::INTERNAL_SERVER_ERROR, refusal(500, "内部错误")),
        }
    }

    /// The reply's entity tag, or the 304 for a client that has it already.
    ///
    /// The records never change, so the seed and the target decide the bytes.
    fn etag(&self, asked: &Asked) -> Result<HeaderValue, Reply> {
        let text = format!("{}/{:?}/{}", self.data.seed(), self.data.counts(), asked.path_and_query);
        let hex: String = Digest::of(text.as_bytes()).to_hex().chars().take(32).collect();
        let etag = HeaderValue::from_str(&format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"0\""));
        let is_known =
            asked.if_none_match.as_ref().and_then(|value| value.to_str().ok()).is_some_and(|known| {
                known
                    .split(',')
                    .map(|one| one.trim().trim_start_matches("W/"))
                    .any(|one| one == "*" || one == etag)
            });
        if !is_known {
            return Ok(etag);
        }
        let mut reply = Response::new(whole(Bytes::new()));
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        reply.headers_mut().insert(ETAG, etag);
        Err(reply)
    }

    /// `POST /population/verify`: whether a name and a number belong together.
    async fn verify(&self, request: Request<Incoming>, ticket: &Ticket) -> Result<Reply, Dropped> {
        #[derive(Deserialize)]
        struct Claim {
            name: String,
            id_card: String,
        }
        if request.method() != Method::POST {
            return Ok(method_not_allowed("POST"));
        }
        let body = match Limited::new(request.into_body(), MAX_VERIFY_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                return Ok(json(StatusCode::PAYLOAD_TOO_LARGE, refusal(413, "请求体过大")));
            }
            Err(_) => return Err(Dropped),
        };
        ticket.body_ended(u64::try_from(body.len()).unwrap_or(u64::MAX));
        let Ok(claim) = serde_json::from_slice::<Claim>(&body) else {
            return Ok(json(StatusCode::BAD_REQUEST, refusal(400, "请求体应为含 name、id_card 的 JSON")));
        };
        let is_match =
            self.data.residents.get(&claim.id_card).is_some_and(|resident| resident.name == claim.name);
        let reply = serde_json::json!({ "code": 0, "message": "成功", "data": { "match": is_match } });
        Ok(json(StatusCode::OK, reply.to_string()))
    }
}

impl Asked {
    fn of(request: &Request<Incoming>) -> Self {
        let query = Query::parse(request.uri().query());
        Self {
            pretty: matches!(query.text("pretty"), Ok(Some("1" | "true"))),
            query,
            path_and_query: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
            if_none_match: request.headers().get(IF_NONE_MATCH).cloned(),
        }
    }
}

/// A JSON reply of bytes at hand.
pub(super) fn json(status: StatusCode, bytes: impl Into<Bytes>) -> Reply {
    json_body(status, whole(bytes))
}

/// A JSON reply.
pub(super) fn json_body(status: StatusCode, body: ReplyBody) -> Reply {
    typed(status, "application/json; charset=utf-8", body)
}

/// A reply of some media type.
pub(super) fn typed(status: StatusCode, media_type: &'static str, body: ReplyBody) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    reply
}

/// 405 with the methods that would be right.
pub(super) fn method_not_allowed(allowed: &'static str) -> Reply {
    let mut reply = json(StatusCode::METHOD_NOT_ALLOWED, refusal(405, "方法不允许"));
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}
