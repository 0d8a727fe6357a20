//! `[audit]` and the tables below it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{FileContent, Reader, Secret, count, duration, size};
use crate::config::audit::{
    Audit, CheckpointSettings, MIN_DIGEST_KEY_BYTES, MIN_RETENTION_DAYS, RETENTION_DAYS, SinkKind,
    SinkSettings, WitnessSettings,
};
use crate::document::{At, Table};
use crate::kernel::bound::ByteLimit;
use crate::kernel::id::NodeId;
use crate::tlog::note::SignatureKind;
use crate::tlog::{NoteError, NoteSigner, VerifierKey};

/// The longest that records are kept, in days: a hundred years.
const MAX_RETENTION_DAYS: i64 = 36_525;
/// The port of syslog over TLS (RFC 5425, section 4.1).
const SYSLOG_TLS: u16 = 6514;

/// What is read of the log alone; the key is `None` in `Some` where it cannot be told.
type AuditLogRead = (PathBuf, Vec<VerifierKey>, Option<Option<VerifierKey>>);

fn witness_key(table: &Table<'_, '_>) -> Option<VerifierKey> {
    let key = table.required("key", "its public key, `<name>+<id>+<base64>`", |text| {
        let key = VerifierKey::parse(text)?;
        match key.kind() {
            SignatureKind::Cosignature => Ok(key),
            SignatureKind::Ed25519 => Err(NoteError::Key("it is a log's, not a witness's")),
        }
    });
    key.map(|at| at.value)
}

impl<'d, 's> Reader<'d, 's> {
    pub(super) fn audit(&self, table: Table<'d, 's>) -> Option<Audit> {
        let directory = table.required_text("directory", "where the records are kept");
        let node = table.required("node", "the name of this gate in its records", NodeId::parse);
        let segment_bytes = size(&table, "segment_bytes", ByteLimit::bytes(64 << 20));
        let days = table.integer("retention_days", i64::from(MIN_RETENTION_DAYS)..=MAX_RETENTION_DAYS);
        let retention_days = days.and_then(|at| u32::try_from(at.value).ok()).unwrap_or(RETENTION_DAYS);
        let low_space = size(&table, "low_space", ByteLimit::bytes(1 << 30));
        let priority = table.parsed("writer_priority", |text| match text {
            "raised" => Ok(true),
            "normal" => Ok(false),
            _ => Err("write `raised` or `normal`"),
        });
        let pseudonym_key = self.pseudonym_key(&table);
        let name = node.as_ref().map(|node| node.value.as_str().to_owned());
        let checkpoint = table.table("checkpoint").map(|table| self.checkpoint(table, name));
        let witnesses: Vec<_> =
            table.tables("witness").into_iter().map(|table| self.witness(table)).collect();
        if let (false, None) = (witnesses.is_empty(), &checkpoint) {
            table.missing("checkpoint", "a table with the `key` that signs what the witnesses cosign");
        }
        let sinks = self.sinks(&table);
        table.finish();
        let directory: PathBuf = self.resolve(&directory?.value);
        Some(Audit {
            directory,
            node: node?.value,
            segment_bytes,
            retention_days,
            low_space,
            raised_priority: priority.is_some_and(|at| at.value),
            pseudonym_key,
            checkpoint: match checkpoint {
                Some(checkpoint) => checkpoint?,
                None => None,
            },
            witnesses: witnesses.into_iter().collect::<Option<_>>()?,
            sinks,
        })
    }

    /// Where the log is, the public keys of its witnesses, and that of its heads where any are signed, if it can be
    /// told. Reads no file and no secret but the key of the heads.
    pub(super) fn audit_log(&self, table: &Table<'d, 's>) -> Option<AuditLogRead> {
        let directory = self.resolve(table.text("directory")?.value);
        let node = table.text("node").map(|at| at.value.to_owned());
        let witnesses = table.tables("witness").iter().map(witness_key).collect::<Option<_>>()?;
        let checkpoint = table.table("checkpoint").map(|table| self.checkpoint(table, node));
        let key = checkpoint.map(|read| read.flatten().map(|settings| settings.signer.key().clone()));
        Some((directory, witnesses, key))
    }

    pub(super) fn pseudonym_key(&self, table: &Table<'d, 's>) -> Option<Secret> {
        const KEY: &str = "pseudonym_key";
        let key = if table.has(KEY) { self.secret(table, KEY) } else { None }?;
        if key.expose().len() < MIN_DIGEST_KEY_BYTES {
            table.bad_value(KEY, table.span_of(KEY), &"a secret of at least 32 bytes");
            return None;
        }
        Some(key)
    }

    /// How heads are signed; `None` in `Some` where the key is not known here.
    fn checkpoint(&self, table: Table<'d, 's>, node: Option<String>) -> Option<Option<CheckpointSettings>> {
        if !table.has("key") {
            table.missing("key", "an Ed25519 private key, PKCS #8 PEM: `openssl genpkey -algorithm ed25519`");
        }
        let secret = if table.has("key") { self.secret(&table, "key") } else { None };
        let origin = table.text("origin").map(|at| at.value.to_owned()).or(node);
        let every = duration(&table, "every", Duration::from_secs(10));
        let records = count(&table, "records", 1..=100_000_000, 65_536);
        let is_elsewhere = secret.as_ref().is_some_and(|secret| self.stands_in(secret));
        let signer = secret.filter(|_| !is_elsewhere).zip(origin).and_then(|(secret, origin)| {
            let signer = NoteSigner::from_pkcs8(&origin, SignatureKind::Ed25519, &secret);
            let key = match &signer {
                Err(NoteError::PrivateKey) => "key",
                _ => "origin",
            };
            signer.map_err(|error| table.bad_value(key, table.span_of(key), &error)).ok()
        });
        table.finish();
        if is_elsewhere {
            return Some(None);
        }
        let records = u64::try_from(records).ok()?;
        Some(Some(CheckpointSettings { signer: Arc::new(signer?), every, records }))
    }

    fn witness(&self, table: Table<'d, 's>) -> Option<WitnessSettings> {
        let key = witness_key(&table);
        let url =
            table.required("url", "its submission prefix, such as `https://witness.example/w1`", any_url);
        let ca = self.authorities(&table, url.as_ref(), &["ca"]);
        table.finish();
        Some(WitnessSettings { key: key?, url: url?.value, ca })
    }

    /// The authorities of whoever is at `url`. What the keys `certificates` name is of use over TLS alone.
    pub(super) fn authorities(
        &self,
        table: &Table<'d, 's>,
        url: Option<&At<http::Uri>>,
        certificates: &[&'static str],
    ) -> Option<FileContent> {
        let ca = table.text("ca").and_then(|text| self.file(table, "ca", &text.map(str::to_owned)));
        if let Some(url) = url {
            let scheme = url.value.scheme_str().unwrap_or_default();
            let is_tls = matches!(scheme, "https" | "syslog+tls");
            if is_tls && !table.has("ca") {
                table.missing("ca", "the authorities that issue its certificate, PEM");
            }
            if !is_tls && certificates.iter().any(|key| table.has(key)) {
                let tls = if scheme.starts_with("syslog") { "syslog+tls" } else { "https" };
                let expected = format!("`{tls}://…`, since certificates are configured");
                table.bad_value("url", url.span.clone(), &expected);
            }
        }
        ca
    }

    /// The certificate that the gate shows whom it connects to, with its key.
    pub(super) fn own_certificate(&self, table: &Table<'d, 's>) -> Option<(FileContent, Secret)> {
        let certificate = table
            .text("certificate")
            .and_then(|text| self.file(table, "certificate", &text.map(str::to_owned)));
        let key = if table.has("key") { self.secret(table, "key") } else { None };
        if table.has("certificate") != table.has("key") {
            table.missing(if table.has("key") { "certificate" } else { "key" }, "the two go together");
        }
        certificate.zip(key)
    }

    fn sinks(&self, table: &Table<'d, 's>) -> Vec<SinkSettings> {
        let mut sinks: Vec<SinkSettings> = Vec::new();
        for table in table.tables("sink") {
            let span = table.span();
            let document = table.document();
            let Some(sink) = self.sink(table) else { continue };
            if sinks.iter().any(|known| known.name == sink.name) {
                let message = format!("a second sink is called `{}`", sink.name);
                document.error("duplicate-id", span, message, "give each sink a name of its own");
            }
            sinks.push(sink);
        }
        sinks
    }

    fn sink(&self, table: Table<'d, 's>) -> Option<SinkSettings> {
        let name = table.required("name", "a name for its cursor and in metrics", NodeId::parse);
        let url = table.required(
            "url",
            "such as `https://siem.example/ingest`, `syslog+tls://siem.example:6514` or `syslog+tcp://…`",
            any_url,
        );
        let kind = url.as_ref().and_then(|url| self.sink_kind(&table, url));
        let ca = self.authorities(&table, url.as_ref(), &["ca", "certificate", "key"]);
        let client = self.own_certificate(&table);
        let is_mandatory = table.flag("mandatory").is_some_and(|at| at.value);
        let batch_records = count(&table, "batch_records", 1..=100_000, 1_000);
        let timeout = duration(&table, "timeout", Duration::from_secs(30));
        table.finish();
        Some(SinkSettings {
            name: name?.value,
            kind: kind?,
            ca,
            client,
            is_mandatory,
            batch_records,
            timeout,
        })
    }

    fn sink_kind(&self, table: &Table<'d, 's>, url: &At<http::Uri>) -> Option<SinkKind> {
        let token = if table.has("token") { self.secret(table, "token") } else { None };
        let tls = match url.value.scheme_str() {
            Some(scheme @ ("http" | "https")) => {
                if scheme == "http" && table.has("token") && !is_loopback(&url.value) {
                    let expected = "`https://…`, since it would send a token in clear text";
                    table.bad_value("url", url.span.clone(), &expected);
                }
                return Some(SinkKind::Http { url: url.value.clone(), token });
            }
            Some("syslog+tls") => true,
            Some("syslog+tcp") => false,
            _ => {
                let expected = "`https://`, `http://`, `syslog+tls://` or `syslog+tcp://`";
                table.bad_value("url", url.span.clone(), &expected);
                return None;
            }
        };
        if table.has("token") {
            table.bad_value("token", table.span_of("token"), &"nothing: syslog has no tokens");
        }
        let host = url.value.host()?.to_owned();
        Some(SinkKind::Syslog { host, port: url.value.port_u16().unwrap_or(SYSLOG_TLS), tls })
    }
}

/// Whether what is sent there does not leave the machine.
pub(super) fn is_loopback(url: &http::Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// An absolute URL without a query.
pub(super) fn any_url(text: &str) -> Result<http::Uri, &'static str> {
    let url: http::Uri = text.trim_end_matches('/').parse().map_err(|_| "write an absolute URL")?;
    if url.scheme().is_none() || url.host().is_none_or(str::is_empty) || url.query().is_some() {
        return Err("write an absolute URL without a query");
    }
    Ok(url)
}
