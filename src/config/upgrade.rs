//! `upgrade` of a route: what a request may ask for in place of a reply.

use http::Method;

use super::{ParameterSource, RouteMethod};
use crate::document::Table;
use crate::kernel::id::ParameterName;

/// The protocols that a request may ask for in place of a reply (RFC 9110, section 7.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// RFC 6455.
    WebSocket,
}

/// Reads what the requests of a route that answers `method` may ask for; none lets them ask for nothing.
pub(super) fn read(
    table: &Table<'_, '_>,
    method: Option<&RouteMethod>,
    parameters: &[(ParameterName, ParameterSource)],
) -> Option<Upgrade> {
    let upgrade = table.parsed("upgrade", |word| match word {
        "websocket" => Ok(Upgrade::WebSocket),
        _ => Err("`websocket`, or no `upgrade` at all"),
    })?;
    let document = table.document();
    if method.is_some_and(|method| *method.as_method() != Method::GET) {
        let help = "answer `GET`, or remove `upgrade`";
        document.error(
            "route-upgrade",
            upgrade.span.clone(),
            "a WebSocket session is opened by a `GET`",
            help,
        );
    }
    if parameters.iter().any(|(_, source)| matches!(source, ParameterSource::Body(_))) {
        let help = "take the parameter from the path, the query or a header field, or remove `upgrade`";
        let message = "the request that opens a WebSocket session has no body for a parameter to be in";
        document.error("route-upgrade", upgrade.span, message, help);
    }
    Some(upgrade.value)
}
