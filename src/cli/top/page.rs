//! The text format of Prometheus, version 0.0.4, read strictly: the page comes from a socket.

use std::collections::HashMap;

/// Longer lines are no line of a gate's: its longest has three labels.
const MAX_LINE_BYTES: usize = 64 << 10;

/// The most lines of a page: ten times what the gate of a large city has.
const MAX_LINES: usize = 300_000;

/// The series of a page, by the name of their samples.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Page(HashMap<String, Vec<Series>>);

/// One series: its labels, and how it stood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl Series {
    /// The value of a label.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// Why a page is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the page is {what}")]
pub(crate) struct PageError {
    line: usize,
    what: &'static str,
}

impl Page {
    /// Reads a whole page.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PageError> {
        let mut page = Self::default();
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let bad = |what| PageError { line, what };
            if line > MAX_LINES {
                return Err(bad("one too many"));
            }
            if text.len() > MAX_LINE_BYTES {
                return Err(bad("longer than 64 KiB"));
            }
            let text = std::str::from_utf8(text).map_err(|_| bad("not UTF-8"))?.trim_matches([' ', '\t']);
            // Help and types are for people and databases: what a name means is known here.
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (name, series) = sample(text).ok_or(bad("no sample of Prometheus' text format"))?;
            page.0.entry(name.to_owned()).or_default().push(series);
        }
        Ok(page)
    }

    /// The series of this name.
    pub(super) fn series(&self, name: &str) -> &[Series] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of the only series of this name.
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        match self.series(name) {
            [only] => Some(only.value),
            _ => None,
        }
    }
}

/// `name{label="value",…} number [milliseconds]`.
fn sample(text: &str) -> Option<(&str, Series)> {
    let (name, rest) = word(text, |c| c == ':')?;
    let mut labels = Vec::new();
    let rest = match rest.trim_start_matches([' ', '\t']).strip_prefix('{') {
        Some(inner) => labelled(inner, &mut labels)?,
        None => rest,
    };
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let value = number(words.next()?)?;
    if let Some(at) = words.next() {
        at.parse::<i64>().ok()?;
    }
    let is_apart = rest.starts_with([' ', '\t']) || !labels.is_empty();
    (words.next().is_none() && is_apart).then_some((name, Series { labels, value }))
}

/// The most labels that one line may have; the gate's own have three.
const MAX_LABELS: usize = 16;

/// The labels up to `}`, and what stands behind it.
fn labelled<'t>(mut rest: &'t str, labels: &mut Vec<(String, String)>) -> Option<&'t str> {
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Some(behind);
        }
        let (name, after) = word(rest, |_| false)?;
        let after = after.trim_start_matches([' ', '\t']).strip_prefix('=')?;
        let (value, after) = quoted(after.trim_start_matches([' ', '\t']).strip_prefix('"')?)?;
        if labels.len() >= MAX_LABELS || labels.iter().any(|(known, _)| known == name) {
            return None;
        }
        labels.push((name.to_owned(), value));
        rest = after.trim_start_matches([' ', '\t']);
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// A name at the beginning, and what stands behind it.
fn word(text: &str, also: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || also(c);
    let end = text.find(|c| !is_inside(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    (name.starts_with(|c: char| !c.is_ascii_digit())).then_some((name, rest))
}

/// A text up to its closing quote, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
}

/// A number as Go reads and writes them, without its hexadecimal forms.
fn number(text: &str) -> Option<f64> {
    match text.trim_start_matches(['+', '-']) {
        "Inf" | "NaN" => text.parse().ok(),
        digits if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Page, PageError> {
        Page::parse(text.as_bytes())
    }

    #[test]
    fn samples_are_read() {
        let page = read(
            "# HELP a what\n# TYPE a counter\na 1\n\n b_total{x=\"1\"} 2.5e3\t17\nb_total{ x = \"q\\\"\\\\\\n,}\" , \
             y=\"民\",} -Inf\r\n"
                .trim_end_matches("\r\n"),
        )
        .unwrap();
        assert_eq!(page.value("a"), Some(1.0));
        assert_eq!(page.value("b_total"), None, "it has two");
        let [one, two] = page.series("b_total") else { panic!("{page:?}") };
        assert_eq!((one.label("x"), one.value), (Some("1"), 2500.0));
        assert_eq!((two.label("x"), two.label("y")), (Some("q\"\\\n,}"), Some("民")));
        assert!(two.value.is_infinite() && two.label("z").is_none() && page.series("c").is_empty());
        assert!(read("n NaN").unwrap().value("n").unwrap().is_nan());
    }

    #[test]
    fn what_is_no_sample_is_refused_with_its_line() {
        for bad in [
            "a",
            "a ",
            "1a 1",
            "a1",
            "a{} ",
            "a{x} 1",
            "a{x=1} 1",
            "a{x=\"1} 1",
            "a{x=\"1\"",
            "a{x=\"1\" y=\"2\"} 1",
            "a{x=\"1\",x=\"2\"} 1",
            "a{x=\"\\t\"} 1",
            "a{:=\"\"} 1",
            "a 1 2 3",
            "a 1 x",
            "a 0x1p3",
            "a infinity",
            "a nan",
            "a 1_000",
            "a-b 1",
            "<html>",
            "{\"a\": 1}",
            "a 1\r",
        ] {
            let error = read(&format!("ok 1\n{bad}\n")).unwrap_err();
            assert_eq!(
                error.to_string(),
                "line 2 of the page is no sample of Prometheus' text format",
                "{bad}"
            );
        }
        assert_eq!(Page::parse(b"a{x=\"\xff\"} 1").unwrap_err().what, "not UTF-8");
        assert_eq!(Page::parse(&[b'a'; MAX_LINE_BYTES + 1]).unwrap_err().what, "longer than 64 KiB");
    }

    #[test]
    fn the_gates_own_page_is_read() {
        let metrics = crate::telemetry::Metrics::new().unwrap();
        metrics.refusals("overloaded").inc_by(3);
        metrics.request_seconds.observe(0.003);
        let page = Page::parse(&metrics.encode().unwrap()).unwrap();
        assert_eq!(page.series("pinegate_refusals_total")[0].label("code"), Some("overloaded"));
        assert_eq!(page.series("pinegate_refusals_total")[0].value, 3.0);
        assert_eq!(page.value("pinegate_request_duration_seconds_count"), Some(1.0));
        assert_eq!(page.series("pinegate_request_duration_seconds_bucket").len(), 17);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _page = Page::parse(&bytes);
        }

        #[test]
        fn anything_near_a_sample_is_read_or_refused(text in r#"[a-b0-9_:{}="\\, \n#+.-]{0,60}"#) {
            let _page = Page::parse(text.as_bytes());
        }

        #[test]
        fn what_is_written_is_read(value in any::<f64>(), label in "\\PC*") {
            let escaped = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let number = if value.is_infinite() {
                if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
            } else {
                value.to_string()
            };
            let page = Page::parse(format!("a{{x=\"{escaped}\"}} {number}").as_bytes()).unwrap();
            let [only] = page.series("a") else { panic!("{page:?}") };
            prop_assert_eq!(only.label("x"), Some(label.as_str()));
            prop_assert!(only.value == value || (only.value.is_nan() && value.is_nan()));
        }
    }
}
