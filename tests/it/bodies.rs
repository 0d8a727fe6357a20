//! Grants that constrain parameters in request bodies.

use std::io;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::Method;
use http_body::Frame;
use pinegate::audit::ParsedRecord;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::city::{
    Body, Call, City, Http, Plan, Reply, SURVEY, SURVEYOR, assert_intact, in_parts, soon, trailers, until,
    whole,
};
use crate::refusals::{Came, refuse};

const CATALOG: &str = r#"
[[resource]]
id = "test.body"
name = "请求体参数"
provider = "dept:shuju"
class = "测试"
sharing = "conditional"
mode = ["query", "submit"]
format = "opaque"
parameters = [
    { name = "area", label = "行政区划代码", recordable = true },
    { name = "person", label = "身份号码" },
]
"#;

/// An allow line that names the area, and a deny line about a person in either of two ways.
const GRANTS: &str = "
p, BODY-1, sys:ziran-map, test.body, submit, planning.survey, *;area=3410*, always, allow
p, BODY-2, sys:ziran-map, test.body, query, planning.survey, *, always, allow
p, BODY-3, sys:ziran-map, test.body, query, planning.survey, *;person=7*, always, deny
";

const ROUTES: &str = r#"
[[route]]
method = "POST"
path = "/_test/upload/body"
resource = "test.body"
action = "submit"
upstream = "platform"
parameters = { area = "body:query.area", person = "body:person" }
max_request_body = "1MiB"

[[route]]
method = "PUT"
path = "/_test/upload/body"
resource = "test.body"
action = "query"
upstream = "platform"
parameters = { area = "body:query.area", person = "body:person" }
max_request_body = "1KiB"
timeout = "1s"

[[route]]
method = "GET"
path = "/_test/echo/body"
resource = "test.body"
action = "submit"
upstream = "platform"
parameters = { area = "body:query.area" }
"#;

async fn city() -> City {
    let plan = Plan::new().unlimited().more_policy("catalog.toml", CATALOG).more_policy("grants.csv", GRANTS);
    plan.more_config(ROUTES).start().await
}

/// A call whose grant names the area.
fn submit(body: Body) -> Call {
    let call = Call::post(SURVEYOR, SURVEY, "/_test/upload/body", body);
    call.header("content-type", "application/json").english()
}

/// A call that any body but one about a person of 7* may make.
fn query(body: Body) -> Call {
    let call = Call::new(Method::PUT, SURVEYOR, SURVEY, "/_test/upload/body").with_body(body);
    call.header("content-type", "application/json; charset=utf-8").english()
}

fn json(text: &str) -> Body {
    whole(text.to_owned())
}

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

/// Fails unless exactly `bytes` reached the platform; gives the record.
async fn arrived(city: &City, reply: &Reply, bytes: &[u8]) -> ParsedRecord {
    reply.assert_data();
    assert_eq!(reply.json()["data"]["sha256"], sha256(bytes), "other bytes than the client's arrived");
    let record = city.outcome_of(reply).await;
    assert_eq!(record.bytes_in, u64::try_from(bytes.len()).ok());
    record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_allowed_by_its_value_and_arrives_as_it_was() {
    let city = city().await;
    for http in [Http::One, Http::Two] {
        for body in [
            r#"{"query":{"area":"341002"},"person":"P-1"}"#,
            " {\"person\" : \"P-1\",\n \"query\": {\"\\u0061rea\": 341002, \"page\": [1, {\"area\": 2}]}} ",
        ] {
            let reply = city.call(submit(json(body)).over(http)).await;
            let record = arrived(&city, &reply, body.as_bytes()).await;
            assert_eq!(record.parameters.get("area").map(String::as_str), Some("341002"));
            assert_eq!(record.parameters.len(), 1, "what is not recordable is on record: {record:?}");
            assert_eq!(record.grants, ["BODY-1"]);
        }
    }
    let text = city.records().iter().map(|record| format!("{record:?}")).collect::<String>();
    assert!(!text.contains("P-1"));
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_chunks_arrives_without_its_trailers() {
    let city = city().await;
    for http in [Http::One, Http::Two] {
        let (sender, body) = in_parts();
        let feed = tokio::spawn(async move {
            for part in ["{\"query\":", "{\"area\":\"34", "1002\"}", "}"] {
                sender.send(Ok(Frame::data(Bytes::from_static(part.as_bytes())))).await.unwrap();
            }
            sender.send(Ok(trailers(&[("x-checksum", "abc"), ("pinegate-system", "x")]))).await.unwrap();
        });
        let reply = city.call(submit(body).header("trailer", "x-checksum, pinegate-system").over(http)).await;
        arrived(&city, &reply, br#"{"query":{"area":"341002"}}"#).await;
        assert_eq!(reply.json()["data"]["trailers"], serde_json::json!({}));
        feed.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_outside_the_grant_is_refused() {
    let city = city().await;
    for (body, recorded) in [
        (r#"{"query":{"area":"310100"}}"#, &["310100"][..]),
        (r#"{"query":{"area":["341002","341003"]}}"#, &["341002", "341003"]),
        (r#"{"query":{"area":["341002",null]}}"#, &[]),
        (r#"{"query":{"area":341002.0}}"#, &[]),
        (r#"{"query":{"area":{"code":"341002"}}}"#, &[]),
        (r#"{"query":[{"area":"341002"}]}"#, &[]),
        (r#"[{"query":{"area":"341002"}}]"#, &[]),
        (r#"{"area":"341002"}"#, &[]),
        ("{}", &[]),
        ("", &[]),
    ] {
        let (reply, record) =
            refuse(&city, submit(json(body)), (403, "scope-parameter"), Came::ToTheGate).await;
        let values: Vec<_> = record.parameters.values().map(String::as_str).collect();
        assert_eq!(values, recorded, "{body}");
        assert_eq!(record.bytes_in, u64::try_from(body.len()).ok(), "{body}");
        let problem = reply.json();
        assert_eq!((&problem["clause"], &problem["nearest_grant"]), (&"parameter".into(), &"BODY-1".into()));
    }
    // Without a body, whatever the method.
    let get = Call::get(SURVEYOR, SURVEY, "/_test/echo/body");
    refuse(&city, get, (403, "scope-parameter"), Came::ToTheGate).await;
    let head = city.call(Call::new(Method::HEAD, SURVEYOR, SURVEY, "/_test/echo/body")).await;
    assert_eq!(head.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deny_line_holds_for_what_is_not_plainly_something_else() {
    let city = city().await;
    for body in [
        r#"{"person":"701"}"#,
        r#"{"person":701}"#,
        r#"{"person":["1","2"]}"#,
        r#"{"person":null}"#,
        r#"{"person":1.5}"#,
        "{}",
        "",
    ] {
        let (_, record) = refuse(&city, query(json(body)), (403, "grant-denied"), Came::ToTheGate).await;
        assert_eq!(record.denied_by, ["BODY-3"], "{body}");
        assert!(record.parameters.is_empty(), "{record:?}");
    }
    let body = r#"{"person":"1701"}"#;
    let reply = city.call(query(json(body))).await;
    arrived(&city, &reply, body.as_bytes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_with_two_readings_is_no_request() {
    let city = city().await;
    for (body, why) in [
        (r#"{"query":{"area":"341002"},"query":{"area":"3101"}}"#, "`query` comes twice"),
        (r#"{"query":{"area":"341002","\u0061rea":"3101"}}"#, "`query.area` comes twice"),
        (r#"{"query":{"area":"341002","Area":"3101"}}"#, "could be taken for `query.area`"),
        (r#"{"query":{"area":"341002"},"query[area]":"3101"}"#, "could be taken for `query`"),
        (r#"{"query":{"area":"341002\u0000"}}"#, "control character"),
        (r#"{"query":{"area":"341002"}} {}"#, "not one JSON text"),
        ("area=341002", "not one JSON text"),
    ] {
        let (reply, _) = refuse(&city, submit(json(body)), (400, "request-body"), Came::ToTheGate).await;
        assert!(reply.json()["detail"].as_str().unwrap().contains(why), "{body}: {}", reply.text());
    }
    let good = r#"{"query":{"area":"341002"}}"#;
    let post = || Call::post(SURVEYOR, SURVEY, "/_test/upload/body", json(good)).english();
    for (name, value, why) in [
        ("content-type", "application/x-www-form-urlencoded", "`application/json`"),
        ("content-type", "application/json; charset=gbk", "`application/json`"),
        ("content-type", "application/json; charset =gbk", "`application/json`"),
        ("content-type", "application/json; charset*=gbk", "`application/json`"),
        ("content-type", "application/xml, application/x+json", "`application/json`"),
        ("content-type", "text/plain", "`application/json`"),
        ("x-none", "1", "`application/json`"),
    ] {
        let call = post().header(name, value);
        let (reply, _) = refuse(&city, call, (400, "request-body"), Came::ToTheGate).await;
        assert!(reply.json()["detail"].as_str().unwrap().contains(why), "{value}: {}", reply.text());
    }
    let coded = submit(json(good)).header("content-encoding", "gzip");
    let (reply, _) = refuse(&city, coded, (400, "request-body"), Came::ToTheGate).await;
    assert!(reply.json()["detail"].as_str().unwrap().contains("content coding"), "{}", reply.text());
    // The query is another place from which a program may take the parameter.
    for query in
        ["area=3101", "query.area=3101", "query[area]=3101", "query%5Barea%5D=3101", "QueryArea=3101"]
    {
        let path = format!("/_test/upload/body?{query}");
        let call = Call::post(SURVEYOR, SURVEY, &path, json(good)).header("content-type", "application/json");
        refuse(&city, call, (400, "request-query"), Came::ToTheGate).await;
    }
    let merged = post().header("content-type", "application/merge-patch+json");
    city.call(merged).await.assert_data();
}

/// A body that is not over, and what keeps it so.
type Unfinished = (tokio::sync::mpsc::Sender<io::Result<Frame<Bytes>>>, Body);

async fn unfinished(part: &'static str) -> Unfinished {
    let (sender, body) = in_parts();
    sender.send(Ok(Frame::data(Bytes::from_static(part.as_bytes())))).await.unwrap();
    (sender, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_read_within_bounds() {
    let city = city().await;
    let padded = |length: usize| {
        let (head, tail) = (r#"{"query":{"area":"341002"},"x":""#, r#""}"#);
        format!("{head}{}{tail}", "a".repeat(length - head.len() - tail.len()))
    };
    let most = padded(64 << 10);
    let reply = city.call(submit(json(&most))).await;
    arrived(&city, &reply, most.as_bytes()).await;
    for http in [Http::One, Http::Two] {
        let over = submit(json(&padded((64 << 10) + 1))).over(http);
        let (reply, record) = refuse(&city, over, (413, "request-too-large"), Came::ToTheGate).await;
        assert!(reply.text().contains("65536"), "{}", reply.text());
        assert_eq!(record.bytes_in, Some(0), "what says that it is too large need not be read");
        // Of unknown length.
        let (sender, body) = in_parts();
        let feed = tokio::spawn(async move {
            // Up to the byte that is too much and no further: a client that is cut off while it
            // still writes may lose the reply.
            for length in [16 << 10, 16 << 10, 16 << 10, 16 << 10, 1] {
                sender.send(Ok(Frame::data(Bytes::from(vec![b' '; length])))).await.unwrap();
            }
            sender.closed().await;
        });
        refuse(&city, submit(body).over(http), (413, "request-too-large"), Came::ToTheGate).await;
        feed.await.unwrap();
        // The route's own bound is lower than the gate's.
        let over = query(json(&padded(1_025))).over(http);
        let (reply, _) = refuse(&city, over, (413, "request-too-large"), Came::ToTheGate).await;
        assert!(reply.text().contains("1024"), "{}", reply.text());
        // One that does not end takes as long as the route allows.
        let (sender, body) = unfinished("{").await;
        let (_, record) =
            refuse(&city, query(body).over(http), (504, "request-timeout"), Came::ToTheGate).await;
        assert_eq!(record.bytes_in, Some(1));
        drop(sender);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_the_clients_fault() {
    let city = city().await;
    let token = format!("Authorization: Bearer {}\r\n", city.files().token(SURVEYOR, SURVEY));
    let head = format!(
        "POST /_test/upload/body HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept-Language: en\r\n{token}Transfer-Encoding: chunked\r\n\r\n"
    );
    let mut stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    stream.write_all(format!("{head}1\r\n{{\r\nxyz\r\n").as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    // What ends the connection does not matter; what was said before it does.
    let _end = soon("the end of a connection", stream.read_to_end(&mut reply)).await;
    let reply = String::from_utf8(reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 400") && reply.contains("\"request-body\""), "{reply}");
    // A client that is gone is on record as such.
    for http in [Http::One, Http::Two] {
        let before = city.records().len();
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let (sender, body) = unfinished("{").await;
        let request = submit(body).request(city.files());
        let sending = connection.send(request);
        let gone = async {
            let series = "pinegate_requests_in_flight";
            until("the request", async || (city.gate.metric(series).await > 0.5).then_some(())).await;
            sender.send(Err(io::Error::other("gone"))).await.unwrap();
        };
        let (reply, ()) = soon("the end of a request", async { tokio::join!(sending, gone) }).await;
        assert!(reply.is_err() || reply.unwrap().status() == 400);
        drop(connection);
        let record =
            until("the record of one that is gone", async || city.records().get(before).cloned()).await;
        assert_eq!(record.kind, "access");
        assert_eq!(record.decision.as_deref(), Some(if record.reason.is_some() { "deny" } else { "error" }));
        assert!(
            record.reason.as_deref() == Some("request-body")
                || record.aborted.as_deref() == Some("client-gone"),
            "{record:#?}"
        );
    }
    assert_eq!(city.received().total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_asks_for_a_body_before_it_decides() {
    let city = city().await;
    let body = r#"{"query":{"area":"341002"}}"#;
    let token = format!("Authorization: Bearer {}\r\n", city.files().token(SURVEYOR, SURVEY));
    let head = |media_type: &str| {
        format!(
            "POST /_test/upload/body HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n{token}\
             Expect: 100-continue\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
    };
    let mut stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    stream.write_all(head("application/json").as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    soon("to be asked for the body", stream.read_exact(&mut asked)).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    let _end = soon("the end of a connection", stream.read_to_end(&mut reply)).await;
    let reply = String::from_utf8(reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains(&sha256(body.as_bytes())), "{reply}");
    // A body that would be refused for its type is not asked for.
    let mut stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    stream.write_all(head("text/plain").as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    let _end = soon("the end of a connection", stream.read_to_end(&mut reply)).await;
    assert!(reply.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&reply));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_over_its_limits_is_not_read() {
    let limits = "[[limit]]\nname = \"one\"\nby = [\"system\"]\nper_day = 1\n";
    let plan = Plan::new().more_policy("catalog.toml", CATALOG).more_policy("grants.csv", GRANTS);
    let plan = plan.more_config(ROUTES);
    plan.files.write("policies/limits.toml", limits);
    let city = plan.start().await;
    // What is no request after all was counted as one, before and after a restart.
    refuse(&city, submit(json("{")), (400, "request-body"), Came::ToTheGate).await;
    let city = city.crash().start_gate().await;
    let (sender, unfinished) = unfinished("{").await;
    let (_, record) = refuse(&city, submit(unfinished), (429, "quota-exhausted"), Came::ToTheGate).await;
    assert_eq!(record.bytes_in, Some(0));
    drop(sender);
}
