//! `[traces]`: where the spans of sampled requests are sent.

use std::time::Duration;

use super::FileContent;
use crate::kernel::secret::Secret;

/// `[traces]`: a collector of traces, and which requests it is told of.
#[derive(Debug, PartialEq, Eq)]
pub struct TraceSettings {
    /// Its base URL, to which `/v1/traces` is added.
    pub endpoint: http::Uri,
    /// The authorities that issue its certificate, PEM; required for `https`.
    pub ca: Option<FileContent>,
    /// The certificate that the gate shows it, with its key, PEM.
    pub client: Option<(FileContent, Secret)>,
    /// A bearer token, if it asks for one.
    pub token: Option<Secret>,
    /// How many of a million requests are sampled.
    pub millionths: u32,
    /// Whether a caller's own decision counts instead.
    pub follows_parent: bool,
    /// The bound on each wait for it.
    pub timeout: Duration,
}
