//! What goes on beside the requests: names are looked up again, endpoints checked, figures shown.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Body;
use tokio::task::JoinSet;

use super::Upstream;
use super::endpoint::{Endpoint, Place, host_of, port_of};
use super::health::CheckRules;
use crate::kernel::id::UpstreamId;

/// How long one look-up may take.
const LOOK_UP: Duration = Duration::from_secs(5);

/// The most addresses of one name that are used.
const MAX_ADDRESSES: usize = 16;

/// How often figures are shown anew.
const SHOW: Duration = Duration::from_secs(1);

/// How much of the answer to a check is read, so that its connection can be used again.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Who asks.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("pinegate/", env!("CARGO_PKG_VERSION")));

/// How endpoints are checked.
#[derive(Debug, Clone)]
pub struct CheckSettings {
    /// What is asked for; any 2xx is a good answer.
    pub path: Uri,
    /// How often.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// How many it takes to change what is thought of one.
    pub rules: CheckRules,
}

impl<B> Upstream<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// What must run beside the requests, until nobody holds the upstream any more; none if it runs already.
    pub fn keep(self: &Arc<Self>) -> Option<impl Future<Output = ()> + Send + use<B>> {
        if self.is_kept.swap(true, Ordering::Relaxed) {
            return None;
        }
        let (ended, it) = (self.ended.clone(), Arc::downgrade(self));
        Some(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                ((), (), ()) = async { tokio::join!(looking_up(&it), checking(&it), showing(&it)) } => {}
            }
        })
    }

    /// Looks up every name; one that cannot be looked up keeps the addresses it had.
    async fn look_up(&self) -> Vec<Place> {
        let known = self.endpoints.load_full();
        let mut places = Vec::new();
        for place in &self.settings.places {
            match addresses(&place.url).await {
                Ok(found) if !found.is_empty() => {
                    let at = |address| Place { address: Some(address), ..place.clone() };
                    places.extend(found.into_iter().map(at));
                }
                other => {
                    self.metrics.look_ups_failed.inc();
                    let error = other.err().map(|error| error.to_string()).unwrap_or_default();
                    let had: Vec<_> = known
                        .iter()
                        .map(|endpoint| &endpoint.place)
                        .filter(|had| had.url == place.url && had.weight == place.weight)
                        .cloned()
                        .collect();
                    // Before its first look-up a place stands there without an address.
                    if had.iter().any(|had| had.address.is_some()) {
                        tracing::warn!(
                            upstream = %self.id(), url = %place.url, error,
                            "a name could not be looked up; the addresses it had are used on"
                        );
                    } else {
                        tracing::warn!(
                            upstream = %self.id(), url = %place.url, error,
                            "a name could not be looked up and had no address before: each connection to it tries anew"
                        );
                    }
                    places.extend(had);
                }
            }
        }
        places
    }

    fn show(&self) {
        let (endpoints, now) = (self.endpoints.load(), self.now());
        let down = endpoints.iter().filter(|it| it.health.is_down()).count();
        let ejected = endpoints.iter().filter(|it| !it.health.is_down() && it.health.is_ejected(now)).count();
        self.metrics.show_endpoints(endpoints.len() - down - ejected, ejected, down);
        self.metrics.breaker_open.set(i64::from(self.breaker.is_open()));
        let shown = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.in_flight.set(shown(self.bulkhead.in_work()));
        self.metrics.waiting.set(shown(self.bulkhead.waiting()));
    }
}

/// The addresses of a base URL's host, in order: of IPv4 where it has any, since a host with both is often reached by one
/// of them only, and each address stands for itself here.
async fn addresses(url: &Uri) -> std::io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> =
        tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((host_of(url), port_of(url))))
            .await??
            .collect();
    if found.iter().any(SocketAddr::is_ipv4) {
        found.retain(SocketAddr::is_ipv4);
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(MAX_ADDRESSES);
    Ok(found)
}

async fn looking_up<B>(it: &Weak<Upstream<B>>)
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    loop {
        let Some(upstream) = it.upgrade() else { return };
        let (places, interval) = (upstream.look_up().await, upstream.settings.resolve_interval);
        let is_same = upstream.endpoints.load().iter().map(|it| &it.place).eq(&places);
        if !is_same {
            tracing::info!(upstream = %upstream.id(), endpoints = places.len(), "an upstream's endpoints changed");
            if let Err(error) = upstream.relocate(places) {
                tracing::error!(upstream = %upstream.id(), %error, "its endpoints stay as they were");
            }
        }
        drop(upstream);
        tokio::time::sleep(interval).await;
    }
}

async fn showing<B>(it: &Weak<Upstream<B>>)
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut ticks = tokio::time::interval(SHOW);
    loop {
        ticks.tick().await;
        let Some(upstream) = it.upgrade() else { return };
        upstream.show();
    }
}

async fn checking<B>(it: &Weak<Upstream<B>>)
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(checks) = it.upgrade().and_then(|upstream| upstream.settings.checks.clone()) else { return };
    let mut ticks = tokio::time::interval(checks.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(upstream) = it.upgrade() else { return };
        let (endpoints, id) = (upstream.endpoints.load_full(), upstream.id().clone());
        drop(upstream);
        // All at once: one that hangs keeps no other from being checked.
        let mut running = JoinSet::new();
        for endpoint in endpoints.iter() {
            let (endpoint, checks, id) = (Arc::clone(endpoint), checks.clone(), id.clone());
            running.spawn(async move { check(&endpoint, &checks, &id).await });
        }
        while running.join_next().await.is_some() {}
    }
}

async fn check<B>(endpoint: &Endpoint<B>, checks: &CheckSettings, id: &UpstreamId) {
    let went_well = tokio::time::timeout(checks.timeout, answers(endpoint, checks)).await.unwrap_or(false);
    let Some(is_up) = endpoint.health.checked(went_well, checks.rules) else { return };
    let endpoint = &endpoint.place;
    if is_up {
        tracing::info!(upstream = %id, %endpoint, "an endpoint's checks go well again");
    } else {
        tracing::warn!(upstream = %id, %endpoint, "an endpoint's checks fail; it is asked nothing");
    }
}

/// Whether a check is answered well.
async fn answers<B>(endpoint: &Endpoint<B>, checks: &CheckSettings) -> bool {
    let request = Request::builder().method(Method::GET).uri(checks.path.clone()).header(USER_AGENT, AGENT);
    let Ok(request) = request.body(Empty::<Bytes>::new()) else { return false };
    let Ok(answer) = endpoint.checker.send(request).await else { return false };
    let is_good = answer.status().is_success();
    drop(Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await);
    is_good
}
