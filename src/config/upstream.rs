//! `[[upstream]]`: where a platform service is, and what is bounded on the way to it.

use std::time::Duration;

use super::FileContent;
use crate::coding::Coding;
use crate::kernel::id::UpstreamId;
use crate::kernel::secret::Secret;

/// `[[upstream]]`: where a platform service is.
#[derive(Debug)]
pub struct Upstream {
    /// Its id.
    pub id: UpstreamId,
    /// Where it is served: of one scheme, no URL twice.
    pub endpoints: Vec<Endpoint>,
    /// Whether to speak HTTP/2 to it without asking (always negotiated by ALPN on TLS).
    pub http2: bool,
    /// The content codings it is asked for, the best first; none asks for plain answers.
    pub accept_encoding: Vec<Coding>,
    /// The authorities that issue its certificate, PEM; required for `https`.
    pub ca: Option<FileContent>,
    /// The certificate that the gate shows it, with its key, PEM.
    pub client: Option<(FileContent, Secret)>,
    /// The bound on setting up a connection.
    pub connect_timeout: Duration,
    /// The bound on the wait for a reply's head, and between two parts of its body.
    pub response_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept, for each endpoint.
    pub max_idle: usize,
    /// How many connections there may be to each endpoint.
    pub max_connections: usize,
    /// Whether each connection begins by saying on whose behalf it is, by the PROXY protocol, and has one request.
    pub announces: bool,
    /// Requests in work at once.
    pub max_requests: usize,
    /// How many of them for the resources of one provider, if that is bounded.
    pub provider_requests: Option<usize>,
    /// Requests that wait for one of them to end.
    pub max_waiting: usize,
    /// How long one waits.
    pub wait_timeout: Duration,
    /// How often names are looked up again.
    pub resolve_interval: Duration,
    /// When a request is tried again.
    pub retry: Retry,
    /// When an endpoint is left out for a while.
    pub ejection: Ejection,
    /// When the whole upstream is left alone for a while.
    pub breaker: Breaker,
    /// How endpoints are checked, if they are.
    pub health: Option<HealthCheck>,
}

/// One of `endpoints`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its base URL: scheme and authority, nothing else.
    pub url: http::Uri,
    /// Its share beside others.
    pub weight: u32,
}

/// `[upstream.retry]`: when a request is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often one request is tried at most, the first time included.
    pub tries: u32,
    /// Further tries as a share of the requests of the last ten seconds, in percent.
    pub budget_percent: u32,
    /// Further tries that ten seconds always have.
    pub budget_floor: u32,
}

/// `[upstream.ejection]`: when an endpoint is left out for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// How many failures in a row it takes.
    pub failures: u32,
    /// How long the first time; each further time is twice as long.
    pub base: Duration,
    /// The longest.
    pub longest: Duration,
    /// Which share of the endpoints at once, in percent.
    pub max_percent: u32,
}

/// `[upstream.breaker]`: when the whole upstream is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// How many requests of the last ten seconds it takes to judge.
    pub requests: u32,
    /// Which share of them must have failed, in percent.
    pub failure_percent: u32,
    /// How long nothing is asked then.
    pub open: Duration,
}

/// `[upstream.health]`: how endpoints are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for.
    pub path: http::Uri,
    /// How often.
    pub interval: Duration,
    /// How long one check may take.
    pub timeout: Duration,
    /// How many that fail in a row make an endpoint one that is not asked.
    pub unhealthy: u32,
    /// How many that go well make it one that is.
    pub healthy: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { tries: 2, budget_percent: 20, budget_floor: 10 }
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: 5,
            base: Duration::from_secs(10),
            longest: Duration::from_secs(300),
            max_percent: 50,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self { requests: 100, failure_percent: 50, open: Duration::from_secs(5) }
    }
}
