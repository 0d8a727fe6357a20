//! The stage `collect`: on routes with parameters in the body, a bounded body is read before the
//! decision, and goes on afterwards byte for byte as it came.
//!
//! It stands after `throttle`, so that a caller over its limits costs no memory and no reading, and
//! before `authorize`, which is given nothing less. All other routes pass it at no cost. What of a body
//! is a value, and what has two readings, is decided in [`crate::parameters`]; that the body is JSON at
//! all, here: the platform might read any other in a way of its own.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::authorize::Throttled;
use super::body::{BodyError, RequestBody, Upload};
use super::exchange::Draft;
use super::failure::{Failure, RequestFailure, Unreadable};
use super::identify::Identified;
use super::sift::heard;
use super::stage::{Wait, Waited};
use crate::catalog::BodyFormat;
use crate::quota::limiter::Admission;

/// A request with every parameter that the policy may ask for.
#[derive(Debug)]
pub(crate) struct Collected {
    identified: Identified,
    admission: Admission,
}

impl Collected {
    /// Gives up the proof for what it proves.
    pub(super) fn into_parts(self) -> (Identified, Admission) {
        (self.identified, self.admission)
    }
}

/// The stage `collect`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Collect;

impl Wait for Collect {
    type In = Throttled;
    type Out = Collected;

    fn wait(&self, throttled: Throttled) -> Waited<Collected> {
        let (identified, admission) = throttled.into_parts();
        if identified.routed().route().body.is_none() {
            return Waited::Now(Ok(Collected { identified, admission }));
        }
        Waited::Later(Box::pin(async move {
            let identified = read(identified).await?;
            Ok(Collected { identified, admission })
        }))
    }
}

/// Reads the body of a request, and of that its parameters.
async fn read(mut identified: Identified) -> Result<Identified, Failure> {
    let route = Arc::clone(identified.routed().route());
    let Some(parameters) = &route.body else { return Ok(identified) };
    let exchange = identified.exchange_mut();
    let limit = route.max_request_body.get().min(exchange.snapshot.bounds.decision_body);
    let (upload, state) = Upload::new(std::mem::take(&mut exchange.body), limit);
    Draft::note(&exchange.draft.upload, Arc::clone(&state));
    if upload.size_hint().lower() > limit {
        return Err(RequestFailure::TooLarge { limit }.into());
    }
    if !upload.is_end_stream() {
        check_form(&exchange.parts.headers, BodyFormat::Json)?;
    }
    let bytes = match whole(upload).await {
        Ok(bytes) => bytes,
        Err(error) => {
            if let Some(fault) = state.fault() {
                heard(fault, exchange.parts.version).await;
            }
            return Err(failure_of(&error));
        }
    };
    if !bytes.is_empty() {
        identified.supply(parameters.read(&bytes).map_err(Unreadable::Parameters)?);
    }
    identified.exchange_mut().body = RequestBody::Read { bytes, state };
    Ok(identified)
}

/// The body must be of `format` by its own word, said once, in UTF-8 and without a coding.
pub(super) fn check_form(headers: &HeaderMap, format: BodyFormat) -> Result<(), Failure> {
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Err(Unreadable::Coding.into());
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let media_type = types.next().and_then(|value| value.to_str().ok());
    let is_declared =
        types.next().is_none() && media_type.is_some_and(|text| super::media::is_of_format(format, text));
    if is_declared { Ok(()) } else { Err(Unreadable::MediaType(format).into()) }
}

/// Everything of a body, which keeps its bound itself. One that comes in one part is not copied.
async fn whole(mut upload: Upload) -> Result<Bytes, BodyError> {
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = upload.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Whatever is wrong with the body is the client's.
fn failure_of(error: &BodyError) -> Failure {
    match error {
        BodyError::TooLarge { limit } => RequestFailure::TooLarge { limit: *limit }.into(),
        BodyError::Broken(_) => RequestFailure::Body.into(),
        BodyError::Slow => RequestFailure::Slow.into(),
        BodyError::Stalled
        | BodyError::Withdrawn(_)
        | BodyError::OffRecord
        | BodyError::Mask(_)
        | BodyError::Coding(_)
        | BodyError::Quota(_)
        | BodyError::Refused(_) => Failure::Gate,
    }
}
