//! `witness.toml`, section by section.

use std::path::{Path, PathBuf};

use super::{FileContent, Reader, Secret, parse_address};
use crate::config::witness::WitnessConfig;
use crate::document::{Document, Table};
use crate::kernel::diagnostic::{Report, Source};
use crate::tlog::note::SignatureKind;
use crate::tlog::witness::Witness;
use crate::tlog::{NoteError, NoteSigner, VerifierKey};

/// Reads the whole configuration of a witness.
pub(in crate::config) fn witness(path: &Path, source: &Source) -> (Option<WitnessConfig>, Report) {
    let document = Document::parse(source);
    let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let config = Reader::new(document.root(), directory).witness_config();
    let report = document.into_report();
    (config.filter(|_| !report.has_errors()), report)
}

impl<'d, 's> Reader<'d, 's> {
    fn witness_config(self) -> Option<WitnessConfig> {
        let root = &self.root;
        let listen = root.required("listen", "where logs connect, such as `127.0.0.1:7380`", parse_address);
        let directory = root.required_text("directory", "where it keeps what it has cosigned");
        let signer = self.witness_signer();
        let logs = self.logs();
        let tls = root.table("tls").map(|table| self.witness_tls(table));
        let telemetry = Self::telemetry(root.table("telemetry"));
        let directory = directory.map(|directory| self.resolve(&directory.value));
        // Unknown keys are told together with what is missing.
        self.root.finish();
        Some(WitnessConfig {
            listen: listen?.value,
            tls: match tls {
                Some(tls) => Some(tls?),
                None => None,
            },
            directory: directory?,
            witness: Witness::new(signer?, logs?).ok()?,
            telemetry,
        })
    }

    fn witness_signer(&self) -> Option<NoteSigner> {
        let root = &self.root;
        let name = root.required_text("name", "its name in cosignatures, such as `witness.example/w1`");
        if !root.has("key") {
            root.missing(
                "key",
                "an Ed25519 private key, PKCS #8 PEM: `pinegate audit key --new --witness …`",
            );
            return None;
        }
        let (name, secret) = (name?, self.secret(root, "key")?);
        let signer = NoteSigner::from_pkcs8(&name.value, SignatureKind::Cosignature, &secret);
        let key = match &signer {
            Err(NoteError::PrivateKey) => "key",
            _ => "name",
        };
        signer.map_err(|error| root.bad_value(key, root.span_of(key), &error)).ok()
    }

    fn logs(&self) -> Option<Vec<VerifierKey>> {
        let mut logs: Vec<VerifierKey> = Vec::new();
        let mut is_whole = true;
        for table in self.root.tables("log") {
            let span = table.span();
            let key = table.required("key", "its public key, `<origin>+<id>+<base64>`", |text| {
                let key = VerifierKey::parse(text)?;
                match key.kind() {
                    SignatureKind::Ed25519 => Ok(key),
                    SignatureKind::Cosignature => Err(NoteError::Key("it is a witness's, not a log's")),
                }
            });
            table.finish();
            match key {
                Some(key) if logs.iter().any(|known| known.bytes() == key.value.bytes()) => {
                    let message = "a second log has the same public key";
                    self.root.document().error("duplicate-id", span, message, "leave one of them out");
                }
                Some(key) => logs.push(key.value),
                None => is_whole = false,
            }
        }
        if logs.is_empty() && is_whole {
            self.root.missing("log", "a table `[[log]]` with the `key` of each log that it knows");
            return None;
        }
        is_whole.then_some(logs)
    }

    fn witness_tls(&self, table: Table<'d, 's>) -> Option<(FileContent, Secret)> {
        let certificate = self.required_file(&table, "certificate", "the witness's certificate chain, PEM");
        if !table.has("key") {
            table.missing("key", "the file of its private key, PEM");
        }
        let key = if table.has("key") { self.secret(&table, "key") } else { None };
        table.finish();
        certificate.zip(key)
    }
}
