//! `witness.toml`: what `pinegate witness` is told, apart from any gate.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{FileContent, Telemetry, read};
use crate::kernel::diagnostic::{Report, Source};
use crate::kernel::secret::Secret;
use crate::tlog::witness::Witness;

/// All that a witness is told by its operator.
#[derive(Debug)]
pub struct WitnessConfig {
    /// Where logs and monitors connect.
    pub listen: SocketAddr,
    /// Its certificate chain and private key, PEM; without them it speaks plain HTTP.
    pub tls: Option<(FileContent, Secret)>,
    /// Where it keeps what it has cosigned.
    pub directory: PathBuf,
    /// Who it is, and which logs it knows.
    pub witness: Witness,
    /// Logs of the process.
    pub telemetry: Telemetry,
}

impl WitnessConfig {
    /// Reads `path` and every file it names.
    ///
    /// The report holds what is wrong; there is a configuration exactly when it has no error.
    #[must_use]
    pub fn load(path: &Path) -> (Option<Self>, Report) {
        match read::text_of(path) {
            Ok(text) => read::witness(path, &Source::new(path.display().to_string(), text)),
            Err(report) => (None, report),
        }
    }
}

#[cfg(test)]
mod tests;
