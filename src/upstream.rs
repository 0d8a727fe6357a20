//! The platform's services: each with its endpoints, the connections to them, and all that keeps one
//! of them from taking the gate along when it fails.
//!
//! Sole user of hyper's client. What decides is small and pure, and is told the time and the dice: [`balance`] which
//! endpoint is asked, [`health`] which are not, [`breaker`] whether any is, [`retry`] and [`budget`] whether once more,
//! [`bulkhead`] how many at once. [`Upstream::call`] asks them in that order. On its way is no lock but that of the semaphore
//! of those who wait for a place.

pub mod balance;
pub mod breaker;
pub mod budget;
pub mod bulkhead;
mod client;
mod connect;
mod endpoint;
pub mod health;
mod keep;
pub mod probe;
pub mod retry;
pub mod window;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use smallvec::SmallVec;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::balance::{Candidate, mixed, pick};
use self::breaker::{Admission, Breaker, BreakerRules};
use self::budget::{RetryBudget, RetryRules};
use self::bulkhead::{Bulkhead, BulkheadRules};
use self::connect::announcing;
use self::endpoint::{Endpoint, InWork};
use self::health::{EjectionRules, Health, eject_one, pardon_surplus};
use self::retry::{Reached, may_repeat};
use crate::kernel::diagnostic::chain;
use crate::kernel::id::{DepartmentId, Digest, RequestId, UpstreamId};
use crate::telemetry::{RetryOutcome, Shed, UpstreamMetrics};

pub use client::{Client, ClientError, ClientSettings, SettingsError};
pub use endpoint::Place;
pub use keep::CheckSettings;

/// The most endpoints of one upstream, those of its names included.
pub const MAX_ENDPOINTS: usize = 64;

/// Why there is no reply to read.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It was asked, and there is none.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// As many requests are in work as may be, and none ended in time.
    #[error("upstream `{upstream}` has as many requests in work as it may have")]
    Full {
        /// Which upstream.
        upstream: UpstreamId,
    },
    /// It failed too often, and is left alone for a while.
    #[error("upstream `{upstream}` failed too often and is asked again in {after:?}")]
    Open {
        /// Which upstream.
        upstream: UpstreamId,
        /// When it is asked again.
        after: Duration,
    },
    /// No endpoint may be asked: checks fail, or connections are used up.
    #[error(
        "no endpoint of upstream `{upstream}` may be asked: all are down or have all their connections in use"
    )]
    Nowhere {
        /// Which upstream.
        upstream: UpstreamId,
    },
    /// The request was no longer whole when it was to be sent.
    #[error("the request to upstream `{upstream}` could not be put together")]
    Gone {
        /// Which upstream.
        upstream: UpstreamId,
    },
}

/// How to reach one service of the platform, and what is bounded on the way.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is: base URLs, whose names are looked up later.
    pub places: Vec<Place>,
    /// What connections to each of them are like; its `url` and `address` stand for none.
    pub client: ClientSettings,
    /// What `client` was made from: connections outlive a reload that leaves it as it was.
    pub client_digest: Digest,
    /// What all of this was made from.
    pub digest: Digest,
    /// How often names are looked up again.
    pub resolve_interval: Duration,
    /// How endpoints are checked, if they are.
    pub checks: Option<CheckSettings>,
    /// When endpoints are ejected.
    pub ejection: EjectionRules,
    /// When nothing is asked for a while.
    pub breaker: BreakerRules,
    /// When requests are tried again.
    pub retry: RetryRules,
    /// How many requests there may be at once.
    pub bulkhead: BulkheadRules,
    /// How many of them for the resources of one provider, if that is bounded.
    pub per_provider: Option<usize>,
}

/// A request that may have to be sent more than once.
pub trait Outgoing<B> {
    /// Its method.
    fn method(&self) -> &Method;
    /// The request, at first or again; none if its body is not whole any more.
    fn request(&mut self) -> Option<Request<B>>;
    /// Ends when the upstream has kept it waiting for too long.
    fn too_long(&self) -> impl Future<Output = ()> + Send;
    /// Whether its connection is to become a session, and is had anew for that, by HTTP/1.1.
    fn opens_session(&self) -> bool;
    /// Whether it failed for a reason of its own.
    fn is_own_fault(&self) -> bool;
    /// Whose it is: the two ends of the connection that it came on, theirs first.
    fn on_behalf_of(&self) -> Option<(SocketAddr, SocketAddr)>;
    /// Its request id and trace id, for lines of the log.
    fn names(&self) -> (RequestId, Option<&str>);
}

/// What a reply holds until it has ended: a place among the requests in work, and at its endpoint.
#[derive(Debug)]
pub struct Lease<B> {
    _endpoint: InWork<B>,
    _places: (bulkhead::Place, Option<bulkhead::Place>),
}

/// A request that a breaker has let through, until something is learned by it. If nothing ever is, for a reason of the
/// request's own or because nobody waits for it any more, its trial is given back.
struct Admitted<'u, B> {
    upstream: &'u Upstream<B>,
    admission: Admission,
    is_judged: bool,
}

impl<B> Drop for Admitted<'_, B> {
    fn drop(&mut self) {
        if !self.is_judged {
            self.upstream.breaker.told_nothing(self.upstream.now(), self.admission);
        }
    }
}

/// One service of the platform.
#[derive(Debug)]
pub struct Upstream<B> {
    settings: Settings,
    began: Instant,
    endpoints: ArcSwap<Vec<Arc<Endpoint<B>>>>,
    bulkhead: Bulkhead,
    /// Written while a snapshot is made, and read by no request: routes hold what they need.
    partitions: Mutex<HashMap<DepartmentId, Arc<Bulkhead>>>,
    budget: RetryBudget,
    breaker: Breaker,
    dice: AtomicU64,
    /// Whether somebody decides on an ejection. Whoever comes second leaves it at that.
    is_ejecting: AtomicBool,
    is_kept: AtomicBool,
    metrics: UpstreamMetrics,
    ended: CancellationToken,
    _end: DropGuard,
}

impl<B> Upstream<B> {
    /// Milliseconds, above zero.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl<B> Upstream<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Prepares an upstream; connects to nothing yet. Endpoints of `previous` go on with their connections and what is
    /// known of them, if what connections are made of has not changed.
    ///
    /// # Errors
    /// When a URL is not a base URL, or is `https` without TLS.
    pub fn new(
        settings: Settings,
        metrics: UpstreamMetrics,
        previous: Option<&Self>,
    ) -> Result<Self, SettingsError> {
        let same = previous.filter(|previous| previous.settings.client_digest == settings.client_digest);
        let known = same.map(|previous| previous.endpoints.load_full()).unwrap_or_default();
        let mut endpoints = Vec::new();
        for place in &settings.places {
            // Those that a name had are its until it is looked up.
            let of_name =
                |it: &&Arc<Endpoint<B>>| it.place.url == place.url && it.place.weight == place.weight;
            let before = endpoints.len();
            endpoints.extend(known.iter().filter(of_name).cloned());
            if endpoints.len() == before {
                endpoints.push(Arc::new(Endpoint::new(place.clone(), &settings.client)?));
            }
        }
        let ended = CancellationToken::new();
        Ok(Self {
            began: same.map_or_else(Instant::now, |previous| previous.began),
            endpoints: ArcSwap::from_pointee(endpoints),
            bulkhead: Bulkhead::new(settings.bulkhead),
            partitions: Mutex::default(),
            budget: RetryBudget::new(settings.retry),
            breaker: Breaker::new(settings.breaker),
            dice: AtomicU64::new(RandomState::new().hash_one(0)),
            is_ejecting: AtomicBool::new(false),
            is_kept: AtomicBool::new(false),
            metrics,
            _end: ended.clone().drop_guard(),
            ended,
            settings,
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &UpstreamId {
        &self.settings.client.id
    }

    /// What it was made from.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.settings.digest
    }

    /// The bound on the wait for a reply's head, for a part of a request to be taken, and for the next part of
    /// a reply's body.
    #[must_use]
    pub fn response_timeout(&self) -> Duration {
        self.settings.client.response_timeout
    }

    /// The places for the resources of `provider`, if they have a bound of their own.
    #[must_use]
    pub fn partition(&self, provider: &DepartmentId) -> Option<Arc<Bulkhead>> {
        let rules = BulkheadRules { requests: self.settings.per_provider?, ..self.settings.bulkhead };
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Bulkhead::new(rules));
        Some(Arc::clone(partitions.entry(provider.clone()).or_insert_with(made)))
    }

    /// Sends a request, and waits for the head of a reply.
    ///
    /// # Errors
    /// When it may not be sent, or there is no usable reply in time.
    pub async fn call(
        &self,
        outgoing: &mut impl Outgoing<B>,
        partition: Option<&Bulkhead>,
    ) -> Result<(Response<Incoming>, Lease<B>), UpstreamError> {
        if let Some(after) = self.breaker.refuses(self.now()) {
            return Err(self.is_open(after));
        }
        let places = self.places(partition).await?;
        let mut now = self.now();
        let admission = self.breaker.admit(now);
        if let Admission::Refused(after) = admission {
            return Err(self.is_open(after));
        }
        let mut admitted = Admitted { upstream: self, admission, is_judged: false };
        self.budget.requested(now / 1_000);
        let (mut avoid, mut last, mut tries) = (None, None, 0);
        loop {
            tries += 1;
            // If there is nowhere to go, or nothing to send any more, it is what it was.
            let chosen = match self.choose(avoid.as_ref(), now) {
                Ok(chosen) => chosen,
                Err(nowhere) => return Err(last.unwrap_or(nowhere)),
            };
            let Some(request) = outgoing.request() else {
                return Err(last.unwrap_or_else(|| UpstreamError::Gone { upstream: self.id().clone() }));
            };
            if tries > 1 {
                self.metrics.retried(RetryOutcome::Made);
            }
            let in_work = InWork::begin(chosen);
            let endpoint = &in_work.0;
            let error = match self.send(endpoint, request, outgoing).await {
                Ok(response) => {
                    if !outgoing.opens_session() {
                        endpoint.heard(&response);
                    }
                    self.judge(endpoint, &mut admitted, !is_unavailable(response.status()));
                    return Ok((response, Lease { _endpoint: in_work, _places: places }));
                }
                Err(error) => error,
            };
            if outgoing.is_own_fault() {
                return Err(error.into());
            }
            self.judge(endpoint, &mut admitted, false);
            if tries >= self.budget.tries() || !may_repeat(reached(&error), outgoing.method()) {
                return Err(error.into());
            }
            now = self.now();
            if !self.budget.take(now / 1_000) {
                self.metrics.retried(RetryOutcome::Refused);
                return Err(error.into());
            }
            let (request_id, trace_id) = outgoing.names();
            tracing::debug!(
                %request_id, trace_id, upstream = %self.id(), endpoint = %endpoint.place,
                error = %chain(&error), "an attempt failed and is made again"
            );
            avoid = Some(Arc::clone(endpoint));
            last = Some(error.into());
        }
    }

    async fn send(
        &self,
        endpoint: &Endpoint<B>,
        request: Request<B>,
        outgoing: &impl Outgoing<B>,
    ) -> Result<Response<Incoming>, ClientError> {
        let client = if outgoing.opens_session() { &endpoint.sessions } else { &endpoint.client };
        let sent = client.send_until(request, outgoing.too_long());
        match outgoing.on_behalf_of().filter(|_| self.settings.client.announces) {
            Some(ends) => announcing(ends, sent).await,
            None => sent.await,
        }
    }

    async fn places(
        &self,
        partition: Option<&Bulkhead>,
    ) -> Result<(bulkhead::Place, Option<bulkhead::Place>), UpstreamError> {
        let full = |_: bulkhead::Full| {
            self.metrics.shed(Shed::Full);
            UpstreamError::Full { upstream: self.id().clone() }
        };
        // The smaller first: who waits for a place of its provider holds none that others could have.
        let of_provider = match partition {
            Some(partition) => Some(partition.enter().await.map_err(full)?),
            None => None,
        };
        Ok((self.bulkhead.enter().await.map_err(full)?, of_provider))
    }

    fn is_open(&self, after: Duration) -> UpstreamError {
        self.metrics.shed(Shed::Open);
        UpstreamError::Open { upstream: self.id().clone(), after }
    }

    fn choose(&self, avoid: Option<&Arc<Endpoint<B>>>, now: u64) -> Result<Arc<Endpoint<B>>, UpstreamError> {
        let endpoints = self.endpoints.load();
        let candidates: SmallVec<[Candidate; 8]> = endpoints
            .iter()
            .map(|endpoint| endpoint.candidate(now, self.settings.checks.is_some()))
            .collect();
        let avoid = avoid.and_then(|failed| endpoints.iter().position(|other| Arc::ptr_eq(other, failed)));
        let count = self.dice.fetch_add(2, Ordering::Relaxed);
        let at = pick(&candidates, avoid, [mixed(count), mixed(count.wrapping_add(1))]);
        at.and_then(|at| endpoints.get(at).cloned()).ok_or_else(|| {
            self.metrics.shed(Shed::Nowhere);
            UpstreamError::Nowhere { upstream: self.id().clone() }
        })
    }

    /// Draws conclusions from an attempt.
    fn judge(&self, endpoint: &Arc<Endpoint<B>>, admitted: &mut Admitted<'_, B>, went_well: bool) {
        let (now, rules, admission) = (self.now(), &self.settings.ejection, admitted.admission);
        admitted.is_judged = true;
        if went_well {
            endpoint.health.succeeded(now, rules);
            let was_open = matches!(admission, Admission::Trial(_));
            self.breaker.succeeded(now, admission);
            if was_open {
                tracing::info!(upstream = %self.id(), "an upstream is asked again");
            }
            return;
        }
        if self.breaker.failed(now, admission) {
            tracing::error!(upstream = %self.id(), "an upstream failed too often and is left alone for a while");
        }
        if endpoint.health.failed(rules) {
            self.eject(endpoint, now);
        }
    }

    fn eject(&self, endpoint: &Arc<Endpoint<B>>, now: u64) {
        if self.is_ejecting.swap(true, Ordering::Acquire) {
            return;
        }
        let endpoints = self.endpoints.load();
        let place = endpoints.iter().position(|other| Arc::ptr_eq(other, endpoint));
        let all: SmallVec<[&Health; 8]> = endpoints.iter().map(|endpoint| &endpoint.health).collect();
        let ejected = place.and_then(|place| eject_one(&all, place, now, &self.settings.ejection));
        self.is_ejecting.store(false, Ordering::Release);
        if let Some(long) = ejected {
            self.metrics.ejections.inc();
            tracing::warn!(
                upstream = %self.id(), endpoint = %endpoint.place,
                ?long, "an endpoint failed too often in a row and is ejected"
            );
        }
    }

    /// Makes `places` the endpoints. Those that are there already stay as they are, and what is in work at others ends
    /// there.
    fn relocate(&self, places: Vec<Place>) -> Result<(), SettingsError> {
        let known = self.endpoints.load();
        let mut endpoints = Vec::with_capacity(places.len());
        for place in places.into_iter().take(MAX_ENDPOINTS) {
            endpoints.push(match known.iter().find(|it| it.place == place) {
                Some(it) => Arc::clone(it),
                None => Arc::new(Endpoint::new(place, &self.settings.client)?),
            });
        }
        let all: Vec<&Health> = endpoints.iter().map(|endpoint| &endpoint.health).collect();
        pardon_surplus(&all, self.now(), &self.settings.ejection);
        self.endpoints.store(Arc::new(endpoints));
        Ok(())
    }
}

/// Whether an answer says that whoever gives it cannot serve.
fn is_unavailable(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

fn reached(error: &ClientError) -> Reached {
    if error.is_unsent() {
        Reached::Nothing
    } else if error.is_unanswered() {
        Reached::Connection
    } else {
        Reached::Answer
    }
}
