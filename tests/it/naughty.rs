//! The Big List of Naughty Strings, sent through a gate: what a caller writes forges no record.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::city::{Call, Http, Plan, assert_intact};

/// What a terminal, a line-based tool or a bidirectional display obeys.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_naughty_requests_are_lines_like_others() {
    let Some(folder) = crate::skip::conformance() else { return };
    let path = folder.join("blns/blns.json");
    let strings: Vec<String> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let city = Plan::new().unlimited().start().await;
    let connection = city.client("minzheng-aid").connect(Http::Two).await.unwrap();
    let mut requests = std::collections::BTreeSet::new();
    let mut kept = 0;
    for text in &strings {
        let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let target = format!("/population/residents?area={encoded}&x={encoded}");
        for call in [
            Call::aid(&target),
            Call::aid("/population/residents?area=3410&size=1").header("data-scope", &encoded),
            Call::aid("/population/residents?area=3410&size=1").header("traceparent", &encoded),
            Call::aid(&format!("/population/residents/{encoded}")),
        ] {
            let reply = city.call_on(&connection, call).await;
            requests.insert(reply.request_id());
        }
        kept += usize::from(!text.is_empty());
    }
    let records = city.records();
    let recorded: std::collections::BTreeSet<_> =
        records.iter().filter_map(|record| record.request.clone()).collect();
    assert_eq!(recorded, requests, "each has its record, and nobody wrote another");
    let areas =
        records.iter().filter_map(|record| record.parameters.get("area")).filter(|area| *area != "3410");
    let shown = areas.filter(|area| strings.contains(area) || area.ends_with('…')).count();
    assert!(shown > kept / 2, "{shown} of {kept}: too many were refused before they were noted");

    let generation = city.files().audit().join("test.000001");
    for file in std::fs::read_dir(generation).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let bytes = std::fs::read(&file).unwrap();
        let written = bytes.split(|byte| *byte == 0).next().unwrap();
        let text = std::str::from_utf8(written).unwrap();
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            assert!(!line.contains(is_obeyed), "{line:?}");
            assert!(line.starts_with("{\"v\":1,\"seq\":") && line.ends_with('}'), "{line}");
        }
    }
    assert_intact(&city.files().audit());
}
