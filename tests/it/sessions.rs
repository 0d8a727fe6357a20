//! WebSocket: sessions through the gate, with a client and a platform of other makers.

mod ended;
mod platform;
mod refused;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response};
use pinegate::audit::ParsedRecord;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use self::platform::{Mood, SWITCHES, Sessions};
use crate::city::{Call, City, Plan, SURVEY, SURVEYOR, assert_intact, program, run_to_end, soon, until};
use crate::skip::skip;
use crate::tls::service_tls;

/// A route on which sessions may be opened.
const ROUTE: &str = r#"
[[route]]
method = "GET"
path = "/_test/session"
resource = "test.file"
action = "query"
upstream = "platform"
upgrade = "websocket"
"#;

const SESSION: &str = "/_test/session";

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// A city whose platform is `platform`.
async fn before(platform: &Sessions, plan: Plan) -> City {
    plan.more_config(ROUTE).start_before(platform.at).await
}

/// The request that opens a session.
fn handshake(city: &City, path: &str) -> Request<()> {
    let token = city.files().token(SURVEYOR, SURVEY);
    let request = Request::get(format!("wss://localhost{path}"))
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key());
    request.body(()).unwrap()
}

/// A session that is open.
struct Open {
    socket: Socket,
    id: String,
    head: Response<Option<Vec<u8>>>,
}

impl Open {
    /// Sends a message, and fails unless it comes back.
    async fn echo(&mut self, message: impl Into<Message>) {
        let message = message.into();
        soon("a message to leave", self.socket.send(message.clone())).await.unwrap();
        assert_eq!(self.next().await, message);
    }

    async fn next(&mut self) -> Message {
        soon("a message", self.socket.next()).await.expect("the session ended").unwrap()
    }

    /// The code by which it is closed.
    async fn closed(&mut self) -> CloseCode {
        loop {
            if let Message::Close(frame) = self.next().await {
                return frame.expect("a close frame without a code").code;
            }
        }
    }

    /// Closes it as it is done.
    async fn close(&mut self) {
        self.socket.close(None).await.unwrap();
        while soon("the end", self.socket.next()).await.is_some_and(|message| message.is_ok()) {}
    }

    /// The record of how it ended, after that of its beginning.
    async fn outcome(&self, city: &City) -> ParsedRecord {
        let mut records = city.records_of(&self.id).await;
        let kinds: Vec<_> = records.iter().map(|record| record.kind.as_str()).collect();
        assert_eq!(kinds, ["intent", "outcome"], "{records:#?}");
        let outcome = records.pop().unwrap();
        assert_eq!((outcome.status, outcome.decision.as_deref()), (Some(101), Some("permit")));
        outcome
    }
}

/// Opens a session, or gives back what came in place of one.
async fn opened(city: &City, request: Request<()>) -> Result<Open, Response<Option<Vec<u8>>>> {
    let stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    match soon("the answer to a handshake", Box::pin(client_async(request, stream))).await {
        Ok((socket, head)) => {
            let id = head.headers()["x-request-id"].to_str().unwrap().to_owned();
            Ok(Open { socket, id, head })
        }
        Err(Error::Http(response)) => Err(*response),
        Err(error) => panic!("{error}"),
    }
}

async fn open(city: &City) -> Open {
    opened(city, handshake(city, SESSION)).await.unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

/// The code of a refusal.
fn code(refusal: &Response<Option<Vec<u8>>>) -> String {
    let body = refusal.body().as_ref().expect("a problem document");
    let document: serde_json::Value = serde_json::from_slice(body).unwrap();
    document["code"].as_str().unwrap().to_owned()
}

/// How many sessions have ended like that.
async fn ended(city: &City, how: &str, count: f64) {
    let series = format!("pinegate_sessions_ended_total{{how=\"{how}\"}}");
    until(&series, async || (city.gate.metric(&series).await > count - 0.5).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_goes_both_ways_and_is_counted() {
    let platform =
        Sessions::start(Mood::Echo(SWITCHES.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: b\r\n\r\n")))
            .await;
    let city = before(&platform, Plan::new()).await;
    let mut request = handshake(&city, SESSION);
    request.headers_mut().insert("sec-websocket-protocol", "a, b".parse().unwrap());
    let key = request.headers()["sec-websocket-key"].to_str().unwrap().to_owned();
    let mut session = opened(&city, request).await.unwrap();
    assert_eq!(session.head.headers()["sec-websocket-protocol"], "b");
    assert_eq!(session.head.headers()["pinegate-grant"], "TEST-2");

    // It is on record before the client hears of it.
    let intent = city.records().into_iter().find(|record| record.request.as_deref() == Some(&session.id));
    let intent = intent.expect("a session that is not on record");
    assert_eq!((intent.kind.as_str(), intent.status), ("intent", None));
    assert_eq!((intent.route.as_deref(), intent.grants), (Some(SESSION), vec!["TEST-2".to_owned()]));
    assert!((city.gate.metric("pinegate_sessions").await - 1.0).abs() < 0.1);

    session.echo("中文也行").await;
    let long: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    session.echo(long.clone()).await;
    session.echo(Vec::new()).await;
    session.close().await;

    let outcome = session.outcome(&city).await;
    assert_eq!((outcome.ended_by.as_deref(), outcome.aborted.as_deref()), (Some("client"), None));
    for bytes in [outcome.bytes_in.unwrap(), outcome.bytes_out.unwrap()] {
        assert!((1 << 20..(1 << 20) + 200).contains(&bytes), "{outcome:#?}");
    }
    ended(&city, "client", 1.0).await;
    assert!(city.gate.metric("pinegate_sessions").await < 0.1);

    let heads = platform.heads();
    let [head] = heads.as_slice() else { panic!("{heads:#?}") };
    assert!(head.starts_with("GET /_test/session HTTP/1.1\r\n"), "{head}");
    for line in [
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: a, b",
        "pinegate-system: sys:ziran-map",
        &format!("x-request-id: {}", session.id),
    ] {
        assert!(head.lines().any(|known| known == line), "{line}: {head}");
    }
    assert!(!head.contains(&key) && !head.contains("authorization"), "{head}");
    assert_intact(&city.files().audit());
    let audit = city.files().audit();
    let (status, said) = run_to_end(&["audit".as_ref(), "verify".as_ref(), audit.as_ref()]).await;
    assert_eq!(status, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_would_rather_speak_http2_is_spoken_to_by_http1() {
    let plan =
        Plan::new().config("response_timeout = \"10s\"", "response_timeout = \"10s\"\nca = \"certs/ca.pem\"");
    let plan = plan.config("http://PLATFORM", "https://PLATFORM");
    let mut tls = service_tls(&plan.files, "platform", "127.0.0.1", false);
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let platform = Sessions::start_with(Mood::echo(), Some(TlsAcceptor::from(Arc::new(tls)))).await;
    let at = platform.at.to_string();
    let city = plan.more_config(ROUTE).config("PLATFORM", &at).start_without_platform().await;
    let mut session = open(&city).await;
    session.echo("加密").await;
    session.close().await;
    assert_eq!(session.outcome(&city).await.ended_by.as_deref(), Some("client"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_of_the_docs_opens_one() {
    let has_library = Command::new("python3").args(["-c", "import websockets.asyncio.client"]).output();
    if !has_library.is_ok_and(|output| output.status.success()) {
        skip("python3 with the package websockets", "there is none");
        return;
    }
    let platform = Sessions::start(Mood::echo()).await;
    let city = before(&platform, Plan::new()).await;
    let run = async |path: &str| {
        let mut command = Command::new("python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/session.py"));
        command.env("DIR", city.files().at("")).env("SYSTEM", SURVEYOR);
        command.env("TOKEN", city.files().token(SURVEYOR, SURVEY));
        command.env("SESSION", format!("wss://localhost:{}{path}", city.gate.address.port()));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let output = run(SESSION).await;
    let [said, complained] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success() && said.ends_with("came hello\n"), "{said}{complained}");
    let output = run("/_test/echo").await;
    let complained = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && complained.starts_with("request-upgrade: "), "{complained}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_with_fields_has_no_sessions() {
    let plan = Plan::new().more_config(&ROUTE.replace("test.file", "population.resident"));
    let mut check = program();
    check.args(["check", "--config"]).arg(plan.files.config_path());
    let output = tokio::task::spawn_blocking(move || check.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("route-upgrade") && said.contains("in a WebSocket session nothing can be"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_may_close_it() {
    let platform = Sessions::start(Mood::Close(SWITCHES.to_owned())).await;
    let city = before(&platform, Plan::new()).await;
    let mut session = open(&city).await;
    assert!(matches!(session.next().await, Message::Close(None)));
    while soon("the end", session.socket.next()).await.is_some_and(|message| message.is_ok()) {}
    let outcome = session.outcome(&city).await;
    assert_eq!((outcome.ended_by.as_deref(), outcome.aborted.as_deref()), (Some("platform"), None));
    ended(&city, "platform", 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_with_sessions_answers_other_requests_as_ever() {
    let plain = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\n\r\nhello";
    let platform = Sessions::start(Mood::say(plain)).await;
    let city = before(&platform, Plan::new()).await;
    let reply = city.call(Call::survey(SESSION)).await;
    reply.assert_data();
    assert_eq!(reply.text(), "hello");
    assert!(!platform.heads()[0].contains("websocket"));
}
