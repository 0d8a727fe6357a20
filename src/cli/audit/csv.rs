//! Records as CSV (RFC 4180): columns that stay as they are, cells that no spreadsheet computes.

use crate::audit::{Members, Name};

/// The columns: where the record stands, then its members in the order of a line. What a newer version
/// adds comes at the end, so that a column keeps its place.
pub(super) const COLUMNS: &[&str] = &[
    "node",
    "generation",
    "seq",
    "at",
    "kind",
    "request",
    "trace",
    "system",
    "department",
    "certificate",
    "address",
    "method",
    "route",
    "resource",
    "provider",
    "action",
    "purpose",
    "purpose_source",
    "token",
    "requested",
    "requested_more",
    "parameters",
    "parameters_more",
    "withheld",
    "withheld_more",
    "subjects",
    "subjects_more",
    "subjects_key",
    "narrowed_to",
    "narrowed_to_more",
    "decision",
    "reason",
    "admitted",
    "grants",
    "grants_more",
    "denied_by",
    "denied_by_more",
    "released",
    "released_more",
    "event",
    "actor",
    "detail",
    "detail_more",
    "policy",
    "config",
    "shadow",
    "shadow_policy",
    "status",
    "bytes_in",
    "bytes_out",
    "records",
    "masked",
    "masked_more",
    "dropped",
    "dropped_more",
    "egress",
    "egress_more",
    "unclassified",
    "submitted",
    "submitted_masked",
    "submitted_masked_more",
    "submitted_dropped",
    "submitted_dropped_more",
    "submitted_unclassified",
    "received_mac",
    "sent_sha256",
    "total_us",
    "decide_us",
    "upstream_us",
    "attempts",
    "aborted",
    "ended_by",
];

/// Members that are no column: they bind the line in the log and say nothing of the access.
#[cfg(test)]
const LEFT_OUT: &[&str] = &["v", "batch", "prev", "sum"];

/// The names of the columns, ready to be asked for.
#[derive(Debug)]
pub(super) struct Columns(Vec<Name>);

impl Columns {
    pub(super) fn new() -> Self {
        let named = |column: &&str| Name::all().find(|name| name.as_str() == *column);
        Self(COLUMNS.iter().filter_map(named).collect())
    }

    /// The first line.
    pub(super) fn header(&self, out: &mut Vec<u8>) {
        row(out, self.0.iter().map(|name| name.as_str()));
    }

    /// The line of a record. Texts stand as in the log, escapes included; lists and objects as JSON.
    pub(super) fn record(&self, record: &Members<'_>, out: &mut Vec<u8>) {
        row(out, self.0.iter().map(|&name| record.raw(name).map_or("", unquoted)));
    }
}

/// The JSON of a text without its quotes, escapes included; other JSON as it is.
pub(super) fn unquoted(raw: &str) -> &str {
    raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw)
}

/// Appends one line of cells. They have no line ends.
pub(super) fn row<'c>(out: &mut Vec<u8>, cells: impl Iterator<Item = &'c str>) {
    for (place, text) in cells.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        cell(out, text);
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether a spreadsheet would compute a cell that begins so, also in full width.
fn computes(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

fn cell(out: &mut Vec<u8>, text: &str) {
    let is_formula = computes(text);
    if !is_formula && !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n' | b';' | b'\t')) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    if is_formula {
        // What stands behind it is text to every spreadsheet.
        out.push(b'\'');
    }
    for (place, part) in text.split('"').enumerate() {
        if place > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_a_column_or_left_out_on_purpose() {
        let mut known: Vec<_> = COLUMNS.iter().chain(LEFT_OUT).copied().collect();
        let mut all: Vec<_> = Name::all().map(Name::as_str).collect();
        known.sort_unstable();
        all.sort_unstable();
        assert_eq!(known, all);
        assert_eq!(Columns::new().0.len(), COLUMNS.len());
    }

    #[test]
    fn a_cell_is_read_back_and_computes_nothing() {
        for (text, cell) in [
            ("", ""),
            ("sys:minzheng-aid", "sys:minzheng-aid"),
            ("a,b", "\"a,b\""),
            ("[\"a\",\"b\"]", "\"[\"\"a\"\",\"\"b\"\"]\""),
            ("=1+1", "\"'=1+1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("-x", "\"'-x\""),
            ("＝1+1", "\"'＝1+1\""),
            ("a=1", "a=1"),
        ] {
            let mut out = Vec::new();
            super::cell(&mut out, text);
            assert_eq!(String::from_utf8(out).unwrap(), cell, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn another_reader_reads_the_same(cells in proptest::collection::vec(".*", 1..6)) {
            let mut out = b"head\r\n".to_vec();
            row(&mut out, cells.iter().map(String::as_str));
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(out.as_slice());
            let read: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
            let read: Vec<_> = read.iter().flat_map(|read| read.iter().map(str::to_owned)).collect();
            let guarded: Vec<_> = cells.iter().map(|text| if computes(text) { format!("'{text}") } else { text.clone() }).collect();
            // One empty cell is an empty line, which that reader passes over.
            proptest::prop_assert!(read == guarded || guarded == [""]);
            proptest::prop_assert!(!read.iter().any(|cell| computes(cell)));
        }
    }
}
