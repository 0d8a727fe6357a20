//! Every code that a client can provoke: the reply, the record, the metric, and that nothing reached
//! the platform which should not.

pub(crate) mod bytes;
mod identity;
pub(crate) mod limits;
mod platform;
mod policy;
mod request;
mod token;

use pinegate::audit::ParsedRecord;

use crate::city::{Call, City, Reply};

/// How far a refused call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// Refused before anything was forwarded.
    ToTheGate,
    /// The platform saw it; its answer did not leave.
    ToThePlatform,
}

/// Makes `call` and fails unless it is refused as `code`, in every place where that must show.
pub(crate) async fn refuse(
    city: &City,
    call: Call,
    (status, code): (u16, &str),
    came: Came,
) -> (Reply, ParsedRecord) {
    let before = city.received().total();
    let series = format!("pinegate_refusals_total{{code=\"{code}\"}}");
    let counted = city.gate.metric(&series).await;
    let reply = city.call(call).await;
    check(&reply, status, code);
    let reached = city.received().total() - before;
    assert_eq!(reached, u64::from(came == Came::ToThePlatform), "{code}: requests at the platform");
    let record = city.records_of(&reply.request_id()).await.pop().unwrap();
    assert_eq!(record.status, Some(status), "{record:#?}");
    assert_eq!(record.reason.as_deref(), Some(code), "{record:#?}");
    assert!(city.gate.metric(&series).await > counted, "{series} was not counted");
    (reply, record)
}

/// The form of a refusal (RFC 9457).
pub(crate) fn check(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    let problem = reply.json();
    assert_eq!(problem["type"], format!("urn:pinegate:problem:{code}"));
    assert_eq!(problem["status"], status);
    assert_eq!(problem["request_id"], reply.request_id());
    assert_eq!(problem["instance"], format!("urn:uuid:{}", reply.request_id()));
    for member in ["title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
    }
}
