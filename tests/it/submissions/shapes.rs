//! What a body may look like, and what is said where it does not.

use super::*;
use crate::city::{nothing, run_to_end};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_lie_where_the_route_says() {
    let city = plan().start().await;
    let batch = |text: &str| send(Method::PUT, "batch", whole(text.to_owned()));
    let body = r#"{"batch":{"no":"7","by":["x"]},"items":[{"name":"a"},{"age":1}]}"#;
    let record = arrived(&city, &city.call(batch(body)).await, body).await;
    assert_eq!(record.submitted, Some(2));
    for body in [
        r#"{"batch":"7","items":[],"total":0}"#,
        r#"{"Items":[{"name":"a"}]}"#,
        r#"{"items":[{"name":"a","batch":"7"}]}"#,
        r#"{"name":"a"}"#,
    ] {
        refuse(&city, batch(body), (403, "scope-exceeded"), Came::ToTheGate).await;
    }
    let over = batch(&format!("{{\"batch\":\"{}\"}}", "x".repeat(1024)));
    refuse(&city, over, (413, "request-too-large"), Came::ToTheGate).await;
    let lines = "{\"name\":\"王云\"}\n{\"diagnosis\":1}\n";
    let call = Call::post(SURVEYOR, SURVEY, "/_test/upload/lines", whole(lines));
    let reply = city.call(call.header("content-type", "application/x-ndjson; charset=utf-8")).await;
    let record = arrived(&city, &reply, "{\"name\":\"王**\"}\n{}\n").await;
    assert_eq!(record.submitted, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_is_held_against_the_grants() {
    let city = plan().start().await;
    let (csv, form, xml) = ("text/csv", "application/x-www-form-urlencoded", "application/xml");
    let call = |place: &str, media_type, body: &str| {
        let path = format!("/_test/upload/{place}");
        let call = Call::post(SURVEYOR, SURVEY, &path, whole(body.to_owned()));
        call.header("content-type", media_type).english()
    };
    for (place, media_type, body, records) in [
        ("csv", csv, "name,id_card\r\n王云,11010519491231002X\r\n\"a,b\",\r\n", 2),
        ("form", form, "name=%E7%8E%8B&id_card=1&age=7", 1),
        ("xml", xml, "<upload><item><name>a&amp;b</name><age>7</age></item><item/></upload>", 2),
    ] {
        let record = arrived(&city, &city.call(call(place, media_type, body)).await, body).await;
        assert_eq!(record.submitted, Some(records), "{body}");
    }
    for (place, media_type, body) in [
        ("csv", csv, "name,diagnosis\r\na,\r\n"),
        ("csv", csv, "name,Name\r\na,b\r\n"),
        ("form", form, "name=a&diagnosis=x"),
        ("form", form, "name=a&x"),
        ("xml", xml, "<upload><item><diagnosis/></item></upload>"),
        ("xml", xml, "<upload><item name='a'/></upload>"),
        ("xml", xml, "<upload><item/><!-- 13800138000 --></upload>"),
        ("notice", xml, "<upload><item no='1'><note>a</note></item></upload>"),
    ] {
        refuse(&city, call(place, media_type, body), (403, "scope-exceeded"), Came::ToTheGate).await;
    }
    // The records of a request have their own place, whatever those of a reply are called.
    let notice = "<upload><item no='1'><text>a</text></item></upload>";
    city.call(call("notice", xml, notice)).await;
    assert_eq!(city.last_received().body_len, u64::try_from(notice.len()).ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_says_that_it_is_of_the_format() {
    let city = plan().start().await;
    let good = r#"{"age":7}"#;
    for place in ["restrict", "mask"] {
        let post = || {
            let path = format!("/_test/upload/{place}");
            Call::post(SURVEYOR, SURVEY, &path, whole(good)).english()
        };
        for (name, value, why) in [
            ("content-type", "application/x-www-form-urlencoded", "`application/json`"),
            ("content-type", "application/x-ndjson", "`application/json`"),
            ("content-type", "application/json; charset=gb18030", "`application/json`"),
            ("content-type", "application/json; charset*=gbk", "`application/json`"),
            ("content-type", "multipart/form-data; boundary=x", "`application/json`"),
            ("content-type", "text/plain", "`application/json`"),
            ("x-none", "1", "`application/json`"),
        ] {
            let (reply, _) =
                refuse(&city, post().header(name, value), (400, "request-body"), Came::ToTheGate).await;
            assert!(reply.json()["detail"].as_str().unwrap().contains(why), "{value}: {}", reply.text());
        }
        let coded = post().header("content-type", "application/json").header("content-encoding", "gzip");
        let (reply, _) = refuse(&city, coded, (400, "request-body"), Came::ToTheGate).await;
        assert!(reply.json()["detail"].as_str().unwrap().contains("content coding"), "{}", reply.text());
        for right in ["application/json; charset=UTF-8", "application/merge-patch+json"] {
            arrived(&city, &city.call(post().header("content-type", right)).await, good).await;
            assert_eq!(city.last_received().headers["content-type"], right);
        }
        let plain = post().header("content-type", "application/json").header("content-encoding", "identity");
        arrived(&city, &city.call(plain).await, good).await;
        assert!(!city.last_received().headers.contains_key("content-encoding"));
    }
    // No body holds nothing, whatever it says that it is.
    let reply = city.call(Call::post(SURVEYOR, SURVEY, "/_test/upload/restrict", nothing())).await;
    arrived(&city, &reply, "").await;
    let (parts, feed) = pieces("", 1);
    arrived(&city, &city.call(send(Method::POST, "restrict", parts)).await, "").await;
    feed.await.unwrap();
    let delete = Call::new(Method::DELETE, SURVEYOR, SURVEY, "/_test/echo/area?area=3410");
    city.call(delete).await.assert_data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_of_the_body_are_decided_first() {
    let city = plan().start().await;
    let patch = |text: &str| send(Method::PATCH, "area", whole(text.to_owned()));
    let body = " {\"area\":\"341002\",\"name\":\"a\"}";
    let record = arrived(&city, &city.call(patch(body)).await, body).await;
    assert_eq!(record.parameters.get("area").map(String::as_str), Some("341002"));
    assert_eq!((record.submitted, record.bytes_in), (Some(1), u64::try_from(body.len()).ok()));
    let elsewhere = r#"{"area":"310100","diagnosis":"x"}"#;
    refuse(&city, patch(elsewhere), (403, "scope-parameter"), Came::ToTheGate).await;
    let outside = r#"{"area":"341002","diagnosis":"x"}"#;
    let (_, record) = refuse(&city, patch(outside), (403, "scope-exceeded"), Came::ToTheGate).await;
    assert_eq!(record.bytes_in, u64::try_from(outside.len()).ok(), "read once");
    let twice = r#"{"area":"341002","area":"341003"}"#;
    refuse(&city, patch(twice), (400, "request-body"), Came::ToTheGate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_found_before_it_serves() {
    let (lead, scan, form) = ("test.lead", "test.scan", "fields = \"mask\", format = \"form\"");
    let in_body = "parameters = { area = \"body:area\" }";
    for (method, resource, parameters, request, message) in [
        ("GET", lead, "", "fields = \"restrict\"", "a `GET` has no body to hold against grants"),
        (
            "POST",
            scan,
            "",
            "fields = \"mask\"",
            "`test.scan` has no fields that a body could be held against",
        ),
        ("POST", lead, "", "fields = \"drop\"", "`\"pass\"`, `\"restrict\"` or `\"mask\"`"),
        ("POST", lead, "", "format = \"json\"", "`route[36].request.fields` is missing"),
        ("POST", lead, "", "fields = \"mask\", format = \"opaque\"", "`json`, `ndjson`"),
        ("POST", lead, "", "fields = \"pass\", format = \"json\"", "means nothing where it passes as it is"),
        ("POST", lead, "", "fields = \"mask\", envelope = [\"a\"]", "an envelope needs `records`"),
        (
            "POST",
            lead,
            "",
            "fields = \"mask\", records = \"a\", envelope = [\"a.b\"]",
            "a body cannot be read like this",
        ),
        ("POST", lead, "", "fields = \"mask\", format = \"csv\", records = \"a\"", "where the body is `csv`"),
        ("POST", lead, in_body, form, "parameters are in a JSON body, and this one is `form`"),
    ] {
        let route = format!(
            "\n[[route]]\nmethod = \"{method}\"\npath = \"/x\"\nresource = \"{resource}\"\naction = \"submit\"\n\
             upstream = \"platform\"\n{parameters}\nrequest = {{ {request} }}\n"
        );
        let plan = plan().more_config(&route);
        let config = plan.files.config_path();
        let (code, said) = run_to_end(&["run".as_ref(), "--config".as_ref(), config.as_ref()]).await;
        assert_eq!(code, Some(64), "{request}\n{said}");
        // In its place, as a person finds it.
        assert!(said.contains(message) && said.contains(&format!("request = {{ {request} }}")), "{said}");
    }
}

/// To many programs `;` parts pairs as `&` does (HTML 4.01, appendix B.2.2); who writes it into a value escapes it (WHATWG
/// URL, section 1.3). So it has two readings where it stands bare, and behind it may be a field that is not granted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_parts_the_pairs_of_a_form_for_some_is_refused() {
    let city = plan().start().await;
    let form = |body: &str| {
        let call = Call::post(SURVEYOR, SURVEY, "/_test/upload/form", whole(body.to_owned()));
        call.header("content-type", "application/x-www-form-urlencoded").english()
    };
    let escaped = "name=a%3Bdiagnosis%3Dx";
    arrived(&city, &city.call(form(escaped)).await, escaped).await;
    for body in ["name=a;diagnosis=x", "name=a&area;diagnosis=x", "name=;diagnosis=x"] {
        let reply = city.call(form(body)).await;
        assert!(matches!(reply.status.as_u16(), 400 | 403), "{body}: {}", reply.status);
    }
}
