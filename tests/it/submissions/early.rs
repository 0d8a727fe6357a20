//! Platforms that answer before they have all of a body.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::answers::{Scripted, Step, head};
use crate::city::{ANY_PORT, soon, until};
use crate::refusals::check;

const JSON: (&str, &str) = ("content-type", "application/json");
const RECORD: &str = r#"{"name":"王云","age":77},"#;
/// More than the bound up to which a body is held whole.
const RECORDS: u64 = 5_000;

/// A route whose bodies pass as they are.
const PLAIN: &str = r#"
[[route]]
method = "POST"
path = "/_test/plain"
resource = "test.lead"
action = "submit"
upstream = "platform"
"#;

/// A platform that answers so as soon as it has the head of a request.
async fn before(steps: Vec<Step>) -> (City, Scripted) {
    let scripted = Scripted::start([("restrict", steps)]).await;
    let plan = plan().more_config("\n[bounds]\nwhole_request = \"4KiB\"\n");
    (plan.start_before(scripted.at).await, scripted)
}

/// Submits a list whose last record comes once the platform has answered. The list ends if it says so.
async fn submit(city: &City, scripted: &Scripted, last: &'static str, http: Http) -> Reply {
    let (sender, body) = in_parts();
    let seen = scripted.requests();
    let feed = async move {
        let front = format!("[{}", RECORD.repeat(usize::try_from(RECORDS).unwrap()));
        sender.send(Ok(Frame::data(front.into()))).await.unwrap();
        until("the platform to be asked", async || (scripted.requests() > seen).then_some(())).await;
        // Who was refused meanwhile need not send it.
        sender.send(Ok(Frame::data(last.into()))).await.ok();
        if last.ends_with(']') {
            drop(sender);
        } else {
            sender.closed().await;
        }
        std::future::pending().await
    };
    tokio::select! {
        reply = city.call(send(Method::POST, "restrict", body).over(http)) => reply,
        never = feed => never,
    }
}

/// What a platform says that has read nothing.
fn accepted() -> Vec<Step> {
    let body = r#"{"data":{"age":7}}"#;
    let length = body.len().to_string();
    vec![Step::send(head("202 Accepted", &[JSON, ("content-length", &length)]) + body), Step::Take]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_after_the_answer_refuses_the_request() {
    let unended = head("200 OK", &[JSON, ("content-length", "300000")]) + r#"{"data":[{"name":"a"}"#;
    for steps in [accepted(), vec![Step::send(unended), Step::Take]] {
        let (city, scripted) = before(steps).await;
        for http in [Http::One, Http::Two] {
            let reply = submit(&city, &scripted, r#"{"diagnosis":"geheim"},"#, http).await;
            check(&reply, 403, "scope-exceeded");
            let outcome = city.outcome_of(&reply).await;
            assert_eq!(outcome.reason.as_deref(), Some("scope-exceeded"));
            assert_eq!(outcome.submitted_dropped.get("diagnosis"), Some(&1), "{outcome:#?}");
            assert!((1..=RECORDS).contains(&outcome.submitted.unwrap()), "{outcome:#?}");
            assert_eq!(outcome.records.unwrap_or(0), 0, "nothing of the answer left");
        }
        assert_intact(&city.files().audit());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_before_the_end_waits_for_it() {
    let (city, scripted) = before(accepted()).await;
    for http in [Http::One, Http::Two] {
        let reply = submit(&city, &scripted, r#"{"name":"a"}]"#, http).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (202, r#"{"data":{"age":7}}"#));
        let outcome = city.outcome_of(&reply).await;
        assert_eq!((outcome.submitted, outcome.aborted), (Some(RECORDS + 1), None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_says_yes_and_takes_no_more_is_given_up() {
    let Some(Step::Send(yes)) = accepted().into_iter().next() else { panic!("an answer") };
    let never = Step::Wait(Arc::default());
    let scripted = Scripted::start([("restrict", vec![Step::Send(yes), never])]).await;
    let plan = plan().more_config("\n[bounds]\nwhole_request = \"4KiB\"\n");
    let plan = plan.config("response_timeout = \"10s\"", "response_timeout = \"400ms\"");
    let city = plan.start_before(scripted.at).await;
    for http in [Http::One, Http::Two] {
        let (sender, body) = in_parts();
        let feed = async move {
            let records = Bytes::from(RECORD.repeat(10_000));
            sender.send(Ok(Frame::data("[".into()))).await.unwrap();
            // More than all the buffers between here and there hold.
            while sender.send(Ok(Frame::data(records.clone()))).await.is_ok() {}
            std::future::pending().await
        };
        let reply = tokio::select! {
            reply = city.call(send(Method::POST, "restrict", body).over(http)) => reply,
            never = feed => never,
        };
        check(&reply, 504, "upstream-timeout");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_the_platform_waits_for_nothing() {
    let refusal = Step::send(head("422 Unprocessable Content", &[("content-length", "0")]));
    let (city, scripted) = before(vec![refusal, Step::Take]).await;
    for http in [Http::One, Http::Two] {
        // The list never ends.
        let reply = submit(&city, &scripted, r#"{"name":"a"},"#, http).await;
        check(&reply, 422, "upstream-rejected");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_breaks_a_reply_is_blamed_for_it() {
    let unended = head("200 OK", &[JSON, ("content-length", "300000")]) + r#"{"data":[{"name":"a"},"#;
    let scripted = Scripted::start([("plain", vec![Step::send(unended), Step::Take])]).await;
    let route = r#"
[[route]]
method = "POST"
path = "/_test/plain"
resource = "test.lead"
action = "submit"
upstream = "platform"
max_request_body = "1KiB"
"#;
    let city = plan().more_config(route).start_before(scripted.at).await;
    for http in [Http::One, Http::Two] {
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let (sender, call) = begun("[").await;
        let response = soon("the head", connection.send(call.request(city.files()))).await.unwrap();
        assert_eq!(response.status(), 200);
        sender.send(Ok(Frame::data(" ".repeat(1 << 10).into()))).await.unwrap();
        let reply = soon("the rest", Reply::read(response)).await;
        assert!(reply.broken.is_some(), "a reply that was cut off looks whole");
        let outcome = city.outcome_of(&reply).await;
        assert_eq!(outcome.aborted.as_deref(), Some("request-too-large"), "{outcome:#?}");
    }
}

/// A request to [`PLAIN`] of which this much is there, and where the rest of it comes from.
async fn begun(front: &'static str) -> (mpsc::Sender<std::io::Result<Frame<Bytes>>>, Call) {
    let (sender, body) = in_parts();
    sender.send(Ok(Frame::data(front.into()))).await.unwrap();
    let call = Call::post(SURVEYOR, SURVEY, "/_test/plain", body);
    (sender, call.header("content-type", "application/json"))
}

/// A platform that gives `answer` as soon as it has the head of a request and takes the body all the same: how many `x` of
/// it came, and who is told when a body has ended, one way or another.
async fn eager(answer: Vec<u8>) -> (SocketAddr, Arc<AtomicU64>, Arc<Notify>) {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let at = listener.local_addr().unwrap();
    let (taken, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let (count, end) = (Arc::clone(&taken), Arc::clone(&ended));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(&answer).await.unwrap();
            let (mut room, mut tail) = ([0; 4096], Vec::new());
            while !tail.ends_with(b"0\r\n\r\n") {
                let read = stream.read(&mut room).await.unwrap_or(0);
                if read == 0 {
                    break;
                }
                let came = room[..read].iter().filter(|byte| **byte == b'x').count();
                count.fetch_add(u64::try_from(came).unwrap(), Ordering::SeqCst);
                tail.extend_from_slice(&room[..read]);
                tail.drain(..tail.len().saturating_sub(8));
            }
            end.notify_one();
        }
    });
    (at, taken, ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_platform_takes_after_its_answer_is_on_record() {
    let Some(Step::Send(yes)) = accepted().into_iter().next() else { panic!("an answer") };
    let (at, taken, ended) = eager(yes.into()).await;
    let city = plan().more_config(PLAIN).start_before(at).await;
    for http in [Http::One, Http::Two] {
        let before = taken.load(Ordering::SeqCst);
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let (sender, call) = begun("x").await;
        let answered =
            async { Reply::read(connection.send(call.request(city.files())).await.unwrap()).await };
        let mut answered = std::pin::pin!(answered);
        // Whoever waits for the end of the upload before it answers is as right as whoever ends it then.
        let early = tokio::time::timeout(Duration::from_millis(500), answered.as_mut()).await;
        for _ in 0..16 {
            if sender.send(Ok(Frame::data("x".repeat(4096).into()))).await.is_err() {
                break;
            }
        }
        drop(sender);
        let reply = match early {
            Ok(reply) => reply,
            Err(_elapsed) => soon("the reply", answered).await,
        };
        assert_eq!(reply.status, 202, "{reply:?}");
        soon("the end of the upload", ended.notified()).await;
        let outcome = city.outcome_of(&reply).await;
        let came = taken.load(Ordering::SeqCst) - before;
        assert!(
            outcome.bytes_in >= Some(came),
            "{http:?}: {came} bytes reached the platform, {:?} are on record",
            outcome.bytes_in
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_reply_that_streams_waits_for_the_end_of_the_upload() {
    // More than is masked whole.
    let list = format!(r#"{{"data":[{}{{"name":"a"}}]}}"#, r#"{"name":"a"},"#.repeat(30_000));
    let length = list.len().to_string();
    let early = Step::send(head("200 OK", &[JSON, ("content-length", &length)]) + list.as_str());
    let scripted = Scripted::start([("plain", vec![early, Step::Take])]).await;
    let city = plan().more_config(PLAIN).start_before(scripted.at).await;
    for http in [Http::One, Http::Two] {
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let (sender, call) = begun("[").await;
        let response = soon("the head", connection.send(call.request(city.files()))).await.unwrap();
        let mut read = std::pin::pin!(Reply::read(response));
        let early = tokio::time::timeout(Duration::from_millis(500), read.as_mut()).await;
        assert!(early.is_err(), "{http:?}: the reply has ended before the upload");
        sender.send(Ok(Frame::data(format!("{}]", " ".repeat(4096)).into()))).await.unwrap();
        drop(sender);
        let reply = soon("the rest", read).await;
        assert_eq!((reply.status.as_u16(), reply.broken.is_none()), (200, true), "{http:?}");
        let outcome = city.outcome_of(&reply).await;
        assert_eq!((outcome.bytes_in, outcome.aborted), (Some(4098), None), "{http:?}");
    }
}

/// Whoever is refused and says nothing more would else keep a connection to the platform from everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_lets_go_of_the_platform_whatever_the_client_does() {
    let no = head("422 Unprocessable Content", &[JSON, ("content-length", "2")]) + "{}";
    let (at, taken, ended) = eager(no.into()).await;
    let city = plan().more_config(PLAIN).start_before(at).await;
    for http in [Http::One, Http::Two] {
        let before = taken.load(Ordering::SeqCst);
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let (sender, call) = begun("x").await;
        let response = soon("an answer", connection.send(call.request(city.files()))).await.unwrap();
        let reply = Reply::read(response).await;
        check(&reply, 422, "upstream-rejected");
        soon("the platform to be let go", ended.notified()).await;
        let came = taken.load(Ordering::SeqCst) - before;
        assert!(city.outcome_of(&reply).await.bytes_in >= Some(came), "{http:?}: {came}");
        drop(sender);
    }
}
