//! What the platform answers with, to the letter: what of it leaves, what does not, and how both show.

mod charsets;
mod codings;
mod heads;
mod lies;
mod pauses;
mod received;
mod resets;
mod scripted;
mod unread;

use bytes::Bytes;
use pinegate::audit::ParsedRecord;
use pinegate::coding::{Coding, Encoder};

use crate::city::{Call, City, Http, Plan, Reply, SURVEYOR, soon, until};
use crate::refusals::check;
pub(crate) use scripted::{Scripted, Step, head};
use scripted::{answer, chunks};

/// A phone number that leaves masked, an address of mail that does not leave, a member that nobody knows.
const SECRETS: [&str; 3] = ["13800138000", "wang@secret.example", "of-no-catalogue"];

const RECORD: &str = r#"{"name":"王小明","id_card":"11010519491231002X","phone":"13800138000","email":"wang@secret.example","note":"of-no-catalogue"}"#;

/// [`RECORD`] as the grant of the tests lets it out.
const RELEASED: &str = r#"{"name":"王**","id_card":"11010519491231002X","phone":"138****8000"}"#;

/// Resources of other formats, and grants for them.
const CATALOG: &str = r#"
[[resource]]
id = "test.lines"
name = "逐行记录"
provider = "dept:shuju"
class = "测试"
sharing = "conditional"
mode = ["query"]
format = "ndjson"
fields = [
    { name = "name", label = "姓名", level = 2, mask = "name" },
    { name = "phone", label = "手机号码", level = 3, mask = "mobile" },
]

[[resource]]
id = "test.table"
name = "逗号分隔记录"
provider = "dept:shuju"
class = "测试"
sharing = "conditional"
mode = ["query"]
format = "csv"
fields = [
    { name = "姓名", label = "姓名", level = 2, mask = "name" },
    { name = "手机", label = "手机号码", level = 3, mask = "mobile" },
    { name = "地址", label = "地址", level = 1 },
    { name = "邮箱", label = "电子邮箱", level = 3 },
]
"#;

const GRANTS: &str = "
p, LINES-1, sys:ziran-map, test.lines, query, planning.survey, name|phone, always, allow
p, TABLE-1, sys:ziran-map, test.table, query, planning.survey, 姓名|手机|地址, always, allow
";

/// Path, resource, and what else the route says.
const ROUTES: [(&str, &str, &str); 10] = [
    ("/_x/{case}", "population.resident", ""),
    ("/_post/{case}", "population.resident", ""),
    ("/_post-file/{case}", "test.file", r#"media_type = "application/pdf""#),
    ("/_gb/{case}", "population.resident", r#"media_type = "application/json; charset=gb18030""#),
    ("/_always/{case}", "population.resident", r#"compress = "always""#),
    ("/_never/{case}", "population.resident", r#"compress = "never""#),
    ("/_file/{case}", "test.file", ""),
    ("/_pdf/{case}", "test.file", r#"media_type = "application/pdf""#),
    ("/_table/{case}", "test.table", r#"media_type = "text/csv; charset=gb18030""#),
    ("/_lines/{case}", "test.lines", r#"compress = "always""#),
];

/// A city whose platform plays scripts.
async fn city(scripted: &Scripted) -> City {
    plan().start_before(scripted.at).await
}

fn plan() -> Plan {
    let mut plan =
        Plan::new().unlimited().more_policy("catalog.toml", CATALOG).more_policy("grants.csv", GRANTS);
    for (path, resource, rest) in ROUTES {
        let method = if path.starts_with("/_post") { "POST" } else { "GET" };
        plan = plan.more_config(&format!(
            "\n[[route]]\nmethod = \"{method}\"\npath = \"{path}\"\nresource = \"{resource}\"\n\
             action = \"query\"\nupstream = \"platform\"\n{rest}\n"
        ));
    }
    plan
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// A list of `count` records.
fn list(count: usize) -> String {
    format!(r#"{{"code":0,"data":[{}],"trace":"of-no-catalogue"}}"#, vec![RECORD; count].join(","))
}

/// What leaves of it.
fn released(count: usize) -> String {
    format!(r#"{{"code":0,"data":[{}]}}"#, vec![RELEASED; count].join(","))
}

fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(coding), Vec::new());
    encoder.push(body, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out
}

fn decoded(coding: Coding, mut body: &[u8]) -> Vec<u8> {
    let bounds = pinegate::coding::Bounds { ratio: u64::MAX, size: u64::MAX };
    let (mut decoder, mut out) = (pinegate::coding::Decoder::new(coding, bounds), Vec::new());
    loop {
        let piece = decoder.decode(&mut body).unwrap();
        if piece.is_empty() {
            break;
        }
        out.extend_from_slice(piece);
    }
    decoder.finish().unwrap();
    out
}

fn assert_no_secret(reply: &Reply) {
    let headers = format!("{:?}", reply.headers);
    assert!(SECRETS.iter().all(|secret| !headers.contains(secret)), "{headers}");
    assert_none_in(&reply.body);
}

fn assert_none_in(body: &[u8]) {
    let body = String::from_utf8_lossy(body);
    for secret in SECRETS {
        assert!(!body.contains(secret), "{secret} left");
    }
}

/// Makes a call that gets a problem document in place of an answer; gives its detail.
async fn refused(city: &City, call: Call, (status, code): (u16, &str)) -> String {
    let reply = city.call(call.english()).await;
    check(&reply, status, code);
    assert_no_secret(&reply);
    assert_eq!(reply.broken, None, "the refusal is whole");
    let record = city.records_of(&reply.request_id()).await.pop().unwrap();
    assert_eq!((record.status, record.reason.as_deref()), (Some(status), Some(code)), "{record:#?}");
    assert_eq!(record.bytes_out, u64::try_from(reply.body.len()).ok());
    assert_eq!(record.records.unwrap_or(0), 0, "no record left: {record:#?}");
    reply.json()["detail"].as_str().unwrap().to_owned()
}

/// Makes a call whose answer breaks off; gives what arrived of it, and how the record says it ended.
async fn cut_off(city: &City, http: Http, call: Call, reason: &str) -> (Bytes, ParsedRecord) {
    let before = city.records().len();
    let connection = city.client(SURVEYOR).connect(http).await.unwrap();
    let body = match soon("a reply", connection.send(call.request(city.files()))).await {
        Ok(response) => {
            let reply = soon("what there is of a reply", Reply::read(response)).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let length = reply.body.len();
            assert!(reply.broken.is_some(), "{reason}: it ended as if it were whole, after {length}");
            reply.body
        }
        // A break takes with it what was not sent yet, be it the head.
        Err(_broken) => Bytes::new(),
    };
    let outcome = until("an outcome", async || {
        city.records().into_iter().skip(before).find(|record| record.kind == "outcome")
    })
    .await;
    assert_eq!(outcome.aborted.as_deref(), Some(reason), "{outcome:#?}");
    assert_eq!((outcome.decision.as_deref(), outcome.reason.as_deref()), (Some("permit"), None));
    assert!(outcome.bytes_out >= u64::try_from(body.len()).ok(), "{outcome:#?}");
    assert_eq!(outcome.sent_sha256, None, "nobody knows what of it arrived");
    (body, outcome)
}

/// The counts of a cut-off list of [`RECORD`]s: at least what arrived of it.
fn assert_counts(body: &[u8], outcome: &ParsedRecord) {
    assert_none_in(body);
    let records = outcome.records.unwrap();
    let arrived = u64::try_from(String::from_utf8_lossy(body).matches("138****8000").count()).unwrap();
    assert!(records >= arrived && records > 100, "{records} records, {arrived} arrived");
    // What was masked of a piece that then failed is counted, its records are not.
    for counts in [outcome.masked.get("phone"), outcome.masked.get("name"), outcome.dropped.get("email")] {
        assert!(counts.is_some_and(|count| count + 1 >= records), "{outcome:#?}");
    }
    assert!(outcome.unclassified.is_some_and(|count| count + 1 >= records), "{outcome:#?}");
}

const BOTH: [Http; 2] = [Http::One, Http::Two];
