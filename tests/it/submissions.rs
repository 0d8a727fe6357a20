//! Bodies of requests that are held against the grants before the platform sees them.

mod early;
mod large;
mod shapes;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::Method;
use http_body::Frame;
use pinegate::audit::ParsedRecord;

use crate::city::{
    Body, Call, City, Http, Plan, Reply, SURVEY, SURVEYOR, assert_intact, in_parts, trailers, whole,
};
use crate::refusals::{Came, refuse};

const CATALOG: &str = r#"
[[resource]]
id = "test.lead"
name = "报送"
provider = "dept:shuju"
class = "测试"
sharing = "conditional"
mode = ["submit", "query"]
records = "data"
envelope = ["code", "message"]
fields = [
    { name = "bytes", label = "字节数", type = "number", level = 1 },
    { name = "sha256", label = "摘要", level = 1 },
    { name = "name", label = "姓名", level = 2, mask = "name" },
    { name = "id_card", label = "居民身份号码", level = 4, mask = "resident-id" },
    { name = "age", label = "年龄", type = "number", level = 1 },
    { name = "area", label = "行政区划代码", level = 1 },
    { name = "address.city", label = "市", level = 1 },
    { name = "address.detail", label = "详细地址", level = 3, mask = "address" },
    { name = "diagnosis", label = "诊断", level = 4, mask = "full" },
]
parameters = [{ name = "area", label = "行政区划代码", recordable = true }]

[[resource]]
id = "test.scan"
name = "扫描件"
provider = "dept:shuju"
class = "测试"
sharing = "conditional"
mode = ["submit"]
format = "opaque"

[[resource]]
id = "test.notice"
name = "通知"
provider = "dept:shuju"
class = "测试"
sharing = "conditional"
mode = ["submit"]
format = "xml"
namespaces = { s = "urn:soap" }
records = "Envelope.Body.notice"
xml = "s:Envelope/s:Body/notice"
fields = [
    { name = "no", label = "编号", level = 1, xml = "@no" },
    { name = "text", label = "正文", level = 1 },
    { name = "note", label = "备注", level = 2 },
]
"#;

const GRANTS: &str = "
p, LEAD-1, sys:ziran-map, test.lead, submit, planning.survey, bytes|sha256|name|id_card|age|address.city, always, allow
p, LEAD-2, sys:ziran-map, test.lead, query, planning.survey, bytes|sha256|name|area;area=3410*, always, allow
p, NOTICE-1, sys:ziran-map, test.notice, submit, planning.survey, no|text, always, allow
";

const ROUTES: &str = r#"
[[route]]
method = "POST"
path = "/_test/upload/restrict"
resource = "test.lead"
action = "submit"
upstream = "platform"
pass_headers = ["content-digest", "repr-digest", "digest", "content-md5", "x-department-note"]
max_request_body = "32MiB"
request = { fields = "restrict" }

[[route]]
method = "POST"
path = "/_test/upload/mask"
resource = "test.lead"
action = "submit"
upstream = "platform"
pass_headers = ["content-digest"]
max_request_body = "32MiB"
request = { fields = "mask" }

[[route]]
method = "POST"
path = "/_test/upload/lines"
resource = "test.lead"
action = "submit"
upstream = "platform"
request = { fields = "mask", format = "ndjson" }

[[route]]
method = "POST"
path = "/_test/upload/csv"
resource = "test.lead"
action = "submit"
upstream = "platform"
request = { fields = "restrict", format = "csv" }

[[route]]
method = "POST"
path = "/_test/upload/form"
resource = "test.lead"
action = "submit"
upstream = "platform"
request = { fields = "restrict", format = "form" }

[[route]]
method = "POST"
path = "/_test/upload/xml"
resource = "test.lead"
action = "submit"
upstream = "platform"
request = { fields = "restrict", format = "xml", records = "upload.item" }

[[route]]
method = "POST"
path = "/_test/upload/notice"
resource = "test.notice"
action = "submit"
upstream = "platform"
request = { fields = "restrict", records = "upload.item" }

[[route]]
method = "PUT"
path = "/_test/upload/batch"
resource = "test.lead"
action = "submit"
upstream = "platform"
denials = "coarse"
max_request_body = "1KiB"

[route.request]
fields = "restrict"
format = "json"
records = "items"
envelope = ["batch"]

[[route]]
method = "PATCH"
path = "/_test/upload/area"
resource = "test.lead"
action = "query"
upstream = "platform"
parameters = { area = "body:area" }
request = { fields = "restrict" }

[[route]]
method = "DELETE"
path = "/_test/echo/area"
resource = "test.lead"
action = "query"
upstream = "platform"
parameters = { area = "query:area" }
request = { fields = "mask" }
"#;

fn plan() -> Plan {
    let plan = Plan::new().unlimited().more_policy("catalog.toml", CATALOG).more_policy("grants.csv", GRANTS);
    plan.more_config(ROUTES)
}

/// A call with a body that says that it is JSON.
fn send(method: Method, place: &str, body: Body) -> Call {
    let call = Call::new(method, SURVEYOR, SURVEY, &format!("/_test/upload/{place}")).with_body(body);
    call.header("content-type", "application/json").english()
}

fn restrict(text: &str) -> Call {
    send(Method::POST, "restrict", whole(text.to_owned()))
}

fn mask(text: &str) -> Call {
    send(Method::POST, "mask", whole(text.to_owned()))
}

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

/// A body of unknown length in pieces of `size` bytes, with a trailer after it.
fn pieces(text: &str, size: usize) -> (Body, tokio::task::JoinHandle<()>) {
    let (sender, body) = in_parts();
    let parts: Vec<Bytes> = text.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
    let feed = tokio::spawn(async move {
        for part in parts {
            // Whoever refuses the body reads no further.
            if sender.send(Ok(Frame::data(part))).await.is_err() {
                return;
            }
        }
        let _gone = sender.send(Ok(trailers(&[("x-checksum", "abc")]))).await;
    });
    (body, feed)
}

/// Fails unless exactly `bytes` reached the platform; gives the record of how it ended.
async fn arrived(city: &City, reply: &Reply, bytes: &str) -> ParsedRecord {
    reply.assert_data();
    let arrived = &reply.json()["data"];
    assert_eq!(arrived["sha256"], sha256(bytes.as_bytes()), "not what should arrive: {bytes}");
    assert_eq!(city.last_received().body_len, u64::try_from(bytes.len()).ok());
    city.outcome_of(reply).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_goes_on_byte_for_byte() {
    let city = plan().start().await;
    let digests = ["content-digest", "repr-digest", "digest", "content-md5"];
    for body in [
        r#"{"name":"王云","id_card":"11010519491231002X","age":77,"address":{"city":"黄山市"}}"#,
        " [ {\"n\\u0061me\" : \"\\u738b\", \"name\":null,\n\"age\":[1.50,-0e7]} , {} ]\r\n",
        "[]",
    ] {
        for http in [Http::One, Http::Two] {
            let call = digests.iter().fold(restrict(body).over(http), |call, name| call.header(name, "abc"));
            let reply = city.call(call.header("x-department-note", "n")).await;
            let record = arrived(&city, &reply, body).await;
            let records =
                u64::try_from(body.matches('}').count().min(if body.contains("city") { 1 } else { 2 }));
            assert_eq!(record.submitted, records.ok(), "{body}");
            assert_eq!(record.bytes_in, u64::try_from(body.len()).ok());
            assert!(record.submitted_masked.is_empty() && record.submitted_dropped.is_empty(), "{record:#?}");
            assert_eq!(record.submitted_unclassified, Some(0));
            let headers = city.last_received().headers;
            assert_eq!(headers["content-length"], body.len().to_string().as_str());
            assert_eq!(headers["x-department-note"], "n");
            assert!(digests.iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
            // Of unknown length, byte by byte.
            let (parts, feed) = pieces(body, 1);
            let call = send(Method::POST, "restrict", parts).header("trailer", "x-checksum").over(http);
            arrived(&city, &city.call(call).await, body).await;
            feed.await.unwrap();
            let headers = city.last_received().headers;
            assert_eq!(headers["content-length"], body.len().to_string().as_str(), "it is known by now");
            assert!(!headers.contains_key("trailer"), "{headers:?}");
        }
    }
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_refused_submission_reaches_the_platform() {
    let city = plan().start().await;
    for (body, code, failing, why) in [
        (
            r#"{"name":"geheim","diagnosis":"geheim"}"#,
            "scope-exceeded",
            "diagnosis",
            "record 1 has `diagnosis`",
        ),
        (r#"{"address":{"city":"a","detail":"geheim"}}"#, "scope-exceeded", "address.detail", "record 1 has"),
        (r#"[{"name":"a"},{"name":"b"},{"area":"geheim"}]"#, "scope-exceeded", "area", "record 3 has `area`"),
        (r#"{"diagno\u0073is":"geheim"}"#, "scope-exceeded", "diagnosis", "record 1 has `diagnosis`"),
        (
            r#"{"name":"a","geheim":1}"#,
            "scope-exceeded",
            "",
            "record 1 has a member that the catalogue does not know",
        ),
        (r#"{"Name":"geheim"}"#, "scope-exceeded", "", "a member that the catalogue does not know"),
        (
            r#"{"data":[{"name":"geheim"}]}"#,
            "scope-exceeded",
            "",
            "a member that the catalogue does not know",
        ),
        (r#"{"message":"geheim"}"#, "scope-exceeded", "", "a member that the catalogue does not know"),
        (r#"{"name":1}"#, "request-body", "", "record 1 has `name` of another type than declared"),
        (r#"{"age":"geheim"}"#, "request-body", "", "record 1 has `age` of another type than declared"),
        (
            r#"{"address":"geheim"}"#,
            "request-body",
            "",
            "record 1 has `address` of another type than declared",
        ),
        (r#""geheim""#, "request-body", "", "the body has another value where an object must be"),
        (r#"{"name":"a"} {"name":"geheim"}"#, "request-body", "", "more than one document"),
        (r#"{"name":"geheim""#, "request-body", "", "the body ends at byte 16"),
        (r#"{"name":"geheim",}"#, "request-body", "", "malformed at byte 17"),
        ("\u{feff}{\"name\":\"geheim\"}", "request-body", "", "byte order mark"),
        (r#"{"name":"\ud800geheim"}"#, "request-body", "", "surrogate"),
        ("name=geheim", "request-body", "", "malformed at byte 1"),
        (" ", "request-body", "", "the body ends at byte 1"),
    ] {
        let status = if code == "scope-exceeded" { 403 } else { 400 };
        for (http, size) in [(Http::One, 0), (Http::Two, 0), (Http::One, 1), (Http::Two, 1)] {
            let (call, feed) = if size == 0 {
                (restrict(body), tokio::spawn(async {}))
            } else {
                let (parts, feed) = pieces(body, size);
                (send(Method::POST, "restrict", parts), feed)
            };
            let (reply, record) = refuse(&city, call.over(http), (status, code), Came::ToTheGate).await;
            let problem = reply.json();
            assert!(problem["detail"].as_str().unwrap().contains(why), "{body}: {problem}");
            assert!(!reply.text().contains("geheim"), "{problem}");
            let wanted = if failing.is_empty() { serde_json::Value::Null } else { [failing].into() };
            assert_eq!(problem["failing"], wanted, "{problem}");
            assert_eq!(record.kind, "access", "nothing was forwarded: {record:#?}");
            assert_eq!(record.submitted, Some(0));
            let counted = record.submitted_dropped.keys().map(String::as_str).next().unwrap_or("");
            assert_eq!(counted, failing, "{record:#?}");
            feed.await.unwrap();
        }
    }
    let told = city.records().iter().map(|record| format!("{record:?}")).collect::<String>();
    assert!(!told.contains("geheim") && !city.gate.log_text().contains("geheim"));
    assert_eq!(city.received().total(), 0);
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_whose_grant_and_whom_to_ask() {
    let city = plan().start().await;
    let (reply, record) =
        refuse(&city, restrict(r#"{"diagnosis":"x"}"#), (403, "scope-exceeded"), Came::ToTheGate).await;
    let problem = reply.json();
    assert_eq!((&problem["clause"], &problem["nearest_grant"]), (&"fields".into(), &"LEAD-1".into()));
    assert!(problem["contact"].as_str().is_some_and(|contact| !contact.is_empty()), "{problem}");
    assert_eq!((record.decision.as_deref(), &*record.grants), (Some("permit"), &["LEAD-1".to_owned()][..]));
    let call = Call::post(SURVEYOR, SURVEY, "/_test/upload/restrict", whole(r#"[{},{"diagnosis":"x"}]"#));
    let chinese = city.call(call.header("content-type", "application/json")).await;
    let detail = chinese.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("第 2 条记录含有 `diagnosis`；授权 LEAD-1 的字段范围为"), "{detail}");
    // A route with coarse denials tells the code and no more.
    let call = send(Method::PUT, "batch", whole(r#"{"items":{"diagnosis":"x"}}"#));
    let (reply, _) = refuse(&city, call, (403, "scope-exceeded"), Came::ToTheGate).await;
    let problem = reply.json();
    assert_eq!((&problem["detail"], &problem["failing"]), (&problem["title"], &serde_json::Value::Null));
    // What the caller narrows its request to is what it may submit.
    let narrowed = restrict(r#"{"name":"a","age":1}"#).header("data-scope", "bytes|sha256|name");
    let (reply, _) = refuse(&city, narrowed, (403, "scope-exceeded"), Came::ToTheGate).await;
    assert_eq!(reply.json()["failing"], serde_json::json!(["age"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masked_submission_arrives_masked() {
    let city = plan().start().await;
    for (body, expected) in [
        (
            r#"{"name":"王云","id_card":"11010519491231002X","diagnosis":"x","other":[1],"age":77}"#,
            r#"{"name":"王**","id_card":"1****************X","age":77}"#,
        ),
        (r#"{"id_card":1,"age":"x","Id_Card":"11010519491231002X"}"#, r#"{"id_card":null,"age":null}"#),
        (
            r#"{"n\u0061me":"王云","name":"李雷","diagnosis":{"name":"x"}}"#,
            r#"{"n\u0061me":"王**","name":"李**"}"#,
        ),
        ("[ 7 , {\"diagnosis\":1} ]", "[ null , {} ]"),
    ] {
        for http in [Http::One, Http::Two] {
            let reply = city.call(mask(body).header("content-digest", "abc").over(http)).await;
            let record = arrived(&city, &reply, expected).await;
            assert_eq!(record.bytes_in, u64::try_from(body.len()).ok());
            let headers = city.last_received().headers;
            assert_eq!(headers["content-length"], expected.len().to_string().as_str());
            assert!(!headers.contains_key("content-digest"));
            let (parts, feed) = pieces(body, 1);
            arrived(&city, &city.call(send(Method::POST, "mask", parts).over(http)).await, expected).await;
            feed.await.unwrap();
        }
    }
    let first = city.records().into_iter().find(|record| record.submitted.is_some()).unwrap();
    assert_eq!(first.submitted, Some(1));
    let count = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1)).collect();
    assert_eq!(first.submitted_masked, count(&["name", "id_card"]));
    assert_eq!(first.submitted_dropped, count(&["diagnosis"]));
    assert_eq!(first.submitted_unclassified, Some(1));
    assert!(first.masked.is_empty(), "the reply is counted apart: {first:#?}");
    let cut = mask(r#"{"name":"geheim""#);
    let (reply, _) = refuse(&city, cut, (400, "request-body"), Came::ToTheGate).await;
    assert!(!reply.text().contains("geheim"));
}
