//! `[audit]`: the audit log, who signs and witnesses it, and where it is sent.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::FileContent;
use crate::kernel::bound::ByteLimit;
use crate::kernel::id::NodeId;
use crate::kernel::secret::Secret;
use crate::tlog::{NoteSigner, VerifierKey};

/// How long records are kept unless the configuration says otherwise, in days: three years, the statutory
/// period for records of processing personal information on behalf of others (网络数据安全管理条例, article 12).
pub const RETENTION_DAYS: u32 = 1_095;
/// The shortest time that records may be kept, in days: six months (网络安全法, article 21).
pub const MIN_RETENTION_DAYS: u32 = 180;

/// The shortest key of keyed digests, in bytes: the length of its hash (RFC 2104, section 3).
pub const MIN_DIGEST_KEY_BYTES: usize = 32;

/// What a reader of the log takes from `[audit]`.
#[derive(Debug)]
pub struct AuditLog {
    /// Where the records are.
    pub directory: PathBuf,
    /// The key of the log's heads.
    pub key: HeadKey,
    /// The keys of the witnesses that are to cosign them.
    pub witnesses: Vec<VerifierKey>,
}

/// The public key by which heads of a log are believed.
#[derive(Debug)]
pub enum HeadKey {
    /// None: no heads are signed.
    Absent,
    /// This one.
    Known(VerifierKey),
    /// It is with a private key that cannot be read here, and why.
    Unknown(String),
}

/// `[audit]`: the audit log.
#[derive(Debug)]
pub struct Audit {
    /// Where it is.
    pub directory: PathBuf,
    /// The name of this gate in its records.
    pub node: NodeId,
    /// The size of one segment file.
    pub segment_bytes: ByteLimit,
    /// How long records are kept, in days; their hashes stay.
    pub retention_days: u32,
    /// Below how much free space the alarm is raised.
    pub low_space: ByteLimit,
    /// Whether the writer may run before other threads, where the system lets it.
    pub raised_priority: bool,
    /// The key of keyed digests: of the people asked for, and of what the platform sent. Without it records
    /// have neither.
    pub pseudonym_key: Option<Secret>,
    /// Who signs the log's heads; without it nobody outside can check the log.
    pub checkpoint: Option<CheckpointSettings>,
    /// Who cosigns them.
    pub witnesses: Vec<WitnessSettings>,
    /// Where records are sent.
    pub sinks: Vec<SinkSettings>,
}

/// `[audit.checkpoint]`: the signed heads of the log.
#[derive(Debug)]
pub struct CheckpointSettings {
    /// Who signs; the name of its key is the log's origin.
    pub signer: Arc<NoteSigner>,
    /// The longest that a record waits for a signed head.
    pub every: Duration,
    /// After how many records one is signed before that.
    pub records: u64,
}

/// `[[audit.witness]]`: somebody who cosigns heads of the log.
#[derive(Debug, PartialEq, Eq)]
pub struct WitnessSettings {
    /// The witness's key.
    pub key: VerifierKey,
    /// Its submission prefix, to which `/add-checkpoint` is added.
    pub url: http::Uri,
    /// The authorities that issue its certificate, PEM; required for `https`.
    pub ca: Option<FileContent>,
}

/// `[[audit.sink]]`: somewhere that records are sent.
#[derive(Debug, PartialEq, Eq)]
pub struct SinkSettings {
    /// Its name, in its cursor and in metrics.
    pub name: NodeId,
    /// How it is spoken to.
    pub kind: SinkKind,
    /// The authorities that issue its certificate, PEM; required for TLS.
    pub ca: Option<FileContent>,
    /// The certificate that the gate shows it, with its key, PEM.
    pub client: Option<(FileContent, Secret)>,
    /// Whether records are kept until it has taken them, however long that is.
    pub is_mandatory: bool,
    /// The most records sent at once.
    pub batch_records: usize,
    /// The bound on each wait for it.
    pub timeout: Duration,
}

/// How a sink is spoken to.
#[derive(Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// `POST` of newline-delimited JSON.
    Http {
        /// Where to.
        url: http::Uri,
        /// A bearer token, if it asks for one.
        token: Option<Secret>,
    },
    /// Syslog (RFC 5424) over TLS (RFC 5425), or plain TCP where `tls` is false.
    Syslog {
        /// The host to connect to, which its certificate names.
        host: String,
        /// The port; 6514 by default (RFC 5425, section 4.1).
        port: u16,
        /// Whether it speaks TLS.
        tls: bool,
    },
}
