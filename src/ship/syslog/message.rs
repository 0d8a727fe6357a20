//! One record as a frame: pure.

use serde::Deserialize;

use crate::ship::batch::Batch;

/// The facility "log audit" (RFC 5424, section 6.2.1).
const LOG_AUDIT: u8 = 13;
/// Whose structured data it is: the number that is kept for examples (RFC 5612), since the project has
/// none of its own. Everything stands in the message as well.
const STRUCTURED_DATA: &str = "pinegate@32473";

/// What of a record stands in the head of its message. None of these ever has an escape.
#[derive(Debug, Deserialize)]
struct Facts<'l> {
    seq: u64,
    kind: &'l str,
    at: &'l str,
    decision: Option<&'l str>,
}

/// How urgent a record is (RFC 5424, section 6.2.1): what was permitted is information, what was refused a
/// warning, what went wrong an error, and what the gate does itself a notice.
fn severity(decision: Option<&str>) -> u8 {
    match decision {
        Some("permit") => 6,
        Some("deny") => 4,
        Some(_) => 3,
        None => 5,
    }
}

/// Appends one line of `batch` as a syslog message in a frame that counts octets (RFC 5425, section 4.3).
///
/// A line that is no record, which only a damaged log has, is sent all the same, without facts.
pub(super) fn push_frame(out: &mut Vec<u8>, batch: &Batch, line: &[u8]) {
    let facts: Option<Facts<'_>> = serde_json::from_slice(line).ok();
    let facts = facts.as_ref();
    let priority = LOG_AUDIT * 8 + severity(facts.and_then(|facts| facts.decision));
    let (node, generation) = (&batch.node, batch.generation);
    let at = facts.map_or("-", |facts| facts.at);
    let kind = facts.map_or("-", |facts| facts.kind);
    let data = facts.map_or_else(
        || "-".to_owned(),
        |facts| format!("[{STRUCTURED_DATA} seq=\"{}\" generation=\"{generation}\"]", facts.seq),
    );
    // The process id of RFC 5424 is for telling that a sender began anew: so does a generation.
    let head = format!("<{priority}>1 {at} {node} pinegate {generation} {kind} {data} ");
    out.extend_from_slice((head.len() + line.len()).to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::NodeId;

    fn frame(line: &str) -> String {
        let batch = Batch {
            node: NodeId::parse("gate-1").unwrap(),
            generation: 7,
            first: 41,
            records: 1,
            lines: bytes::Bytes::from(format!("{line}\n")),
        };
        let mut out = Vec::new();
        for line in batch.lines() {
            push_frame(&mut out, &batch, line);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_is_a_message_of_rfc_5424() {
        let line = r#"{"v":1,"seq":41,"kind":"access","at":"2026-11-26T08:00:00.000001Z","decision":"permit","x":"\u00e4"}"#;
        let message = format!(
            "<110>1 2026-11-26T08:00:00.000001Z gate-1 pinegate 7 access \
             [pinegate@32473 seq=\"41\" generation=\"7\"] {line}"
        );
        assert_eq!(frame(line), format!("{} {message}", message.len()));
    }

    #[test]
    fn severities_follow_decisions() {
        for (member, priority) in [
            (",\"decision\":\"deny\"", 108),
            (",\"decision\":\"error\"", 107),
            (",\"decision\":\"unknown\"", 107),
            ("", 109),
        ] {
            let line = format!("{{\"seq\":0,\"kind\":\"k\",\"at\":\"a\"{member}}}");
            assert!(frame(&line).contains(&format!(" <{priority}>1 a gate-1 pinegate 7 k [")), "{member}");
        }
    }

    #[test]
    fn what_is_no_record_is_sent_without_facts() {
        assert_eq!(frame("{\"seq\":"), "38 <109>1 - gate-1 pinegate 7 - - {\"seq\":");
    }
}
