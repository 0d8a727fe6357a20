//! Records in the ArcSight Common Event Format, version 0 (specification 26): one event a line.
//!
//! `CEF:0|vendor|product|version|class|name|severity|key=value key=value …`. In the header `\` and `|` are
//! escaped, in values `\` and `=`, and line ends are written `\n` and `\r`. Other characters that a terminal
//! or a line-based program obeys have no escape there: they are written as in the log, `\\u202e`.

use crate::audit::{Members, Name, is_dangerous};
use crate::kernel::time::Timestamp;

/// Appends the event of a record as one line.
pub(super) fn event(record: &Members<'_>, out: &mut Vec<u8>) {
    let decision = record.text(Name::DECISION);
    let (class, name, severity) = match decision.as_deref() {
        Some("permit") => (decision.clone(), "Access permitted", "2"),
        Some("deny") => (record.text(Name::REASON), "Access refused", "5"),
        Some(_) => (record.text(Name::REASON), "Access failed", "7"),
        None => (record.text(Name::EVENT), "Gate event", "3"),
    };
    out.extend_from_slice(b"CEF:0");
    let class = class.unwrap_or_else(|| record.word(Name::KIND));
    for field in ["Pinegate", "pinegate", env!("CARGO_PKG_VERSION"), &class, name, severity] {
        out.push(b'|');
        escape(out, field, b'|');
    }
    out.push(b'|');
    let mut extension = Extension { out, is_first: true };
    let instant: Option<Timestamp> = record.word(Name::AT).parse().ok();
    extension.put("rt", instant.map(|at| at.as_millisecond().to_string()).as_deref());
    let place = format!("{}/{}", record.word(Name::GENERATION), record.word(Name::SEQ));
    extension.put("externalId", Some(&place));
    extension.put("dvchost", record.text(Name::NODE).as_deref());
    extension.put("cat", record.text(Name::KIND).as_deref());
    if record.raw(Name::EVENT).is_some() {
        lifecycle(record, &mut extension);
    } else {
        access(record, &mut extension);
    }
    out.push(b'\n');
}

fn access(record: &Members<'_>, extension: &mut Extension<'_>) {
    let address = record.text(Name::ADDRESS);
    // `src` is an IPv4 address by its type; IPv6 has a key of its own.
    match address.as_deref().filter(|address| address.contains(':')) {
        None => extension.put("src", address.as_deref()),
        Some(address) => extension.labelled("c6a2", "Source IPv6 Address", Some(address)),
    }
    for (key, name) in [
        ("suser", Name::SYSTEM),
        ("act", Name::DECISION),
        ("reason", Name::REASON),
        ("requestMethod", Name::METHOD),
        ("request", Name::ROUTE),
        ("in", Name::BYTES_IN),
        ("out", Name::BYTES_OUT),
    ] {
        extension.put(key, record.text(name).as_deref());
    }
    let outcome = match (&*record.word(Name::DECISION), record.raw(Name::ABORTED)) {
        // What is about to happen has no end yet.
        _ if record.is(Name::KIND, "intent") => None,
        ("permit", None) => Some("success"),
        _ => Some("failure"),
    };
    extension.put("outcome", outcome);
    let grants =
        record.items(Name::GRANTS).chain(record.items(Name::DENIED_BY)).collect::<Vec<_>>().join(" ");
    let grants = Some(grants).filter(|grants| !grants.is_empty());
    extension.labelled("cs1", "purpose", record.text(Name::PURPOSE).as_deref());
    extension.labelled("cs2", "resource", record.text(Name::RESOURCE).as_deref());
    extension.labelled("cs3", "grants", grants.as_deref());
    extension.labelled("cs4", "certificate", record.text(Name::CERTIFICATE).as_deref());
    extension.labelled("cs5", "request", record.text(Name::REQUEST).as_deref());
    extension.labelled("cs6", "department", record.text(Name::DEPARTMENT).as_deref());
    extension.labelled("cn1", "status", record.text(Name::STATUS).as_deref());
    extension.labelled("cn2", "records", record.text(Name::RECORDS).as_deref());
    extension.labelled("cn3", "total_us", record.text(Name::TOTAL_US).as_deref());
}

fn lifecycle(record: &Members<'_>, extension: &mut Extension<'_>) {
    extension.put("act", record.text(Name::EVENT).as_deref());
    extension.put("suser", record.text(Name::ACTOR).as_deref());
    let detail: Vec<_> = record.pairs(Name::DETAIL).map(|(name, text)| format!("{name} {text}")).collect();
    let detail = Some(detail.join(", ")).filter(|detail| !detail.is_empty());
    extension.put("msg", detail.as_deref());
}

/// What follows the header: keys and values.
struct Extension<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl Extension<'_> {
    fn put(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        if !self.is_first {
            self.out.push(b' ');
        }
        self.is_first = false;
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b'=');
        escape(self.out, value, b'=');
    }

    /// A value of a numbered key, and what it is.
    fn labelled(&mut self, key: &str, label: &str, value: Option<&str>) {
        if value.is_some() {
            self.put(key, value);
            self.put(&format!("{key}Label"), Some(label));
        }
    }
}

/// Appends a text in which `special`, backslashes and everything that ends or turns a line is escaped.
fn escape(out: &mut Vec<u8>, text: &str, special: u8) {
    for c in text.chars() {
        match c {
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            c if c == '\\' || c == char::from(special) => {
                out.push(b'\\');
                out.push(if c == '\\' { b'\\' } else { special });
            }
            c if c != '"' && is_dangerous(c) => {
                out.extend_from_slice(format!("\\\\u{:04x}", u32::from(c)).as_bytes());
            }
            c => {
                let mut utf8 = [0; 4];
                out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
            }
        }
    }
}
