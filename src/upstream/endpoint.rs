//! One place where an upstream is served: its connections, and what is known of it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use http::{Response, Uri, Version};
use http_body_util::Empty;
use hyper::body::Incoming;

use super::balance::{Candidate, Standing};
use super::client::{Client, ClientSettings, SettingsError};
use super::health::Health;

/// Which place it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its base URL.
    pub url: Uri,
    /// The address of its host; none before its name was looked up.
    pub address: Option<SocketAddr>,
    /// Its share beside others.
    pub weight: u32,
}

impl Place {
    /// The one at `url`. Its address is known already where the host is one.
    #[must_use]
    pub fn new(url: Uri, weight: u32) -> Self {
        let address = host_of(&url).parse().ok().map(|ip| SocketAddr::new(ip, port_of(&url)));
        Self { url, address, weight }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{} at {address}", self.url),
            None => write!(f, "{}", self.url),
        }
    }
}

/// The host of a base URL, without the brackets that an address of IPv6 has there.
pub(super) fn host_of(url: &Uri) -> &str {
    let host = url.host().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Its port.
pub(super) fn port_of(url: &Uri) -> u16 {
    url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 })
}

/// One place where an upstream is served.
#[derive(Debug)]
pub(super) struct Endpoint<B> {
    pub(super) place: Place,
    pub(super) client: Client<B>,
    /// A connection of its own for checks: what is checked is not what waits in the pool.
    pub(super) checker: Client<Empty<Bytes>>,
    /// Connections that become sessions: by HTTP/1.1, and never another's before or after.
    pub(super) sessions: Client<B>,
    pub(super) health: Health,
    in_flight: AtomicU32,
    /// Whether it speaks HTTP/2, where one connection has many requests.
    is_multiplexed: AtomicBool,
    max_connections: u32,
}

/// A request in work at an endpoint, until it is dropped.
#[derive(Debug)]
pub(super) struct InWork<B>(pub(super) std::sync::Arc<Endpoint<B>>);

impl<B> InWork<B> {
    pub(super) fn begin(endpoint: std::sync::Arc<Endpoint<B>>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(endpoint)
    }
}

impl<B> Drop for InWork<B> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<B> Endpoint<B> {
    /// Notes what an answer tells of how it is spoken to.
    pub(super) fn heard(&self, response: &Response<Incoming>) {
        let is_multiplexed = response.version() == Version::HTTP_2;
        if self.is_multiplexed.load(Ordering::Relaxed) != is_multiplexed {
            self.is_multiplexed.store(is_multiplexed, Ordering::Relaxed);
        }
    }

    /// As the draw sees it. What checks found counts only as long as there are checks, or nothing would ever
    /// find otherwise.
    pub(super) fn candidate(&self, now: u64, is_checked: bool) -> Candidate {
        let load = self.in_flight.load(Ordering::Relaxed);
        let is_full = load >= self.max_connections && !self.is_multiplexed.load(Ordering::Relaxed);
        let standing = if (is_checked && self.health.is_down()) || is_full {
            Standing::Out
        } else if self.health.is_ejected(now) {
            Standing::Ejected
        } else {
            Standing::Ready
        };
        Candidate { weight: self.place.weight, load, standing }
    }
}

impl<B> Endpoint<B>
where
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// An endpoint nothing is known of.
    pub(super) fn new(place: Place, template: &ClientSettings) -> Result<Self, SettingsError> {
        let ours = ClientSettings { url: place.url.clone(), address: place.address, ..template.clone() };
        let max_connections = u32::try_from(ours.max_connections).unwrap_or(u32::MAX);
        let checks = ClientSettings { max_idle: 1, max_connections: 2, ..ours.clone() };
        Ok(Self {
            place,
            sessions: Client::of_sessions(ours.clone())?,
            client: Client::new(ours)?,
            checker: Client::new(checks)?,
            health: Health::default(),
            in_flight: AtomicU32::new(0),
            is_multiplexed: AtomicBool::new(false),
            max_connections,
        })
    }
}
