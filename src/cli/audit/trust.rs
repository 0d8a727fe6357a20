//! Whose signatures are believed.

use std::path::{Path, PathBuf};

use clap::Args;

use super::bounded::read_at_most;
use super::evidence::EvidenceError;
use crate::cli::CommandError;
use crate::tlog::policy::MAX_POLICY_BYTES;
use crate::tlog::{Policy, VerifierKey};

/// Whom to believe.
#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// The public key of the log (`pinegate audit key` prints it); several, of several logs
    #[arg(long = "key", value_name = "VKEY", conflicts_with = "policy")]
    keys: Vec<String>,
    /// A file that says which logs and witnesses are believed (C2SP tlog-policy)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// A policy and its text.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) policy: Policy,
    pub(super) text: Vec<u8>,
}

impl Trust {
    /// Reads a policy.
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let text = read_at_most(path, MAX_POLICY_BYTES)?;
        let policy =
            Policy::parse(&text).map_err(|source| EvidenceError::Policy { path: path.to_owned(), source })?;
        Ok(Self { policy, text })
    }

    /// Believes these logs, and asks for a cosignature of any of the witnesses if it is `cosigned`.
    pub(super) fn of(
        logs: &[VerifierKey],
        witnesses: &[VerifierKey],
        cosigned: Cosigned,
    ) -> Result<Self, EvidenceError> {
        let mut text = String::new();
        for key in logs {
            text.push_str(&format!("log {key}\n"));
        }
        for (number, key) in (1..).zip(witnesses) {
            text.push_str(&format!("witness w{number} {key}\n"));
        }
        if cosigned == Cosigned::ByAny && !witnesses.is_empty() {
            let names: Vec<_> = (1..=witnesses.len()).map(|number| format!("w{number}")).collect();
            text.push_str(&format!("group any-of-them any {}\nquorum any-of-them\n", names.join(" ")));
        } else {
            text.push_str("quorum none\n");
        }
        let text = text.into_bytes();
        let policy = Policy::parse(&text).map_err(|error| {
            let given = logs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            EvidenceError::Key { given, source: error.fault }
        })?;
        Ok(Self { policy, text })
    }
}

/// Which cosignatures are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cosigned {
    /// One, whose ever.
    ByAny,
    /// None.
    ByNobody,
}

impl TrustArgs {
    /// The logs whose keys were given one by one.
    pub(super) fn names(&self) -> Vec<String> {
        self.keys
            .iter()
            .filter_map(|given| VerifierKey::parse(given).ok())
            .map(|key| key.name().to_owned())
            .collect()
    }

    /// What was given; `None` if nothing was.
    pub(super) fn trust(&self) -> Result<Option<Trust>, CommandError> {
        if let Some(path) = &self.policy {
            return Trust::read(path).map(Some);
        }
        if self.keys.is_empty() {
            return Ok(None);
        }
        let mut logs = Vec::new();
        for given in &self.keys {
            let key = VerifierKey::parse(given);
            let refused = |source: crate::tlog::NoteError| EvidenceError::Key {
                given: given.clone(),
                source: source.into(),
            };
            logs.push(key.map_err(refused)?);
        }
        Ok(Some(Trust::of(&logs, &[], Cosigned::ByNobody)?))
    }
}
