//! Pooled connections to one base URL.
//!
//! Follows no redirect, reads no proxy setting, tries again only where the pooled connection had died before
//! anything of the request was sent.

use std::net::SocketAddr;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use super::connect::{Connector, InTime};
use crate::kernel::id::UpstreamId;

/// The largest head of a reply, in bytes.
const MAX_REPLY_HEAD_BYTES: usize = 64 << 10;

/// How many bytes of a reply over HTTP/2 may come before somebody takes them: the memory that a client can hold that does
/// not read, and what is under way at once on a long line (256 KiB in 20 ms are 100 Mbit/s).
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// The same of all replies of a connection: the most there is (RFC 9113, section 6.9.1). All requests to an endpoint share
/// one connection, so that with any less a few clients that do not read would have everybody wait.
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;

/// Why there is no reply to read.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection could be set up.
    #[error("no connection to upstream `{upstream}`")]
    Unreachable {
        /// Which upstream.
        upstream: UpstreamId,
        /// Why.
        source: legacy::Error,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("no usable reply from upstream `{upstream}`")]
    Broken {
        /// Which upstream.
        upstream: UpstreamId,
        /// Why.
        source: legacy::Error,
    },
    /// The head of the reply did not come in time.
    #[error("no reply from upstream `{upstream}` within {within:?}")]
    Timeout {
        /// Which upstream.
        upstream: UpstreamId,
        /// The bound.
        within: Duration,
    },
    /// The request could not be addressed to the upstream.
    #[error("no address at upstream `{upstream}` for this request")]
    Address {
        /// Which upstream.
        upstream: UpstreamId,
        /// Why.
        source: http::Error,
    },
}

impl ClientError {
    /// Whether nothing of the request was sent.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Address { .. })
    }

    /// Whether the connection broke before there was anything of an answer.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        let Self::Broken { source, .. } = self else { return false };
        let mut cause = std::error::Error::source(source);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<hyper::Error>() {
                // What is no HTTP was an answer of a kind; what went wrong with our own body was not theirs.
                return !(error.is_parse() || error.is_user() || error.is_timeout());
            }
            cause = error.source();
        }
        false
    }
}

/// How to reach one base URL.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// What errors call it.
    pub id: UpstreamId,
    /// The base URL: scheme and authority.
    pub url: Uri,
    /// The address that its host has, if that was looked up already.
    pub address: Option<SocketAddr>,
    /// TLS towards it; unused for `http`.
    pub tls: Option<ClientConfig>,
    /// Whether to speak HTTP/2 in clear text without asking.
    pub http2: bool,
    /// The bound on setting up a connection.
    pub connect_timeout: Duration,
    /// The bound on each wait for it.
    pub response_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept.
    pub max_idle: usize,
    /// How many connections there may be.
    pub max_connections: usize,
    /// Whether each connection begins by saying on whose behalf it is (PROXY protocol, version 2). Then it has one
    /// request.
    pub announces: bool,
}

/// One base URL, and the connections to it.
#[derive(Debug)]
pub struct Client<B> {
    id: UpstreamId,
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    response_timeout: Duration,
    client: legacy::Client<InTime<HttpsConnector<Connector>>, B>,
}

/// Why a client cannot be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The URL lacks a scheme or an authority.
    #[error("the url has no scheme or no authority")]
    Url,
    /// The URL says `https` and there is no TLS configuration.
    #[error("an `https` url needs the authorities that issue the service's certificate")]
    NoTls,
}

/// Which versions of HTTP a TLS handshake offers.
#[derive(Debug, Clone, Copy)]
enum Versions {
    Both,
    Http1,
}

impl<B> Client<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Prepares a pool; connects to nothing yet.
    ///
    /// # Errors
    /// When the URL is not a base URL, or is `https` without TLS.
    pub fn new(settings: ClientSettings) -> Result<Self, SettingsError> {
        Self::with(settings, Versions::Both)
    }

    /// The same for connections that become something else: each has one request, by HTTP/1.1 (RFC 6455, section 4.1).
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_sessions(settings: ClientSettings) -> Result<Self, SettingsError> {
        Self::with(ClientSettings { max_idle: 0, http2: false, ..settings }, Versions::Http1)
    }

    fn with(settings: ClientSettings, versions: Versions) -> Result<Self, SettingsError> {
        let parts = settings.url.clone().into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(SettingsError::Url);
        };
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| SettingsError::Url)?;
        let ClientSettings { address, connect_timeout, max_connections, announces, .. } = settings;
        let connector = Connector::new(address, max_connections, connect_timeout, announces);
        let is_tls = scheme == Scheme::HTTPS;
        let tls = match settings.tls {
            Some(tls) => tls,
            None if is_tls => return Err(SettingsError::NoTls),
            // The connector wants a TLS configuration even where only `http` is spoken; this one
            // trusts nobody.
            None => ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
                .with_safe_default_protocol_versions()
                .map_err(|_| SettingsError::NoTls)?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth(),
        };
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
        let builder = if is_tls { builder.https_only() } else { builder.https_or_http() };
        let builder = builder.enable_http1();
        let inner = match versions {
            Versions::Both => builder.enable_http2().wrap_connector(connector),
            Versions::Http1 => builder.wrap_connector(connector),
        };
        let connector = InTime { inner, within: connect_timeout };
        let client = legacy::Client::builder(TokioExecutor::new())
            .http2_only(settings.http2 && !is_tls)
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(if announces { 0 } else { settings.max_idle })
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(MAX_REPLY_HEAD_BYTES)
            .http2_max_header_list_size(u32::try_from(MAX_REPLY_HEAD_BYTES).unwrap_or(u32::MAX))
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .build(connector);
        Ok(Self {
            id: settings.id,
            scheme,
            authority,
            host,
            response_timeout: settings.response_timeout,
            client,
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &UpstreamId {
        &self.id
    }

    /// The bound on the wait for a reply's head, for a part of a request to be taken, and for the next part of
    /// a reply's body.
    #[must_use]
    pub fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// Sends `request`, whose target is a path and query, and waits for the head of the reply.
    ///
    /// # Errors
    /// When there is no connection, no usable reply, or none in time.
    pub async fn send(&self, request: Request<B>) -> Result<Response<Incoming>, ClientError> {
        self.send_until(request, tokio::time::sleep(self.response_timeout)).await
    }

    /// The same, but waits until `too_long` ends: whoever gives the body knows for whom it waits.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_until(
        &self,
        mut request: Request<B>,
        too_long: impl Future<Output = ()>,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        (parts.scheme, parts.authority) = (Some(self.scheme.clone()), Some(self.authority.clone()));
        *request.uri_mut() = Uri::from_parts(parts)
            .map_err(|source| ClientError::Address { upstream: self.id.clone(), source: source.into() })?;
        request.headers_mut().insert(http::header::HOST, self.host.clone());
        let upstream = self.id.clone();
        let answered = tokio::select! {
            answered = self.client.request(request) => answered,
            () = too_long => return Err(ClientError::Timeout { upstream, within: self.response_timeout }),
        };
        answered.map_err(|source| {
            if source.is_connect() {
                ClientError::Unreachable { upstream, source }
            } else {
                ClientError::Broken { upstream, source }
            }
        })
    }
}
