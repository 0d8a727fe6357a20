//! The Big List of Naughty Strings, wherever a record holds a text of somebody else's.

use super::*;

/// What a terminal, a line-based tool or a bidirectional display obeys.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn assert_harmless(line: &[u8]) -> serde_json::Value {
    assert!(line.len() <= MAX_LINE_BYTES);
    let text = std::str::from_utf8(line).unwrap();
    assert!(!text.contains(is_obeyed), "{text}");
    serde_json::from_str(text).unwrap()
}

#[test]
fn each_is_one_harmless_line() {
    let Some(folder) = crate::kernel::skip::conformance() else { return };
    let path = folder.join("blns/blns.json");
    let strings: Vec<String> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(strings.len() > 500);
    let name = ParameterName::parse("area").unwrap();
    for text in &strings {
        let texts = Texts {
            method: text.clone(),
            route: text.clone(),
            requested: vec![text.clone(), text.clone()],
            parameters: vec![(name.clone(), text.clone()), (name.clone(), text.clone())],
            fields: FieldPath::parse(text).into_iter().collect(),
            ..plain()
        };
        let line = with_access(&texts, |access| {
            let mut line = Vec::new();
            chain().seal(&Access { trace_id: Some(text), ..access.clone() }.encode(), &mut line);
            line.pop();
            line
        });
        let json = assert_harmless(&line);
        assert_eq!(chain().check(&line), Ok(()));
        let record = ParsedRecord::parse(&line).unwrap();
        for (found, wanted) in [
            (record.method.as_ref(), text),
            (record.route.as_ref(), text),
            (record.trace.as_ref(), text),
            (record.requested.last(), text),
            (record.parameters.get("area#2"), text),
        ] {
            assert!(is_or_is_cut(found.unwrap(), wanted), "{found:?} is not {wanted:?}");
        }
        assert_eq!(json["requested"][0].as_str(), Some(record.requested[0].as_str()));
        assert_eq!(AccessView::read(&line).unwrap(), record.into());

        let event = Lifecycle {
            at: Timestamp::UNIX_EPOCH,
            event: Event::Repair,
            actor: text,
            detail: &[("reason", text)],
            policy: None,
            config: None,
        };
        let mut line = Vec::new();
        chain().seal(&event.encode(), &mut line);
        line.pop();
        assert_harmless(&line);
        let record = ParsedRecord::parse(&line).unwrap();
        assert!(is_or_is_cut(record.actor.as_ref().unwrap(), text));
        assert!(is_or_is_cut(&record.detail["reason"], text));
    }
}
