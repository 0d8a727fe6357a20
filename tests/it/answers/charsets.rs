//! Answers that are not UTF-8: transcoded where the route says so, refused everywhere else.

use super::*;
use crate::city::run_to_end;

/// `王小明` in GB 18030, and a character whose second byte is a backslash.
const WANG: &[u8] = b"\xcd\xf5\xd0\xa1\xc3\xf7";
const BACKSLASH: &[u8] = b"\x81\x5c";

fn body(name: &[u8]) -> Vec<u8> {
    let mut out = br#"{"code":0,"message":""#.to_vec();
    out.extend_from_slice(BACKSLASH);
    out.extend_from_slice(br#"","data":[{"name":""#);
    out.extend_from_slice(name);
    out.extend_from_slice(
        br#"","phone":"13800138000","email":"wang@secret.example","note":"of-no-catalogue"}]}"#,
    );
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_route_says_so() {
    let gb = ("content-type", "application/json; charset=GB18030");
    let gbk = ("content-type", "application/json; charset=gbk");
    let none = ("content-type", "application/json");
    let right = body(WANG);
    let gzip = encoded(Coding::Gzip, &right);
    let utf8 = "{\"code\":0,\"data\":[{\"name\":\"王小明\",\"phone\":\"13800138000\"}]}";
    let utf16: Vec<u8> = utf8.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\x84\x31\x95\x33", right.as_slice()].concat();
    let scripted = Scripted::start([
        ("right", answer(&[gb], &right)),
        ("gzip", answer(&[gb, ("content-encoding", "gzip")], &gzip)),
        ("gbk", answer(&[gbk], &right)),
        ("silent", answer(&[none], &right)),
        ("utf8", answer(&[gb], utf8)),
        ("utf16", answer(&[gb], &utf16)),
        ("mark", answer(&[gb], &marked)),
        ("bad", answer(&[gb], body(b"\xcd\xff"))),
        ("cut", answer(&[gb], &right[..right.len() - 10])),
    ])
    .await;
    let city = city(&scripted).await;
    for http in BOTH {
        for name in ["right", "gzip"] {
            let reply = city.call(Call::survey(&format!("/_gb/{name}")).over(http)).await;
            reply.assert_data();
            assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
            let expected = r#"{"code":0,"message":"乗","data":[{"name":"王**","phone":"138****8000"}]}"#;
            assert_eq!(reply.text(), expected);
        }
        for name in ["gbk", "silent"] {
            let detail =
                refused(&city, Call::survey(&format!("/_gb/{name}")).over(http), (502, "mask-media-type"))
                    .await;
            assert!(detail.contains("`application/json; charset=gb18030`"), "{detail}");
        }
        for (name, reason) in
            [("utf16", "syntax"), ("mark", "byte-order-mark"), ("bad", "charset"), ("cut", "truncated")]
        {
            let detail =
                refused(&city, Call::survey(&format!("/_gb/{name}")).over(http), (502, "mask-body")).await;
            assert!(detail.contains(&format!("({reason})")), "{name}: {detail}");
        }
        // A lie is refused or becomes nonsense; the masks hold either way.
        let reply = city.call(Call::survey("/_gb/utf8").over(http)).await;
        assert_no_secret(&reply);
        // Elsewhere none of it leaves.
        for name in ["right", "gzip", "gbk"] {
            refused(&city, Call::survey(&format!("/_x/{name}")).over(http), (502, "mask-media-type")).await;
        }
        let detail = refused(&city, Call::survey("/_x/silent").over(http), (502, "mask-body")).await;
        assert!(detail.contains("(utf8)"), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_in_the_charset_of_a_spreadsheet() {
    let gb = ("content-type", "text/csv; charset=gb18030");
    // The second bytes of `乗`, `亅` and `亇` are those of `\`, `|` and `}`; the last character has four.
    let table = "邮箱,姓名,地址,手机\r\nwang@secret.example,王小明,\"乗亅, 亇\"\"\u{20000}\",13800138000\r\n";
    let (small, _, lossy) = encoding_rs::GB18030.encode(table);
    assert!(!lossy);
    let (line, _, _) = encoding_rs::GB18030.encode("wang@secret.example,欧阳修,亅,13800138000\r\n");
    let large = [&small[..], &line.repeat(20_000)].concat();
    let scripted = Scripted::start([
        ("small", answer(&[gb], &small)),
        ("large", answer(&[gb], &large)),
        ("coded", answer(&[gb, ("content-encoding", "zstd")], encoded(Coding::Zstd, &large))),
        ("cut", answer(&[gb], [&large[..], b"\xcd"].concat())),
    ])
    .await;
    let city = city(&scripted).await;
    let released = "姓名,地址,手机\r\n王**,\"乗亅, 亇\"\"\u{20000}\",138****8000\r\n".to_owned();
    for http in BOTH {
        for (name, lines) in [("small", 0), ("large", 20_000), ("coded", 20_000)] {
            let reply = city.call(Call::survey(&format!("/_table/{name}")).over(http)).await;
            reply.assert_data();
            assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
            let expected = format!("{released}{}", "欧阳**,亅,138****8000\r\n".repeat(lines));
            assert!(reply.text() == expected, "{name}: {}", &reply.text()[..reply.body.len().min(200)]);
            let record = city.records_of(&reply.request_id()).await.pop().unwrap();
            assert_eq!(record.records, u64::try_from(lines + 1).ok());
        }
        let (body, outcome) = cut_off(&city, http, Call::survey("/_table/cut"), "charset").await;
        assert_none_in(&body);
        assert!(outcome.records > Some(10_000), "{outcome:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_cannot_say_what_its_resource_is_not() {
    for (resource, media_type, expected) in [
        ("population.resident", "text/csv", Err("no resource of format `json` comes as that")),
        ("population.resident", "text/html", Err("no resource of format `json` comes as that")),
        ("population.resident", "multipart/form-data", Err("no resource of format `json` comes as that")),
        ("population.resident", "text/plain; charset=gbk", Ok(())),
        ("test.lines", "application/json", Err("no resource of format `ndjson` comes as that")),
        ("test.file", "multipart/byteranges", Err("no resource of format `opaque` comes as that")),
        ("test.file", "image/png", Ok(())),
        ("test.form", "application/x-www-form-urlencoded; charset=gbk", Err("is always UTF-8")),
    ] {
        let form = CATALOG.split("[[resource]]").nth(1).unwrap();
        let form = form.replace("test.lines", "test.form").replace("ndjson", "form");
        let form = format!("[[resource]]{form}");
        let plan = Plan::new().more_policy("catalog.toml", CATALOG).more_policy("catalog.toml", &form);
        let plan = plan.config("PLATFORM", "127.0.0.1:9").more_config(&format!(
            "\n[[route]]\nmethod = \"GET\"\npath = \"/_x/{{case}}\"\nresource = \"{resource}\"\n\
             action = \"query\"\nupstream = \"platform\"\nmedia_type = \"{media_type}\"\n"
        ));
        let config = plan.files.config_path();
        let command = if expected.is_ok() { "check" } else { "run" };
        let (code, said) = run_to_end(&[command.as_ref(), "--config".as_ref(), config.as_ref()]).await;
        match expected {
            Ok(()) => assert_eq!(code, Some(0), "{media_type}: {said}"),
            Err(why) => {
                assert_eq!(code, Some(64), "{media_type}: {said}");
                assert!(said.contains("bad-media-type") && said.contains(why), "{media_type}: {said}");
            }
        }
    }
}
