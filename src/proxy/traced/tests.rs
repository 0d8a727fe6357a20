use std::sync::Mutex;

use http::Request;

use super::*;
use crate::proxy::problem::Language;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[derive(Debug, Default)]
struct Nowhere(Mutex<usize>);

impl SpanSink for Nowhere {
    fn offer(&self, spans: Vec<Span>) {
        *self.0.lock().unwrap() += spans.len();
    }
}

/// What a request with these `traceparent`s comes to: its trace, whether it is sampled, and what is sent on.
fn begun(parents: &[&str], sampling: Option<Sampling>) -> (String, bool, Option<String>, Option<String>) {
    let draft = Draft::new("2026-11-26T08:00:00Z".parse().unwrap(), Language::En);
    let mut request = Request::get("/x").header(&TRACESTATE, "a=b");
    for parent in parents {
        request = request.header(&TRACEPARENT, *parent);
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    let tracing = sampling.map(|sampling| Tracing { sampling, sink: Arc::new(Nowhere::default()) });
    let trace = begin(&draft, &mut parts, tracing.as_ref());
    let field = |name: &HeaderName| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (parent, state) = (field(&TRACEPARENT), field(&TRACESTATE));
    assert_eq!(parts.headers.get_all(&TRACEPARENT).iter().count(), 1);
    if parents.len() != 1 || given(&parts.headers).is_none() {
        assert_eq!(trace, draft.request_id.to_string().replace('-', ""));
    }
    (trace, draft.spans.get().is_some(), parent, state)
}

#[test]
fn without_a_collector_the_callers_context_goes_on_as_it_is() {
    let (trace, is_sampled, parent, state) = begun(&[PARENT], None);
    assert_eq!((trace.as_str(), is_sampled), (TRACE, false));
    assert_eq!((parent.as_deref(), state.as_deref()), (Some(PARENT), Some("a=b")));
    for bad in [&["00-0-0-00"][..], &[], &[PARENT, PARENT]] {
        let (trace, is_sampled, parent, state) = begun(bad, None);
        let parent = parent.unwrap();
        assert!(parent.starts_with(&format!("00-{trace}-")) && parent.ends_with("-00"), "{parent}");
        assert_eq!((is_sampled, state), (false, None));
    }
}

#[test]
fn with_a_collector_the_platforms_parent_is_a_span_of_ours() {
    let all = Some(Sampling::new(1_000_000, true));
    let (trace, is_sampled, parent, state) = begun(&[PARENT], all);
    let parent = parent.unwrap();
    assert_eq!((trace.as_str(), is_sampled, state.as_deref()), (TRACE, true, Some("a=b")));
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-01") && parent != PARENT);
    // A caller that does not sample is not sampled, and the platform is told so.
    let unsampled = PARENT.replace("-01", "-02");
    let (_, is_sampled, parent, _) = begun(&[&unsampled], all);
    assert!(!is_sampled && parent.unwrap().ends_with("-02"));
    let (trace, is_sampled, parent, state) = begun(&["00-0-0-00"], all);
    assert!(is_sampled && parent.unwrap().starts_with(&format!("00-{trace}-")) && state.is_none());
    let (_, is_sampled, parent, _) = begun(&[PARENT], Some(Sampling::new(0, false)));
    assert!(!is_sampled && parent.unwrap().ends_with("-00"));
}

#[test]
fn a_context_is_read_strictly() {
    for good in [PARENT, "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later"] {
        assert_eq!(parse(good).map(|given| given.trace), Some(TRACE), "{good}");
    }
    for bad in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    ] {
        assert!(parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn methods_are_of_a_closed_list() {
    assert_eq!(
        (known(&Method::PATCH), known(&Method::from_bytes(b"ID110105").unwrap())),
        ("PATCH", "_OTHER")
    );
}
