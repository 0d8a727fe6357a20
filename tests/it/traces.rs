//! Spans of requests at a collector, and the context that goes on to the platform.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::city::{ANY_PORT, Call, City, Http, Plan, run_to_end, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// How a collector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    /// It asks to be asked again.
    Busy,
    /// It wants nothing.
    Refusing,
    /// It never answers.
    Hanging,
    /// It takes all but one span.
    Picky,
}

/// A collector of traces, as one listens.
struct Collector {
    mood: Mutex<Mood>,
    bodies: Mutex<Vec<String>>,
    asked: Mutex<usize>,
    faults: Mutex<Vec<String>>,
}

/// A span as it arrived: its fields, and its attributes as texts.
#[derive(Debug, Clone)]
struct Arrived {
    fields: Value,
    attributes: BTreeMap<String, String>,
}

impl Arrived {
    fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap_or_default()
    }

    fn time(&self, field: &str) -> u64 {
        self.text(field).parse().unwrap()
    }

    fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }
}

impl Collector {
    /// Starts one, and tells the gate of it.
    async fn start(plan: &mut Plan, rest: &str) -> Arc<Self> {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        plan.files.add_config(&format!("\n[traces]\nendpoint = \"http://127.0.0.1:{port}/otel\"\n{rest}\n"));
        let collector = Arc::new(Self {
            mood: Mutex::new(Mood::Well),
            bodies: Mutex::default(),
            asked: Mutex::default(),
            faults: Mutex::default(),
        });
        let serving = Arc::clone(&collector);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let collector = Arc::clone(&serving);
                tokio::spawn(async move {
                    let service = service_fn(|request| collector.answer(request));
                    // A connection that breaks is the gate's to see to.
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        collector
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
        let is_right = head.method == http::Method::POST
            && head.uri.path() == "/otel/v1/traces"
            && head.headers["content-type"] == "application/json";
        if !is_right {
            self.faults.lock().unwrap().push(format!("{head:?}"));
        }
        *self.asked.lock().unwrap() += 1;
        let reply = |status: StatusCode, text: &str| {
            Response::builder().status(status).body(Full::from(text.to_owned())).unwrap()
        };
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well | Mood::Picky => {}
            Mood::Busy => return Ok(reply(StatusCode::SERVICE_UNAVAILABLE, "")),
            Mood::Refusing => return Ok(reply(StatusCode::BAD_REQUEST, "")),
            Mood::Hanging => std::future::pending().await,
        }
        self.bodies.lock().unwrap().push(String::from_utf8(body.to_bytes().to_vec()).unwrap());
        let rejected = r#"{"partialSuccess":{"rejectedSpans":"1"}}"#;
        Ok(reply(StatusCode::OK, if mood == Mood::Picky { rejected } else { "{}" }))
    }

    fn feel(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn text(&self) -> String {
        self.bodies.lock().unwrap().concat()
    }

    /// The spans of a trace.
    fn of_trace(&self, trace: &str) -> Vec<Arrived> {
        let mut all = Vec::new();
        for body in &*self.bodies.lock().unwrap() {
            let body: Value = serde_json::from_str(body).unwrap();
            for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap() {
                let attribute = |pair: &Value| {
                    let value = pair["value"].as_object().unwrap().values().next().unwrap();
                    (pair["key"].as_str().unwrap().to_owned(), value.as_str().unwrap().to_owned())
                };
                let attributes = span["attributes"].as_array().unwrap().iter().map(attribute).collect();
                let arrived = Arrived { fields: span.clone(), attributes };
                if arrived.text("traceId") == trace {
                    all.push(arrived);
                }
            }
        }
        all
    }

    /// Waits for the spans of a trace, by name.
    async fn trace(&self, trace: &str) -> BTreeMap<String, Arrived> {
        let spans = until("the spans", async || {
            let spans = self.of_trace(trace);
            (!spans.is_empty()).then_some(spans)
        })
        .await;
        assert_eq!(*self.faults.lock().unwrap(), [""; 0]);
        spans.into_iter().map(|span| (span.text("name").to_owned(), span)).collect()
    }
}

fn traced(target: &str, flags: &str) -> Call {
    Call::survey(target)
        .header("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))
        .header("tracestate", "a=b")
}

async fn counted(city: &City, result: &str) -> f64 {
    city.gate.metric(&format!("pinegate_trace_spans_total{{result=\"{result}\"}}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_its_caller_samples_is_told_stage_by_stage() {
    let mut plan = Plan::new();
    let collector = Collector::start(&mut plan, "sample = \"0%\"").await;
    let city = plan.start().await;
    let reply = city.call(traced("/_test/echo", "01")).await;
    let spans = collector.trace(TRACE).await;
    let names: Vec<&str> = spans.keys().map(String::as_str).collect();
    assert_eq!(names, ["GET /_test/echo", "decide", "record intent", "upstream"]);
    let (server, upstream) = (&spans["GET /_test/echo"], &spans["upstream"]);
    assert_eq!((server.text("parentSpanId"), server.fields["kind"].as_u64()), (PARENT, Some(2)));
    for (name, span) in &spans {
        if name != "GET /_test/echo" {
            assert_eq!(span.text("parentSpanId"), server.text("spanId"), "{name}");
        }
        let (start, end) = (span.time("startTimeUnixNano"), span.time("endTimeUnixNano"));
        let (first, last) = (server.time("startTimeUnixNano"), server.time("endTimeUnixNano"));
        assert!(first <= start && start <= end && end <= last, "{name}: {first} {start} {end} {last}");
    }
    // What the platform does is part of ours.
    let headers = &reply.json()["headers"];
    assert_eq!(headers["traceparent"][0], format!("00-{TRACE}-{}-01", upstream.text("spanId")));
    assert_eq!((&headers["tracestate"][0], upstream.fields["kind"].as_u64()), (&"a=b".into(), Some(3)));
    let told: Vec<(&str, &str)> =
        server.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        told,
        [
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("http.route", "/_test/echo"),
            ("pinegate.decision", "permit"),
            ("pinegate.department", "dept:ziran"),
            ("pinegate.outcome", "allowed"),
            ("pinegate.purpose", "planning.survey"),
            ("pinegate.resource", "test.file"),
            ("pinegate.system", "sys:ziran-map"),
            ("url.scheme", "https"),
        ]
    );
    assert_eq!(city.outcome_of(&reply).await.trace.as_deref(), Some(TRACE));
    until("them to be counted", async || (counted(&city, "sent").await > 3.5).then_some(())).await;
    assert!(counted(&city, "failed").await + counted(&city, "dropped").await < 0.5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_client_chose_is_in_a_span() {
    let mut plan = Plan::new();
    let collector = Collector::start(&mut plan, "sample = \"100%\"\nfollow_parent = false").await;
    let city = plan.start().await;
    let (person, query) = ("110105194912310021", "secret-area");
    for call in [
        Call::aid(&format!("/population/residents/{person}?area={query}")),
        Call::survey(&format!("/nowhere/{person}?area={query}")),
        Call::new("PROPPATCH".parse().unwrap(), "ziran-map", "planning.survey", "/_test/1k"),
        Call::get("ziran-map", "planning.survey", "/_test/echo/declared")
            .no_token()
            .header("data-purpose", "made-up"),
    ] {
        let reply = city.call(call).await;
        let trace = city.records_of(&reply.request_id()).await.pop().unwrap().trace.unwrap();
        let spans = collector.trace(&trace).await;
        let server = spans.values().find(|span| span.text("parentSpanId").is_empty()).unwrap();
        assert_eq!(server.attribute("http.response.status_code"), Some(reply.status.as_str()), "{server:?}");
        if !reply.status.is_success() {
            assert_eq!(server.attribute("pinegate.reason"), Some(reply.code().as_str()), "{server:?}");
            assert_eq!(server.attribute("pinegate.decision"), Some("deny"), "{server:?}");
        }
    }
    let told = collector.text();
    for word in [person, query, "PROPPATCH", "nowhere", "made-up", "Bearer", "eyJ"] {
        assert!(!told.contains(word), "{word}: {told}");
    }
    assert!(told.contains("_OTHER") && told.contains("/population/residents/{id_card}"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_its_caller_does_not_sample_is_not() {
    let mut plan = Plan::new();
    let collector = Collector::start(&mut plan, "sample = \"100%\"").await;
    let mut city = plan.start().await;
    let reply = city.call(traced("/_test/echo", "00")).await;
    let sent = reply.json()["headers"]["traceparent"][0].as_str().unwrap().to_owned();
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-00"), "{sent}");
    assert!(!sent.contains(PARENT), "{sent}");
    // One without a word of its caller's is; what is left at the end is sent before it.
    let reply = city.call(Call::survey("/_test/1k")).await;
    let trace = city.record_of(&reply).await.trace.unwrap();
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    let spans = collector.of_trace(&trace);
    assert!(spans.iter().any(|span| span.text("name") == "record"), "{spans:?}");
    assert!(collector.of_trace(TRACE).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_ill_stops_nothing() {
    for (mood, result) in [(Mood::Refusing, "failed"), (Mood::Hanging, "dropped"), (Mood::Picky, "failed")] {
        let mut plan = Plan::new();
        let collector = Collector::start(&mut plan, "sample = \"100%\"\ntimeout = \"1h\"").await;
        collector.feel(mood);
        let mut city = plan.unlimited().start().await;
        // More than there is room for, while nobody takes any.
        let requests = if mood == Mood::Hanging { 2_400 } else { 1 };
        let connection = city.client("ziran-map").connect(Http::One).await.unwrap();
        for _ in 0..requests {
            city.call_on(&connection, Call::survey("/_test/1k")).await.assert_data();
        }
        until("a span to be counted", async || (counted(&city, result).await > 0.5).then_some(())).await;
        if mood == Mood::Refusing {
            let said = until("it to be said", async || city.gate.logged("spans cannot be sent")).await;
            assert!(said["error"].as_str().unwrap().contains("answers 400"), "{said}");
        }
        city.gate.signal(Signal::TERM);
        assert_eq!(city.gate.ended().await.code(), Some(0));
        assert_eq!(
            city.gate.logged("the last spans could not be sent in time").is_some(),
            mood == Mood::Hanging
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_logged_of_a_request_names_its_trace() {
    let city = Plan::new().start().await;
    let parent = format!("00-{TRACE}-{PARENT}-01");
    for (target, message) in
        [("/_test/drop", "forwarding failed"), ("/_test/badjson", "an answer cannot be masked")]
    {
        let reply = city.call(Call::survey(target).header("traceparent", &parent)).await;
        assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
        let said = until(message, async || city.gate.logged(message)).await;
        assert_eq!(
            (said["request_id"].as_str().unwrap(), &said["trace_id"]),
            (&*reply.request_id(), &TRACE.into())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_collector_is_asked_again() {
    let mut plan = Plan::new();
    let collector = Collector::start(&mut plan, "sample = \"100%\"").await;
    collector.feel(Mood::Busy);
    let city = plan.start().await;
    city.call(traced("/_test/1k", "01")).await.assert_data();
    until("a try", async || (*collector.asked.lock().unwrap() > 0).then_some(())).await;
    collector.feel(Mood::Well);
    collector.trace(TRACE).await;
    until("them to be counted", async || (counted(&city, "sent").await > 3.5).then_some(())).await;
    assert!(counted(&city, "failed").await < 0.5);
    // Another collector is for the next start.
    let mut files = city.files().clone();
    files.edit_config("sample = \"100%\"", "sample = \"50%\"");
    city.gate.reloaded().await;
    let later = "has changed and takes effect at the next start";
    assert_eq!(until("the warning", async || city.gate.logged(later)).await["section"], "[traces]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_cannot_be_spoken_to_is_found_before_the_start() {
    for (section, why) in [
        ("endpoint = \"https://localhost:1\"", "the authorities that issue its certificate"),
        (
            "endpoint = \"https://localhost:1\"\nca = \"certs/server.key\"",
            "the collector of `[traces]` cannot be set up",
        ),
        ("endpoint = \"grpc://localhost:1\"", "`https://` or `http://`"),
        ("endpoint = \"http://c.example:1\"\ntoken = \"audit.key\"", "it would send a token in clear text"),
        ("endpoint = \"http://localhost:1\"\nsample = \"0.5\"", "a share of the requests"),
        ("endpoint = \"http://localhost:1\"\nratio = 1", "ratio"),
    ] {
        let site = Plan::new().more_config(&format!("\n[traces]\n{section}\n")).start_platform().await;
        let config = site.files.config_path();
        let (code, said) = run_to_end(&["run".as_ref(), "--config".as_ref(), config.as_ref()]).await;
        assert_eq!(code, Some(64), "{section}: {said}");
        assert!(said.contains(why), "{section}: {said}");
    }
}
