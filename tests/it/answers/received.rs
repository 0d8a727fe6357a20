//! The keyed digest of what the platform sent: of its bytes as they came, whatever left of them.

use pinegate::audit::{DigestKey, ParsedRecord};
use pinegate::kernel::id::Digest;
use pinegate::kernel::secret::Secret;

use super::scripted::last_chunk;
use super::*;
use crate::city::AUDIT_KEY;

/// The digest that a record has of a body.
fn digest(body: &[u8]) -> String {
    let mut digest = DigestKey::new(&Secret::new(AUDIT_KEY.as_bytes())).received();
    // However it is cut.
    body.chunks(1_000).for_each(|part| digest.update(part));
    digest.finish().to_hex()
}

/// The record that says how a call ended.
async fn ended(city: &City, call: Call, status: u16) -> ParsedRecord {
    let reply = city.call(call).await;
    assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    let records = city.records_of(&reply.request_id()).await;
    records.into_iter().find(|record| record.status.is_some()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_of_the_bytes_that_came() {
    let (few, many, bad) = (list(2), list(5_000), format!("{}x", list(1)));
    let (gzip, long_gzip) = (encoded(Coding::Gzip, few.as_bytes()), encoded(Coding::Gzip, many.as_bytes()));
    let coded = ("content-encoding", "gzip");
    let in_chunks = |fields: &[(&str, &str)], body: &[u8]| {
        let mut steps = chunks(fields, body);
        steps.push(last_chunk());
        steps
    };
    let failed = head("500 Internal Server Error", &[JSON, ("content-length", "2")]) + "{}";
    let scripted = Scripted::start([
        ("few", answer(&[JSON], &few)),
        ("many", in_chunks(&[JSON], many.as_bytes())),
        ("gzip", answer(&[JSON, coded], &gzip)),
        ("long-gzip", in_chunks(&[JSON, coded], &long_gzip)),
        ("bad", answer(&[JSON], &bad)),
        ("failed", vec![Step::send(failed)]),
        ("pdf", answer(&[("content-type", "application/pdf")], &many)),
        ("empty", answer(&[("content-type", "application/pdf")], "")),
        ("coded-pdf", in_chunks(&[("content-type", "application/pdf"), coded], &long_gzip)),
    ])
    .await;
    let city = city(&scripted).await;
    for http in [Http::One, Http::Two] {
        for (path, body, status) in [
            ("/_x/few", few.as_bytes(), 200),
            ("/_x/many", many.as_bytes(), 200),
            ("/_x/gzip", &*gzip, 200),
            ("/_x/long-gzip", &*long_gzip, 200),
            // It came, and is evidence, though nothing of it left.
            ("/_x/bad", bad.as_bytes(), 502),
            ("/_pdf/pdf", many.as_bytes(), 200),
            // The client takes no gzip: what leaves is not what came.
            ("/_pdf/coded-pdf", &*long_gzip, 200),
        ] {
            let record = ended(&city, Call::survey(path).over(http), status).await;
            assert_eq!(record.received_mac, Some(digest(body)), "{http:?} {path}");
            assert_ne!(record.received_mac, record.sent_sha256);
        }
        let record = ended(&city, Call::survey("/_pdf/empty").over(http), 200).await;
        assert_eq!((record.received_mac, record.aborted), (Some(digest(b"")), None), "{http:?}");
        assert_eq!(record.sent_sha256, Some(Digest::of(b"").to_hex()));
        let record = ended(&city, Call::survey("/_x/failed").over(http), 502).await;
        assert_eq!(record.received_mac, None, "the words of an error are not read");
    }
    city.files().edit("gateway.toml", "pseudonym_key = \"audit.key\"\n", "");
    let catalog = city.files().read("policies/catalog.toml");
    let nobody =
        catalog.replace(", subject = \"resident-id\"", "").replace(", subject = \"credit-code\"", "");
    city.files().write("policies/catalog.toml", &nobody);
    city.gate.reloaded().await;
    let record = ended(&city, Call::survey("/_x/few"), 200).await;
    assert_eq!((record.received_mac, record.sent_sha256.is_some()), (None, true), "without a key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_did_not_come_whole_has_none() {
    let many = list(5_000);
    let mut steps = chunks(&[JSON], &many[..many.len() - 40]);
    steps.push(Step::Close);
    let scripted = Scripted::start([("cut", steps)]).await;
    let city = city(&scripted).await;
    for http in [Http::One, Http::Two] {
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let response = connection.send(Call::survey("/_x/cut").request(city.files())).await.unwrap();
        let reply = soon("a broken reply", Reply::read(response)).await;
        assert!(reply.broken.is_some());
        let outcome = city.outcome_of(&reply).await;
        assert_eq!((outcome.received_mac, outcome.sent_sha256), (None, None));
    }
}
