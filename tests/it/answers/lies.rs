//! A platform that lies about type, length and coding, stalls, or dies in the middle.

use std::io::Write as _;

use super::scripted::{chunk, head, last_chunk};
use super::*;

const TYPE: (u16, &str) = (502, "mask-media-type");
const INVALID: (u16, &str) = (502, "upstream-invalid");
const BODY: (u16, &str) = (502, "mask-body");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn about_the_type() {
    let types: &[(&str, &[&str])] = &[
        ("html", &["text/html"]),
        ("none", &[]),
        ("empty", &[""]),
        ("twice", &["application/json", "application/json"]),
        ("list", &["application/json, text/html"]),
        ("utf16", &["application/json; charset=utf-16"]),
        ("gbk", &["application/json; charset=gbk"]),
        ("two-charsets", &["application/json; charset=utf-8; charset=gbk"]),
        ("blank", &["application/json; charset =gbk"]),
        ("extended", &["application/json; charset*=gbk"]),
        ("ranges", &["multipart/byteranges; boundary=x"]),
        ("mixed", &["multipart/mixed; boundary=x"]),
        ("lines", &["application/x-ndjson"]),
        ("xml", &["application/soap+xml"]),
    ];
    let scripts = types.iter().map(|(name, types)| {
        let fields: Vec<_> = types.iter().map(|value| ("content-type", *value)).collect();
        (*name, answer(&fields, list(1)))
    });
    let scripted = Scripted::start(scripts).await;
    let city = city(&scripted).await;
    for http in BOTH {
        for (name, _) in types {
            let detail = refused(&city, Call::survey(&format!("/_x/{name}")).over(http), TYPE).await;
            assert!(detail.contains("`application/json`"), "{name}: {detail}");
        }
        // A file may be of any type but one that has parts, unless the route says which.
        for name in ["ranges", "mixed", "twice", "list"] {
            refused(&city, Call::survey(&format!("/_file/{name}")).over(http), TYPE).await;
        }
        for name in ["html", "none", "lines", "ranges"] {
            let detail = refused(&city, Call::survey(&format!("/_pdf/{name}")).over(http), TYPE).await;
            assert!(detail.contains("`application/pdf`"), "{name}: {detail}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn about_what_it_is_a_part_of() {
    let body = list(1);
    let with_status = |status: &str, fields: &[(&str, &str)]| {
        let length = body.len().to_string();
        let fields = [&[JSON, ("content-length", length.as_str())], fields].concat();
        vec![Step::send(head(status, &fields) + body.as_str())]
    };
    let scripted = Scripted::start([
        ("206", with_status("206 Partial Content", &[("content-range", "bytes 0-9/100")])),
        ("206-bare", with_status("206 Partial Content", &[])),
        ("226", with_status("226 IM Used", &[("im", "feed")])),
        ("range", with_status("200 OK", &[("content-range", "bytes 0-9/100")])),
        ("304", vec![Step::send(head("304 Not Modified", &[("etag", "\"13800138000\"")]))]),
    ])
    .await;
    let city = city(&scripted).await;
    for http in BOTH {
        for name in ["206", "206-bare", "226", "range", "304"] {
            for route in ["_x", "_file"] {
                refused(&city, Call::survey(&format!("/{route}/{name}")).over(http), INVALID).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn about_the_coding() {
    let body = list(1);
    let gzip = encoded(Coding::Gzip, body.as_bytes());
    let coded = |coding, bytes: &[u8]| answer(&[JSON, ("content-encoding", coding)], bytes);
    let scripted = Scripted::start([
        ("says-gzip", coded("gzip", body.as_bytes())),
        ("says-br", coded("br", body.as_bytes())),
        ("says-zstd", coded("zstd", body.as_bytes())),
        ("is-another", coded("zstd", &gzip)),
        ("says-nothing", answer(&[JSON], &gzip)),
        ("says-identity", coded("identity", &gzip)),
        ("cut", coded("gzip", &gzip[..gzip.len() - 3])),
        ("garbage", coded("gzip", &[&gzip, &b"x"[..]].concat())),
        ("second", coded("gzip", &[&gzip[..], &gzip].concat())),
        ("nothing", coded("gzip", b"")),
        ("stacked", coded("gzip, br", &encoded(Coding::Brotli, &gzip))),
        ("twice", coded("gzip, gzip", &encoded(Coding::Gzip, &gzip))),
        ("deflate", coded("deflate", &gzip)),
        ("unknown", coded("aes128gcm", &gzip)),
    ])
    .await;
    let city = city(&scripted).await;
    for http in BOTH {
        for (name, reason) in [
            ("says-gzip", "coding-broken"),
            ("says-br", "coding-broken"),
            ("says-zstd", "coding-broken"),
            ("is-another", "coding-broken"),
            ("says-nothing", "syntax"),
            ("says-identity", "syntax"),
            ("cut", "coding-truncated"),
            ("garbage", "coding-trailing"),
            ("second", "coding-trailing"),
            ("nothing", "coding-truncated"),
        ] {
            let detail = refused(&city, Call::survey(&format!("/_x/{name}")).over(http), BODY).await;
            assert!(detail.contains(reason), "{name}: {detail}");
        }
        for name in ["stacked", "twice", "deflate", "unknown"] {
            for route in ["_x", "_file"] {
                let call = Call::survey(&format!("/{route}/{name}")).over(http);
                let detail = refused(&city, call.header("accept-encoding", "deflate, gzip, br"), TYPE).await;
                assert!(detail.contains("`gzip`, `br` and `zstd`"), "{name}: {detail}");
            }
        }
    }
    assert!(!SECRETS.iter().any(|secret| city.gate.log_text().contains(secret)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn about_the_length() {
    let body = list(1);
    // More is promised than comes, in a body and in a chunk.
    let promised = (body.len() + 100).to_string();
    let short = head("200 OK", &[JSON, ("content-length", &promised)]) + body.as_str();
    let chunked = head("200 OK", &[JSON, ("transfer-encoding", "chunked")]);
    // Less is promised than comes: the rest looks like an answer to somebody else.
    let smuggled = format!("{}{}", head("200 OK", &[JSON, ("content-length", "2")]), "{}");
    let forged = answer(&[JSON], r#"{"code":0,"data":[{"name":"forged"}]}"#);
    let [Step::Send(forged)] = forged.as_slice() else { panic!("one step") };
    let long = [smuggled.as_bytes(), forged].concat();
    let cut_json = format!("{}{body}", head("200 OK", &[JSON, ("content-length", "40")]));
    let twice =
        head("200 OK", &[JSON, ("content-length", "2"), ("content-length", &promised)]) + body.as_str();
    let scripted = Scripted::start([
        ("short", vec![Step::send(short), Step::Close]),
        ("short-chunk", vec![Step::send(format!("{chunked}{promised}\r\n{body}")), Step::Close]),
        ("no-end", vec![Step::send(chunked.clone()), chunk(body.as_bytes()), Step::Close]),
        ("bad-chunk", vec![Step::send(chunked), chunk(body.as_bytes()), Step::send("xyz\r\n"), Step::Close]),
        ("cut-json", vec![Step::send(cut_json)]),
        ("twice", vec![Step::send(twice), Step::Close]),
        ("long", vec![Step::send(long)]),
        ("right", answer(&[JSON], &body)),
    ])
    .await;
    let city = city(&scripted).await;
    for http in BOTH {
        for name in ["short", "short-chunk", "no-end", "bad-chunk", "twice"] {
            refused(&city, Call::survey(&format!("/_x/{name}")).over(http), INVALID).await;
        }
        let detail = refused(&city, Call::survey("/_x/cut-json").over(http), BODY).await;
        assert!(detail.contains("truncated"), "{detail}");
        for _ in 0..4 {
            let reply = city.call(Call::survey("/_x/long").over(http)).await;
            // What the head promised is all there is.
            assert_eq!((reply.status.as_u16(), reply.text()), (200, "{}"), "{reply:?}");
            let reply = city.call(Call::survey("/_x/right").over(http)).await;
            assert_eq!(reply.text(), released(1), "an answer to nobody was taken for this one");
        }
    }
}

/// An answer that ends with its connection.
fn until_closed(status: &str, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<Step> {
    let head = head("200 OK", fields).replacen("HTTP/1.1", status, 1);
    vec![Step::send([head.as_bytes(), body.as_ref()].concat()), Step::Close]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn about_its_end() {
    let (list, close, gzip) = (list(1), ("connection", "close"), ("content-encoding", "gzip"));
    let (table, lines) =
        (("content-type", "text/csv; charset=gb18030"), ("content-type", "application/x-ndjson"));
    let line = r#"{"name":"王小明","phone":"13800138000"}"#;
    let coded_line = encoded(Coding::Gzip, line.as_bytes());
    let (cut_line, cut_list) = (&coded_line[..coded_line.len() - 1], &list[..list.len() - 1]);
    let scripted = Scripted::start([
        ("table", until_closed("HTTP/1.1", &[table, close], "phone\r\n13800138000\r\n")),
        ("table-1.0", until_closed("HTTP/1.0", &[table], "phone\r\n13800138000\r\n")),
        ("lines", until_closed("HTTP/1.1", &[lines, close], line)),
        ("file", until_closed("HTTP/1.1", &[JSON, close], &list)),
        ("file-gzip", until_closed("HTTP/1.1", &[JSON, close, gzip], &coded_line)),
        ("lines-gzip", until_closed("HTTP/1.1", &[lines, close, gzip], &coded_line)),
        ("lines-gzip-cut", until_closed("HTTP/1.1", &[lines, close, gzip], cut_line)),
        ("json", until_closed("HTTP/1.1", &[JSON, close], &list)),
        ("json-1.0", until_closed("HTTP/1.0", &[JSON], &list)),
        ("json-cut", until_closed("HTTP/1.0", &[JSON], cut_list)),
    ])
    .await;
    let city = city(&scripted).await;
    for http in BOTH {
        for target in ["_table/table", "_table/table-1.0", "_lines/lines", "_file/file", "_file/file-gzip"] {
            let detail = refused(&city, Call::survey(&format!("/{target}")).over(http), INVALID).await;
            assert!(detail.contains("nothing marks where it ends"), "{target}: {detail}");
        }
        // What has an end of its own is whole if that came.
        let masked = r#"{"name":"王**","phone":"138****8000"}"#;
        for (target, expected) in
            [("_x/json", &*released(1)), ("_x/json-1.0", &*released(1)), ("_lines/lines-gzip", masked)]
        {
            let reply = city.call(Call::survey(&format!("/{target}")).over(http)).await;
            reply.assert_data();
            assert_eq!(reply.text(), expected, "{target}");
        }
        refused(&city, Call::survey("/_x/json-cut").over(http), BODY).await;
        cut_off(&city, http, Call::survey("/_lines/lines-gzip-cut"), "coding-truncated").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn about_the_last_of_a_few_lines() {
    let lines = ("content-type", "application/x-ndjson");
    let line = r#"{"name":"王小明","phone":"13800138000"}"#;
    let (good, bad) = (format!("{line}\n{line}\n"), format!("{line}\n{{}}}}\n"));
    let gzip = [lines, ("content-encoding", "gzip")];
    let scripted = Scripted::start([
        ("good", answer(&[lines], &good)),
        ("bad", answer(&[lines], &bad)),
        ("good-gzip", answer(&gzip, encoded(Coding::Gzip, good.as_bytes()))),
        ("bad-gzip", answer(&gzip, encoded(Coding::Gzip, bad.as_bytes()))),
    ])
    .await;
    let city = city(&scripted).await;
    for http in BOTH {
        for coding in ["", "-gzip"] {
            let reply = city.call(Call::survey(&format!("/_lines/good{coding}")).over(http)).await;
            reply.assert_data();
            assert_eq!(reply.text(), "{\"name\":\"王**\",\"phone\":\"138****8000\"}\n".repeat(2));
            assert_eq!(city.record_of(&reply).await.records, Some(2));
            refused(&city, Call::survey(&format!("/_lines/bad{coding}")).over(http), BODY).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn about_the_transfer() {
    let list = list(1);
    let chunked = format!("{:x}\r\n{list}\r\n0\r\n\r\n", list.len());
    let length = list.len().to_string();
    let te = |coding| ("transfer-encoding", coding);
    let answer =
        |fields: &[(&str, &str)], body: &[u8]| until_closed("HTTP/1.1", &[&[JSON], fields].concat(), body);
    let scripted = Scripted::start([
        ("gzip", answer(&[te("gzip")], &encoded(Coding::Gzip, list.as_bytes()))),
        ("gzip-chunked", answer(&[te("gzip, chunked")], chunked.as_bytes())),
        ("identity", answer(&[te("identity")], list.as_bytes())),
        ("twice", answer(&[te("chunked"), te("chunked")], chunked.as_bytes())),
        ("length-too", answer(&[te("chunked"), ("content-length", &length)], chunked.as_bytes())),
        ("right", answer(&[te("CHUNKED")], chunked.as_bytes())),
    ])
    .await;
    let city = city(&scripted).await;
    for http in BOTH {
        for name in ["gzip", "gzip-chunked", "identity", "twice", "length-too"] {
            for route in ["_x", "_file"] {
                let call = Call::survey(&format!("/{route}/{name}")).over(http);
                let detail = refused(&city, call, INVALID).await;
                assert!(detail.contains("transfer coding"), "{name}: {detail}");
            }
        }
        let reply = city.call(Call::survey("/_x/right").over(http)).await;
        reply.assert_data();
        assert_eq!(reply.text(), released(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_dies_or_falls_silent_in_the_middle() {
    let (small, large) = (list(3), list(3_000));
    let (small, large) = (&small[..small.len() / 2], &large[..large.len() - 40]);
    let gzip = encoded(Coding::Gzip, large.as_bytes());
    let coded = chunks(&[JSON, ("content-encoding", "gzip")], &gzip[..gzip.len() - 20]);
    let ending = |mut steps: Vec<Step>, end: Step| {
        steps.push(end);
        steps
    };
    let mut scripts = Vec::new();
    // A reset may take with it what was on its way.
    scripts.push(("small-reset".to_owned(), ending(chunks(&[JSON], small), Step::Reset)));
    for (name, end) in [("close", Step::Close), ("silence", Step::Silence)] {
        scripts.push((format!("small-{name}"), ending(chunks(&[JSON], small), end.clone())));
        scripts.push((format!("large-{name}"), ending(chunks(&[JSON], large), end.clone())));
        scripts.push((format!("coded-{name}"), ending(coded.clone(), end)));
    }
    let scripted = Scripted::start(scripts).await;
    // Who is quick to lose patience is so with a busy machine, too.
    let patient = city(&scripted).await;
    let hasty = plan().config("response_timeout = \"10s\"", "response_timeout = \"700ms\"");
    let hasty = hasty.start_before(scripted.at).await;
    for http in BOTH {
        refused(&patient, Call::survey("/_x/small-reset").over(http), INVALID).await;
        for (city, end, reason) in
            [(&patient, "close", "upstream-broken"), (&hasty, "silence", "upstream-stalled")]
        {
            refused(city, Call::survey(&format!("/_x/small-{end}")).over(http), INVALID).await;
            for length in ["large", "coded"] {
                let call = Call::survey(&format!("/_x/{length}-{end}"));
                let (body, outcome) = cut_off(city, http, call, reason).await;
                assert!(end == "close" || !body.is_empty(), "nothing arrived before the silence");
                assert_counts(&body, &outcome);
            }
            // A file is cut off too.
            cut_off(city, http, Call::survey(&format!("/_file/large-{end}")), reason).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_making_sense_in_the_middle() {
    let good = list(3_000);
    let (without_end, _) = good.rsplit_once("],").unwrap();
    let gzip = encoded(Coding::Gzip, good.as_bytes());
    let mut wrong_sum = gzip.clone();
    *wrong_sum.iter_mut().rev().nth(5).unwrap() ^= 1;
    let coded = |coding, bytes: &[u8]| {
        let mut steps = chunks(&[JSON, ("content-encoding", coding)], bytes);
        steps.push(last_chunk());
        steps
    };
    let plain = |bytes: &[u8]| coded("identity", bytes);
    let scripted = Scripted::start([
        ("bare", plain(format!("{without_end}, bare").as_bytes())),
        ("utf8", plain(&[without_end.as_bytes(), b",{\"name\":\"\xff\"}]}"].concat())),
        ("second", plain(format!("{good}{RECORD}").as_bytes())),
        ("cut", plain(without_end.as_bytes())),
        ("sum", coded("gzip", &wrong_sum)),
        ("member", coded("gzip", &[&gzip[..], &gzip].concat())),
        ("short", coded("gzip", &gzip[..gzip.len() - 8])),
    ])
    .await;
    let city = city(&scripted).await;
    for http in BOTH {
        for (name, reason) in [
            ("bare", "syntax"),
            ("utf8", "utf8"),
            ("second", "trailing"),
            ("cut", "truncated"),
            ("sum", "coding-broken"),
            ("member", "coding-trailing"),
            ("short", "coding-truncated"),
        ] {
            for accepts in ["identity", "gzip"] {
                let call = Call::survey(&format!("/_always/{name}")).header("accept-encoding", accepts);
                let (body, outcome) = cut_off(&city, http, call, reason).await;
                if accepts == "identity" {
                    assert_counts(&body, &outcome);
                }
                assert!(outcome.records > Some(2_000), "{name}: {outcome:#?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_sends_very_little_that_becomes_very_much() {
    const MIB: usize = 1 << 20;
    let digits = vec![b'0'; MIB];
    let bomb = |coding: Coding, field: &str| {
        let (front, end) = (format!(r#"{{"data":[{{"{field}":""#), br#""}]}"#);
        let parts =
            || std::iter::once(front.as_bytes()).chain((0..100).map(|_| digits.as_slice())).chain([&end[..]]);
        let out = if coding == Coding::Gzip {
            // As hard as it packs: about a thousandfold.
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            parts().for_each(|part| encoder.write_all(part).unwrap());
            encoder.finish().unwrap()
        } else {
            let (mut encoder, mut out) = (Encoder::new(coding), Vec::new());
            parts().for_each(|part| encoder.push(part, &mut out).unwrap());
            encoder.finish(&mut out).unwrap();
            out
        };
        assert!(out.len() * 500 < 100 * MIB, "{coding:?}: {}", out.len());
        answer(&[JSON, ("content-encoding", coding.as_str())], out)
    };
    let mut scripts = Vec::new();
    for coding in Coding::ALL {
        for field in ["id_card", "phone", "email"] {
            scripts.push((format!("{}-{field}", coding.as_str()), bomb(coding, field)));
        }
    }
    let scripted = Scripted::start(scripts).await;
    let city = city(&scripted).await;
    // What a connection, a plan and an encoder cost is there before.
    refused(&city, Call::survey("/_x/zstd-email"), BODY).await;
    city.gate.forget_peak();
    let before = city.gate.memory().now;
    for http in BOTH {
        for coding in Coding::ALL {
            for field in ["phone", "email"] {
                let call = Call::survey(&format!("/_x/{}-{field}", coding.as_str()));
                if coding == Coding::Gzip {
                    // Even coded it is too long to be masked whole.
                    let (body, _) = cut_off(&city, http, call, "coding-ratio").await;
                    assert!(body.len() < 100, "{}", body.len());
                } else {
                    // What is dropped or masked lets nothing out before the bound is met.
                    let detail = refused(&city, call.over(http), BODY).await;
                    assert!(detail.contains("coding-ratio"), "{detail}");
                }
            }
            let call = Call::survey(&format!("/_x/{}-id_card", coding.as_str()));
            let (body, outcome) = cut_off(&city, http, call, "coding-ratio").await;
            assert!(body.len() < 4 * MIB, "{}", body.len());
            assert_eq!(outcome.records, Some(1));
        }
    }
    let grown = city.gate.memory().peak.saturating_sub(before);
    eprintln!("the gate grew by {} KiB", grown >> 10);
    assert!(grown < 24 << 20, "the gate grew by {} KiB", grown >> 10);
}
