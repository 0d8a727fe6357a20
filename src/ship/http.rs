//! A sink that takes `POST`s of newline-delimited JSON.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};

use super::batch::Batch;
use super::setup::{SetupError, client};
use super::sink::{Sink, SinkError, Taken};
use crate::config::SinkSettings;
use crate::kernel::secret::Secret;
use crate::kernel::time::{Clock, Timestamp};
use crate::upstream::{Client, ClientError};

/// How much of an answer is read, so that the connection can be used again.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Names a batch: who tried twice can be told from who sent twice.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What is sent (the media type has no registration, but the one name).
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
/// Who sends it.
pub(super) const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("pinegate/", env!("CARGO_PKG_VERSION")));

/// An HTTP sink.
#[derive(Debug)]
pub(super) struct HttpSink {
    client: Client<Full<Bytes>>,
    target: http::Uri,
    authorization: Option<HeaderValue>,
    clock: Arc<dyn Clock>,
}

impl HttpSink {
    pub(super) fn new(
        settings: &SinkSettings,
        url: &http::Uri,
        token: Option<&Secret>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, SetupError> {
        let client = client(url, settings.ca.as_ref(), settings.client.as_ref(), settings.timeout, clock)?;
        let authorization = token.map(bearer).transpose()?;
        Ok(Self { client, target: path_of(url), authorization, clock: Arc::clone(clock) })
    }

    fn request(&self, batch: &Batch) -> Result<Request<Full<Bytes>>, http::Error> {
        let Batch { node, generation, first, .. } = batch;
        let key = format!("\"{node}/{generation}/{first}-{}\"", batch.end().saturating_sub(1));
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.target.clone())
            .header(CONTENT_TYPE, NDJSON)
            .header(USER_AGENT, AGENT)
            .header(IDEMPOTENCY_KEY, key);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Full::new(batch.lines.clone()))
    }
}

impl Sink for HttpSink {
    async fn send(&mut self, batch: &Batch) -> Result<Taken, SinkError> {
        let request = self.request(batch).map_err(SinkError::Request)?;
        let answer = self.client.send(request).await.map_err(sink_error)?;
        let (head, body) = answer.into_parts();
        // Whatever it says beyond the status changes nothing; a connection whose answer was not read to its
        // end is not used again.
        let rest = Limited::new(body, MAX_ANSWER_BYTES).collect();
        drop(tokio::time::timeout(self.client.response_timeout(), rest).await);
        let busy = || SinkError::Busy {
            status: head.status.as_u16(),
            after: retry_after(&head.headers, self.clock.now()),
        };
        match head.status {
            status if status.is_success() => Ok(Taken::Yes),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(busy()),
            status if status.is_server_error() => Err(busy()),
            StatusCode::PAYLOAD_TOO_LARGE => {
                Err(SinkError::TooLarge { records: batch.records, bytes: batch.lines.len() })
            }
            status => Err(SinkError::Refused { status: status.as_u16() }),
        }
    }

    async fn settle(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The path of `url`: its base is the client's.
pub(super) fn path_of(url: &http::Uri) -> http::Uri {
    url.path_and_query().map_or_else(http::Uri::default, |path| http::Uri::from(path.clone()))
}

pub(super) fn bearer(token: &Secret) -> Result<HeaderValue, SetupError> {
    let value = [b"Bearer ", token.expose().trim_ascii()].concat();
    let mut value = HeaderValue::from_bytes(&value).map_err(|_| SetupError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The same error in the words of sinks.
pub(super) fn sink_error(error: ClientError) -> SinkError {
    match error {
        ClientError::Unreachable { source, .. } => SinkError::HttpConnect(source.into()),
        ClientError::Broken { source, .. } => SinkError::HttpBroken(source.into()),
        ClientError::Timeout { within, .. } => SinkError::Timeout { what: "answer", within },
        ClientError::Address { source, .. } => SinkError::Request(source),
    }
}

/// How long to wait by `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_may_say_when_to_come_back() {
        let now: Timestamp = "2026-11-26T08:00:00Z".parse().unwrap();
        for (value, wait) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Thu, 26 Nov 2026 08:01:30 GMT", Some(90)),
            ("Thu, 26 Nov 2026 07:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            assert_eq!(retry_after(&headers, now), wait.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
