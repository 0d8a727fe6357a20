//! Policy lines of any model, as Go Casbin's file adapter reads them, strictly.
//!
//! One record a line, RFC 4180 quoting, `#` at the start of a line for comments, spaces before a
//! field passed over. What Casbin would take in silence for something else (a byte order mark, a
//! space at the end of a field) is refused where it stands.

use std::ops::Range;

use crate::kernel::diagnostic::{Diagnostic, Source};
use crate::policy::csv::{MAX_CELL_BYTES, MAX_FINDINGS, MAX_ROWS};

/// One line that holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Its fields, the first of them the section.
    pub(super) fields: Vec<Field>,
    /// The bytes of the line.
    pub(super) at: Range<usize>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    /// The bytes it was read from.
    pub(super) at: Range<usize>,
    /// Whether its text stands in the file as it is.
    pub(super) is_verbatim: bool,
}

/// Reads all records of `source`, and what is wrong with it.
pub(super) fn read(source: &Source) -> (Vec<Record>, Vec<Diagnostic>) {
    let mut findings = Vec::new();
    let mut records = Vec::new();
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        let body = line.strip_suffix('\n').unwrap_or(line);
        let body = body.strip_suffix('\r').unwrap_or(body);
        let line_start = start;
        start += line.len();
        if let Some((at, c)) = body.char_indices().find(|&(_, c)| is_hidden(c)) {
            let at = line_start + at..line_start + at + c.len_utf8();
            let message = format!("character U+{:04X} does not belong in a policy", u32::from(c));
            let help =
                if c == '\t' { "write a space" } else { "remove it; save the file as UTF-8 without BOM" };
            findings.push(Diagnostic::error("control-character", source, at, message).help(help));
        } else if !body.trim_start().is_empty() && !body.trim_start().starts_with('#') {
            let at = line_start..line_start + body.len();
            match fields(body, line_start) {
                Ok(fields) => records.push(Record { fields, at }),
                Err(Wrong { at, code, message, help }) => {
                    findings.push(Diagnostic::error(code, source, at, message).help(help));
                }
            }
        }
        if records.len() > MAX_ROWS || findings.len() >= MAX_FINDINGS {
            let message =
                format!("reading stopped here: more than {MAX_ROWS} lines or {MAX_FINDINGS} errors");
            let at = line_start..start;
            findings.push(
                Diagnostic::error("too-much", source, at, message).help("split the file or mend it first"),
            );
            break;
        }
    }
    (records, findings)
}

/// Control characters, and those that nobody sees.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

struct Wrong {
    at: Range<usize>,
    code: &'static str,
    message: String,
    help: String,
}

fn fields(body: &str, line_start: usize) -> Result<Vec<Field>, Wrong> {
    let mut fields = Vec::new();
    let mut rest = body.trim_end();
    let mut start = line_start;
    loop {
        let trimmed = rest.trim_start();
        start += rest.len() - trimmed.len();
        let (field, used) = match trimmed.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted, start)?,
            None => bare_field(trimmed, start)?,
        };
        if field.text.len() > MAX_CELL_BYTES {
            return Err(Wrong {
                at: field.at,
                code: "field-too-long",
                message: format!("a field of {} bytes", field.text.len()),
                help: format!("a field has at most {MAX_CELL_BYTES} bytes"),
            });
        }
        fields.push(field);
        start += used;
        match trimmed.get(used..).and_then(|rest| rest.strip_prefix(',')) {
            Some(next) => {
                rest = next;
                start += 1;
            }
            None => return Ok(fields),
        }
    }
}

fn bare_field(text: &str, start: usize) -> Result<(Field, usize), Wrong> {
    let field = text.split(',').next().unwrap_or(text);
    let wrong = |at: Range<usize>, code, message: &str, help: &str| {
        Err(Wrong { at, code, message: message.to_owned(), help: help.to_owned() })
    };
    if let Some(quote) = field.find('"') {
        let at = start + quote..start + quote + 1;
        let help = "put the whole field in quotes and write `\"\"` for a quote in it";
        return wrong(at, "stray-quote", "a quote inside a field without quotes", help);
    }
    let kept = field.trim_end();
    if kept.len() < field.len() {
        let at = start + kept.len()..start + field.len();
        let help = "Casbin keeps it as a part of the field: remove it, or put the field in quotes";
        return wrong(at, "space-after-field", "a space at the end of a field", help);
    }
    let at = start..start + field.len();
    Ok((Field { text: field.to_owned(), at, is_verbatim: true }, field.len()))
}

/// Reads after the opening quote at `start`.
fn quoted_field(quoted: &str, start: usize) -> Result<(Field, usize), Wrong> {
    let mut text = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            text.push(c);
        } else if chars.next_if(|&(_, next)| next == '"').is_some() {
            text.push('"');
        } else {
            let used = at + 2;
            if let Some(&(_, next)) = chars.peek().filter(|&&(_, next)| next != ',') {
                return Err(Wrong {
                    at: start + used..start + used + next.len_utf8(),
                    code: "stray-quote",
                    message: "text after the closing quote".to_owned(),
                    help: "end the field right after its closing quote".to_owned(),
                });
            }
            let is_verbatim = text.len() == at;
            return Ok((Field { text, at: start + 1..start + 1 + at, is_verbatim }, used));
        }
    }
    Err(Wrong {
        at: start..start + 1,
        code: "stray-quote",
        message: "a quote that is never closed".to_owned(),
        help: "close it on the same line".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Result<Vec<Vec<String>>, Vec<&'static str>> {
        let (records, findings) = read(&Source::new("policy.csv", text));
        if findings.is_empty() {
            let texts = |record: Record| record.fields.into_iter().map(|field| field.text).collect();
            Ok(records.into_iter().map(texts).collect())
        } else {
            Err(findings.iter().map(|finding| finding.code).collect())
        }
    }

    #[test]
    fn records_as_go_reads_them() {
        for (text, fields) in [
            ("p, alice, data1\n", vec!["p", "alice", "data1"]),
            ("p,\"a, \"\"b\"\"\",  c\r\n", vec!["p", "a, \"b\"", "c"]),
            ("p, , x,", vec!["p", "", "x", ""]),
            ("  p, r.sub.Age > 18, x  \n", vec!["p", "r.sub.Age > 18", "x"]),
            ("p, 全角，字", vec!["p", "全角，字"]),
            ("p, \"a \", b", vec!["p", "a ", "b"]),
        ] {
            assert_eq!(texts(text), Ok(vec![fields.into_iter().map(str::to_owned).collect()]), "{text}");
        }
        assert_eq!(texts("# x, \"y\n\n  \n"), Ok(vec![]));
    }

    #[test]
    fn what_is_refused() {
        for (text, code) in [
            ("\u{feff}p, a", "control-character"),
            ("p,\ta", "control-character"),
            ("p, a\u{200b}", "control-character"),
            ("p, a , b", "space-after-field"),
            ("p, a\"b", "stray-quote"),
            ("p, \"a\"b", "stray-quote"),
            ("p, \"a\" , b", "stray-quote"),
            ("p, \"a", "stray-quote"),
        ] {
            assert_eq!(texts(text), Err(vec![code]), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_spans_lie_in_it(text in "[\\PC\n\r\t\", p g#]{0,60}") {
            let source = Source::new("policy.csv", text.as_str());
            let (records, findings) = read(&source);
            let fields = records.iter().flat_map(|record| &record.fields);
            for field in fields.clone().filter(|field| field.is_verbatim) {
                proptest::prop_assert_eq!(source.text.get(field.at.clone()), Some(field.text.as_str()));
            }
            for span in findings.iter().map(|finding| &finding.span).chain(fields.map(|field| &field.at)) {
                proptest::prop_assert!(source.text.get(span.clone()).is_some());
            }
        }
    }
}
